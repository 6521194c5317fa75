"""The affinity loss of AFA (Ru et al., CVPR 2022, "Learning Affinity from Attention"), to compare with Eq. (6)."""

from jaxtyping import Float, UInt8
from torch import Tensor


def loss(a: Float[Tensor, "b k h w"], labels: UInt8[Tensor, "b k h w"]) -> Float[Tensor, ""]:
    r"""Linear in the affinity, where Eq. (6) takes its logarithm: what is far from its label pulls no harder.

    .. math:: L = \tfrac12 \frac{\sum_{pos} (1 - a)}{n_{pos} + 1} + \tfrac12 \frac{\sum_{neg} a}{n_{neg} + 1}

    AFA counts each pair in both directions, and each sure pixel as a positive pair with itself; here the pairs are
    those that are given. From `affinity` they come once each and without self pairs, which weighs the "+ 1" more.

    Args:
        a: affinities (B, K, h, w) in [0, 1].
        labels: (B, K, h, w) in {0, 1, 255}, as `affinity_labels` gives them; 255 is not counted.

    Returns:
        Scalar, in [0, 1); sums are over the whole batch.

    Source: Ru et al., section 3.3.

    >>> import torch
    >>> labels = torch.tensor([[[[1]], [[0]], [[255]]]], dtype=torch.uint8)
    >>> round(loss(torch.tensor([[[[0.5]], [[0.25]], [[0.9]]]]), labels).item(), 4)  # (0.5 / 2 + 0.25 / 2) / 2
    0.1875
    """
    like, unlike = labels == 1, labels == 0
    pull = (1 - a).where(like, 0).sum() / (like.sum() + 1)
    push = a.where(unlike, 0).sum() / (unlike.sum() + 1)
    return (pull + push) / 2
