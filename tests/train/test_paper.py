"""The paper's experiment from end to end: ResNet50 and VGGish from random start, on folders shaped as the real data."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.data_sample import sample
from uspl import train
from uspl.cli import main, prepare_vggsound
from uspl.config import Config
from uspl.core import record
from uspl.core.errors import DataError
from uspl.data import AVSBench, VGGSound, splits
from uspl.experiments import report

# The paper's, but for published weights and the length: two steps an epoch.
FLAGS = ["--tier", "paper", "--visual-weights", "none", "--audio-weights", "none", "--batch-size", "4"]
SHORT = ["--warmup-epochs", "1", "--epochs", "2", "--variants", "full", "--seeds", "1"]


def experiment(tmp_path: Path, *given: str) -> dict[str, Any]:
    """The record of one `uspl study`, as `make run TIER=paper DATA=dir` starts it."""
    words = ["study", *FLAGS, *SHORT, "--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "out"), *given]
    main.main(words)
    (path,) = (tmp_path / "out").rglob("full-s1.json")
    return record.read(path)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Frames and sounds in VGGSound's layout, cut from the films of Sounding Shapes, and boxes for the test films."""
    home = tmp_path_factory.mktemp("vgg")
    films = home / "films"
    films.mkdir()
    for film in (sample() / "raw_videos").rglob("*.mp4"):
        shutil.copy(film, films)
    assert prepare_vggsound.main([str(films), str(home / "set"), "--workers", "2"]) == 0
    boxes = [{"file": f"test_0000{i}", "class": "x", "bbox": [[0.2, 0.2, 0.7, 0.7]]} for i in range(4)]
    (home / "boxes.json").write_text(json.dumps(boxes))
    (home / "train.txt").write_text("\n".join(f"train_{i:05}" for i in range(10)))
    return home


def test_avsbench(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = experiment(tmp_path, "--data", str(sample()), "--image-size", "112")  # half the side, for time
    assert capsys.readouterr().out.strip().endswith("full-s1.json")
    assert len(found["history"]) == 2
    assert found["kept"] == 1 + max((0, 1), key=lambda k: found["history"][k]["val_m"])
    assert found["n_train"] == 10
    assert found["changes"] == {
        "image_size": 112,
        "visual_weights": "none",
        "audio_weights": "none",
        "warmup_epochs": 1,
        "epochs": 2,
        "batch_size": 4,
        "seed": 1,
    }
    chosen = found["protocols"]["avsbench(val) for m"]
    assert chosen["threshold"]["split"] == "val"
    assert set(found["protocols"]["avsbench"]["scores"]) == {"m_crs", "m_fine", "m"}
    assert "mIoU [avsbench]" in report.compare({"ours": found})
    # The command in the record asks for the same run.
    assert found["command"].startswith(
        f"uspl study --data {sample()} --variants full --seeds 1 --split test --tier paper"
    )
    assert "--batch-size 4" in found["command"]


def test_vggsound(pairs: Path, tmp_path: Path) -> None:
    where = ["--data", str(pairs / "set"), "--boxes", str(pairs / "boxes.json"), "--protocol", "vggss-half"]
    where += ["--keep", "best"]
    found = experiment(tmp_path, *where, "--train-list", str(pairs / "train.txt"))
    assert (found["n_train"], found["n_val"], found["leaked"], found["keep_leaked"]) == (8, 2, 0, False)
    assert found["kept"] == 1 + min((0, 1), key=lambda k: found["history"][k]["val_loss"])
    assert found["n"] == 4
    assert found["split"] == "boxes.json"
    assert found["changes"]["seconds"] == 3
    assert found["protocols"]["vggss-half"]["scores"]["m"]["ciou"]["ceiling"] == 1


def test_the_held_out_pairs_are_the_same_each_time_and_never_trained_on(pairs: Path) -> None:
    cfg = Config.paper(image_size=32)
    first, again = (splits.training(cfg, pairs / "set") for _ in range(2))
    assert first.val.ids == again.val.ids
    assert not set(first.val.ids) & set(first.train.ids)
    assert len(first.val) == 2
    assert sorted([*first.val.ids, *first.train.ids]) == VGGSound(pairs / "set").ids


def test_a_list_is_for_vggsound(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="`train_list` is for VGGSound"):
        splits.training(Config.tiny(), sample(), train_list=tmp_path / "list.txt")


def test_a_folder_that_is_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"s4_meta_data\.csv` is missing"):
        splits.training(Config.tiny(), tmp_path)


def test_a_batch_larger_than_the_set_is_refused(tmp_path: Path) -> None:
    cfg = Config.tiny(batch_size=11)
    with pytest.raises(ValueError, match="`batch_size` must be at most the number of training videos, 10; got 11"):
        train.train_or_load(cfg, sample(), runs=tmp_path)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_half_downloaded_set_is_trained_on_only_if_asked(tmp_path: Path) -> None:
    root = shutil.copytree(sample(), tmp_path / "set")
    shutil.rmtree(next((root / "s4_data/visual_frames/train").glob("*/train_00003")))
    cfg = Config.tiny()
    with pytest.raises(DataError, match="train_00003"):
        splits.training(cfg, root)
    clips = splits.training(cfg, root, partial=True)
    assert clips.about()["n_missing"] == 1
    assert len(clips.train) == len(AVSBench(sample(), "train")) - 3
