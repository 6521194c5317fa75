"""Live figures of chapters 03 and 04: what is sure (Eq. 5), who belongs together (Eq. 3), the walk (Eqs. 7-8).

Each function takes what a chapter has at hand and returns what `live_figure.figure` makes of it: controls where a
kernel lives, else arrays and a script in the page, which computes the same.
"""

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import interpolate, max_pool2d

from uspl import affinity, maps, refine
from uspl.config import Range
from uspl.metrics import segmentation
from uspl.viz import draw as viz
from uspl.viz import live_figure, quantize
from uspl.viz.html_embed import Picture
from uspl.walk import random_walk

MOST_STEPS = 1024  # of a walk in a page: every map of it is kept there
R_MAX = 7  # largest radius of `whom`


def trimap_thresholds(
    image: Any,
    m: Float[Tensor, "b h w"],
    mask: Bool[Tensor, "b h w"],
    *,
    beta_l: float,
    beta_h: float,
    r: int,
    metric: str = "euclidean",
    which: int = 0,
) -> Any:
    r"""Eq. (5) with two handles: what is sounding, silent, unsure; the pairs that follow; how much of it is right.

    The page holds one map in `quantize.LEVELS` levels, and of all maps the numbers of pixels per level: each threshold
    on a step of .01 gives the same three-way map as `refine.trimap`.

    Args:
        image: the clip shown, as for `viz.picture`.
        m: refined maps (B, h, w) in [0, 1]; the numbers below the figure are over all of them.
        mask: what truly sounds (B, h, w), for judging only.
        beta_l: first value of the lower handle; both are rounded to .01.
        beta_h: first value of the upper handle.
        r: radius in pixels of the pairs of Eq. (6) that are counted.
        metric: see `affinity.offsets`.
        which: index of the map shown.

    Returns:
        The figure: HTML, or `ipywidgets`.

    Raises:
        ValueError: `beta_l` not below `beta_h` on steps of .01, one outside [0, 1], shapes that differ, or no map
            `which`.

    >>> m = torch.tensor([[[0.1, 0.5, 0.9]]])
    >>> figure = trimap_thresholds(m.expand(3, 1, 3), m, m > 0.5, beta_l=0.4, beta_h=0.55, r=2)
    """
    _same_shape(m, mask, "m")
    if not 0 <= which < len(m):
        raise ValueError(f"`which` must be the index of one of {len(m)} maps; got {which}.")
    m, mask, low, high = m.detach().cpu(), mask.cpu(), round(beta_l, 2), round(beta_h, 2)
    refine.trimap(m, beta_l=low, beta_h=high)  # refuses thresholds in the wrong order
    if low < 0 or high > 1:
        raise ValueError(f"`beta_l` and `beta_h` must lie in [0, 1]; got {beta_l} and {beta_h}.")
    affinity.offsets(r, metric=metric)
    level = quantize.levels(m)
    counts = torch.stack(
        [torch.bincount(level[side].flatten().long(), minlength=quantize.LEVELS + 1) for side in (~mask, mask)]
    )

    def draw(beta_l: float, beta_h: float) -> Picture:
        beta_l = min(beta_l, beta_h - 0.01)
        y = refine.trimap(m, beta_l=beta_l, beta_h=beta_h)
        sure = y != 255
        right = ((y == 1) == mask)[sure].float().mean().item() if sure.any() else 0.0
        words = f"{beta_l:.2f} to {beta_h:.2f}: {sure.float().mean():.0%} sure"
        return viz.row({words: y[which], f"{right:.1%} of it right": viz.overlay(image, (y[which] == 1).float())})

    values = [k / quantize.LEVELS for k in range(quantize.LEVELS + 1)]
    choices = [(low, high), (max(0.0, low - 0.1), min(1.0, high + 0.3)), (max(0.0, high - 0.02), high)]
    return live_figure.figure(
        "trust",
        arrays={"picture": quantize.small(image), "level": level[which], "mask": mask[which], "counts": counts},
        options={"low": low, "high": high, "levels": quantize.LEVELS, "r": r, "metric": metric, "clips": len(m)},
        draw=draw,
        controls={"beta_l": values[:-1], "beta_h": values[1:]},
        frames=[{"beta_l": round(a, 2), "beta_h": round(b, 2)} for a, b in choices],
        alt="The three-way map of one clip, and the part that is surely sounding over the frame",
        caption="Eq. 5: yellow is sounding, dark blue silent; what lies between the handles is unsure, and teaches "
        "nothing.",
    )


