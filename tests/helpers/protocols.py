"""What a protocol says about maps; every protocol by an example of its name."""

from typing import Any

from torch import Tensor

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


def judged(name: str, maps: Tensor, truth: Tensor, ids: list[str] | None = None, **given: Any) -> dict[str, Any]:
    """What a protocol says about maps, without the bootstrap's wait."""
    tally = ProtocolScorer(named(name))
    tally.add(ids or [f"v{i:04d}_1" for i in range(len(maps))], {"m": maps}, truth, **given)
    return tally.result(resamples=5)


def values(name: str, maps: Tensor, truth: Tensor, **given: Any) -> dict[str, float]:
    return {k: v["value"] for k, v in judged(name, maps, truth, **given)["scores"]["m"].items()}
