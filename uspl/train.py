"""Section 3.4: warm-up on MMICL, then the joint objective (Eq. 11), in one loop on Accelerate."""

import contextlib
import logging
import math
import os
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch
from accelerate import Accelerator
from accelerate.utils import DataLoaderConfiguration
from filelock import FileLock
from torch import nn
from torch.utils.data import Subset
from tqdm.auto import tqdm

from uspl import baselines, checkpoint, evaluate, kept, machine, schedule, sets
from uspl.batch import Batch, flipped
from uspl.config import Config
from uspl.html import has_kernel
from uspl.model import USPL
from uspl.objective import Moment, Objective, total_loss

__all__ = ["JOINT", "TrainingError", "total_loss", "train_or_load"]

log = logging.getLogger(__name__)

# Fields that the warm-up does not see: configurations that differ in them alone share one warm-up.
JOINT = (
    *("map_range", "map_size", "refine_size", "refine", "refine_iterations", "beta_l", "beta_h"),
    *("r", "metric", "reduce", "balanced", "aff_offsets", "beta", "t", "reading", "detach"),
    *(
        "seg_loss",
        "seg_target",
        "seg_high",
        "seg_low",
        "teacher",
        "lambda1",
        "lambda2",
        "lambda3",
        "epochs",
        "head_lr",
        "keep",
    ),
)


class TrainingError(RuntimeError):
    """Training cannot go on; the last good checkpoint is kept."""


def train_or_load(
    cfg: Config,
    data_root: str | Path,
    *,
    method: str = "uspl",
    train_list: str | Path | None = None,
    partial: bool = False,
    runs: str | Path = "runs",
    phase: str = "full",
    progress: bool | None = None,
) -> tuple[Any, dict[str, Any]]:
    """The trained model for `cfg` on `data_root`: loaded from `runs` if it is there, otherwise trained and kept.

    Args:
        cfg: every choice; equal warm-ups are shared between configurations.
        data_root: folder in AVSBench-S4's layout, or VGGSound pairs.
        method: "uspl", or the name of a peer, see `baselines`: as many epochs as both phases of USPL have, in one.
        train_list: ids of the VGGSound pairs to train on, one a line; None takes all.
        partial: train on the clips that are there although others are missing.
        runs: where checkpoints live, one folder per configuration and data.
        phase: "warmup" stops after the MMICL epochs; "full" goes on with Eq. 11.
        progress: show a progress bar with the losses and the validation mIoU; None shows it where a person looks.

    Returns:
        The model in eval mode, a `USPL` or a `Peer`, and its record.

    Raises:
        ValueError: an unknown `phase`, more pairs in a batch than there are, or a checkpoint of another configuration.
        TrainingError: the loss is not finite.
        DataError: the data cannot be read.
    """
    if phase not in ("warmup", "full"):
        raise ValueError(f"`phase` must be 'warmup' or 'full'; got {phase!r}.")
    progress = sys.stderr.isatty() or has_kernel() if progress is None else progress
    asked, cfg = cfg, schedule.learned(cfg)
    clips = sets.training(cfg, data_root, train_list=train_list, partial=partial)
    base, _, addition = method.partition("+")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(cfg.seed)  # the weights of a random start
        model: Any = USPL(cfg) if method == "uspl" else baselines.build(base, cfg)
    home, data = Path(runs), clips.train.data_hash[:6]
    given: dict[str, Any] = {"cfg": cfg, "clips": clips, "progress": progress}
    if method != "uspl":
        model.learn(clips.train)
        plan = schedule.whole(cfg, base, "first" if model.method.supervision == "mask" else clips.seconds)
        values = _phase(model, home / f"{base}-{cfg.slug()}-{data}", plan, objective=model, **given)
        model = baselines.add(addition, model) if addition else model
        return model.to(machine.choose_device(cfg.device)).eval(), values
    plan, objective = schedule.warmup(cfg, clips.seconds), Objective(model)
    values = _phase(model, home / f"warmup-{cfg.slug(*JOINT)}-{data}", plan, objective=objective, **given)
    if phase == "full" and cfg.epochs > 0:
        plan, before = schedule.joint(cfg, clips.seconds), {k: values[k] for k in ("seconds", "history")}
        values = _phase(model, home / f"full-{cfg.slug()}-{data}", plan, objective=objective, **given)
        values["warmup"] = before
    model.cfg = asked
    return model.to(machine.choose_device(cfg.device)).eval(), values


