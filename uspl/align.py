"""Section 3.1: the coarse sounding map (Eq. 1) and the objective that trains it (Eq. 2)."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from uspl.core.ranks import ALONE, Ranks


def sounding_map(f_a: Float[Tensor, "b c"], f_v: Float[Tensor, "b c h w"]) -> Float[Tensor, "b h w"]:
    r"""Eq. (1): coarse sounding map, the cosine of the sound with every image location.

    .. math:: M_{crs} = \frac{F_a \cdot F_v}{\lVert F_a \rVert \, \lVert F_v \rVert}

    Args:
        f_a: projected sound features (B, C).
        f_v: projected image features (B, C, h, w).

    Returns:
        M_crs (B, h, w): cosine in [-1, 1].

    Source: the paper, section 3.1.

    >>> f_v = torch.tensor([[[[1.0, 0.0, -2.0]], [[0.0, 3.0, 0.0]]]])  # three locations, two channels
    >>> sounding_map(torch.tensor([[5.0, 0.0]]), f_v).tolist()
    [[[1.0, 0.0, -1.0]]]
    """
    return torch.einsum("bc,bchw->bhw", F.normalize(f_a, dim=1), F.normalize(f_v, dim=1))


def mask_locations(
    shape: tuple[int, int, int], *, delta: float, generator: torch.Generator | None = None
) -> Bool[Tensor, "b h w"]:
    """The locations MMICL keeps: each is dropped with probability `delta`, at least one per sample stays.

    Args:
        shape: (B, h, w) of the coarse map.
        delta: probability that a location is dropped, in [0, 1); section 3.1, Table 5.
        generator: source of randomness, on the CPU.

    Returns:
        keep (B, h, w): True where the location stays.

    Raises:
        ValueError: `delta` outside [0, 1).

    >>> mask_locations((1, 2, 2), delta=0.0).all().item()
    True
    """
    if not 0 <= delta < 1:
        raise ValueError(f"`delta` must be in [0, 1); got {delta}.")
    u = torch.rand(shape, generator=generator)
    best = u.flatten(1).argmax(1, keepdim=True)
    kept: Tensor = (u >= delta).flatten(1).scatter(1, best, True)
    return kept.view(shape)


def mmicl_loss(
    f_a: Float[Tensor, "b c"],
    f_v: Float[Tensor, "b c h w"],
    *,
    keep: Bool[Tensor, "b h w"] | None = None,
    tau: float = 0.07,
    symmetric: bool = False,
    masked_denominator: bool = False,
    dropped: str = "exclude",
    ranks: Ranks = ALONE,
) -> Float[Tensor, ""]:
    r"""Eq. (2): masked multiple-instance contrastive loss (MMICL).

    .. math:: L = -\frac1B \sum_i \log
        \frac{\exp(\max_{k \in keep_i} s_{iik} / \tau)}{\sum_j \exp(\max_k s_{ijk} / \tau)}

    where s_ijk is the cosine of sound i with location k of image j. Mean over the batch.

    Args:
        f_a: projected sound features (B, C), not normalised.
        f_v: projected image features (B, C, h, w), not normalised.
        keep: locations of each image that its own sound may choose (B, h, w); None keeps all.
        tau: temperature, above 0.
        symmetric: add the same loss with images and sounds exchanged (Reading 9).
        masked_denominator: the positive in the denominator is masked too (Reading 9).
        dropped: "exclude" leaves dropped locations out of the maximum, "zero" gives them cosine 0 (Reading 10).
        ranks: processes that each hold some pairs of the batch; B then counts all of them, and all get its loss.

    Returns:
        Scalar loss, at least 0 unless dropping makes it larger.

    Raises:
        ValueError: `tau` not above 0, an unknown `dropped`, or a sample of `keep` without a location.

    Source: the paper, section 3.1.

    >>> eye = torch.eye(2)
    >>> round(mmicl_loss(eye, eye.view(2, 2, 1, 1), tau=1.0).item(), 4)  # log(1 + exp(-1))
    0.3133
    """
    if not tau > 0:
        raise ValueError(f"`tau` must be above 0; got {tau}.")
    if dropped not in ("exclude", "zero"):
        raise ValueError(f"`dropped` must be 'exclude' or 'zero'; got {dropped!r}.")
    if keep is not None and not keep.flatten(1).any(1).all():
        raise ValueError("`keep` must leave at least one location in every sample; got a sample with none.")
    a, v = F.normalize(f_a, dim=1), F.normalize(f_v, dim=1).flatten(2)
    logits = torch.einsum("ic,jck->ijk", ranks.gather(a), v).amax(2) / tau  # (B sounds, own images)
    logits = ranks.gather(logits.T).T  # (B sounds, B images)
    positive = logits.diagonal()
    if keep is not None:
        own = torch.einsum("ic,ick->ik", a, v)  # (B, h*w)
        own = own.masked_fill(~keep.flatten(1).to(own.device), -torch.inf if dropped == "exclude" else 0.0)
        positive = ranks.gather(own.amax(1) / tau)
    if masked_denominator:
        logits = torch.diagonal_scatter(logits, positive)
    loss = (logits.logsumexp(1) - positive).mean()
    return loss + (logits.logsumexp(0) - positive).mean() if symmetric else loss
