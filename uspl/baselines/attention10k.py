"""Attention10k (Senocak, Oh, Kim, Yang and Kweon, CVPR 2018): the attended image is near its sound, not near another.

"Learning to Localize Sound Source in Visual Scenes", the unsupervised half. Simplified: the attended feature and the
sound are compared as they are, where the paper has two more linear layers on top; the attention has the temperature of
this library, where the paper has none (1), since a cosine from random start is too flat to choose a place; supervision
by annotated places is left out.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from uspl.baselines.base import Contrast, StepInput


def attended(f_a: Float[Tensor, "b c"], f_v: Float[Tensor, "b c h w"], *, tau: float = 1.0) -> Float[Tensor, "b c"]:
    r"""The image as its sound attends to it.

    .. math:: z_i = \sum_k \alpha_{ik} v_{ik}, \quad
        \alpha_{ik} = \frac{\exp(a_i \cdot v_{ik} / \tau)}{\sum_l \exp(a_i \cdot v_{il} / \tau)}

    Args:
        f_a: projected sounds (B, C), not normalised.
        f_v: projected images (B, C, h, w), not normalised.
        tau: temperature of the attention, above 0.

    Returns:
        z (B, C), of a length of at most 1.

    Raises:
        ValueError: `tau` not above 0.
    """
    if not tau > 0:
        raise ValueError(f"`tau` must be above 0; got {tau}.")
    a, v = F.normalize(f_a, dim=1), F.normalize(f_v, dim=1).flatten(2)
    attention = (torch.einsum("ic,ick->ik", a, v) / tau).softmax(1)
    return torch.einsum("ik,ick->ic", attention, v)


def loss(
    f_a: Float[Tensor, "b c"], f_v: Float[Tensor, "b c h w"], other: Int[Tensor, " b"], *, tau: float = 1.0
) -> Float[Tensor, ""]:
    r"""Triplet loss on a softmax of two distances, mean over the batch.

    .. math:: L = \frac1B \sum_i (T^+_i)^2 + (1 - T^-_i)^2, \quad
        T^\pm_i = \frac{e^{d^\pm_i}}{e^{d^+_i} + e^{d^-_i}}, \quad
        d^+_i = \lVert z_i - a_i \rVert, \; d^-_i = \lVert z_i - a_{o(i)} \rVert

    Args:
        f_a: projected sounds (B, C), not normalised.
        f_v: projected images (B, C, h, w), not normalised.
        other: o (B), the place in the batch of a sound that does not belong to the image.
        tau: temperature of the attention, above 0.

    Returns:
        Scalar in [0, 2]; 1/2 where both distances are equal.

    Raises:
        ValueError: `tau` not above 0.
    """
    z, a = F.normalize(attended(f_a, f_v, tau=tau), dim=1), F.normalize(f_a, dim=1)
    d = torch.stack((torch.linalg.vector_norm(z - a, dim=1), torch.linalg.vector_norm(z - a[other], dim=1)))
    t = d.softmax(0)  # T+ and T-
    return (t[0] ** 2 + (1 - t[1]) ** 2).mean()


class Attention10k(Contrast):
    """The loss above, the wrong sound drawn from the batch; the map is the cosine, the attention before its softmax.

    Args:
        tau: temperature of the attention.
    """

    def __init__(self, tau: float) -> None:
        super().__init__(loss, tau)

    def losses(self, step: StepInput) -> dict[str, Tensor]:
        """ "loss"."""
        f_a, f_v = step.project()
        b = len(f_a)
        shift = torch.randint(1, b, (1,), generator=step.generator)  # never the image's own sound
        other = (torch.arange(b) + shift) % b
        with torch.autocast(f_v.device.type, enabled=False):
            return {"loss": self.loss(f_a, f_v, other.to(f_a.device), tau=self.tau)}
