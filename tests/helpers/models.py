"""Small models: configurations of seconds, weights as after training."""

from functools import lru_cache
from typing import Any

import torch
from torch import nn
from torchvision.models.resnet import Bottleneck

from tests.helpers.data_sample import sample
from tests.helpers.values import normal, random
from uspl.config import Config
from uspl.data import AVSBench
from uspl.encoders import visual
from uspl.model import USPL

TINY: dict[str, Any] = {
    "widths": (4, 4, 8, 8),
    "dim": 8,
    "aff_dim": 4,
    "decoder_dim": 8,
    "image_size": 32,
    "map_size": 16,
    "refine_size": 16,
    "r": 3,
    "t": 2,
    "batch_size": 4,
    "warmup_epochs": 2,
    "epochs": 2,
}


def brief(**changes: Any) -> Config:
    """A training of seconds."""
    return Config.tiny(**{**TINY, **changes})


def small(**changes: object) -> Config:
    """A model of 8 channels."""
    values = {"widths": (8, 8, 8, 8), "dim": 8, "aff_dim": 8, "decoder_dim": 8, "image_size": 32, "map_size": 16}
    return Config.tiny(**{**values, "refine_size": 16, "t": 2, "r": 3, **changes})


NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def trained(cfg: Config, *, narrow: bool = False) -> USPL:
    """A model whose running statistics are neither 0 nor 1, as after training; `narrow`: bottlenecks as in ResNet50."""
    torch.manual_seed(0)
    model = USPL(cfg)
    if narrow:
        model.visual.stages[1] = nn.Sequential(
            visual._conv(8, 8, 1, stride=2),
            nn.BatchNorm2d(8),
            Bottleneck(8, 2, downsample=nn.Sequential(visual._conv(8, 8, 1), nn.BatchNorm2d(8))),
        )
    for seed, layer in enumerate(m for m in model.modules() if isinstance(m, NORMS)):
        layer.running_mean.copy_(0.2 * normal(seed, layer.num_features))
        layer.running_var.copy_(0.5 + random(seed, layer.num_features))
        if layer.affine:
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.uniform_(layer.bias, -0.5, 0.5)
    return model


@lru_cache
def model() -> USPL:
    torch.manual_seed(0)
    return USPL(brief())


def clips(split: str = "test") -> AVSBench:
    return AVSBench(sample(), split, size=32, cache=True)


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(a[k], b[k]) for k in a)
