"""Maps between their places: a cosine as a map in [0, 1] (Reading 2), a map at another size."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from uspl.config import Range


def normalise_map(m: Float[Tensor, "b h w"], how: Range) -> Float[Tensor, "b h w"]:
    """A cosine map as a map that thresholds in [0, 1] can judge (Reading 2).

    Args:
        m: map (B, h, w), any range.
        how: "relu_max" sets negatives to 0 and divides by the maximum; "minmax" moves the minimum to 0 and the
            maximum to 1; "raw" changes nothing. A constant map becomes 0 under "minmax", 1 (or 0 where it is
            not positive) under "relu_max".

    Returns:
        The map (B, h, w), in [0, 1] unless `how` is "raw".

    Raises:
        ValueError: an unknown `how`.

    >>> import torch
    >>> normalise_map(torch.tensor([[[-1.0, 0.25, 0.5]]]), "relu_max").tolist()
    [[[0.0, 0.5, 1.0]]]
    """
    if how == "raw":
        return m
    if how == "relu_max":
        m = m.clamp_min(0)
    elif how == "minmax":
        m = m - m.amin((1, 2), keepdim=True)
    else:
        raise ValueError(f"`how` must be 'relu_max', 'minmax' or 'raw'; got {how!r}.")
    return m / m.amax((1, 2), keepdim=True).clamp_min(1e-8)


def resize(m: Float[Tensor, "b h w"], size: int) -> Float[Tensor, "b size size"]:
    """A map resized bilinearly; unchanged where it has that size."""
    if m.shape[-2:] == (size, size):
        return m
    return F.interpolate(m.unsqueeze(1), size=(size, size), mode="bilinear", align_corners=False).squeeze(1)
