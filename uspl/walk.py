"""Section 3.2: the random walk that carries the coarse map to the object's edge (Eqs. 7-8)."""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from uspl.affinity import offsets
from uspl.kernels import dispatch
from uspl.kernels.affinity_autograd import inside, only_once


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
    weights, (h, w) = _weights(a, offs, beta, r), a.shape[2:]
    forth = weights[..., r : r + h, r : r + w]
    # What p gives to p + o is what p + o gives back: the same number, read one offset earlier.
    places = [(k, r - dy, r - dx) for k, (dy, dx) in enumerate(offs.tolist())]
    back = [weights[:, k : k + 1, y : y + h, x : x + w] for k, y, x in places]
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
        fast: take the kernels of `fast` where they apply; False is plain PyTorch.

    Returns:
        M_fine (B, h, w).

    Raises:
        ValueError: negative `t`, an unknown `reading`, or what `transition` refuses.
        RuntimeError: a second derivative is asked for.

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
    fast = fast and dispatch.usable(m, a)
    if fast and not (torch.is_grad_enabled() and (m.requires_grad or a.requires_grad)):
        return dispatch.fine(m, a, offs, beta, r, steps)
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
    return F.pad(_power(a, beta).where(inside(offs, *a.shape[-2:]).to(a.device), 0), (r, r, r, r))


def _power(a: Tensor, beta: float) -> Tensor:
    """a ** beta; a whole beta as squares and products, which take a fifth of the time."""
    whole = int(beta)
    if whole != beta or not 0 < whole < 100:
        return a**beta
    result = a
    for bit in bin(whole)[3:]:
        result = result * result
        if bit == "1":
            result = result * a
    return result


def _seen(x: Tensor, shifts: list[int], r: int) -> list[Tensor]:
    """A padded map (..., h + 2r, w + 2r), its rows joined end to end, as each shift sees it from the grid.

    The zeros around the grid keep the rows apart, and a shift by (dy, dx) is one by dy (w + 2r) + dx.
    """
    flat, first = x.flatten(-2), r * x.shape[-1] + r
    return [flat[..., first + shift : flat.shape[-1] - first + shift] for shift in shifts]


def _moves(weights: Tensor, offs: Tensor, r: int) -> tuple[list[int], list[Tensor]]:
    """Each move of the walk, +offset and -offset in turn: its shift, and its weights, read as in `transition`."""
    shifts = [dy * weights.shape[-1] + dx for dy, dx in offs.tolist()]
    flat, first = weights.flatten(2), r * weights.shape[-1] + r
    last = flat.shape[2] - first
    both = [flat[:, k, first - back : last - back] for k, shift in enumerate(shifts) for back in (0, shift)]
    return [side * shift for shift in shifts for side in (1, -1)], both


class _Walk(torch.autograd.Function):
    """`steps` of Eq. (8); where a gradient will be asked for, keeps the map of every step, which is little."""

    @staticmethod
    def forward(ctx: Any, m: Tensor, weights: Tensor, offs: Tensor, r: int, steps: int, fast: bool) -> Tensor:
        degree = weights.new_ones(len(m), *weights.shape[2:])
        (inner,) = _seen(degree, [0], r)
        for weight in _moves(weights, offs, r)[1]:
            inner += weight
        kept = steps + 1 if any(ctx.needs_input_grad) else 2
        maps = m.new_zeros(len(m), kept, *weights.shape[2:])
        maps[:, 0] = F.pad(m, (r, r, r, r))
        (dispatch.walk if fast else walk_steps)(weights, offs, degree, r, maps, steps)
        ctx.save_for_backward(weights, offs, degree, maps)
        ctx.r, ctx.fast = r, fast
        return _inner(maps[:, steps % kept], r).clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None, None, None]:
        only_once("random_walk")
        weights, offs, degree, maps = ctx.saved_tensors
        padded = F.pad(grad, (ctx.r,) * 4)
        pull = (dispatch.walk_gradient if ctx.fast else _walk_gradient)(weights, offs, degree, ctx.r, maps, padded)
        return _inner(padded, ctx.r), pull, None, None, None, None


def _inner(padded: Tensor, r: int) -> Tensor:
    return padded[..., r : padded.shape[-2] - r, r : padded.shape[-1] - r]


def walk_steps(weights: Tensor, offs: Tensor, degree: Tensor, r: int, maps: Tensor, steps: int) -> None:
    """Steps of Eq. (8) in plain PyTorch: maps[:, s + 1] = T maps[:, s], index modulo the number of maps.

    Args:
        weights: A^beta (B, K, h + 2r, w + 2r), r zeros on each side of the grid.
        offs: (K, 2), the half-plane neighbours (dy, dx), pixels.
        degree: D of Eq. (7), (B, h + 2r, w + 2r), 1 outside the grid.
        r: radius in pixels.
        maps: (B, N, h + 2r, w + 2r), the first one given, the others filled; zeros outside the grid.
        steps: how many.
    """
    shifts, by = _moves(weights, offs, r)
    seen = [_seen(m, [0, *shifts], r) for m in maps.unbind(1)]
    (total,) = _seen(degree, [0], r)
    for s in range(steps):
        m, *neighbours = seen[s % len(seen)]
        out = seen[(s + 1) % len(seen)][0]
        out.copy_(m)  # the pixel itself, with weight 1
        for weight, neighbour in zip(by, neighbours, strict=True):
            out.addcmul_(weight, neighbour)
        out /= total


def _walk_gradient(weights: Tensor, offs: Tensor, degree: Tensor, r: int, maps: Tensor, grad: Tensor) -> Tensor:
    """As `dispatch.walk_gradient`."""
    pull, own, less = torch.zeros_like(weights), torch.zeros_like(grad), torch.zeros_like(grad)
    shifts, by = _moves(weights, offs, r)
    (total,), (out,), (mine, *given) = _seen(degree, [0], r), _seen(grad, [0], r), _seen(own, [0, *shifts], r)
    pulled = [_seen(p, [0], r)[0] for p in pull.unbind(1)]
    for s in range(maps.shape[1] - 2, -1, -1):
        torch.div(out, total, out=mine)
        less.addcmul_(own, maps[:, s + 1])  # what a larger degree takes away
        out.copy_(mine)
        for weight, neighbour in zip(by, given, strict=True):
            out.addcmul_(weight, neighbour)
        m, *seen = _seen(maps[:, s], [0, *shifts[::2]], r)
        for part, there, m_there in zip(pulled, given[::2], seen, strict=True):
            part.addcmul_(mine, m_there).addcmul_(there, m)
    lost, *lost_there = _seen(less, [0, *shifts[::2]], r)
    for part, there in zip(pulled, lost_there, strict=True):
        part.sub_(lost).sub_(there)
    return pull
