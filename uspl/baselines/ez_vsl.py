"""EZ-VSL (Mo and Morgado, ECCV 2022, "Localizing Visual Sounds the Easy Way"): contrast over the best location.

The object-guided half of the paper is in `ogl`.
"""

from jaxtyping import Float
from torch import Tensor

from uspl import align


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
