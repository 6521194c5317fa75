"""The sound of an overlay stays in step with its pictures, and empties the mask where it says nothing."""

import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

from tests.helpers import broken_films as films
from tests.helpers import sound_films
from tests.helpers.overlays import go, mark, shown
from tests.helpers.sound_films import Track, tone
from uspl.gate import Gate
from uspl.media import waveform
from uspl.media.stream import pictures


def clicks(path: Path, codec: str, *, rate: int, start: float = 0.0) -> Path:
    """A film with bursts of sound at 0.5 and 1.6 s after its start, in a codec."""
    films.make(path.with_suffix(".pictures.mkv"), seconds=2.5, layout=None, pictures_late=start)
    time = np.arange(round(2.5 * rate)) / rate
    wave = sum(np.exp(-(((time - at) / 0.004) ** 2)) * np.sin(2 * np.pi * 900 * time) for at in (0.5, 1.6))
    with av.open(str(path.with_suffix(".pictures.mkv"))) as old, av.open(str(path), "w") as box:
        film = box.add_stream_from_template(old.streams.video[0])
        voice = box.add_stream(codec, rate=rate, layout="mono")
        form = "s16" if codec in ("pcm_s16le", "flac") else "fltp"
        samples = wave[None].astype(np.float32) if form == "fltp" else (wave[None] * 32767).astype("<i2")
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format=form, layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, round(start * rate), Fraction(1, rate)
        box.mux(voice.encode(frame))
        box.mux(voice.encode(None))
        for packet in old.demux(video=0):
            if packet.pts is not None:
                packet.stream = film
                box.mux(packet)
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize(
    ("codec", "rate", "start", "kept"),
    [
        ("aac", 44100, 0.0, "aac"),
        ("flac", 44100, 0.0, "aac"),
        ("pcm_s16le", 22050, 3.0, "aac"),
        ("ac3", 48000, 3.0, "ac3"),
    ],
)
def test_the_sound_stays_in_sync(codec: str, rate: int, start: float, kept: str, suffix: str, tmp_path: Path) -> None:
    source = clicks(tmp_path / "clicks.mkv", codec, rate=rate, start=start)
    out = tmp_path / f"out{suffix}"
    mark(source, out, map="m_crs")
    with av.open(str(out)) as box:
        assert box.streams.audio[0].codec_context.codec.canonical_name == kept
        assert box.streams.audio[0].codec_context.sample_rate == rate
    before, after = waveform(source, 48_000), waveform(out, 48_000)
    n = min(len(before), len(after))
    assert n > 2.3 * 48_000
    shift = torch.fft.irfft(torch.fft.rfft(before[:n]) * torch.fft.rfft(after[:n]).conj(), n).argmax().item()
    assert min(shift, n - shift) <= 0.003 * 48_000
    first = next(time for time, _ in pictures(source))
    assert next(time for time, _ in pictures(out)) == pytest.approx(first, abs=2e-3)


def test_silence_empties_the_mask(tmp_path: Path) -> None:
    source = films.make(tmp_path / "film.mkv", heard=1.0, seconds=3.5)
    found, home = go(source, gate=Gate(loudness=-40, cosine=-1))
    rows = json.loads((home / "film.json").read_text())["frames"]
    assert {row["open"] for row in rows if row["time"] <= 1} == {True}
    late = [k for k, row in enumerate(rows) if row["time"] >= 2.1]
    assert late
    after = shown(home / "film.mp4")
    for k in late:
        assert (rows[k]["open"], rows[k]["area"], rows[k]["box"], rows[k]["peak"]) == (False, 0, None, 0)
        assert not np.asarray(Image.open(home / f"masks/{k:06d}.png")).any()
        assert np.ptp(after[k][1].astype(int), axis=2).max() <= 12  # grey, as far as H.264 keeps it
    assert any(row["area"] > 0 for row in rows)
    assert found["open"] == pytest.approx(np.mean([row["open"] for row in rows]), abs=1e-4)


def test_noise_that_agrees_with_nothing_empties_the_mask(tmp_path: Path) -> None:
    found, _ = go(films.make(tmp_path / "film.mp4"), gate=Gate(cosine=1))
    assert (found["open"], found["area"]) == (0, 0)


def test_the_track_that_is_heard_is_the_one_that_is_kept(tmp_path: Path) -> None:
    silent, loud = (Track(np.stack([tone(loud=height)] * 2)) for height in (0.0, 0.3))
    source = sound_films.film(tmp_path / "two.mkv", silent, loud)
    found, home = go(source)
    assert found["sound"] == ["has 2 sound tracks; number 2, the loudest, is heard"]
    assert found["open"] == 1
    assert waveform(home / "film.mp4").square().mean().sqrt() > 0.2
