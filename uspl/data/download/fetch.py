"""One video at a time, slowly and once; a refusal comes with its class."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from uspl.data.download.join import join, kinds
from uspl.data.download.refusals import Unavailable, classify, plain
from uspl.data.prepare.jobs import Refused

MUXED = "[vcodec!=none][acodec!=none]"
FORMAT = "/".join(  # one file with pictures and sound if there is one, else one of each
    (
        f"best[height<=360]{MUXED}",
        f"best[height<=480]{MUXED}",
        "(bestvideo[height<=360]/bestvideo[height<=480]/worstvideo,bestaudio)",
    )
)
UNFINISHED = (".part", ".ytdl")


@dataclass(frozen=True)
class Manners:
    """How to treat the site."""

    sleep: float = 2.0  # s between two downloads, up to twice as long
    rate: int = 2_000_000  # bytes a second, at most
    largest: int = 200_000_000  # bytes of a video, at most; longer films are passed over


def runtimes() -> list[str]:
    """The JavaScript runtimes of this machine that yt-dlp accepts; without one, the site shows it no film.

    Raises:
        Refused: there is none, or only old ones; yt-dlp is missing, or of a time before it asked for them.
    """
    try:
        from yt_dlp.globals import supported_js_runtimes
    except ImportError:
        raise Refused("`yt-dlp` 2025.11.12 or later is missing; `pip install -U 'uspl[download]'` brings it.") from None
    there = {name: found for name, kind in supported_js_runtimes.value.items() if (found := kind().info) is not None}
    usable = [name for name, found in there.items() if found.supported]
    if not usable:
        old = "".join(f"; {name} {found.version} is too old" for name, found in there.items())
        says = "A JavaScript runtime is missing, without which YouTube shows yt-dlp no film"
        raise Refused(f"{says}{old}; `pip install deno` brings one.")
    return usable


def fetch(video: str, home: Path, manners: Manners) -> Path:
    """Download one video to `home`, at most 480 lines high where there is such; one that is there is not asked for.

    Raises:
        Unavailable: the site refuses, or the video is larger than allowed.
        Refused: yt-dlp or a JavaScript runtime is missing.
    """
    there = [p for p in sorted(home.glob(f"{video}.*")) if p.suffix not in UNFINISHED]
    if there:
        return there[0]
    engines: dict[str, dict[str, str]] = {name: {} for name in runtimes()}
    import yt_dlp

    place = home / f".{video}"  # one video may come as two files
    options = {
        "format": FORMAT,
        "js_runtimes": engines,
        "outtmpl": str(place / "%(format_id)s.%(ext)s"),
        "ratelimit": manners.rate,
        "max_filesize": manners.largest,
        "sleep_interval": manners.sleep,
        "max_sleep_interval": 2 * manners.sleep,
        "retries": 3,
        "socket_timeout": 30,
        "fixup": "never",  # what ffmpeg's program would do
        "quiet": True,
        "no_warnings": True,
        "noprogress": True,
        "logger": _Quiet(),
    }
    try:
        with yt_dlp.YoutubeDL(options) as site:
            site.download([f"https://www.youtube.com/watch?v={video}"])
    except yt_dlp.utils.YoutubeDLError as error:
        says = plain(error)
        raise Unavailable(classify(says), says) from None
    film = _whole(place, home / video, manners.largest)
    shutil.rmtree(place)
    return film


def _whole(place: Path, target: Path, largest: int) -> Path:
    """One file with pictures and sound, beside the folder in which the downloads lie."""
    files = [p for p in sorted(place.glob("*")) if p.suffix not in UNFINISHED]
    if not files:
        raise Unavailable("large", f"larger than {largest} bytes")
    holds = {file: kinds(file) for file in files}
    whole = next((file for file in files if holds[file] != {"video"} and holds[file] != {"audio"}), None)
    if whole is not None:  # a damaged file too: whoever cuts it says what is wrong
        return whole.replace(target.with_name(target.name + whole.suffix))
    pictures, sound = (next((f for f in files if holds[f] == {kind}), None) for kind in ("video", "audio"))
    if pictures is None or sound is None:
        raise Unavailable("format", f"came without its {'sound' if sound is None else 'pictures'}")
    join(pictures, sound, place / "both.mkv.part")
    return (place / "both.mkv.part").replace(target.with_name(target.name + ".mkv"))


class _Quiet:
    """A logger that keeps the progress bar whole; what matters comes as an exception."""

    def debug(self, says: str) -> None: ...

    info = warning = error = debug
