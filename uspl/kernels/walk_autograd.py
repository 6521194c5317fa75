"""The twin of `walk.random_walk`: the same walk on rows joined end to end, and its gradient, which keeps little."""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from uspl.kernels import dispatch
from uspl.kernels.affinity_autograd import inside, only_once


def random_walk(
    m: Float[Tensor, "b h w"],
    a: Float[Tensor, "b k h w"],
    offs: Int[Tensor, "k 2"],
    *,
    beta: float,
    r: int,
    steps: int,
) -> Float[Tensor, "b h w"]:
    """`steps` of Eq. (8) on maps m, by the affinities a of the neighbours at `offs`; numba where it can be had."""
    fast = dispatch.usable(m, a)
    if fast and not (torch.is_grad_enabled() and (m.requires_grad or a.requires_grad)):
        return dispatch.fine(m, a, offs, beta, r, steps)
    fine: Tensor = _Walk.apply(m, _weights(a, offs, beta, r), offs, r, steps, fast)
    return fine


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
        gradient = dispatch.walk_gradient if ctx.fast else _walk_gradient
        grad_weights = gradient(weights, offs, degree, ctx.r, maps, padded)
        return _inner(padded, ctx.r), grad_weights, None, None, None, None


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
    grad_weights, grad_step, grad_degree = torch.zeros_like(weights), torch.zeros_like(grad), torch.zeros_like(grad)
    shifts, by = _moves(weights, offs, r)
    (total,), (out,) = _seen(degree, [0], r), _seen(grad, [0], r)
    grad_self, *grad_neighbours = _seen(grad_step, [0, *shifts], r)
    parts = [_seen(p, [0], r)[0] for p in grad_weights.unbind(1)]
    for s in range(maps.shape[1] - 2, -1, -1):
        torch.div(out, total, out=grad_self)
        grad_degree.addcmul_(grad_step, maps[:, s + 1])  # what a larger degree takes away
        out.copy_(grad_self)
        for weight, neighbour in zip(by, grad_neighbours, strict=True):
            out.addcmul_(weight, neighbour)
        m, *seen = _seen(maps[:, s], [0, *shifts[::2]], r)
        for part, there, m_there in zip(parts, grad_neighbours[::2], seen, strict=True):
            part.addcmul_(grad_self, m_there).addcmul_(there, m)
    lost, *lost_there = _seen(grad_degree, [0, *shifts[::2]], r)
    for part, there in zip(parts, lost_there, strict=True):
        part.sub_(lost).sub_(there)
    return grad_weights
