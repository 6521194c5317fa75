"""How much faster one sort is than a loop over thresholds: F-measure, cIoU and AUC, same numbers.

Run with `python benchmarks/thresholds.py`; prints milliseconds per map and the ratio. The loops are written from the
definitions and work on whole batches, so they are faster than the published ones, which take a map at a time.
"""

import time
from collections.abc import Callable

import torch
from torch import Tensor

from uspl import metrics


def f_loop(maps: Tensor, truth: Tensor) -> Tensor:
    """F-measure at 255 thresholds, one after the other."""
    total = truth.flatten(1).sum(1).double()
    curve = []
    for level in torch.linspace(0, 1 - 1e-10, 255):
        pred = maps >= level
        hits = (pred & truth).flatten(1).sum(1).double()
        p, r = hits / (pred.flatten(1).sum(1) + 1e-20), hits / (total + 1e-20)
        curve.append((1.3 * p * r / (0.3 * p + r)).nan_to_num(0.0))
    return torch.stack(curve, 1)


def ciou_loop(maps: Tensor, truth: Tensor, levels: Tensor) -> Tensor:
    """cIoU at each threshold, one after the other."""
    curve = []
    for level in levels:
        pred = maps >= level
        inter = (pred * truth).flatten(1).sum(1).double()
        beside = (pred & (truth == 0)).flatten(1).sum(1)
        curve.append(inter / (truth.flatten(1).sum(1) + beside))
    return torch.stack(curve, 1)


def auc_loop(cious: Tensor) -> Tensor:
    """AUC from a comparison per threshold and image."""
    shares = [sum(c >= 0.05 * i for c in cious.tolist()) / len(cious) for i in range(21)]
    return torch.trapezoid(torch.tensor(shares).double(), dx=0.05)


def best(function: Callable[[], object], repeats: int = 5) -> float:
    """Shortest of some processor times, in ms: what else runs on the machine does not count."""
    function()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return 1e3 * min(times)


def main() -> None:
    """Measure on 224 x 224 maps with one thread."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    maps = torch.rand(8, 224, 224, generator=generator)
    truth = torch.rand(8, 224, 224, generator=generator) > 0.7
    levels, cious = torch.arange(1, 20) / 20, torch.rand(5158, generator=generator).double()
    pairs: dict[str, tuple[Callable[[], Tensor], Callable[[], Tensor], int]] = {
        "F-measure, 255 thresholds": (
            lambda: f_loop(maps, truth),
            lambda: metrics.f_curves_of_scores(maps, truth)[0],
            8,
        ),
        "cIoU, 19 thresholds": (
            lambda: ciou_loop(maps, truth.float(), levels),
            lambda: metrics.ciou_curve(maps, truth.float(), levels),
            8,
        ),
        "AUC, 5158 images": (lambda: auc_loop(cious), lambda: torch.tensor(metrics.auc(cious)), 1),
    }
    for name, (loop, ours, n) in pairs.items():
        torch.testing.assert_close(loop().double(), ours().double(), atol=1e-6, rtol=0)
        slow, fast = best(loop) / n, best(ours) / n
        print(f"{name:28s} loop {slow:8.3f} ms   uspl {fast:7.3f} ms   {slow / fast:6.1f} times as fast")


if __name__ == "__main__":
    main()
