"""TensorFlow's checkpoint files, read with NumPy alone: a table of names (`.index`) over one of numbers (`.data`)."""

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

_MAGIC = b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"  # last bytes of a table
_FLOAT32 = 1


def read(index: bytes, data: bytes) -> dict[str, npt.NDArray[np.float32]]:
    """Every float32 tensor of a checkpoint with one shard.

    Args:
        index: the file `variables.index`, a table in LevelDB's format with a BundleEntryProto for each name.
        data: the file `variables.data-00000-of-00001`.

    Returns:
        Name -> array; tensors of other types are left out.

    Raises:
        ValueError: `index` is no such table, or names bytes that `data` does not have.
    """
    if index[-8:] != _MAGIC:
        raise ValueError(f"`index` must be a TensorFlow checkpoint's table; it ends in {index[-8:].hex()}.")
    place = 0
    handle = []
    for _ in range(4):  # offset and size of the meta index, then of the index
        number, place = _varint(index[-48:], place)
        handle.append(number)
    found = {}
    for _, entry in _block(index, handle[2], handle[3]):
        start, place = _varint(entry, 0)
        for name, value in _block(index, start, _varint(entry, place)[0]):
            told = dict(_fields(value))
            if not name or told.get(1) != _FLOAT32:
                continue
            shape = [dict(_fields(size)).get(1, 0) for kind, size in _fields(told.get(2, b"")) if kind == 2]
            at, size = told.get(4, 0), told[5]
            if at + size > len(data) or size != 4 * int(np.prod(shape)):
                raise ValueError(
                    f"`data` must hold {size} bytes of `{name.decode()}` at {at}; it has {len(data)} in all."
                )
            found[name.decode()] = np.frombuffer(data, "<f4", size // 4, at).reshape(shape)
    return found


def _varint(b: bytes, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, lowest first; and the place behind it."""
    value = shift = 0
    while True:
        byte = b[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def _block(table: bytes, start: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of one block; a key repeats the first letters of the one before."""
    if table[start + size] != 0:
        raise ValueError("`index` must not be compressed; got a compressed block.")
    block = table[start : start + size]
    end = size - 4 - 4 * struct.unpack("<I", block[-4:])[0]
    at, key = 0, b""
    while at < end:
        shared, at = _varint(block, at)
        fresh, at = _varint(block, at)
        length, at = _varint(block, at)
        key = key[:shared] + block[at : at + fresh]
        at += fresh
        yield key, block[at : at + length]
        at += length


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Numbers and contents of a protocol buffer's fields."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind = tag & 7
        value: Any
        if kind == 0:
            value, at = _varint(message, at)
        else:
            size, at = _varint(message, at) if kind == 2 else ({1: 8, 5: 4}[kind], at)
            value = message[at : at + size]
            at += size
        yield tag >> 3, value
