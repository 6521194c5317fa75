"""uspl.media.decode.clip_at: what lies around the middle of a film, the same as if the whole film had been decoded."""

from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
import torch

from tests.helpers.data_sample import film
from uspl.core.errors import DataError
from uspl.media import clip_at, frames_at, waveform
from uspl.media.container import duration

KINDS = {  # extension: codecs of pictures and sound, options
    "mp4": ("libx264", "aac", {"g": "50"}),
    "mov": ("libx264", "aac", {"g": "250", "bf": "3"}),
    "mkv": ("libx264", "aac", {"g": "25"}),
    "ts": ("libx264", "aac", {"g": "250"}),
    "mpg": ("mpeg2video", "mp2", {"g": "50", "bf": "2"}),
    "flv": ("libx264", "aac", {"g": "100"}),
    "avi": ("mpeg4", "pcm_s16le", {"g": "50"}),
    "webm": ("libvpx", "libopus", {"g": "50", "deadline": "realtime"}),
}


def whistle(seconds: float, rate: int) -> np.ndarray:
    """A tone that rises from 300 to 1500 Hz: each moment sounds different."""
    t = np.arange(round(seconds * rate)) / rate
    return (0.4 * np.sin(2 * np.pi * (300 * t + 600 * t**2 / seconds))).astype(np.float32)


def rising(path: Path, seconds: float = 10) -> Path:
    """A film of 25 pictures a second, each 5 grey levels brighter than the last (modulo 200), and a whistle."""
    pictures, sound, options = KINDS[path.suffix[1:]]
    with av.open(str(path), "w") as box:
        stream = box.add_stream(pictures, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        track = box.add_stream(sound, rate=48000, layout="mono")
        for n in range(round(25 * seconds)):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 + 5 * n % 200, np.uint8), format="rgb24")
            frame.pts, frame.time_base = n, Fraction(1, 25)
            box.mux(stream.encode(frame))
        box.mux(stream.encode(None))
        wave = whistle(seconds, 48000)
        for start in range(0, len(wave), 960):
            piece = av.AudioFrame.from_ndarray(wave[None, start : start + 960], format="flt", layout="mono")
            piece.sample_rate, piece.pts, piece.time_base = 48000, start, Fraction(1, 48000)
            box.mux(track.encode(piece))
        box.mux(track.encode(None))
    return path


def alike(a: torch.Tensor, b: torch.Tensor, within: int) -> float:
    """Correlation at the best shift of up to `within` samples."""
    n = min(len(a), len(b)) - 2 * within
    middle = a[within : within + n]
    return max(float(torch.corrcoef(torch.stack([middle, b[s : s + n]]))[0, 1]) for s in range(2 * within + 1))


@pytest.mark.parametrize("kind", KINDS)
def test_the_middle_of_every_kind_of_film(kind: str, tmp_path: Path) -> None:
    path = rising(tmp_path / f"a.{kind}")
    for at in (1.7, 5.0, 8.1):
        picture, wave = clip_at(path, at)
        assert torch.equal(picture, frames_at(path, [0.0, at])[1])  # from the start, nothing skipped
        assert abs(picture.float().mean().item() - (20 + 5 * int(25 * at + 1e-6) % 200)) < 7.5  # a picture at most
        assert len(wave) == 48000
        start = round((at - 1.5) * 16000)
        # Matroska rounds its times to 1 ms, MPEG-TS begins with the 21 ms before the first sound.
        assert alike(wave, waveform(path)[start:], 16) > 0.99
        assert alike(wave, torch.from_numpy(whistle(10, 16000))[start:], 400) > 0.97
    middle, sound = clip_at(path)
    assert abs(middle.float().mean().item() - (20 + 5 * 125 % 200)) < 12.5
    assert abs(len(sound) - 48000) <= 1


def test_ends_of_the_film(tmp_path: Path) -> None:
    path = rising(tmp_path / "a.mp4")
    whole = waveform(path)
    first, last = clip_at(path, 0.5)[1], clip_at(path, 9.5)[1]
    assert len(first) == 32000
    assert alike(first, whole, 2) > 0.99
    assert abs(len(last) - 32000) < 800
    assert alike(last, whole[128_000:], 2) > 0.97
    assert len(clip_at(path, 5.0, seconds=1.0, sr=8000)[1]) == 8000


@pytest.mark.usefixtures("unchecked")
def test_length_is_found_where_no_file_says_it(tmp_path: Path) -> None:
    """As in a stream that was not closed."""
    path = rising(tmp_path / "a.ts", seconds=6)
    with av.open(str(path)) as box:
        unknown = SimpleNamespace(duration=None, start_time=box.start_time, demux=box.demux, seek=box.seek)
        assert abs(duration(unknown) - 6) < 0.1


def test_what_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no sound track\."):
        clip_at(film(tmp_path / "mute.mkv", sound=None))
    with pytest.raises(DataError, match=r"is truncated: sound ends at 2\.\d\d s, 4\.50 s are needed\."):
        clip_at(film(tmp_path / "hushed.mp4", seconds=6, end=2.0))
    with pytest.raises(DataError, match=r"is truncated: pictures end at 3\.\d\d s, 20\.00 s are needed\."):
        clip_at(film(tmp_path / "short.mp4"), 20.0)
    with pytest.raises(DataError, match=r"none\.mp4` is missing\."):
        clip_at(tmp_path / "none.mp4")
