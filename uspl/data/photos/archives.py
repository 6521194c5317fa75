"""Files of a Debian package (.deb) or of any tar archive, read without dpkg."""

from __future__ import annotations

import io
import lzma
import shutil
import subprocess
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from uspl.core.errors import DataError
from uspl.core.files import present

AR = b"!<arch>\n"


def members(path: str | Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of the wanted files of a package or an archive, in its order.

    A link's bytes are those of the file it leads to; links that leave the archive are passed over.

    Args:
        path: a `.deb`, or a tar archive, packed with gzip, bzip2, xz or not at all.
        wanted: says of a name (without a leading `./`) whether to read it.

    Raises:
        DataError: no such archive, or a damaged one.
    """
    file = present(path)
    with file.open("rb") as source:
        head = source.read(8)
        source.seek(0)
        inner = io.BytesIO(_data(path, source.read())) if head == AR else source
        try:
            with tarfile.open(fileobj=inner, mode="r:*") as box:
                for entry in box:  # in the order of the archive: to go back means to unpack it again
                    name = entry.name.removeprefix("./").lstrip("/")
                    if not (entry.isfile() or entry.issym() or entry.islnk()) or not wanted(name):
                        continue
                    try:
                        one = box.extractfile(entry)
                    except KeyError:
                        continue
                    if one is not None:
                        yield name, one.read()
        except (tarfile.TarError, lzma.LZMAError, EOFError, OSError, zlib.error):
            raise DataError(path, "cannot be read as an archive of tar files") from None


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
    done = None
    if shutil.which("dpkg-deb"):
        done = subprocess.run(["dpkg-deb", "--fsys-tarfile", str(path)], capture_output=True, check=False)
    if done is None or done.returncode:
        raise DataError(path, "is packed with Zstandard; unpack it with `dpkg -x` and name the folder")
    return done.stdout
