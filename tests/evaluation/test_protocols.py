"""Section 4.2: the named protocols against their golden values, their floors and ceilings, and thresholds."""

import json
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.helpers.protocols import EXAMPLES, judged, up, values, vsl_golden
from tests.helpers.values import reference, shared
from uspl.evaluation.protocols.base import Threshold
from uspl.evaluation.protocols.registry import named, names
from uspl.evaluation.scorer import ProtocolScorer
from uspl.metrics import detection, localization

# Golden values


@pytest.mark.parametrize(
    ("name", "key", "how"),
    [
        ("vggss-half", "ezvsl_test_bilinear_ac", ("bilinear", True)),
        ("vggss-half", "ezvsl_val_bicubic", ("bicubic", False)),
        ("vggss-minmax", "ezvsl_fixed0.5", ("bilinear", True)),
    ],
)
def test_ezvsl_matches(name: str, key: str, how: tuple[str, bool]) -> None:
    golden, gt = vsl_golden()
    found = values(name, up(golden["heat"], *how), gt)
    expected = golden[f"{key}_AP50_meanciou_AUC"].tolist()
    assert [found["ciou"], found["mean_ciou"], found["auc"]] == pytest.approx(expected, abs=1e-6)


def test_lvs_strict_matches() -> None:
    golden, gt = vsl_golden()
    maps = up(golden["heat"], "bilinear", False)
    torch.testing.assert_close(localization.ciou(maps, gt, rule="half_strict"), golden["lvs_ciou"], rtol=0, atol=1e-4)
    found = values("vggss-half-strict", maps, gt)
    assert [found["ciou"], found["auc"]] == pytest.approx(golden["lvs_cIoU_AUC"].tolist(), abs=1e-6)


def slavc_maps() -> tuple[Tensor, Tensor, Tensor]:
    """Scores, truth and which items are silent: 50 with boxes, then 12 without."""
    golden, gt = vsl_golden()
    tau = golden["slavc_tau"].item()
    scores = (up(golden["slavc_heat"], "bicubic", True) + 1 / tau) / (2 / tau)
    return scores, torch.cat([gt, torch.zeros(12, 224, 224)]), golden["slavc_nbox"] == 0


@pytest.mark.parametrize(("name", "key"), [("slavc-extended", "slavc_rel"), ("slavc-extended(0.5)", "slavc_abs")])
def test_slavc_matches_from_the_maps(name: str, key: str) -> None:
    golden, _ = vsl_golden()
    scores, truth, silent = slavc_maps()
    found = judged(name, scores, truth, silent=silent)
    loc_acc, ap, _ = golden[f"{key}_precision50_ap50_f1at0.5"].tolist()
    value = {k: v["value"] for k, v in found["scores"]["m"].items()}
    assert [value["loc_acc"], value["ap"]] == pytest.approx([loc_acc, ap], abs=1e-6)
    stats = dict(zip(golden[f"{key}_stat_names"], golden[f"{key}_stat_values"], strict=True))
    assert 100 * value["max_f1"] == pytest.approx(max(map(float, stats["F1-all@50"].split())), abs=0.051)
    np.testing.assert_allclose(detection.confidence(scores), golden["slavc_conf"], atol=1e-6)
    for size in detection.SIZES:
        assert found["subsets"]["m"][size]["ap"] == pytest.approx(float(stats[f"AP-{size}@50"]), abs=1e-6)


@pytest.mark.parametrize("key", ["slavc_rel", "slavc_abs"])
@pytest.mark.parametrize("at", [0.5, 0.75])
def test_slavc_statistics_match(key: str, at: float) -> None:
    golden, _ = vsl_golden()
    columns = (golden[f"{key}_ciou"], golden["slavc_conf"], golden["slavc_nbox"], golden["slavc_area"])
    items = detection.Items(*(c.double().numpy() for c in columns))
    stats = dict(zip(golden[f"{key}_stat_names"], golden[f"{key}_stat_values"], strict=True))
    for subset, found in detection.statistics(items, at=at).items():
        where = f"{subset}@{at * 100:.0f}"
        curve = [float(v) / 100 for v in stats[f"F1-{where}"].split()]
        assert found["max_f1"] == pytest.approx(max(curve), abs=5.1e-4), where  # stored with one decimal
        for name, theirs in (("ap", "AP"), ("precision", "Precision"), ("auc", "AUC")):
            assert found[name] == pytest.approx(float(stats[f"{theirs}-{where}"]), abs=1e-6), (theirs, where)
    _, _, f1 = golden[f"{key}_precision50_ap50_f1at0.5"].tolist()
    assert detection.f1(items, np.array([0.5])).item() == pytest.approx(f1, abs=1e-6)


