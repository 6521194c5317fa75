"""Decode a video or sound file with PyAV: the picture on screen at given times, the waveform, both around a moment."""

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from av.container import InputContainer
from jaxtyping import Float32, UInt8
from torch import Tensor
from torch.nn import functional as F

from uspl.audio import RATE, around, span
from uspl.core.errors import DataError
from uspl.media.colour import rgb
from uspl.media.container import duration, opened, seeks_truly, zero
from uspl.media.sound_track import sound_between
from uspl.media.wav import plain_wav

LATE = 0.25  # s: how far outside its pictures a film may be asked; clips are often cut a little short
NEAR = 1.0  # s: pictures are decoded in full from so long before the time wanted
SMALLEST = 8  # pixels: below this side a picture shows nothing


def frames_at(path: str | Path, times: Sequence[float]) -> list[UInt8[Tensor, "3 h w"]]:
    """Pictures on screen at `times`, decoded in one pass and turned upright.

    Args:
        path: any video PyAV reads.
        times: s from the start of the film, not negative, ascending.

    Returns:
        One tensor (3, H, W) per time: RGB, uint8, values in [0, 255].

    Raises:
        DataError: the file is missing, empty, damaged at a time, begins after one, ends before one, or is smaller
            than 8x8 pixels.
    """
    if not times or min(times) < 0 or list(times) != sorted(times):
        raise ValueError(f"`times` must be ascending numbers of at least 0; got {list(times)}.")
    with opened(path, "video") as box:
        box.streams.video[0].codec_context.thread_count = 1  # who has many films starts processes
        return _pictures(path, box, times)


def _pictures(path: str | Path, box: InputContainer, times: Sequence[float]) -> list[Tensor]:
    """As `frames_at`, from the key frame before the first time, sought ever earlier; at last from the start."""
    back, exact = 0.0, seeks_truly(box) and not _untimed(box)
    while exact and max(back, NEAR) < times[0]:
        box.seek(int((times[0] - back + zero(box)) * av.time_base))
        found = _shown(path, box, times, sought=True)
        if found is not None:
            return found
        back = max(2 * back, NEAR)
    if back == 0:
        return _shown(path, box, times) or []
    with opened(path, "video") as again:  # where a format cannot seek well, it does not find its start either
        again.streams.video[0].codec_context.thread_count = 1
        return _shown(path, again, times) or []


def _untimed(box: InputContainer) -> bool:
    """Whether the container stores no times: raw streams, and H.264 and HEVC out of order in AVI."""
    codec = box.streams.video[0].codec_context
    avi = box.format.name == "avi" and codec.name in ("h264", "hevc") and codec.has_b_frames
    return bool(avi or av.format.Flags(box.format.flags) & av.format.Flags.no_timestamps)


def _shown(
    path: str | Path, box: InputContainer, times: Sequence[float], *, sought: bool = False
) -> list[Tensor] | None:
    """The pictures at `times`, read on from where the film is; None where it has been `sought` and begins too late."""
    rate = float(box.streams.video[0].average_rate or 25)
    found: list[Tensor] = []
    shown: av.VideoFrame | None = None
    until = -math.inf  # s: when the last picture ends
    for start, frame in decoded(box, lambda: times[len(found)]):
        if until == -math.inf and sought and (start > times[0] or frame is None):
            return None
        if until == -math.inf and start > times[0] + LATE:
            raise DataError(path, f"has no picture at {times[0]:.2f} s: pictures begin at {start:.2f} s")
        # A picture stays on screen until the next one starts.
        while until > -math.inf and len(found) < len(times) and times[len(found)] < start - 1e-6:
            found.append(_picture(path, shown, times[len(found)]))
        if len(found) == len(times):
            break
        shown, until = frame, start + 1 / rate
    if until == -math.inf and sought:
        return None
    while len(found) < len(times) and times[len(found)] < until + LATE:
        found.append(_picture(path, shown, times[len(found)]))
    if len(found) < len(times):
        raise DataError(path, f"is truncated: pictures end at {max(until, 0):.2f} s, {times[-1]:.2f} s are needed")
    return found


def decoded(
    box: InputContainer, wanted: Callable[[], float] = lambda: -math.inf
) -> Iterator[tuple[float, av.VideoFrame | None]]:
    """(start in s, picture) in order; None for a damaged picture, and for those built on it up to a key frame.

    Pictures that no other depends on are skipped until a second before the time wanted next. Where the container
    stores no times, pictures are counted.
    """
    stream, origin, counted = box.streams.video[0], zero(box), _untimed(box)
    rate = float(stream.average_rate or 25)
    start, damaged = -1 / rate, False
    for packet in box.demux(stream):
        begins = None if packet.pts is None else float(packet.pts * packet.time_base) - origin
        far = begins is not None and begins < wanted() - NEAR and not counted
        stream.codec_context.skip_frame = "NONREF" if far else "DEFAULT"
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            start, damaged = start if begins is None else begins, True
            yield start, None
            continue
        for frame in frames:
            start = start + 1 / rate if counted or frame.time is None else frame.time - origin
            damaged = frame.is_corrupt or (damaged and not frame.key_frame)
            yield start, None if damaged else frame


