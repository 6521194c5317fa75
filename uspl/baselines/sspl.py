"""SSPL (Song, Wang, Fan, Tan and Zhang, CVPR 2022): two views of a pair predict each other, without any negative.

"Self-Supervised Predictive Learning: A Negative-Free Method for Sound Source Localization in Visual Scenes". Predictive
coding first revises the image features until they predict the sound; attention then pools them; a predictor with
stopped gradients (SimSiam) holds two views together. Simplified: the predictive coding has one layer where the paper
has several; the second view is the mirrored image with changed brightness and contrast where the paper also crops;
narrower layers. Published, the image encoder is pre-trained and frozen; from random start it is learned here, which
is more than the method was made for.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from uspl import align, maps
from uspl.baselines.base import StepInput
from uspl.config import Config
from uspl.encoders.audio_visual import AudioVisualEncoder


def loss(
    p1: Float[Tensor, "b c"], p2: Float[Tensor, "b c"], z1: Float[Tensor, "b c"], z2: Float[Tensor, "b c"]
) -> Float[Tensor, ""]:
    r"""Each view's prediction against the other view, which takes no gradient; mean over the batch.

    .. math:: L = -\frac{1}{2B} \sum_i \cos\big(p^1_i, \mathrm{sg}(z^2_i)\big) + \cos\big(p^2_i, \mathrm{sg}(z^1_i)\big)

    Args:
        p1, p2: predictions from the two views (B, C).
        z1, z2: projections of the two views (B, C).

    Returns:
        Scalar in [-1, 1].

    >>> x = torch.eye(2)
    >>> loss(x, x, x, -x).item() + 1, loss(x, -x, x, -x).item()  # one view is missed; both are
    (1.0, 1.0)
    """
    return -(F.cosine_similarity(p1, z2.detach()) + F.cosine_similarity(p2, z1.detach())).mean() / 2


def pooled(f_a: Float[Tensor, "b c"], f_v: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c"]:
    r"""Image features weighted by their map, from 0 to 1; the sum of weights stays in.

    .. math:: f_{av} = \frac1K \sum_k w_k v_k, \quad w = \mathrm{norm}(M), \; M_k = \cos(a, v_k)

    A constant map weighs nothing: the result is 0. The paper sums where this takes the mean over K locations.
    """
    weights = maps.normalise_map(align.sounding_map(f_a, f_v), "minmax")
    return (f_v * weights.unsqueeze(1)).mean((2, 3))


class Coding(nn.Module):
    r"""Predictive coding: image features that have been told how wrong the sound is that they predict.

    .. math:: v^{t+1}_k = v^t_k + \alpha \, U \Big( \hat a - D \Big( \frac1K \sum_l v^t_l \Big) \Big)

    Args:
        dim: channels of both modalities.
        cycles: how often the error goes up.
    """

    def __init__(self, dim: int, *, cycles: int = 4) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(dim, dim), nn.Linear(dim, dim, bias=False)
        self.rate, self.cycles = nn.Parameter(torch.ones(())), cycles

    def forward(self, f_a: Float[Tensor, "b c"], f_v: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Sounds and images (B, C, h, w) -> images."""
        for _ in range(self.cycles):
            error = F.normalize(f_a, dim=1) - F.gelu(self.down(f_v.mean((2, 3))))
            f_v = f_v + self.rate.relu() * self.up(error)[:, :, None, None]
        return f_v


class SSPL(nn.Module):
    """Predictive coding, projection and predictor; the map is the cosine after the coding.

    Args:
        cfg: `dim`.
    """

    supervision, cosine, heads = "none", True, ()

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        c, narrow = cfg.dim, max(cfg.dim // 4, 1)
        self.coding = Coding(c)
        hidden = [nn.Linear(c, c, bias=False), nn.BatchNorm1d(c), nn.ReLU(inplace=True)]
        self.project = nn.Sequential(*hidden, nn.Linear(c, c, bias=False), nn.BatchNorm1d(c, affine=False))
        squeeze = [nn.Linear(c, narrow, bias=False), nn.BatchNorm1d(narrow), nn.ReLU(inplace=True)]
        self.predict = nn.Sequential(*squeeze, nn.Linear(narrow, c))

    def losses(self, step: StepInput) -> dict[str, Tensor]:
        """ "loss"."""
        many = len(step.image) * step.ranks.world
        drawn = torch.rand(2, many, 3, 1, 1, generator=step.generator) * 0.8 - 0.4
        gain, shift = step.ranks.rows(drawn, dim=1).to(step.image.device)
        views = step.image, step.image.flip(3) * (1 + gain) + shift
        f_a, f_v = step.features.encode_sound(step.sound), [step.features.encode_image(view)[1] for view in views]
        with torch.autocast(f_a.device.type, enabled=False):
            z1, z2 = (self.project(pooled(f_a, self.coding(f_a, v))) for v in f_v)
            return {"loss": loss(self.predict(z1), self.predict(z2), z1, z2)}

    def score(self, features: AudioVisualEncoder, image: Tensor, sound: Tensor) -> Float[Tensor, "b h w"]:
        """The cosine of the sound with the image features that know of it."""
        f_a, f_v = features.encode_sound(sound), features.encode_image(image)[1]
        return align.sounding_map(f_a, self.coding(f_a, f_v))
