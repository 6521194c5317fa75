"""What no model is needed for: the whole image, the best centre box, every object, the largest one."""

import torch
from jaxtyping import Bool, UInt8
from torch import Tensor

from uspl.metrics.segmentation import _CHUNK, Masks, iou, iou_of_counts


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
    flat, total = boxes.flatten(1), torch.zeros(len(sides), dtype=torch.float64, device=masks.device)
    for some in torch.split(masks > 0, _CHUNK):
        gt = some.flatten(1).float()
        total += iou_of_counts(gt @ flat.T, flat.sum(1), gt.sum(1, keepdim=True), h * w).double().sum(0)
    means = total / len(masks)
    best = int(means.argmax())
    return means[best].item(), sides[best]


def largest_object(objects: UInt8[Tensor, "n h w"]) -> Bool[Tensor, "n h w"]:
    """The pixels of the object with the largest visible area in each frame; none where there is no object."""
    labels = torch.arange(1, int(objects.max()) + 2, device=objects.device)
    areas = torch.stack([(objects == k).flatten(1).sum(1) for k in labels], 1)
    return objects == labels[areas.argmax(1)][:, None, None]
