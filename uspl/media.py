"""Decode a video or sound file with PyAV: the picture on screen at given times, and the waveform."""

import math
import stat
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

LATE = 0.25  # s: how far outside its pictures a film may be asked; clips are often cut a little short
GAP = 0.25  # s: a longer hole between two pieces of sound is refused
SMALLEST = 8  # pixels: below this side a picture shows nothing
LISTS = {"hls", "concat", "dash", "imf"}  # text that names other files: another film would be read in this one's place


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


@contextmanager
def _open(path: str | Path, kind: str) -> Iterator[InputContainer]:
    """Open a file that has a `kind` ("video" or "audio") track; every failure becomes a `DataError`."""
    file = present(path)
    try:
        # Nothing but this file is read, whatever its content names; a title in another encoding does no harm.
        with av.open(f"file:{file}", options={"protocol_whitelist": "file"}, metadata_errors="replace") as box:
            if LISTS & set(box.format.name.split(",")):
                raise DataError(path, "is a list of other files, no film and no sound")
            if not getattr(box.streams, kind):
                raise DataError(path, "has no sound track" if kind == "audio" else "has no pictures")
            yield box
    except av.error.FFmpegError as error:
        why = "cannot be opened" if isinstance(error, PermissionError) else "cannot be read: truncated, damaged or no"
        what = f": {error.strerror}" if isinstance(error, PermissionError) else f" media file ({error.strerror})"
        raise DataError(path, why + what) from error


def tracks(path: str | Path) -> None:
    """Raise a DataError unless the file opens and has pictures and sound; nothing is decoded."""
    for kind in ("video", "audio"):
        with _open(path, kind):
            pass


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
    found: list[Tensor] = []
    with _open(path, "video") as box:
        if times[0] > 10:
            box.seek(int(times[0] * av.time_base) + (box.start_time or 0))
        rate = float(box.streams.video[0].average_rate or 25)
        shown: av.VideoFrame | None = None
        until = -math.inf  # s: when the last picture ends
        for start, frame in _pictures(box):
            if until == -math.inf and start > times[0] + LATE:
                raise DataError(path, f"has no picture at {times[0]:.2f} s: pictures begin at {start:.2f} s")
            # A picture stays on screen until the next one starts.
            while until > -math.inf and len(found) < len(times) and times[len(found)] < start - 1e-6:
                found.append(_picture(path, shown, times[len(found)]))
            if len(found) == len(times):
                break
            shown, until = frame, start + 1 / rate
        while len(found) < len(times) and times[len(found)] < until + LATE:
            found.append(_picture(path, shown, times[len(found)]))
        if len(found) < len(times):
            raise DataError(path, f"is truncated: pictures end at {max(until, 0):.2f} s, {times[-1]:.2f} s are needed")
    return found


def frame_at(path: str | Path, seconds: float) -> UInt8[Tensor, "3 h w"]:
    """Picture on screen `seconds` after the start: RGB, uint8, (3, H, W). Raises as `frames_at` does."""
    picture: Tensor = frames_at(path, [seconds])[0]
    return picture


def _pictures(box: InputContainer) -> Iterator[tuple[float, av.VideoFrame | None]]:
    """(start in s, picture) in order; None for a damaged picture, and for those built on it up to a key frame."""
    stream = box.streams.video[0]
    zero = (box.start_time or 0) / av.time_base
    start, damaged = 0.0, False
    for packet in box.demux(stream):
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            if packet.pts is not None:
                start = float(packet.pts * packet.time_base) - zero
            damaged = True
            yield start, None
            continue
        for frame in frames:
            start = (frame.time or 0.0) - zero
            damaged = frame.is_corrupt or (damaged and not frame.key_frame)
            yield start, None if damaged else frame


def _picture(path: str | Path, frame: av.VideoFrame | None, time: float) -> Tensor:
    if frame is None:
        raise DataError(path, f"is damaged: the picture at {time:.2f} s cannot be decoded")
    if min(frame.width, frame.height) < SMALLEST:
        raise DataError(path, f"is {frame.width}x{frame.height} pixels; {SMALLEST}x{SMALLEST} are the least")
    upright = np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90))
    return torch.from_numpy(upright.copy()).permute(2, 0, 1).contiguous()


def waveform(path: str | Path, sr: int = 16000) -> Float32[Tensor, " n"]:
    """The whole sound of a video or sound file as one channel, the mean of its channels.

    Args:
        path: any file with a sound track that PyAV reads.
        sr: Hz, the rate wanted; int > 0.

    Returns:
        float32 (n,), values about [-1, 1]; silence stands where the sound begins after the pictures.

    Raises:
        DataError: the file is missing, empty, damaged, or has no sound track, or a hole in it.
    """
    if sr <= 0:
        raise ValueError(f"`sr` must be above 0; got {sr}.")
    plain = _plain_wav(path, sr)
    if plain is not None:
        return plain
    with _open(path, "audio") as box:
        resampler = av.AudioResampler(format="fltp", rate=sr)
        chunks: list[np.ndarray] = []
        late = until = 0.0
        for frame in box.decode(box.streams.audio[0]):
            start = until if frame.time is None else frame.time - (box.start_time or 0) / av.time_base
            if not chunks:
                late = start
            elif start > until + GAP:
                raise DataError(path, f"has a hole in its sound from {until:.2f} s to {start:.2f} s")
            until = start + frame.samples / frame.sample_rate
            chunks += _mono(path, resampler, frame)
        if not chunks:
            raise DataError(path, "has a sound track without sound")
        chunks += _mono(path, resampler, None)
    lead = np.zeros(max(math.floor(late * sr + 0.5), 0), np.float32)
    return torch.from_numpy(np.concatenate([lead, *chunks]).astype(np.float32))


def _mono(path: str | Path, resampler: av.AudioResampler, frame: av.AudioFrame | None) -> list[np.ndarray]:
    try:
        parts = resampler.resample(frame)
    except ValueError as error:
        raise DataError(path, "changes the rate or the channels of its sound on the way") from error
    return [part.to_ndarray().mean(axis=0) for part in parts]


def _plain_wav(path: str | Path, sr: int) -> Tensor | None:
    """Samples of a mono 16-bit WAV file at the rate wanted, thirty times as fast as by a decoder; else None."""
    try:
        with wave.open(str(present(path)), "rb") as file:
            if (file.getnchannels(), file.getsampwidth(), file.getframerate()) != (1, 2, sr) or not file.getnframes():
                return None
            pcm = np.frombuffer(file.readframes(file.getnframes()), "<i2")
            promised = file.getnframes()
    except (OSError, EOFError, wave.Error):
        return None
    if len(pcm) < promised < 2**30:  # a writer that could not go back leaves the largest number in the header
        raise DataError(
            path, f"is truncated: its header promises {promised / sr:.2f} s, it holds {len(pcm) / sr:.2f} s"
        )
    return torch.from_numpy(pcm.astype(np.float32) / 32768)
