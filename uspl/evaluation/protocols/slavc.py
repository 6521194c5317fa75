"""SLAVC's extended protocol: localisation and detection on sounding and silent pairs."""

import numpy as np
from torch import Tensor

from uspl.evaluation.protocols.base import (
    SIGMAS,
    Entry,
    Protocol,
    Silence,
    Threshold,
    Values,
    best_ciou,
    mark_half,
    numbers,
)
from uspl.metrics import localization
from uspl.metrics.detection import Items, average_precision, confidence, f1_curve, loc_acc, statistics
from uspl.metrics.segmentation import Numbers


def extended(name: str, t: float | None, chosen: Threshold | None = None) -> Protocol:
    """SLAVC's AP, max-F1 and LocAcc, by the half-image rule or an absolute threshold t."""
    how = "the half-image rule" if t is None else f"M >= {t:g}"
    rule = (
        f"cIoU by {how}; confidence is the mean of the top quarter of the map. AP over confidences, the maximum of F1 "
        "over about ten of them, both with silent pairs as false alarms; LocAcc is the share of sounding pairs with "
        "cIoU > 0.5."
    )

    def mark(maps: Tensor, truth: Tensor) -> Tensor:
        return mark_half(maps, truth) if t is None else maps >= t

    def values(maps: Tensor, pred: Tensor, truth: Tensor, silent: Tensor) -> Values:
        return _items(numbers(localization.ciou_of_marks(pred, truth > 0)), numbers(confidence(maps)), truth, silent)

    def oracle(truth: Tensor, silent: Tensor) -> Values:
        reach = best_ciou(truth, lambda area, hw: area * 0 + hw - hw // 2 if t is None else area)
        heard = 1 - numbers(silent)
        return _items(reach * heard, heard * (1 + (reach >= 0.5)), truth, silent)  # surest first, silence last

    def reduce(values: Values) -> dict[str, float]:
        items = Items(**values)
        best = float(f1_curve(items).max())
        return {"ap": average_precision(items), "max_f1": best, "loc_acc": loc_acc(items)}

    source = "SLAVC (Mo and Morgado 2022), utils.py, EvaluatorFull"
    sigmas = SIGMAS[:1] if t is None else SIGMAS
    scores = ("ap", "max_f1", "loc_acc")
    return Protocol(name, rule, source, scores, mark, values, oracle, reduce, sigmas, silence=SILENCE, side=224)


def _items(cious: Numbers, sure: Numbers, truth: Tensor, silent: Tensor) -> Values:
    hw = truth.shape[1:].numel()
    area = numbers(localization.count(truth > 0)) * 224**2 / hw  # the size bins are pixels of 224 x 224
    return {"ciou": cious, "confidence": sure, "sounding": 1 - numbers(silent), "area": area}


def _unsure(values: Values) -> Values:
    """A blind guess knows no confidence, and the oracle none within a class: the draw of a seed parts equal ones."""
    uniform = np.random.default_rng(0).random(len(values["confidence"]))
    return values | {"confidence": values["confidence"] + 0.5 * uniform}


SILENCE = Silence(lambda values: values["sounding"], _unsure, lambda values: statistics(Items(**values)))
ENTRIES = (Entry("slavc-extended", "", extended), Entry("slavc-extended", "t", extended, chosen=False))
