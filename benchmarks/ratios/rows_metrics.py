"""Section 4.2: the published scores against loops over maps and thresholds."""

import torch
from torch import Tensor

from benchmarks.ratios import naive
from benchmarks.ratios.row import Row, Side, random
from uspl import metrics

N, SIZE = 20, 224
_IDENTICAL = 1e-12  # float64: sums in another order


def maps() -> tuple[Tensor, Tensor]:
    """Maps in [0, 1] and what sounds, (20, 224, 224)."""
    return random(5, N, SIZE, SIZE), random(6, N, SIZE, SIZE) > 0.7


def f_measure(_: torch.device) -> dict[str, Side]:
    """F-measure at 255 thresholds."""
    m, truth = maps()
    base = lambda: torch.stack([naive.f_curve(a, b) for a, b in zip(m, truth, strict=True)])  # noqa: E731
    return {"plain": Side(base, lambda: metrics.f_curves_of_scores(m, truth)[0])}


def ciou(_: torch.device) -> dict[str, Side]:
    """cIoU with the higher half of the pixels marked, and AUC."""
    m, truth = maps()
    gt = truth.float()

    def base() -> object:
        found = torch.tensor([naive.ciou_half(a, b) for a, b in zip(m, gt, strict=True)], dtype=torch.float64)
        return found.float(), torch.tensor(naive.auc(found)).double()

    def ours() -> object:
        found = metrics.ciou(m, gt)
        return found, torch.tensor(metrics.auc(found)).double()

    return {"plain": Side(base, ours)}


def curve(_: torch.device) -> dict[str, Side]:
    """cIoU at 19 thresholds."""
    m, truth = maps()
    gt, levels = truth.float(), torch.arange(1, 20) / 20
    base = lambda: torch.stack([naive.ciou_curve(a, b, levels) for a, b in zip(m, gt, strict=True)])  # noqa: E731
    return {"plain": Side(base, lambda: metrics.ciou_curve(m, gt, levels))}


def auc(_: torch.device) -> dict[str, Side]:
    """AUC of as many images as VGG-SS has."""
    cious = random(7, 5158).double()
    return {"plain": Side(lambda: naive.auc(cious), lambda: metrics.auc(cious))}


_MAPS = f"{N} maps of {SIZE} x {SIZE}"
ROWS = [
    Row(
        "f-measure",
        "F-measure against a loop over maps and thresholds",
        f"{_MAPS}, 255 thresholds",
        f_measure,
        _IDENTICAL,
        {"plain": 20},
    ),
    Row("ciou", "cIoU by the half of the pixels, and AUC, against sorting map by map", _MAPS, ciou, 1e-7, {"plain": 5}),
    Row(
        "ciou-curve",
        "cIoU at thresholds against a loop over maps and thresholds",
        f"{_MAPS}, 19 thresholds",
        curve,
        _IDENTICAL,
        {"plain": 5},
    ),
    Row(
        "auc",
        "AUC against a loop over images and thresholds",
        "5158 images, 21 thresholds",
        auc,
        _IDENTICAL,
        {"plain": 5},
    ),
]
