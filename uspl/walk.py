"""Section 3.2: the random walk that carries the coarse map to the object's edge (Eqs. 7-8)."""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from uspl import fast as kernels
from uspl.affinity import offsets
from uspl.pairs import inside, only_once


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
    offs = _offsets(a, beta=beta, r=r, metric=metric)
    padded = _weights(a, offs, beta, r)
    weights = [weight for k, (dy, dx) in enumerate(offs.tolist()) for weight in _both(padded[:, k], dy, dx, r)]
    # What p gives to p + o is what p + o gives back: the same number, read one offset earlier.
    moves = torch.stack([a.new_ones(len(a), *a.shape[2:]), *weights[0::2], *weights[1::2]], 1)
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
        fast: take the kernels of `fast` where they apply; False is plain PyTorch.

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
    offs, steps = _offsets(a, beta=beta, r=r, metric=metric), t if reading == "power" else 2**t
    fast = fast and kernels.usable(m, a)
    if fast and not (torch.is_grad_enabled() and (m.requires_grad or a.requires_grad)):
        return kernels.fine(m, a, offs, beta, r, steps)
    fine: Tensor = _Walk.apply(m, _weights(a, offs, beta, r), offs, r, steps, fast)
    return fine


def _offsets(a: Tensor, *, beta: float, r: int, metric: str) -> Tensor:
    if not beta >= 0:
        raise ValueError(f"`beta` must be at least 0; got {beta}.")
    offs = offsets(r, metric=metric)
    if a.shape[1] != len(offs):
        raise ValueError(f"`a` must have {len(offs)} neighbours for r = {r}, {metric}; got {a.shape[1]}.")
    return offs


def _weights(a: Tensor, offs: Tensor, beta: float, r: int) -> Tensor:
    """A^beta with r zeros on each side of the grid: (B, K, h + 2r, w + 2r)."""
    return F.pad(a**beta * inside(offs, *a.shape[-2:]).to(a), (r, r, r, r))


def _both(x: Tensor, dy: int, dx: int, r: int) -> tuple[Tensor, Tensor]:
    """Of a padded map of pairs (..., h + 2r, w + 2r): each pixel's pair with +offset, and that with -offset."""
    h, w = x.shape[-2] - 2 * r, x.shape[-1] - 2 * r
    return x[..., r : r + h, r : r + w], x[..., r - dy : r - dy + h, r - dx : r - dx + w]


class _Walk(torch.autograd.Function):
    """`steps` of Eq. (8); where a gradient will be asked for, keeps the map of every step, which is little."""

    @staticmethod
    def forward(ctx: Any, m: Tensor, weights: Tensor, offs: Tensor, r: int, steps: int, fast: bool) -> Tensor:
        degree = torch.ones_like(m)
        for k, (dy, dx) in enumerate(offs.tolist()):
            for weight in _both(weights[:, k], dy, dx, r):
                degree += weight
        kept = steps + 1 if any(ctx.needs_input_grad) else 2
        maps = m.new_zeros(len(m), kept, *weights.shape[2:])
        maps[:, 0] = F.pad(m, (r, r, r, r))
        (kernels.walk if fast else walk_steps)(weights, offs, degree, r, maps, steps)
        ctx.save_for_backward(weights, offs, degree, maps)
        ctx.r, ctx.fast = r, fast
        h, w = m.shape[-2:]
        return maps[:, steps % kept, r : r + h, r : r + w].clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None, None, None]:
        only_once("random_walk")
        weights, offs, degree, maps = ctx.saved_tensors
        r = ctx.r
        padded = F.pad(grad, (r, r, r, r))
        pull = (kernels.walk_gradient if ctx.fast else _walk_gradient)(weights, offs, degree, r, maps, padded)
        h, w = degree.shape[-2:]
        return padded[:, r : r + h, r : r + w], pull, None, None, None, None


def _shifted(x: Tensor, offs: Tensor, r: int) -> list[Tensor]:
    """Of a padded map, the views that each move of a walk reads, +offset and -offset in turn."""
    h, w = x.shape[-2] - 2 * r, x.shape[-1] - 2 * r
    moves = [(r + side * dy, r + side * dx) for dy, dx in offs.tolist() for side in (1, -1)]
    return [x[..., y : y + h, x0 : x0 + w] for y, x0 in moves]


def walk_steps(weights: Tensor, offs: Tensor, degree: Tensor, r: int, maps: Tensor, steps: int) -> None:
    """As `fast.walk`."""
    here = (..., slice(r, r + degree.shape[-2]), slice(r, r + degree.shape[-1]))
    by = [part for k, (dy, dx) in enumerate(offs.tolist()) for part in _both(weights[:, k], dy, dx, r)]
    # Views of a map are made once for all steps that read it: with two maps, for every other step.
    seen = [_shifted(m, offs, r) for m in maps.unbind(1)[: min(steps, maps.shape[1])]]
    for s in range(steps):
        out = maps[:, (s + 1) % maps.shape[1]][here]
        out.copy_(maps[:, s % maps.shape[1]][here])  # the pixel itself, with weight 1
        for weight, neighbour in zip(by, seen[s % maps.shape[1]], strict=True):
            out.addcmul_(weight, neighbour)
        out /= degree


def _walk_gradient(weights: Tensor, offs: Tensor, degree: Tensor, r: int, maps: Tensor, grad: Tensor) -> Tensor:
    """As `fast.walk_gradient`."""
    here = (..., slice(r, r + degree.shape[-2]), slice(r, r + degree.shape[-1]))
    pull, own, less = torch.zeros_like(weights), torch.zeros_like(grad), torch.zeros_like(grad)
    by = [part for k, (dy, dx) in enumerate(offs.tolist()) for part in _both(weights[:, k], dy, dx, r)]
    pulled, given, out, mine = [p[here] for p in pull.unbind(1)], _shifted(own, offs, r), grad[here], own[here]
    for s in range(maps.shape[1] - 2, -1, -1):
        torch.div(out, degree, out=mine)
        less.addcmul_(own, maps[:, s + 1])  # what a larger degree takes away
        out.copy_(mine)
        for weight, neighbour in zip(by, given, strict=True):
            out.addcmul_(weight, neighbour)
        m, seen = maps[:, s][here], _shifted(maps[:, s], offs, r)
        for part, there, m_there in zip(pulled, given[::2], seen[::2], strict=True):
            part.addcmul_(mine, m_there).addcmul_(there, m)
    for part, lost_there in zip(pulled, _shifted(less, offs, r)[::2], strict=True):
        part.sub_(less[here]).sub_(lost_there)
    return pull
