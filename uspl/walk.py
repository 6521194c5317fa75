"""Section 3.2: the random walk that carries the coarse map to the object's edge (Eqs. 7-8)."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from uspl.affinity import inside, offsets


def transition(
    a: Float[Tensor, "b k h w"], *, beta: float, r: int, metric: str = "euclidean"
) -> Float[Tensor, "b n h w"]:
    r"""Eq. (7): row-stochastic transition of the affinity.

    .. math:: T = D^{-1} A^{\circ\beta}, \quad D_{ii} = \sum_j A_{ij}^\beta

    Args:
        a: affinities (B, K, h, w) of Eq. (3).
        beta: exponent, at least 0; larger trusts only the closest.
        r: radius in pixels used to make `a`.
        metric: see `affinity.offsets`.

    Returns:
        T (B, 1 + 2K, h, w), rows summing to 1 over dim 1: the pixel itself, then its neighbours at +offsets,
        then those at -offsets.

    Raises:
        ValueError: negative `beta`, or `a` made with another `r` or `metric`.

    Source: the paper, section 3.2; column sums in Ahn and Kwak give the same, as A is symmetric.

    >>> from uspl.affinity import affinity
    >>> a = affinity(torch.tensor([[[[0.0, 1.0]]]]), r=1, metric="chebyshev")
    >>> transition(a, beta=1, r=1, metric="chebyshev")[0, :2, 0, 0]  # 1 / (1 + e^-1) to stay, the rest to move
    tensor([0.7311, 0.2689])
    """
    weights, degree = _weights(a, beta=beta, r=r, metric=metric)
    return torch.stack([torch.ones_like(degree), *(weight for _, weight in weights)], 1) / degree.unsqueeze(1)


def random_walk(
    m: Float[Tensor, "b h w"],
    a: Float[Tensor, "b k h w"],
    *,
    beta: float,
    t: int,
    r: int,
    metric: str = "euclidean",
    reading: str = "power",
) -> Float[Tensor, "b h w"]:
    r"""Eq. (8): the fine map, the coarse map after a walk along the affinities.

    .. math:: \mathrm{vec}(M_{fine}) = T^t \, \mathrm{vec}(M_{crs})

    Each step replaces a value by a weighted mean of its neighbours, so the walk never leaves [min, max].

    Args:
        m: map (B, h, w) on the grid of the affinities.
        a: affinities (B, K, h, w) of Eq. (3).
        beta: exponent of Eq. (7).
        t: int >= 0; 0 is the identity.
        r: radius in pixels used to make `a`.
        metric: see `affinity.offsets`.
        reading: "power" walks t steps; "squarings" walks 2^t, T squared t times (Reading 7).

    Returns:
        M_fine (B, h, w).

    Raises:
        ValueError: negative `t`, an unknown `reading`, or what `transition` refuses.

    Source: the paper, section 3.2.

    >>> a = torch.zeros(1, 4, 2, 2)  # nobody trusts anybody: nothing moves
    >>> random_walk(torch.eye(2)[None], a, beta=1, t=3, r=2).tolist()
    [[[1.0, 0.0], [0.0, 1.0]]]
    """
    if t < 0:
        raise ValueError(f"`t` must be an integer of at least 0; got {t}.")
    if reading not in ("power", "squarings"):
        raise ValueError(f"`reading` must be 'power' or 'squarings'; got {reading!r}.")
    weights, degree = _weights(a, beta=beta, r=r, metric=metric)
    h, w = m.shape[-2:]
    for _ in range(t if reading == "power" else 2**t):
        padded = F.pad(m, (r, r, r, r))
        m = m.clone()  # the pixel itself, with weight 1
        for (dy, dx), weight in weights:
            m.addcmul_(weight, padded[:, r + dy : r + dy + h, r + dx : r + dx + w])
        m = m / degree
    return m


def _weights(a: Tensor, *, beta: float, r: int, metric: str) -> tuple[list[tuple[tuple[int, int], Tensor]], Tensor]:
    """Each move (dy, dx), +offsets then -offsets, with its A^beta (B, h, w), and D (B, h, w) with itself in it."""
    if not beta >= 0:
        raise ValueError(f"`beta` must be at least 0; got {beta}.")
    offs = offsets(r, metric=metric)
    if a.shape[1] != len(offs):
        raise ValueError(f"`a` must have {len(offs)} neighbours for r = {r}, {metric}; got {a.shape[1]}.")
    h, w = a.shape[-2:]
    padded = F.pad(a**beta * inside(offs, h, w).to(a), (r, r, r, r)).unbind(1)
    half = list(zip(offs.tolist(), padded, strict=True))
    weights = [((dy, dx), p[:, r : r + h, r : r + w]) for (dy, dx), p in half]
    # What p gives to p + o is what p + o gives back: the same number, read one offset earlier.
    weights += [((-dy, -dx), p[:, r - dy : r - dy + h, r - dx : r - dx + w]) for (dy, dx), p in half]
    degree = a.new_ones(a.shape[0], h, w)
    for _, weight in weights:
        degree = degree + weight
    return weights, degree
