"""The twin of the loops in `refine`: a few images at a time in reused memory, or numba; the same weighted sums."""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from uspl.kernels import dispatch
from uspl.kernels.dispatch import ColourAffinity

RING = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))
_BLOCK = 1 << 14  # pixels: on a CPU so many are refined at a time


def refined(
    image: Float[Tensor, "b 3 h w"],
    m: Float[Tensor, "b k h w"],
    colours: ColourAffinity,
    iterations: int,
    dilations: Sequence[int],
) -> Float[Tensor, "b k h w"]:
    """`iterations` times the weighted sum over neighbours; on a CPU a few images at a time: weights stay in cache."""
    if not len(m):
        return m
    needs_gradient = torch.is_grad_enabled() and m.requires_grad
    if not needs_gradient and dispatch.usable(image, m):
        return dispatch.refined(image, m, colours, iterations, dilations)
    many = max(1, _BLOCK // image[0, 0].numel()) if image.device.type == "cpu" else len(image)
    found = []
    for guide, maps in zip(image.split(many), m.split(many), strict=True):
        with torch.no_grad():
            step = _Gather(_weights(guide, dilations, colours), dilations)
        for _ in range(iterations):
            maps = step(maps)
        found.append(maps)
    return torch.cat(found)


def _padded(x: Tensor, dilations: Sequence[int]) -> Tensor:
    return F.pad(x, (max(dilations),) * 4, mode="replicate")


def _neighbours(padded: Tensor, dilations: Sequence[int]) -> Iterator[Tensor]:
    """Views of maps (B, C, H, W) that `_padded` padded, one per neighbour."""
    pad = max(dilations)
    height, width = padded.shape[-2] - 2 * pad, padded.shape[-1] - 2 * pad
    for dil in dilations:
        for dy, dx in RING:
            top, left = pad + dil * dy, pad + dil * dx
            yield padded[..., top : top + height, left : left + width]


def _spread(image: Tensor, dilations: Sequence[int], *, with_centre: bool) -> Tensor:
    """Unbiased standard deviation of the neighbours per channel (B, 3, H, W), from differences to the centre."""
    # The centre's own difference is 0: it counts in n and nowhere else, once per dilation.
    n = (9 if with_centre else 8) * len(dilations)
    total, squares, d = torch.zeros_like(image), torch.zeros_like(image), torch.empty_like(image)
    for neighbour in _neighbours(_padded(image, dilations), dilations):
        torch.sub(neighbour, image, out=d)
        total += d
        squares.addcmul_(d, d)
    return squares.sub_(total.square_().div_(n)).div_(n - 1).clamp_min_(0).sqrt_()


def _weights(image: Tensor, dilations: Sequence[int], colours: ColourAffinity) -> Tensor:
    """softmax over neighbours of -mean over channels of (|difference| * scale) ** power: (B, N, H, W)."""
    scale = 1 / (colours.factor * _spread(image, dilations, with_centre=colours.with_centre) + colours.least)
    logits = image.new_empty(len(image), 8 * len(dilations), *image.shape[-2:])
    d = torch.empty_like(image)
    for n, neighbour in enumerate(_neighbours(_padded(image, dilations), dilations)):
        torch.sub(neighbour, image, out=d).mul_(scale)
        logits[:, n] = (d.abs_() if colours.power == 1 else d.square_()).sum(1)
    logits = logits.mul_(-1 / image.shape[1])
    weights = logits.sub_(logits.amax(1, keepdim=True)).exp_()
    weights /= weights.sum(1, keepdim=True)
    return weights if colours.by_position is None else weights.add_(colours.by_position.view(1, -1, 1, 1))


class _Gather:
    """One step: the weighted sum over neighbours of maps (B, K, H, W); weights (B, N, H, W), shared by all maps."""

    def __init__(self, weights: Tensor, dilations: Sequence[int]) -> None:
        self.weights, self.dilations = [w.unsqueeze(1) for w in weights.unbind(1)], dilations
        self.padded: Tensor | None = None

    def __call__(self, m: Tensor) -> Tensor:
        padded = _padded(m, self.dilations)
        if self.padded is None or m.requires_grad:
            self.padded, self.neighbours = padded, list(_neighbours(padded, self.dilations))
        else:
            self.padded.copy_(padded)  # the views stay: to make them anew would take as long as the sum
        total = torch.zeros_like(m)
        for weight, neighbour in zip(self.weights, self.neighbours, strict=True):
            total.addcmul_(weight, neighbour)
        return total
