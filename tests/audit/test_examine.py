"""uspl check: counts beside the official ones, and what scores on a folder may be set beside."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_scripts import check
from tests.helpers.data_sample import copy, sample
from uspl.audit.comparability import AVSBENCH, VGGSS, compare_with_published, which
from uspl.audit.examine import examine
from uspl.audit.folder_report import report, table
from uspl.core.errors import DataError
from uspl.data.prepare import avsbench

HEALTHY = """\
split      clips  complete  videos  frames  masks  sounds  missing  unreadable  silent  empty
train         10        10      10      30     10      10        0           0       0      0
val            2         2       2       6      6       2        0           0       0      0
test           4         4       4      12     12       4        0           0       0      0
negative       2         2       2       6      6       2        0           0       1      2"""
SHAPES = "Not AVSBench-S4 but Sounding Shapes; compare only with this repository's records: "


def test_healthy_set(capsys: pytest.CaptureFixture[str]) -> None:
    found = examine(sample())
    assert table(found).split() == HEALTHY.split()
    assert found.verdict.sentence == f"{SHAPES}4 of 4 test videos are there."
    capsys.readouterr()
    assert check.main([str(sample()), "--strict"]) == 0  # silence and empty masks are meant in `negative`
    assert capsys.readouterr().out == f"{table(found)}\n{SHAPES}4 of 4 test videos are there.\nNothing is wrong.\n"


def test_long_lists_are_cut(tmp_path: Path) -> None:
    root = copy(tmp_path / "set")
    for wav in (root / "s4_data/audio_wav/train").rglob("*.wav"):
        wav.unlink()
    lines = report(examine(root), shown=2).splitlines()
    assert len(lines) == 5 + 1 + 2 + 1
    assert lines[-1] == "  and 8 more; --all names them."
    assert len(report(examine(root), shown=None).splitlines()) == 5 + 1 + 10


# What scores may be set beside


def test_sentences() -> None:
    def sentence(name: str, test: int, train: int = 3452) -> str:
        return compare_with_published(name, AVSBENCH | VGGSS, {"train": train, "test": test}).sentence

    assert compare_with_published("AVSBench-S4", AVSBENCH, AVSBENCH).comparable
    head = "Scores on this folder are not comparable with published "
    few = compare_with_published("AVSBench-S4", AVSBENCH, AVSBENCH | {"test": 728})
    assert not few.comparable
    assert (few.scored, few.wanted) == (728, 740)
    assert few.sentence == (
        f"{head}AVSBench-S4 numbers: 12 of 740 test videos are missing or unreadable; evaluate with --partial."
    )
    assert compare_with_published("AVSBench-S4", AVSBENCH, AVSBENCH | {"train": 3400}).sentence.endswith(
        ": all 740 test videos are there; for training, 52 of 3,452 videos are missing or unreadable."
    )
    assert compare_with_published("AVSBench-S4", AVSBENCH | {"test": 741}, AVSBENCH | {"test": 741}).sentence == (
        f"{head}AVSBench-S4 numbers: 741 test videos are listed, the published list has 740."
    )
    lost = compare_with_published("AVSBench-S4", AVSBENCH, AVSBENCH, frozenset({"helicopter"})).sentence
    assert lost == f"{head}AVSBench-S4 numbers: 1 of 23 categories are not listed."
    assert sentence("VGG-SS", 5158).endswith(
        "comparable with published VGG-SS numbers: all 5,158 test pairs are there."
    )
    assert sentence("VGG-SS", 0).endswith(
        "5,158 of 5,158 test pairs are missing or unreadable; there is nothing to evaluate."
    )
    assert "no published number compares" in sentence("another set", 3)
    none = compare_with_published("Sounding Shapes", {"val": 3}, {"val": 2})
    assert none.sentence == f"{SHAPES}it lists no test video."
    assert which({"dog"}, embedded="Sounding Photos") == "Sounding Photos"
    assert which({"helicopter"}) == "AVSBench-S4"
    assert which({"helicopter", "star_bell"}) == which(set()) == "another set"


def test_a_part_of_avsbench(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As distributed: five frames, in training one mask, no raw videos, no marker of ours."""
    drawn = np.random.default_rng(0).integers(0, 255, (2, 5, 7, 7, 3), np.uint8)
    for i, split in enumerate(("train", "test")):
        home = Path(split, "helicopter", f"v{i}")
        for k in range(1, 6):
            for folder, picture in (("visual_frames", drawn[i, k - 1]), ("gt_masks", np.eye(7, dtype=np.uint8) * 255)):
                if folder == "visual_frames" or split == "test" or k == 1:
                    file = tmp_path / "s4_data" / folder / home / f"v{i}_{k}.png"
                    file.parent.mkdir(parents=True, exist_ok=True)
                    Image.fromarray(picture).resize((224, 224), Image.Resampling.NEAREST).save(file)
        avsbench.write(
            tmp_path / "s4_data/audio_wav" / home.with_suffix(".wav"),
            avsbench.wav(np.full(80000, 99, "<i2")),
        )
    (tmp_path / "s4_meta_data.csv").write_text(
        "name,start time,category,split\nv0,0,helicopter,train\nv1,0,helicopter,test\nv2,0,helicopter,test\n"
    )
    assert check.main([str(tmp_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    train, test = found["splits"]
    assert (train["official"], train["clips"], train["complete"], train["frames"], train["masks"]) == (3452, 1, 1, 5, 1)
    assert (test["official"], test["clips"], test["complete"], test["frames"], test["masks"]) == (740, 2, 1, 5, 5)
    assert [fault["reason"] for fault in test["faults"]] == ["no frames", "no sound"]
    assert (found["set"], found["comparable"], found["scored"], found["wanted"]) == ("AVSBench-S4", False, 1, 740)
    assert "739 of 740 test videos are missing or unreadable; evaluate with --partial; 22 of 23" in found["sentence"]


# VGGSound's layout


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    for folder in ("frames", "audio"):
        (tmp_path / folder).mkdir()
    for i, id in enumerate(("aaaaaaaaaaa_000001", "-bbbbbbbbbb_000030", "ccccccccccc_000010")):
        frame = np.random.default_rng(i).integers(0, 255, (9, 9, 3), np.uint8)
        Image.fromarray(frame).resize((320, 240)).save(tmp_path / f"frames/{id}.jpg")
        (tmp_path / f"audio/{id}.wav").write_bytes(avsbench.wav(np.full(48000, 99, "<i2")))
    boxes = [{"file": id, "class": "bell", "bbox": []} for id in ("ccccccccccc_000010", "ddddddddddd_000000")]
    (tmp_path / "vggss.json").write_text(json.dumps(boxes))
    return tmp_path


def test_pairs(pairs: Path) -> None:
    found = examine(pairs)
    train, test = found.splits
    assert (train.clips, train.complete, test.clips, test.complete, test.official) == (2, 2, 2, 1, 5158)
    assert test.trouble == [("ddddddddddd_000000", "no frame"), ("ddddddddddd_000000", "no sound")]
    assert "5,157 of 5,158 test pairs are missing or unreadable; evaluate with --partial." in found.verdict.sentence
    jpg = (pairs / "frames/aaaaaaaaaaa_000001.jpg").read_bytes()
    (pairs / "frames/ccccccccccc_000010.jpg").write_bytes(jpg)
    (pairs / "frames/-bbbbbbbbbb_000030.jpg").write_bytes(jpg[: len(jpg) // 2])
    (pairs / "audio/aaaaaaaaaaa_000001.wav").write_bytes(avsbench.wav(np.full(16000, 99, "<i2")))
    train, test = examine(pairs).splits
    assert train.trouble == [
        ("-bbbbbbbbbb_000030", "`-bbbbbbbbbb_000030.jpg` (frame) cannot be read as a picture"),
        ("aaaaaaaaaaa_000001", "its sound is 1.00 s long; 3 s are needed"),
    ]
    assert (
        "ccccccccccc_000010",
        "looks like train/aaaaaaaaaaa_000001: 0 of 256 bits differ, 16 are the limit",
    ) in test.trouble


def test_pairs_without_a_list(pairs: Path) -> None:
    (pairs / "vggss.json").rename(pairs / "boxes.txt")
    assert examine(pairs).verdict.sentence.endswith("name it with --boxes.")
    assert examine(pairs, boxes=pairs / "boxes.txt").set == "VGG-SS"
    (pairs / "boxes.txt").write_text("ccccccccccc_000010\n")
    assert [s.clips for s in examine(pairs, boxes=pairs / "boxes.txt").splits] == [2, 1]
    for text, says in (("[1]", "and no list of ids"), ("../up", "would lead out of the folder")):
        (pairs / "boxes.txt").write_text(text)
        with pytest.raises(DataError, match=says):
            examine(pairs, boxes=pairs / "boxes.txt")


def test_names_that_cannot_be_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = copy(tmp_path / "set")
    with (root / "s4_meta_data.csv").open("ab") as file:
        file.write(b'"\xe9t\xe9\nbar",0,star_bell,test\n')
    assert check.main([str(root), "--out", str(tmp_path / "found.json")]) == 0
    assert "  test/\\udce9t\\udce9\\nbar: the table names" in capsys.readouterr().out
    assert json.loads((tmp_path / "found.json").read_text())["splits"][2]["refused"] == 1


# Folders that are none


def test_no_data_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def error(folder: Path) -> str:
        assert check.main([str(folder)]) == 2
        text = capsys.readouterr().err
        assert text.count("\n") == 1
        return text

    expected = "s4_meta_data.csv and s4_data (AVSBench-S4), or frames and audio (VGGSound), were expected; "
    assert expected + "it holds nothing." in error(tmp_path)
    (tmp_path / "holiday").mkdir()
    (tmp_path / "a.jpg").touch()
    assert expected + "it holds a.jpg, holiday/." in error(tmp_path)
    assert expected + "there is no such folder." in error(tmp_path / "none")
    (tmp_path / "Single-source").mkdir()
    (tmp_path / "Single-source/s4_meta_data.csv").write_text("id,category\n")
    assert f"s4_meta_data.csv is in `{tmp_path / 'Single-source'}`: name that folder." in error(tmp_path)
    assert "lacks the column `name`; it has id, category." in error(tmp_path / "Single-source")
    (tmp_path / "Single-source/s4_meta_data.csv").write_text("name,category,split\n")
    assert "lists no clips." in error(tmp_path / "Single-source")
