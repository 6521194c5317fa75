"""AVS (Zhou et al., ECCV 2022, "Audio-Visual Segmentation"): ASPP, attention of pixels to the sound (TPAVI), FPN.

Trained on masks with binary cross-entropy, as they do on single-source clips; their KL term is for several sources.
Nothing is left out of TPAVI. The pairs here have one frame, T = 1, and then every key is the same sound: the sum over
N = T h w positions is one product per pixel (`attend`), exactly, with no N x N matrix. Their parameter names are kept;
the convolutions have no time axis, so their weights have one trailing axis less than the published ones.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from uspl.baselines import visual_only
from uspl.baselines.base import StepInput
from uspl.config import Config
from uspl.encoders.audio_visual import AudioVisualEncoder
from uspl.encoders.sound import sound_dim


def attend(
    theta: Float[Tensor, "b c h w"], phi: Float[Tensor, "b c"], g: Float[Tensor, "b c h w"]
) -> Float[Tensor, "b c h w"]:
    r"""Their TPAVI with one frame: every pixel takes the mean value as far as it agrees with the sound.

    .. math:: y_i = \frac1N \sum_{j=1}^N (\theta_i \cdot \phi_j) \, g_j = (\theta_i \cdot \phi) \, \bar g
        \quad\text{as } \phi_j = \phi

    Args:
        theta: queries of the pixels (B, C, h, w).
        phi: key of the sound (B, C), the same at every pixel.
        g: values of the pixels (B, C, h, w).

    Returns:
        y (B, C, h, w).

    >>> theta, g = torch.tensor([[[[1.0, 2.0]]]]), torch.tensor([[[[0.0, 4.0]]]])
    >>> attend(theta, torch.tensor([[3.0]]), g).tolist()  # the mean value is 2
    [[[[6.0, 12.0]]]]
    """
    return torch.einsum("bchw,bc->bhw", theta, phi).unsqueeze(1) * g.mean((2, 3), keepdim=True)


class TPAVI(nn.Module):
    """Temporal pixel-wise audio-visual interaction on one frame: x + W_z(attend(...)), then a layer norm.

    The last norm of W_z starts at 0, as published: at first the sound changes nothing.

    Args:
        dim: channels of the pixels; queries, keys and values have half as many.
        sound: numbers of a sound's embedding.
    """

    def __init__(self, dim: int, sound: int = 128) -> None:
        super().__init__()
        inner = max(1, dim // 2)
        self.align_channel, self.norm_layer = nn.Linear(sound, dim), nn.LayerNorm(dim)
        self.g, self.theta, self.phi = (nn.Conv2d(dim, inner, 1) for _ in range(3))
        norm = nn.BatchNorm2d(dim)
        nn.init.zeros_(norm.weight)
        self.W_z = nn.Sequential(nn.Conv2d(inner, dim, 1), norm)

    def forward(self, x: Float[Tensor, "b c h w"], sound: Float[Tensor, "b n"]) -> Float[Tensor, "b c h w"]:
        """x (B, dim, h, w): pixels of a stage; sound (B, 128): the embedding of the clip."""
        key = self.phi(self.align_channel(sound)[:, :, None, None]).flatten(1)
        z = x + self.W_z(attend(self.theta(x), key, self.g(x)))
        normed: Tensor = self.norm_layer(z.movedim(1, -1))
        return normed.movedim(-1, 1)


class AVS(nn.Module):
    """The decoder of `visual`, with TPAVI between the ASPP and the FPN of every stage.

    Args:
        cfg: widths of the stages and of the decoder.
    """

    supervision, cosine = "mask", False
    heads = ("decoder", "tpavi_b1", "tpavi_b2", "tpavi_b3", "tpavi_b4")

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        self.decoder = visual_only.new_decoder(cfg)
        self.tpavi_b1, self.tpavi_b2, self.tpavi_b3, self.tpavi_b4 = (
            TPAVI(cfg.decoder_dim, sound_dim(cfg)) for _ in range(4)
        )

    def logits(self, features: AudioVisualEncoder, image: Tensor, sound: Tensor) -> Float[Tensor, "b h w"]:
        """An image and its sound -> logits before the sigmoid, on the decoder's grid."""
        stages: Sequence[Tensor] = features.stages(image)
        heard, parts = features.audio(sound), self.decoder
        hear = (self.tpavi_b1, self.tpavi_b2, self.tpavi_b3, self.tpavi_b4)
        aspp = (parts.conv1, parts.conv2, parts.conv3, parts.conv4)
        f1, f2, f3, f4 = (tpavi(conv(s), heard) for tpavi, conv, s in zip(hear, aspp, stages, strict=True))
        x = parts.path3(parts.path4(f4), f3)
        logits: Tensor = parts.output_conv(parts.path1(parts.path2(x, f2), f1))
        return logits.squeeze(1).float()

    def losses(self, step: StepInput) -> dict[str, Tensor]:
        """ "loss"."""
        logits = self.logits(step.features, step.image, step.sound)
        return {"loss": visual_only.loss(logits, step.mask, ranks=step.ranks)}

    def score(self, features: AudioVisualEncoder, image: Tensor, sound: Tensor) -> Float[Tensor, "b h w"]:
        """The probability that a pixel sounds, in [0, 1]."""
        return torch.sigmoid(self.logits(features, image, sound))
