"""A film written as it goes: pictures at their own times, the sound of another film beside them."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer, OutputContainer
from av.video.reformatter import Colorspace, VideoReformatter
from jaxtyping import UInt8

from uspl.core.errors import DataError
from uspl.media.container import opened, zero
from uspl.media.sound_track import SoundReport, sound_track

FORMATS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska"}
COPIED = ("aac", "mp3", "ac3", "eac3")  # sound that every player knows: packets are copied as they are
RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)  # Hz, of AAC
LAYOUTS = ("mono", "stereo", "5.1", "7.1")
TICKS = 90_000  # of a second: the clock of the pictures
Put = Callable[[float, UInt8[np.ndarray, "h w 3"]], None]


@contextmanager
def whole(*paths: Path) -> Iterator[list[Path]]:
    """A temporary name beside each path; the files get their names when the body ends well, else none is left."""
    parts = [p.with_name(f".{p.stem}.{os.getpid()}.tmp{p.suffix}") for p in paths]
    try:
        yield parts
        for part, path in zip(parts, paths, strict=True):
            if path.is_dir():
                path.rmdir()  # only an empty folder may be there
            part.replace(path)
    finally:
        for part in parts:
            if part.is_dir():
                shutil.rmtree(part)
            else:
                part.unlink(missing_ok=True)


@contextmanager
def film(out: Path, source: Path, name: Path) -> Iterator[Put]:
    """Write pictures to `out` as H.264, with the sound of `source`; the first picture decides the size.

    Sound that players know (AAC, MP3, AC-3) is copied, any other becomes AAC. Pictures of an odd width or height get
    one more column or row, as H.264 in yuv420p wants it.

    Args:
        out: file that is written.
        source: film whose sound track is kept, of several the one `sound_track` chooses; times count from its start.
        name: what the file will be called; its suffix chooses the container, errors tell it.

    Yields:
        put(time, picture): time in s, ascending; RGB (H, W, 3).

    Raises:
        OSError: the file cannot be written.
    """
    with opened(source, "video", "audio") as box:
        try:
            with av.open(str(out), "w", format=FORMATS[name.suffix.lower()], options=_options(name)) as target:
                seen = _pictures(box, target)
                sound = _sound(source, box, sound_track(source, box, SoundReport()), target)
                heard = float("-inf")

                def put(time: float, picture: UInt8[np.ndarray, "h w 3"]) -> None:
                    nonlocal heard
                    seen(time, picture)
                    while heard <= time:  # the two tracks are written side by side: neither waits in memory
                        heard = next(sound, float("inf"))

                yield put
                seen(float("inf"), None)
                for _ in sound:
                    pass
        except av.error.FFmpegError as error:
            raise OSError(f"`{name}` cannot be written: {error.strerror}.") from error


def _options(name: Path) -> dict[str, str]:
    """An index at the front lets a player begin before it has the whole file."""
    return {} if name.suffix.lower() == ".mkv" else {"movflags": "+faststart"}


def _pictures(
    box: InputContainer, target: OutputContainer
) -> Callable[[float, UInt8[np.ndarray, "h w 3"] | None], None]:
    """The track of pictures: call it with each of them, and with None at the end."""
    source = box.streams.video[0]
    rate = Fraction(source.average_rate or 25).limit_denominator(1001)
    track: Any = target.add_stream("libx264", rate=rate, options={"crf": "23", "preset": "veryfast", "bf": "0"})
    track.pix_fmt = "yuv420p"
    codec = track.codec_context
    codec.time_base = Fraction(1, TICKS)
    codec.colorspace = codec.color_primaries = codec.color_trc = 1  # BT.709
    codec.color_range = 1  # 16 to 235
    colours = VideoReformatter()
    last = -1

    def put(time: float, picture: UInt8[np.ndarray, "h w 3"] | None) -> None:
        nonlocal last
        if picture is None:
            target.mux(track.encode(None))
            return
        even = np.pad(picture, ((0, picture.shape[0] % 2), (0, picture.shape[1] % 2), (0, 0)), "edge")
        if last < 0:
            track.height, track.width = even.shape[:2]
            aspect = source.sample_aspect_ratio
            if aspect:
                codec.sample_aspect_ratio = aspect if picture.shape[1] == source.width else 1 / aspect
        frame = av.VideoFrame.from_ndarray(even, format="rgb24")
        frame = colours.reformat(frame, format="yuv420p", dst_colorspace=Colorspace.ITU709)
        last = max(round(time * TICKS), last + 1)
        frame.pts, frame.time_base, frame.duration = last, Fraction(1, TICKS), round(TICKS / rate)
        target.mux(track.encode(frame))

    return put


def _sound(path: Path, box: InputContainer, source: av.AudioStream, target: OutputContainer) -> Iterator[float]:
    """The track of sound: each step writes a piece and tells its time, s."""
    codec = source.codec_context
    if codec.codec.canonical_name in COPIED:
        return _copied(path, box, source, target, target.add_stream_from_template(source))
    rate = codec.sample_rate if codec.sample_rate in RATES else RATES[-1]
    layout = codec.layout.name if codec.layout.name in LAYOUTS else "stereo"
    return _encoded(path, box, source, target, target.add_stream("aac", rate=rate, layout=layout))


def _copied(
    path: Path, box: InputContainer, source: av.AudioStream, target: OutputContainer, track: Any
) -> Iterator[float]:
    origin = zero(box)
    for packet in _read(path, box.demux(source)):
        if packet.pts is None:
            continue
        time, shift = float(packet.pts * packet.time_base) - origin, round(origin / packet.time_base)
        packet.pts, packet.dts = packet.pts - shift, (packet.pts if packet.dts is None else packet.dts) - shift
        packet.stream = track
        target.mux(packet)
        yield time


def _encoded(
    path: Path, box: InputContainer, source: av.AudioStream, target: OutputContainer, track: Any
) -> Iterator[float]:
    origin = zero(box)
    resampler = av.AudioResampler(format="fltp", layout=track.layout.name, rate=track.rate)
    for frame in _read(path, box.decode(source)):
        time = (frame.time or 0.0) - origin
        frame.pts = None if frame.pts is None else frame.pts - round(origin / frame.time_base)
        for part in resampler.resample(frame):
            target.mux(track.encode(part))
        yield time
    for part in resampler.resample(None):
        target.mux(track.encode(part))
    target.mux(track.encode(None))


def _read(path: Path, pieces: Iterator[Any]) -> Iterator[Any]:
    """What is wrong with the source is not the fault of the file that is written."""
    try:
        yield from pieces
    except av.error.FFmpegError as error:
        raise DataError(path, f"cannot be read: its sound is damaged ({error.strerror})") from error
