"""LVS (Chen, Xie, Afouras, Nagrani, Vedaldi and Zisserman, CVPR 2021): the silent part of an image is a hard negative.

"Localizing Visual Sounds the Hard Way": a soft tri-map cuts the map of a pair in what sounds, what is silent and what
is not decided; the last part is left out. Simplified: the encoders of this library, and a sound of one length.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from uspl.baselines.base import cosines

OWN = -99.0  # factor on a pair's own place among the easy negatives, as published: it is to vanish from the sum


def regions(
    m: Float[Tensor, "*b k"], *, high: float = 0.65, low: float = 0.4, width: float = 0.03
) -> tuple[Float[Tensor, "*b k"], Float[Tensor, "*b k"]]:
    r"""The tri-map: logarithms of the soft regions that sound and that are silent.

    .. math:: P = \sigma\big((M - \epsilon_p) / w\big), \quad N = 1 - \sigma\big((M - \epsilon_n) / w\big)

    Args:
        m: cosines (..., K), one for each location.
        high: cosine above which a location sounds, epsilon_p.
        low: cosine below which a location is silent, epsilon_n, at most `high`.
        width: softness w of both edges, above 0.

    Returns:
        log P and log N (..., K), at most 0. Logarithms, since a share of 1e-30 still weighs where all are so small.

    Raises:
        ValueError: `width` not above 0, or `low` above `high`.

    >>> sounds, silent = regions(torch.tensor([[0.65, 0.4]]))
    >>> round(sounds.exp()[0, 0].item(), 4), round(silent.exp()[0, 1].item(), 4)
    (0.5, 0.5)
    """
    if not width > 0:
        raise ValueError(f"`width` must be above 0; got {width}.")
    if not low <= high:
        raise ValueError(f"`low` must not exceed `high`; got {low} and {high}.")
    return F.logsigmoid((m - high) / width), F.logsigmoid((low - m) / width)


def logits(
    f_a: Float[Tensor, "b c"],
    f_v: Float[Tensor, "b c h w"],
    *,
    tau: float = 0.07,
    high: float = 0.65,
    low: float = 0.4,
    width: float = 0.03,
) -> Float[Tensor, "b n"]:
    r"""What is compared for each image: its sound, the sounds of all pairs, and its silent part.

    .. math:: \Big[\, \frac{\langle P_{ii}, M_{ii} \rangle}{|P_{ii}|} \;\Big|\;
        \frac{\langle P_{ij}, M_{ij} \rangle}{|P_{ij}|}, \; j = 1 \dots B \;\Big|\;
        \frac{\langle N_{ii}, M_{ii} \rangle}{|N_{ii}|} \,\Big] \, / \, \tau

    where M_ij holds the cosines of image i with sound j; the entry j = i in the middle is multiplied by -99.

    Args:
        f_a: projected sounds (B, C), not normalised.
        f_v: projected images (B, C, h, w), not normalised.
        tau: temperature, above 0.
        high, low, width: as in `regions`.

    Returns:
        (B, B + 2): the positive, B easy negatives, the hard negative.

    Raises:
        ValueError: `tau` not above 0, or as `regions`.
    """
    if not tau > 0:
        raise ValueError(f"`tau` must be above 0; got {tau}.")
    m = cosines(f_a, f_v)  # (B images, B sounds, h*w)
    sounds, silent = regions(m, high=high, low=low, width=width)
    heard = (sounds.softmax(2) * m).sum(2)  # softmax of a logarithm: the weight over the sum of weights
    own = heard.diagonal()
    easy = torch.diagonal_scatter(heard, OWN * own)
    hard = (silent.softmax(2) * m).sum(2).diagonal()
    return torch.cat((own.unsqueeze(1), easy, hard.unsqueeze(1)), 1) / tau


def loss(
    f_a: Float[Tensor, "b c"],
    f_v: Float[Tensor, "b c h w"],
    *,
    tau: float = 0.07,
    high: float = 0.65,
    low: float = 0.4,
    width: float = 0.03,
) -> Float[Tensor, ""]:
    """Their contrast: cross-entropy of `logits`, the positive is the answer, mean over the batch; same arguments."""
    found = logits(f_a, f_v, tau=tau, high=high, low=low, width=width)
    return (found.logsumexp(1) - found[:, 0]).mean()
