"""Films with a still picture and any tracks of sound, made with PyAV."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.stream import Disposition


class Track(NamedTuple):
    """A track of sound: `wave` (channels, n), and the spans (s) of which no packet is stored."""

    wave: np.ndarray
    layout: str = "stereo"
    codec: str = "pcm_s16le"
    rate: int = 16_000
    format: str = "s16"
    default: bool = False
    unstored: Sequence[tuple[float, float]] = ()


def tone(seconds: float = 3.0, rate: int = 16_000, loud: float = 0.3, hertz: float = 440) -> np.ndarray:
    return (loud * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def channels(layout: str, rate: int = 16_000, **waves: np.ndarray) -> np.ndarray:
    """A sound of a layout: waves by the names of their channels, silence in the others."""
    names = [channel.name for channel in av.AudioLayout(layout).channels]
    silence = np.zeros_like(next(iter(waves.values())))
    assert set(waves) <= set(names)
    return np.stack([waves.get(name, silence) for name in names])


def film(path: Path, *tracks: Track, seconds: float = 3.0) -> Path:
    """A film of `seconds` with the tracks, each packet in the order of time."""
    with av.open(str(path), "w", options={"default_mode": "passthrough"} if path.suffix == ".mkv" else {}) as box:
        shown = box.add_stream("mpeg4", rate=8)
        shown.width, shown.height, shown.pix_fmt = 32, 32, "yuv420p"
        packets = []
        streams = [box.add_stream(t.codec, rate=t.rate, layout=t.layout, format=t.format) for t in tracks]
        for track, stream in zip(tracks, streams, strict=True):
            stream.disposition = Disposition.default if track.default else Disposition(0)
        grey = np.zeros((32, 32, 3), np.uint8)
        for n in range(round(8 * seconds)):
            grey[:] = 60 + n
            frame = av.VideoFrame.from_ndarray(grey, format="rgb24")
            frame.pts, frame.time_base = n, Fraction(1, 8)
            packets += shown.encode(frame)
        packets += shown.encode(None)
        for track, stream in zip(tracks, streams, strict=True):
            packets += _sound(track, stream)
        for packet in sorted(packets, key=lambda p: p.dts * p.time_base):
            box.mux(packet)
    return path


def _sound(track: Track, stream: av.AudioStream) -> list[av.Packet]:
    resampler = av.AudioResampler(format=track.format, layout=track.layout, rate=track.rate)
    packets = []
    for start in range(0, track.wave.shape[1], 320):
        piece = np.ascontiguousarray(track.wave[:, start : start + 320].T, np.float32).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(piece, format="flt", layout=track.layout)
        frame.sample_rate, frame.pts, frame.time_base = track.rate, start, Fraction(1, track.rate)
        for part in resampler.resample(frame):
            packets += stream.encode(part)
    packets += stream.encode(None)
    times = [float(packet.pts * packet.time_base) for packet in packets]
    return [
        packet for packet, time in zip(packets, times, strict=True) if not any(a <= time < b for a, b in track.unstored)
    ]