def _phase(
    model: Any,
    folder: Path,
    plan: schedule.Plan,
    *,
    objective: nn.Module,
    cfg: Config,
    clips: sets.Training,
    progress: bool,
) -> dict[str, Any]:
    """Load a finished phase into `model`, or train it, resuming where it stopped; one process at a time does it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    several = int(os.environ.get("WORLD_SIZE", "1")) > 1  # of one training: they go on together
    with contextlib.nullcontext() if several else FileLock(folder.parent / f".{folder.name}.lock"):
        if (folder / "record.json").is_file():
            ignore = () if plan.joint else JOINT
            return checkpoint.load_model(folder, model, cfg, ignore=ignore) | {"folder": str(folder)}
        return _trained(model, folder, plan, objective, cfg, clips, progress)


def _trained(
    model: Any,
    folder: Path,
    plan: schedule.Plan,
    objective: Any,
    cfg: Config,
    clips: sets.Training,
    progress: bool,
) -> dict[str, Any]:
    device = machine.choose_device(cfg.device)
    if device.type == "cpu":
        machine.pages(keep=True)
    able = device.type == "cuda" and torch.cuda.is_bf16_supported()
    bf16 = cfg.precision == "bf16" or (cfg.precision == "auto" and able)
    accelerator = Accelerator(
        cpu=device.type == "cpu",
        mixed_precision="bf16" if bf16 else "no",
        dataloader_config=DataLoaderConfiguration(use_seedable_sampler=False),
    )
    model.to(device).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(schedule.groups(model, model.heads(), cfg))
    state = checkpoint.load_resume(folder, model, optimizer) or {"epoch": 0, "history": [], "seconds": 0.0}
    data, val = (kept.heard(x, model.audio, cfg, folder.parent, progress=progress) for x in (clips.train, clips.val))
    order = torch.Generator()
    sampler = schedule.Draw(data.ids, seconds=plan.seconds, generator=order)
    loader = evaluate.loader(
        data,
        batch_size=cfg.batch_size,
        front_end=cfg.front_end,
        sampler=sampler,
        drop_last=True,
        num_workers=cfg.workers,
    )
    if not len(loader):
        raise ValueError(
            f"`batch_size` must be at most the number of training videos, {len(sampler)}; got {cfg.batch_size}."
        )
    done, total = state["epoch"] * len(loader), plan.epochs * len(loader)
    rates = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule.factor(cfg, total), last_epoch=done - 1)
    objective, optimizer, loader, rates = accelerator.prepare(objective, optimizer, loader, rates)
    bar = tqdm(total=total, initial=done, desc=plan.name, disable=not progress)
    for epoch in range(state["epoch"], plan.epochs):
        start = time.perf_counter()
        luck = schedule.seed(cfg.seed, plan.joint, epoch)
        order.manual_seed(luck)
        generator = torch.Generator().manual_seed(luck + 1 + accelerator.process_index)
        moment = Moment(plan.joint, schedule.delta(cfg, plan.joint, epoch), epoch / plan.epochs)
        step = Step(accelerator, objective, optimizer, rates, generator, moment, bar)
        means = _epoch(step, loader, flip=cfg.flip, first=epoch * len(loader), kept=folder)
        means |= evaluate.validate(model, val, maps=plan.maps)
        _, maps_now = next(evaluate.predict(model, Subset(val, range(min(8, len(val)))), maps=plan.maps))
        checkpoint.save_snapshot(folder, epoch + 1, maps_now)
        state["seconds"] += time.perf_counter() - start
        state["history"].append({k: round(v, 6) for k, v in means.items()})
        state["epoch"] = epoch + 1
        bar.set_postfix({k: f"{v:.3f}" for k, v in means.items()})
        log.info("%s epoch %d/%d: %s", plan.name, epoch + 1, plan.epochs, state["history"][-1])
        if accelerator.is_main_process:
            if plan.joint and cfg.keep == "best" and schedule.merit(cfg, means) > state.get("merit", -math.inf):
                checkpoint.save_best(folder, model)
                state |= {"merit": schedule.merit(cfg, means), "kept": epoch + 1}
            checkpoint.save_resume(folder, model, optimizer, state)
    bar.close()
    accelerator.wait_for_everyone()
    checkpoint.load_best(folder, model)
    values = {"config": cfg.as_dict(), **clips.about(), **state}
    if accelerator.is_main_process:
        checkpoint.save_model(folder, model, cfg, values)
        checkpoint.drop_resume(folder)
    accelerator.free_memory()
    return values | {"folder": str(folder)}


class Step(NamedTuple):
    """What one step of training needs beside its batch."""

    accelerator: Accelerator
    objective: nn.Module
    optimizer: Any
    rates: Any
    generator: torch.Generator
    moment: Moment
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


def _epoch(step: Step, loader: Any, *, flip: bool, first: int, kept: Path) -> dict[str, float]:
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