@pytest.mark.parametrize("name", ["main", "edge_one_empty_gt_one_empty_pred_one_full_pred", "all_gt_empty"])
def test_avsbench_matches(name: str) -> None:
    golden = reference("metrics_avsbench")
    logits, gt = golden[f"avs_{name}_logits"], golden[f"avs_{name}_gt"].float()
    each, together = golden[f"avs_{name}_Fmeasure_each"], golden[f"avs_{name}_Fmeasure_batch"].item()
    found = values("avsbench", logits.sigmoid(), gt)
    assert found["miou"] == pytest.approx(golden[f"avs_{name}_mask_iou"].item(), abs=1e-6)
    assert found["fscore"] == pytest.approx(each.double().mean().item(), abs=1e-6)  # each frame a video
    in_one_video = judged("avsbench", logits.sigmoid(), gt, [f"v_{i}" for i in range(len(gt))])
    assert in_one_video["scores"]["m"]["fscore"]["value"] == pytest.approx(together, abs=1e-6)
    batch = values(f"avsbench-batch({len(gt)})", logits.sigmoid(), gt)
    assert batch["fscore"] == pytest.approx(together, abs=1e-6)


# The published boxes


@lru_cache(maxsize=1)
def published() -> dict[str, Any]:
    entries = json.loads(shared("reference/metadata/vggss.json").read_text())
    tally = ProtocolScorer(named("vggss-half"))
    for i in range(0, len(entries), 64):
        some = entries[i : i + 64]
        gt = torch.stack([localization.boxes_to_map(e["bbox"]) for e in some])
        tally.add([e["file"] for e in some], {}, gt)
    return tally.result()


def test_the_published_boxes_lie_between_34_and_50() -> None:
    """A constant map scores what LVS reports, and the best ranking there is scores 50.5."""
    found = published()
    assert found["n"] == 5158
    percent = {k: (round(100 * v["ciou"], 1), round(100 * v["auc"], 1)) for k, v in found["floors"].items()}
    assert percent == {"whole_image": (21.9, 31.3), "centre_gaussian": (34.0, 37.4)}
    assert (round(100 * found["ceiling"]["ciou"], 1), round(100 * found["ceiling"]["auc"], 1)) == (50.5, 49.5)


# Names


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_protocol_says_what_it_is(name: str) -> None:
    p = named(name)
    assert p.name == name
    assert p.rule.endswith(".")
    assert p.source


def test_every_name_has_an_example() -> None:
    kinds = {n.replace("(t)", "(0.4)").replace("(n)", "(2)") for n in names()}
    assert {n.replace("(0.3)", "(0.4)") for n in EXAMPLES} == kinds


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("magic", "`protocol` must be one of avsbench, avsbench.t., .*; got 'magic'"),
        ("vggss-absolute", "`protocol` must be one of .*; got 'vggss-absolute'"),
        ("vggss-half(0.5)", "`protocol` must be one of .*; got 'vggss-half.0.5.'"),
        ("vggss-absolute(1.5)", r"`vggss-absolute\(t\)` needs a threshold in \(0, 1\), or `val`; got '1.5'"),
        ("vggss-absolute(nan)", "got 'nan'"),
        ("avsbench-batch(0)", r"`avsbench-batch\(n\)` needs a whole number of videos from 1; got '0'"),
        ("vggss-absolute(val)", "needs a threshold that was chosen on validation"),
        ("slavc-extended(val)", "got 'val'"),
        ("", "got ''"),
    ],
)
def test_unknown_names_are_refused(name: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        named(name)


def test_a_threshold_from_the_test_split_is_refused() -> None:
    good = Threshold(0.3, "val", 10, "abc", 0.5)
    assert named("vggss-absolute(val)", good).rule.startswith("cIoU of M >= 0.3")
    for split in ("test", "train", ""):
        with pytest.raises(ValueError, match=f"chosen on the split 'val', never on what is tested; got '{split}'"):
            Threshold(0.3, split, 10, "abc", 0.5)
