"""How much a call holds beside what was there before: run in a process of its own, where nothing is timed.

Small blocks are mapped one by one here (MALLOC_MMAP_THRESHOLD_), so that what is freed leaves the process at once; each
fresh page then costs time, up to eight times that of the call.
"""

import argparse
import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536", "MALLOC_ARENA_MAX": "1"}


def peaks(row: str, *, threads: int = 1) -> dict[str, tuple[float, float]] | None:
    """Peaks in MiB, {variant: (base, ours)}, of a row; None where the system does not tell."""
    if not Path("/proc/self/clear_refs").exists():
        return None
    command = [sys.executable, "-m", "benchmarks.ratios.memory", row, "--threads", str(threads)]
    environment = {**os.environ, **ENVIRONMENT, "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return {variant: (base, ours) for variant, (base, ours) in json.loads(done.stdout.splitlines()[-1]).items()}


def peak(call: Callable[[], object]) -> float:
    """Highest resident memory while `call` runs, MiB above what was resident before; its result counts."""
    call()  # what a first call keeps for good is no part of it
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark falls to what is resident
    before = _status("VmRSS")
    result = call()
    highest = _status("VmHWM")
    del result
    return (highest - before) / 1024


def _status(name: str) -> int:
    """A line of /proc/self/status, KiB."""
    text = Path("/proc/self/status").read_text()
    return int(text.partition(f"{name}:")[2].split()[0])


def main() -> None:
    """Print the peaks of one row as JSON."""
    import torch

    from benchmarks.ratios.rows import ROWS

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("row", choices=sorted(ROWS))
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    sides = ROWS[options.row].make(torch.device("cpu"))
    bases: dict[int, float] = {}  # variants often share their base
    found = {}
    for variant, side in sides.items():
        if id(side.base) not in bases:
            bases[id(side.base)] = peak(side.base)
        found[variant] = (bases[id(side.base)], peak(side.ours))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
