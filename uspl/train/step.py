"""One step of training, and one pass over the clips."""

import math
from pathlib import Path
from typing import Any, NamedTuple

import torch
from accelerate import Accelerator
from torch import nn

from uspl.core.progress import TrainingProgress
from uspl.data.batch import Batch, flipped


class TrainingError(RuntimeError):
    """Training cannot go on; the last good checkpoint is kept."""


class Step(NamedTuple):
    """What one step of training needs beside its batch."""

    accelerator: Accelerator
    objective: nn.Module
    optimizer: Any
    rates: Any
    generator: torch.Generator
    moment: TrainingProgress
    bar: Any

    def __call__(self, batch: Batch) -> dict[str, float]:
        """Descend once; returns the losses. A loss that is not finite changes nothing."""
        with self.accelerator.autocast():
            losses = self.objective(batch, self.generator, self.moment)
        values = {k: float(v.detach()) for k, v in losses.items()}
        if math.isfinite(values["loss"]):
            self.optimizer.zero_grad()
            self.accelerator.backward(losses["loss"])
            self.optimizer.step()
            self.rates.step()
            self.bar.update()
            self.bar.set_postfix({k: f"{v:.3f}" for k, v in values.items()}, refresh=False)
        return values


def run_epoch(step: Step, loader: Any, *, flip: bool, first: int, kept: Path) -> dict[str, float]:
    """One pass over the training clips, from step `first` on; returns the mean of each loss."""
    step.objective.train()
    sums: dict[str, float] = {}
    for i, batch in enumerate(loader):
        values = step(flipped(batch, step.generator) if flip else batch)
        if not math.isfinite(values["loss"]):
            raise TrainingError(
                f"the loss is {values['loss']} at step {first + i} on the clips {', '.join(batch.ids)}; "
                f"the last good checkpoint is kept in `{kept}`."
            )
        sums = {k: sums.get(k, 0.0) + v for k, v in values.items()}
    return {k: v / len(loader) for k, v in sums.items()}
