"""prepare_avsbench.py on AVSBench's own folders: its raw videos are cut, and what it came with is never touched."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.broken_films import make
from tests.helpers.preparation import HEAD, prepared
from uspl.data import AVSBench
from uspl.data.prepare import avsbench
from uspl.media import waveform

HOME = Path("test/helicopter")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Single-source as AVSBench's own scripts make it: trimmed films in s4_data/raw_videos; one is ten seconds long."""
    films = tmp_path / "s4_data/raw_videos" / HOME
    make(films / "a_0.mp4", seconds=5, fps=30, size=(64, 48), rate=44100, layout="stereo", grey=lambda n: 30 + n)
    make(films / "b_0.mp4", seconds=10, fps=30, size=(64, 48), grey=lambda n: 30 + n // 2)
    (tmp_path / "s4_meta_data.csv").write_text(HEAD + "a_0,0,helicopter,test\nb_0,3,helicopter,test\n")
    return tmp_path


def test_five_frames_and_five_seconds(root: Path) -> None:
    """Frame k is the one on screen at 15/16 of second k: number 30 k - 2 of 30 a second."""
    report = prepared(root)
    assert [row["status"] for row in report.values()] == ["ok", "ok"]
    assert report["a_0"]["film"] == "s4_data/raw_videos/test/helicopter/a_0.mp4"
    for k in range(1, 6):
        with Image.open(root / "s4_data/visual_frames" / HOME / f"a_0/a_0_{k}.png") as image:
            assert image.size == (224, 224)
            assert np.asarray(image).mean() == pytest.approx(30 + 30 * k - 2, abs=2)
    assert abs(len(waveform(root / "s4_data/audio_wav" / HOME / "a_0.wav")) - 5 * 16000) < 1500
    assert len(waveform(root / "s4_data/audio_wav" / HOME / "b_0.wav")) == 5 * 16000
    data = AVSBench(root, "test", size=224)
    assert data.ids == [f"{name}_{k}" for name in ("a_0", "b_0") for k in range(1, 6)]
    assert data[4].wave.shape == (16000,)


@pytest.fixture
def official(root: Path) -> dict[Path, bytes]:
    """Clip a comes with frames and sound of its own, older than the film and other than we would cut."""
    for k in range(1, 6):
        file = root / "s4_data/visual_frames" / HOME / f"a_0/a_0_{k}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (224, 224), (40 * k, 0, 0)).save(file)
    wav = root / "s4_data/audio_wav" / HOME / "a_0.wav"
    avsbench.write(wav, avsbench.wav(np.full(80000, 500, "<i2")))
    files = [*(root / "s4_data/visual_frames").rglob("*.png"), wav]
    for file in files:
        os.utime(file, (0, 0))
    return {file: file.read_bytes() for file in files}


def test_what_was_there_before_stays(root: Path, official: dict[Path, bytes]) -> None:
    for given in ((), (), ("--size", "112")):
        report = prepared(root, *given)
        assert report["a_0"]["film"] == ""
        assert {file: file.read_bytes() for file in official} == official
    assert report["a_0"]["reason"] == "has frames of 224x224 pixels, left as they are"
    assert Image.open(root / "s4_data/visual_frames" / HOME / "b_0/b_0_1.png").size == (112, 112)


def test_what_was_there_before_needs_no_film(root: Path, official: dict[Path, bytes]) -> None:
    shutil.rmtree(root / "s4_data/raw_videos" / HOME)
    for _ in range(2):
        report = prepared(root)
        assert (report["a_0"]["status"], report["b_0"]["status"]) == ("ok", "bad")
        assert report["b_0"]["reason"] == "is missing"
        assert {file: file.read_bytes() for file in official} == official


def test_a_damaged_clip_is_cut_again(root: Path, official: dict[Path, bytes]) -> None:
    file = next(iter(official))
    file.write_bytes(file.read_bytes()[:100])
    assert prepared(root)["a_0"]["film"]
    assert Image.open(file).convert("RGB").size == (224, 224)
