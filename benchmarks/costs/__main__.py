"""The command: `python -m benchmarks.costs [PART ...]` writes results/costs/<part>.json for each part."""

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.costs import parts
from benchmarks.machine import processor
from uspl.core import paths, record

PARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "table3": parts.table3,
    "stages": parts.stages,
    "growth": parts.growth,
    "clips": parts.films,
    "training": parts.training,
    "memory": parts.large,  # training at batch 32: wants 12 GiB
}
MODEL = {"config": {"tier": "paper", "visual_weights": "none", "audio_weights": "none"}}


def main() -> None:
    """Measure the parts asked for, all but `memory` without a name, and write a record of each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.costs", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("part", nargs="*", help=f"{', '.join(PARTS)}; by default all but memory")
    parser.add_argument("--out", type=Path, default=paths.results_folder(below="costs"), help="folder of the records")
    options = parser.parse_args()
    if unknown := [p for p in options.part if p not in PARTS]:
        parser.error(f"`part` must be among {', '.join(PARTS)}; got {unknown[0]}.")
    for part in options.part or [p for p in PARTS if p != "memory"]:
        torch.set_num_threads(1)
        start = time.perf_counter()
        values = rounded(PARTS[part]())
        about = {"command": f"python -m benchmarks.costs {part}", "seed": 0, "processor": processor()}
        about |= {"clock": "processor", "threads": 1, "cores": os.cpu_count()}
        about["seconds"] = round(time.perf_counter() - start, 1)
        path = record.write(options.out / f"{part}.json", {**MODEL, **about, **values})
        print(path, f"{about['seconds']} s", flush=True)


def rounded(values: Any) -> Any:
    """Four digits: no clock has more."""
    if isinstance(values, dict):
        return {k: rounded(v) for k, v in values.items()}
    return float(f"{values:.4g}") if isinstance(values, float) else values


if __name__ == "__main__":
    main()
