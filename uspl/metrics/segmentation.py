"""Section 4.2: each published rule under its source's name, and the floors and ceilings beside it."""

from collections.abc import Hashable, Sequence
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped
from numpy.typing import NDArray
from torch import Tensor

from uspl.metrics.localization import check_maps, count_at_or_above

Masks = Shaped[Tensor, "n h w"]  # bool, or numbers: positive where the pixel sounds
_CHUNK = 64  # frames whose sorted positions are held at once


def iou(pred: Bool[Tensor, "n h w"], gt: Bool[Tensor, "n h w"]) -> Float[Tensor, " n"]:
    """Intersection over union per frame, by AVSBench's rule.

    A frame with an empty ground truth scores the share of its pixels that were left empty, so
    1 for an empty prediction. Both terms are divided by (union + 1e-7).

    Args:
        pred: what was marked (N, H, W).
        gt: what sounds (N, H, W).

    Returns:
        (N,): in [0, 1].

    >>> gt = torch.tensor([[[True, True, False, False]], [[False, False, False, False]]])
    >>> pred = torch.tensor([[[True, False, True, False]], [[True, False, False, False]]])
    >>> iou(pred, gt).round(decimals=4)  # 1 of 3, and 3 of 4 left empty
    tensor([0.3333, 0.7500])
    """
    inter = (pred & gt).flatten(1).sum(1)
    return iou_of_counts(inter, pred.flatten(1).sum(1), gt.flatten(1).sum(1), pred.shape[1:].numel())


def avsbench_miou(logits: Float[Tensor, "n h w"], masks: Masks) -> float:
    """Mean IoU over frames, as published with AVSBench: prediction = sigmoid(logit) > 0.5, see `iou`.

    Args:
        logits (N, H, W): before the sigmoid; a logit of 0 is background.
        masks (N, H, W): positive where the pixel sounds; empty masks count.

    >>> avsbench_miou(torch.tensor([[[2.0, -2.0]]]), torch.tensor([[[1.0, 1.0]]]))
    0.5
    """
    check_maps(logits, masks)
    return iou(logits.sigmoid() > 0.5, masks > 0).mean().item()


def avsbench_fscore(
    logits: Float[Tensor, "n h w"],
    masks: Masks,
    *,
    per: Literal["video", "batch"] = "video",
    videos: Sequence[Hashable] | None = None,
) -> float:
    """F-measure of AVSBench, beta^2 = 0.3: the best of 255 thresholds on the mean curve of a group of frames.

    A curve is the mean over the frames that have a ground truth; a group without any scores 0.

    Args:
        logits (N, H, W): before the sigmoid; prediction = sigmoid(logit) >= threshold.
        masks (N, H, W): positive where the pixel sounds.
        per: "video" takes the maximum per video, then the mean over videos, so the batch size has no say;
            "batch" takes one maximum over all frames given, as the peers do per batch (Reading 18).
        videos: for `per="video"`, the video of each frame; None: each frame is a video of its own.

    >>> logits = torch.tensor([[[3.0, -1.0, -3.0]], [[-3.0, 1.0, -3.0]]])
    >>> masks = torch.tensor([[[1, 0, 0]], [[0, 1, 0]]])
    >>> round(avsbench_fscore(logits, masks), 4)
    1.0
    """
    check_maps(logits, masks)
    if per not in ("video", "batch"):
        raise ValueError(f"`per` must be 'video' or 'batch'; got {per!r}.")
    if videos is not None and len(videos) != len(logits):
        raise ValueError(f"`videos` must name the video of each of the {len(logits)} frames; got {len(videos)}.")
    curves, counted = f_curves_of_scores(logits.sigmoid(), masks)
    names = range(len(logits)) if videos is None else videos
    groups: dict[Hashable, list[int]] = {}
    for i, name in enumerate(names):
        groups.setdefault("all" if per == "batch" else name, []).append(i)
    best = []
    for frames in groups.values():
        with_truth = curves[frames][counted[frames]]
        best.append(with_truth.mean(0).max() if len(with_truth) else curves.new_zeros(()))
    return torch.stack(best).mean().item()


def f_curves_of_scores(
    scores: Float[Tensor, "n h w"], masks: Masks
) -> tuple[Float[Tensor, "n 255"], Bool[Tensor, " n"]]:
    """F-measure of each map in [0, 1] at 255 thresholds, in float64, and whether the frame has a ground truth."""
    levels = torch.linspace(0, 1 - 1e-10, 255, device=scores.device)
    curves, counted = [], []
    for some, truth in zip(torch.split(scores.float(), _CHUNK), torch.split(masks > 0, _CHUNK), strict=True):
        flat, inside = some.flatten(1), truth.flatten(1)
        hits = count_at_or_above(flat, levels, inside)
        total = inside.sum(1, keepdim=True).double()
        precision, recall = hits / (count_at_or_above(flat, levels) + 1e-20), hits / (total + 1e-20)
        curves.append(torch.nan_to_num(1.3 * precision * recall / (0.3 * precision + recall), nan=0.0))
        counted.append(total[:, 0] > 0)
    return torch.cat(curves), torch.cat(counted)


def iou_curve(scores: Float[Tensor, "n h w"], masks: Masks, levels: Float[Tensor, " k"]) -> Float[Tensor, "n k"]:
    """`iou` of the pixels above each level, in float64; a pixel on a level is not marked.

    >>> scores, truth = torch.tensor([[[0.9, 0.6, 0.2]]]), torch.tensor([[[1, 0, 0]]])
    >>> iou_curve(scores, truth, torch.tensor([0.5, 0.6, 0.7])).round(decimals=4).tolist()
    [[0.5, 1.0, 1.0]]
    """
    check_maps(scores, masks)
    flat, inside = scores.flatten(1), (masks > 0).flatten(1)
    above = torch.nextafter(levels, torch.full_like(levels, torch.inf)).to(flat)
    inter = count_at_or_above(flat, above, inside)
    return iou_of_counts(inter, count_at_or_above(flat, above), inside.sum(1, keepdim=True).double(), flat.shape[1])


def iou_of_counts(inter: Tensor, marked: Tensor, truth: Tensor, pixels: int) -> Tensor:
    """The rule of `iou` on counts of pixels."""
    return torch.where(truth > 0, inter / (marked + truth - inter + 1e-7), (pixels - marked) / (pixels + 1e-7))


Numbers = NDArray[np.float64]
