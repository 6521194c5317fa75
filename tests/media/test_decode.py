"""uspl.media: the right picture, the right second of sound, and a sentence for every broken file."""

import pickle
import wave
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.helpers.broken_films import make
from tests.helpers.data_sample import film
from tests.helpers.values import shared
from uspl.audio import around
from uspl.core.errors import DataError
from uspl.media import excerpt, frame_at, frames_at, waveform


def test_frame_at_is_the_picture_on_screen(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4")
    for n, picture in enumerate(frames_at(path, [n / 8 + 0.06 for n in range(24)])):
        assert picture.shape == (3, 32, 32)
        assert picture.dtype == torch.uint8
        assert abs(picture.float().mean().item() - 8 * n) < 3
    assert abs(frame_at(path, 15 / 16).float().mean().item() - 56) < 3  # frame 7 of second 1


def test_one_pass_equals_single_calls(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4")
    times = [0.0, 0.5, 0.5, 2.99, 3.1]  # twice the same, and a little beyond the end
    for together, time in zip(frames_at(path, times), times, strict=True):
        assert torch.equal(together, frame_at(path, time))


def test_late_time_is_found_by_seeking(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", seconds=15)
    assert torch.equal(frame_at(path, 12.3), frames_at(path, [0.0, 12.3])[1])


def test_waveform_is_aligned_and_scaled(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4")
    wave = waveform(path)
    assert wave.dtype == torch.float32
    truth = 0.3 * np.sin(2 * np.pi * 440 * np.arange(48000) / 16000)
    assert abs(len(wave) - 48000) < 1100
    inner = slice(2000, 46000)
    assert np.abs(wave.numpy()[inner] - truth[inner]).max() < 0.02
    assert abs(len(waveform(path, 8000)) - 24000) < 600


@pytest.mark.parametrize("layout", ["mono", "stereo", "4.0"])
def test_channels_are_averaged(layout: str, tmp_path: Path) -> None:
    """As in the peers' front ends: the same tone in every channel keeps its height."""
    wave = waveform(make(tmp_path / "a.mp4", rate=48000, layout=layout)).numpy()
    assert np.sqrt(2 * np.mean(wave[2000:46000] ** 2)) == pytest.approx(0.3, rel=0.05)


@pytest.mark.parametrize("times", [[], [-1.0], [2.0, 1.0]])
def test_refused_times(tmp_path: Path, times: list[float]) -> None:
    with pytest.raises(ValueError, match=r"`times` must be ascending numbers of at least 0; got"):
        frames_at(film(tmp_path / "a.mp4"), times)


def test_refused_rate(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"`sr` must be above 0; got 0\."):
        waveform(film(tmp_path / "a.mp4"), 0)


def test_missing_empty_and_foreign_files(tmp_path: Path) -> None:
    for read in (waveform, lambda p: frame_at(p, 0.0)):
        with pytest.raises(DataError, match=r"`.*none\.mp4` is missing\."):
            read(tmp_path / "none.mp4")
        (tmp_path / "empty.mp4").write_bytes(b"")
        with pytest.raises(DataError, match=r"is empty \(0 bytes\)\."):
            read(tmp_path / "empty.mp4")
        (tmp_path / "text.mp4").write_text("this is no film\n" * 100)
        with pytest.raises(DataError, match=r"cannot be read: truncated, damaged or no media file"):
            read(tmp_path / "text.mp4")


def test_cut_files(tmp_path: Path) -> None:
    whole = film(tmp_path / "a.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])  # the index stands at the end
    with pytest.raises(DataError, match=r"`.*cut\.mp4` cannot be read: truncated"):
        frame_at(tmp_path / "cut.mp4", 0.0)
    lossless = film(tmp_path / "b.mkv", sound=None).read_bytes()
    (tmp_path / "cut.mkv").write_bytes(lossless[: len(lossless) * 2 // 3])
    assert frame_at(tmp_path / "cut.mkv", 0.0).shape == (3, 32, 32)
    with pytest.raises(DataError, match=r"truncated"):
        frame_at(tmp_path / "cut.mkv", 2.9)
    with pytest.raises(DataError, match=r"is truncated: pictures end at 3\.00 s, 4\.00 s are needed\."):
        frame_at(tmp_path / "a.mp4", 4.0)


def test_error_survives_processes() -> None:
    error = pickle.loads(pickle.dumps(DataError("a.mp4", "is missing")))
    assert (error.file, error.reason, str(error)) == ("a.mp4", "is missing", "`a.mp4` is missing.")


def test_real_files() -> None:
    assert frame_at(shared("real/bigbuckbunny_5p1.mp4"), 1.0).shape[0] == 3
    for name in ("bigbuckbunny_5p1.mp4", "bbb_vp8_vorbis.webm", "robin.ogg", "vggish_test.wav"):
        wave = waveform(shared(f"real/{name}"))
        assert len(wave) > 16000
        assert 0.001 < wave.abs().max() <= 1.5
    assert frame_at(shared("real/bbb_vp8_vorbis.webm"), 0.5).float().std() > 1
    with pytest.raises(DataError, match="has no sound track"):
        waveform(shared("real/av1_noaudio.mkv"))
    with pytest.raises(DataError, match="has no pictures"):
        frame_at(shared("real/robin.ogg"), 0.0)


def wav(path: Path, n: int, *, rate: int = 16000, channels: int = 1) -> Path:
    """n frames of a ramp that tells them apart."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.arange(n * channels) % 60000 - 30000).astype("<i2").tobytes())
    return path


@pytest.mark.parametrize("middle", [None, 0.0, 0.2, 1.2345, 2.7, 9.0])
@pytest.mark.parametrize("seconds", [0.5, 1.0, 5.0])
@pytest.mark.parametrize("options", [{}, {"rate": 44100}, {"channels": 2}])
def test_excerpt_is_cut_from_the_whole(
    middle: float | None, seconds: float, options: dict[str, int], tmp_path: Path
) -> None:
    file = wav(tmp_path / "a.wav", 47_999, **options)
    whole = waveform(file)
    expected = around(whole, len(whole) / 16000 / 2 if middle is None else middle, seconds)
    assert torch.equal(excerpt(file, middle, seconds), expected)
    assert torch.equal(excerpt("nowhere.wav", middle, seconds, content=file.read_bytes()), expected)


def test_excerpt_at_another_rate(tmp_path: Path) -> None:
    file = wav(tmp_path / "a.wav", 24_000, rate=8000)
    assert torch.equal(excerpt(file, 1.5, 1.0, 8000), waveform(file, 8000)[8000:16000])


def test_excerpt_reads_no_more_than_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, asked = wav(tmp_path / "a.wav", 160_000), []
    read = wave.Wave_read.readframes
    monkeypatch.setattr(wave.Wave_read, "readframes", lambda self, n: (asked.append(n), read(self, n))[1])
    excerpt(file, None, 3.0)
    assert asked == [48_000]


@pytest.mark.parametrize("lost", [2, 3, 40_001])
def test_a_truncated_wav_is_refused_wherever_it_is_read(lost: int, tmp_path: Path) -> None:
    file = wav(tmp_path / "a.wav", 48_000)
    file.write_bytes(file.read_bytes()[:-lost])
    for read in (waveform, lambda path: excerpt(path, 0.5, 1.0)):
        with pytest.raises(DataError, match=r"is truncated: its header promises 3\.00 s, it holds [123]\.\d\d s"):
            read(file)
