"""What an archive may not hold, though nothing here is ever unpacked to a disk: refused by name."""

import posixpath
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

from uspl.core.errors import DataError

RATIO = 100  # bytes unpacked to bytes packed; pictures, sounds and films have less than 3
HARMLESS = 1 << 20  # bytes: less is no bomb, whatever its ratio


def outside(name: str) -> str:
    """Why the name of a member may not be used, or an empty string.

    >>> outside("a/../../b")
    'whose path leads out of the archive'
    """
    if PurePosixPath(name).is_absolute() or PureWindowsPath(name).anchor:
        return "whose path is absolute"
    if ".." in name.replace("\\", "/").split("/"):
        return "whose path leads out of the archive"
    return ""


def fault(member: tarfile.TarInfo) -> str:
    """Why a member of a tar archive may not be used, or an empty string."""
    if member.issym() or member.islnk():
        home = posixpath.dirname(member.name) if member.issym() else ""
        to = posixpath.normpath(posixpath.join(home, member.linkname))
        leaves = to.startswith(("/", "../")) or to == ".." or PureWindowsPath(member.linkname).anchor
        return outside(member.name) or ("a link that leads out of the archive" if leaves else "")
    return outside(member.name) or ("" if member.isreg() or member.isdir() else "a device or another special file")


def entries(
    box: tarfile.TarFile, file: str | Path, packed: int, wanted: Callable[[str], bool]
) -> Iterator[tarfile.TarInfo]:
    """The wanted members of a tar archive, in its order.

    Args:
        box: the archive.
        file: its name, for errors.
        packed: bytes, its size as it lies on the disk.
        wanted: says of a name whether to use it; what is not wanted may be anything but a bomb.

    Raises:
        DataError: a member that may not be used, or more than `RATIO` times `packed` bytes in all.
    """
    total = 0
    for member in box:
        total += member.size
        check_ratio(file, member.name, total, packed)
        if wanted(member.name):
            if why := fault(member):
                raise DataError(file, f"is refused: it holds {member.name[:80]!r}, {why}")
            yield member


def check_zip(box: zipfile.ZipFile, file: str | Path, wanted: Callable[[str], bool]) -> None:
    """Refuse a zip archive as `entries` refuses a tar archive."""
    total = 0
    for member in box.infolist():
        total += member.file_size
        check_ratio(file, member.filename, total, Path(file).stat().st_size)
        if wanted(member.filename) and (why := outside(member.filename)):
            raise DataError(file, f"is refused: it holds {member.filename[:80]!r}, {why}")


def check_ratio(file: str | Path, name: str, unpacked: int, packed: int) -> None:
    """Refuse what unpacks to much more than it is."""
    if unpacked > HARMLESS and unpacked > RATIO * packed:
        raise DataError(
            file, f"is refused: at {name[:80]!r} it unpacks to more than {RATIO} times its {packed:,} bytes"
        )
