"""FNAC (Sun, Zhang, Wang, Liu, Zhong, Feng, Guo, Zhang and Barnes, CVPR 2023): negatives that are none are spared.

"Learning Audio-Visual Source Localization via False Negative Aware Contrastive Learning": two pairs of a batch may
show the same thing. How alike their sounds are (and their images) says so, and the contrast is drawn towards it.
Simplified: no masking of the spectrogram and no weight decay.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from uspl.baselines import ez_vsl
from uspl.baselines.base import Contrast, StepInput, cosines, dropped


def terms(
    f_a: Float[Tensor, "b c"], f_v: Float[Tensor, "b c h w"], *, tau: float = 0.03, above: float = 0.6
) -> Float[Tensor, "4"]:
    r"""The contrast of EZ-VSL and three distances between soft neighbourhoods of the batch.

    .. math:: \Big( L_{ez}, \;\; \lVert A - S \rVert, \;\; \lVert A - G \rVert, \;\; \lVert I - S \rVert \Big)

    A, G, I and S are softmaxes over rows, divided by tau before: of a_i . a_j, of the foregrounds g_i . g_j, of the
    mean images v_i . v_j, and of the best cosine of image i with sound j. A foreground is the mean over all locations
    of the image features where the map, from 0 to 1, is above 0.6, else 0. The norm is the mean absolute difference.
    AudioVisualEncoder are normalised at each location; means of them are not normalised again.

    Args:
        f_a: projected sounds (B, C), not normalised.
        f_v: projected images (B, C, h, w), not normalised.
        tau: temperature, above 0.
        above: threshold of the foreground, in [0, 1].

    Returns:
        Four numbers, each at least 0, in the order of the formula.

    Raises:
        ValueError: `tau` not above 0.
    """
    contrast = ez_vsl.loss(f_a, f_v, tau=tau)
    a, v = F.normalize(f_a, dim=1), F.normalize(f_v, dim=1).flatten(2)
    m = cosines(f_a, f_v, tau=tau)  # (B images, B sounds, h*w)
    own = torch.einsum("iik->ik", m)
    low, high = own.amin(1, keepdim=True), own.amax(1, keepdim=True)
    sounds = (own - low) / (high - low + 1e-5) > above  # a constant map has no foreground
    foreground = (v * sounds.unsqueeze(1)).mean(2)

    def neighbours(x: Tensor) -> Tensor:
        return (x @ x.T / tau).softmax(1)

    by_sound, by_image, pairs = neighbours(a), neighbours(v.mean(2)), m.amax(2).softmax(1)
    distances = (F.l1_loss(by_sound, pairs), F.l1_loss(by_sound, neighbours(foreground)), F.l1_loss(by_image, pairs))
    return torch.stack((contrast, *distances))


def loss(
    f_a: Float[Tensor, "b c"], f_v: Float[Tensor, "b c h w"], *, tau: float = 0.03, weight: float = 100.0
) -> Float[Tensor, ""]:
    """First of `terms` plus `weight` times each of the others.

    Raises:
        ValueError: `tau` not above 0, or `weight` below 0.
    """
    if not weight >= 0:
        raise ValueError(f"`weight` must be at least 0; got {weight}.")
    found = terms(f_a, f_v, tau=tau)
    return found[0] + weight * found[1:].sum()


class FNAC(Contrast):
    """EZ-VSL first, then the loss above; the map is the cosine.

    Args:
        tau: temperature.
        start: share of the training that is EZ-VSL alone; 5 of 30 epochs as published.
        dropout: share of the image features that is dropped in training.
        weight: of the three distances. They are means over B x B pairs of shares that sum to 1 over B: as published,
            100 with batches of 256, they count as much as 100 B / 256 with batches of B.
    """

    def __init__(self, tau: float, *, start: float = 5 / 30, dropout: float = 0.9, weight: float = 100.0) -> None:
        super().__init__(loss, tau)
        self.start, self.dropout, self.weight = start, dropout, weight

    def losses(self, step: StepInput) -> dict[str, Tensor]:
        """ "loss"."""
        seen = step.features.stages(step.image)[3]
        if self.training and self.dropout:
            seen = dropped(seen, self.dropout, step.generator, step.ranks)
        f_a, f_v = step.features.encode_sound(step.sound), step.features.project_v(seen).float()
        f_a, f_v = step.ranks.gather(f_a), step.ranks.gather(f_v)
        with torch.autocast(f_v.device.type, enabled=False):
            weight = self.weight if step.progress >= self.start else 0.0
            return {"loss": self.loss(f_a, f_v, tau=self.tau, weight=weight)}
