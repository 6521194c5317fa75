"""What a CUDA card can do at best, measured: the ceilings that times on it are held against."""

import torch

from benchmarks.ratios.timing import Call, by_events, repeats


def ceilings() -> dict[str, float]:
    """GB/s of copying 1 GiB (read and written), and TFLOP/s of 8192 x 8192 products in float32 and bfloat16."""
    source = torch.empty(2**28, device="cuda")
    target = torch.empty_like(source)
    found = {"copy_gb_s": 2 * 2**30 / _seconds(lambda: target.copy_(source)) / 1e9}
    for dtype in (torch.float32, torch.bfloat16):
        a = torch.randn(8192, 8192, device="cuda", dtype=dtype)
        found[f"{str(dtype).removeprefix('torch.')}_tflop_s"] = 2 * 8192**3 / _seconds(lambda a=a: a @ a) / 1e12
    return {name: float(f"{value:.4g}") for name, value in found.items()}


def _seconds(call: Call) -> float:
    times = repeats(call, by_events)
    return min(by_events(call, times) for _ in range(5)) / times
