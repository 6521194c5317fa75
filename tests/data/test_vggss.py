"""uspl.data.vggss: boxes as masks, in the layout of Sounding Shapes and in that of the peers."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.helpers.data_sample import sample
from uspl import metrics
from uspl.core.errors import DataError
from uspl.data import VGGSS, AVSBench


def test_box_file_of_sounding_shapes() -> None:
    data = VGGSS(sample(), sample() / "vggss.json", size=112, seconds=1.0)
    pairs = AVSBench(sample(), "test")
    assert data.ids == pairs.ids
    for i in (0, 4, 11):
        boxed, exact = data[i], pairs[i]
        assert torch.equal(boxed.frame, exact.frame)
        assert torch.equal(boxed.wave, exact.wave)
        assert exact.mask is not None
        assert boxed.mask[exact.mask].all()
    assert VGGSS(sample(), sample() / "vggss.json")[0].wave.shape == (48000,)


def test_peers_layout(tmp_path: Path) -> None:
    for folder in ("frames", "audio"):
        (tmp_path / folder).mkdir()
    Image.new("RGB", (320, 240), (200, 0, 0)).save(tmp_path / "frames/a_000030.jpg")
    shutil.copy(sample() / "s4_data/audio_wav/test/star_bell/test_00000.wav", tmp_path / "audio/a_000030.wav")
    boxes = [
        {"file": "a_000030", "class": "bell", "bbox": [[0.0, 0.0, 0.5, 0.5], [0.25, 0.25, 1.0, 1.0]]},
        {"file": "b_000001", "class": "bell", "bbox": [[0.0, 0.0, 1.0, 1.0]]},
    ]
    (tmp_path / "vggss.json").write_text(json.dumps(boxes))
    data = VGGSS(tmp_path, tmp_path / "vggss.json")
    assert data.ids == ["a_000030"]
    assert data.missing == ["b_000001"]
    assert data[0].frame.shape == (3, 224, 224)
    assert torch.equal(data[0].mask.float(), metrics.boxes_to_map(boxes[0]["bbox"]))  # type: ignore[arg-type]
    assert len(data[0].wave) == 48000


def test_box_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.json` is missing\."):
        VGGSS(tmp_path, tmp_path / "none.json")
    for text in ("{", '[{"file": "a"}]', "[1]"):
        (tmp_path / "boxes.json").write_text(text)
        with pytest.raises(DataError, match=r"is no JSON list of"):
            VGGSS(tmp_path, tmp_path / "boxes.json")
    (tmp_path / "boxes.json").write_text(json.dumps([{"file": "a", "class": "b", "bbox": []}]))
    with pytest.raises(DataError, match="names no pair whose frame and sound are in"):
        VGGSS(tmp_path, tmp_path / "boxes.json")
