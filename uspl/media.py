"""Decode a video or sound file with PyAV: the picture on screen at given times, and the waveform."""

import math
import wave
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import torch
from av.container import InputContainer
from jaxtyping import Float32, UInt8
from torch import Tensor

LATE = 0.25  # s: how far beyond its last picture a film may be asked; clips are often cut a little short
SMALLEST = 8  # pixels: below this side a picture shows nothing


class DataError(ValueError):
    """Bad data. `file` is the file's name, `reason` says what is wrong with it.

    >>> str(DataError("a.mp4", "has no sound track"))
    '`a.mp4` has no sound track.'
    """

    def __init__(self, file: str | Path, reason: str) -> None:
        super().__init__(f"`{file}` {reason}.")
        self.file, self.reason = str(file), reason

    def __reduce__(self) -> tuple[type["DataError"], tuple[str, str]]:
        return DataError, (self.file, self.reason)


@contextmanager
def _open(path: str | Path, kind: str) -> Iterator[InputContainer]:
    """Open a file that has a `kind` ("video" or "audio") track; every failure becomes a `DataError`."""
    file = Path(path)
    if not file.is_file():
        raise DataError(path, "is missing")
    if file.stat().st_size == 0:
        raise DataError(path, "is empty (0 bytes)")
    try:
        with av.open(str(file)) as box:
            if not getattr(box.streams, kind):
                raise DataError(path, "has no sound track" if kind == "audio" else "has no pictures")
            yield box
    except av.error.FFmpegError as error:
        raise DataError(path, f"cannot be read: truncated, damaged or no media file ({error.strerror})") from error


def frames_at(path: str | Path, times: Sequence[float]) -> list[UInt8[Tensor, "3 h w"]]:
    """Pictures on screen at `times`, decoded in one pass.

    Args:
        path: any video PyAV reads.
        times: s from the start of the film, not negative, ascending.

    Returns:
        One tensor (3, H, W) per time: RGB, uint8, values in [0, 255].

    Raises:
        DataError: the file is missing, empty, damaged, ends before a time, or is smaller than 8x8 pixels.
    """
    if not times or min(times) < 0 or list(times) != sorted(times):
        raise ValueError(f"`times` must be ascending numbers of at least 0; got {list(times)}.")
    found: list[Tensor] = []
    with _open(path, "video") as box:
        stream = box.streams.video[0]
        zero = (box.start_time or 0) / av.time_base
        if times[0] > 10:
            box.seek(int((times[0] + zero) * av.time_base))
        rate = float(stream.average_rate or 25)
        shown: av.VideoFrame | None = None
        until = 0.0
        for frame in box.decode(stream):
            start = (frame.time or 0.0) - zero
            # A picture stays on screen until the next one starts.
            while shown is not None and len(found) < len(times) and times[len(found)] < start - 1e-6:
                found.append(_picture(path, shown))
            if len(found) == len(times):
                break
            shown, until = frame, start + 1 / rate
        while shown is not None and len(found) < len(times) and times[len(found)] < until + LATE:
            found.append(_picture(path, shown))
        if len(found) < len(times):
            raise DataError(path, f"is truncated: pictures end at {until:.2f} s, {times[-1]:.2f} s are needed")
    return found


def frame_at(path: str | Path, seconds: float) -> UInt8[Tensor, "3 h w"]:
    """Picture on screen `seconds` after the start: RGB, uint8, (3, H, W). Raises as `frames_at` does."""
    picture: Tensor = frames_at(path, [seconds])[0]
    return picture


def _picture(path: str | Path, frame: av.VideoFrame) -> Tensor:
    if min(frame.width, frame.height) < SMALLEST:
        raise DataError(path, f"is {frame.width}x{frame.height} pixels; {SMALLEST}x{SMALLEST} are the least")
    return torch.from_numpy(frame.to_ndarray(format="rgb24")).permute(2, 0, 1).contiguous()


def waveform(path: str | Path, sr: int = 16000) -> Float32[Tensor, " n"]:
    """The whole sound of a video or sound file as one channel.

    Args:
        path: any file with a sound track that PyAV reads.
        sr: Hz, the rate wanted; int > 0.

    Returns:
        float32 (n,), values about [-1, 1]; silence stands where the sound begins after the pictures.

    Raises:
        DataError: the file is missing, empty, damaged, or has no sound track.
    """
    if sr <= 0:
        raise ValueError(f"`sr` must be above 0; got {sr}.")
    plain = _plain_wav(path, sr)
    if plain is not None:
        return plain
    with _open(path, "audio") as box:
        stream = box.streams.audio[0]
        resampler = av.AudioResampler(format="flt", layout="mono", rate=sr)
        chunks: list[np.ndarray] = []
        late = 0.0
        for frame in box.decode(stream):
            if not chunks and frame.time is not None:
                late = frame.time - (box.start_time or 0) / av.time_base
            chunks += [part.to_ndarray()[0] for part in resampler.resample(frame)]
        if not chunks:
            raise DataError(path, "has a sound track without sound")
        chunks += [part.to_ndarray()[0] for part in resampler.resample(None)]
    lead = np.zeros(max(math.floor(late * sr + 0.5), 0), np.float32)
    return torch.from_numpy(np.concatenate([lead, *chunks]).astype(np.float32))


def _plain_wav(path: str | Path, sr: int) -> Tensor | None:
    """Samples of a mono 16-bit WAV file at the rate wanted, thirty times as fast as by a decoder; else None."""
    try:
        with wave.open(str(path), "rb") as file:
            if (file.getnchannels(), file.getsampwidth(), file.getframerate()) != (1, 2, sr) or not file.getnframes():
                return None
            pcm = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    except (OSError, EOFError, wave.Error):
        return None
    return torch.from_numpy(pcm.astype(np.float32) / 32768)
