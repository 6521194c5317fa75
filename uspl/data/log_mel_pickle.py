"""AVSBench's log-mel files: pickles of one tensor, read without running anything that they hold.

Loading a pickle runs what the file says. Here each opcode is looked at first, a name in the file stands for one of
the few harmless functions below or is refused, and the numbers are copied from the bytes by numpy.
"""

import io
import pickle
import pickletools
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from uspl.core.errors import DataError

LARGEST = 1 << 20  # bytes: five blocks take 122,880; nothing larger is opened
BLOCK = (1, 96, 64)  # one block: 96 frames of 10 ms, 64 mel bands
ZIP, MAGIC = b"PK\x03\x04", 0x1950A86A20F9469CFC6C  # how the two formats of torch.save begin
MEMO = 4096  # names a pickle may remember; a larger index would reserve memory
_NAMES = (
    "PROTO FRAME STOP MARK MEMOIZE BINPUT LONG_BINPUT PUT BINGET LONG_BINGET GET GLOBAL STACK_GLOBAL REDUCE BINPERSID "
    "NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1 UNICODE BINUNICODE SHORT_BINUNICODE BINBYTES "
    "SHORT_BINBYTES TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_TUPLE EMPTY_LIST APPEND APPENDS LIST"
)
OPCODES = frozenset(_NAMES.split())


def log_mel(file: str | Path) -> Float32[Tensor, "n 1 96 64"]:
    """The blocks of one video; block k covers 0.96 (k - 1) to 0.96 k s.

    Args:
        file: written by `pickle.dump(tensor)` or, in either of its formats, by `torch.save(tensor)`.

    Raises:
        DataError: missing, too large, damaged, or anything but one float32 tensor of blocks; nothing of it was run.
    """
    path = Path(file)
    if not path.is_file():
        raise DataError(path, "is missing")
    if path.stat().st_size > LARGEST:
        raise DataError(path, f"is refused: it has {path.stat().st_size} bytes, a log-mel file at most {LARGEST}")
    try:
        return _tensor(_content(path.read_bytes()))
    except _Refused as error:
        raise DataError(path, f"is refused, and nothing in it was run: {error}") from None
    except Exception as error:  # damaged bytes may fail anywhere
        raise DataError(path, "is refused, and nothing in it was run: it is damaged or no pickled tensor") from error


class _Refused(Exception):
    """Why a file is not taken."""


@dataclass
class _Storage:
    """Numbers that may come after the tensor that uses them."""

    numel: int
    values: np.ndarray | None = None


class _Parts(NamedTuple):
    """A tensor as a pickle describes it."""

    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


def _content(data: bytes) -> Any:
    if data.startswith(ZIP):
        return _zipped(data)
    stream = io.BytesIO(data)
    first = _unpickle(stream, {})
    return _legacy(stream) if type(first) is int and first == MAGIC else first


