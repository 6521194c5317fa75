"""The visual-only upper line: the decoder of AVS on masks without any sound, so what needs no listening at all.

The decoder is that of Zhou et al. (ECCV 2022): ASPP on each stage, an FPN, a head; SPS of USPL has the same. Trained
with binary cross-entropy on the annotated second. Whatever a method that listens has above it, it has by listening.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from uspl.baselines.base import StepInput
from uspl.config import Config
from uspl.core.ranks import ALONE, Ranks
from uspl.encoders.audio_visual import AudioVisualEncoder
from uspl.maps import resize
from uspl.segment import ASPPFPNDecoder, segmentation_loss

SHARE = 0.15  # of the pixels that a mask marks, roughly


def new_decoder(cfg: Config) -> ASPPFPNDecoder:
    """The decoder of a configuration, on the four stages of its image encoder.

    Its last bias starts at the logit of `SHARE`, as detectors of rare things do (Lin et al. 2017): from 0, the first
    steps would push every activation down until none is left to learn.
    """
    decoder = ASPPFPNDecoder(
        widths=cfg.widths,
        dim=cfg.decoder_dim,
        dilations=cfg.aspp_dilations,
        inplace=cfg.rcu_inplace,
        last_upsample=cfg.visual != "tiny",
        hidden=cfg.decoder_hidden,
        dims=None if cfg.decoder_dims == "shared" else cfg.widths,
    )
    last: Any = decoder.output_conv[-1]
    nn.init.constant_(last.bias, math.log(SHARE / (1 - SHARE)))
    return decoder


def loss(logits: Float[Tensor, "b u v"], mask: Float[Tensor, "b s s"], *, ranks: Ranks = ALONE) -> Float[Tensor, ""]:
    r"""Binary cross-entropy, mean over the annotated pixels.

    .. math:: L = -\mathrm{mean}\big(Y \log \sigma(x) + (1 - Y) \log(1 - \sigma(x))\big)

    Args:
        logits: x (B, u, v), resized bilinearly to the mask.
        mask: Y (B, S, S): 0 or 1; -1 is not annotated and left out.
        ranks: processes that each hold some images of the batch; the mean of their losses is that of the batch.

    Returns:
        Scalar, at least 0; 0 where nothing is annotated.

    >>> round(loss(torch.zeros(2, 1, 1), torch.tensor([[[1.0]], [[-1.0]]])).item(), 4)  # log 2
    0.6931
    """
    return segmentation_loss(resize(logits.float(), mask.shape[-1]), mask, ranks=ranks)


class VisualOnly(nn.Module):
    """The decoder above on the image's stages; the sound is not looked at, so every sound has the same map.

    Args:
        cfg: widths of the stages and of the decoder.
    """

    supervision, cosine, heads = "mask", False, ("decoder",)

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        self.decoder = new_decoder(cfg)

    def losses(self, step: StepInput) -> dict[str, Tensor]:
        """ "loss"."""
        stages: Sequence[Tensor] = step.features.stages(step.image)
        return {"loss": loss(self.decoder(stages), step.mask, ranks=step.ranks)}

    def score(self, features: AudioVisualEncoder, image: Tensor, sound: Tensor) -> Float[Tensor, "b h w"]:
        """The probability that a pixel belongs to something that sounds, in [0, 1]."""
        stages: Sequence[Tensor] = features.stages(image)
        return torch.sigmoid(self.decoder(stages).float())
