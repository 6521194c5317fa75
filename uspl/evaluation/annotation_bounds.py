"""What annotation files alone say: the floor and the ceiling of each protocol, and test clips in a training list."""

import hashlib
from pathlib import Path
from typing import Any

import torch

from uspl.core import memory
from uspl.core.errors import DataError
from uspl.data.vggsound import leaked, read_ids
from uspl.data.vggss import read_boxes
from uspl.evaluation.protocols.registry import named
from uspl.evaluation.scorer import ProtocolScorer
from uspl.metrics.localization import boxes_to_map

PROTOCOLS = ("vggss-half", "vggss-half-strict", "vggss-absolute(0.5)", "vggss-adaptive")
SIDE = 224  # pixels, of the published evaluation


def bounds(file: str | Path) -> dict[str, Any]:
    """Floor and ceiling of each VGG-SS protocol on the boxes of a file: no picture, no sound, no model.

    Args:
        file: VGG-SS's JSON of {"file", "class", "bbox"}.

    Returns:
        "n" pairs; "area", the mean share of the image that is marked; "protocols" {name: {"rule", "floors":
        {guess: {score: value}}, "ceiling": {score: value}}}; "file", "sha256".

    Raises:
        DataError: a missing or malformed file.
    """
    memory.tune_malloc(keep=False)
    entries = read_boxes(Path(file))
    scorers = {name: ProtocolScorer(named(name)) for name in PROTOCOLS}
    marked = 0
    for start in range(0, len(entries), 64):
        ids, _, boxes = zip(*entries[start : start + 64], strict=True)
        truth = torch.stack([boxes_to_map(one, size=SIDE) > 0 for one in boxes])
        marked += int(truth.count_nonzero())
        for scorer in scorers.values():
            scorer.add(ids, {}, truth)
        memory.release_free_pages()
    kept = ("rule", "floors", "ceiling")
    found = {name: {k: v for k, v in scorer.result().items() if k in kept} for name, scorer in scorers.items()}
    return _about(file) | {"n": len(entries), "area": marked / len(entries) / SIDE**2, "protocols": found}


def leak(file: str | Path) -> dict[str, Any]:
    """How many ids of a training list are test clips of VGG-SS.

    Raises:
        DataError: a missing or malformed file.
    """
    ids = read_ids(file)
    return _about(file) | {"n": len(ids), "leaked": int(leaked(ids).sum())}


def measure(file: str | Path) -> dict[str, Any]:
    """`bounds` of a box file, `leak` of a list of ids."""
    if not Path(file).is_file():
        raise DataError(file, "is missing")
    return bounds(file) if Path(file).suffix == ".json" else leak(file)


def _about(file: str | Path) -> dict[str, Any]:
    return {"file": Path(file).name, "sha256": hashlib.sha256(Path(file).read_bytes()).hexdigest()}
