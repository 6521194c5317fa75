"""Section 3.4: warm-up on MMICL, then the joint objective (Eq. 11), in one loop on Accelerate."""

import contextlib
import ctypes
import logging
import math
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from accelerate import Accelerator
from accelerate.utils import DataLoaderConfiguration
from torch import nn
from torch.utils.data import Sampler, Subset
from tqdm.auto import tqdm

from uspl import checkpoint, evaluate
from uspl.batch import Batch, flipped
from uspl.config import Config
from uspl.data import AVSBench
from uspl.html import has_kernel
from uspl.model import USPL
from uspl.objective import Objective, total_loss

__all__ = ["JOINT", "Draw", "TrainingError", "choose_device", "total_loss", "train_or_load"]

log = logging.getLogger(__name__)

# Fields that the warm-up does not see: configurations that differ in them alone share one warm-up.
JOINT = (
    *("map_range", "map_size", "refine_size", "refine", "refine_iterations", "beta_l", "beta_h"),
    *("r", "metric", "reduce", "balanced", "aff_offsets", "beta", "t", "reading", "detach"),
    *("seg_loss", "seg_target", "seg_high", "seg_low", "teacher", "lambda1", "lambda2", "lambda3", "epochs", "head_lr"),
)


class TrainingError(RuntimeError):
    """Training cannot go on; the last good checkpoint is kept."""


class Draw(Sampler[int]):
    """The training pairs of an epoch in random order.

    Args:
        ids: of the pairs, "<video>_<second>".
        seconds: "all" pairs, "one" random second of each video, or its "first".
        generator: source of randomness; seed it before each epoch.
    """

    def __init__(self, ids: Sequence[str], *, seconds: str, generator: torch.Generator) -> None:
        videos: dict[str, list[int]] = {}
        for i, name in enumerate(ids):
            videos.setdefault(name if seconds == "all" else name.rsplit("_", 1)[0], []).append(i)
        self.choices = [pairs[:1] if seconds == "first" else pairs for pairs in videos.values()]
        self.generator = generator

    def __len__(self) -> int:
        return len(self.choices)

    def __iter__(self) -> Iterator[int]:
        order = torch.randperm(len(self.choices), generator=self.generator).tolist()
        luck = torch.rand(len(self.choices), generator=self.generator).tolist()
        return (self.choices[v][int(u * len(self.choices[v]))] for v, u in zip(order, luck, strict=True))


