"""Section 4.2: the published ways to score maps, each with its exact rule, its source and its oracle.

A protocol marks pixels, turns each clip into a few float64 numbers and all of them into scores, once and in the order
of the data set, so the size of a batch has no say.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped
from numpy.typing import NDArray
from torch import Tensor

from uspl import metrics, vsl

Numbers = NDArray[np.float64]
Values = dict[str, Numbers]  # each (N, ...): one row per clip, or per video once they are joined
Maps = Float[Tensor, "n h w"]
Truth = Shaped[Tensor, "n h w"]  # bool, or numbers: positive where the pixel sounds
Silent = Bool[Tensor, " n"]
Mark = Callable[[Tensor, Tensor], Tensor]  # maps and truth -> the pixels that count as marked, bool
Sweep = Callable[[Tensor, Tensor, Tensor], Tensor]  # maps, truth and k levels -> (N, k), the rule at each threshold

SIGMAS = (0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.7)  # centre Gaussians that are tried, shares of the side
_EZVSL, _AVS = "EZ-VSL (Mo and Morgado 2022), test.py", "AVSBench (Zhou et al. 2022), avs_s4/utils/utility.py"


@dataclass(frozen=True)
class Threshold:
    """A threshold with the clips it was chosen on.

    Raises:
        ValueError: it was chosen on another split than "val".
    """

    value: float  # in (0, 1)
    split: str
    n: int  # pairs it was chosen on
    data_hash: str  # of those clips
    score: float  # what it reached there

    def __post_init__(self) -> None:
        if self.split != "val":
            raise ValueError(
                f"a threshold must be chosen on the split 'val', never on what is tested; got {self.split!r}."
            )


@dataclass(frozen=True)
class Protocol:
    """One published way to score maps."""

    name: str
    rule: str  # the whole definition in a sentence or two
    source: str
    scores: tuple[str, ...]  # what `reduce` gives; the first is the headline
    mark: Mark
    values: Callable[[Tensor, Tensor, Tensor, Tensor], Values]  # maps, marked, truth, silent -> numbers of each clip
    oracle: Callable[[Tensor, Tensor], Values]  # truth, silent -> the best numbers any map could have
    reduce: Callable[[Values], dict[str, float]]
    sigmas: tuple[float, ...] = SIGMAS
    by_video: bool = False  # rows are joined per video before `reduce`
    sweep: Sweep | None = None  # where there is a threshold that can be chosen
    chosen: Threshold | None = None
    knows_area: bool = False  # `mark` looks at the truth

    def measure(self, maps: Maps, truth: Truth, silent: Silent) -> Values:
        """The numbers of each clip, from maps (N, H, W) in [0, 1] and what sounds (N, H, W)."""
        return self.values(maps, self.mark(maps, truth), truth, silent)

    @property
    def silence(self) -> bool:
        """Whether it needs items in which nothing sounds."""
        return "ap" in self.scores


# AVSBench


def avsbench(name: str, t: float | None, chosen: Threshold | None = None) -> Protocol:
    """mIoU at 0.5 (or t) over frames, F-score per video."""
    t = 0.5 if t is None else t
    rule = (
        f"mIoU: mean over frames of the IoU of M > {t:g}, a frame without truth scores the share left empty. "
        "F-score: beta^2 = 0.3, the best of 255 thresholds on the mean curve of each video, then the mean over videos."
    )
    return _of_frames(name, rule, t, None, chosen)


def avsbench_batch(name: str, n: float | None, chosen: Threshold | None = None) -> Protocol:
    """The peers' F-score per batch of n videos."""
    rule = (
        f"As avsbench, but the best threshold is taken per batch of {n} videos in the order of the table, and batches "
        "are averaged: the peers' number, which depends on the size of the batch."
    )
    return _of_frames(name, rule, 0.5, int(n or 1), chosen)


def _of_frames(name: str, rule: str, t: float, batch: int | None, chosen: Threshold | None) -> Protocol:
    def values(maps: Tensor, pred: Tensor, truth: Tensor, silent: Tensor) -> Values:
        curves, counted = metrics.f_curves_of_scores(maps, truth)
        return _frames(pred, truth, numbers(curves), numbers(counted))

    def oracle(truth: Tensor, silent: Tensor) -> Values:
        counted = numbers((truth > 0).flatten(1).any(1))
        return _frames(truth > 0, truth, np.repeat(counted[:, None], 255, 1), counted)

    def reduce(values: Values) -> dict[str, float]:
        parts = {k: np.add.reduceat(v, np.arange(0, len(v), batch or 1)) for k, v in values.items()}
        best = (parts["curve"] / np.maximum(parts["counted"], 1)[:, None]).max(1)
        each = parts["iou"] / parts["frames"]
        miou = each.mean() if batch else values["iou"].sum() / values["frames"].sum()
        return {"miou": float(miou), "fscore": float(best.mean())}

    return Protocol(
        name,
        rule,
        _AVS,
        ("miou", "fscore"),
        lambda maps, truth: maps > t,
        values,
        oracle,
        reduce,
        by_video=True,
        sweep=metrics.iou_curve,
        chosen=chosen,
    )


