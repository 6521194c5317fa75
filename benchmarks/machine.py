"""The machine that a record of a benchmark was made on, as far as `record.environment` does not tell it."""

import os
import platform
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import torch

T = TypeVar("T")


def about(*, threads: int, wall: bool, pairs: int) -> dict[str, Any]:
    """Processor, load and tools, and how it was measured."""
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "load": [round(v, 2) for v in os.getloadavg()],
        "clock": "wall" if wall else "processor",
        "pairs": pairs,
        "threads": threads,
        "tools": {name: version(name) for name in ("numba", "scipy", "librosa", "resampy", "pillow")},
    }


def processor() -> str:
    """The model of the processor, where the system tells it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def without_numba(call: Callable[..., T]) -> Callable[..., T]:
    """The same call in plain PyTorch that keeps little memory: the twins without their kernels."""

    def plain(*given: Any, **named: Any) -> T:
        before = os.environ.get("USPL_FAST")
        os.environ["USPL_FAST"] = "0"
        try:
            return call(*given, **named)
        finally:
            if before is None:
                del os.environ["USPL_FAST"]
            else:
                os.environ["USPL_FAST"] = before

    return plain
