"""data_scripts/prepare_vggsound.py: frame and sound of the middle, no clip lost, repeated, replaced or waited for."""

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.data_sample import film
from tests.helpers.preparation import prepare, started, until, written
from tests.helpers.values import shared
from uspl.cli import prepare_vggsound
from uspl.data import VGGSound
from uspl.data.prepare import jobs
from uspl.media import waveform


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four good films of 4, 5, 6 and 7 s."""
    home = tmp_path_factory.mktemp("films")
    for i in range(4):
        film(home / f"film{i}.mp4", seconds=4 + i, side=64)
    return home


# What is written


def test_frame_and_sound_of_the_middle(films: Path, tmp_path: Path) -> None:
    assert prepare(films, tmp_path) == {}
    assert json.loads((tmp_path / "report.json").read_text()) == {"listed": 4, "ok": 4, "trouble": []}
    for i in range(4):
        level = np.asarray(Image.open(tmp_path / f"frames/film{i}.jpg")).mean()
        assert abs(level - (16 + 4 * i) * 8 % 256) < 6  # frame 8 t of 8 a second, 8 grey levels each
        wave = waveform(tmp_path / f"audio/film{i}.wav").numpy()
        assert len(wave) == 48000
        strongest = np.abs(np.fft.rfft(wave)).argmax() / 3
        assert abs(strongest - 440) < 1
    data = VGGSound(tmp_path)
    assert data.ids == [f"film{i}" for i in range(4)]
    assert data[0].frame.shape == (3, 224, 224)


def test_shards_hold_the_same(films: Path, tmp_path: Path) -> None:
    prepare(films, tmp_path / "plain")
    assert prepare(films, tmp_path / "shards", "--shards", "2") == {}
    names = sorted(p.name for p in (tmp_path / "shards").rglob("*") if p.is_file())
    assert names == ["00000.tar", "00001.tar", "ledger.jsonl", "report.json"]
    plain, packed = VGGSound(tmp_path / "plain"), VGGSound(tmp_path / "shards")
    assert packed.ids == plain.ids
    assert packed.data_hash == plain.data_hash
    before = {p: p.read_bytes() for p in (tmp_path / "shards").glob("*.tar")}
    assert prepare(films, tmp_path / "shards", "--shards", "2") == {}
    assert {p: p.read_bytes() for p in (tmp_path / "shards").glob("*.tar")} == before


def test_shards_grow(films: Path, tmp_path: Path) -> None:
    source = Path(shutil.copytree(films, tmp_path / "films"))
    prepare(source, tmp_path / "out", "--shards", "1")
    first = (tmp_path / "out/00000.tar").read_bytes()
    film(source / "later.mp4", seconds=4)
    film(source / "two.dots.mp4", seconds=4)
    left = prepare(source, tmp_path / "out", "--shards", "1")
    assert left == {"two.dots.mp4": ("bad", "is refused: a shard cannot hold a name with two dots")}
    assert (tmp_path / "out/00000.tar").read_bytes() == first
    assert len(VGGSound(tmp_path / "out").ids) == 5


def test_only_a_list(films: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("film1\nfilm9\n")
    found = prepare(films, tmp_path / "out", "--only", str(tmp_path / "list.txt"))
    assert found == {"film9": ("bad", "is listed, and has no video in the folder")}
    assert sorted(written(tmp_path / "out")) == ["audio/film1.wav", "frames/film1.jpg"]


# Faults


@pytest.fixture
def faulty(tmp_path: Path) -> Path:
    home = tmp_path / "films"
    film(home / "good.mp4", seconds=4)
    film(home / "mute.mkv", sound=None)
    film(home / "still.mp4", seconds=4, sound=0.0)
    film(home / "dot.mkv", side=1)
    film(home / "short.mp4", seconds=2)
    film(home / "hushed.mp4", seconds=6, end=2.0)
    (home / "cut.mp4").write_bytes((home / "good.mp4").read_bytes()[:3000])
    (home / "empty.mp4").write_bytes(b"")
    (home / "letter.mp4").write_text("Dear reader, this is no film. " * 50)
    film(home / "named.avi", seconds=4)
    film(home / "good.webm", seconds=4)
    (home / "sound.mp4").write_bytes(shared("real/vggish_test.wav").read_bytes())
    (home / "nowhere.mp4").symlink_to(tmp_path / "nothing")
    os.mkfifo(home / "pipe.mp4")
    (home / "folder.mp4").mkdir()
    (home / ".hidden.mp4").touch()
    return home


REASONS = {
    "mute": ("bad", "has no sound track"),
    "still": ("silent", "holds digital silence"),
    "dot": ("bad", "has no sound track"),
    "short": ("odd", "is short: 2."),
    "hushed": ("bad", "is truncated: sound ends at 2."),
    "cut": ("bad", "cannot be read: truncated, damaged or no media file"),
    "empty": ("bad", "is empty (0 bytes)"),
    "letter": ("bad", "cannot be read: truncated, damaged or no media file"),
    "named": ("odd", "has the extension `.avi` but the content of .mp4; the content was read"),
    "good.webm": ("bad", "has the same id as `good.mp4`, which was taken"),
    "sound": ("bad", "has no pictures"),
    "nowhere": ("bad", "is a link that leads nowhere"),
    "pipe": ("bad", "is no regular file"),
}


def test_each_fault_is_named_and_the_rest_is_finished(
    faulty: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    found = prepare(faulty, out)
    says = capsys.readouterr().out
    assert set(found) == set(REASONS)
    for id, (status, reason) in REASONS.items():
        assert found[id][0] == status, id
        assert found[id][1].startswith(reason), (id, found[id][1])
        assert f"  {id}: {status}: {reason}" in says
    assert "4 of 14 clips prepared." in says
    assert sorted(p.stem for p in (out / "audio").iterdir()) == ["good", "named", "short", "still"]
    assert sorted(p.stem for p in (out / "frames").iterdir()) == ["good", "named", "short", "still"]
    before = written(out)
    assert prepare(faulty, out) == found
    assert written(out) == before
    film(faulty / "empty.mp4", seconds=4)
    assert set(prepare(faulty, out)) == set(REASONS) - {"empty"}
    assert {name: before[name] for name in before} == {n: w for n, w in written(out).items() if "empty" not in n}
    assert prepare_vggsound.main([str(faulty), str(out), "--strict", "--workers", "1"]) == 1


def test_real_films(tmp_path: Path) -> None:
    for name in ("bigbuckbunny_5p1.mp4", "bbb_vp8_vorbis.webm", "av1_noaudio.mkv"):
        (tmp_path / name).write_bytes(shared(f"real/{name}").read_bytes())
    found = prepare(tmp_path, tmp_path / "out")
    assert found["av1_noaudio"] == ("bad", "has no sound track")
    assert found["bbb_vp8_vorbis"][1].startswith("is short: 1.0")
    assert "bigbuckbunny_5p1" not in found
    assert Image.open(tmp_path / "out/frames/bigbuckbunny_5p1.jpg").size == (1280, 720)


# Stopped runs, lost workers


MANY = 150  # clips: a machine finishes fewer before it is told to stop


@pytest.mark.parametrize(("how", "shards"), [(signal.SIGKILL, "0"), (signal.SIGKILL, "6"), (signal.SIGINT, "0")])
def test_stopped_run_loses_and_repeats_nothing(how: signal.Signals, shards: str, films: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "films", tmp_path / "out"
    source.mkdir()
    for i in range(MANY):
        (source / f"clip{i:03d}.mp4").symlink_to(films / f"film{i % 4}.mp4")
    ledger = out / "ledger.jsonl"
    run = started("prepare_vggsound", source, out, "--workers", "2", "--shards", shards)
    until(lambda: ledger.is_file() and ledger.read_text().count("\n") > 5)
    run.send_signal(how)
    assert "Traceback" not in run.communicate(timeout=200)[1]
    assert run.returncode == (-9 if how == signal.SIGKILL else 130)
    time.sleep(0.5)  # the decoders notice
    home = out if shards == "0" else out / ".clips"
    before, listed = written(home), set(jobs.Ledger(ledger).rows)
    packed = {p: p.read_bytes() for p in out.glob("*.tar")}
    assert 5 < len(listed) < MANY
    assert prepare(source, out, "--shards", shards) == {}
    data = VGGSound(out)
    assert data.ids == [f"clip{i:03d}" for i in range(MANY)]
    assert {p: p.read_bytes() for p in packed} == packed
    if shards == "0":
        again = written(out)
        whole = {n for n in before if n.startswith("audio/") and ".part" not in n}
        assert {n: before[n] for n in whole} == {n: again[n] for n in whole}
    assert not list(out.rglob(".*.part"))


# What is refused


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["none", "out"], "none` is missing; name a folder of videos, or the table vggsound.csv."),
        (["films", "films"], "`out` must be another folder than the videos; got `"),
        (["films", "out"], "films` holds no clip."),
        (["films", "out", "--workers", "0"], "`--workers` must be 1 or more; got 0."),
        (["films", "out", "--shards", "-1"], "`--shards` must be 0 or more; got -1."),
        (["films", "out", "--sleep", "nan"], "`--sleep` must be 0 or more; got nan."),
        (["films", "out", "--only", "list"], "list` is missing."),
    ],
)
def test_refused(given: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "films").mkdir()
    paths = [str(tmp_path / x) if x in ("none", "films", "out", "list") else x for x in given]
    assert prepare_vggsound.main(paths) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def test_without_dask(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "uspl.data.prepare.dask_cluster")
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert prepare_vggsound.main([str(films), str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == "`distributed` is missing; `pip install 'uspl[data]'` brings it.\n"


def test_no_scheduler(films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert prepare_vggsound.main([str(films), str(tmp_path / "out"), "--scheduler", "tcp://127.0.0.1:1"]) == 2
    assert "Traceback" not in capsys.readouterr().err
