"""Where a map fails: kinds of failure as numbers per clip, and what is measured of a clip that might explain them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

KINDS = {
    "spill": "share of what is marked that lies on no object",
    "miss": "share of the sounding object that is not marked",
    "silent distractor": "share of what is marked that lies on a silent object",
    "size prior": "how much too large or too small the marked area is, in octaves",
}
LEAST = 0.2  # rank correlation below which nothing is said to go with a failure


def failures(
    m: Float[Tensor, "n h w"], objects: UInt8[Tensor, "n h w"], *, threshold: float = 0.5
) -> dict[str, Float[Tensor, " n"]]:
    """Each kind of `KINDS` for each clip, 0 where it is absent.

    Args:
        m: maps in [0, 1]; pixels above `threshold` are marked.
        objects: 0 background, 1 sounding, 2 and more silent.

    Returns:
        {kind: (N,)}; in [0, 1], except the size prior, which is in octaves. Where nothing is marked, nothing is
        spilt, all is missed, and the size prior counts one pixel.

    Raises:
        ValueError: a clip without a sounding object.

    >>> m, objects = torch.tensor([[[1.0, 1.0, 0.0, 0.0]]]), torch.tensor([[[0, 1, 1, 2]]], dtype=torch.uint8)
    >>> {kind: round(values.item(), 2) for kind, values in failures(m, objects).items()}
    {'spill': 0.5, 'miss': 0.5, 'silent distractor': 0.0, 'size prior': 0.0}
    """
    marked, own = (m > threshold).flatten(1), (objects == 1).flatten(1)
    if not own.any(1).all():
        lacks = int((~own.any(1)).nonzero()[0, 0])
        raise ValueError(f"`objects` must hold a sounding object (1) in each clip; clip {lacks} has none.")
    area, true = marked.sum(1).double(), own.sum(1).double()
    silent = (objects >= 2).flatten(1)
    ground = ~own & ~silent
    of_marked = area.clamp_min(1)
    return {
        "spill": (marked & ground).sum(1) / of_marked,
        "miss": (~marked & own).sum(1) / true,
        "silent distractor": (marked & silent).sum(1) / of_marked,
        "size prior": (area.clamp_min(1) / true).log2().abs(),
    }


def properties(
    image: Float[Tensor, "n 3 h w"],
    objects: UInt8[Tensor, "n h w"],
    waves: Sequence[Float[Tensor, " t"]],
    m_cos: Float[Tensor, "n h w"],
) -> dict[str, Float[Tensor, " n"]]:
    """What can be measured of a clip without judging its map.

    Args:
        image: RGB, on any scale.
        objects: as in `failures`.
        waves: sounds in [-1, 1].
        m_cos: the cosine of Eq. (1), on any scale.

    Returns:
        "size of the object" (share of the image), "gap to the nearest silent object" (pixels between edges; the
        diagonal where there is none), "colour distance to the nearest silent object" and "colour distance to the
        ground" (of mean colours), "loudness" (dB), "lead of the cosine" (its maximum on the object minus that off
        it).
    """
    found: dict[str, list[float]] = {}
    for picture, labels, wave, cos in zip(image, objects, waves, m_cos, strict=True):
        own = labels == 1
        gap, nearest = _nearest(labels)
        colour = picture[:, own].mean(1)
        ground = picture[:, labels == 0].mean(1)
        other = picture[:, labels == nearest].mean(1) if nearest else ground
        values = {
            "size of the object": own.double().mean().item(),
            "gap to the nearest silent object": gap,
            "colour distance to the nearest silent object": (colour - other).norm().item(),
            "colour distance to the ground": (colour - ground).norm().item(),
            "loudness": 10 * (wave.double().pow(2).mean() + 1e-12).log10().item(),
            "lead of the cosine": (cos[own].max() - cos[~own].max()).item(),
        }
        for name, value in values.items():
            found.setdefault(name, []).append(value)
    return {name: torch.tensor(values, dtype=torch.float64) for name, values in found.items()}


def _nearest(labels: UInt8[Tensor, "h w"]) -> tuple[float, int]:
    """Distance in pixels from the sounding object to the nearest silent one, and its label; 0 for none."""
    own = _edge(labels == 1)
    best = (float(torch.tensor(labels.shape).double().norm()), 0)
    for label in labels.unique().tolist():
        if label >= 2:
            gap = torch.cdist(own, _edge(labels == label)).min().item()
            best = min(best, (gap, label))
    return best


def _edge(there: Bool[Tensor, "h w"]) -> Float[Tensor, "p 2"]:
    """Places of the pixels of a set that have a neighbour outside it, or lie at the border."""
    framed = torch.nn.functional.pad(there, (1, 1, 1, 1))
    inside = framed[:-2, 1:-1] & framed[2:, 1:-1] & framed[1:-1, :-2] & framed[1:-1, 2:]
    return (there & ~inside).nonzero().double()


def worst(values: Float[Tensor, " n"], videos: Sequence[str], k: int) -> list[int]:
    """Indices of the k clips that fail most, each of another video, the worst first.

    >>> worst(torch.tensor([0.1, 0.9, 0.8, 0.5]), ["a", "b", "b", "c"], 2)
    [1, 3]
    """
    seen: dict[str, int] = {}
    for i in values.argsort(descending=True, stable=True).tolist():
        seen.setdefault(videos[i], i)
    return list(seen.values())[:k]


class Guess(NamedTuple):
    """What goes with a failure: a property of the clip that is unusual, in the direction that goes with it."""

    name: str  # "" where nothing does
    share: float  # of clips that lie further from the bad end, [0, 1]
    correlation: float  # rank correlation of the property with the failure, over all clips

    def __str__(self) -> str:
        if not self.name:
            return "nothing that is measured here goes with it"
        side = "higher" if self.correlation > 0 else "lower"
        return f"the {self.name} is {side} than in {self.share:.0%} of clips (rank correlation {self.correlation:+.2f})"


def guess(values: Float[Tensor, " n"], measured: Mapping[str, Float[Tensor, " n"]], index: int) -> Guess:
    """The property of clip `index` that best explains its failure: unusual there, and going with it everywhere.

    Args:
        values: one kind of `failures`.
        measured: `properties` of the same clips.
        index: of the clip.

    Each property is weighed by its rank correlation with `values` times how far the clip stands towards the bad end.
    """
    best, most = Guess("", 0.0, 0.0), LEAST / 2
    for name, x in measured.items():
        correlation = rank_correlation(x, values)
        share = (x < x[index] if correlation > 0 else x > x[index]).double().mean().item()
        weight = abs(correlation) * (2 * share - 1)
        if abs(correlation) >= LEAST and weight > most:
            best, most = Guess(name, share, correlation), weight
    return best


def rank_correlation(x: Float[Tensor, " n"], y: Float[Tensor, " n"]) -> float:
    """Spearman's: the correlation of ranks, equal values sharing their mean rank; 0 where one is constant.

    >>> rank_correlation(torch.tensor([1.0, 2.0, 30.0]), torch.tensor([0.3, 0.2, 0.1]))
    -1.0
    """
    from scipy.stats import spearmanr

    if x.unique().numel() < 2 or y.unique().numel() < 2:
        return 0.0
    return round(float(spearmanr(x.cpu(), y.cpu()).statistic), 12)
