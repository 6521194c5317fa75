"""Hugging Face Accelerate, set up for one phase: device, precision and processes."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import (
    DistributedDataParallelKwargs,
    InitProcessGroupKwargs,
    is_tensorboard_available,
    is_wandb_available,
)

from uspl.config import Config
from uspl.core import memory
from uspl.core.device import choose_device
from uspl.core.ranks import announced
from uspl.model import USPL
from uspl.train.schedule import Plan

TRACKERS = {"tensorboard": is_tensorboard_available, "wandb": is_wandb_available}
PATIENCE = timedelta(hours=6)  # the first process hears all clips while the others wait


def start(cfg: Config, model: Any, plan: Plan, folder: Path, log_with: str = "") -> Accelerator:
    """An `Accelerator` for the phase; the first one of several processes joins them. A tracker writes to `folder`.

    Raises:
        ValueError: a device that is not there, or a stray `WORLD_SIZE`.
    """
    announced()
    device = choose_device(cfg.device)
    if device.type == "cpu":
        memory.tune_malloc(keep=True)
    elif device.index is not None:
        torch.cuda.set_device(device)
    able = device.type == "cuda" and torch.cuda.is_bf16_supported()
    precision = "bf16" if cfg.precision == "bf16" or (cfg.precision == "auto" and able) else "no"
    _forget_others(device, precision)
    unused = DistributedDataParallelKwargs(find_unused_parameters=_leaves_some_out(cfg, model, plan))
    found = Accelerator(
        cpu=device.type == "cpu",
        mixed_precision=precision,
        kwargs_handlers=[unused, InitProcessGroupKwargs(timeout=PATIENCE)],
        log_with=log_with or None,
        project_dir=folder,
    )
    if log_with:
        told = {k: str(v) if isinstance(v, list) else v for k, v in cfg.as_dict().items()}
        found.init_trackers("uspl", config=told, init_kwargs={"wandb": {"name": folder.name}})
    return found


def check_tracker(name: str) -> None:
    """Refuse a tracker that is unknown or not installed.

    Raises:
        ValueError: see above.
    """
    if name not in ("", *TRACKERS):
        raise ValueError(f"`log_with` must be {' or '.join(map(repr, TRACKERS))}, or empty; got {name!r}.")
    if name and not TRACKERS[name]():
        raise ValueError(f"`log_with` is {name!r}, which is not installed: `pip install {name}` brings it.")


def _forget_others(device: torch.device, precision: str) -> None:
    """Accelerate allows one device and one precision in a process: an earlier training's other choice is dropped."""
    known = AcceleratorState._shared_state
    if known and (known["device"].type != device.type or known["_mixed_precision"] != precision):
        AcceleratorState._reset_state(reset_partial_state=True)


def _leaves_some_out(cfg: Config, model: Any, plan: Plan) -> bool:
    """Does a step leave parameters without gradient? Peers do by turns; of USPL, parts whose loss has weight 0."""
    if not isinstance(model, USPL):
        return True
    return cfg.lambda2 == 0 or cfg.lambda3 == 0 if plan.joint else cfg.project_from == "stage3"
