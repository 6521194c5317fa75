"""Section 4.2: the published ways to score maps, each with its exact rule, its source and its oracle.

A protocol marks pixels, turns each clip into a few float64 numbers and all of them into scores, once and in the order
of the data set, so the size of a batch has no say.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from uspl.metrics import localization
from uspl.metrics.segmentation import Numbers

Values = dict[str, Numbers]  # each (N, ...): one row per clip, or per video once they are joined
Maps = Float[Tensor, "n h w"]
Truth = Shaped[Tensor, "n h w"]  # bool, or numbers: positive where the pixel sounds
Silent = Bool[Tensor, " n"]
Mark = Callable[[Tensor, Tensor], Tensor]  # maps and truth -> the pixels that count as marked, bool
Sweep = Callable[[Tensor, Tensor, Tensor], Tensor]  # maps, truth and k levels -> (N, k), the rule at each threshold
SIGMAS = (0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.7)  # centre Gaussians that are tried, shares of the side


@dataclass(frozen=True)
class Threshold:
    """A threshold with the clips it was chosen on.

    Raises:
        ValueError: it was chosen on another split than "val".
    """

    value: float  # in (0, 1)
    split: str
    n: int  # pairs it was chosen on
    data_hash: str  # of those clips
    score: float  # what it reached there

    def __post_init__(self) -> None:
        if self.split != "val":
            raise ValueError(
                f"a threshold must be chosen on the split 'val', never on what is tested; got {self.split!r}."
            )


class Silence(NamedTuple):
    """What a protocol with items in which nothing sounds needs beside its scores."""

    sounding: Callable[[Values], Numbers]  # 1 where an item sounds, else 0
    blind: Callable[[Values], Values]  # numbers of a guess that knows no confidence: floors and ceiling
    subsets: Callable[[Values], dict[str, Any]]  # statistics of some of the items, by name


class Entry(NamedTuple):
    """How a protocol is named: `base`, or `base(t)` with a threshold, or `base(n)` with a number of videos."""

    base: str
    argument: str  # "", "t" or "n"
    build: Callable[[str, Any, Threshold | None], "Protocol"]  # name, argument, threshold chosen on validation
    chosen: bool = True  # whether t may be "val"


@dataclass(frozen=True)
class Protocol:
    """One published way to score maps."""

    name: str
    rule: str  # the whole definition in a sentence or two
    source: str
    scores: tuple[str, ...]  # what `reduce` gives; the first is the headline
    mark: Mark
    values: Callable[[Tensor, Tensor, Tensor, Tensor], Values]  # maps, marked, truth, silent -> numbers of each clip
    oracle: Callable[[Tensor, Tensor], Values]  # truth, silent -> the best numbers any map could have
    reduce: Callable[[Values], dict[str, float]]
    sigmas: tuple[float, ...] = SIGMAS
    by_video: bool = False  # rows are joined per video before `reduce`
    sweep: Sweep | None = None  # where there is a threshold that can be chosen
    headline: Callable[[Numbers], Numbers] | None = None  # of `sweep`'s numbers (N, k): the score of each threshold
    chosen: Threshold | None = None
    silence: Silence | None = None  # where it needs items in which nothing sounds
    side: int | None = None  # pixels at which published scores are computed, where they depend on it
    knows_area: bool = False  # `mark` looks at the truth

    def measure(self, maps: Maps, truth: Truth, silent: Silent) -> Values:
        """The numbers of each clip, from maps (N, H, W) in [0, 1] and what sounds (N, H, W)."""
        return self.values(maps, self.mark(maps, truth), truth, silent)


def mark_half(maps: Tensor, truth: Tensor) -> Tensor:
    """The higher half of the pixels."""
    return localization.binarise(maps, how="half_image")


def best_ciou(truth: Tensor, best: Callable[[Tensor, int], Tensor]) -> Numbers:
    """cIoU of the best map that marks `best(pixels of the truth, pixels)` pixels."""
    area = localization.count(truth > 0)
    marked = best(area, truth.shape[1:].numel())
    return numbers(torch.minimum(area, marked) / torch.maximum(area, marked).clamp_min(1e-12))


def numbers(x: Tensor) -> Numbers:
    """A tensor as float64 numbers of numpy."""
    found: Numbers = x.double().cpu().numpy()
    return found
