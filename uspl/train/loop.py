"""Section 3.4: warm-up on MMICL, then the joint objective (Eq. 11), in one loop on Accelerate."""

import contextlib
import gc
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import torch
from filelock import FileLock
from torch import nn

from uspl.config import Config, joint_fields
from uspl.core import paths
from uspl.core.device import choose_device
from uspl.core.files import make_folder
from uspl.core.progress import has_kernel
from uspl.core.ranks import Ranks, announced
from uspl.data import splits
from uspl.encoders.frozen import remembered
from uspl.model import USPL
from uspl.train import accelerator, checkpoint, interruption, phase, schedule
from uspl.train.losses import Objective
from uspl.train.step import TrainingStopped
from uspl.train.synchronised_batchnorm import synchronised

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
    save_every: int = 0,
    log_with: str = "",
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
        save_every: steps after which a checkpoint is written, beside the one after each epoch; 0 writes no others.
        log_with: "tensorboard" or "wandb", a tracker of what `log.jsonl` tells anyway; empty: none.

    Several processes (`torchrun`) share each batch of `cfg.batch_size` and train the same model as one.

    Returns:
        The model in eval mode, and its record.

    Raises:
        ValueError: an unknown `phase`, more pairs in a batch than there are, a batch that the processes cannot share
            equally, or a checkpoint of another configuration.
        TrainingError: the loss is not finite, or a signal stopped the training.
        DataError: the data cannot be read.
    """
    if phase not in ("warmup", "full"):
        raise ValueError(f"`phase` must be 'warmup' or 'full'; got {phase!r}.")
    check(cfg, save_every, log_with)
    asked, cfg = cfg, schedule.canonical_config(cfg)
    clips = splits.training(cfg, data_root, train_list=train_list, partial=partial)
    model = random_start(USPL, cfg)
    home, data, objective = paths.runs_folder(runs), clips.train.data_hash[:6], Objective(model)
    plan = schedule.warmup(cfg, clips.seconds)
    folder = home / f"warmup-{cfg.slug(*joint_fields())}-{data}"
    how: dict[str, Any] = {"cfg": cfg, "clips": clips, "progress": progress}
    how |= {"save_every": save_every, "log_with": log_with}
    with remembered():  # by both phases
        values = fit(model, objective, plan, folder, **how, ignore=joint_fields())
        if phase == "full" and cfg.epochs > 0:
            before = {"run": folder.name} | {k: values[k] for k in ("seconds", "history")}
            plan = schedule.joint(cfg, clips.seconds)
            folder = home / f"full-{cfg.slug()}-{data}"
            values = fit(model, objective, plan, folder, **how)
            values["warmup"] = before
    model.cfg = asked
    return model.to(choose_device(cfg.device)).eval(), values


def check(cfg: Config, save_every: int = 0, log_with: str = "") -> None:
    """Refuse, before anything is loaded, what cannot be trained by the processes that were started.

    Raises:
        ValueError: a negative `save_every`, a tracker that is not there, a batch that they cannot share equally, or a
            stray `WORLD_SIZE`.
    """
    accelerator.check_tracker(log_with)
    if save_every < 0:
        raise ValueError(f"`save_every` must be at least 0 steps; got {save_every}.")
    world = announced()
    if cfg.batch_size % world:
        raise ValueError(
            f"`batch_size` is that of all processes together and must be a multiple of their number, {world}; "
            f"got {cfg.batch_size}."
        )


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
    save_every: int = 0,
    log_with: str = "",
    ignore: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Load a finished phase into `model`, or train it, resuming where it stopped; one training at a time does it.

    Args:
        model: what is trained and kept, see `inference.predict.MapModel`; its `heads()` learn at `lr * head_lr`.
        objective: a batch, a generator, a `TrainingProgress` and `Ranks` -> losses by name, "loss" to descend.
        plan: the phase.
        folder: where it is kept.
        cfg, clips, save_every, log_with: see `train_or_load`.
        progress: show a progress bar; None shows it where a person looks.
        ignore: fields in which a checkpoint may differ from `cfg`.

    Returns:
        The record of the phase.

    Raises:
        ValueError, TrainingError: see `train_or_load`.
    """
    progress = sys.stderr.isatty() or has_kernel() if progress is None else progress
    make_folder(folder.parent)
    able = accelerator.start(cfg, model, plan, folder, log_with)
    ranks = Ranks(able.process_index, able.num_processes)
    with _alone(folder, ranks):
        if ranks.from_first((folder / "record.json").is_file()):
            return checkpoint.load_model(folder, model, cfg, ignore=ignore) | {"folder": str(folder)}
        given: dict[str, Any] = {"accelerator": able, "ranks": ranks, "save_every": save_every}
        given |= {"cfg": cfg, "clips": clips, "progress": progress and able.is_local_main_process}
        with remembered(), synchronised(model, ranks), _teaching(model, plan), interruption.heeded() as heard:
            values = phase.trained(phase.prepared(model, objective, plan, folder, **given, heard=heard))
        if ranks.world > 1:
            gc.collect()  # DistributedDataParallel leaves its hooks on the parameters for as long as it lives
        if interruption.STOP in heard:
            raise TrainingStopped(f"stopped by {interruption.STOP}; {plan.name} is complete and kept in `{folder}`.")
        return values


@contextlib.contextmanager
def _alone(folder: Path, ranks: Ranks) -> Iterator[None]:
    """Inside, no other training writes to `folder`; the first process holds the lock for all."""
    with contextlib.ExitStack() as stack:
        if ranks.rank == 0:
            stack.enter_context(FileLock(folder.parent / f".{folder.name}.lock"))
            checkpoint.drop_parts(folder)
        ranks.wait()
        yield


@contextlib.contextmanager
def _teaching(model: Any, plan: schedule.Plan) -> Iterator[None]:
    """Inside, what the phase does not train takes no gradient: no process waits for it."""
    parts = [] if plan.joint else model.heads()
    for part in parts:
        part.requires_grad_(False)
    try:
        yield
    finally:
        for part in parts:
            part.requires_grad_(True)
