"""data_scripts/prepare_avsbench.py: the right frame and sound from each film, a reason for each film it cannot use."""

import json
import shutil
import signal
import time
import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.data_sample import copy, film, sample
from tests.helpers.preparation import HEAD, prepared, started, until
from tests.helpers.values import shared
from uspl.cli import prepare_avsbench
from uspl.data.synthetic import generate, render, scene


def pcm(path: Path) -> np.ndarray:
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 16000)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768


# In step


@pytest.mark.parametrize("index", range(4))
def test_frames_and_sound_are_in_step(index: int) -> None:
    """The stored frame k is the drawn frame on screen at 15/16 of second k, and the sound is not shifted."""
    s = scene.Settings()
    one = scene.scene(s, "test", index)
    drawn, data = render.render(one, s), sample() / "s4_data"
    for k, n in enumerate(scene.used_frames(s), 1):
        file = data / "visual_frames/test" / one.category / one.name / f"{one.name}_{k}.png"
        stored = np.asarray(Image.open(file)).astype(float)
        error = [np.abs(stored - frame).mean() for frame in drawn.frames]
        assert int(np.argmin(error)) == n == 8 * k - 1
        assert np.corrcoef(stored.ravel(), drawn.frames[n].ravel().astype(float))[0, 1] > 0.97
    for folder, truth in (("audio_wav", drawn.wave), ("swap_wav", drawn.swap)):
        heard = pcm(data / folder / "test" / one.category / f"{one.name}.wav")
        assert abs(len(heard) - len(truth)) < 1100
        assert np.corrcoef(heard[: len(truth)], truth[: len(heard)])[0, 1] > 0.98


def test_colour_survives_in_the_mask() -> None:
    """Where the mask is, the stored frame looks as it was drawn: the mask belongs to this very frame."""
    s = scene.Settings()
    for index in range(4):
        one = scene.scene(s, "test", index)
        drawn = render.render(one, s)
        for k, n in enumerate(scene.used_frames(s), 1):
            home = Path(one.category, one.name, f"{one.name}_{k}.png")
            mask = np.asarray(Image.open(sample() / "s4_data/gt_masks/test" / home))
            stored = np.asarray(Image.open(sample() / "s4_data/visual_frames/test" / home)).astype(float)
            assert (mask == (scene.labels(one.things, n, s.size) == 1)).all()
            assert np.abs(stored - drawn.frames[n])[mask].mean() < 20


def test_report_of_a_sound_set() -> None:
    rows = json.loads((sample() / "report.json").read_text())
    assert [r["name"] for r in rows][:2] == ["train_00000", "train_00001"]
    status = {r["name"]: (r["status"], r["reason"]) for r in rows}
    assert status.pop("negative_00001") == ("silent", "holds digital silence, as a negative clip may be")
    assert set(status.values()) == {("ok", "")}


def test_silent_negatives_are_no_trouble() -> None:
    assert prepare_avsbench.main([str(sample()), "--workers", "1", "--strict"]) == 0


# Bad films


@pytest.fixture
def faulty(tmp_path: Path) -> Path:
    """One good film, and one for each way to end; every fault of a film is in tests/media/test_broken_inputs.py."""
    home = tmp_path / "raw_videos/test/bell"
    film(home / "good.mp4")
    film(home / "mute.mkv", sound=None)
    film(home / "still.mp4", sound=0.0)
    (home / "empty.mp4").write_bytes(b"")
    film(home / "named.avi")
    film(home / "swapless.mp4")
    (tmp_path / "raw_sounds/test/bell").mkdir(parents=True)
    (tmp_path / "raw_sounds/test/bell/swapless.m4a").write_bytes(b"noise")
    names = ["good", "mute", "still", "empty", "named", "swapless", "absent"]
    rows = [f"{name},0,bell,test\n" for name in names] + ["../../escape,0,bell,test\n"]
    (tmp_path / "s4_meta_data.csv").write_text(HEAD + "".join(rows))
    return tmp_path


REASONS = {
    "good": ("ok", ""),
    "mute": ("bad", "has no sound track"),
    "still": ("silent", "holds digital silence"),
    "empty": ("bad", "is empty (0 bytes)"),
    "named": ("odd", "has the extension `.avi` but the content of .mp4; the content was read"),
    "swapless": ("odd", "has a swap sound that cannot be read"),
    "absent": ("bad", "is missing"),
    "../../escape": ("bad", "is refused: the table names '../../escape', which is no plain file name"),
}


@pytest.mark.parametrize("workers", ["1", "2"])
def test_each_fault_is_named_and_the_rest_is_finished(
    faulty: Path, workers: str, capsys: pytest.CaptureFixture[str]
) -> None:
    report = prepared(faulty, "--seconds", "3", "--size", "32", "--workers", workers)
    says = capsys.readouterr().out
    assert list(report) == list(REASONS)
    for name, (status, reason) in REASONS.items():
        assert report[name]["status"] == status, name
        assert report[name]["reason"].startswith(reason), name
        assert (f"{name}: {status}: {reason}" in says) == (status != "ok")
        wav = faulty / "s4_data/audio_wav/test/bell" / f"{name}.wav"
        assert wav.exists() == (status != "bad")
    assert "4 of 8 clips prepared." in says
    frames = sorted((faulty / "s4_data/visual_frames/test/bell/good").iterdir())
    assert [f.name for f in frames] == ["good_1.png", "good_2.png", "good_3.png"]


