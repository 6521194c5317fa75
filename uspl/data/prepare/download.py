"""The official VGGSound table, and its videos one at a time: slowly, once each, with a reason for each that is gone."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from uspl.data.prepare.jobs import Refused

VIDEO = re.compile(r"[A-Za-z0-9_-]{11}")
LENGTH = 10  # s of a clip
REFUSALS = 5  # downloads that fail in a row before the run stops: the site wants us to wait
GONE = re.compile(  # what no later try will change
    r"private video|video unavailable|not available|been removed|removed by|terminated|does not exist|deleted|"
    r"copyright|confirm your age|age-restricted|members-only|join this channel|requested format|larger than",
    re.IGNORECASE,
)


class Clip(NamedTuple):
    """A line of the table: the id of a clip, its video and the s at which it starts; `wrong` says what is."""

    id: str
    video: str
    start: int
    wrong: str = ""


@dataclass(frozen=True)
class Manners:
    """How to treat the site."""

    sleep: float = 2.0  # s between two downloads, up to twice as long
    rate: int = 2_000_000  # bytes a second, at most
    largest: int = 200_000_000  # bytes of a video, at most; longer films are passed over


class Gone(Exception):
    """A video that no later try will bring."""


class Later(Exception):
    """A download that failed and may succeed another day."""


def table(file: Path) -> Iterator[Clip]:
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


def fetch(video: str, home: Path, manners: Manners) -> Path:
    """Download one video to `home`, at most 360 lines high; one that is there is not asked for again.

    Raises:
        Gone: the site says that it has no such video, or it is larger than allowed.
        Later: anything else.
    """
    there = sorted(p for p in home.glob(f"{video}.*") if p.suffix not in (".part", ".ytdl"))
    if there:
        return there[0]
    try:
        import yt_dlp
    except ImportError:
        raise Refused("`yt-dlp` is missing; `pip install 'uspl[download]'` brings it.") from None
    options = {
        "format": "best[height<=360][vcodec!=none][acodec!=none]/best[height<=480][vcodec!=none][acodec!=none]",
        "outtmpl": str(home / f"{video}.%(ext)s"),
        "ratelimit": manners.rate,
        "max_filesize": manners.largest,
        "sleep_interval": manners.sleep,
        "max_sleep_interval": 2 * manners.sleep,
        "retries": 3,
        "socket_timeout": 30,
        "quiet": True,
        "no_warnings": True,
        "noprogress": True,
        "logger": _Quiet(),
    }
    try:
        with yt_dlp.YoutubeDL(options) as site:
            site.download([f"https://www.youtube.com/watch?v={video}"])
    except yt_dlp.utils.YoutubeDLError as error:
        says = " ".join(re.sub(r"\x1b\[[0-9;]*m|^ERROR:\s*|\[youtube\] \S+:", "", str(error)).split())[:200]
        if "429" in says or "not a bot" in says or not GONE.search(says):
            raise Later(says) from None
        raise Gone(says) from None
    there = sorted(home.glob(f"{video}.*"))
    if not there or there[0].suffix == ".part":
        raise Gone(f"larger than {manners.largest} bytes")
    return there[0]


class _Quiet:
    """A logger that keeps the progress bar whole; what matters comes as an exception."""

    def debug(self, says: str) -> None: ...

    info = warning = error = debug
