"""Do two runs of one training agree? One epoch of the warm-up, several times, each in a process of its own.

`python -m benchmarks.repeatability` writes `results/repeatability/sounding-shapes.json`.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from typing import Any

from uspl.config import Config
from uspl.core import paths, record
from uspl.train.loop import train_or_load

# Name -> threads, numba kernels.
RUNS = {
    "one thread": (1, True),
    "one thread, again": (1, True),
    "one thread, plain PyTorch": (1, False),
    "two threads": (2, True),
    "two threads, again": (2, True),
}
CHANGES: dict[str, Any] = {"warmup_epochs": 1, "device": "cpu", "seed": 1}


def once() -> dict[str, Any]:
    """Train, and tell the hash of every weight and the loss."""
    with tempfile.TemporaryDirectory() as runs:
        cfg = Config.tiny(**CHANGES)
        model, told = train_or_load(cfg, paths.data_folder(), runs=runs, phase="warmup", progress=False)
    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        digest.update(name.encode())
        digest.update(value.cpu().contiguous().numpy().tobytes())
    return {"weights": digest.hexdigest()[:16], "mmicl": told["history"][-1]["mmicl"]}


def main() -> None:
    """Every run, then the record."""
    start, found = time.perf_counter(), {}
    for name, (threads, fast) in RUNS.items():
        environment = os.environ | {"OMP_NUM_THREADS": str(threads), "USPL_FAST": str(int(fast))}
        words = [sys.executable, "-m", "benchmarks.repeatability", "--once"]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
        found[name] = json.loads(done.stdout.splitlines()[-1]) | {"threads": threads, "fast": fast}
        print(name, found[name])
    values = {"command": "python -m benchmarks.repeatability", "data": "sounding-shapes", "seed": CHANGES["seed"]}
    values |= {"steps": 1280 // Config.tiny().batch_size, "runs": found}
    values["seconds"] = round(time.perf_counter() - start, 1)
    print(record.write(paths.results_folder(None, "repeatability") / "sounding-shapes.json", values))


if __name__ == "__main__":
    if sys.argv[1:] == ["--once"]:
        print(json.dumps(once()))
    else:
        main()
