"""Object-guided localisation (OGL; Mo and Morgado, ECCV 2022): what looks like an object is part of the answer.

An addition to a trained peer. Simplified where nothing is pre-trained: the objectness is that of the peer's own image
encoder, since a random start has no ImageNet network; with `Config.visual_weights` it is the encoder as published.
"""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from uspl.config import Config
from uspl.encoders import visual
from uspl.encoders.audio_visual import AudioVisualEncoder
from uspl.maps import normalise_map


def objectness(features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b h w"]:
    """Mean over channels of the absolute value of a network's last features: not negative, unit as the features."""
    return features.abs().mean(1)


def guided(
    m: Float[Tensor, "b h w"], objects: Float[Tensor, "b u v"], *, size: int, alpha: float = 0.4
) -> Float[Tensor, "b size size"]:
    r"""Both maps enlarged (bilinear, corners aligned), each from 0 to 1, mixed, from 0 to 1 again.

    .. math:: M = \mathrm{norm}\big(\alpha \, \mathrm{norm}(M_{av}) + (1 - \alpha) \, \mathrm{norm}(M_{obj})\big)

    Args:
        m: the audio-visual map (B, h, w), any range.
        objects: of `objectness` (B, u, v).
        size: pixels, side of the result.
        alpha: share of the audio-visual map, in [0, 1].

    Raises:
        ValueError: `alpha` outside [0, 1].
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"`alpha` must be in [0, 1]; got {alpha}.")
    m, objects = (
        normalise_map(
            F.interpolate(x.unsqueeze(1), size=(size, size), mode="bilinear", align_corners=True).squeeze(1), "minmax"
        )
        for x in (m, objects)
    )
    return normalise_map(alpha * m + (1 - alpha) * objects, "minmax")


class OGL(nn.Module):
    """A peer's map guided by objects.

    Args:
        method: of the trained peer.
        cfg: image encoder and its weights.
        alpha: share of the peer's map.
    """

    cosine, heads = False, ()

    def __init__(self, method: nn.Module, cfg: Config, alpha: float = 0.4) -> None:
        super().__init__()
        self.method, self.alpha, self.size = method, alpha, cfg.image_size
        self.supervision = method.supervision
        self.visual = None if cfg.visual_weights == "none" else visual.visual_encoder(cfg)

    def score(self, features: AudioVisualEncoder, image: Tensor, sound: Tensor) -> Float[Tensor, "b s s"]:
        """The mixture, in [0, 1]."""
        m: Tensor = self.method.score(features, image, sound)  # type: ignore[operator]
        seen = (self.visual or features.visual)(image)[3]
        return guided(m, objectness(seen.float()), size=self.size, alpha=self.alpha)
