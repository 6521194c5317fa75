"""What a page holds of maps and features: little, and exact where a reader compares."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from uspl import affinity
from uspl.kernels import affinity_autograd
from uspl.viz import draw
from uspl.viz.html_embed import Picture

LEVELS = 100  # thresholds in a page lie on steps of 1 / LEVELS
SIDE = 112  # pixels of a picture behind maps


def small(image: Any) -> Picture:
    """The picture, its longer side at most `SIDE` pixels.

    >>> small(np.zeros((3, 224, 112))).shape
    (112, 56, 3)
    """
    p = draw.picture(image)
    ratio = min(1.0, SIDE / max(p.shape[:2]))
    size = (max(1, round(p.shape[1] * ratio)), max(1, round(p.shape[0] * ratio)))
    return np.asarray(Image.fromarray(p).resize(size, Image.Resampling.BOX))


def levels(m: Float[Tensor, "b h w"]) -> UInt8[Tensor, "b h w"]:
    """How many of the thresholds .01, .02, ..., 1 a value reaches: 0 to `LEVELS`.

    >>> levels(torch.tensor([[[0.0, 0.004, 0.29, 1.0]]])).tolist()
    [[[0, 0, 29, 100]]]
    """
    steps = torch.arange(1, LEVELS + 1, dtype=torch.float64).div(LEVELS).to(m)
    return torch.bucketize(m.contiguous(), steps, right=True).to(torch.uint8)


def affinity_row(
    f_aff: Float[Tensor, "c h w"], pixel: tuple[int, int], *, r: int, metric: str = "euclidean", reduce: str = "mean"
) -> Float[Tensor, "h w"]:
    """Eq. (3) for one pixel: its row of the full matrix as a map, 1 at itself, 0 beyond the radius.

    >>> affinity_row(torch.tensor([[[0.0, 0.0, 1.0]]]), (0, 1), r=2)
    tensor([[1.0000, 1.0000, 0.3679]])
    """
    (_, h, w), (y, x) = f_aff.shape, pixel
    top, left = max(0, y - r), max(0, x - r)  # nothing beyond this window is within the radius
    near = f_aff[:, top : y + r + 1, left : x + r + 1]
    a = affinity.affinity(near[None], r=r, metric=metric, reduce=reduce)
    row = f_aff.new_zeros(h, w)
    inner = affinity.to_dense(a, r=r, metric=metric)[0, (y - top) * near.shape[2] + x - left]
    row[top : y + r + 1, left : x + r + 1] = inner.view(near.shape[1:])
    return row


def distances_for_page(
    f_aff: Float[Tensor, "c h w"], *, r: int, metric: str, reduce: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Arrays and options from which a page has the distances of Eq. (3): what is smaller.

    Features as float16; or, where a pixel has more bytes of features than neighbours, the distances to its half
    plane as bytes in 254 equal steps, 255 where the neighbour is outside.
    """
    f, offs = f_aff.detach().cpu().float(), affinity.offsets(r, metric=metric)
    if 2 * len(f) <= len(offs):
        return {"features": f.half().numpy()}, {"reduce": reduce}
    d = affinity_autograd.distance(f[None], offs, reduce=reduce)[0]
    inside = d.isfinite()
    step = max(d[inside].max().item() if inside.any() else 0.0, 1e-8) / 254
    stored = (d / step).round().where(inside, 255).to(torch.uint8)
    return {"distances": stored}, {"reduce": reduce, "step": step, "radius": [r, metric]}
