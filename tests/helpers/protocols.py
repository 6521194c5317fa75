"""What a protocol says about maps; every protocol by an example of its name."""

from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.helpers.values import shared_reference
from uspl.evaluation.protocols.registry import named
from uspl.evaluation.scorer import ProtocolScorer

EXAMPLES = [
    "avsbench",
    "avsbench(0.4)",
    "avsbench-batch(2)",
    "vggss-half",
    "vggss-half-strict",
    "vggss-absolute(0.4)",
    "vggss-minmax",
    "vggss-minmax(0.3)",
    "vggss-adaptive",
    "slavc-extended",
    "slavc-extended(0.4)",
]


@lru_cache(maxsize=1)
def vsl_golden() -> tuple[dict[str, Any], Tensor]:
    """The stored values of the peers' VGG-SS scores, and the truth they were computed for."""
    golden = shared_reference("metrics_vsl")
    bits = np.unpackbits(golden["gt_packbits"].numpy(), axis=1).reshape(-1, 224, 224)
    return golden, torch.from_numpy(bits).float()


def up(heat: Tensor, mode: str, corners: bool) -> Tensor:
    """Maps at 224 x 224, as the peers enlarge them."""
    return F.interpolate(heat[:, None], size=224, mode=mode, align_corners=corners)[:, 0]


def judged(name: str, maps: Tensor, truth: Tensor, ids: list[str] | None = None, **given: Any) -> dict[str, Any]:
    """What a protocol says about maps, without the bootstrap's wait."""
    tally = ProtocolScorer(named(name))
    tally.add(ids or [f"v{i:04d}_1" for i in range(len(maps))], {"m": maps}, truth, **given)
    return tally.result(resamples=5)


def values(name: str, maps: Tensor, truth: Tensor, **given: Any) -> dict[str, float]:
    return {k: v["value"] for k, v in judged(name, maps, truth, **given)["scores"]["m"].items()}