def _frames(pred: Tensor, truth: Tensor, curve: Numbers, counted: Numbers) -> Values:
    gt = truth > 0
    inter, marked, total = (vsl.count(x) for x in (pred & gt, pred, gt))
    ious = metrics.iou_of_counts(inter, marked, total, pred.shape[1:].numel())
    return {"iou": numbers(ious), "frames": np.ones(len(pred)), "curve": curve, "counted": counted}


# VGG-SS


def half(name: str, t: float | None, chosen: Threshold | None = None) -> Protocol:
    """Half of the image is marked."""
    rule = "cIoU on the higher half of the pixels: M >= its value at sorted position HW/2, whatever the object's size."
    return _boxes(name, rule, _EZVSL, mark_half, lambda area, hw: area * 0 + hw - hw // 2, SIGMAS[:1])


def half_strict(name: str, t: float | None, chosen: Threshold | None = None) -> Protocol:
    """LVS' variant of `half`."""
    rule = "As vggss-half, without the pixels on the threshold itself: M > its value at sorted position HW/2."
    source = "LVS (Chen et al. 2021), test.py"

    def mark(maps: Tensor, truth: Tensor) -> Tensor:
        return vsl.binarise(maps, how="half_image_strict")

    return _boxes(name, rule, source, mark, lambda area, hw: area * 0 + hw - hw // 2 - 1, SIGMAS[:1])


def absolute(name: str, t: float | None, chosen: Threshold | None = None) -> Protocol:
    """An absolute threshold t."""
    rule = f"cIoU of M >= {t:g}, the map taken as it is, in [0, 1]."
    source = "ACL-SSL (Park et al. 2024), Eval.py, which keeps the t that is best on the test set; here it never is"
    protocol = _boxes(name, rule, source, lambda maps, truth: maps >= float(t or 0), lambda area, hw: area, SIGMAS)
    return replace(protocol, sweep=_ciou_curve, chosen=chosen)


def minmax(name: str, t: float | None, chosen: Threshold | None = None) -> Protocol:
    """A threshold after min-max normalisation."""
    t = 0.5 if t is None else t
    rule = f"cIoU of M >= {t:g} after each map was brought to [0, 1] by its own minimum and maximum."
    protocol = _boxes(name, rule, _EZVSL, lambda maps, truth: vsl.to_unit(maps) >= t, lambda area, hw: area, SIGMAS)
    return replace(protocol, sweep=lambda maps, truth, at: _ciou_curve(vsl.to_unit(maps), truth, at), chosen=chosen)


def adaptive(name: str, t: float | None, chosen: Threshold | None = None) -> Protocol:
    """The truth's own number of pixels is marked."""
    rule = (
        "cIoU of M > its value at sorted position HW - T, where T is the number of pixels of the truth (HW/2 where it "
        "is empty): the area is given away."
    )
    source = "SSLalignment (Senocak et al. 2023), test.py, `CIoU_adap`"

    def mark(maps: Tensor, truth: Tensor) -> Tensor:
        flat, area = maps.flatten(1), (truth > 0).flatten(1).sum(1, keepdim=True)
        hw = flat.shape[1]
        place = hw - torch.where(area > 0, area, hw // 2)
        return (flat > vsl.sorted_rows(flat).gather(1, place)).view(maps.shape)

    protocol = _boxes(name, rule, source, mark, lambda area, hw: (area - 1).clamp_min(0), SIGMAS[:1])
    return replace(protocol, knows_area=True)


def _boxes(
    name: str, rule: str, source: str, mark: Mark, best: Callable[[Tensor, int], Tensor], sigmas: tuple[float, ...]
) -> Protocol:
    """cIoU of what `mark` marks; `best` is how many pixels the best possible map marks."""

    def values(maps: Tensor, pred: Tensor, truth: Tensor, silent: Tensor) -> Values:
        return {"ciou": numbers(vsl.ciou_of_marks(pred, truth > 0))}

    def oracle(truth: Tensor, silent: Tensor) -> Values:
        return {"ciou": best_ciou(truth, best)}

    def reduce(values: Values) -> dict[str, float]:
        cious = torch.from_numpy(values["ciou"])
        return {"ciou": metrics.ciou_at(cious), "auc": metrics.auc(cious), "mean_ciou": float(values["ciou"].mean())}

    return Protocol(name, rule, source, ("ciou", "auc", "mean_ciou"), mark, values, oracle, reduce, sigmas)


def _ciou_curve(maps: Tensor, truth: Tensor, levels: Tensor) -> Tensor:
    curve: Tensor = vsl.ciou_curve(maps, (truth > 0).to(maps), levels)
    return curve


def mark_half(maps: Tensor, truth: Tensor) -> Tensor:
    """The higher half of the pixels."""
    return vsl.binarise(maps, how="half_image")


def best_ciou(truth: Tensor, best: Callable[[Tensor, int], Tensor]) -> Numbers:
    """cIoU of the best map that marks `best(pixels of the truth, pixels)` pixels."""
    area = vsl.count(truth > 0)
    marked = best(area, truth.shape[1:].numel())
    return numbers(torch.minimum(area, marked) / torch.maximum(area, marked).clamp_min(1e-12))


def numbers(x: Tensor) -> Numbers:
    """A tensor as float64 numbers of numpy."""
    found: Numbers = x.double().cpu().numpy()
    return found
