"""Whose a file of a package is and how it is licensed, as far as its README and copyright files tell."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

FIELD = re.compile(r"([A-Z][A-Za-z-]*):\s*(.*)")
FILE = re.compile(r"\S+\.(?:webp|png|jpe?g|ogg|wav|mp3|svg)")


class Rights(NamedTuple):
    """Licence, author and, where it is told, where the file comes from."""

    licence: str
    author: str
    source: str = ""


UNKNOWN = Rights("not told", "not told")


def rights(names: Iterable[str], texts: Mapping[str, bytes]) -> dict[str, Rights]:
    """Of each file: what the README beside or above it says of it, else the package's `copyright` file.

    Args:
        names: files, told from the package's anchor.
        texts: the package's files named README or copyright, by name.

    >>> readme = b"Copyright: A. Nyman\\nLicense: CC0-1.0\\nFiles:\\nowl.webp\\n"
    >>> rights(["birds/owl.webp"], {"birds/README": readme})["birds/owl.webp"]
    Rights(licence='CC0-1.0', author='A. Nyman', source='')
    """
    beside: list[tuple[str, Rights]] = []
    above: list[tuple[str, Rights]] = []
    for place, text in texts.items():
        folder, _, last = place.rpartition("/")
        for said in _paragraphs(text.decode("utf-8", "replace")):
            one = Rights(
                _line(said, "License"), _line(said, "Copyright"), _line(said, "Source") or _line(said, "Comment")
            )
            if not one.licence:
                continue
            for file in said.get("Files", []):
                if last == "README":
                    beside.append((f"{folder}/{file}".lstrip("/"), one))
                else:
                    above.append((file.rpartition("src/activities/")[2], one))
    return {name: _last(name, beside) or _last(name, above) or UNKNOWN for name in names}


def _last(name: str, said: list[tuple[str, Rights]]) -> Rights | None:
    """The last paragraph that names a file counts; pictures have been given another extension since."""
    stem = name.rpartition(".")[0]
    found = None
    for pattern, one in said:
        if fnmatch.fnmatchcase(name, pattern) or fnmatch.fnmatchcase(f"{stem}.jpg", pattern):
            found = one
    return found


def _paragraphs(text: str) -> Iterator[dict[str, list[str]]]:
    """Fields of each paragraph, their words or lines in a list; a bare file name belongs to the field `Files`."""
    for block in re.split(r"\n\s*\n", text):
        said: dict[str, list[str]] = {}
        field = ""
        for line in block.splitlines():
            head = None if line[:1].isspace() else FIELD.fullmatch(line.strip())
            if head:
                field = head[1]
            value = (head[2] if head else line).strip()
            if not head and FILE.fullmatch(value):
                said.setdefault("Files", []).append(value)
            elif field == "Files":
                said.setdefault(field, []).extend(value.split())
            elif field and value:
                said.setdefault(field, []).append(value)
        yield said


def _line(said: Mapping[str, list[str]], field: str) -> str:
    """A field in one line; of a licence only its name, not its text."""
    lines = said.get(field, [])
    if field == "License":
        return lines[0] if lines else ""
    return "; ".join(lines if len(lines) <= 4 else [*lines[:3], "and others"])