def affinity_from_pixel(
    image: Any,
    f_aff: Float[Tensor, "c h w"],
    mask: Bool[Tensor, "h w"],
    *,
    r: int = 7,
    metric: str = "euclidean",
    reduce: str = "mean",
    power: float = 1.0,
    start: tuple[int, int] | None = None,
) -> Any:
    r"""Eq. (3) from one pixel: A to each neighbour within the radius, for any pixel, radius and metric.

    Args:
        image: the clip, as for `viz.picture`.
        f_aff: affinity features (C, h, w).
        mask: what truly sounds (h, w): which neighbours are of the pixel's own side.
        r: first radius in pixels, 1 to `R_MAX`.
        metric: first metric, see `affinity.offsets`.
        reduce: L1 as "mean" or "sum" over the channels.
        power: first exponent of A; 1 is Eq. (3) itself.
        start: (y, x) of the first pixel; one just inside the upper edge of the object where it is None.

    Returns:
        The figure: HTML, or `ipywidgets`.

    Raises:
        ValueError: `r`, `start` or `power` out of range, shapes that differ, an unknown `metric` or `reduce`.

    >>> mask = torch.tensor([[True, False, False]])
    >>> figure = affinity_from_pixel(torch.zeros(3, 1, 3), torch.tensor([[[0.0, 1.0, 1.0]]]), mask, r=2)
    """
    _same_shape(f_aff[0], mask, "f_aff")
    if not 1 <= r <= R_MAX:
        raise ValueError(f"`r` must be an integer from 1 to {R_MAX}; got {r}.")
    if not power >= 0:
        raise ValueError(f"`power` must be at least 0; got {power}.")
    affinity.offsets(r, metric=metric)
    f_aff, mask, (h, w) = f_aff.detach().cpu(), mask.cpu(), mask.shape
    y0, x0 = _inside(mask) if start is None else start
    if not (0 <= y0 < h and 0 <= x0 < w):
        raise ValueError(f"`start` must be a pixel of the {h} x {w} map; got {start}.")

    def draw(y: int, x: int, r: int, metric: str, power: float) -> Picture:
        row = quantize.affinity_row(f_aff, (y, x), r=r, metric=metric, reduce=reduce) ** power
        near = row[max(0, y - R_MAX) : y + R_MAX + 1, max(0, x - R_MAX) : x + R_MAX + 1]
        words = f"A^{power:g}" if power != 1 else "A"
        return viz.row({f"row {y}, column {x}": viz.overlay(image, row), f"{words} within r = {r}": near})

    first = {"y": y0, "x": x0, "r": r, "metric": metric, "power": float(power)}
    arrays, how = quantize.distances_for_page(f_aff, r=R_MAX, metric="chebyshev", reduce=reduce)
    powers = sorted({1.0, 2.0, 5.0, 10.0, 20.0, float(power)})
    return live_figure.figure(
        "whom",
        arrays={"picture": quantize.small(image), "mask": mask, **arrays},
        options={**first, **how, "powers": powers, "r_max": R_MAX},
        draw=draw,
        controls={
            "y": range(h),
            "x": range(w),
            "r": range(1, R_MAX + 1),
            "metric": ["euclidean", "chebyshev"],
            "power": powers,
        },
        frames=[first, first | {"y": min(h - 1, y0 + h // 8)}, first | {"y": max(0, y0 - h // 8)}],
        alt="A clip, and over it the affinity of one pixel to each neighbour within the radius, large beside it",
        caption="Eq. 3: yellow is an affinity of 1, dark blue 0. Trust should end where the object ends.",
    )


def walk(
    image: Any,
    m: Float[Tensor, "h w"],
    f_aff: Float[Tensor, "c h w"],
    mask: Bool[Tensor, "H W"],
    *,
    beta: float,
    t: int,
    r: int,
    metric: str = "euclidean",
    reduce: str = "mean",
    reading: str = "power",
    map_range: Range = "relu_max",
) -> Any:
    r"""Eqs. (7) and (8) step by step: the map that flows to the object's edge, for any beta and t, in both readings.

    Args:
        image: the clip, as for `viz.picture`.
        m: coarse map (h, w), in [0, 1].
        f_aff: affinity features (C, h, w).
        mask: what truly sounds, at full size (H, W), for the IoU of the map above one half.
        beta: first exponent of Eq. (7), at least 0.
        t: first number of steps, or of squarings, int >= 0; at most `MOST_STEPS` steps.
        r: radius in pixels.
        metric: see `affinity.offsets`.
        reduce: L1 as "mean" or "sum" over the channels.
        reading: "power" or "squarings" (Reading 7).
        map_range: how the walked map is brought to [0, 1] before it is judged (Reading 2).

    Returns:
        The figure: HTML, or `ipywidgets`.

    Raises:
        ValueError: shapes that differ, `t` too large, or what `random_walk` and `maps.normalise_map` refuse.

    >>> m, mask = torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([[True, True, False]])
    >>> figure = walk(torch.zeros(3, 1, 3), m, torch.tensor([[[0.0, 0.0, 3.0]]]), mask, beta=2, t=4, r=2)
    """
    _same_shape(f_aff[0], m, "f_aff")
    m, f_aff, mask = m.detach().cpu(), f_aff.detach().cpu(), mask.cpu()
    affinities = affinity.affinity(f_aff[None], r=r, metric=metric, reduce=reduce)
    random_walk(m[None], affinities, beta=beta, t=min(t, 0), r=r, metric=metric, reading=reading)
    if (t if reading == "power" else 2**t) > MOST_STEPS:
        raise ValueError(f"`t` must give at most {MOST_STEPS} steps in a page; got {t} with reading {reading!r}.")

    def draw(beta: float, t: int, reading: str) -> Picture:
        t = min(t, 10) if reading == "squarings" else t
        fine = random_walk(m[None], affinities, beta=beta, t=t, r=r, metric=metric, reading=reading)
        fine = maps.normalise_map(fine, map_range)
        large = interpolate(fine[None], size=tuple(mask.shape), mode="bilinear", align_corners=False)[0]
        score = segmentation.iou(large > 0.5, mask[None]).item()
        words = f"beta {beta:g}, {t if reading == 'power' else 2**t} steps"
        return viz.row({words: fine[0], f"IoU {score:.2f}": viz.overlay(image, fine[0])})

    arrays, how = quantize.distances_for_page(f_aff, r=r, metric=metric, reduce=reduce)
    first = {"beta": float(beta), "t": t, "reading": reading}
    wide = 64 if reading == "power" else 6
    return live_figure.figure(
        "walk",
        arrays={"picture": quantize.small(image), "m": m, "mask": mask, **arrays},
        options={**first, **how, "r": r, "metric": metric, "range": map_range},
        draw=draw,
        controls={
            "beta": sorted({*(k / 2 for k in range(41)), float(beta)}),
            "t": sorted({*range(wide + 1), t}),
            "reading": ["power", "squarings"],
        },
        frames=[first, first | {"t": 0}, first | {"beta": 1.0, "t": wide}],
        alt="The walked map, alone and over the clip",
        caption="Eqs. 7 and 8 on one clip. The IoU is that of the map above .5.",
    )


def _same_shape(a: Tensor, b: Tensor, name: str) -> None:
    if a.shape != b.shape:
        raise ValueError(f"`{name}` and what it is judged by must be of one size; got {[*a.shape]} and {[*b.shape]}.")


def _inside(mask: Tensor) -> tuple[int, int]:
    """The first pixel that is three pixels from the edge of what is marked, or as deep as there is."""
    inner = mask
    for _ in range(3):
        less = max_pool2d((~inner[None]).float(), 3, stride=1, padding=1)[0] == 0
        inner = less if less.any() else inner
    marked: list[list[int]] = torch.nonzero(inner).tolist()
    return (marked[0][0], marked[0][1]) if marked else (mask.shape[0] // 2, mask.shape[1] // 2)
