"""EZ-VSL (Mo and Morgado, ECCV 2022, "Localizing Visual Sounds the Easy Way"): contrast over the best location."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from uspl import align
from uspl.baselines.peer import Features
from uspl.batch import Batch
from uspl.objective import Moment


def loss(f_a: Float[Tensor, "b c"], f_v: Float[Tensor, "b c h w"], *, tau: float = 0.03) -> Float[Tensor, ""]:
    r"""Their Eq. (5): multiple-instance contrast in both directions, mean over the batch.

    .. math:: L = -\frac1B \sum_i \Big( \log \frac{e^{s_{ii}}}{\sum_j e^{s_{ij}}}
        + \log \frac{e^{s_{ii}}}{\sum_j e^{s_{ji}}} \Big), \quad s_{ij} = \max_k \cos(a_i, v_{jk}) / \tau

    Args:
        f_a: projected sounds (B, C), not normalised.
        f_v: projected images (B, C, h, w), not normalised.
        tau: temperature, above 0.

    Returns:
        Scalar, at least 0: Eq. (2) of USPL in both directions with no location hidden.

    Raises:
        ValueError: `tau` not above 0.
    """
    return align.mmicl_loss(f_a, f_v, tau=tau, symmetric=True)


class EZVSL(nn.Module):
    """The loss above on the projected features; the map is the cosine. Left out: object-guided maps, see `ogl`.

    Args:
        tau: temperature.
    """

    supervision, cosine, heads = "none", True, ()

    def __init__(self, tau: float) -> None:
        super().__init__()
        self.tau = tau

    def losses(
        self, features: Features, batch: Batch, labels: Tensor | None, generator: torch.Generator, moment: Moment
    ) -> dict[str, Tensor]:
        """ "loss"."""
        f_v = features.encode_image(batch.image)[1]
        with torch.autocast(f_v.device.type, enabled=False):
            return {"loss": loss(features.encode_sound(batch.sound), f_v, tau=self.tau)}

    def score(self, features: Features, image: Tensor, sound: Tensor) -> Float[Tensor, "b h w"]:
        """The cosine."""
        return align.sounding_map(features.encode_sound(sound), features.encode_image(image)[1])
