"""The protocols of VGG-SS: cIoU under each published rule."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from uspl.evaluation.protocols.base import (
    SIGMAS,
    Entry,
    Mark,
    Protocol,
    Threshold,
    Values,
    best_ciou,
    mark_half,
    numbers,
)
from uspl.metrics import localization
from uspl.metrics.segmentation import Numbers

SIDE = 224  # pixels
_EZVSL = "EZ-VSL (Mo and Morgado 2022), test.py"


def half(name: str, t: float | None, chosen: Threshold | None = None) -> Protocol:
    """Half of the image is marked."""
    rule = "cIoU on the higher half of the pixels: M >= its value at sorted position HW/2, whatever the object's size."
    return _boxes(name, rule, _EZVSL, mark_half, lambda area, hw: area * 0 + hw - hw // 2, SIGMAS[:1])


def half_strict(name: str, t: float | None, chosen: Threshold | None = None) -> Protocol:
    """LVS' variant of `half`."""
    rule = "As vggss-half, without the pixels on the threshold itself: M > its value at sorted position HW/2."
    source = "LVS (Chen et al. 2021), test.py"

    def mark(maps: Tensor, truth: Tensor) -> Tensor:
        return localization.binarise(maps, how="half_image_strict")

    return _boxes(name, rule, source, mark, lambda area, hw: area * 0 + hw - hw // 2 - 1, SIGMAS[:1])


def absolute(name: str, t: float | None, chosen: Threshold | None = None) -> Protocol:
    """An absolute threshold t."""
    rule = f"cIoU of M >= {t:g}, the map taken as it is, in [0, 1]."
    source = "ACL-SSL (Park et al. 2024), Eval.py, which keeps the t that is best on the test set; here it never is"
    protocol = _boxes(name, rule, source, lambda maps, truth: maps >= float(t or 0), lambda area, hw: area, SIGMAS)
    return replace(protocol, sweep=_ciou_curve, headline=_reached, chosen=chosen)


def minmax(name: str, t: float | None, chosen: Threshold | None = None) -> Protocol:
    """A threshold after min-max normalisation."""
    t = 0.5 if t is None else t
    rule = f"cIoU of M >= {t:g} after each map was brought to [0, 1] by its own minimum and maximum."
    protocol = _boxes(
        name, rule, _EZVSL, lambda maps, truth: localization.to_unit(maps) >= t, lambda area, hw: area, SIGMAS
    )

    def sweep(maps: Tensor, truth: Tensor, levels: Tensor) -> Tensor:
        return _ciou_curve(localization.to_unit(maps), truth, levels)

    return replace(protocol, sweep=sweep, headline=_reached, chosen=chosen)


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
        return (flat > localization.sorted_rows(flat).gather(1, place)).view(maps.shape)

    protocol = _boxes(name, rule, source, mark, lambda area, hw: (area - 1).clamp_min(0), SIGMAS[:1])
    return replace(protocol, knows_area=True)


def _boxes(
    name: str, rule: str, source: str, mark: Mark, best: Callable[[Tensor, int], Tensor], sigmas: tuple[float, ...]
) -> Protocol:
    """cIoU of what `mark` marks; `best` is how many pixels the best possible map marks."""

    def values(maps: Tensor, pred: Tensor, truth: Tensor, silent: Tensor) -> Values:
        return {"ciou": numbers(localization.ciou_of_marks(pred, truth > 0))}

    def oracle(truth: Tensor, silent: Tensor) -> Values:
        return {"ciou": best_ciou(truth, best)}

    def reduce(values: Values) -> dict[str, float]:
        cious = torch.from_numpy(values["ciou"])
        return {
            "ciou": localization.ciou_at(cious),
            "auc": localization.auc(cious),
            "mean_ciou": float(values["ciou"].mean()),
        }

    return Protocol(name, rule, source, ("ciou", "auc", "mean_ciou"), mark, values, oracle, reduce, sigmas, side=SIDE)


def _ciou_curve(maps: Tensor, truth: Tensor, levels: Tensor) -> Tensor:
    curve: Tensor = localization.ciou_curve(maps, (truth > 0).to(maps), levels)
    return curve


def _reached(curve: Numbers) -> Numbers:
    """Share of clips with a cIoU of at least 0.5, at each threshold."""
    shares: Numbers = (curve >= 0.5).mean(0)
    return shares


ENTRIES = (
    Entry("vggss-half", "", half),
    Entry("vggss-half-strict", "", half_strict),
    Entry("vggss-absolute", "t", absolute),
    Entry("vggss-minmax", "", minmax),
    Entry("vggss-minmax", "t", minmax),
    Entry("vggss-adaptive", "", adaptive),
)
