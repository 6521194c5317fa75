"""Which clips are scored: whole sets, openly partial ones, silent pairs; a threshold comes from validation alone."""

import gzip
import json
from pathlib import Path

import pytest
from PIL import Image

from tests.helpers.data_sample import copy, sample
from tests.helpers.models import model
from uspl.core.errors import DataError
from uspl.data.silent_pairs import SilentPairs
from uspl.data.splits import open_set
from uspl.evaluation import evaluate, threshold

PROTOCOLS = ("avsbench", "avsbench-batch(2)", "vggss-half", "vggss-adaptive", "vggss-absolute(val)", "slavc-extended")


def test_a_record_is_the_same_for_any_batch_and_any_number_of_workers() -> None:
    clips, val = open_set(sample(), "test", silent="negative", size=32), open_set(sample(), "val", size=32)
    given = {"protocols": PROTOCOLS, "val_set": val, "maps": ("m_crs", "m"), "audio_sensitivity": False}
    found = [evaluate.evaluate(model(), clips, batch_size=b, workers=w, **given) for b, w in ((1, 0), (7, 2), (18, 0))]
    assert found[0] == found[1] == found[2]
    scored = found[0]["protocols"]
    assert list(scored) == [*PROTOCOLS[:4], "vggss-absolute(val) for m_crs", "vggss-absolute(val) for m", PROTOCOLS[5]]
    assert scored["slavc-extended"]["n"] == 18
    assert scored["avsbench"]["n"] == 12  # silent pairs count only where a protocol asks for them
    assert scored["vggss-absolute(val) for m"]["threshold"]["split"] == "val"
    assert scored["vggss-absolute(val) for m"]["threshold"]["data_hash"] == val.data_hash
    assert json.loads(json.dumps(found[0])) == found[0]


def test_vggss_boxes_are_scored_by_the_half_image_rule() -> None:
    clips = open_set(sample(), boxes=sample() / "vggss.json", size=32)
    found = evaluate.evaluate(model(), clips, protocols=("vggss-half",), maps=("m",), audio_sensitivity=False)
    assert found["n"] == 12
    assert "scores" not in found  # the study's numbers are AVSBench's
    assert list(found["protocols"]["vggss-half"]["scores"]["m"]) == ["ciou", "auc", "mean_ciou"]


# Thresholds


def test_the_chosen_threshold_is_the_best_of_the_grid_on_validation() -> None:
    val = open_set(sample(), "val", size=32)
    chosen = threshold.choose_threshold(model(), val, protocol="avsbench", map="m")
    for t in (0.01, 0.25, 0.5, 0.75, 0.99):
        found = evaluate.evaluate(model(), val, protocols=(f"avsbench({t})",), maps=("m",), audio_sensitivity=False)
        value = found["protocols"][f"avsbench({t})"]["scores"]["m"]["miou"]["value"]
        assert value <= chosen.score + 1e-9
    again = evaluate.evaluate(
        model(), val, protocols=(f"avsbench({chosen.value})",), maps=("m",), audio_sensitivity=False
    )
    value = again["protocols"][f"avsbench({chosen.value})"]["scores"]["m"]["miou"]["value"]
    assert value == pytest.approx(chosen.score, abs=1e-9)


@pytest.mark.parametrize("split", ["test", "train"])
def test_a_threshold_is_never_chosen_on_what_is_tested(split: str) -> None:
    with pytest.raises(ValueError, match=f"`val_set` must be the split 'val': .*; got '{split}'"):
        threshold.choose_threshold(model(), open_set(sample(), split, size=32))
    boxes = open_set(sample(), boxes=sample() / "vggss.json", size=32)
    with pytest.raises(ValueError, match=r"never chosen on what is tested; got None"):
        threshold.choose_threshold(model(), boxes)


def test_a_protocol_without_a_threshold_has_none_to_choose() -> None:
    val = open_set(sample(), "val", size=32)
    with pytest.raises(ValueError, match="`protocol` must have a threshold to choose; got 'slavc-extended'"):
        threshold.choose_threshold(model(), val, protocol="slavc-extended")
    with pytest.raises(ValueError, match=r"`vggss-absolute\(val\)` needs the validation split"):
        evaluate.evaluate(model(), val, protocols=("vggss-absolute(val)",))


# Half-downloaded trees


