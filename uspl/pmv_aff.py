"""Fig. 3: the Process of Multi-scale Visual feature for affinities (PMV-aff), four stages -> F_aff of Eq. (3)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PMVAff(nn.Module):
    """Process of Multi-scale Visual feature for affinities (PMV-aff): four stages -> F_aff of Eq. (3).

    Args:
        widths: channels of the four stages.
        dim: channels of F_aff.
        block: "two_step" is c -> dim, resize, dim -> dim per stage, concatenate, 1x1 (closest to Table 3);
            "concat" resizes all stages and applies one 1x1 to the whole stack (Reading 21).
        size: side of F_aff in pixels.
    """

    def __init__(self, *, widths: Sequence[int], dim: int, block: str = "two_step", size: int = 56) -> None:
        super().__init__()
        self.size, self.block = size, block
        if block == "two_step":
            self.reduce = nn.ModuleList(nn.Conv2d(c, dim, 1) for c in widths)
            self.adapt = nn.ModuleList(nn.Conv2d(dim, dim, 1) for _ in widths)
            self.join = nn.Conv2d(dim * len(widths), dim, 1)
        else:
            self.join = nn.Conv2d(sum(widths), dim, 1)

    def forward(self, stages: Sequence[Tensor]) -> Tensor:
        """Stages (B, c_i, h_i, w_i) -> F_aff (B, dim, size, size)."""
        if self.block == "two_step":
            reduced = [F.relu(conv(s)) for conv, s in zip(self.reduce, stages, strict=True)]
            levels = [F.relu(conv(self._resize(s))) for conv, s in zip(self.adapt, reduced, strict=True)]
        else:
            levels = [self._resize(s) for s in stages]
        joined: Tensor = self.join(torch.cat(levels, 1))
        return joined

    def _resize(self, x: Tensor) -> Tensor:
        return F.interpolate(x, size=(self.size, self.size), mode="bilinear", align_corners=False)
