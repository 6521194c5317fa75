"""AVSBench's protocols: mIoU and F-score."""

import numpy as np
from torch import Tensor

from uspl.config import Config
from uspl.evaluation.protocols.base import Entry, Mark, Protocol, Threshold, Values, numbers
from uspl.metrics import localization, segmentation
from uspl.metrics.segmentation import Numbers

SOURCE = "AVSBench (Zhou et al. 2022), avs_s4/utils/utility.py"
WHOLE = 1 << 60  # videos: a batch that holds every set


def avsbench(name: str, t: float | None, chosen: Threshold | None = None) -> Protocol:
    """mIoU at 0.5 (or t) over frames, F-score per video."""
    t = 0.5 if t is None else t
    rule = (
        f"mIoU: mean over frames of the IoU of M > {t:g}, a frame without truth scores the share left empty. "
        "F-score: beta^2 = 0.3, the best of 255 thresholds on the mean curve of each video, then the mean over videos."
    )
    return _of_frames(name, rule, lambda maps, truth: maps > t, None, chosen)


def avsbench_batch(name: str, n: float | None, chosen: Threshold | None = None) -> Protocol:
    """The peers' F-score per batch of n videos."""
    rule = (
        f"As avsbench, but the best threshold is taken per batch of {n} videos in the order of the table, and batches "
        "are averaged: the peers' number, which depends on the size of the batch."
    )
    return _of_frames(name, rule, lambda maps, truth: maps > 0.5, int(n or 1), chosen)


def configured(cfg: Config) -> Protocol:
    """As `avsbench`, with what `Config.binarise` and `Config.fscore_per` say (Readings 17, 18)."""
    rule = f"As avsbench, marked by {cfg.binarise}, the F-score maximised per {cfg.fscore_per}."
    batch = WHOLE if cfg.fscore_per == "batch" else None
    return _of_frames("avsbench", rule, lambda maps, truth: localization.binarise(maps, how=cfg.binarise), batch, None)


def _of_frames(name: str, rule: str, mark: Mark, batch: int | None, chosen: Threshold | None) -> Protocol:
    def values(maps: Tensor, pred: Tensor, truth: Tensor, silent: Tensor) -> Values:
        curves, counted = segmentation.f_curves_of_scores(maps, truth)
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
        SOURCE,
        ("miou", "fscore"),
        mark,
        values,
        oracle,
        reduce,
        by_video=True,
        sweep=segmentation.iou_curve,
        headline=lambda curve: curve.mean(0),
        chosen=chosen,
    )


def _frames(pred: Tensor, truth: Tensor, curve: Numbers, counted: Numbers) -> Values:
    gt = truth > 0
    inter, marked, total = (localization.count(x) for x in (pred & gt, pred, gt))
    ious = segmentation.iou_of_counts(inter, marked, total, pred.shape[1:].numel())
    return {"iou": numbers(ious), "frames": np.ones(len(pred)), "curve": curve, "counted": counted}


ENTRIES = (
    Entry("avsbench", "", avsbench),
    Entry("avsbench", "t", avsbench),
    Entry("avsbench-batch", "n", avsbench_batch),
)
