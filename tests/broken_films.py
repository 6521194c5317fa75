"""Films with one fault or one oddity each, made with PyAV; `FILMS` says what the preparation has to call them."""

import struct
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

TICKS = 1000  # of a second: the clock of the pictures


def make(
    path: Path,
    *,
    seconds: float = 3.0,
    fps: int = 8,
    times: Sequence[float] | None = None,
    size: tuple[int, int] = (32, 32),
    grey: Callable[[int], int] = lambda n: 8 * n % 256,
    codec: str = "libx264",
    rate: int = 16000,
    layout: str | None = "mono",
    heard: float | None = None,
    late: float = 0.0,
    pictures: bool = True,
    pictures_late: float = 0.0,
    container: str | None = None,
    **options: str,
) -> Path:
    """A film of textured grey frames (`grey` of their number) at `times`, and a 440 Hz tone of `heard` s from `late`.

    `size` is (width, height); `layout` None leaves the sound track out, `pictures` False the pictures.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    times = [n / fps for n in range(round(seconds * fps))] if times is None else times
    with av.open(str(path), "w", format=container, options=options) as box:
        film = _film(box, codec, fps, size) if pictures else None
        voice = box.add_stream("aac", rate=rate, layout=layout) if layout is not None else None
        if film is not None:
            for n, time in enumerate(times):
                frame = av.VideoFrame.from_ndarray(texture(size, grey(n)), format="rgb24")
                frame.pts, frame.time_base = round((time + pictures_late) * TICKS), Fraction(1, TICKS)
                box.mux(film.encode(frame))
            box.mux(film.encode(None))
        if voice is not None and layout is not None:
            _tone(box, voice, layout, rate, seconds if heard is None else heard, late)
    return path


def texture(size: tuple[int, int], grey: int) -> np.ndarray:
    """A wave of height 20 about `grey`, bright at the left: a picture that is not flat and shows which way is up."""
    width, height = size
    wave = 20 * np.cos(np.linspace(0, np.pi, width))
    plane = np.clip(grey + np.tile(wave, (height, 1)), 0, 255).astype(np.uint8)
    return np.repeat(plane[..., None], 3, axis=2)


def _film(box: av.container.OutputContainer, codec: str, fps: int, size: tuple[int, int]) -> av.VideoStream:
    film = box.add_stream(codec, rate=fps)
    film.width, film.height = size
    film.pix_fmt = {"libx264": "yuv420p", "ffv1": "bgr0", "mjpeg": "yuvj420p"}[codec]
    film.codec_context.time_base = Fraction(1, TICKS)
    if codec == "libx264":
        film.options = {"crf": "18", "preset": "superfast", "bf": "0"}
    return film


def _tone(
    box: av.container.OutputContainer, voice: av.AudioStream, layout: str, rate: int, heard: float, late: float
) -> None:
    channels = av.AudioLayout(layout).nb_channels
    wave = 0.3 * np.sin(2 * np.pi * 440 * np.arange(round(rate * heard)) / rate)
    samples = np.ascontiguousarray(np.tile(wave, (channels, 1)), np.float32)
    frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=layout)
    frame.sample_rate, frame.pts, frame.time_base = rate, round(late * rate), Fraction(1, rate)
    box.mux(voice.encode(frame))
    box.mux(voice.encode(None))


def turned(path: Path) -> Path:
    """The film with a display matrix of 90 degrees in its track header, as a telephone writes it."""
    make(path, size=(48, 32))
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40  # version and flags, times, id, duration, layer, volume
    data[at : at + 36] = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 32 << 16, 0, 1 << 30)
    path.write_bytes(data)
    return path


def torn(path: Path, *, start: float, stop: float, container: str | None = None) -> Path:
    """The film with bytes of its packets from `start` to `stop` (s) overwritten."""
    make(path, container=container)
    with av.open(str(path)) as box:
        hit = [
            (p.pos, p.size)
            for p in box.demux(video=0)
            if p.pts is not None and start <= float(p.pts * p.time_base) < stop
        ]
    data = bytearray(path.read_bytes())
    noise = np.random.default_rng(0)
    for pos, length in hit:
        data[pos + 8 : pos + length] = noise.bytes(length - 8)
    path.write_bytes(data)
    return path
