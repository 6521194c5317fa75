"""Sounding Photos on disk: AVSBench's names, runs that go on, the reader, and folders that are refused."""

import csv
import json
import shutil
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.helpers.photo_material import COUNTS, GIVEN, folders, named, photo_sample
from uspl.cli import make_sounding_photos
from uspl.core.errors import DataError
from uspl.data import AVSBench, sounding_photos
from uspl.data.sounding_photos import MANIFEST, MARKER, MATERIAL
from uspl.media import probe


def test_folder_has_the_names_of_avsbench() -> None:
    root = photo_sample()
    rows = list(csv.DictReader((root / "s4_meta_data.csv").open()))
    assert len(rows) == sum(COUNTS.values())
    for row in rows:
        place = Path(row["split"], row["category"])
        film = root / "raw_videos" / place / f"{row['name']}.mp4"
        with av.open(str(film)) as box:
            assert (box.streams.video[0].codec_context.name, box.streams.audio[0].codec_context.name) == ("h264", "aac")
        assert probe(film).seconds == pytest.approx(1, abs=0.1)
        objects = np.asarray(Image.open(root / "s4_data/objects" / place / row["name"] / f"{row['name']}_1.png"))
        mask = Image.open(root / "s4_data/gt_masks" / place / row["name"] / f"{row['name']}_1.png")
        assert mask.mode == "1"
        assert (np.asarray(mask) == (objects == 1)).all()
        assert (root / "raw_sounds" / place / f"{row['name']}.m4a").is_file() == (objects == 2).any() or row[
            "split"
        ] == "negative"
    assert not list(root.rglob("*.part"))
    assert {row["status"] for row in json.loads((root / "report.json").read_text())} <= {"ok", "silent"}


@pytest.mark.parametrize("split", [name.replace("-", "_") for name in COUNTS])
def test_the_reader_takes_it(split: str) -> None:
    clips = AVSBench(photo_sample(), split, size=128)
    assert len(clips) == COUNTS[split.replace("_", "-")]
    for clip in clips:
        assert clip.frame.shape == (3, 128, 128)
        assert len(clip.wave) == 16000
        assert clip.objects is not None
        assert clip.mask is not None
        assert bool(clip.mask.any()) == (split != "negative")


def test_the_manifest_names_every_file() -> None:
    said = json.loads((photo_sample() / MANIFEST).read_text())
    assert [len(said[kind]) for kind in ("classes", "cutouts", "recordings", "backgrounds")] == [5, 11, 10, 8]
    assert all({"package", "file", "licence", "author"} <= one.keys() for one in said["cutouts"] + said["recordings"])
    assert sum(one["class"] == "(never heard)" for one in said["cutouts"]) == 1
    assert {one["pool"] for one in said["backgrounds"]} == {"train", "val", "test", "new_background"}


def test_a_run_goes_on_without_the_material(tmp_path: Path) -> None:
    root = Path(shutil.copytree(photo_sample(), tmp_path / "set"))
    films = sorted((root / "raw_videos").rglob("*.mp4"))
    before = {film: film.read_bytes() for film in films}
    films[3].unlink()
    given = [*GIVEN, "--size", "128", "--workers", "1", "--offline"]
    assert make_sounding_photos.main([str(root), *given, "--val", "6"]) == 0
    assert len(list((root / "raw_videos").rglob("*.mp4"))) == len(films) + 1
    assert {film: film.read_bytes() for film in films} == before


def test_other_settings_and_other_material_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = Path(shutil.copytree(photo_sample(), tmp_path / "set"))
    assert make_sounding_photos.main([str(root), *GIVEN, "--size", "128", "--seed", "4"]) == 2
    assert "was made with seed = 1, not 4; name another folder." in capsys.readouterr().err
    places = folders(tmp_path / "material")
    shutil.rmtree(places[0] / "stone")
    assert make_sounding_photos.main([str(root), *GIVEN, "--size", "128", *named(places)]) == 2
    assert "was made with material = " in capsys.readouterr().err
    (root / MATERIAL).write_bytes(b"")
    assert make_sounding_photos.main([str(root), *GIVEN, "--size", "128"]) == 2
    assert "is empty (0 bytes)" in capsys.readouterr().err


def test_a_folder_with_something_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    assert make_sounding_photos.main([str(tmp_path)]) == 2
    assert "holds files that are not Sounding Photos; name an empty or a missing folder." in capsys.readouterr().err


def test_one_of_each_leaves_nothing_to_hold_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    places = folders(tmp_path / "material")
    for file in places[0].rglob("1.png"):
        file.unlink()
    root = tmp_path / "set"
    assert make_sounding_photos.main([str(root), *GIVEN, "--size", "128", *named(places)]) == 2
    assert "`new_photo` needs two classes with two cut-outs or more; add some" in capsys.readouterr().err
    assert not root.exists()


def test_the_function_takes_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = {name.replace("-", "_"): n for name, n in COUNTS.items()}
    monkeypatch.setenv("PATH", "")  # whatever is run for it would fail
    assert sounding_photos(photo_sample(), size=128, **counts) == photo_sample()


def test_the_function_hands_on_what_the_script_says(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / MARKER).write_text("{")
    with pytest.raises(DataError, match=r"cannot be made: `.*` cannot be read"):
        sounding_photos(tmp_path / "set", material=[tmp_path], workers=1)
