"""Section 3.4: warm-up on MMICL, then the joint objective (Eq. 11), in one loop on Accelerate."""

import contextlib
import logging
import math
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from accelerate import Accelerator
from accelerate.utils import DataLoaderConfiguration
from filelock import FileLock
from torch import Tensor, nn
from torch.utils.data import Subset
from tqdm.auto import tqdm

from uspl.config import Config, joint_fields
from uspl.core import memory, paths
from uspl.core.device import choose_device
from uspl.core.files import make_folder
from uspl.core.progress import TrainingProgress, has_kernel
from uspl.data import splits
from uspl.data.batch import Batch
from uspl.encoders.frozen import remembered
from uspl.evaluation import validation
from uspl.inference import predict
from uspl.model import USPL
from uspl.train import checkpoint, embedding_cache, schedule
from uspl.train.losses import Objective
from uspl.train.step import Step, run_epoch

log = logging.getLogger(__name__)
Model = TypeVar("Model", bound=nn.Module)


def train_or_load(
    cfg: Config,
    data_root: str | Path,
    *,
    train_list: str | Path | None = None,
    partial: bool = False,
    runs: str | Path | None = None,
    phase: str = "full",
    progress: bool | None = None,
) -> tuple[USPL, dict[str, Any]]:
    """The trained model for `cfg` on `data_root`: loaded from `runs` if it is there, otherwise trained and kept.

    Args:
        cfg: every choice; equal warm-ups are shared between configurations.
        data_root: folder in AVSBench-S4's layout, or VGGSound pairs.
        train_list: ids of the VGGSound pairs to train on, one a line; None takes all.
        partial: train on the clips that are there although others are missing.
        runs: where checkpoints live, one folder per configuration and data; None is `runs` in the project's folder.
        phase: "warmup" stops after the MMICL epochs; "full" goes on with Eq. 11.
        progress: show a progress bar with the losses and the validation mIoU; None shows it where a person looks.

    Returns:
        The model in eval mode, and its record.

    Raises:
        ValueError: an unknown `phase`, more pairs in a batch than there are, or a checkpoint of another configuration.
        TrainingError: the loss is not finite.
        DataError: the data cannot be read.
    """
    if phase not in ("warmup", "full"):
        raise ValueError(f"`phase` must be 'warmup' or 'full'; got {phase!r}.")
    asked, cfg = cfg, schedule.canonical_config(cfg)
    clips = splits.training(cfg, data_root, train_list=train_list, partial=partial)
    model = random_start(USPL, cfg)
    home, data, objective = paths.runs_folder(runs), clips.train.data_hash[:6], Objective(model)
    plan = schedule.warmup(cfg, clips.seconds)
    folder = home / f"warmup-{cfg.slug(*joint_fields())}-{data}"
    values = fit(model, objective, plan, folder, cfg=cfg, clips=clips, progress=progress, ignore=joint_fields())
    if phase == "full" and cfg.epochs > 0:
        before = {"run": folder.name} | {k: values[k] for k in ("seconds", "history")}
        plan = schedule.joint(cfg, clips.seconds)
        folder = home / f"full-{cfg.slug()}-{data}"
        values = fit(model, objective, plan, folder, cfg=cfg, clips=clips, progress=progress)
        values["warmup"] = before
    model.cfg = asked
    return model.to(choose_device(cfg.device)).eval(), values


def random_start(build: Callable[[Config], Model], cfg: Config) -> Model:
    """A model whose weights are drawn with `cfg.seed`; the caller's random numbers go on as if nothing was drawn."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(cfg.seed)
        return build(cfg)


def fit(
    model: Any,
    objective: nn.Module,
    plan: schedule.Plan,
    folder: Path,
    *,
    cfg: Config,
    clips: splits.Training,
    progress: bool | None = None,
    ignore: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Load a finished phase into `model`, or train it, resuming where it stopped; one process at a time does it.

    Args:
        model: what is trained and kept, see `inference.predict.MapModel`; its `heads()` learn at `lr * head_lr`.
        objective: a batch, a generator and a `TrainingProgress` -> losses by name, "loss" to descend.
        plan: the phase.
        folder: where it is kept.
        cfg, clips: see `train_or_load`.
        progress: show a progress bar; None shows it where a person looks.
        ignore: fields in which a checkpoint may differ from `cfg`.

    Returns:
        The record of the phase.

    Raises:
        ValueError, TrainingError: see `train_or_load`.
    """
    progress = sys.stderr.isatty() or has_kernel() if progress is None else progress
    make_folder(folder.parent)
    several = int(os.environ.get("WORLD_SIZE", "1")) > 1  # of one training: they go on together
    with contextlib.nullcontext() if several else FileLock(folder.parent / f".{folder.name}.lock"):
        if (folder / "record.json").is_file():
            return checkpoint.load_model(folder, model, cfg, ignore=ignore) | {"folder": str(folder)}
        with remembered():
            return _trained(_prepared(model, objective, plan, folder, cfg, clips, progress))


