"""SHA-256 of a data folder: a list as `sha256sum` writes it, one hash for the whole, and what has changed since."""

import hashlib
import re
from pathlib import Path

from uspl.core.errors import DataError
from uspl.core.files import present

LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")


def listing(files: dict[str, str]) -> str:
    """The list of files (path below the folder -> SHA-256), sorted by path; `sha256sum -c` reads it.

    >>> listing({"b": "22", "a": "11"})
    '11  a\\n22  b\\n'
    """
    return "".join(f"{files[name]}  {name}\n" for name in sorted(files))


def of(file: Path) -> str:
    """SHA-256 of a file's content."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def tree(files: dict[str, str]) -> str:
    """One hash for a folder: SHA-256 of `listing`, as `sha256sum` of the written list gives it."""
    return hashlib.sha256(listing(files).encode()).hexdigest()


def read(path: str | Path) -> dict[str, str]:
    """A written list: path -> SHA-256.

    Raises:
        DataError: the list is missing or no text, or a line is no `<sha256>  <path>`.
    """
    try:
        lines = present(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(path, "is no list of checksums") from error
    files = {}
    for number, line in enumerate(lines, 1):
        match = LINE.fullmatch(line)
        if match is None:
            raise DataError(path, f"is no list of checksums: line {number} is no `<sha256>  <path>`")
        files[match[2]] = match[1]
    return files


def changes(files: dict[str, str], written: dict[str, str]) -> list[tuple[str, str]]:
    """(path, what happened) of each file that is not as it was written.

    >>> changes({"a": "1", "b": "2"}, {"a": "9", "c": "3"})
    [('a', 'has changed'), ('b', 'is new'), ('c', 'is gone or cannot be read')]
    """
    found = []
    for name in sorted(files.keys() | written.keys()):
        if name not in files:
            found.append((name, "is gone or cannot be read"))
        elif name not in written:
            found.append((name, "is new"))
        elif files[name] != written[name]:
            found.append((name, "has changed"))
    return found
