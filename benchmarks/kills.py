"""Is anything lost when a process is killed? SIGKILL at random moments of a training, and of a preparation.

`python -m benchmarks.kills` writes `results/robustness/kills.json`. Each killed training is looked at: does its
checkpoint load? It is then run again to its end: are its weights those of a run that nobody killed, bit for bit? In
every second training the disk is slow, so that many kills fall into the writing of a checkpoint. Each killed
preparation is run again too, and its files are compared.
"""

import argparse
import contextlib
import gc
import hashlib
import io
import multiprocessing
import os
import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from benchmarks import machine
from uspl.cli import make_sounding_shapes, prepare_avsbench
from uspl.config import Config
from uspl.core import paths, record
from uspl.train.loop import train_or_load

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["benchmarks.kills"])
COUNTS = {"train": 10, "val": 2, "test": 2, "negative": 0}
SMALL: dict[str, Any] = {
    "widths": (4, 4, 8, 8),
    "dim": 8,
    "aff_dim": 4,
    "decoder_dim": 8,
    "image_size": 32,
    "map_size": 16,
    "refine_size": 16,
    "r": 3,
    "t": 2,
    "batch_size": 2,
    "warmup_epochs": 1,
    "epochs": 1,
    "keep": "best",
    "device": "cpu",
}
PIECES, PAUSE = 10, 0.03  # a slow disk takes a file in so many pieces, with so many seconds between them


def make_data(root: Path) -> None:
    """A few clips of Sounding Shapes, prepared."""
    counts = [str(x) for split, n in COUNTS.items() for x in (f"--{split}", n)]
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        make_sounding_shapes.main([str(root), *counts, "--workers", "1"])
        prepare_avsbench.main([str(root), "--workers", "1"])


def train(data: Path, runs: Path, slow: bool, ready: Any) -> None:
    """Train a small model with a checkpoint after each step; `ready` is set when it begins."""
    torch.set_num_threads(1)
    gc.freeze()
    if slow:
        Path.write_bytes = _slowly  # type: ignore[method-assign]
    ready.set()
    train_or_load(Config.tiny(**SMALL), data, runs=runs, progress=False, save_every=1)


def prepare(root: Path, ready: Any) -> None:
    """Draw the clips and cut them."""
    ready.set()
    make_data(root)


def _slowly(self: Path, data: Any) -> int:
    size = max(1, len(data) // PIECES)
    with self.open("wb") as file:
        for i in range(0, len(data), size):
            file.write(data[i : i + size])
            file.flush()
            time.sleep(PAUSE)
    return len(data)


def killed(work: Callable[..., None], given: tuple[Any, ...], after: float) -> bool:
    """Start `work`, kill it `after` so many seconds; False where it was over before."""
    ready = CONTEXT.Event()
    process = CONTEXT.Process(target=work, args=(*given, ready))
    process.start()
    ready.wait(60)
    process.join(after)
    with contextlib.suppress(ProcessLookupError, TypeError):
        os.kill(process.pid, signal.SIGKILL)  # type: ignore[arg-type]
    process.join()
    return process.exitcode == -signal.SIGKILL


def finished(work: Callable[..., None], given: tuple[Any, ...]) -> float:
    """Run `work` to its end; returns the seconds it took."""
    ready = CONTEXT.Event()
    process = CONTEXT.Process(target=work, args=(*given, ready))
    process.start()
    ready.wait(60)
    start = time.perf_counter()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"a run that was not killed ended with code {process.exitcode}.")
    return time.perf_counter() - start


def hashed(root: Path, names: str) -> str:
    """Of the files of that name, with where they lie."""
    digest = hashlib.sha256()
    for file in sorted(p for p in root.rglob(names) if p.is_file()):
        digest.update(str(file.relative_to(root)).encode() + file.read_bytes())
    return digest.hexdigest()


def loads(runs: Path) -> tuple[int, int]:
    """How many checkpoints lie there, and how many of them can be read, every tensor."""
    there = [f for name in ("resume", "best", "model") for f in runs.rglob(f"{name}.safetensors")]
    whole = 0
    for file in there:
        with contextlib.suppress(SafetensorError), safe_open(file, framework="pt") as opened:
            whole += all(opened.get_tensor(key) is not None for key in opened.keys())  # noqa: SIM118
    return len(there), whole


def trainings(many: int, home: Path, draw: random.Random) -> dict[str, int]:
    """Kill so many trainings at random moments, and run each again to its end."""
    data, found = home / "data", Counter[str]()
    make_data(data)
    finished(train, (data, home / "whole", False))  # the first run of all may compile
    expected = hashed(home / "whole", "model.safetensors")
    usual = {slow: finished(train, (data, home / f"usual-{slow}", slow)) for slow in (False, True)}
    while found["kills"] < many:
        runs, slow = home / "killed", bool(found["kills"] % 2)
        if killed(train, (data, runs, slow), draw.uniform(0, usual[slow])):
            found["kills"] += 1
            found["while a file was written"] += bool(list(runs.rglob(".*.part")))
            there, whole = loads(runs)
            found["checkpoints"] += there
            found["checkpoints that load"] += whole
            found["before the first checkpoint"] += not there
            finished(train, (data, runs, False))
            found["resumed runs equal"] += hashed(runs, "model.safetensors") == expected
            found["files left over"] += len(list(runs.rglob(".*.part"))) + len(list(runs.rglob("resume.*")))
        shutil.rmtree(runs)
    return dict(found)


def preparations(many: int, home: Path, draw: random.Random) -> dict[str, int]:
    """Kill so many preparations at random moments, and run each again to its end."""
    found = Counter[str]()
    usual = finished(prepare, (home / "prepared",))
    expected = hashed(home / "prepared" / "s4_data", "*")
    while found["kills"] < many:
        root = home / "again"
        if killed(prepare, (root,), draw.uniform(0, usual)):
            found["kills"] += 1
            finished(prepare, (root,))
            found["prepared folders equal"] += hashed(root / "s4_data", "*") == expected
        shutil.rmtree(root, ignore_errors=True)
    return dict(found)


def main() -> None:
    """Every kill, then the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trainings", type=int, default=100)
    parser.add_argument("--preparations", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    start, draw = time.perf_counter(), random.Random(given.seed)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        values: dict[str, Any] = {"training": trainings(given.trainings, home, draw)}
        values["preparation"] = preparations(given.preparations, home, draw)
    values |= {"command": "python -m benchmarks.kills", "seed": given.seed, "steps": 10, "options": vars(given)}
    values |= {"processor": machine.processor(), "seconds": round(time.perf_counter() - start, 1)}
    print(values)
    print(record.write(paths.results_folder(None, "robustness") / "kills.json", values))


if __name__ == "__main__":
    main()
