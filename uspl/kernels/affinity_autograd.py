"""Pairs of neighbours on a grid, behind Eqs. (3) and (6): which there are, their distance, and its gradient."""

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from uspl.core.ranks import ALONE, Ranks
from uspl.kernels import dispatch

# Identical features with different labels: d is held here, so -log(1 - A) stops at 11.5 instead of infinity.
D_MIN = 1e-5
_BLOCK = 1 << 18  # numbers: on a CPU, images are taken so many at a time that a difference of features stays in cache
Area = tuple[slice, slice]


def areas(offs: Int[Tensor, "k 2"], h: int, w: int) -> list[tuple[Area, Area]]:
    """Per offset, the rectangle of pixels whose neighbour is inside, and the rectangle of those neighbours."""
    found = []
    for dy, dx in offs.tolist():
        left, right = max(0, -dx), w - max(0, dx)
        bottom = max(h - dy, 0)
        right = max(right, left)
        found.append(((slice(0, bottom), slice(left, right)), (slice(dy, dy + bottom), slice(left + dx, right + dx))))
    return found


def inside(offs: Int[Tensor, "k 2"], h: int, w: int) -> Bool[Tensor, "k h w"]:
    """True where the neighbour at that offset lies in the grid."""
    mask = torch.zeros(len(offs), h, w, dtype=torch.bool)
    for k, (here, _) in enumerate(areas(offs, h, w)):
        mask[(k, *here)] = True
    return mask


def labels(y_tri: UInt8[Tensor, "b h w"], offs: Int[Tensor, "k 2"]) -> UInt8[Tensor, "b k h w"]:
    """1 where both pixels are sure and alike, 0 where sure and different, else 255; 255 also outside.

    On bytes of 0, 1 and 255: (p xor q xor 1) is the label of a sure pair, and "or" with 255 marks the others.
    """
    b, h, w = y_tri.shape
    found = torch.full((b, len(offs), h, w), 255, dtype=torch.uint8, device=y_tri.device)
    unsure, turned = (y_tri == 255).to(torch.uint8).mul_(255), y_tri ^ 1
    for k, (here, there) in enumerate(areas(offs, h, w)):
        label = found[(slice(None), k, *here)]
        torch.bitwise_xor(turned[(slice(None), *here)], y_tri[(slice(None), *there)], out=label)
        label |= unsure[(slice(None), *here)]
        label |= unsure[(slice(None), *there)]
    return found


def distance(
    f: Float[Tensor, "b c h w"], offs: Int[Tensor, "k 2"], *, reduce: str = "mean"
) -> Float[Tensor, "b k h w"]:
    """The twin of `affinity.distances`, whose gradient keeps the features alone."""
    d: Tensor = _Distance.apply(f, offs, scale_of(f, reduce), dispatch.usable(f))
    return d


def loss(
    f: Float[Tensor, "b c h w"],
    y_tri: UInt8[Tensor, "b h w"],
    offs: Int[Tensor, "k 2"],
    *,
    reduce: str = "mean",
    balanced: bool = True,
    ranks: Ranks = ALONE,
) -> Float[Tensor, ""]:
    """The twin of `affinity.affinity_loss`: Eq. (6) on these offsets, in the memory of the features."""
    value: Tensor = _Loss.apply(f, y_tri, offs, scale_of(f, reduce), balanced, dispatch.usable(f), ranks)
    return value


def only_once(function: str) -> None:
    """Raise RuntimeError where a backward pass is itself to be differentiated."""
    if torch.is_grad_enabled():
        raise RuntimeError(f"`{function}` has no second derivative; take its gradient without `create_graph`.")


class _Distance(torch.autograd.Function):
    """Keeps the features only: the B x K x C x h x w differences are made again in the backward pass."""

    @staticmethod
    def forward(ctx: Any, f: Tensor, offs: Tensor, scale: float, fast: bool) -> Tensor:
        x = _channels_last(f)
        ctx.save_for_backward(x, offs)
        ctx.scale, ctx.fast = scale, fast
        return dispatch.distance(x, offs, scale) if fast else _distance(x, offs, scale)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        only_once("affinity")
        x, offs = ctx.saved_tensors
        if ctx.fast:
            grad_f = dispatch.distance_gradient(x, offs, grad, ctx.scale, ctx.scale)
        else:
            grad_f = _grad_features(x, offs, grad * ctx.scale)
        return grad_f.permute(0, 3, 1, 2), None, None, None


