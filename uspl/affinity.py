"""Section 3.2: pairwise pixel affinity (Eq. 3), its labels and its loss (Eq. 6), as K neighbours per pixel."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from uspl.core.ranks import ALONE, Ranks
from uspl.kernels import affinity_autograd
from uspl.kernels.affinity_autograd import D_MIN


def offsets(r: int, *, metric: str = "euclidean") -> Int[Tensor, "k 2"]:
    """Half of the neighbours within radius `r`; the other half are their negatives (A is symmetric).

    Args:
        r: radius in pixels, int >= 1.
        metric: "euclidean" is dy^2 + dx^2 < r^2; "chebyshev" is max(|dy|, |dx|) <= r (Reading 4).

    Returns:
        int (K, 2): (dy, dx) with dy > 0, or dy = 0 and dx > 0; no self pair. K = 72 for r = 7, euclidean.

    Raises:
        ValueError: `r` below 1 or an unknown `metric`.

    >>> offsets(2).tolist()
    [[0, 1], [1, -1], [1, 0], [1, 1]]
    """
    if r < 1:
        raise ValueError(f"`r` must be an integer of at least 1; got {r}.")
    if metric not in ("euclidean", "chebyshev"):
        raise ValueError(f"`metric` must be 'euclidean' or 'chebyshev'; got {metric!r}.")
    half = [(dy, dx) for dy in range(r + 1) for dx in range(-r, r + 1) if dy > 0 or dx > 0]
    if metric == "euclidean":
        half = [(dy, dx) for dy, dx in half if dy * dy + dx * dx < r * r]
    return torch.tensor(half, dtype=torch.long).reshape(-1, 2)


def draw_offsets(
    r: int, count: int, *, metric: str = "euclidean", generator: torch.Generator | None = None
) -> Int[Tensor, "k 2"]:
    """`count` of the `offsets`, drawn: the pairs that a step of training looks at. 0, or more than there are: all.

    >>> len(draw_offsets(7, 18)), len(draw_offsets(7, 0))
    (18, 72)
    """
    offs = offsets(r, metric=metric)
    return offs[torch.randperm(len(offs), generator=generator)[:count]] if 0 < count < len(offs) else offs


def affinity(
    f_aff: Float[Tensor, "b c h w"],
    *,
    r: int,
    metric: str = "euclidean",
    reduce: str = "mean",
    offs: Int[Tensor, "k 2"] | None = None,
    fast: bool = True,
) -> Float[Tensor, "b k h w"]:
    r"""Eq. (3): affinity of every pixel with its K half-plane neighbours.

    .. math:: A_{ij} = \exp(-\lVert F_{aff}(i) - F_{aff}(j) \rVert_1)

    Args:
        f_aff: affinity features (B, C, h, w).
        r: radius in pixels of the (h, w) grid.
        metric: see `offsets` (Reading 4).
        reduce: L1 as "mean" or "sum" over the C channels (Reading 5).
        offs: some of the `offsets`, (K, 2); None takes all.
        fast: take the twin of `kernels`, numba on a CPU, PyTorch that keeps little elsewhere; False: as it reads here.

    Returns:
        A (B, K, h, w) in [0, 1]: A[:, k, y, x] joins (y, x) and (y, x) + offsets[k]; 0 where that is outside.

    Raises:
        ValueError: `r` below 1, an unknown `metric` or `reduce`.
        RuntimeError: a second derivative is asked of the twin.

    Source: the paper, section 3.2; Ahn and Kwak, CVPR 2018.

    >>> f = torch.tensor([[[[0.0, 1.0, 1.0]]]])
    >>> affinity(f, r=2)[0, 0, 0]  # to the right-hand neighbour: exp(-1), 1, outside
    tensor([0.3679, 1.0000, 0.0000])
    """
    offs = offsets(r, metric=metric) if offs is None else offs
    if fast:
        return affinity_autograd.distance(f_aff, offs, reduce=reduce).neg_().exp_()
    return torch.exp(-distances(f_aff, offs, reduce=reduce))


def distances(
    f_aff: Float[Tensor, "b c h w"], offs: Int[Tensor, "k 2"], *, reduce: str = "mean"
) -> Float[Tensor, "b k h w"]:
    """L1 distance of every pixel to its neighbour at each offset, over channels; infinite where that is outside.

    >>> distances(torch.tensor([[[[0.0, 1.0, 1.0]]]]), offsets(2)[:1])[0, 0, 0].tolist()
    [1.0, 0.0, inf]
    """
    (h, w), r = f_aff.shape[2:], int(offs.abs().max()) if len(offs) else 0
    there = F.pad(f_aff, (r, r, 0, r), value=torch.inf)  # r columns on both sides, r rows below
    gaps = [(f_aff - there[:, :, dy : dy + h, r + dx : r + dx + w]).abs().sum(1) for dy, dx in offs.tolist()]
    d = torch.stack(gaps, 1) if gaps else f_aff.new_empty(len(f_aff), 0, h, w)
    return d * affinity_autograd.scale_of(f_aff, reduce)


def affinity_labels(
    y_tri: UInt8[Tensor, "b h w"], *, r: int, metric: str = "euclidean", offs: Int[Tensor, "k 2"] | None = None
) -> UInt8[Tensor, "b k h w"]:
    """Labels of Eq. (6): 1 where both pixels are sure and alike, 0 where sure and different, else 255.

    Args:
        y_tri: three-way map (B, h, w) in {0, 1, 255} (Eq. 5).
        r: radius in pixels.
        metric: see `offsets` (Reading 4).
        offs: some of the `offsets`, (K, 2); None takes all.

    Returns:
        uint8 (B, K, h, w) in {0, 1, 255}; 255 also where the neighbour is outside.

    Raises:
        ValueError: `r` below 1 or an unknown `metric`.

    >>> affinity_labels(torch.tensor([[[1, 1, 0, 255]]], dtype=torch.uint8), r=2)[0, 0, 0].tolist()
    [1, 0, 255, 255]
    """
    return affinity_autograd.labels(y_tri, offsets(r, metric=metric) if offs is None else offs)


def affinity_loss(
    f_aff: Float[Tensor, "b c h w"],
    y_tri: UInt8[Tensor, "b h w"],
    *,
    r: int,
    metric: str = "euclidean",
    reduce: str = "mean",
    balanced: bool = True,
    offs: Int[Tensor, "k 2"] | None = None,
    fast: bool = True,
    ranks: Ranks = ALONE,
) -> Float[Tensor, ""]:
    r"""Eq. (6): affinity loss; like pixels are drawn together, unlike pixels apart.

    .. math:: L_{aff} = \tfrac12 \mathrm{mean}_{pos}(-\log A) + \tfrac12 \mathrm{mean}_{neg}(-\log(1 - A))

    computed from the distance d itself, :math:`-\log A = d` and :math:`-\log(1-A) = -\log(-\mathrm{expm1}(-d))`,
    so nothing underflows. Means are over the whole batch; a mean over no pair is 0.

    Args:
        f_aff: affinity features (B, C, h, w).
        y_tri: three-way map (B, h, w) in {0, 1, 255}; pixels of 255 carry no gradient.
        r: radius in pixels.
        metric: see `offsets` (Reading 4).
        reduce: L1 as "mean" or "sum" over channels (Reading 5).
        balanced: as above; False takes one mean over all sure pairs (Reading 6).
        offs: some of the `offsets`, (K, 2), as a step of training draws them; None takes all.
        fast: take the twin of `kernels`, numba on a CPU, PyTorch that keeps little elsewhere; False: as it reads here.
        ranks: processes that each hold some images of the batch; the mean of their losses is that of the batch.

    Returns:
        Scalar loss, at least 0.

    Raises:
        ValueError: `r` below 1, an unknown `metric` or `reduce`.
        RuntimeError: a second derivative is asked of the twin.

    Source: the paper, section 3.2.

    >>> y = torch.tensor([[[1, 1, 0]]], dtype=torch.uint8)
    >>> round(affinity_loss(torch.tensor([[[[0.0, 0.2, 1.2]]]]), y, r=2).item(), 4)  # (0.2 - log(1 - exp(-1))) / 2
    0.3293
    """
    offs = offsets(r, metric=metric) if offs is None else offs
    if fast:
        return affinity_autograd.loss(f_aff, y_tri, offs, reduce=reduce, balanced=balanced, ranks=ranks)
    label, d = affinity_labels(y_tri, r=r, offs=offs), distances(f_aff, offs, reduce=reduce)
    like, unlike = d[label == 1], -torch.log(-torch.expm1(-d[label == 0].clamp_min(D_MIN)))
    n_like, n_unlike = ranks.mean(torch.tensor([len(like), len(unlike)], device=d.device))
    least = 1 / ranks.world
    if not balanced:
        every: Tensor = (like.sum() + unlike.sum()) / (n_like + n_unlike).clamp_min(least)
        return every
    halves: Tensor = 0.5 * like.sum() / n_like.clamp_min(least) + 0.5 * unlike.sum() / n_unlike.clamp_min(least)
    return halves


def to_dense(a: Float[Tensor, "b k h w"], *, r: int, metric: str = "euclidean") -> Float[Tensor, "b n n"]:
    """Affinities as the full symmetric matrix, 1 on the diagonal, 0 beyond `r`: for teaching and tests.

    Args:
        a: affinities (B, K, h, w) as `affinity` gives them.
        r: radius in pixels used to make them.
        metric: see `offsets`.

    Returns:
        (B, h*w, h*w).

    >>> to_dense(affinity(torch.zeros(1, 1, 1, 2), r=2), r=2).tolist()
    [[[1.0, 1.0], [1.0, 1.0]]]
    """
    b, _, h, w = a.shape
    index = torch.arange(h * w, device=a.device).view(h, w)
    dense = torch.eye(h * w, dtype=a.dtype, device=a.device).repeat(b, 1, 1)
    for k, (here, there) in enumerate(affinity_autograd.areas(offsets(r, metric=metric), h, w)):
        i, j = index[here].flatten(), index[there].flatten()
        values = a[:, k][(slice(None), *here)].flatten(1)
        dense[:, i, j], dense[:, j, i] = values, values
    return dense
