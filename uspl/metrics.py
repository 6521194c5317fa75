"""Section 4.2: each published rule under its source's name, and the floors and ceilings beside it."""

from collections.abc import Hashable, Sequence
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped, UInt8
from torch import Tensor

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
    return _iou(inter, pred.flatten(1).sum(1), gt.flatten(1).sum(1), pred.shape[1:].numel())


def avsbench_miou(logits: Float[Tensor, "n h w"], masks: Masks) -> float:
    """Mean IoU over frames, as published with AVSBench: prediction = sigmoid(logit) > 0.5, see `iou`.

    Args:
        logits (N, H, W): before the sigmoid; a logit of 0 is background.
        masks (N, H, W): positive where the pixel sounds; empty masks count.

    >>> avsbench_miou(torch.tensor([[[2.0, -2.0]]]), torch.tensor([[[1.0, 1.0]]]))
    0.5
    """
    _check(logits, masks)
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
    _check(logits, masks)
    if per not in ("video", "batch"):
        raise ValueError(f"`per` must be 'video' or 'batch'; got {per!r}.")
    if videos is not None and len(videos) != len(logits):
        raise ValueError(f"`videos` must name the video of each of the {len(logits)} frames; got {len(videos)}.")
    curves, counted = f_curves(logits, masks)
    names = range(len(logits)) if videos is None else videos
    groups: dict[Hashable, list[int]] = {}
    for i, name in enumerate(names):
        groups.setdefault("all" if per == "batch" else name, []).append(i)
    best = []
    for frames in groups.values():
        with_truth = curves[frames][counted[frames]]
        best.append(with_truth.mean(0).max() if len(with_truth) else curves.new_zeros(()))
    return torch.stack(best).mean().item()


def f_curves(logits: Float[Tensor, "n h w"], masks: Masks) -> tuple[Float[Tensor, "n 255"], Bool[Tensor, " n"]]:
    """F-measure of each frame at 255 thresholds, and whether the frame has a ground truth."""
    # One histogram of the thresholds each pixel passes stands for 255 comparisons.
    levels = torch.linspace(0, 1 - 1e-10, 255, device=logits.device)
    curves, counted = [], []
    for scores, truth in zip(torch.split(logits.sigmoid(), _CHUNK), torch.split(masks > 0, _CHUNK), strict=True):
        n = len(scores)
        passed = torch.searchsorted(levels, scores.float().flatten(1).contiguous(), right=True)  # 0 .. 255
        row = torch.arange(n, device=scores.device)[:, None] * 256
        inside = truth.flatten(1)
        everything = _at_least((row + passed).flatten(), n)
        hits = _at_least((row + passed)[inside], n)
        total = inside.sum(1, keepdim=True).double()
        precision, recall = hits / (everything + 1e-20), hits / (total + 1e-20)
        curves.append(torch.nan_to_num(1.3 * precision * recall / (0.3 * precision + recall), nan=0.0))
        counted.append(total[:, 0] > 0)
    return torch.cat(curves).float(), torch.cat(counted)


