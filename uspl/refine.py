"""Section 3.2: refinement of a map by the image (Eq. 4), and the trimap of what it is sure of (Eq. 5)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from uspl.kernels import refine_torch
from uspl.kernels.dispatch import ColourAffinity
from uspl.kernels.refine_torch import RING

_PAMR = ColourAffinity(power=1, factor=0.1, least=1e-8, with_centre=True)
_PAR = ColourAffinity(power=2, factor=0.3, least=0.3e-8, with_centre=False)


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
        fast: take the twin of `kernels`, numba on a CPU, PyTorch that keeps little elsewhere; False: as it reads here.

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
    m = _at_size_of(image, m)
    if fast:
        return refine_torch.refined(image, m, _PAMR, iterations, dilations)
    image, n = image.detach(), _neighbours(image.detach(), dilations)  # (B, 3, N, H, W)
    centre = image.unsqueeze(2).expand(-1, -1, len(dilations), -1, -1)  # it counts once per dilation
    sigma = torch.cat([n, centre], 2).std(2, keepdim=True)
    d = (image.unsqueeze(2) - n).abs() / (1e-8 + 0.1 * sigma)
    w = torch.softmax(-d.mean(1, keepdim=True), 2)  # (B, 1, N, H, W)
    for _ in range(iterations):
        m = (w * _neighbours(m, dilations)).sum(2)
    return m


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
    m, gain = _at_size_of(image, m), 1.01**iterations if keep_range else 1.0
    rho = image.new_tensor([dil * (dy * dy + dx * dx) ** 0.5 for dil in dilations for dy, dx in RING])
    by_position = 0.01 * torch.softmax(-((rho / (0.3 * (rho.std() + 1e-8))) ** 2), 0)  # (N,)
    if fast:
        return refine_torch.refined(image, m, _PAR._replace(by_position=by_position), iterations, dilations) / gain
    image, n = image.detach(), _neighbours(image.detach(), dilations)  # (B, 3, N, H, W)
    d = ((image.unsqueeze(2) - n) / (0.3 * (n.std(2, keepdim=True) + 1e-8))) ** 2
    w = torch.softmax(-d.mean(1, keepdim=True), 2) + by_position.view(-1, 1, 1)  # (B, 1, N, H, W)
    for _ in range(iterations):
        m = (w * _neighbours(m, dilations)).sum(2)
    return m / gain


def trimap(m: Float[Tensor, "b h w"], *, beta_l: float, beta_h: float) -> UInt8[Tensor, "b h w"]:
    r"""Eq. (5): trimap, a pseudo-label map with an ignore region.

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


def _at_size_of(image: Float[Tensor, "b 3 H W"], m: Float[Tensor, "b k h w"]) -> Float[Tensor, "b k H W"]:
    """Maps resized to the image, bilinearly with corners aligned; a batch of none has that size too."""
    size = tuple(image.shape[-2:])
    if not len(m):
        return m.new_zeros(*m.shape[:2], *size)
    return F.interpolate(m, size=size, mode="bilinear", align_corners=True)


def _neighbours(x: Float[Tensor, "b c h w"], dilations: Sequence[int]) -> Float[Tensor, "b c n h w"]:
    """The 8 neighbours of every pixel at each dilation, the border replicated."""
    pad, (h, w) = max(dilations), x.shape[-2:]
    padded = F.pad(x, (pad,) * 4, mode="replicate")
    places = [(pad + dil * dy, pad + dil * dx) for dil in dilations for dy, dx in RING]
    return torch.stack([padded[..., top : top + h, left : left + w] for top, left in places], 2)