class _Loss(torch.autograd.Function):
    """Keeps the features and one number per pair, its grad_d: the distances need not be made again."""

    @staticmethod
    def forward(
        ctx: Any, f: Tensor, y_tri: Tensor, offs: Tensor, scale: float, balanced: bool, fast: bool, ranks: Ranks
    ) -> Tensor:
        x = _channels_last(f)
        if fast:
            sums, grad_d = dispatch.loss(x, y_tri, offs, scale, D_MIN)
        else:
            sums, grad_d = loss_sums(x, y_tri, offs, scale)
        numbers = ranks.mean(sums[2:] if balanced else sums[2:].sum().expand(2))
        share = (0.5 if balanced else 1.0) / numbers.clamp_min(1 / ranks.world)
        ctx.save_for_backward(x, offs, grad_d, share)
        ctx.fast = fast
        return (share * sums[:2]).sum().to(f.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None, None, None, None]:
        only_once("affinity_loss")
        x, offs, grad_d, share = ctx.saved_tensors
        like, unlike = (share * grad).to(x.dtype)
        if ctx.fast:
            grad_f = dispatch.distance_gradient(x, offs, grad_d, float(like), float(unlike))
        else:
            grad_f = _grad_features(x, offs, grad_d * torch.where(grad_d > 0, like, unlike))
        return grad_f.permute(0, 3, 1, 2), None, None, None, None, None, None


def scale_of(f: Tensor, reduce: str) -> float:
    """What the sum over channels is multiplied by: 1 / C for "mean", 1 for "sum"."""
    if reduce not in ("mean", "sum"):
        raise ValueError(f"`reduce` must be 'mean' or 'sum'; got {reduce!r}.")
    return 1 / f.shape[1] if reduce == "mean" else 1.0


def _channels_last(f: Tensor) -> Tensor:
    """(B, h, w, C): what is subtracted and summed then lies side by side."""
    return f.permute(0, 2, 3, 1).contiguous()


def _blocks(x: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Images at a time and a buffer for their difference: fresh memory for each would cost more than the sums."""
    many = max(1, _BLOCK // max(1, x[0].numel())) if x.device.type == "cpu" and len(x) else max(1, len(x))
    buffer = x.new_empty(min(many, len(x)) * x.shape[1] * x.shape[2] * x.shape[3])
    for first in range(0, len(x), many):
        yield slice(first, first + many), buffer


def _gap(x: Tensor, here: Area, there: Area, buffer: Tensor) -> Tensor:
    a, b = x[(slice(None), *here)], x[(slice(None), *there)]
    return torch.sub(a, b, out=buffer[: a.numel()].view(a.shape))


def _distance(x: Tensor, offs: Tensor, scale: float) -> Tensor:
    d = x.new_full((len(x), len(offs), *x.shape[1:3]), torch.inf)
    where = areas(offs, *x.shape[1:3])
    for images, buffer in _blocks(x):
        for k, (here, there) in enumerate(where):
            d[images][(slice(None), k, *here)] = _gap(x[images], here, there, buffer).abs_().sum(-1)
    return d.mul_(scale)


def _grad_features(x: Tensor, offs: Tensor, grad_d: Tensor) -> Tensor:
    """Gradient (B, h, w, C) of the features where `grad_d` is that of their L1 distances."""
    total = torch.zeros_like(x)
    where = areas(offs, *x.shape[1:3])
    for images, buffer in _blocks(x):
        for k, (here, there) in enumerate(where):
            sign = _gap(x[images], here, there, buffer).sign_()
            by = grad_d[images][(slice(None), k, *here)].unsqueeze(-1)
            total[images][(slice(None), *here)].addcmul_(sign, by)
            total[images][(slice(None), *there)].addcmul_(sign, by, value=-1)
    return total


def loss_sums(x: Tensor, y_tri: Tensor, offs: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """Both sums of Eq. (6) in plain PyTorch, and what each pair pulls.

    Args:
        x: features (B, h, w, C).
        y_tri: three-way map (B, h, w) in {0, 1, 255}.
        offs: (K, 2), the half-plane neighbours (dy, dx), pixels.
        scale: of the L1 distance: 1 / C for the mean over channels, 1 for the sum.

    Returns:
        float64 (4,): sum of -log A over like pairs, of -log(1 - A) over unlike pairs, and their numbers; and
        (B, K, h, w): `scale` times the derivative by the distance, above 0 for like pairs, below 0 for unlike ones.
    """
    label, d = labels(y_tri, offs), _distance(x, offs, scale)
    like, unlike = label == 1, label == 0
    odds = torch.expm1(d.clamp_min(D_MIN))  # 1 / A - 1
    values = d.where(like, 0).sum(), torch.log1p(1 / odds).where(unlike, 0).sum(), like.sum(), unlike.sum()
    grad_d = (-scale / odds).where(unlike & (d >= D_MIN), 0).masked_fill_(like, scale)
    return torch.stack([v.double() for v in values]), grad_d
