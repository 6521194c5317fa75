"""The paper's model with random weights: its maps of an image and a projected sound, a step of its training."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from benchmarks.ratios import naive
from benchmarks.ratios.timing import Call
from uspl import align, maps
from uspl.config import Config
from uspl.core.progress import TrainingProgress
from uspl.data.batch import Batch
from uspl.model import USPL
from uspl.train import schedule
from uspl.train.losses import Objective


def network(**changes: Any) -> USPL:
    """The model in eval mode; weights do not change what anything costs."""
    cfg = dataclasses.replace(Config.paper(), visual_weights="none", audio_weights="none", **changes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return USPL(cfg).eval()


@torch.inference_mode()
def encoded(model: USPL, image: Tensor, f_a: Tensor) -> tuple[Sequence[Tensor], Tensor, Tensor]:
    """Stages, F_v and M_crs: what `USPL.decode` begins with."""
    stages, f_v = model.encode_image(image)
    return stages, f_v, align.sounding_map(f_a.float(), f_v.float())


@torch.inference_mode()
def decoded(model: USPL, image: Tensor, f_a: Tensor, wanted: str) -> Tensor:
    """One map of `USPL.decode`: "m_fine" is SMR, "logits" and "m" are SPS."""
    return model.decode(*encoded(model, image, f_a), (wanted,))[wanted]


@torch.inference_mode()
def by_matrices(model: USPL, image: Tensor, f_a: Tensor, near: Tensor) -> Tensor:
    """The fine map by full matrices; `near` holds the pairs within r."""
    cfg, (stages, _, m_crs) = model.cfg, encoded(model, image, f_a)
    fine = naive.fine_map(model.f_aff(stages), model.on_grid(m_crs), near, beta=cfg.beta, t=cfg.t)
    return maps.normalise_map(fine, cfg.map_range)


def step(model: USPL, image: Tensor, sound: Tensor) -> Call:
    """One step of training: Eq. (11), its gradient, Adam, whose state comes with the first step."""
    nothing = torch.zeros(len(image), 1)
    batch = Batch([""] * len(image), image, sound, nothing, nothing, nothing)
    objective, adam = Objective(model), torch.optim.Adam(schedule.groups(model, model.heads(), model.cfg))
    progress = TrainingProgress(joint=True, delta=model.cfg.delta, progress=0.0)

    def descend() -> None:
        adam.zero_grad()
        objective(batch, torch.Generator().manual_seed(0), progress)["loss"].backward()
        adam.step()

    return descend
