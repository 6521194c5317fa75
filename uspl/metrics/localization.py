"""Section 4.2, VGG-SS: how the peers mark pixels in a map, cIoU and AUC, and the published boxes as maps."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

How = Literal["half", "half_image", "half_image_strict", "minmax"]


def binarise(maps: Float[Tensor, "n h w"], *, how: How) -> Bool[Tensor, "n h w"]:
    """What a map marks (Reading 17).

    Args:
        maps (N, H, W): sounding maps, in [0, 1] for "half".
        how: "half" is M > 0.5; "half_image" marks the higher half of the pixels, as the VGG-SS peers do, and
            "half_image_strict" leaves out the pixels on the threshold itself, as LVS does;
            "minmax" is M >= 0.5 after each map was brought to [0, 1] by its minimum and maximum.

    >>> binarise(torch.tensor([[[0.1, 0.2, 0.3, 0.9]]]), how="half_image").int().tolist()
    [[[0, 0, 1, 1]]]
    >>> binarise(torch.tensor([[[0.1, 0.2, 0.3, 0.9]]]), how="half_image_strict").int().tolist()
    [[[0, 0, 0, 1]]]
    """
    if how == "half":
        return maps > 0.5
    if how not in ("half_image", "half_image_strict", "minmax"):
        words = "'half', 'half_image', 'half_image_strict' or 'minmax'"
        raise ValueError(f"`how` must be {words}; got {how!r}.")
    if how != "minmax" and maps.device.type == "cpu":
        marked = [_higher_half(m, strict=how == "half_image_strict") for m in maps.detach().numpy()]
        return torch.from_numpy(np.stack(marked)) if marked else maps > 0
    flat = to_unit(maps).flatten(1)
    if how == "minmax":
        return (flat >= 0.5).view(maps.shape)
    threshold = kth_smallest(flat, flat.shape[1] // 2)
    return (flat > threshold if how == "half_image_strict" else flat >= threshold).view(maps.shape)


def _higher_half(m: np.ndarray, *, strict: bool) -> np.ndarray:
    """The two rules for half of an image, one frame at a time: it stays in the processor's cache."""
    unit = m - m.min()
    unit /= max(unit.max(), np.float32(1e-12))
    values = unit.ravel().copy()
    values.partition(len(values) // 2)
    level = values[len(values) // 2]
    half: np.ndarray = unit > level if strict else unit >= level
    return half


def to_unit(maps: Float[Tensor, "n h w"]) -> Float[Tensor, "n h w"]:
    """Each map brought to [0, 1] by its own minimum and maximum; a constant map becomes 0."""
    maps = maps - maps.amin((1, 2), keepdim=True)
    return maps / maps.amax((1, 2), keepdim=True).clamp_min(1e-12)


def kth_smallest(rows: Float[Tensor, "n p"], k: int) -> Float[Tensor, "n 1"]:
    """The value at position k (from 0) of each sorted row, without sorting the rest.

    >>> kth_smallest(torch.tensor([[3.0, 1.0, 2.0]]), 1).tolist()
    [[2.0]]
    """
    if rows.device.type == "cpu":  # numpy's selection is over ten times as fast as torch's there
        return torch.from_numpy(np.partition(rows.contiguous().numpy(), k, axis=1)[:, k : k + 1].copy())
    return rows.kthvalue(k + 1, dim=1, keepdim=True).values


def sorted_rows(rows: Float[Tensor, "n p"]) -> Float[Tensor, "n p"]:
    """Each row from its smallest value to its largest."""
    if rows.device.type == "cpu":  # likewise
        return torch.from_numpy(np.sort(rows.contiguous().numpy(), axis=1))
    return rows.sort(dim=1).values


def count_at_or_above(
    rows: Float[Tensor, "n p"], levels: Float[Tensor, " k"], inside: Bool[Tensor, "n p"] | None = None
) -> Float[Tensor, "n k"]:
    """How many values of each row, of those `inside`, are at or above each level.

    A sort stands for many comparisons; a few are quicker made, without torch's cost per call.

    >>> count_at_or_above(torch.tensor([[0.1, 0.5, 0.9]]), torch.tensor([0.0, 0.5, 1.0])).tolist()
    [[3.0, 2.0, 0.0]]
    """
    if len(levels) <= 32 and rows.device.type == "cpu":
        found, chosen = np.empty((len(rows), len(levels))), None if inside is None else inside.numpy()
        for i, row in enumerate(rows.numpy()):
            for k, level in enumerate(levels.numpy()):
                found[i, k] = np.count_nonzero(row >= level if chosen is None else (row >= level) & chosen[i])
        return torch.from_numpy(found)
    if inside is not None:
        rows = rows.masked_fill(~inside, -torch.inf)  # which reaches no level
    below = torch.searchsorted(sorted_rows(rows), levels.expand(len(rows), -1).contiguous())
    return (rows.shape[1] - below).double()


def ciou(maps: Float[Tensor, "n h w"], gt_maps: Float[Tensor, "n h w"], *, rule: float | str = "half") -> Tensor:
    """cIoU of the VGG-SS peers: sum(pred gt) / (sum(gt) + sum(pred where gt is 0)).

    Args:
        maps (N, 224, 224): upsampled sounding maps, any range.
        gt_maps (N, 224, 224): weights in [0, 1] (`boxes_to_map`); an empty one scores 0.
        rule: "half" marks the higher half of the pixels, whatever the object's size ("half_strict" as LVS does,
            without the pixels on the threshold); a threshold in (0, 1) marks the pixels at or above it, the map
            taken as it is (bring other ranges to [0, 1] first).

    Returns:
        (N,): in [0, 1].

    >>> ciou(torch.tensor([[[0.9, 0.8, 0.2, 0.1]]]), torch.tensor([[[1.0, 0.0, 0.0, 0.0]]]))
    tensor([0.5000])
    """
    check_maps(maps, gt_maps)
    if rule in ("half", "half_strict"):
        pred = binarise(maps, how="half_image" if rule == "half" else "half_image_strict")
    elif isinstance(rule, int | float) and 0 < rule < 1:
        pred = maps >= rule
    else:
        raise ValueError(f"`rule` must be 'half', 'half_strict' or a threshold in (0, 1); got {rule!r}.")
    return ciou_of_marks(pred, gt_maps).to(maps.dtype)


def ciou_of_marks(pred: Bool[Tensor, "n h w"], gt_maps: Shaped[Tensor, "n h w"]) -> Float[Tensor, " n"]:
    """`ciou` of pixels that are marked already, in float64."""
    if gt_maps.dtype == torch.bool:
        both, area = count(pred & gt_maps), count(gt_maps)
        return both / (area + count(pred) - both).clamp_min(1e-12)
    if pred.device.type == "cpu":
        frames = zip(pred.numpy(), gt_maps.numpy(), strict=True)
        return torch.tensor([_ciou_of_frame(p, gt) for p, gt in frames], dtype=torch.float64)
    inter = (pred * gt_maps).flatten(1).sum(1, dtype=torch.float64)
    beside = count(pred & (gt_maps == 0))
    return inter / (gt_maps.flatten(1).sum(1, dtype=torch.float64) + beside).clamp_min(1e-12)


def _ciou_of_frame(pred: np.ndarray, gt: np.ndarray) -> float:
    """`ciou_of_marks` of one frame, which stays in the processor's cache; boxes are counted, weights are summed."""
    inside = gt > 0
    both, area = float(np.count_nonzero(pred & inside)), float(np.count_nonzero(inside))
    inter, beside = both, np.count_nonzero(pred) - both
    if np.count_nonzero(gt == 1) < area:
        inter, area = float(gt[pred].sum(dtype=np.float64)), float(gt.sum(dtype=np.float64))
    return inter / max(area + beside, 1e-12)


def count(marked: Bool[Tensor, "n h w"]) -> Float[Tensor, " n"]:
    """How many pixels of each frame are marked, in float64."""
    return marked.flatten(1).view(torch.uint8).sum(1, dtype=torch.int32).double()  # fast: bytes, not bools


def ciou_curve(
    maps: Float[Tensor, "n h w"], gt_maps: Float[Tensor, "n h w"], levels: Float[Tensor, " k"]
) -> Float[Tensor, "n k"]:
    """`ciou` at many absolute thresholds at once, in float64, from what `count_at_or_above` counts.

    Args:
        maps (N, H, W): sounding maps, taken as they are.
        gt_maps (N, H, W): weights in [0, 1]; an empty one scores 0.
        levels (k,): thresholds; a pixel at or above is marked.

    >>> maps, truth = torch.tensor([[[0.9, 0.8, 0.2, 0.1]]]), torch.tensor([[[1.0, 0.0, 0.0, 0.0]]])
    >>> ciou_curve(maps, truth, torch.tensor([0.15, 0.5, 0.85])).round(decimals=4).tolist()
    [[0.3333, 0.5, 1.0]]
    """
    check_maps(maps, gt_maps)
    flat, weights = maps.flatten(1), gt_maps.flatten(1)
    levels, inside = levels.to(flat), weights > 0
    within = count_at_or_above(flat, levels, inside)
    inter = within
    if not torch.equal(weights, inside.to(weights)):
        kinds = [weight for weight in weights.unique() if weight > 0]
        inter = torch.stack([weight * count_at_or_above(flat, levels, weights == weight) for weight in kinds]).sum(0)
    beside = count_at_or_above(flat, levels) - within
    return inter / (weights.sum(1, keepdim=True, dtype=torch.float64) + beside).clamp_min(1e-12)


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
    shares = count_at_or_above(cious.double()[None], levels)[0] / len(cious)
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


def centre_gaussian(height: int, width: int, sigma: float = 0.25) -> Float[Tensor, "{height} {width}"]:
    """exp(-r^2 / (2 sigma^2)), r the distance from the centre: a map that neither looks nor listens.

    Args:
        height, width: of the map, pixels; r is a share of each.
        sigma: share of the side. The half-image rule asks for ranks only, so there it has no say.

    >>> [round(v, 2) for v in centre_gaussian(3, 3)[1].tolist()]
    [0.41, 1.0, 0.41]
    """
    y, x = ((torch.arange(n, dtype=torch.float64) - (n - 1) / 2) / n for n in (height, width))
    return torch.exp(-(y[:, None] ** 2 + x**2) / (2 * sigma**2)).float()


def check_maps(maps: Tensor, truth: Tensor) -> None:
    """Refuse maps that have another shape than their ground truth, and none at all."""
    if maps.shape != truth.shape or not len(maps):
        shapes = f"{tuple(maps.shape)} and {tuple(truth.shape)}"
        raise ValueError(f"maps and ground truth must have one shape (N, H, W) with N >= 1; got {shapes}.")