def binarise(maps: Float[Tensor, "n h w"], *, how: Literal["half", "half_image", "adaptive"]) -> Bool[Tensor, "n h w"]:
    """What a map marks (Reading 17).

    Args:
        maps (N, H, W): sounding maps, in [0, 1] for "half".
        how: "half" is M > 0.5; "half_image" marks the higher half of the pixels, as the VGG-SS peers do;
            "adaptive" is M >= 0.5 after each map was brought to [0, 1] by its minimum and maximum.

    >>> binarise(torch.tensor([[[0.1, 0.2, 0.3, 0.9]]]), how="half_image").int().tolist()
    [[[0, 0, 1, 1]]]
    """
    if how == "half":
        return maps > 0.5
    if how not in ("half_image", "adaptive"):
        raise ValueError(f"`how` must be 'half', 'half_image' or 'adaptive'; got {how!r}.")
    flat = maps.flatten(1)
    flat = flat - flat.amin(1, keepdim=True)
    flat = flat / flat.amax(1, keepdim=True).clamp_min(1e-12)
    if how == "adaptive":
        return (flat >= 0.5).view(maps.shape)
    threshold = flat.sort(1).values[:, flat.shape[1] // 2, None]
    return (flat >= threshold).view(maps.shape)


def ciou(maps: Float[Tensor, "n h w"], gt_maps: Float[Tensor, "n h w"], *, rule: float | str = "half") -> Tensor:
    """cIoU of the VGG-SS peers: sum(pred gt) / (sum(gt) + sum(pred where gt is 0)).

    Args:
        maps (N, 224, 224): upsampled sounding maps, any range.
        gt_maps (N, 224, 224): weights in [0, 1] (`boxes_to_map`); an empty one scores 0.
        rule: "half" marks the higher half of the pixels, whatever the object's size; a threshold in (0, 1)
            marks the pixels at or above it, the map taken as it is (bring other ranges to [0, 1] first).

    Returns:
        (N,): in [0, 1].

    >>> ciou(torch.tensor([[[0.9, 0.8, 0.2, 0.1]]]), torch.tensor([[[1.0, 0.0, 0.0, 0.0]]]))
    tensor([0.5000])
    """
    _check(maps, gt_maps)
    if rule == "half":
        pred = binarise(maps, how="half_image")
    elif isinstance(rule, int | float) and 0 < rule < 1:
        pred = maps >= rule
    else:
        raise ValueError(f"`rule` must be 'half' or a threshold in (0, 1); got {rule!r}.")
    inter = (pred * gt_maps).flatten(1).sum(1)
    beside = (pred & (gt_maps == 0)).flatten(1).sum(1)
    return inter / (gt_maps.flatten(1).sum(1) + beside).clamp_min(1e-12)


def ciou_at(cious: Float[Tensor, " n"], threshold: float = 0.5) -> float:
    """Share of images whose cIoU reaches the threshold: the "cIoU" column of the peers' tables, in [0, 1].

    >>> ciou_at(torch.tensor([0.2, 0.5, 0.9, 0.4]), 0.5)
    0.5
    """
    return (cious.double() >= threshold).double().mean().item()


def auc(cious: Float[Tensor, " n"]) -> float:
    """Area under the share of images that reach a threshold, over 0, 0.05, ..., 1 by trapezoids; in [0, 1].

    >>> round(auc(torch.tensor([0.5])), 4)  # 1 up to 0.5, then 0
    0.525
    """
    levels = torch.tensor([0.05 * i for i in range(21)], dtype=torch.float64, device=cious.device)
    shares = (cious.double()[:, None] >= levels).double().mean(0)
    return torch.trapezoid(shares, levels).item()


def boxes_to_map(
    boxes: Sequence[Sequence[float]] | Float[Tensor, "k 4"] | Float[np.ndarray, "k 4"], *, size: int = 224
) -> Float[Tensor, "{size} {size}"]:
    """Union of VGG-SS boxes as a 0/1 map: coordinates clipped to [0, 1], times `size`, truncated.

    Args:
        boxes (k, 4): x1, y1, x2, y2 as shares of the width and height.
        size: side of the map, pixels.

    >>> boxes_to_map([[0.25, 0.0, 0.75, 0.5]], size=4).int().tolist()
    [[0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    """
    corners = torch.as_tensor(np.asarray(boxes, dtype=np.float64).reshape(-1, 4)).clamp(0, 1) * size
    filled = torch.zeros(size, size)
    for x1, y1, x2, y2 in corners.long().tolist():
        filled[y1:y2, x1:x2] = 1
    return filled


def floors(masks: Masks, objects: UInt8[Tensor, "n h w"] | None = None) -> dict[str, float]:
    """What blind guesses reach: mean `iou` of each, to stand beside every result.

    Args:
        masks (N, H, W): positive where the pixel sounds.
        objects (N, H, W): 0 background, else the number of the object, sounding or not; None: not known.

    Returns:
        "whole_image" and "centre_box" (the best centred square of one size for all frames); with `objects`
        also "every_object" and "largest_object", which see the outlines and do not hear.

    >>> masks = torch.zeros(1, 4, 4)
    >>> masks[0, 1:3, 1:3] = 1
    >>> {k: round(v, 4) for k, v in floors(masks).items()}
    {'whole_image': 0.25, 'centre_box': 1.0}
    """
    gt = masks > 0
    found = {"whole_image": iou(torch.ones_like(gt), gt).mean().item(), "centre_box": centre_box(masks)[0]}
    if objects is not None:
        found["every_object"] = iou(objects > 0, gt).mean().item()
        found["largest_object"] = iou(largest_object(objects), gt).mean().item()
    return found


def centre_box(masks: Masks) -> tuple[float, int]:
    """Mean `iou` of the best centred square, and its side in pixels; one side for all frames."""
    h, w = masks.shape[1:]
    sides = range(max(1, min(h, w) // 24), min(h, w) + 1, max(1, min(h, w) // 24))
    boxes = torch.zeros(len(sides), h, w, device=masks.device)
    for box, side in zip(boxes, sides, strict=True):
        box[(h - side) // 2 :, (w - side) // 2 :][:side, :side] = 1
    gt = (masks > 0).flatten(1).float()
    flat = boxes.flatten(1)
    means = _iou(gt @ flat.T, flat.sum(1), gt.sum(1, keepdim=True), h * w).mean(0)
    best = int(means.argmax())
    return means[best].item(), sides[best]


def largest_object(objects: UInt8[Tensor, "n h w"]) -> Bool[Tensor, "n h w"]:
    """The pixels of the object with the largest visible area in each frame; none where there is no object."""
    labels = torch.arange(1, int(objects.max()) + 2, device=objects.device)
    areas = torch.stack([(objects == k).flatten(1).sum(1) for k in labels], 1)
    return objects == labels[areas.argmax(1)][:, None, None]


def _iou(inter: Tensor, marked: Tensor, truth: Tensor, pixels: int) -> Tensor:
    """The rule of `iou` on counts of pixels."""
    return torch.where(truth > 0, inter / (marked + truth - inter + 1e-7), (pixels - marked) / (pixels + 1e-7))


def _at_least(places: Tensor, n: int) -> Tensor:
    """From places 256 * frame + levels passed: pixels per frame that pass at least level 1, 2, ..., 255."""
    counts = torch.bincount(places, minlength=256 * n).view(n, 256)
    return counts.flip(1).cumsum(1).flip(1)[:, 1:].double()


def _check(maps: Tensor, truth: Tensor) -> None:
    if maps.shape != truth.shape or not len(maps):
        shapes = f"{tuple(maps.shape)} and {tuple(truth.shape)}"
        raise ValueError(f"maps and ground truth must have one shape (N, H, W) with N >= 1; got {shapes}.")
