"""Processor seconds of calls."""

import time
from collections.abc import Callable, Sequence
from resource import getrusage
from statistics import median

import torch
from torch import Tensor

from benchmarks.ratios.timing import Call, by_clock

timed = by_clock()


def in_turn(calls: dict[str, Call], rounds: int) -> dict[str, list[float]]:
    """Processor seconds of each call, after one to warm up; in turn, so that what else runs meets all alike."""
    found: dict[str, list[float]] = {name: [] for name in calls}
    with torch.inference_mode():
        repeats = {name: _repeats(call) for name, call in calls.items()}
        for k in range(rounds):
            for name in list(calls)[:: 1 if k % 2 == 0 else -1]:
                found[name].append(timed(calls[name], repeats[name]) / repeats[name])
    return found


def _repeats(call: Call) -> int:
    """How often a call fills 20 ms; finding out warms it up, a long call by one run."""
    first = timed(call, 1)
    return 1 if first > 0.5 else max(1, int(0.02 / max(timed(call, 1), 1e-5)))


def forward_backward(call: Callable[..., Tensor | Sequence[Tensor]], inputs: Sequence[Tensor]) -> dict[str, float]:
    """Processor seconds of a stage and of its gradient, by all of its inputs that are features."""
    times: list[tuple[float, float]] = []
    for _ in range(3):
        leaves = [x.detach().requires_grad_(x.shape[1] != 3) for x in inputs]
        start = time.process_time()
        out = call(*leaves)
        middle = time.process_time()
        outs = [out] if isinstance(out, Tensor) else list(out)
        torch.autograd.backward(outs, [torch.ones_like(o) for o in outs])
        times.append((middle - start, time.process_time() - middle))
    return {"forward": median(f for f, _ in times[1:]), "backward": median(b for _, b in times[1:])}


def spent(who: int) -> float:
    """Processor seconds of this process or of its children so far."""
    used = getrusage(who)
    return used.ru_utime + used.ru_stime
