"""`Config.tiny` from nothing to its scores, by two checkouts in turn: `python -m benchmarks.end_to_end OLD NEW`."""

import argparse
import os
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.machine import about
from uspl.core import paths, record

CLIPS = "--level standard --seed 1 --size 112 --seconds 3 --train 1280 --val 200 --test 300 --negative 0"
USPL = "-c 'from uspl.cli.main import main; main()'"
PHASES = {
    "draw": "{source}/data_scripts/make_sounding_shapes.py data " + CLIPS,
    "prepare": "{source}/data_scripts/prepare_avsbench.py data",
    "train": USPL + " train --data data --runs runs --seed 1",
    "evaluate": USPL + " evaluate --data data --runs runs --seed 1 --split test {listen} --json",
}


def measured(source: Path, folder: Path) -> dict[str, dict[str, float]]:
    """Seconds of each phase, on the wall and of processors, with the library of `source`, in an empty folder."""
    found = {}
    for name, command in PHASES.items():
        words = shlex.split(command.format(source=source, listen=listen(source)))
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        environment = os.environ | {"PYTHONPATH": str(source)}
        subprocess.run([sys.executable, *words], cwd=folder, env=environment, capture_output=True, check=True)
        wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        found[name] = {"wall_s": round(wall, 1), "processor_s": round(spent, 1)}
    return found


def listen(source: Path) -> str:
    """What the checkout calls the option for other sounds."""
    file = source / "uspl" / "cli" / "main.py"
    return "--audio-sensitivity" if file.is_file() and "audio_sensitivity" in file.read_text() else "--listen"


def commit(source: Path) -> str:
    """Short name of the commit a checkout stands at."""
    told = subprocess.run(["git", "rev-parse", "--short=10", "HEAD"], cwd=source, capture_output=True, text=True)
    return told.stdout.strip() or "unknown"


def main() -> None:
    """Measure both, print a line a phase, write the record."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.end_to_end", description=__doc__)
    parser.add_argument("sources", nargs=2, type=Path, metavar="CHECKOUT")
    parser.add_argument("--out", type=Path, default=paths.results_folder(below="bench/end-to-end.json"))
    asked = parser.parse_args()
    told: dict[str, Any] = {"before": {}, "after": {}}
    machine = about(threads=os.cpu_count() or 1, wall=True, pairs=1)
    for side, source in zip(told, asked.sources, strict=True):
        with tempfile.TemporaryDirectory() as folder:
            told[side] = {"commit": commit(source), "phases": measured(source.resolve(), Path(folder))}
    for unit in ("wall_s", "processor_s"):
        before, after = (sum(p[unit] for p in told[side]["phases"].values()) for side in ("before", "after"))
        told[unit] = {"before": round(before, 1), "after": round(after, 1), "ratio": round(before / after, 2)}
        print(f"{unit:12s} before {before:7.1f}   after {after:7.1f}   {before / after:.2f} times as fast")
    for phase in PHASES:
        print(phase, *(told[side]["phases"][phase] for side in ("before", "after")))
    command = "python -m benchmarks.end_to_end OLD NEW"
    record.write(asked.out, {**told, "command": command, "machine": machine, "seed": 1, "data": CLIPS})


if __name__ == "__main__":
    main()