@pytest.mark.parametrize(
    ("gone", "named"),
    [
        ("audio_wav/test/{kind}/test_00001.wav", "test_00001"),
        ("visual_frames/test/{kind}/test_00001/test_00001_2.png", "test_00001_2"),
    ],
)
def test_a_partial_set_is_scored_only_openly(gone: str, named: str, tmp_path: Path) -> None:
    root = copy(tmp_path / "set")
    kind = next((root / "s4_data/audio_wav/test").glob("*/test_00001.wav")).parent.name
    (root / "s4_data" / gone.format(kind=kind)).unlink()
    with pytest.raises(DataError, match=rf"lacks 1 clip beside the \d+ pairs .*'{named}' first; add --partial"):
        open_set(root, "test", size=32)
    clips = open_set(root, "test", size=32, partial=True)
    found = evaluate.evaluate(model(), clips, maps=("m_crs",), partial=True, audio_sensitivity=False)
    assert found["missing"] == [named]
    assert found["partial"] is True
    assert found["n"] == len(clips) < 12


def test_a_frame_without_ground_truth_is_scored_only_openly(tmp_path: Path) -> None:
    root = copy(tmp_path / "set")
    file = next((root / "s4_data/gt_masks/test").glob("*/test_00002/test_00002_1.png"))
    file.unlink()
    clips = open_set(root, "test", size=32)
    with pytest.raises(DataError, match="`test_00002_1` has no ground truth; add --partial"):
        evaluate.evaluate(model(), clips, maps=("m_crs",), audio_sensitivity=False)
    found = evaluate.evaluate(model(), clips, maps=("m_crs",), audio_sensitivity=False, partial=True)
    assert found["missing"] == ["test_00002_1"]
    assert found["n"] == found["protocols"]["avsbench"]["n"] == 11


def test_missing_vggss_pairs_are_named(tmp_path: Path) -> None:
    entries = json.loads((sample() / "vggss.json").read_text())
    boxes = tmp_path / "boxes.json"
    boxes.write_text(json.dumps([*entries, {"file": "gone_1", "class": "x", "bbox": [[0, 0, 1, 1]]}]))
    with pytest.raises(DataError, match=r"lacks 1 clip .*'gone_1' first; add --partial"):
        open_set(sample(), boxes=boxes, size=32)
    assert open_set(sample(), boxes=boxes, size=32, partial=True).missing == ["gone_1"]


# SLAVC's silent pairs


def silent_folder(home: Path) -> Path:
    wav = next((sample() / "s4_data/audio_wav/test").glob("*/*.wav"))
    for name in ("a_000001", "b_000002"):
        (home / "frames").mkdir(parents=True, exist_ok=True)
        (home / "audio").mkdir(exist_ok=True)
        Image.new("RGB", (20, 10), "red").save(home / "frames" / f"{name}.jpg")
        (home / "audio" / f"{name}.wav").write_bytes(wav.read_bytes())
    return home


def test_silent_pairs_are_read(tmp_path: Path) -> None:
    root = silent_folder(tmp_path / "vgg")
    rows = "video,audio,label\na_000001,b_000002,non-sounding\nb_000002,b_000002,sounding\nzz,b_000002,non-sounding\n"
    table = tmp_path / "pairs.csv.gz"
    table.write_bytes(gzip.compress(rows.encode()))
    pairs = SilentPairs(root, table, size=16, seconds=1.0)
    assert pairs.ids == ["b_000002+a_000001"]
    assert pairs.missing == ["b_000002+zz"]
    clip = pairs[0]
    assert clip.frame.shape == (3, 16, 16)
    assert clip.frame[0].min() > 200  # red
    assert clip.wave.shape == (16000,)
    boxes = tmp_path / "boxes.json"
    boxes.write_text(json.dumps([{"file": "a_000001", "class": "x", "bbox": [[0, 0, 0.5, 0.5]]}]))
    both = open_set(root, boxes=boxes, silent=str(table), size=16, partial=True)
    assert both.ids == ["a_000001", "b_000002+a_000001"]
    assert [both[i].mask.sum().item() for i in range(2)] == [64, 0]
    assert both.silent == {"b_000002+a_000001"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("video,audio\na,b\n", "lacks the column `label`; it has video, audio"),
        ("video,audio,label\n../x,b,non-sounding\n", "names '../x', which is no plain file name"),
        ("video,audio,label\na,b,non-sounding\n", "names no silent pair whose frame and sound are in"),
    ],
)
def test_a_bad_table_of_silent_pairs(text: str, sentence: str, tmp_path: Path) -> None:
    table = tmp_path / "pairs.csv"
    table.write_text(text)
    with pytest.raises(DataError, match=sentence):
        SilentPairs(tmp_path, table)
    with pytest.raises(DataError, match="is missing"):
        SilentPairs(tmp_path, tmp_path / "none.csv")
