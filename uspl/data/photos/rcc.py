"""Files inside Qt's resource files (.rcc), read without Qt."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from uspl.core.errors import DataError
from uspl.core.files import present

MAGIC = b"qres"
COMPRESSED, FOLDER, ZSTANDARD = 1, 2, 4  # flags of a node


def resources(path: str | Path, content: bytes | None = None) -> Iterator[tuple[str, bytes]]:
    """Path inside the file and bytes of each resource; formats 1 to 3.

    Args:
        path: the file; with `content`, the name used in errors.
        content: the bytes of the file, where they do not lie in a file of their own.

    Raises:
        DataError: no resource file, a damaged one, or one packed with Zstandard.
    """
    data = present(path).read_bytes() if content is None else content
    try:
        if data[:4] != MAGIC:
            raise DataError(path, "is no Qt resource file")
        version, tree, store, names = struct.unpack_from(">4I", data, 4)
        if not 1 <= version <= 3:
            raise DataError(path, f"is of format {version}; formats 1 to 3 can be read")
        size = 22 if version >= 2 else 14  # of a node: later formats note the time of the last change
        yield from _below(path, data, (tree, store, names, size), 0, "")
    except (struct.error, zlib.error, UnicodeDecodeError, RecursionError):
        raise DataError(path, "is a damaged Qt resource file") from None


def _below(
    path: str | Path, data: bytes, parts: tuple[int, int, int, int], node: int, place: str
) -> Iterator[tuple[str, bytes]]:
    """Resources at and below a node. A folder tells how many children it has and the first; they stand in a row."""
    tree, store, names, size = parts
    at = tree + node * size
    name, flags = struct.unpack_from(">IH", data, at)
    if node:
        letters = struct.unpack_from(">H", data, names + name)[0]
        first = names + name + 6  # behind the length and a hash
        place = f"{place}/{data[first : first + 2 * letters].decode('utf-16-be')}".lstrip("/")
    if flags & FOLDER:
        count, child = struct.unpack_from(">2I", data, at + 6)
        if count and child <= node:
            raise DataError(path, "is a damaged Qt resource file")
        for k in range(count):
            yield from _below(path, data, parts, child + k, place)
        return
    begin = store + struct.unpack_from(">I", data, at + 10)[0]  # behind country and language
    length = struct.unpack_from(">I", data, begin)[0]
    packed = data[begin + 4 : begin + 4 + length]
    if flags & ZSTANDARD:
        raise DataError(path, "is packed with Zstandard, which is not read here")
    if len(packed) < length:
        raise DataError(path, "is a damaged Qt resource file")
    yield place, zlib.decompress(packed[4:]) if flags & COMPRESSED else packed
