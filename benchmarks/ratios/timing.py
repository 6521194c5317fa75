"""Paired timing: both sides in turn, so that what else runs on the machine meets both alike."""

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import torch

Call = Callable[[], object]
Measure = Callable[[Call, int], float]  # a call and how often -> seconds in all

LEAST = 0.05  # s: shorter sides are repeated until they take so long


class Timing(NamedTuple):
    """Medians over pairs, and the range of the ratio of the two sides of a pair."""

    base_ms: float
    ours_ms: float
    ratio: float  # base / ours: how many times as fast ours is
    low: float
    high: float


def by_clock(clock: Callable[[], float] = time.process_time) -> Measure:
    """Seconds of a clock; by default processor time, which other processes do not lengthen."""

    def measure(call: Call, times: int) -> float:
        start = clock()
        for _ in range(times):
            call()
        return clock() - start

    return measure


def by_events(call: Call, times: int) -> float:
    """Seconds between two events on the current CUDA stream."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    for _ in range(times):
        call()
    end.record()
    end.synchronize()
    return 1e-3 * start.elapsed_time(end)


def repeats(call: Call, measure: Measure, *, least: float = LEAST) -> int:
    """How many calls last `least` seconds. Finding out warms a short call up; a long one needs no second call."""
    if measure(call, 1) >= 20 * least:
        return 1
    times = 1
    while (seconds := measure(call, times)) < least:
        times = max(times + 1, min(10 * times, int(1.1 * times * least / max(seconds, 1e-9))))
    return times


def paired(base: Call, ours: Call, *, measure: Measure, pairs: int = 7, least: float = LEAST) -> Timing:
    """Time two calls in turn, A B, B A, A B, ..., after both are warm.

    Args:
        base: the side that is compared with.
        ours: the side that should be faster.
        measure: `by_clock()` or `by_events`.
        pairs: int >= 1, how often each side is timed.
        least: s, how long a side is repeated at least each time.

    Raises:
        ValueError: `pairs` below 1.
    """
    if pairs < 1:
        raise ValueError(f"`pairs` must be at least 1; got {pairs}.")
    sides = [(call, repeats(call, measure, least=least)) for call in (base, ours)]
    times: list[list[float]] = [[], []]
    for pair in range(pairs):
        for side in (0, 1) if pair % 2 == 0 else (1, 0):
            call, count = sides[side]
            times[side].append(measure(call, count) / count)
    ratios = [a / b for a, b in zip(*times, strict=True)]
    medians = [1e3 * statistics.median(side) for side in times]
    return Timing(medians[0], medians[1], statistics.median(ratios), min(ratios), max(ratios))
