"""One step of training, and one pass over the clips."""

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from uspl.core.progress import TrainingProgress
from uspl.core.ranks import Ranks
from uspl.data.batch import Batch, flipped

Losses = dict[str, Tensor]
FETCH = 16  # steps on a GPU after which their losses are looked at: to look at each would make it wait


class TrainingError(RuntimeError):
    """Training cannot go on; the last good checkpoint is kept."""


class TrainingStopped(TrainingError):
    """A signal asked the training to stop; the same command goes on from its checkpoint."""

    exit_code = 128 + 15  # as of a process that SIGTERM ended


class Step(NamedTuple):
    """What one step of training needs beside its batch."""

    accelerator: Accelerator
    objective: nn.Module
    optimizer: Any
    rates: Any
    generator: torch.Generator
    moment: TrainingProgress
    ranks: Ranks

    def __call__(self, batch: Batch) -> Losses:
        """Descend once; returns the losses, where they were computed."""
        with self.accelerator.autocast():
            losses = self.objective(batch, self.generator, self.moment, self.ranks)
        self.optimizer.zero_grad()
        self.accelerator.backward(losses["loss"])
        self.optimizer.step()
        self.rates.step()
        return {k: v.detach() for k, v in losses.items()}


def run_epoch(
    step: Step,
    loader: Iterable[Batch],
    *,
    flip: bool,
    first: int,
    last: int,
    kept: Path,
    seen: Callable[[int, Sequence[dict[str, float]]], None],
) -> None:
    """One pass over the training clips.

    Args:
        step: what is done with a batch.
        loader: the batches of steps `first` to `last` - 1, counted from the start of the phase.
        flip: mirror some of the images.
        first, last: as above.
        kept: the run's folder, for the message.
        seen: is called with the number of steps that are over and the losses of those since the last call.

    Raises:
        TrainingError: a loss that is not finite; nothing of that step or later has been `seen`.
    """
    step.objective.train()
    device, waiting = step.accelerator.device, list[tuple[list[str], Losses]]()
    for done, batch in enumerate(loader, first + 1):
        ours = batch.to(device)
        waiting.append((batch.ids, step(flipped(ours, step.generator, step.ranks) if flip else ours)))
        if device.type == "cpu" or len(waiting) == FETCH or done == last:
            seen(done, fetched(waiting, step.ranks, first=done - len(waiting), kept=kept))
            waiting.clear()


def fetched(
    waiting: Sequence[tuple[list[str], Losses]], ranks: Ranks, *, first: int, kept: Path
) -> list[dict[str, float]]:
    """The losses of several steps as numbers, the mean over the processes. Raises as `run_epoch`."""
    table = torch.stack([torch.stack([v.double() for v in losses.values()]) for _, losses in waiting])
    names = list(waiting[0][1])
    rows = [dict(zip(names, row, strict=True)) for row in ranks.mean(table).tolist()]
    for i, (row, (ids, _)) in enumerate(zip(rows, waiting, strict=True), first):
        if not math.isfinite(row["loss"]):
            clips = ", ".join(id for part in ranks.all(ids) for id in part)
            raise TrainingError(
                f"the loss is {row['loss']} at step {i} on the clips {clips}; "
                f"the last good checkpoint is kept in `{kept}`."
            )
    return rows
