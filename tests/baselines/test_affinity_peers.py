"""Peers with an affinity loss of their own, PSA, IRNet and AFA: golden losses with gradients, and how IRNet learns."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.helpers.supervised_peers import losses, peer
from tests.helpers.values import normal, reference
from uspl import walk
from uspl.affinity import affinity, affinity_labels, affinity_loss
from uspl.baselines import afa, irnet
from uspl.data.batch import Batch

# Golden values


def psa(tag: str, reduce: str) -> tuple[Tensor, Tensor, Tensor, Tensor, dict[str, Any]]:
    """Features, affinities, labels and three-way map; the pairs are those whose source keeps r from the border."""
    golden = reference("affinity_loss")
    f = golden[f"psa_{tag}_features"][None].clone().requires_grad_()
    y, r = golden[f"psa_{tag}_trimap"][None], int(golden[f"psa_{tag}_radius"])
    a, every = affinity(f, r=r, reduce=reduce), affinity_labels(y, r=r)
    n, labels = y.shape[1], torch.full_like(every, 255)
    rows, columns = slice(0, n - r + 1), slice(r - 1, n - r + 1)
    labels[..., rows, columns] = every[..., rows, columns]
    stored = {k: golden[f"psa_{tag}_{reduce}L1_{k}"] for k in ("affinity", "loss", "grad", "irn_pos_neg_loss")}
    stored |= {"parts": golden[f"psa_{tag}_{reduce}L1_loss_parts_bg_fg_neg"]}
    stored |= {"counts": golden[f"psa_{tag}_counts_bg_fg_neg"], "window": (rows, columns)}
    return f, a, labels, y, stored


@pytest.mark.parametrize("tag", ["s", "m"])
@pytest.mark.parametrize("reduce", ["mean", "sum"])
def test_psa_loss_is_published(tag: str, reduce: str) -> None:
    f, a, labels, y, stored = psa(tag, reduce)
    rows, columns = stored["window"]
    torch.testing.assert_close(a[..., rows, columns].flatten(2), stored["affinity"], rtol=0, atol=1e-6)
    like = (labels == 1).sum((0, 2, 3))
    assert like.sum() == stored["counts"][:2].sum()
    assert (labels == 0).sum() == stored["counts"][2]
    bg, fg, neg = irnet.terms(a, labels, y)
    torch.testing.assert_close(torch.stack([bg, fg, neg]).double(), stored["parts"], rtol=1e-5, atol=1e-5)
    pos_neg = torch.stack([(bg + fg) / 2, neg]).double()
    torch.testing.assert_close(pos_neg, stored["irn_pos_neg_loss"], rtol=1e-5, atol=1e-5)
    value = irnet.loss(a, labels, y)
    torch.testing.assert_close(value.double(), stored["loss"], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(torch.autograd.grad(value, f)[0], stored["grad"], rtol=1e-4, atol=1e-5)


def test_psa_gradient() -> None:
    f = normal(3, 1, 2, 3, 3, dtype=torch.float64).requires_grad_()
    y = torch.tensor([[[0, 1, 1], [0, 255, 1], [0, 0, 1]]], dtype=torch.uint8)
    labels = affinity_labels(y, r=2)
    assert torch.autograd.gradcheck(lambda f: irnet.loss(affinity(f, r=2), labels, y), (f,))


def test_psa_is_eq_6_where_objects_and_background_have_as_many_pairs() -> None:
    y = torch.tensor([[[1, 1, 0, 0]]], dtype=torch.uint8)
    f, labels = normal(0, 1, 3, 1, 4), affinity_labels(y, r=2)
    value = irnet.loss(affinity(f, r=2), labels, y)
    assert value.item() == pytest.approx(affinity_loss(f, y, r=2).item(), abs=1e-3)


def neighbours(dense: Tensor, r: int, h: int, w: int, outside: int) -> Tensor:
    """(B, h w, h w) -> (B, (2r + 1)^2, h, w): each pixel's own row, in the order of offsets."""
    places = torch.arange(h * w).view(h, w)
    found = []
    for dy in range(-r, r + 1):
        for dx in range(-r, r + 1):
            there = F.pad(places, (r, r, r, r), value=-1)[r + dy : r + dy + h, r + dx : r + dx + w].flatten()
            rows = dense[:, torch.arange(h * w), there.clamp_min(0)]
            found.append(rows.where(there >= 0, torch.full_like(rows, outside)).view(-1, h, w))
    return torch.stack(found, 1)


@pytest.mark.parametrize("kind", ["", "noneg_"])
def test_afa_loss_is_published(kind: str) -> None:
    golden = reference("affinity_loss")
    dense, label = golden["afa_affinity"].clone().requires_grad_(), golden["afa_label"].clone()
    r, (h, w) = int(golden["afa_radius"]), golden["afa_trimap"].shape[1:]
    if kind:
        label[label == 0] = 255
    labels = neighbours(label, r, h, w, 255)
    counts = [(labels == k).sum().item() + 1 for k in (1, 0)]
    value = afa.loss(neighbours(dense, r, h, w, 0), labels)
    assert value.item() == pytest.approx(float(golden[f"afa_{kind}loss"]), abs=1e-6)
    if not kind:
        assert counts == [int(golden["afa_pos_count_plus1"]), int(golden["afa_neg_count_plus1"])]
        torch.testing.assert_close(torch.autograd.grad(value, dense)[0], golden["afa_grad"], rtol=1e-5, atol=1e-8)


# IRNet


def test_irnet_learns_affinities_in_the_second_half_and_leaves_the_encoder_alone(batch: Batch) -> None:
    made = peer("irnet")
    made.method.cam.image.weight.data = normal(0, *made.method.cam.image.weight.shape)
    early, late = losses(made, batch, 0.49), losses(made, batch, 0.5)
    assert early["aff"] == 0
    assert late["aff"] > 0
    late["aff"].backward()
    assert all(p.grad is None for p in made.features.parameters())
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in made.method.pmv_aff.parameters())


def test_irnet_walks_256_steps(batch: Batch) -> None:
    made = peer("irnet", map_size=8, r=3).eval()
    method, features = made.method, made.features
    method.cam.image.weight.data = normal(0, *method.cam.image.weight.shape)
    with torch.no_grad():
        got = method.score(features, batch.image, batch.sound)
        stages = features.visual(batch.image)
        m = F.interpolate(
            method.cam.heard(stages[3], features.audio(batch.sound))[:, None], size=(8, 8), mode="bilinear"
        )
        a = affinity(method.pmv_aff(stages), r=3)
        expected = walk.random_walk(m[:, 0], a, beta=10, t=256, r=3)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-5)


def test_irnet_seeds_are_of_the_label(batch: Batch) -> None:
    made = peer("irnet")
    made.method.cam.image.weight.data = normal(0, *made.method.cam.image.weight.shape)
    f = made.features.visual(batch.image)[3].detach()
    first, second = (made.method.seeds(batch.image, f, torch.full((len(f),), k)) for k in (0, 1))
    assert set(first.unique().tolist()) <= {0, 1, 255}
    assert not torch.equal(first, second)
