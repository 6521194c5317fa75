"""Folders that people have: each is named, with what can be done; v1s of AVSBench-semantic is read as AVSBench-S4."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.helpers.data_sample import sample
from uspl.audit.examine import examine
from uspl.core.errors import DataError
from uspl.data import AVSBench
from uspl.data.metadata import TABLE, read_table

SECONDS = 3  # of the sample's clips


def semantic(root: Path) -> Path:
    """The sample's clips as AVSBench-semantic packs them: v1s of all, and a line for a video of v2."""
    s4 = sample()
    with (_made(root) / "metadata.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["vid", "uid", "s_min", "s_sec", "a_obj", "split", "label"])
        for row in read_table(s4):
            name, place = row["name"], f"{row['split']}/{row['category']}/{row['name']}"
            table.writerow([name, name, 0, 0, row["category"], row["split"], "v1s"])
            video = _made(root / "v1s" / name)
            shutil.copy(s4 / f"s4_data/audio_wav/{place}.wav", video / "audio.wav")
            for kind in ("frames", "labels_semantic"):
                _made(video / kind)
            for k in range(1, SECONDS + 1):
                seen, mask = (s4 / f"s4_data/{kind}/{place}/{name}_{k}.png" for kind in ("visual_frames", "gt_masks"))
                Image.open(seen).convert("RGB").save(video / f"frames/{k - 1}.jpg", quality=95)
                if mask.is_file():  # 37 and 38: two kinds in one mask
                    grey = (np.asarray(Image.open(mask).convert("L")) > 0) * np.uint8(37)
                    grey[: len(grey) // 2] += grey[: len(grey) // 2] > 0
                    Image.fromarray(grey).save(video / f"labels_semantic/{k - 1}.png")
        table.writerow(["x", "x_0_10000", 0, 0, "cat_dog", "test", "v2"])
    return root


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def v1s(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return semantic(tmp_path_factory.mktemp("semantic") / "set")


@pytest.mark.parametrize("split", ["train", "test"])
def test_v1s_is_read_as_s4(v1s: Path, split: str) -> None:
    here, there = AVSBench(v1s, split), AVSBench(sample(), split, extras=False)
    assert (here.ids, here.categories, here.missing) == (there.ids, there.categories, there.missing)
    for i in range(len(here)):
        one, other = here[i], there[i]
        assert torch.equal(one.wave, other.wave)
        assert (one.frame.float() - other.frame.float()).abs().mean() < 0.05 * other.frame.float().abs().max()  # JPEG
        assert (one.mask is None) == (other.mask is None)
        assert one.mask is None or torch.equal(one.mask, other.mask)
        assert one.objects is None


def test_a_part_of_v1s(v1s: Path, tmp_path: Path) -> None:
    root = tmp_path / "part"
    shutil.copytree(v1s, root)
    shutil.rmtree(root / "v1s/test_00000")
    (root / "v1s/test_00001/frames/1.jpg").unlink()
    with pytest.raises(DataError, match=r"test_00000/frames/0\.jpg` is missing"):
        AVSBench(root, "test")
    assert AVSBench(root, "test", partial=True).missing == ["test_00000", "test_00001_2"]


def test_check_of_v1s(v1s: Path) -> None:
    found = examine(v1s)
    assert found.set == "v1s of AVSBench-semantic"
    says = "This is v1s of AVSBench-semantic, the videos of AVSBench-S4 with other masks; numbers published on"
    assert found.verdict.sentence.startswith(says)
    assert not found.verdict.comparable
    assert {split.name: split.counts["masks"] for split in found.splits}["test"] == 4 * SECONDS
    assert found.as_dict()["sha256"]["table"] == found.files["metadata.csv"]
    assert not any("values" in reason for split in found.splits for _, reason in split.trouble)


def test_s4_beside_it_is_s4(v1s: Path, tmp_path: Path) -> None:
    shutil.copytree(sample(), tmp_path / "both")
    shutil.copytree(v1s, tmp_path / "both", dirs_exist_ok=True)
    assert AVSBench(tmp_path / "both", "test").data_hash == AVSBench(sample(), "test").data_hash


def ms3(root: Path) -> None:
    _made(root / "ms3_data/visual_frames")
    (root / "ms3_meta_data.csv").touch()


def videos(frames: int) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        video = root / "-5OttEHMqxM_0_10000"
        for i in range(frames):
            (_made(video / "frames") / f"{i}.jpg").touch()
        (video / "audio.wav").touch()

    return make


def without_v1s(root: Path) -> None:
    for name in ("v1m", "v2"):
        videos(5)(root / name)
    (root / "metadata.csv").touch()


def files(*names: str) -> Callable[[Path], None]:
    return lambda root: [(_made(root) / name).touch() for name in names] and None


def above(make: Callable[[Path], None], name: str) -> Callable[[Path], None]:
    return lambda root: make(root / name)


MIRROR = files("vggsound_00.tar.gz", "vggsound_08.tar.gz", "vggsound.csv")
CLIPS = files("zpWuikVorYg_000032.mp4", "-0YKOo9r_Xs_000010.mp4", "notes.txt")
FOLDERS: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "MS3": (ms3, "set", "is AVSBench MS3, in which several objects sound at a time; it is not read here"),
    "v2": (videos(10), "v2", "is v2 of AVSBench-semantic, a folder per video with several sounds and kinds"),
    "v2, renamed": (videos(10), "set", "is v2 of AVSBench-semantic, a folder per video"),
    "v1m": (videos(5), "v1m", "is v1m of AVSBench-semantic, a folder per video with several sounds and kinds"),
    "v1s": (videos(5), "v1s", "is v1s of AVSBench-semantic, a folder per video; to read v1s, name the folder with"),
    "five frames": (videos(5), "set", "is v1s or v1m of AVSBench-semantic, a folder per video; to read v1s"),
    "no table": (above(videos(5), "v1s"), "set", "is AVSBench-semantic with v1s; v1s can be read when metadata.csv"),
    "no v1s": (without_v1s, "set", "is AVSBench-semantic with v1m, v2; of its subsets v1s alone is shaped as"),
    "mirror": (MIRROR, "set", "is VGGSound as the hub's mirror packs it, 2 of 20 parts; unpack them, then `prepare_"),
    "films": (CLIPS, "set", "is a folder of VGGSound's films, not prepared; `prepare_vggsound.py` cuts"),
    "shards": (files("00000.tar"), "set", "holds 1 shards, which are read for training; `uspl check` reads pairs of"),
    "above MS3": (above(ms3, "Multi-sources"), "set", "holds no data set of its own; `Multi-sources` in it is AVSB"),
}


@pytest.mark.parametrize(("make", "name", "says"), FOLDERS.values(), ids=list(FOLDERS))
def test_a_folder_that_is_not_read_is_named(make: Callable[[Path], None], name: str, says: str, tmp_path: Path) -> None:
    make(tmp_path / name)
    for read in (examine, lambda root: AVSBench(root, "train")):
        with pytest.raises(DataError) as refused:
            read(tmp_path / name)
        assert refused.value.reason.startswith(says)


def test_a_folder_above_names_the_one_that_is_read(tmp_path: Path) -> None:
    for table in ("metadata.csv", TABLE):
        (tmp_path / table / "set").mkdir(parents=True)
        (tmp_path / table / "set" / table).touch()
        with pytest.raises(DataError, match=rf"{table} is in `.*{table}/set`: name that folder"):
            examine(tmp_path / table)


def test_check_of_pairs_whose_names_do_not_fit(tmp_path: Path) -> None:
    for kind, end in (("frames", "jpg"), ("audio", "wav")):
        (_made(tmp_path / kind) / f"zpWuikVorYg_32.{end}").write_bytes(b"x")
    (tmp_path / "vggss.json").write_text(json.dumps([{"file": "zpWuikVorYg_000032", "class": "bell", "bbox": []}]))
    says = "0 of 1 names fit; yours look like `zpWuikVorYg_32`, the list has `zpWuikVorYg_000032`."
    assert examine(tmp_path).verdict.sentence.endswith(says)