class _Run(NamedTuple):
    """One phase, prepared: what its epochs need."""

    model: Any
    cfg: Config
    plan: schedule.Plan
    folder: Path
    clips: splits.Training
    val: Any
    accelerator: Accelerator
    objective: nn.Module
    optimizer: Any
    rates: Any
    loader: Any
    order: torch.Generator  # of the clips of an epoch
    state: dict[str, Any]  # epoch, history, seconds: what a checkpoint resumes
    bar: Any


def _prepared(
    model: Any,
    objective: nn.Module,
    plan: schedule.Plan,
    folder: Path,
    cfg: Config,
    clips: splits.Training,
    progress: bool,
) -> _Run:
    # Device and precision
    device = choose_device(cfg.device)
    if device.type == "cpu":
        memory.tune_malloc(keep=True)
    able = device.type == "cuda" and torch.cuda.is_bf16_supported()
    bf16 = cfg.precision == "bf16" or (cfg.precision == "auto" and able)
    accelerator = Accelerator(
        cpu=device.type == "cpu",
        mixed_precision="bf16" if bf16 else "no",
        dataloader_config=DataLoaderConfiguration(use_seedable_sampler=False),
    )
    # Weights, and where an interrupted run stopped
    model.to(device).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(schedule.groups(model, model.heads(), cfg))
    state = checkpoint.load_resume(folder, model, optimizer) or {"epoch": 0, "history": [], "seconds": 0.0}
    # Clips: a frozen sound encoder runs once over all of them
    data, val = (
        embedding_cache.cache_embeddings(x, model.audio, cfg, folder.parent, progress=progress)
        for x in (clips.train, clips.val)
    )
    order = torch.Generator()
    sampler = schedule.Draw(data.ids, seconds=plan.seconds, generator=order)
    loader = predict.loader(
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
    # Learning rates, from the step at which the run stands
    done, total = state["epoch"] * len(loader), plan.epochs * len(loader)
    factor = schedule.factor(cfg, total, joint=plan.joint)
    rates = torch.optim.lr_scheduler.LambdaLR(optimizer, factor, last_epoch=done - 1)
    ready = accelerator.prepare(objective, optimizer, loader, rates)
    objective, optimizer, loader, rates = ready
    bar = tqdm(total=total, initial=done, desc=plan.name, disable=not progress)
    given = (accelerator, objective, optimizer, rates, loader, order, state, bar)
    return _Run(model, cfg, plan, folder, clips, val, *given)


def _held_out(run: _Run) -> Callable[[Batch], Tensor]:
    """The loss of a batch that is not learned from: nothing hidden, and the same draws after every epoch."""
    objective = run.accelerator.unwrap_model(run.objective)
    moment = TrainingProgress(run.plan.joint, 0.0, 1.0)

    def loss(batch: Batch) -> Tensor:
        found: Tensor = objective(batch, torch.Generator().manual_seed(0), moment)["loss"]
        return found

    return loss


def _trained(run: _Run) -> dict[str, Any]:
    """Every epoch that is left, then the record; each epoch can be resumed."""
    cfg, plan, state, accelerator = run.cfg, run.plan, run.state, run.accelerator
    for epoch in range(state["epoch"], plan.epochs):
        start = time.perf_counter()
        # Learn
        seed = schedule.seed(cfg.seed, plan.joint, epoch)
        run.order.manual_seed(seed)
        generator = torch.Generator().manual_seed(seed + 1 + accelerator.process_index)
        moment = TrainingProgress(plan.joint, schedule.delta(cfg, plan.joint, epoch), epoch / plan.epochs)
        step = Step(accelerator, run.objective, run.optimizer, run.rates, generator, moment, run.bar)
        means = run_epoch(step, run.loader, flip=cfg.flip, first=epoch * len(run.loader), kept=run.folder)
        # Look
        means |= validation.validate(run.model, run.val, maps=plan.maps, loss=_held_out(run))
        few = Subset(run.val, range(min(8, len(run.val))))
        _, maps_now = next(predict.predict(run.model, few, maps=plan.maps))
        checkpoint.save_snapshot(run.folder, epoch + 1, maps_now)
        # Keep
        state["seconds"] += time.perf_counter() - start
        state["history"].append({k: round(v, 6) for k, v in means.items()})
        state["epoch"] = epoch + 1
        run.bar.set_postfix({k: f"{v:.3f}" for k, v in means.items()})
        log.info("%s epoch %d/%d: %s", plan.name, epoch + 1, plan.epochs, state["history"][-1])
        if accelerator.is_main_process:
            score = schedule.selection_score(cfg, means)
            if plan.joint and cfg.keep == "best" and score > state.get("merit", -math.inf):
                checkpoint.save_best(run.folder, run.model)
                state |= {"merit": score, "kept": epoch + 1}
            checkpoint.save_resume(run.folder, run.model, run.optimizer, state)
    run.bar.close()
    accelerator.wait_for_everyone()
    checkpoint.load_best(run.folder, run.model)
    values = {"config": cfg.as_dict(), **run.clips.about(), **state}
    if accelerator.is_main_process:
        checkpoint.save_model(run.folder, run.model, cfg, values)
        checkpoint.drop_resume(run.folder)
    accelerator.free_memory()
    return values | {"folder": str(run.folder)}
