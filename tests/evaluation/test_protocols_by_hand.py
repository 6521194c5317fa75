"""Section 4.2: protocols on maps whose scores are known, and curves against loops over their thresholds."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.helpers.protocols import EXAMPLES, judged, values
from tests.helpers.values import random
from uspl import metrics
from uspl.evaluation.protocols.registry import named

# By hand


def corner(*sides: int) -> Tensor:
    """8 x 8 maps, each with a square of that side in the corner."""
    maps = torch.zeros(len(sides), 8, 8)
    for m, side in zip(maps, sides, strict=True):
        m[:side, :side] = 1
    return maps


@pytest.mark.parametrize(
    ("name", "headline"),
    [
        ("avsbench", 1.0),
        ("vggss-half", 0.0),  # everything ties at 0, so everything is marked: 4 of 64
        ("vggss-half-strict", 1.0),
        ("vggss-absolute(0.5)", 1.0),
        ("vggss-minmax", 1.0),
        ("vggss-adaptive", 0.0),  # strictly above the value of the last true pixel: nothing
    ],
)
def test_a_perfect_two_valued_map(name: str, headline: float) -> None:
    p = named(name)
    assert values(name, corner(2), corner(2))[p.scores[0]] == pytest.approx(headline, abs=1e-6)


def test_adaptive_marks_one_pixel_less_than_the_truth() -> None:
    ranked = torch.arange(64.0).view(1, 8, 8) / 64
    truth = (ranked >= 60 / 64).float()
    assert values("vggss-adaptive", ranked, truth)["mean_ciou"] == pytest.approx(3 / 4)
    assert judged("vggss-adaptive", ranked, truth)["ceiling"]["mean_ciou"] == pytest.approx(3 / 4)


def test_an_empty_truth() -> None:
    for name, expected in (("avsbench", 1.0), ("vggss-absolute(0.5)", 0.0), ("vggss-adaptive", 0.0)):
        ceiling = judged(name, corner(2), torch.zeros(1, 8, 8))["ceiling"]
        assert ceiling[named(name).scores[0]] == pytest.approx(expected, abs=1e-6)


@settings(max_examples=8)
@given(st.integers(0, 999))
def test_no_map_beats_the_ceiling(seed: int) -> None:
    truth = (random(seed, 4, 8, 8) > 0.7).float()
    truth[0] = 0
    truth[1, 0, 0] = 1
    mixed = 0.7 * truth + 0.3 * random(seed + 1, 4, 8, 8)
    for name in EXAMPLES:
        found = judged(name, mixed, truth)
        for score, s in found["scores"]["m"].items():
            assert s["value"] <= s["ceiling"] + 1e-9, (name, score)
            assert max(v[score] for v in found["floors"].values()) == s["floor"]


@given(st.integers(0, 999))
def test_a_perfect_ranking_reaches_the_ceiling_of_the_half_image_rule(seed: int) -> None:
    truth = (random(seed, 3, 8, 8) > 0.8).float()
    truth[:, 0, 0] = 1
    found = judged("vggss-half", truth + 0.5 * random(seed + 1, 3, 8, 8), truth)["scores"]["m"]
    for s in found.values():
        assert s["value"] == pytest.approx(s["ceiling"])


# Loops over thresholds


def slow_ciou_curve(maps: Tensor, gt: Tensor, levels: Tensor) -> Tensor:
    return torch.stack([metrics.ciou(maps, gt, rule=float(level)) for level in levels], 1).double()


@pytest.mark.parametrize("n", [19, 99])  # counted, and sorted
@given(st.integers(0, 999))
def test_ciou_curve_is_the_loop_over_thresholds(n: int, seed: int) -> None:
    maps = (random(seed, 3, 6, 5) * 20).round() / 20  # many values lie on a level
    gt = (random(seed + 1, 3, 6, 5) * 2).round() / 2  # weights 0, 1/2, 1, as in Flickr's truth
    levels = torch.linspace(0.05, 0.95, n)
    torch.testing.assert_close(
        metrics.ciou_curve(maps, gt, levels), slow_ciou_curve(maps, gt, levels), atol=1e-6, rtol=0
    )


@pytest.mark.parametrize("n", [19, 99])  # counted, and sorted
@given(st.integers(0, 999))
def test_iou_curve_is_the_loop_over_thresholds(n: int, seed: int) -> None:
    maps, gt = (random(seed, 3, 6, 5) * 20).round() / 20, random(seed + 1, 3, 6, 5) > 0.6
    gt[0] = False
    levels = torch.linspace(0.05, 0.95, n)
    slow = torch.stack([metrics.iou(maps > level, gt) for level in levels], 1).double()
    torch.testing.assert_close(metrics.iou_curve(maps, gt, levels), slow, atol=1e-6, rtol=0)


def test_f_curve_is_the_loop_over_thresholds_at_full_size() -> None:
    maps, truth = random(0, 2, 224, 224), random(1, 2, 224, 224) > 0.7
    curves, _ = metrics.f_curves_of_scores(maps, truth)
    for score, gt, curve in zip(maps, truth, curves, strict=True):
        for k, level in enumerate(torch.linspace(0, 1 - 1e-10, 255)):
            pred = score >= level
            hits = (pred & gt).sum().double()
            p, r = hits / (pred.sum() + 1e-20), hits / (gt.sum() + 1e-20)
            expected = (1.3 * p * r / (0.3 * p + r)).nan_to_num(0.0)
            assert curve[k].item() == pytest.approx(expected.item(), abs=1e-12)
