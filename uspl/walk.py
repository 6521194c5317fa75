"""Section 3.2: the random walk that carries the coarse map to the object's edge (Eqs. 7-8)."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from uspl.affinity import offsets
from uspl.kernels import walk_autograd
from uspl.kernels.affinity_autograd import inside


def transition(
    a: Float[Tensor, "b k h w"], *, beta: float, r: int, metric: str = "euclidean"
) -> Float[Tensor, "b n h w"]:
    r"""Eq. (7): row-stochastic transition of the affinity.

    .. math:: T = D^{-1} A^{\circ\beta}, \quad D_{ii} = \sum_j A_{ij}^\beta

    Args:
        a: affinities (B, K, h, w) of Eq. (3).
        beta: exponent, at least 0; a larger one keeps to the closest.
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
    offs, (h, w) = _offsets(a, beta=beta, r=r, metric=metric), a.shape[2:]
    there = inside(offs, h, w).to(a.device)
    forth = (a.where(there, 1) ** beta).where(there, 0)  # (B, K, h, w): what p gives to p + o
    # What p + o gives back to p is the same number, read one offset earlier.
    padded = F.pad(forth, (r, r, r, 0))  # (B, K, h + r, w + 2r)
    places = [(k, r - dy, r - dx) for k, (dy, dx) in enumerate(offs.tolist())]
    back = [padded[:, k : k + 1, y : y + h, x : x + w] for k, y, x in places]
    moves = torch.cat([a.new_ones(len(a), 1, h, w), forth, *back], 1)
    return moves / moves.sum(1, keepdim=True)


def random_walk(
    m: Float[Tensor, "b h w"],
    a: Float[Tensor, "b k h w"],
    *,
    beta: float,
    t: int,
    r: int,
    metric: str = "euclidean",
    reading: str = "power",
    fast: bool = True,
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
        fast: take the twin of `kernels`, numba on a CPU, PyTorch that keeps little elsewhere; False: as it reads here.

    Returns:
        M_fine (B, h, w).

    Raises:
        ValueError: negative `t`, an unknown `reading`, or what `transition` refuses.
        RuntimeError: a second derivative is asked of the twin.

    Source: the paper, section 3.2.

    >>> a = torch.zeros(1, 4, 2, 2)  # zero affinity: nothing moves
    >>> random_walk(torch.eye(2)[None], a, beta=1, t=3, r=2).tolist()
    [[[1.0, 0.0], [0.0, 1.0]]]
    """
    if t < 0:
        raise ValueError(f"`t` must be an integer of at least 0; got {t}.")
    if reading not in ("power", "squarings"):
        raise ValueError(f"`reading` must be 'power' or 'squarings'; got {reading!r}.")
    offs, steps = _offsets(a, beta=beta, r=r, metric=metric), t if reading == "power" else 2**t
    if fast:
        return walk_autograd.random_walk(m, a, offs, beta=beta, r=r, steps=steps)
    moves = transition(a, beta=beta, r=r, metric=metric)  # (B, 1 + 2K, h, w)
    for _ in range(steps):
        m = (moves * _neighbours(m, offs, r)).sum(1)
    return m


def _neighbours(m: Float[Tensor, "b h w"], offs: Tensor, r: int) -> Float[Tensor, "b n h w"]:
    """A map as the moves of `transition` see it: the pixel itself, its neighbours at +offsets, those at -offsets."""
    (h, w), padded = m.shape[1:], F.pad(m, (r, r, r, r))
    places = [(0, 0), *offs.tolist(), *(-offs).tolist()]
    return torch.stack([padded[:, r + dy : r + dy + h, r + dx : r + dx + w] for dy, dx in places], 1)


def _offsets(a: Tensor, *, beta: float, r: int, metric: str) -> Tensor:
    if not beta >= 0:
        raise ValueError(f"`beta` must be at least 0; got {beta}.")
    offs = offsets(r, metric=metric)
    if a.shape[1] != len(offs):
        raise ValueError(f"`a` must have {len(offs)} neighbours for r = {r}, {metric}; got {a.shape[1]}.")
    return offs
