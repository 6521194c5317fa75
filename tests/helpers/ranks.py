"""Trainings of seconds in several processes on one CPU (gloo), in float64 or float32, and all that each step saw."""

import json
import multiprocessing
import os
import pickle
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tests.helpers.models import brief
from uspl.data.batch import Batch
from uspl.experiments import methods
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


def trainings(data: Path, runs: Path, names: list[str], changes: dict[str, Any], exact: bool) -> dict[str, Any]:
    """Train each method, and return by name: the losses, gradients and ids of each step, and the history."""
    if exact:
        double()
    steps: list[dict[str, Any]] = []
    real = Step.__call__

    def watched(self: Step, batch: Any) -> Any:
        losses = real(self, batch)
        steps.append({"ids": batch.ids, "grads": _gradients(self.objective)})
        return losses

    Step.__call__ = watched  # type: ignore[method-assign]
    found = {}
    for name in names:
        steps.clear()
        model, values = methods.train_or_load(
            brief(**changes), data, method=name, runs=runs / name.replace("+", "-"), progress=False
        )
        lines = [json.loads(line) for log in sorted((runs / name).rglob("log.jsonl")) for line in log.open()]
        found[name] = {"steps": list(steps), "log": lines, "values": values, "weights": model.state_dict()}
    Step.__call__ = real  # type: ignore[method-assign]
    return found


def _gradients(objective: Any) -> dict[str, torch.Tensor]:
    named = {name.removeprefix("module."): p.grad for name, p in objective.named_parameters()}
    return {name: grad.detach().clone() for name, grad in named.items() if grad is not None}
