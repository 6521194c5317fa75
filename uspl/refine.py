"""Section 3.2: refinement of a map by the image (Eq. 4) and the three-way map of what is sure (Eq. 5)."""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from uspl.kernels import dispatch
from uspl.kernels.dispatch import ColourAffinity

_RING = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))
_BLOCK = 1 << 14  # pixels: on a CPU so many are refined at a time


def pamr(
    image: Float[Tensor, "b 3 H W"],
    m: Float[Tensor, "b k h w"],
    *,
    iterations: int = 10,
    dilations: Sequence[int] = (1, 2, 4, 8, 12, 24),
    fast: bool = True,
) -> Float[Tensor, "b k H W"]:
    r"""Eq. (4): pixel-adaptive mask refinement (PAMR); neighbours of like colour share their value.

    .. math:: m_p \leftarrow \sum_{n \in N(p)} w_{pn} m_n, \quad
        w_{pn} = \mathrm{softmax}_n \Big( -\tfrac13 \sum_c \frac{|I_{pc} - I_{nc}|}{10^{-8} + 0.1\,\sigma_{pc}} \Big)

    N(p) are the 8 neighbours at each dilation, the border replicated; sigma is the local standard deviation of
    each channel over those and the centre. The weights sum to 1, so a map in [0, 1] stays there.

    Args:
        image: guide (B, 3, H, W), any per-channel affine scale; no gradient flows to it.
        m: maps (B, K, h, w); resized to (H, W) bilinearly with corners aligned.
        iterations: int >= 0.
        dilations: distances in pixels, each int >= 1.
        fast: take the kernels of `fast` where they apply; False is plain PyTorch.

    Returns:
        Refined maps (B, K, H, W).

    Raises:
        ValueError: negative `iterations`, or `dilations` empty or below 1.

    Source: Araslanov and Roth, CVPR 2020, section 4.3.

    >>> pamr(torch.rand(1, 3, 2, 2), torch.full((1, 1, 1, 1), 0.25), dilations=(1,))[0, 0]
    tensor([[0.2500, 0.2500],
            [0.2500, 0.2500]])
    """
    _check(iterations, dilations)
    by_colour = ColourAffinity(power=1, factor=0.1, least=1e-8, with_centre=True)
    return _refined(image, m, by_colour, iterations, dilations, fast)


def par(
    image: Float[Tensor, "b 3 H W"],
    m: Float[Tensor, "b k h w"],
    *,
    iterations: int = 10,
    dilations: Sequence[int] = (1, 2, 4, 8, 12, 24),
    keep_range: bool = True,
    fast: bool = True,
) -> Float[Tensor, "b k H W"]:
    r"""Eq. (4), the other reading: pixel-adaptive refinement (PAR), with colour and position kernels (Reading 1).

    .. math:: w = \mathrm{softmax}_n\big(-\tfrac13 \textstyle\sum_c (d_{nc} / 0.3\sigma_c)^2\big)
        + 0.01\, \mathrm{softmax}_n\big(-(\rho_n / 0.3\sigma_\rho)^2\big)

    where d is the colour difference and rho the distance in pixels. The weights sum to 1.01.

    Args:
        image: guide (B, 3, H, W), any per-channel affine scale; no gradient flows to it.
        m: maps (B, K, h, w); resized to (H, W) bilinearly with corners aligned.
        iterations: int >= 0.
        dilations: distances in pixels, each int >= 1.
        keep_range: divide by 1.01 ** iterations, so that a map in [0, 1] stays there; False is the published gain.
        fast: as for `pamr`.

    Returns:
        Refined maps (B, K, H, W).

    Raises:
        ValueError: negative `iterations`, or `dilations` empty or below 1.

    Source: Ru et al., CVPR 2022, section 3.4.

    >>> par(torch.rand(1, 3, 8, 8), torch.ones(1, 1, 4, 4), iterations=1, keep_range=False).mean().round(decimals=4)
    tensor(1.0100)
    """
    _check(iterations, dilations)
    rho = image.new_tensor([dil * (dy * dy + dx * dx) ** 0.5 for dil in dilations for dy, dx in _RING])
    position = -((rho / (rho.std() + 1e-8) / 0.3) ** 2)
    both = ColourAffinity(power=2, factor=0.3, least=0.3e-8, with_centre=False, by_position=0.01 * position.softmax(0))
    refined = _refined(image, m, both, iterations, dilations, fast)
    return refined / 1.01**iterations if keep_range else refined


def trimap(m: Float[Tensor, "b h w"], *, beta_l: float, beta_h: float) -> UInt8[Tensor, "b h w"]:
    r"""Eq. (5): three-way map of what is sure.

    .. math:: Y = 1 \text{ where } M \ge \beta_h, \quad 0 \text{ where } M < \beta_l, \quad 255 \text{ between}

    Args:
        m: refined map (B, h, w) in [0, 1].
        beta_l: below it a pixel is silent.
        beta_h: at or above it a pixel sounds.

    Returns:
        Y_tri (B, h, w), uint8: 1 sounding, 0 silent, 255 not sure.

    Raises:
        ValueError: `beta_l` not below `beta_h`.

    Source: the paper, section 3.2.

    >>> trimap(torch.tensor([[[0.1, 0.5, 0.9]]]), beta_l=0.4, beta_h=0.55).tolist()
    [[[0, 255, 1]]]
    """
    if not beta_l < beta_h:
        raise ValueError(f"`beta_l` must be below `beta_h`; got {beta_l} and {beta_h}.")
    y = torch.full_like(m, 255, dtype=torch.uint8)
    return y.masked_fill(m < beta_l, 0).masked_fill(m >= beta_h, 1)


def _check(iterations: int, dilations: Sequence[int]) -> None:
    if iterations < 0:
        raise ValueError(f"`iterations` must be at least 0; got {iterations}.")
    if not dilations or min(dilations) < 1:
        raise ValueError(f"`dilations` must be integers of at least 1; got {tuple(dilations)}.")


def _padded(x: Tensor, dilations: Sequence[int]) -> Tensor:
    return F.pad(x, (max(dilations),) * 4, mode="replicate")


def _neighbours(padded: Tensor, dilations: Sequence[int]) -> Iterator[Tensor]:
    """Views of maps (B, C, H, W) that `_padded` padded, one per neighbour."""
    pad = max(dilations)
    height, width = padded.shape[-2] - 2 * pad, padded.shape[-1] - 2 * pad
    for dil in dilations:
        for dy, dx in _RING:
            top, left = pad + dil * dy, pad + dil * dx
            yield padded[..., top : top + height, left : left + width]


def _refined(
    image: Tensor, m: Tensor, colours: ColourAffinity, iterations: int, dilations: Sequence[int], fast: bool
) -> Tensor:
    """`iterations` times the weighted sum over neighbours; on a CPU a few images at a time: weights stay in cache."""
    if not len(m):
        return m.new_zeros(*m.shape[:2], *image.shape[-2:])
    m = F.interpolate(m, size=tuple(image.shape[-2:]), mode="bilinear", align_corners=True)
    needs_gradient = torch.is_grad_enabled() and m.requires_grad
    if fast and not needs_gradient and dispatch.usable(image, m):
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
