"""Section 3.4: which clips an epoch draws, and how learning rates and the share of hidden locations change."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.utils.data import Sampler

from uspl.config import WALK, Config, fields_of
from uspl.core.ranks import Ranks
from uspl.data.batch import video_of


class Plan(NamedTuple):
    """One phase of a training."""

    name: str
    epochs: int
    joint: bool
    maps: tuple[str, ...]  # looked at after each epoch
    seconds: str  # see `Draw`


def warmup(cfg: Config, seconds: str) -> Plan:
    """Eq. (2) alone."""
    return Plan("MMICL", cfg.warmup_epochs, False, ("m_crs",), seconds)


def joint(cfg: Config, seconds: str) -> Plan:
    """Eq. (11). AVSBench annotates the first second of a training video only: the supervised bound sees no other."""
    return Plan("Eq. 11", cfg.epochs, True, ("m_crs", "m_fine", "m"), "first" if cfg.teacher == "mask" else seconds)


def baseline_plan(cfg: Config, name: str, seconds: str) -> Plan:
    """A baseline's training: as many epochs as both phases of USPL have."""
    return Plan(name, cfg.warmup_epochs + cfg.epochs, True, ("m",), seconds)


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
            videos.setdefault(name if seconds == "all" else video_of(name), []).append(i)
        self.choices = [pairs[:1] if seconds == "first" else pairs for pairs in videos.values()]
        self.generator = generator

    def __len__(self) -> int:
        return len(self.choices)

    def __iter__(self) -> Iterator[int]:
        order = torch.randperm(len(self.choices), generator=self.generator).tolist()
        uniform = torch.rand(len(self.choices), generator=self.generator).tolist()
        return (self.choices[v][int(u * len(self.choices[v]))] for v, u in zip(order, uniform, strict=True))


class Batches(Sampler[list[int]]):
    """An epoch as batches, of each the part of one process; what does not fill a batch is left out.

    Args:
        draw: pairs of an epoch in order, equal on all processes.
        batch_size: of all processes together.
        ranks: which part.

    `first`: the batch at which an epoch begins, after a resume in its middle.
    """

    def __init__(self, draw: Draw, *, batch_size: int, ranks: Ranks) -> None:
        self.draw, self.batch_size, self.ranks, self.first = draw, batch_size, ranks, 0

    def __len__(self) -> int:
        return len(self.draw) // self.batch_size

    def __iter__(self) -> Iterator[list[int]]:
        order, b = torch.tensor(list(self.draw)), self.batch_size
        return (self.ranks.rows(order[i * b : (i + 1) * b]).tolist() for i in range(self.first, len(self)))


def canonical_config(cfg: Config) -> Config:
    """The configuration that names a training: without SPS nothing learns from the walk, whose fields then count as
    the paper's; trainings that differ in them alone are one."""
    if cfg.lambda3 > 0 or cfg.keep == "best":
        return cfg
    return replace(cfg, **{name: getattr(Config(), name) for name in fields_of(WALK)})


def groups(model: nn.Module, heads: Iterable[nn.Module], cfg: Config) -> list[dict[str, Any]]:
    """Adam's parameter groups: encoders and projectors at `lr`, the heads (PMV-aff and SPS) at `lr * head_lr`."""
    new = [p for part in heads for p in part.parameters()]
    known = {id(p) for p in new}
    rest = [p for p in model.parameters() if id(p) not in known and p.requires_grad]
    rates = ((rest, cfg.lr), (new, cfg.lr * cfg.head_lr))
    # A schedule that starts in the middle, after a resume, reads where it began.
    return [{"params": params, "lr": lr, "initial_lr": lr} for params, lr in rates]


def factor(cfg: Config, steps: int, *, joint: bool = True) -> Any:
    """Learning-rate factor at a step: a linear ramp, then constant or a cosine down to 2 %; in the warm-up all of it
    times `warmup_lr`."""
    peak = 1.0 if joint else cfg.warmup_lr

    def factor(step: int) -> float:
        ramp = peak * (min(1.0, (step + 1) / cfg.ramp_steps) if cfg.ramp_steps else 1.0)
        if cfg.schedule == "constant":
            return ramp
        return ramp * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(step / max(steps, 1), 1))))

    return factor


def delta(cfg: Config, joint: bool, epoch: int) -> float:
    """Share of locations hidden in an epoch: a random start first learns what sounds, then how far it reaches."""
    rise = cfg.delta_ramp * cfg.warmup_epochs
    return cfg.delta if joint or epoch >= rise else cfg.delta * epoch / rise


def seed(seed: int, joint: bool, epoch: int) -> int:
    """A number per seed, phase and epoch, so that a resumed run draws what an uninterrupted one would."""
    return (seed * 2 + joint) * 10_000 + epoch * 10


def selection_score(cfg: Config, scores: Mapping[str, float]) -> float:
    """How good an epoch is, on validation: mIoU of the map the configuration is about, of a peer its only one; without
    masks, minus the loss that is trained: Eq. (11), or a peer's own (Reading 22)."""
    m = "m" if cfg.lambda3 > 0 else "m_fine" if cfg.lambda2 > 0 else "m_crs"
    return scores.get(f"val_{m}", scores.get("val_m", -scores.get("val_loss", 0.0)))
