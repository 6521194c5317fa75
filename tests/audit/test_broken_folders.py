"""One fault at a time in a prepared folder: `uspl check` names it, counts it, and blames no other clip."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.data_sample import copy, film
from uspl.audit.clip_report import KINDS
from uspl.audit.examine import examine
from uspl.audit.folder_report import report
from uspl.core.errors import DataError
from uspl.data.prepare import avsbench

TEST0 = "{}/test/star_bell/test_00000"


def _at(root: Path, kind: str, end: str) -> Path:
    return root / "s4_data" / (TEST0.format(kind) + end)


def _frame(root: Path) -> Path:
    return _at(root, "visual_frames", "/test_00000_2.png")


def _mask(root: Path) -> Path:
    return _at(root, "gt_masks", "/test_00000_3.png")


def _wav(root: Path) -> Path:
    return _at(root, "audio_wav", ".wav")


def _halve(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def _save(file: Path, values: object) -> None:
    Image.fromarray(np.asarray(values, np.uint8)).save(file)


def _relink(file: Path, to: str) -> None:
    file.unlink()
    file.symlink_to(to)


def _refolder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _same(root: Path) -> None:
    for k in (2, 3):
        (_frame(root).parent / f"test_00000_{k}.png").write_bytes(
            (_frame(root).parent / "test_00000_1.png").read_bytes()
        )


def _quiet(root: Path, samples: int = 48000) -> None:
    _wav(root).write_bytes(avsbench.wav(np.zeros(samples, "<i2")))


def _no_frames(root: Path) -> None:
    for file in _frame(root).parent.iterdir():
        file.unlink()


def _mute_film(root: Path) -> None:
    _no_frames(root)
    film(root / "raw_videos/test/star_bell/test_00000.mkv", sound=None).rename(
        root / "raw_videos/test/star_bell/test_00000.mp4"
    )


def _append(root: Path, line: str) -> None:
    with (root / "s4_meta_data.csv").open("a") as file:
        file.write(line)


def _twin(root: Path) -> None:
    """A training frame again, in other size and compression."""
    home = root / "s4_data/visual_frames/train/star_bell/train_00000"
    Image.open(home / "train_00000_1.png").resize((90, 90)).resize((112, 112)).save(_frame(root))


# what is done to the folder of test clip 0 -> the kind of the fault, the beginning of its reason
FAULTS: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "frame gone": (lambda r: _frame(r).unlink(), "missing", "no frame 2"),
    "frames gone": (_no_frames, "missing", "no frames"),
    "film without sound": (_mute_film, "missing", "no frames; its film has no sound track"),
    "mask gone": (lambda r: _mask(r).unlink(), "missing", "no mask 3"),
    "sound gone": (lambda r: _wav(r).unlink(), "missing", "no sound"),
    "frame cut": (lambda r: _halve(_frame(r)), "unreadable", "`test_00000_2.png` (frame) cannot be read as a picture"),
    "frame of text": (lambda r: _frame(r).write_text("no picture"), "unreadable", "`test_00000_2.png` (frame) cannot"),
    "frame empty": (lambda r: _frame(r).write_bytes(b""), "unreadable", "`test_00000_2.png` is empty (0 bytes)"),
    "mask cut": (lambda r: _halve(_mask(r)), "unreadable", "`test_00000_3.png` (mask) cannot be read as a picture"),
    "folder for a frame": (lambda r: _refolder(_frame(r)), "unreadable", "`test_00000_2.png` is a folder, not a file"),
    "lost link": (lambda r: _relink(_frame(r), "nowhere"), "unreadable", "`test_00000_2.png` is a link that leads"),
    "ring of links": (lambda r: _relink(_wav(r), "test_00000.wav"), "unreadable", "`test_00000.wav` is a link that"),
    "sound cut": (lambda r: _halve(_wav(r)), "unreadable", "`test_00000.wav` is truncated: its header promises 3.0"),
    "sound of text": (lambda r: _wav(r).write_text("RIFFnonsense"), "unreadable", "`test_00000.wav` cannot be read:"),
    "silence": (_quiet, "silent", "digital silence"),
    "short sound": (lambda r: _quiet(r, 3200), "short", "its sound is 0.20 s long; 2.5 s are needed"),
    "too many frames": (
        lambda r: (_frame(r).parent / "test_00000_4.png").write_bytes(_frame(r).read_bytes()),
        "odd",
        "4 frames, 3 are expected",
    ),
    "frame of other size": (
        lambda r: Image.open(_frame(r)).resize((64, 48)).save(_frame(r)),
        "odd",
        "frames of 64x48 and 112x112 pixels",
    ),
    "mask of other size": (
        lambda r: _save(_mask(r), np.eye(64) * 255),
        "odd",
        "mask 3 is 64x64 pixels, its frame 112x112",
    ),
    "grey mask": (lambda r: _save(_mask(r), np.eye(112) * np.arange(112)), "odd", "mask 3 has 112 values; a mask has"),
    "empty mask": (lambda r: _save(_mask(r), np.zeros((112, 112))), "empty", "mask 3 marks nothing"),
    "same frames": (_same, "still", "all 3 frames are the same"),
    "flat frame": (lambda r: _save(_frame(r), np.full((112, 112, 3), 90)), "still", "frame 2 is one flat colour"),
    "twin": (_twin, "twin", "looks like train/train_00000: "),
    "listed twice": (lambda r: _append(r, "test_00000,0,star_bell,test\n"), "odd", "is listed 2 times"),
    "in both splits": (
        lambda r: _append(r, "test_00000,0,star_bell,train\n"),
        "twin",
        "is listed in the split train",
    ),
}


@pytest.mark.parametrize("what", FAULTS)
def test_every_fault_is_named(what: str, tmp_path: Path) -> None:
    root = copy(tmp_path / "set")
    harm, kind, reason = FAULTS[what]
    harm(root)
    found = examine(root)
    split = next(s for s in found.splits if s.name == "test")
    named = [(k, text) for k, name, text in split.faults if name == "test_00000"]
    assert any(k == kind and text.startswith(reason) for k, text in named), named
    assert split.of(kind) == 1
    assert all(name == "test_00000" for _, name, _ in split.faults)  # no other clip is blamed
    assert split.complete == (3 if kind in ("missing", "unreadable") else 4)
    assert (f"  test/test_00000: {named[0][1]}" in report(found)) == (kind != "empty")
    assert kind == "empty" or not found.healthy


def test_a_refused_line_stops_no_other(tmp_path: Path) -> None:
    root = copy(tmp_path / "set")
    _append(root, "../../escape,0,star_bell,test\n")
    found = examine(root)
    assert found.splits[2].faults == [("refused", "../../escape", found.splits[2].faults[0][2])]
    assert "would lead out of the folder" in found.splits[2].faults[0][2]
    assert found.splits[2].complete == 4


def test_the_reason_of_the_preparation_is_told(tmp_path: Path) -> None:
    root = copy(tmp_path / "set")
    _no_frames(root)
    rows = json.loads((root / "report.json").read_text())
    for row in rows:
        if row["name"] == "test_00000":
            row |= {"status": "bad", "reason": "has no sound track"}
    (root / "report.json").write_text(json.dumps(rows))
    assert "  test/test_00000: no frames; the preparation says that the film has no sound track" in report(
        examine(root)
    )
    (root / "report.json").write_text("[1]")
    with pytest.raises(DataError, match=r"is no report of prepare_avsbench\.py"):
        examine(root)


def test_every_kind_has_its_words() -> None:
    assert {kind for _, kind, _ in FAULTS.values()} | {"refused"} == set(KINDS)
