"""Decode a video or sound file with PyAV: the picture on screen at given times, the waveform, both around a moment."""

import io
import math
import wave
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import torch
from av.container import InputContainer
from av.video.stream import VideoStream
from jaxtyping import Float32, UInt8
from torch import Tensor

LATE = 0.25  # s: how far beyond its last picture a film may be asked; clips are often cut a little short
NEAR = 1.0  # s: pictures and sound are decoded in full from so long before the time wanted
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
def _open(path: str | Path, *kinds: str, content: bytes | None = None) -> Iterator[InputContainer]:
    """Open a file that has tracks of all `kinds` ("video", "audio"); every failure becomes a `DataError`."""
    file = Path(path)
    if content is None and not file.is_file():
        raise DataError(path, "is missing")
    if (file.stat().st_size if content is None else len(content)) == 0:
        raise DataError(path, "is empty (0 bytes)")
    try:
        with av.open(str(file) if content is None else io.BytesIO(content), "r") as box:
            for kind in kinds:
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
    with _open(path, "video") as box:
        return _pictures(path, box, times)


def _pictures(path: str | Path, box: InputContainer, times: Sequence[float], *, sought: bool = True) -> list[Tensor]:
    """As `frames_at`, from the key frame before the first time; from the start where a format cannot seek well."""
    stream, zero = box.streams.video[0], _zero(box)
    if sought and times[0] > NEAR:
        box.seek(int((times[0] + zero) * av.time_base))
    rate = float(stream.average_rate or 25)
    found: list[Tensor] = []
    shown: av.VideoFrame | None = None
    until = 0.0
    for frame in _frames(box, stream, lambda: times[len(found)] + zero):
        start = (frame.time or 0.0) - zero
        if shown is None and sought and start > times[0] > NEAR:
            box.seek(box.start_time or 0)
            return _pictures(path, box, times, sought=False)
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


def _frames(box: InputContainer, stream: VideoStream, wanted: Callable[[], float]) -> Iterator[av.VideoFrame]:
    """Decoded pictures; those that no other depends on are skipped until a second before the time wanted next."""
    tick = stream.time_base or 1
    for packet in box.demux(stream):
        far = packet.pts is not None and float(packet.pts * tick) < wanted() - NEAR
        stream.codec_context.skip_frame = "NONREF" if far else "DEFAULT"
        yield from packet.decode()


def _zero(box: InputContainer) -> float:
    """The time stamp, s, at which a film starts."""
    return float((box.start_time or 0) / av.time_base)


def frame_at(path: str | Path, seconds: float) -> UInt8[Tensor, "3 h w"]:
    """Picture on screen `seconds` after the start: RGB, uint8, (3, H, W). Raises as `frames_at` does."""
    picture: Tensor = frames_at(path, [seconds])[0]
    return picture


def _picture(path: str | Path, frame: av.VideoFrame) -> Tensor:
    if min(frame.width, frame.height) < SMALLEST:
        raise DataError(path, f"is {frame.width}x{frame.height} pixels; {SMALLEST}x{SMALLEST} are the least")
    return torch.from_numpy(frame.to_ndarray(format="rgb24")).permute(2, 0, 1).contiguous()


def waveform(path: str | Path, sr: int = 16000, *, content: bytes | None = None) -> Float32[Tensor, " n"]:
    """The whole sound of a video or sound file as one channel.

    Args:
        path: any file with a sound track that PyAV reads; with `content`, the name used in errors.
        sr: Hz, the rate wanted; int > 0.
        content: the bytes of the file, where they do not lie in a file of their own.

    Returns:
        float32 (n,), values about [-1, 1]; silence stands where the sound begins after the pictures.

    Raises:
        DataError: the file is missing, empty, damaged, or has no sound track.
    """
    if sr <= 0:
        raise ValueError(f"`sr` must be above 0; got {sr}.")
    plain = _plain_wav(path if content is None else io.BytesIO(content), sr)
    if plain is not None:
        return plain
    with _open(path, "audio", content=content) as box:
        return _sound(path, box, sr)


