"""What lies where a file should be, and files that are written whole or not at all."""

import os
import stat
from pathlib import Path

from uspl.core.errors import DataError

_ELSEWHERE = "name another folder, or set USPL_HOME to one"


def present(path: str | Path) -> Path:
    """The path, if a file with content lies there; a `DataError` says what lies there instead."""
    file = Path(path)
    try:
        found = file.stat()
    except OSError as error:
        if file.is_symlink():
            raise DataError(path, "is a link that leads nowhere") from None
        missing = isinstance(error, FileNotFoundError | NotADirectoryError)
        raise DataError(path, "is missing" if missing else f"cannot be opened: {error.strerror}") from None
    if not stat.S_ISREG(found.st_mode):
        raise DataError(path, "is a folder, not a file" if stat.S_ISDIR(found.st_mode) else "is no regular file")
    if found.st_size == 0:
        raise DataError(path, "is empty (0 bytes)")
    return file


def make_folder(folder: Path) -> Path:
    """The folder, made where it is missing; a `DataError` says why nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        able = os.access(folder, os.W_OK)
    except OSError as error:
        raise DataError(folder, f"cannot be made: {error.strerror}; {_ELSEWHERE}") from None
    if not able:
        raise DataError(folder, f"cannot be written; {_ELSEWHERE}")
    return folder


def write(path: Path, data: bytes) -> None:
    """Write a file whole or not at all: a temporary file beside it, then a rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """As `write`, where a folder that cannot be written is a `DataError`."""
    make_folder(path.parent)
    write(path, data)


def write_text(path: Path, text: str) -> None:
    """As `write_bytes`, for text."""
    write_bytes(path, text.encode())
