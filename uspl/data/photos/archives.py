"""Files of a Debian package (.deb), of any tar archive, and of Qt's resource files (.rcc), read without dpkg or Qt."""

from __future__ import annotations

import io
import lzma
import shutil
import struct
import subprocess
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from uspl.core.archives import HARMLESS, RATIO, check_ratio, entries
from uspl.core.errors import DataError
from uspl.core.files import present

AR = b"!<arch>\n"
QRES = b"qres"
COMPRESSED, FOLDER, ZSTANDARD = 1, 2, 4  # flags of a node


def members(path: str | Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of the wanted files of a package or an archive, in its order.

    A link's bytes are those of the file it leads to; one that leads nowhere is passed over.

    Args:
        path: a `.deb`, or a tar archive, packed with gzip, bzip2, xz or not at all.
        wanted: says of a name (without a leading `./`) whether to read it.

    Raises:
        DataError: no such archive, a damaged one, or one that is refused: see `uspl.core.archives`.
    """
    file = present(path)
    with file.open("rb") as source:
        head = source.read(8)
        source.seek(0)
        inner = io.BytesIO(_data(path, source.read())) if head == AR else source
        try:
            with tarfile.open(fileobj=inner, mode="r:*") as box:
                size = file.stat().st_size
                # In the order of the archive: to go back means to unpack it again.
                for entry in entries(box, path, size, lambda name: wanted(_plain(name))):
                    if entry.isdir():
                        continue
                    try:
                        one = box.extractfile(entry)
                    except KeyError:
                        continue
                    if one is not None:
                        yield _plain(entry.name), one.read()
        except (tarfile.TarError, lzma.LZMAError, EOFError, OSError, zlib.error):
            raise DataError(path, "cannot be read as an archive of tar files") from None


def _plain(name: str) -> str:
    return name.removeprefix("./").lstrip("/")


def _data(path: str | Path, package: bytes) -> bytes:
    """The tar archive inside a package: its member `data.tar.*`."""
    at = len(AR)
    while at + 60 <= len(package):
        name = package[at : at + 16].decode("ascii", "replace").strip().rstrip("/")
        size = package[at + 48 : at + 58].strip()
        if package[at + 58 : at + 60] != b"`\n" or not size.isdigit():
            break
        begin, end = at + 60, at + 60 + int(size)
        if name.startswith("data.tar"):
            if name.endswith(".zst"):
                return _by_dpkg(path)
            if end > len(package):
                break
            return package[begin:end]
        at = end + end % 2
    raise DataError(path, "is a damaged Debian package: it holds no data.tar")


def _by_dpkg(path: str | Path) -> bytes:
    """The tar archive inside a package that is packed with Zstandard, as Ubuntu's are: Python does not read that."""
    if shutil.which("dpkg-deb"):
        most = RATIO * Path(path).stat().st_size + HARMLESS
        command = ["dpkg-deb", "--fsys-tarfile", str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as program:
            data = program.stdout.read(most + 1) if program.stdout is not None else b""
            program.kill() if len(data) > most else program.wait()
        check_ratio(path, "data.tar.zst", len(data), Path(path).stat().st_size)
        if program.returncode == 0:
            return data
    raise DataError(path, "is packed with Zstandard; unpack it with `dpkg -x` and name the folder")


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
        if data[:4] != QRES:
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
    yield place, _unpacked(path, place, packed) if flags & COMPRESSED else packed


def _unpacked(path: str | Path, place: str, packed: bytes) -> bytes:
    """The bytes of a compressed resource, whose first four say how many they are, and may lie."""
    worker = zlib.decompressobj()
    data = worker.decompress(packed[4:], RATIO * len(packed) + HARMLESS)
    check_ratio(path, place, len(data) + len(worker.unconsumed_tail), len(packed))
    if not worker.eof:
        raise DataError(path, "is a damaged Qt resource file")
    return data
