"""SLAVC's extended benchmark: does a map find what sounds, and stay unsure where nothing does?

Every item has a confidence. An item that sounds is found when its confidence reaches the threshold and its cIoU
reaches 0.5; it is missed when its confidence stays below. A silent item whose confidence reaches the threshold, and
an item that is marked in the wrong place, is a false alarm (Mo and Morgado 2022, and the code published with it).
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from uspl.metrics.localization import auc
from uspl.metrics.segmentation import Numbers

SIZES: dict[str, tuple[float, float]] = {  # pixels of 224 x 224 that sound: from, below
    "small": (0, 32**2),
    "medium": (32**2, 96**2),
    "large": (96**2, 144**2),
    "huge": (144**2, float("inf")),
}


class Items(NamedTuple):
    """What the statistics need of each item, N in all, one float64 each."""

    ciou: Numbers  # in [0, 1]; no meaning where nothing sounds
    confidence: Numbers
    sounding: Numbers  # 1 or 0
    area: Numbers  # pixels that sound

    def where(self, chosen: NDArray[np.bool_]) -> "Items":
        """The items that are chosen."""
        return Items(*(column[chosen] for column in self))


def confidence(scores: Float[Tensor, "n h w"]) -> Float[Tensor, " n"]:
    """Mean of the top quarter of a map's values, in float64.

    Args:
        scores (N, H, W): as the model gives them, in [0, 1]; (cos + 1) / 2 where the map is a cosine.

    >>> confidence(torch.tensor([[[0.0, 0.2, 0.4, 0.6, 0.8, 0.8, 0.6, 0.4]]])).round(decimals=4).tolist()
    [0.8]
    """
    flat = scores.flatten(1)
    return flat.topk(-(-flat.shape[1] // 4), dim=1).values.mean(1, dtype=torch.float64)


def precision_recall(items: Items, thresholds: Numbers, *, at: float = 0.5) -> tuple[Numbers, Numbers]:
    """Precision and recall at each confidence threshold (inclusive), from one sort of the confidences.

    Precision is found / (found + false alarms), recall is found / (found + missed); 1 where nothing is counted.
    """
    order = np.argsort(items.confidence, kind="stable")
    sounding = items.sounding[order] > 0
    found = sounding & (items.ciou[order] >= at)
    first = np.searchsorted(items.confidence[order], thresholds)  # items from here on reach the threshold
    reach = len(order) - first
    hits, seen = _from(found)[first], _from(sounding)[first]
    missed = sounding.sum() - seen
    precision = np.divide(hits, reach, out=np.ones(len(first)), where=reach > 0)
    recall = np.divide(hits, hits + missed, out=np.ones(len(first)), where=hits + missed > 0)
    return precision, recall


def average_precision(items: Items, *, at: float = 0.5) -> float:
    """Sum over falling thresholds of (best precision from here on) x (step of recall).

    The thresholds are the confidences themselves, the highest left out, every max(1, N // 200)-th.

    >>> items = Items(*map(np.array, ([0.9, 0.8, 0.7], [0.9, 0.6, 0.5], [1, 1, 0], [9.0, 9.0, 0.0])))
    >>> average_precision(items)  # thresholds .6 and .5: recall is 1 at both
    0.0
    """
    thresholds = np.sort(items.confidence)[:-1][:: -max(1, len(items.confidence) // 200)]
    if len(thresholds) < 2:
        return 0.0
    precision, recall = precision_recall(items, thresholds, at=at)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(best[:-1] * np.diff(recall)))


def f1_curve(items: Items, *, at: float = 0.5) -> Numbers:
    """F1 at about ten confidences, from the lowest: every max(1, N // 10)-th of the sorted ones."""
    thresholds = np.sort(items.confidence)[:: max(1, len(items.confidence) // 10)]
    return f1(items, thresholds, at=at)


def f1(items: Items, thresholds: Numbers, *, at: float = 0.5) -> Numbers:
    """2 p r / (p + r) at each confidence threshold; 0 where both are 0."""
    precision, recall = precision_recall(items, thresholds, at=at)
    both = precision + recall
    return np.divide(2 * precision * recall, both, out=np.zeros_like(both), where=both > 0)


def loc_acc(items: Items) -> float:
    """Share of the sounding items with a cIoU above 0.5 (strictly, as published); 0 where nothing sounds."""
    sounding = items.sounding > 0
    return float((items.ciou[sounding] > 0.5).sum() / max(sounding.sum(), 1))


def statistics(items: Items, *, at: float = 0.5) -> dict[str, dict[str, float]]:
    """AP, maximum of F1, precision and AUC of all items, of those that sound, and of those by size.

    Returns:
        {subset: {"n", "ap", "max_f1", "precision", "auc"}}; a subset without items has "n" alone.
    """
    sounds = items.sounding > 0
    subsets = {"all": np.ones_like(sounds), "visible": sounds}
    subsets |= {k: sounds & (low <= items.area) & (items.area < high) for k, (low, high) in SIZES.items()}
    result: dict[str, dict[str, float]] = {}
    for name, chosen in subsets.items():
        some = items.where(chosen)
        result[name] = {"n": len(some.ciou)}
        if len(some.ciou):
            found = (some.sounding > 0) & (some.ciou >= at)
            result[name] |= {
                "ap": average_precision(some, at=at),
                "max_f1": float(f1_curve(some, at=at).max()),
                "precision": float(found.mean()),
            }
        if some.sounding.any():
            result[name]["auc"] = auc(torch.from_numpy(some.ciou[some.sounding > 0]))
    return result


def _from(marks: NDArray[np.bool_]) -> NDArray[np.int64]:
    """How many marks there are from each place on, with a 0 behind the last."""
    return np.append(np.cumsum(marks[::-1])[::-1], 0)
