"""The official VGGSound table: YouTube id, start second, label, split."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from uspl.data.prepare.jobs import Refused

VIDEO = re.compile(r"[A-Za-z0-9_-]{11}")
LENGTH = 10  # s of a clip


class Clip(NamedTuple):
    """A line of the table: the id of a clip, its video and the s at which it starts; `wrong` says what is."""

    id: str
    video: str
    start: int
    wrong: str = ""


def read(file: Path) -> Iterator[Clip]:
    """Lines of the official CSV: YouTube id, start second, label, split; no header."""
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            for n, line in enumerate(csv.reader(lines), 1):
                if line:
                    yield _clip(line, n)
    except (UnicodeDecodeError, csv.Error) as error:
        raise Refused(f"`{file}` is no table of comma-separated UTF-8 text: {error}.") from None


def _clip(line: list[str], n: int) -> Clip:
    video, start = line[0].strip(), line[1].strip() if len(line) > 1 else ""
    if not VIDEO.fullmatch(video):
        return Clip(f"line {n}", "", 0, f"is refused: {video[:60]!r} is no YouTube id of 11 letters")
    if not (start.isascii() and start.isdigit() and len(start) <= 6):
        return Clip(f"line {n}", "", 0, f"is refused: {start[:60]!r} is no start second")
    return Clip(f"{video}_{int(start):06d}", video, int(start))
