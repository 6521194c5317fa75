"""Peers that have met the categories of the sample."""

from typing import Any

import torch
from torch import Tensor

from tests.helpers.data_sample import sample
from tests.helpers.models import brief
from uspl.baselines.base import Peer
from uspl.core.progress import TrainingProgress
from uspl.data.batch import Batch
from uspl.data.splits import open_set
from uspl.experiments import methods


def peer(name: str, **changes: Any) -> Peer:
    """A peer that has met the sample's categories."""
    torch.manual_seed(0)
    made = methods.build(name, brief(**changes))
    made.set_labels(open_set(sample(), "train", size=32))
    return made


def losses(peer: Peer, batch: Batch, progress: float, seed: int = 0) -> dict[str, Tensor]:
    found: dict[str, Tensor] = peer(batch, torch.Generator().manual_seed(seed), TrainingProgress(True, 0.0, progress))
    return found
