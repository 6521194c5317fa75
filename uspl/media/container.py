"""Open a film or sound with PyAV: when it starts, how long it lasts."""

import errno
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from av.container import InputContainer

from uspl.core.errors import DataError
from uspl.core.files import present

LISTS = {"hls", "concat", "dash", "imf"}  # text that names other files: another film would be read in this one's place


@contextmanager
def opened(path: str | Path, *kinds: str, content: bytes | None = None) -> Iterator[InputContainer]:
    """Open a file that has tracks of all `kinds` ("video", "audio"); every failure becomes a `DataError`."""
    if content == b"":
        raise DataError(path, "is empty (0 bytes)")
    source = io.BytesIO(content) if content is not None else f"file:{present(path)}"
    try:
        # Nothing but this file is read, whatever its content names; a title in another encoding does no harm.
        with av.open(source, "r", options={"protocol_whitelist": "file"}, metadata_errors="replace") as box:
            if LISTS & set(box.format.name.split(",")):
                raise DataError(path, "is a list of other files, no film and no sound")
            for kind in kinds:
                if not getattr(box.streams, kind):
                    raise DataError(path, "has no sound track" if kind == "audio" else "has no pictures")
            if "video" in kinds and box.streams.video[0].codec_context is None:
                raise DataError(path, "has no pictures that can be decoded")
            yield box
    except av.error.FFmpegError as error:
        damaged = "cannot be read: truncated, damaged or no media file"
        locked = error.errno == errno.EACCES  # FFmpeg finds damaged files not permitted, too
        raise DataError(
            path, f"cannot be opened: {error.strerror}" if locked else f"{damaged} ({error.strerror})"
        ) from error


def zero(box: InputContainer) -> float:
    """The time stamp, s, at which a film starts."""
    return float((box.start_time or 0) / av.time_base)


def seeks_truly(box: InputContainer) -> bool:
    """Whether times and packets are right after a seek: MPEG-PS takes it up in the middle of both."""
    return str(box.format.name) != "mpeg"


def duration(box: InputContainer) -> float:
    """Length of a film, s; where the file does not say, its packets do."""
    if box.duration is not None and box.duration > 0:
        return float(box.duration / av.time_base)
    ends = [float((p.pts + (p.duration or 0)) * p.time_base) for p in box.demux() if p.pts is not None]
    box.seek(box.start_time or 0)
    return max(ends, default=0.0) - zero(box)