def _sound(path: str | Path, box: InputContainer, sr: int, start: float = 0.0, end: float = math.inf) -> Tensor:
    """One channel from `start` to `end`, s; shorter where the sound ends before, silent where it begins after."""
    stream, zero = box.streams.audio[0], _zero(box)
    before = max(start - NEAR / 2, 0)  # decoders need some sound before what they give truly
    if end < math.inf:
        box.seek(int((before + zero) / (stream.time_base or 1)), stream=stream)
    chunks, first = _resampled(box, sr, start, end)
    if before > 0 and first > start:
        box.seek(box.start_time or 0)
        chunks, first = _resampled(box, sr, start, end)
    if not chunks:
        if start > 0:
            return torch.zeros(0)
        raise DataError(path, "has a sound track without sound")
    lead = np.zeros(max(math.floor((first - start) * sr + 0.5), 0), np.float32)
    wave = np.concatenate([lead, *chunks]).astype(np.float32)[max(math.floor((start - first) * sr + 0.5), 0) :]
    return torch.from_numpy(wave if end == math.inf else wave[: round((end - start) * sr)].copy())


def _resampled(box: InputContainer, sr: int, start: float, end: float) -> tuple[list[np.ndarray], float]:
    """Pieces of sound that cover `start` to `end`, and when they begin, s."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=sr)
    chunks: list[np.ndarray] = []
    first = 0.0
    for frame in box.decode(box.streams.audio[0]):
        time = None if frame.time is None else frame.time - _zero(box)
        if time is not None and time + frame.samples / frame.sample_rate < start:
            continue
        if time is not None and time > end + 0.05:  # what the resampler holds back
            break
        if not chunks and time is not None:
            first = time
        chunks += [part.to_ndarray()[0] for part in resampler.resample(frame)]
    if chunks:
        chunks += [part.to_ndarray()[0] for part in resampler.resample(None)]
    return chunks, first


def moment(
    path: str | Path, at: float | None = None, *, seconds: float = 3.0, sr: int = 16000
) -> tuple[UInt8[Tensor, "3 h w"], Float32[Tensor, " n"]]:
    """The picture on screen at a time and the sound around it; only what is near is decoded.

    Args:
        path: any video PyAV reads.
        at: s from the start of the film; None is its middle.
        seconds: s of sound around `at`, less where the film begins or ends.
        sr: Hz.

    Returns:
        RGB (3, H, W), and samples (n,), at most `seconds` long.

    Raises:
        DataError: as `frames_at` and `waveform`, or the sound ends more than 0.25 s too early.
    """
    with _open(path, "video", "audio") as box:
        length = _length(box)
        at = length / 2 if at is None else at
        box.streams.video[0].codec_context.thread_count = 1
        shown = _pictures(path, box, [at])[0]
        start, end = max(at - seconds / 2, 0), max(min(at + seconds / 2, length), at)
        wave = _sound(path, box, sr, start, end)
    if len(wave) / sr < end - start - LATE:
        heard = start + len(wave) / sr
        raise DataError(path, f"is truncated: sound ends at {heard:.2f} s, {end:.2f} s are needed")
    return shown, wave


def _length(box: InputContainer) -> float:
    """Length of a film, s; where the file does not say, its packets do."""
    if box.duration is not None and box.duration > 0:
        return float(box.duration / av.time_base)
    ends = [float((p.pts + (p.duration or 0)) * p.time_base) for p in box.demux() if p.pts is not None]
    box.seek(box.start_time or 0)
    return max(ends, default=0.0) - _zero(box)


def _plain_wav(file: str | Path | io.BytesIO, sr: int) -> Tensor | None:
    """Samples of a mono 16-bit WAV file at the rate wanted, thirty times as fast as by a decoder; else None."""
    try:
        with wave.open(file if isinstance(file, io.BytesIO) else str(file), "rb") as wav:
            if (wav.getnchannels(), wav.getsampwidth(), wav.getframerate()) != (1, 2, sr) or not wav.getnframes():
                return None
            pcm = np.frombuffer(wav.readframes(wav.getnframes()), "<i2")
    except (OSError, EOFError, wave.Error):
        return None
    return torch.from_numpy(pcm.astype(np.float32) / 32768)