def _zipped(data: bytes) -> Any:
    """`torch.save`, from PyTorch 1.6 on: a zip archive with one pickle, and one file per storage."""
    with zipfile.ZipFile(io.BytesIO(data)) as box:
        if any(m.compress_type != zipfile.ZIP_STORED for m in box.infolist()):
            raise _Refused("its archive is compressed")
        pickles = [name for name in box.namelist() if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise _Refused(f"its archive holds {len(pickles)} files named data.pkl")
        home = pickles[0].removesuffix("data.pkl")
        if f"{home}byteorder" in box.namelist() and box.read(f"{home}byteorder") != b"little":
            raise _Refused("its numbers are not little-endian")
        storages: dict[str, _Storage] = {}
        content = _unpickle(io.BytesIO(box.read(pickles[0])), storages)
        for key, storage in storages.items():
            storage.values = _numbers(box.read(f"{home}data/{key}"), storage)
    return content


def _legacy(stream: io.BytesIO) -> Any:
    """`torch.save` before PyTorch 1.6, behind its magic number: version, system, content, keys, numbers."""
    for _ in ("version", "system"):
        all(pickletools.genops(stream))  # walked over, not loaded
    storages: dict[str, _Storage] = {}
    content = _unpickle(stream, storages)
    for key in _unpickle(stream, {}):
        (numel,) = struct.unpack("<q", stream.read(8))
        if type(key) is not str or key not in storages:
            raise _Refused("it holds numbers that no tensor uses")
        if numel != storages[key].numel:
            raise _Refused(f"it announces {storages[key].numel} numbers and holds {numel}")
        storages[key].values = _numbers(stream.read(4 * numel), storages[key])
    return content


def _numbers(data: bytes, storage: _Storage) -> np.ndarray:
    if len(data) != 4 * storage.numel:
        raise _Refused(f"it announces {storage.numel} numbers and holds {len(data) / 4:g}")
    return np.frombuffer(data, "<f4")


def _tensor(content: Any) -> Tensor:
    """The described tensor, if it is one of blocks and stays inside its storage."""
    if not isinstance(content, _Parts) or not isinstance(content.storage, _Storage):
        raise _Refused("it holds no tensor")
    storage, offset, size, stride = content
    if len(size) != 4 or size[1:] != BLOCK or size[0] < 1:
        raise _Refused(f"its tensor has the shape {size[:6]}, not (5, 1, 96, 64)")
    if storage.values is None or len(stride) != 4 or min(offset, *stride) < 0:
        raise _Refused("its tensor has no numbers")
    if offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True)) >= len(storage.values):
        raise _Refused("its tensor reaches beyond its numbers")
    numbers = torch.from_numpy(storage.values.copy()).as_strided(size, stride, offset).contiguous()
    if not bool(torch.isfinite(numbers).all()):
        raise _Refused("its tensor holds numbers that are not finite")
    return numbers


def _unpickle(stream: io.BytesIO, storages: dict[str, _Storage]) -> Any:
    """The next pickle of a stream, after a look at every opcode."""
    start = stream.tell()
    for opcode, value, _ in pickletools.genops(stream):
        if opcode.name not in OPCODES:
            raise _Refused(f"its pickle uses {opcode.name}")
        if opcode.name in ("BINPUT", "LONG_BINPUT", "PUT") and int(value or 0) > MEMO:
            raise _Refused(f"its pickle remembers {value} things")
    stream.seek(start)
    return _Restricted(stream, storages).load()


class _Restricted(pickle.Unpickler):
    """An unpickler that knows the names below and no other."""

    def __init__(self, stream: io.BytesIO, storages: dict[str, _Storage]) -> None:
        super().__init__(stream)
        self.storages = storages

    def find_class(self, module: str, name: str, /) -> Callable[..., Any]:
        if (module, name) not in _KNOWN:
            raise _Refused(f"it names {f'{module}.{name}'[:60]!r}")
        return _KNOWN[module, name]

    def persistent_load(self, pid: Any, /) -> _Storage:
        kind, dtype, key, _, numel, *view = pid
        if kind != "storage" or dtype is not _float32 or type(key) is not str or type(numel) is not int or any(view):
            raise _Refused("it refers to something outside, or to numbers that are not float32")
        return self.storages.setdefault(key, _Storage(numel))


def _rebuild(storage: _Storage, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> _Parts:
    return _Parts(storage, int(offset), tuple(map(int, size)), tuple(map(int, stride)))


def _stored(data: bytes) -> _Storage:
    """A storage inside a plain pickle is a `torch.save` of its own, in the older format."""
    stream = io.BytesIO(data)
    if _unpickle(stream, {}) != MAGIC:
        raise _Refused("its numbers are not stored as torch stores them")
    content = _legacy(stream)
    if not isinstance(content, _Storage):
        raise _Refused("its numbers are not stored as torch stores them")
    return content


def _latin(text: str, *_: Any) -> bytes:
    """Bytes, as pickles before protocol 3 spell them."""
    return text.encode("latin1")


def _float32(*_: Any) -> None:
    """Stands for the type of a storage of float32 numbers."""
    raise _Refused("it makes a storage by itself")


def _hooks(*_: Any) -> None:
    """A tensor's backward hooks: none."""


_KNOWN: dict[tuple[str, str], Callable[..., Any]] = {
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild,
    ("torch.storage", "_load_from_bytes"): _stored,
    ("torch", "FloatStorage"): _float32,
    ("collections", "OrderedDict"): _hooks,
    ("_codecs", "encode"): _latin,
}
