"""Any number of processes learns the same: losses and gradients of every step, clips of every epoch, validation."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.helpers.data_sample import sample
from tests.helpers.ranks import together, trainings
from uspl.experiments.methods import METHODS

NAMES = ["uspl", *METHODS]
BATCH: dict[str, Any] = {"batch_size": 8, "warmup_epochs": 1, "epochs": 1, "keep": "best"}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[dict[str, Any]]]:
    """World -> what each rank saw, all in float64; four processes train USPL alone."""
    homes = {world: tmp_path_factory.mktemp(f"world{world}") for world in (1, 2, 4)}
    names = {1: NAMES, 2: NAMES, 4: ["uspl"]}
    return {w: together(w, trainings, sample(), homes[w], names[w], BATCH, True) for w in homes}


def step_losses(seen: dict[str, Any]) -> list[dict[str, float]]:
    return [{k: v for k, v in line.items() if k not in ("lr", "epoch", "step")} for line in seen["log"]]


def assert_same(one: dict[str, Any], many: list[dict[str, Any]], tolerance: float) -> None:
    losses = step_losses(one)
    assert losses == [pytest.approx(row, abs=tolerance) for row in step_losses(many[0])]
    for rank in many:
        assert len(rank["steps"]) == len(one["steps"]) > 0
        for ours, theirs in zip(one["steps"], rank["steps"], strict=True):
            assert ours["grads"].keys() <= theirs["grads"].keys()
            for name, grad in theirs["grads"].items():
                expected = ours["grads"].get(name, torch.zeros_like(grad))
                torch.testing.assert_close(grad, expected, rtol=tolerance, atol=tolerance, msg=name)


@pytest.mark.parametrize("world", [2, 4])
def test_uspl_learns_the_same(found: dict[int, list[dict[str, Any]]], world: int) -> None:
    ranks = [rank["uspl"] for rank in found[world]]
    assert_same(found[1][0]["uspl"], ranks, 1e-6)
    assert [line["lr"] for line in ranks[0]["log"] if "lr" in line] == [
        line["lr"] for line in found[1][0]["uspl"]["log"] if "lr" in line
    ]
    told = {"world": world, "batch": 8 // world, "negatives": 7}
    assert [rank["values"]["processes"] for rank in ranks] == [told] * world
    for rank in ranks[1:]:
        assert all(torch.equal(rank["weights"][k], v) for k, v in ranks[0]["weights"].items())


@pytest.mark.parametrize("name", METHODS)
def test_every_peer_learns_the_same(found: dict[int, list[dict[str, Any]]], name: str) -> None:
    assert_same(found[1][0][name], [rank[name] for rank in found[2]], 1e-6)
