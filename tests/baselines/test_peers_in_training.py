"""What SLAVC, FNAC and Attention10k do in training."""

import pytest
import torch
from torch import Tensor

from tests.helpers.models import brief
from uspl.baselines import attention10k, base, slavc
from uspl.core.progress import TrainingProgress
from uspl.data.batch import Batch
from uspl.experiments import methods
from uspl.train import schedule

MIDDLE = TrainingProgress(joint=True, delta=0.0, progress=0.5)


def test_slavc_follows_slowly() -> None:
    target, source = torch.nn.Linear(1, 1, bias=False), torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(target.weight, 1)
    torch.nn.init.constant_(source.weight, 3)
    slavc.follow(target, source, momentum=0.75)
    assert target.weight.item() == 1.5
    assert source.weight.item() == 3


@pytest.mark.parametrize("learns", [True, False], ids=["learns to hear", "frozen ear"])
def test_slavc_copies_learn_by_following_alone(learns: bool, batch: Batch, generator: torch.Generator) -> None:
    cfg = brief(finetune_audio=learns)
    peer = methods.build("slavc", cfg)
    slow = {k: v for k, v in peer.named_parameters() if k.startswith("method.target")}
    assert any(".audio." in k for k in slow) == learns
    given = {id(p) for group in schedule.groups(peer, peer.heads(), cfg) for p in group["params"]}
    assert not given & {id(p) for p in slow.values()}
    assert {id(p) for p in peer.method.second.parameters()} <= given
    before = {k: v.clone() for k, v in slow.items()}
    peer.train()(batch, generator, MIDDLE)["loss"].backward()
    assert all(torch.equal(v, before[k]) for k, v in slow.items())  # both branches begin equal
    with torch.no_grad():
        peer.features.project_a[0].weight.add_(1)
    peer(batch, generator, MIDDLE)
    moved = [k for k, v in slow.items() if not torch.equal(v, before[k])]
    assert moved == ["method.target.project_a.0.weight"]
    assert all(p.grad is None for p in slow.values())
    peer.eval()
    with torch.inference_mode():
        fast = peer.method.score(peer.features, batch.image, batch.sound)
        peer.method.slow = True
        copied = peer.method.score(peer.features, batch.image, batch.sound)
    assert fast.shape == copied.shape
    assert not torch.equal(fast, copied)


def test_dropout_keeps_the_mean(generator: torch.Generator) -> None:
    x = base.dropped(torch.ones(100_000), 0.9, generator)
    assert sorted(x.unique().tolist()) == pytest.approx([0, 10])
    assert x.mean().item() == pytest.approx(1, abs=0.05)


def test_fnac_begins_as_ez_vsl(batch: Batch, generator: torch.Generator) -> None:
    cfg = brief()
    peer = methods.build("fnac", cfg).eval()  # no dropout: the losses can be compared
    losses = {at: peer(batch, generator, MIDDLE._replace(progress=at))["loss"].item() for at in (0.0, 0.16, 0.17)}
    contrast = methods.build("ez-vsl", cfg)
    contrast.features = peer.features
    assert losses[0.0] == losses[0.16] == contrast(batch, generator, MIDDLE)["loss"].item()
    assert losses[0.17] > losses[0.0]


def test_attention10k_never_takes_the_own_sound(
    batch: Batch, monkeypatch: pytest.MonkeyPatch, generator: torch.Generator
) -> None:
    cfg, seen = brief(), set()

    def keep(f_a: Tensor, f_v: Tensor, other: Tensor, **_: float) -> Tensor:
        assert sorted(other.tolist()) == list(range(len(f_a)))
        assert all(i != o for i, o in enumerate(other.tolist()))
        seen.add(tuple(other.tolist()))
        return f_a.sum()

    monkeypatch.setattr(attention10k, "loss", keep)
    peer = methods.build("attention10k", cfg)
    for _ in range(20):
        peer(batch, generator, MIDDLE)
    assert len(seen) == len(batch.ids) - 1