def frame_at(path: str | Path, seconds: float) -> UInt8[Tensor, "3 h w"]:
    """Picture on screen `seconds` after the start: RGB, uint8, (3, H, W). Raises as `frames_at` does."""
    picture: Tensor = frames_at(path, [seconds])[0]
    return picture


def upright(path: str | Path, frame: av.VideoFrame | None, time: float) -> UInt8[np.ndarray, "h w 3"]:
    """A decoded frame as a picture that stands upright; a view, RGB in [0, 255].

    Raises:
        DataError: it is damaged (None), or smaller than 8x8 pixels.
    """
    if frame is None:
        raise DataError(path, f"is damaged: the picture at {time:.2f} s cannot be decoded")
    if min(frame.width, frame.height) < SMALLEST:
        raise DataError(path, f"is {frame.width}x{frame.height} pixels; {SMALLEST}x{SMALLEST} are the least")
    # NumPy turns it: threads that PyTorch starts for so little cost more than the decoding.
    matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return np.rot90(rgb(frame), round(frame.rotation / 90))
    a, b, _, c, d = np.frombuffer(bytes(matrix), "=i4")[:5].tolist()
    mirrored = a * d < b * c  # as the camera at the front of a telephone may write it
    shown, (a, b) = (rgb(frame)[:, ::-1], (-a, -b)) if mirrored else (rgb(frame), (a, b))
    return np.rot90(shown, round(-math.atan2(b, a) / (math.pi / 2)))


def _picture(path: str | Path, frame: av.VideoFrame | None, time: float) -> UInt8[Tensor, "3 h w"]:
    return torch.from_numpy(np.ascontiguousarray(upright(path, frame, time).transpose(2, 0, 1)))


def waveform(
    path: str | Path, sr: int = RATE, *, content: bytes | None = None, notes: list[str] | None = None
) -> Float32[Tensor, " n"]:
    """The whole sound of a video or sound file as one channel, as a player would play it.

    Of several tracks the default one is taken, else the loudest; two channels become their mean, more the usual
    downmix (`downmix.Downmix`); pauses that are not stored are silence.

    Args:
        path: any file with a sound track that PyAV reads; with `content`, the name used in errors.
        sr: Hz, the rate wanted; int > 0.
        content: the bytes of the file, where they do not lie in a file of their own.
        notes: a list to which is added what its owner should know: the track, pauses, clipping.

    Returns:
        float32 (n,), values about [-1, 1]; silence stands where the sound begins after the pictures.

    Raises:
        DataError: the file is missing, empty, damaged, or has no sound track.
    """
    if sr <= 0:
        raise ValueError(f"`sr` must be above 0; got {sr}.")
    plain = plain_wav(path, sr, content)
    if plain is not None:
        return plain
    return _decoded(path, sr, content, notes)


def excerpt(
    path: str | Path, middle: float | None, seconds: float, sr: int = RATE, *, content: bytes | None = None
) -> Float32[Tensor, " n"]:
    """`around(waveform(path), middle, seconds)`: of a plain WAV file no more than that is read.

    Args:
        path, sr, content: as for `waveform`.
        middle: s from the start of the sound; None is its middle.
        seconds: s of sound; zeros follow a sound that is shorter.

    Raises:
        DataError: as `waveform`.
    """

    def at(total: int) -> float:
        return total / sr / 2 if middle is None else middle

    plain = plain_wav(path, sr, content, lambda total: span(total, at(total), seconds, sr))
    if plain is not None:
        return F.pad(plain, (0, round(seconds * sr) - len(plain)))
    wave = _decoded(path, sr, content)
    return around(wave, at(len(wave)), seconds, sr)


def _decoded(path: str | Path, sr: int, content: bytes | None, notes: list[str] | None = None) -> Tensor:
    """The whole sound by a decoder."""
    with opened(path, "audio", content=content) as box:
        sound, report = sound_between(path, box, sr, content=content)
    if notes is not None:
        notes += report.sentences()
    return torch.from_numpy(sound)


def clip_at(
    path: str | Path,
    at: float | None = None,
    *,
    seconds: float = 3.0,
    sr: int = RATE,
    notes: list[str] | None = None,
) -> tuple[UInt8[Tensor, "3 h w"], Float32[Tensor, " n"]]:
    """The picture on screen at a time and the sound around it; only what is near is decoded.

    Args:
        path: any video PyAV reads.
        at: s from the start of the film; None is its middle.
        seconds: s of sound around `at`, less where the film begins or ends.
        sr: Hz.
        notes: as for `waveform`.

    Returns:
        RGB (3, H, W), and samples (n,), at most `seconds` long.

    Raises:
        DataError: as `frames_at` and `waveform`, or the sound ends more than 0.25 s too early.
    """
    with opened(path, "video", "audio") as box:
        length = duration(box)
        at = length / 2 if at is None else at
        box.streams.video[0].codec_context.thread_count = 1
        shown = _pictures(path, box, [at])[0]
        start, end = max(at - seconds / 2, 0), max(min(at + seconds / 2, length), at)
        wave, report = sound_between(path, box, sr, start, end)
    if notes is not None:
        notes += report.sentences()
    if len(wave) / sr < end - start - LATE:
        heard = start + len(wave) / sr
        raise DataError(path, f"is truncated: sound ends at {heard:.2f} s, {end:.2f} s are needed")
    return shown, torch.from_numpy(wave)
