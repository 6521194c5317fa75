"""Trainings of seconds in several processes on one CPU (gloo), in float64 or float32, and all that each step saw."""

import gc
import hashlib
import json
import multiprocessing
import os
import pickle
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from accelerate.state import AcceleratorState

from tests.helpers.models import brief
from uspl.data.batch import Batch
from uspl.experiments import methods
from uspl.train import TrainingError, checkpoint
from uspl.train.step import Step

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.helpers.ranks"])  # imported once, for all processes of all tests
LIMIT = 120  # s


def together(world: int, work: Callable[..., Any], *given: Any) -> list[Any]:
    """What `work(*given)` returns in each of `world` processes that know each other, in the order of their ranks."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    pipes = [CONTEXT.Pipe(duplex=False) for _ in range(world)]
    processes = [
        CONTEXT.Process(target=_one, args=(rank, world, port, pipe[1], work, given), daemon=True)
        for rank, pipe in enumerate(pipes)
    ]
    for process in processes:
        process.start()
    told = [pipe[0].recv_bytes() if pipe[0].poll(LIMIT) else b"" for pipe in pipes]
    found = [pickle.loads(words) if words else TimeoutError(f"rank {i}") for i, words in enumerate(told)]
    for process in processes:
        process.join(10 if all(told) else 0)
        process.kill()
    return found


def _one(rank: int, world: int, port: int, pipe: Any, work: Callable[..., Any], given: tuple[Any, ...]) -> None:
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world), "OMP_NUM_THREADS": "1"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "LOCAL_WORLD_SIZE": str(world)}
    torch.set_num_threads(1)
    gc.freeze()  # what was imported is not looked through again after every training
    try:
        found = work(*given)
    except Exception as error:  # told to the test, which expects one or fails
        found = error
    pipe.send_bytes(pickle.dumps(found))
    if world > 1 and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def double() -> None:
    """Let everything in this process be float64, what the library asks to be float32 too."""
    torch.set_default_dtype(torch.float64)
    torch.Tensor.float = torch.Tensor.double  # type: ignore[method-assign]
    moved = Batch.to

    def to(self: Batch, device: Any) -> Batch:
        batch = moved(self, device)
        return batch._replace(image=batch.image.double(), sound=batch.sound.double(), mask=batch.mask.double())

    Batch.to = to  # type: ignore[method-assign]


def trainings(data: Path, runs: Path, names: list[str], changes: dict[str, Any]) -> dict[str, Any]:
    """Train USPL in float32, as "float32", then each method in float64, all in this process; see `watched`.

    In float32 slowly: Adam's first step moves a weight by the whole rate, also where its gradient is rounding alone.
    """
    found = {"float32": watched(data, runs / "float32", "uspl", changes | {"lr": 1e-5})}
    double()
    return found | {name: watched(data, runs / name, name, changes) for name in names}


def watched(data: Path, runs: Path, name: str, changes: dict[str, Any]) -> dict[str, Any]:
    """A training: ids and gradients of each step, log.jsonl of both phases, record and weights."""
    steps: list[dict[str, Any]] = []
    real = Step.__call__

    def noted(self: Step, batch: Any) -> Any:
        losses = real(self, batch)
        named = {k.removeprefix("module."): p.grad for k, p in self.objective.named_parameters()}
        steps.append({"ids": batch.ids, "grads": {k: g.clone() for k, g in named.items() if g is not None}})
        return losses

    Step.__call__ = noted  # type: ignore[method-assign]
    try:
        model, values = methods.train_or_load(brief(**changes), data, method=name, runs=runs, progress=False)
    finally:
        Step.__call__ = real  # type: ignore[method-assign]
    lines = [json.loads(line) for log in sorted(runs.rglob("log.jsonl"), reverse=True) for line in log.open()]
    return {"steps": steps, "log": lines, "values": values, "weights": model.state_dict()}


def one_is_spoiled(data: Path, runs: Path) -> str:
    """What a training says whose second step has a NaN in the images of the last process."""
    real, calls = Step.__call__, iter(range(100))

    def spoiled(self: Step, batch: Any) -> Any:
        bad = next(calls) == 1 and self.ranks.rank == self.ranks.world - 1
        return real(self, batch._replace(image=batch.image * float("nan")) if bad else batch)

    Step.__call__ = spoiled  # type: ignore[method-assign]
    try:
        methods.train_or_load(brief(), data, runs=runs, progress=False)
    except TrainingError as error:
        return str(error)
    finally:
        Step.__call__ = real  # type: ignore[method-assign]
    return "it went on"


def one_is_late(data: Path, runs: Path) -> str:
    """The hash of the weights of a training whose best epoch the last process loads a second later than the others."""
    real = checkpoint.load_best

    def late(folder: Path, model: Any) -> None:
        time.sleep(float(torch.distributed.get_rank()))
        real(folder, model)

    checkpoint.load_best = late
    try:
        model, values = methods.train_or_load(brief(keep="best", epochs=3), data, runs=runs, progress=False)
    finally:
        checkpoint.load_best = real
    assert values["kept"] < 3, "the last epoch is the best: this run proves nothing"
    return hashlib.sha256(b"".join(v.numpy().tobytes() for v in model.state_dict().values())).hexdigest()


def troubles(data: Path, runs: Path) -> dict[str, str]:
    """Both of the above, in one process."""
    return {"spoiled": one_is_spoiled(data, runs / "spoiled"), "late": one_is_late(data, runs / "late")}


def stopped_then_shared(data: Path, runs: Path) -> dict[str, list[float]]:
    """In float64, the losses of each step of a training by one process, and of one that it begins and all go on with.

    What one does alone, the first process does while the others wait.
    """
    double()
    changes: dict[str, Any] = {"batch_size": 4, "warmup_epochs": 1, "epochs": 2}
    rank = os.environ["RANK"]
    if rank == "0":
        known = {k: os.environ.pop(k) for k in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")}
        watched(data, runs / "alone", "uspl", changes)
        real, calls = Step.__call__, iter(range(100))

        def stopping(self: Step, batch: Any) -> Any:
            if next(calls) == 4:  # the first batch of the second joint epoch, of two
                signal.raise_signal(signal.SIGTERM)
            return real(self, batch)

        Step.__call__ = stopping  # type: ignore[method-assign]
        try:
            methods.train_or_load(brief(**changes), data, runs=runs / "together", progress=False)
        except TrainingError:
            (runs / "stopped").touch()
        Step.__call__ = real  # type: ignore[method-assign]
        AcceleratorState._reset_state(reset_partial_state=True)
        os.environ |= known
    while not (runs / "stopped").exists():
        time.sleep(0.05)
    resumed = watched(data, runs / "together", "uspl", changes)
    assert len(resumed["steps"]) == 1, "most of the run was done before"
    losses = {}
    for name in ("alone", "together"):
        logs = sorted((runs / name).rglob("log.jsonl"))
        losses[name] = [json.loads(line).get("loss", 0.0) for log in logs for line in log.open()]
    return losses
