"""Section 3.3: sounding pixel segmentation (SPS). Fusion (Eq. 9), ASPP + FPN decoder, its loss (Eq. 10)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from uspl.core.ranks import ALONE, Ranks
from uspl.maps import normalise_map


def fuse(f_v: Float[Tensor, "b c h w"], m_crs: Float[Tensor, "b h w"]) -> Float[Tensor, "b c h w"]:
    r"""Eq. (9): image features strengthened where the coarse map sounds.

    .. math:: F_{av} = F_v + F_v \odot \mathrm{norm}(M_{crs})

    Args:
        f_v: image features (B, C, h, w).
        m_crs: coarse map (B, h, w), any range; min-max normalised per image, a constant map to 0.

    Returns:
        F_av (B, C, h, w).

    Source: the paper, section 3.3.

    >>> fuse(torch.ones(1, 1, 1, 3), torch.tensor([[[-1.0, 0.0, 1.0]]])).tolist()
    [[[[1.0, 1.5, 2.0]]]]
    """
    return f_v + f_v * normalise_map(m_crs, "minmax").unsqueeze(1)


def segmentation_loss(
    logits: Float[Tensor, "b h w"],
    m_fine: Float[Tensor, "b h w"],
    *,
    as_printed: bool = False,
    ranks: Ranks = ALONE,
) -> Float[Tensor, ""]:
    r"""Eq. (10): the decoder learns the fine map by binary cross-entropy.

    .. math:: L_{seg} = -\mathrm{mean}\big(M_{fine} \log M + (1 - M_{fine}) \log(1 - M)\big), \quad M = \sigma(logits)

    Args:
        logits: decoder output (B, h, w) before the sigmoid.
        m_fine: target (B, h, w) in [0, 1]; values below 0 are ignored (see `three_way`).
        as_printed: only the first term, as the paper prints it: all-ones then wins (Reading 15).
        ranks: processes that each hold some images of the batch; the mean of their losses is that of the batch.

    Returns:
        Scalar loss, at least 0; 0 when every target is ignored.

    Source: the paper, section 3.3.

    >>> round(segmentation_loss(torch.zeros(1, 1, 2), torch.tensor([[[1.0, -1.0]]])).item(), 4)  # log 2
    0.6931
    """
    counted = m_fine >= 0
    loss = -m_fine * F.logsigmoid(logits)
    if not as_printed:
        loss = loss - (1 - m_fine) * F.logsigmoid(-logits)
    return loss.where(counted, 0).sum() / ranks.mean(counted.sum()).clamp_min(1 / ranks.world)


def three_way(m_fine: Float[Tensor, "b h w"], *, high: float, low: float) -> Float[Tensor, "b h w"]:
    """Hard target of SPS (Reading 15): 1 where M_fine >= `high`, 0 where it is below `low`, -1 (ignored) between.

    >>> three_way(torch.tensor([[[0.1, 0.5, 0.7]]]), high=0.6, low=0.4).tolist()
    [[[0.0, -1.0, 1.0]]]
    """
    return torch.full_like(m_fine, -1).masked_fill(m_fine < low, 0).masked_fill(m_fine >= high, 1)


class ASPP(nn.Module):
    """Atrous spatial pyramid pooling as in AVSBench: the sum of one dilated 3x3 convolution per rate.

    (B, c_in, h, w) -> (B, c_out, h, w).
    """

    def __init__(self, c_in: int, c_out: int, *, dilations: Sequence[int] = (3, 6, 12, 18)) -> None:
        super().__init__()
        self.conv2d_list = nn.ModuleList(nn.Conv2d(c_in, c_out, 3, padding=d, dilation=d) for d in dilations)

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type == "cpu" and torch.is_grad_enabled():
            # bf16 on the CPU: the backward of a dilated convolution gives NaN, so training stays in float32 here.
            with torch.autocast("cpu", enabled=False):
                return self._sum(x.float())
        return self._sum(x)

    def _sum(self, x: Tensor) -> Tensor:
        total: Tensor = sum(conv(x) for conv in self.conv2d_list)
        return total


class ResidualUnit(nn.Module):
    """x + conv(relu(conv(relu(x)))); with `inplace` the shortcut is relu(x), the published quirk (Reading 14)."""

    def __init__(self, dim: int, *, inplace: bool = False) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(dim, dim, 3, padding=1)
        self.conv2 = nn.Conv2d(dim, dim, 3, padding=1)
        self.inplace = inplace

    def forward(self, x: Tensor) -> Tensor:
        rectified = F.relu(x)
        out: Tensor = self.conv2(F.relu(self.conv1(rectified)))
        return out + (rectified if self.inplace else x)


class FusionBlock(nn.Module):
    """One step of the FPN: resConfUnit2(x + resConfUnit1(skip)), then twice the size if `upsample`.

    `skip` False leaves the first unit out: the coarsest step has no second input.
    """

    def __init__(self, dim: int, *, skip: bool = True, upsample: bool = True, inplace: bool = False) -> None:
        super().__init__()
        if skip:
            self.resConfUnit1 = ResidualUnit(dim, inplace=inplace)
        self.resConfUnit2 = ResidualUnit(dim, inplace=inplace)
        self.upsample = upsample

    def forward(self, x: Tensor, skip: Tensor | None = None) -> Tensor:
        return self.join(x, None if skip is None else self.resConfUnit1(skip))

    def join(self, x: Tensor, side: Tensor | None) -> Tensor:
        """As the call, where `side` = resConfUnit1(skip) is known."""
        x = self.resConfUnit2(x if side is None else x + side)
        if not self.upsample:
            return x
        return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)


class ASPPFPNDecoder(nn.Module):
    """ASPP on each stage, then an FPN from coarse to fine, then the mask head; names as in AVSBench.

    Args:
        widths: channels of the four stages, fine to coarse; strides 4, 8, 16, 16 (or 2, 4, 8, 8).
        dim: channels of ASPP and FPN.
        dilations: rates of the ASPP.
        inplace: the published in-place ReLU (Reading 14), to load published weights.
        last_upsample: the finest step doubles the size, as stages from stride 4 need to reach the image.
        dims: channels of F_1..F_4, the outputs of the ASPPs, brought to `dim` by 1x1 convolutions; None: `dim` for
            each, as Table 3 counts them (Reading 25).
        hidden: channels before the last layer; 0 is the published eighth of `dim`, which at small `dim` may die.
    """

    def __init__(
        self,
        *,
        widths: Sequence[int],
        dim: int = 256,
        dilations: Sequence[int] = (3, 6, 12, 18),
        inplace: bool = False,
        last_upsample: bool = True,
        dims: Sequence[int] | None = None,
        hidden: int = 0,
    ) -> None:
        super().__init__()
        outs = dims or (dim,) * 4
        aspps = (ASPP(c, out, dilations=dilations) for c, out in zip(widths, outs, strict=True))
        self.conv1, self.conv2, self.conv3, self.conv4 = (
            aspp if out == dim else nn.Sequential(aspp, nn.Conv2d(out, dim, 1))
            for aspp, out in zip(aspps, outs, strict=True)
        )
        self.path4 = FusionBlock(dim, skip=False, upsample=False, inplace=inplace)
        self.path3 = FusionBlock(dim, inplace=inplace)
        self.path2 = FusionBlock(dim, inplace=inplace)
        self.path1 = FusionBlock(dim, upsample=last_upsample, inplace=inplace)
        self.output_conv = nn.Sequential(
            nn.Conv2d(dim, dim // 2, 3, padding=1),
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
            nn.Conv2d(dim // 2, hidden or dim // 8, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(hidden or dim // 8, 1, 1),
        )

    def sides(self, stages: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """What the three stages that do not hear give to the FPN: the same for every sound."""
        aspp = ((self.path1, self.conv1), (self.path2, self.conv2), (self.path3, self.conv3))
        f1, f2, f3 = (path.resConfUnit1(conv(s)) for (path, conv), s in zip(aspp, stages[:3], strict=True))
        return f1, f2, f3

    def forward(self, stages: Sequence[Tensor], sides: Sequence[Tensor] | None = None) -> Tensor:
        """Four stages (B, c_i, h_i, w_i), the last one F_av of Eq. (9) -> logits (B, S, S)."""
        f1, f2, f3 = self.sides(stages) if sides is None else sides
        x = self.path3.join(self.path4(self.conv4(stages[3])), f3)
        x = self.path1.join(self.path2.join(x, f2), f1)
        logits: Tensor = self.output_conv(x)
        return logits.squeeze(1)
