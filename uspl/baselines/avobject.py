"""AVObject (Afouras, Owens, Chung and Zisserman, ECCV 2020): the map is cut in objects, and objects are compared.

"Self-Supervised Learning of Audio-Visual Objects from Video", the selection part: peaks of the attention map, found by
suppressing what is near a better one, become objects, each pooled by the attention around its peak. Simplified: one
frame, so no optical flow along which objects are followed; the negatives are other videos, not the same video at
another time; the objects serve the contrast in training, where the paper extracts them after it.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from uspl import align


def near(h: int, w: int, radius: int) -> Bool[Tensor, "k k"]:
    """Which locations of a grid are at most `radius` rows and columns from each other, themselves included."""
    y, x = torch.arange(h * w) // w, torch.arange(h * w) % w
    return torch.maximum((y[:, None] - y).abs(), (x[:, None] - x).abs()) <= radius


def peaks(m: Float[Tensor, "b h w"], *, count: int = 4, radius: int = 2) -> Int[Tensor, "b n"]:
    """The best locations, each farther than `radius` from those before it.

    Args:
        m: map (B, h, w), any range.
        count: how many, at least 1; where the grid has no room left, the first location fills up.
        radius: rows or columns that a peak suppresses around it, at least 0.

    Returns:
        (B, count): places in the flat grid, the best first.

    Raises:
        ValueError: `count` below 1, or `radius` below 0.

    >>> peaks(torch.tensor([[[0.9, 0.8, 0.1, 0.7]]]), count=2, radius=1).tolist()
    [[0, 3]]
    """
    if count < 1:
        raise ValueError(f"`count` must be at least 1; got {count}.")
    if radius < 0:
        raise ValueError(f"`radius` must be at least 0; got {radius}.")
    around, left, found = near(m.shape[1], m.shape[2], radius).to(m.device), m.detach().flatten(1), []
    for _ in range(count):
        found.append(left.argmax(1))
        left = left.masked_fill(around[found[-1]], -torch.inf)
    return torch.stack(found, 1)


def objects(
    f_a: Float[Tensor, "b c"], f_v: Float[Tensor, "b c h w"], *, tau: float = 0.07, count: int = 4, radius: int = 2
) -> Float[Tensor, "b n c"]:
    r"""Each image as the objects that its own sound finds: the attention around each peak pools the features.

    .. math:: o_{in} = \sum_{k \in W(p_{in})} \frac{e^{M_{ik} / \tau}}{\sum_{l \in W(p_{in})} e^{M_{il} / \tau}} v_{ik}

    Args:
        f_a: projected sounds (B, C), not normalised.
        f_v: projected images (B, C, h, w), not normalised.
        tau: temperature, above 0.
        count, radius: as in `peaks`; W(p) are the locations at most `radius` from peak p.

    Returns:
        (B, count, C), each of a length of at most 1.

    Raises:
        ValueError: `tau` not above 0, or as `peaks`.
    """
    if not tau > 0:
        raise ValueError(f"`tau` must be above 0; got {tau}.")
    m = align.sounding_map(f_a, f_v)
    around = near(m.shape[1], m.shape[2], radius).to(m.device)
    window = around[peaks(m, count=count, radius=radius)]  # (B, count, h*w)
    weights = (m.flatten(1).unsqueeze(1) / tau).masked_fill(~window, -torch.inf).softmax(2)
    return torch.einsum("ink,ick->inc", weights, F.normalize(f_v, dim=1).flatten(2))


def loss(
    f_a: Float[Tensor, "b c"], f_v: Float[Tensor, "b c h w"], *, tau: float = 0.07, count: int = 4, radius: int = 2
) -> Float[Tensor, ""]:
    r"""Contrast over the best object, in both directions, mean over the batch; arguments as `objects`.

    .. math:: L = -\frac1B \sum_i \Big( \log \frac{e^{s_{ii}}}{\sum_j e^{s_{ij}}}
        + \log \frac{e^{s_{ii}}}{\sum_j e^{s_{ji}}} \Big), \quad s_{ij} = \max_n \cos(a_i, o_{jn}) / \tau
    """
    found = objects(f_a, f_v, tau=tau, count=count, radius=radius)
    return align.mmicl_loss(f_a, found.transpose(1, 2).unsqueeze(3), tau=tau, symmetric=True)