def test_report_is_the_same_the_second_time(faulty: Path) -> None:
    first = prepared(faulty, "--seconds", "3", "--size", "32")
    assert prepared(faulty, "--seconds", "3", "--size", "32") == first


def test_strict(faulty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert prepare_avsbench.main([str(faulty), "--seconds", "3", "--size", "32", "--workers", "1", "--strict"]) == 1
    assert "Traceback" not in capsys.readouterr().err


def test_a_mended_film_is_prepared(faulty: Path) -> None:
    prepared(faulty, "--seconds", "3", "--size", "32")
    film(faulty / "raw_videos/test/bell/empty.mp4")
    assert prepared(faulty, "--seconds", "3", "--size", "32")["empty"]["status"] == "ok"
    (faulty / "raw_videos/test/bell/good.mp4").unlink()
    assert prepared(faulty, "--seconds", "3", "--size", "32")["good"]["reason"] == "is missing"


# Whole or not at all


def everything(root: Path) -> dict[Path, bytes]:
    made = [p for p in (root / "s4_data").rglob("*.*") if p.suffix in (".png", ".wav") or ".part" in p.name]
    return {p.relative_to(root): p.read_bytes() for p in made}


def test_second_run_writes_nothing(tmp_path: Path) -> None:
    root = copy(tmp_path / "set")
    prepared(root)
    times = {p: p.stat().st_mtime_ns for p in (root / "s4_data").rglob("*.*")}
    prepared(root)
    assert {p: p.stat().st_mtime_ns for p in (root / "s4_data").rglob("*.*")} == times


def test_another_size_cuts_again(tmp_path: Path) -> None:
    root = copy(tmp_path / "set")
    prepared(root, "--size", "48")
    assert {Image.open(p).size for p in (root / "s4_data/visual_frames").rglob("*.png")} == {(48, 48)}


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_stopped_run_goes_on(tmp_path: Path, how: signal.Signals) -> None:
    root, frames = copy(tmp_path / "set"), tmp_path / "set/s4_data/visual_frames"
    for folder in ("visual_frames", "audio_wav", "swap_wav"):
        shutil.rmtree(root / "s4_data" / folder)
    (root / "report.json").unlink()
    run = started("prepare_avsbench", root, "--workers", "2")
    until(lambda: len(list(frames.rglob("*.png"))) >= 4 or run.poll() is not None)
    run.send_signal(how)
    assert "Traceback" not in run.communicate(timeout=30)[1]
    time.sleep(0.5)  # the workers notice
    for path, content in everything(root).items():
        if ".part" not in path.name:
            assert content == (sample() / path).read_bytes()  # never half a file
    prepared(root)
    assert everything(root) == everything(sample())


# What is refused, and real films


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (
            None,
            "s4_meta_data.csv` is missing; name the folder that holds it, or make Sounding Shapes there; the folder",
        ),
        ("name,split\na,test\n", "s4_meta_data.csv` lacks the column `category`; it has name, split."),
        (HEAD, "s4_meta_data.csv` lists no clips."),
        (HEAD + "a,0,bell,test\n", "raw_videos` is missing; put the videos there as <split>/<category>/<name>.mp4."),
    ],
)
def test_refused_folder(table: str | None, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if table is not None:
        (tmp_path / "s4_meta_data.csv").write_text(table)
    assert prepare_avsbench.main([str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def test_refused_size(capsys: pytest.CaptureFixture[str]) -> None:
    assert prepare_avsbench.main([str(sample()), "--size", "4"]) == 2
    assert "`--size` must be 8 or more and `--seconds` 1 or more; got 4 and 3." in capsys.readouterr().err


def test_real_films(tmp_path: Path) -> None:
    """As AVSBench's own: other containers and codecs, five seconds, 224 pixels."""
    rows = []
    for name in ("bigbuckbunny_5p1.mp4", "bbb_vp8_vorbis.webm", "av1_noaudio.mkv"):
        (tmp_path / "raw_videos/test/rabbit").mkdir(parents=True, exist_ok=True)
        (tmp_path / "raw_videos/test/rabbit" / name).write_bytes(shared(f"real/{name}").read_bytes())
        rows.append(f"{name.split('.')[0]},0,rabbit,test\n")
    (tmp_path / "s4_meta_data.csv").write_text(HEAD + "".join(rows))
    report = prepared(tmp_path)
    assert [r["status"] for r in report.values()] == ["ok", "bad", "bad"]
    assert report["bbb_vp8_vorbis"]["reason"].startswith("is truncated: pictures end at 1.0")
    assert report["av1_noaudio"]["reason"] == "has no sound track"
    frames = list((tmp_path / "s4_data/visual_frames").rglob("*.png"))
    assert len(frames) == 5
    assert {Image.open(f).size for f in frames} == {(224, 224)}
    assert [r["status"] for r in prepared(tmp_path, "--seconds", "1").values()] == ["ok", "ok", "bad"]


def test_generator_and_preparation_agree_on_the_length() -> None:
    made = json.loads((sample() / generate.MARKER).read_text())
    assert (made["size"], made["seconds"]) == (112, 3)
    assert len(list((sample() / "s4_data/visual_frames/val").rglob("*.png"))) == 6