def train_or_load(
    cfg: Config, data_root: str | Path, *, runs: str | Path = "runs", phase: str = "full", progress: bool | None = None
) -> tuple[USPL, dict[str, Any]]:
    """The trained model for `cfg` on `data_root`: loaded from `runs` if it is there, otherwise trained and kept.

    Args:
        cfg: every choice; equal warm-ups are shared between configurations.
        data_root: folder in AVSBench-S4's layout.
        runs: where checkpoints live, one folder per configuration and data.
        phase: "warmup" stops after the MMICL epochs; "full" goes on with Eq. 11.
        progress: show a progress bar with the losses and the validation mIoU; None shows it where a person looks.

    Returns:
        The model in eval mode and its record.

    Raises:
        ValueError: an unknown `phase`, or a checkpoint of another configuration.
        TrainingError: the loss is not finite.
        DataError: the data cannot be read.
    """
    if phase not in ("warmup", "full"):
        raise ValueError(f"`phase` must be 'warmup' or 'full'; got {phase!r}.")
    progress = sys.stderr.isatty() or has_kernel() if progress is None else progress
    data = AVSBench(
        data_root,
        "train",
        frames="first" if cfg.train_frames == "first" else "all",
        size=cfg.image_size,
        seconds=cfg.seconds,
        sound=cfg.sound,
        cache=True,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(cfg.seed)  # the weights of a random start
        model = USPL(cfg)
    folder = Path(runs) / f"warmup-{cfg.slug(*JOINT)}-{data.data_hash[:6]}"
    values = _phase(model, cfg, data, folder, joint=False, progress=progress)
    if phase == "full" and cfg.epochs > 0:
        folder = Path(runs) / f"full-{cfg.slug()}-{data.data_hash[:6]}"
        warmup = {k: values[k] for k in ("seconds", "history")}
        values = _phase(model, cfg, data, folder, joint=True, progress=progress, extra={"warmup": warmup})
    return model.to(choose_device(cfg.device)).eval(), values


def _phase(
    model: USPL,
    cfg: Config,
    data: AVSBench,
    folder: Path,
    *,
    joint: bool,
    progress: bool,
    extra: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Load a finished phase into `model`, or train it, resuming where it stopped."""
    if (folder / "record.json").is_file():
        return checkpoint.load_model(folder, model, cfg, ignore=() if joint else JOINT) | {"folder": str(folder)}
    device = choose_device(cfg.device)
    if device.type == "cpu":
        _keep_pages()
    able = device.type == "cuda" and torch.cuda.is_bf16_supported()
    bf16 = cfg.precision == "bf16" or (cfg.precision == "auto" and able)
    accelerator = Accelerator(
        cpu=device.type == "cpu",
        mixed_precision="bf16" if bf16 else "no",
        dataloader_config=DataLoaderConfiguration(use_seedable_sampler=False),
    )
    model.to(device).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(_groups(model, cfg))
    state = checkpoint.load_resume(folder, model, optimizer) or {"epoch": 0, "history": [], "seconds": 0.0}
    order = torch.Generator()
    # AVSBench annotates the first second of a training video only: the supervised bound sees no other.
    seconds = "first" if joint and cfg.teacher == "mask" else cfg.train_frames
    sampler = Draw(data.ids, seconds=seconds, generator=order)
    loader = evaluate.loader(data, batch_size=cfg.batch_size, front_end=cfg.front_end, sampler=sampler, drop_last=True)
    epochs = cfg.epochs if joint else cfg.warmup_epochs
    done, total = state["epoch"] * len(loader), epochs * len(loader)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _factor(cfg, total), last_epoch=done - 1)
    objective, optimizer, loader, schedule = accelerator.prepare(Objective(model), optimizer, loader, schedule)
    val = AVSBench(
        data.root, "val", frames="first", size=cfg.image_size, seconds=cfg.seconds, sound=cfg.sound, cache=True
    )
    name = "Eq. 11" if joint else "MMICL"
    bar = tqdm(total=total, initial=done, desc=name, disable=not progress)
    for epoch in range(state["epoch"], epochs):
        start = time.perf_counter()
        order.manual_seed(_seed(cfg.seed, joint, epoch))
        generator = torch.Generator().manual_seed(_seed(cfg.seed, joint, epoch) + 1 + accelerator.process_index)
        step = Step(accelerator, objective, optimizer, schedule, generator, _delta(cfg, joint, epoch), bar)
        means = _epoch(step, loader, joint=joint, flip=cfg.flip, first=epoch * len(loader), kept=folder)
        maps = evaluate.MAPS if joint else ("m_crs",)
        means |= {f"val_{k}": v for k, v in evaluate.miou(model, val, maps=maps).items()}
        _, maps_now = next(evaluate.predict(model, Subset(val, range(min(8, len(val)))), maps=maps))
        checkpoint.save_snapshot(folder, epoch + 1, maps_now)
        state["seconds"] += time.perf_counter() - start
        state["history"].append({k: round(v, 6) for k, v in means.items()})
        state["epoch"] = epoch + 1
        bar.set_postfix({k: f"{v:.3f}" for k, v in means.items()})
        log.info("%s epoch %d/%d: %s", name, epoch + 1, epochs, state["history"][-1])
        if accelerator.is_main_process:
            checkpoint.save_resume(folder, model, optimizer, state)
    bar.close()
    values = {"config": cfg.as_dict(), "data_hash": data.data_hash, "n_train": len(data), **state, **(extra or {})}
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
    schedule: Any
    generator: torch.Generator
    delta: float
    bar: Any

    def __call__(self, batch: Batch, *, joint: bool) -> dict[str, float]:
        """Descend once; returns the losses. A loss that is not finite changes nothing."""
        with self.accelerator.autocast():
            losses = self.objective(batch, self.generator, joint, self.delta)
        values = {k: float(v.detach()) for k, v in losses.items()}
        if math.isfinite(values["loss"]):
            self.optimizer.zero_grad()
            self.accelerator.backward(losses["loss"])
            self.optimizer.step()
            self.schedule.step()
            self.bar.update()
            self.bar.set_postfix({k: f"{v:.3f}" for k, v in values.items()}, refresh=False)
        return values


def _epoch(step: Step, loader: Any, *, joint: bool, flip: bool, first: int, kept: Path) -> dict[str, float]:
    """One pass over the training clips, from step `first` on; returns the mean of each loss."""
    step.objective.train()
    sums: dict[str, float] = {}
    for i, batch in enumerate(loader):
        values = step(flipped(batch, step.generator) if flip else batch, joint=joint)
        if not math.isfinite(values["loss"]):
            raise TrainingError(
                f"the loss is {values['loss']} at step {first + i} on the clips {', '.join(batch.ids)}; "
                f"the last good checkpoint is kept in `{kept}`."
            )
        sums = {k: sums.get(k, 0.0) + v for k, v in values.items()}
    return {k: v / len(loader) for k, v in sums.items()}


def choose_device(name: str) -> torch.device:
    """ "auto" is the first GPU, or the CPU. Raises ValueError for a GPU that is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"`device` is {name!r}, but PyTorch finds no GPU on this machine; take 'auto' or 'cpu'.")
    return device


def _keep_pages() -> None:
    """Let the process keep the memory it frees: glibc hands large blocks back, and each step asks for them again."""
    with contextlib.suppress(OSError, AttributeError):  # another C library has no such switch, and no such habit
        libc = ctypes.CDLL("libc.so.6")
        for name, value in ((-4, 0), (-1, 2**31 - 1), (-2, 2**28)):  # M_MMAP_MAX, M_TRIM_THRESHOLD, M_TOP_PAD
            libc.mallopt(name, value)


def _groups(model: USPL, cfg: Config) -> list[dict[str, Any]]:
    """Adam's parameter groups: encoders and projectors at `lr`, PMV-aff and SPS at `lr * head_lr`."""
    heads = [p for part in (model.pmv_aff, model.sps) for p in part.parameters()]
    known = {id(p) for p in heads}
    rest = [p for p in model.parameters() if id(p) not in known and p.requires_grad]
    rates = ((rest, cfg.lr), (heads, cfg.lr * cfg.head_lr))
    # A schedule that starts in the middle, after a resume, reads where it began.
    return [{"params": params, "lr": lr, "initial_lr": lr} for params, lr in rates]


def _factor(cfg: Config, steps: int) -> Any:
    """Learning-rate factor at a step: a linear ramp, then constant or a cosine down to 2 %."""

    def factor(step: int) -> float:
        ramp = min(1.0, (step + 1) / cfg.ramp_steps) if cfg.ramp_steps else 1.0
        if cfg.schedule == "constant":
            return ramp
        return ramp * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(step / max(steps, 1), 1))))

    return factor


def _delta(cfg: Config, joint: bool, epoch: int) -> float:
    """Share of locations hidden in an epoch: a random start first learns what sounds, then how far it reaches."""
    rise = cfg.delta_ramp * cfg.warmup_epochs
    return cfg.delta if joint or epoch >= rise else cfg.delta * epoch / rise


def _seed(seed: int, joint: bool, epoch: int) -> int:
    """A number per seed, phase and epoch, so that a resumed run draws what an uninterrupted one would."""
    return (seed * 2 + joint) * 10_000 + epoch * 10
