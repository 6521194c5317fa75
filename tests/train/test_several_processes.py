"""Any number of processes learns the same: losses and gradients of every step, clips of every epoch, validation."""

from typing import Any

import pytest
import torch

from tests.helpers.data_sample import sample
from tests.helpers.models import brief
from tests.helpers.ranks import together, trainings, troubles
from uspl import train
from uspl.core.ranks import Ranks
from uspl.experiments.methods import METHODS
from uspl.train import schedule

BATCH: dict[str, Any] = {"batch_size": 8, "warmup_epochs": 1, "epochs": 1, "keep": "best"}
Found = dict[int, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """Number of processes -> what each saw of each training; four train USPL alone."""
    homes = {world: tmp_path_factory.mktemp(f"world{world}") for world in (1, 2, 4)}
    names = {1: ["uspl", *METHODS], 2: ["uspl", *METHODS], 4: ["uspl"]}
    return {w: together(w, trainings, sample(), homes[w], names[w], BATCH) for w in homes}


def losses_of(seen: dict[str, Any]) -> list[dict[str, float]]:
    """Of every step and every epoch, validation included."""
    return [{k: v for k, v in line.items() if k != "lr"} for line in seen["log"]]


def assert_same(one: dict[str, Any], many: list[dict[str, Any]]) -> None:
    expected = [pytest.approx(row, abs=1e-6) for row in losses_of(one)]
    assert losses_of(many[0]) == expected
    for rank in many:
        assert len(rank["steps"]) == len(one["steps"]) == 2
        for ours, theirs in zip(one["steps"], rank["steps"], strict=True):
            assert ours["grads"].keys() <= theirs["grads"].keys()
            for name, grad in theirs["grads"].items():
                known = ours["grads"].get(name, torch.zeros_like(grad))
                torch.testing.assert_close(grad, known, rtol=1e-6, atol=1e-6, msg=name)


@pytest.mark.parametrize("world", [2, 4])
def test_uspl_learns_the_same(found: Found, world: int) -> None:
    one, ranks = found[1][0]["uspl"], [rank["uspl"] for rank in found[world]]
    assert_same(one, ranks)
    assert [row.get("lr") for row in ranks[0]["log"]] == [row.get("lr") for row in one["log"]]
    told = {"world": world, "batch": 8 // world, "negatives": 7}
    assert [rank["values"]["processes"] for rank in ranks] == [told] * world
    for rank in ranks[1:]:
        assert all(torch.equal(rank["weights"][k], v) for k, v in ranks[0]["weights"].items())


@pytest.mark.parametrize("world", [2, 4])
def test_each_clip_of_a_batch_is_seen_by_one_process(found: Found, world: int) -> None:
    for i, step in enumerate(found[1][0]["uspl"]["steps"]):
        parts = [rank["uspl"]["steps"][i]["ids"] for rank in found[world]]
        assert [id for part in parts for id in part] == step["ids"]


@pytest.mark.parametrize("world", [2, 4])
def test_in_float32_to_its_rounding(found: Found, world: int) -> None:
    """A gradient is compared as a whole: where a value is zero but for rounding, a ReLU passes it or does not."""
    one, other = found[1][0]["float32"], found[world][0]["float32"]
    assert losses_of(other) == [pytest.approx(row, rel=1e-4) for row in losses_of(one)]
    for ours, theirs in zip(one["steps"], other["steps"], strict=True):
        a, b = (torch.cat([step["grads"][k].flatten() for k in ours["grads"]]) for step in (ours, theirs))
        assert (a - b).norm() < 1e-3 * a.norm()


@pytest.mark.parametrize("name", METHODS)
def test_every_peer_learns_the_same(found: Found, name: str) -> None:
    assert_same(found[1][0][name], [rank[name] for rank in found[2]])


def test_trouble_of_one_is_told_by_all(tmp_path_factory: pytest.TempPathFactory) -> None:
    first, second = together(2, troubles, sample(), tmp_path_factory.mktemp("troubles"))
    assert first["spoiled"].startswith("the loss is nan at step 1 on the clips train_")
    assert first["spoiled"].count("train_") == 4  # of both processes
    assert first == second  # and a late process ends with the weights of the others


@pytest.mark.parametrize("world", [1, 2, 3, 4])
@pytest.mark.parametrize("first", [0, 1])
def test_an_epoch_has_each_pair_once(world: int, first: int) -> None:
    ids = [f"video{i:02d}_1" for i in range(27)]
    seen = []
    for rank in range(world):
        draw = schedule.Draw(ids, seconds="all", generator=torch.Generator().manual_seed(3))
        batches = schedule.Batches(draw, batch_size=12, ranks=Ranks(rank, world))
        batches.first = first
        assert len(batches) == 2
        seen.append(list(batches))
    order = torch.randperm(27, generator=torch.Generator().manual_seed(3)).tolist()
    joined = [i for step in zip(*seen, strict=True) for part in step for i in part]
    assert joined == order[12 * first : 24]


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"WORLD_SIZE": "2"}, "`WORLD_SIZE` is 2, but `RANK` is not set: start with `torchrun`, or unset"),
        ({"WORLD_SIZE": "two"}, "`WORLD_SIZE` must be an integer of at least 1; got 'two'"),
        (
            {"WORLD_SIZE": "3", "RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"},
            "`batch_size` is that of all processes together and must be a multiple of their number, 3; got 4",
        ),
        (
            {"WORLD_SIZE": "8", "RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"},
            "`batch_size` is that of all processes together and must be a multiple of their number, 8; got 4",
        ),
    ],
)
def test_what_processes_cannot_share_is_refused_before_anything_is_read(
    environment: dict[str, str], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WORLD_SIZE", "RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=says):
        train.train_or_load(brief(), "/nowhere", progress=False)
