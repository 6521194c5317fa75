"""What a row of the table is: two sides that agree, and by how much one should be faster."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks.ratios.timing import Call

Make = Callable[[torch.device], dict[str, "Side"]]


class Disagreement(Exception):
    """The two sides of a row give different results, so their times say nothing."""


def share(expected: object, got: object) -> float:
    """Largest difference of two tensors, or sequences of them, as a share of the largest value expected."""
    if isinstance(expected, tuple) and isinstance(got, tuple):
        return max(share(a, b) for a, b in zip(expected, got, strict=True))
    a, b = (torch.as_tensor(x).detach().double().cpu() for x in (expected, got))
    if a.shape != b.shape:
        raise Disagreement(f"the shapes differ: {tuple(a.shape)} and {tuple(b.shape)}")
    difference = (a - b).abs().max() / a.abs().max().clamp_min(1e-30)
    return difference.item() if bool(difference.isfinite()) else torch.inf


class Side(NamedTuple):
    """One variant of a row."""

    base: Call  # what is compared with
    ours: Call
    proof: tuple[Call, Call] | None = None  # what must agree, where `base` and `ours` compute different things
    difference: Callable[[object, object], float] = share  # expected, got -> a number to hold against the tolerance


@dataclass(frozen=True)
class Row:
    """One line of the table, or one per variant ("plain", "numba", ...)."""

    name: str
    what: str  # one sentence: which function against which reference
    sizes: str
    make: Make  # inputs drawn, nothing computed yet; on a device
    tolerance: float  # largest `Side.difference` allowed
    goals: Mapping[str, float] = field(default_factory=dict)  # variant -> ratio to reach
    at_most: bool = False  # the goal is not to be exceeded: a share
    peak: float | None = None  # base peak / our peak to reach; 0: measured, no goal; None: not measured
    traffic: int = 0  # bytes: inputs read once and results written once; above 0, the row runs on a CUDA device, too

    def reached(self, variant: str, ratio: float) -> bool | None:
        """Whether the goal of a variant is reached; None where there is no goal."""
        goal = self.goals.get(variant)
        if goal is None:
            return None
        return ratio <= goal if self.at_most else ratio >= goal


def check(row: Row, variant: str, side: Side, known: dict[int, object] | None = None) -> float:
    """The difference between the two sides.

    Args:
        row: with the tolerance.
        variant: named in the sentence.
        side: both calls.
        known: results of earlier references, by the identity of the call: variants share them.

    Raises:
        Disagreement: one sentence, when it exceeds the tolerance.
    """
    reference, ours = side.proof or (side.base, side.ours)
    known = {} if known is None else known
    if id(reference) not in known:
        known[id(reference)] = reference()
    try:
        difference = side.difference(known[id(reference)], ours())
    except Disagreement as error:
        raise Disagreement(f"Row `{row.name}`, {variant}: {error}.") from None
    if not difference <= row.tolerance:
        raise Disagreement(
            f"Row `{row.name}`, {variant}: the results must agree within {row.tolerance:g}; "
            f"they differ by {difference:.3g}, so nothing is timed."
        )
    return difference


def random(seed: int, *shape: int, device: torch.device | None = None) -> Tensor:
    """Uniform numbers in [0, 1), the same on every device."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)).to(device)


def normal(seed: int, *shape: int, device: torch.device | None = None) -> Tensor:
    """Standard normal numbers, the same on every device."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(device)
