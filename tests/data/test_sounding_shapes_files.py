"""Sounding Shapes on disk: names as AVSBench has them, runs that are killed, and settings that are refused."""

import csv
import json
import signal
import time
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.helpers.data_sample import GIVEN, copy, sample
from tests.helpers.preparation import started, until
from uspl import metrics
from uspl.cli import make_sounding_shapes


def test_folder_has_the_names_of_avsbench() -> None:
    root = sample()
    with (root / "s4_meta_data.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["name", "start time", "category", "split"]
    assert [r["split"] for r in rows] == ["train"] * 10 + ["val"] * 2 + ["test"] * 4 + ["negative"] * 2
    for row in rows:
        place = Path(row["split"], row["category"])
        with av.open(str(root / "raw_videos" / place / f"{row['name']}.mp4")) as box:
            picture, voice = box.streams.video[0], box.streams.audio[0]
            assert (picture.codec_context.name, voice.codec_context.name) == ("h264", "aac")
            assert (picture.width, picture.height, picture.average_rate, picture.frames) == (112, 112, 8, 24)
            assert voice.rate == 16000
        masks = sorted((root / "s4_data/gt_masks" / place / row["name"]).iterdir())
        assert [m.name for m in masks] == [
            f"{row['name']}_{k}.png" for k in ((1,) if row["split"] == "train" else (1, 2, 3))
        ]
        for mask in masks:
            image = Image.open(mask)
            objects = np.asarray(Image.open(root / "s4_data/objects" / place / row["name"] / mask.name))
            assert image.mode == "1"
            assert (np.asarray(image) == (objects == 1)).all()
            assert np.asarray(image).any() == (row["split"] != "negative")
        assert (root / "raw_sounds" / place / f"{row['name']}.m4a").stat().st_size > 1000
    assert not list(root.rglob("*.part"))


def test_boxes_hold_the_masks() -> None:
    root = sample()
    boxes = json.loads((root / "vggss.json").read_text())
    assert len(boxes) == 12
    for entry in boxes:
        name = entry["file"].rpartition("_")[0]
        mask = np.asarray(Image.open(root / "s4_data/gt_masks/test" / entry["class"] / name / f"{entry['file']}.png"))
        box = metrics.boxes_to_map(entry["bbox"], size=112).numpy() > 0
        assert box[mask].all()
        assert mask[:, box.any(0)].any(0).all()
        assert mask[box.any(1)].any(1).all()


def test_more_clips_change_nothing(tmp_path: Path) -> None:
    root = copy(tmp_path / "set")
    before = {p: p.read_bytes() for p in (root / "raw_videos").rglob("*.mp4")}
    times = {p: p.stat().st_mtime_ns for p in before}
    assert make_sounding_shapes.main([str(root), *GIVEN, "--train", "12", "--workers", "1"]) == 0
    assert {p: p.stat().st_mtime_ns for p in before} == times
    assert len(list((root / "raw_videos").rglob("*.mp4"))) == len(before) + 2
    assert make_sounding_shapes.main([str(root), *GIVEN, "--workers", "1"]) == 0  # fewer: what is there stays listed
    assert (root / "s4_meta_data.csv").read_text().count("train_") == 12


def test_killed_run_goes_on(tmp_path: Path) -> None:
    root, whole = tmp_path / "set", sample()
    run = started("make_sounding_shapes", root, *GIVEN, "--workers", "2")
    until(lambda: len(list(root.rglob("*.mp4"))) >= 3 or run.poll() is not None)
    run.send_signal(signal.SIGKILL)
    run.communicate()
    time.sleep(0.5)  # the workers notice
    assert not (root / "s4_meta_data.csv").exists()
    for path in root.rglob("*.mp4"):
        if not path.name.startswith("."):
            assert path.read_bytes() == (whole / path.relative_to(root)).read_bytes()
    assert make_sounding_shapes.main([str(root), *GIVEN, "--workers", "1"]) == 0
    made = {p.relative_to(root): p for p in root.rglob("*") if p.is_file()}
    for part in ("raw_videos", "raw_sounds", "s4_data/gt_masks", "s4_data/objects"):
        for path in (whole / part).rglob("*.*"):
            assert made.pop(path.relative_to(whole)).read_bytes() == path.read_bytes()
    assert sorted(str(p) for p in made) == ["s4_meta_data.csv", "sounding_shapes.json", "vggss.json"]


# What is refused


def refused(capsys: pytest.CaptureFixture[str], *given: str) -> str:
    assert make_sounding_shapes.main(list(given)) == 2
    says = capsys.readouterr().err
    assert says.count("\n") == 1
    return says


def test_foreign_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    assert "holds files that are not Sounding Shapes" in refused(capsys, str(tmp_path))
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]
    assert "is a file; name a folder." in refused(capsys, str(tmp_path / "thesis.txt"))


def test_other_settings_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "was made with seed = 1, not 2; name another folder." in refused(capsys, str(sample()), "--seed", "2")
    assert "was made with classes = 8, not 12" in refused(capsys, str(sample()), "--level", "hard")


def test_broken_marker_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "sounding_shapes.json").write_text("{")
    assert "cannot be read; remove the folder or name another." in refused(capsys, str(tmp_path))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("--classes 1", "`classes` must be from 2 to 12; got 1."),
        ("--classes 13", "`classes` must be from 2 to 12; got 13."),
        ("--size 33", "`size` must be an even number from 32; got 33."),
        ("--distractors 2 1", "`distractors` must be MIN <= MAX, from 0 to 5; got (2, 1)."),
        ("--radius 0.2 0.5", "`radius` must be MIN <= MAX, from 0.05 to 0.36; got (0.2, 0.5)."),
        ("--distractors 4 5", "leaves no room for 6 objects; make it smaller."),
        ("--texture-variation 2", "`texture_variation` must be in [0, 1]; got 2.0."),
        ("--train -1", "Clip counts must be 0 or more"),
        ("--seed -1", "`seed` must be 0 or more; got -1."),
    ],
)
def test_refused_settings(given: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert says in refused(capsys, str(tmp_path / "set"), *given.split())
    assert not (tmp_path / "set").exists()
