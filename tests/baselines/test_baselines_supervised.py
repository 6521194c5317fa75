"""Peers that learn from labels or masks: golden losses with gradients, examples by hand, who hears and who does not."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given

from tests.helpers.data_sample import sample
from tests.helpers.models import brief
from tests.helpers.supervised_peers import losses, peer
from tests.helpers.values import normal, random, reference_json, seeds
from uspl.baselines import avs, cam, mssl, visual_only
from uspl.config import Config
from uspl.data.batch import Batch
from uspl.data.splits import open_set
from uspl.experiments import methods

LABELS = ["cam", "irnet", "mssl"]


# AVS and the visual-only line


@given(seeds)
def test_attention_is_the_published_matrix(seed: int) -> None:
    """Queries by keys over the number of positions, times the values: the key is the sound at every position."""
    theta, g = normal(seed, 2, 3, 4, 5, dtype=torch.float64), normal(seed + 1, 2, 3, 4, 5, dtype=torch.float64)
    phi = normal(seed + 2, 2, 3, dtype=torch.float64)
    keys = phi[:, :, None].expand(2, 3, 20)
    matrix = theta.flatten(2).transpose(1, 2) @ keys / 20
    expected = (matrix @ g.flatten(2).transpose(1, 2)).transpose(1, 2).view_as(theta)
    torch.testing.assert_close(avs.attend(theta, phi, g), expected)


def test_attention_gradient() -> None:
    theta, phi, g = (normal(i, *s, dtype=torch.float64) for i, s in enumerate([(1, 2, 2, 2), (1, 2), (1, 2, 2, 2)]))
    assert torch.autograd.gradcheck(avs.attend, [x.requires_grad_() for x in (theta, phi, g)])


def test_tpavi_starts_deaf() -> None:
    torch.manual_seed(0)
    block, x = avs.TPAVI(6), normal(0, 2, 6, 3, 4)
    assert torch.equal(block(x, normal(1, 2, 128)), block(x, normal(2, 2, 128)))
    torch.testing.assert_close(block(x, normal(1, 2, 128)), F.layer_norm(x.movedim(1, -1), (6,)).movedim(-1, 1))
    torch.nn.init.ones_(block.W_z[1].weight)
    assert not torch.equal(block(x, normal(1, 2, 128)), block(x, normal(2, 2, 128)))


def test_tpavi_has_the_published_names() -> None:
    layouts = reference_json("checkpoint_keys")
    published = next(v for k, v in layouts.items() if k.startswith("AVSBench S4 resnet"))
    ours = avs.TPAVI(256).state_dict()
    for stage in (1, 2, 3, 4):
        prefix = f"tpavi_b{stage}."
        theirs = {k.removeprefix(prefix): v for k, v in published.items() if k.startswith(prefix)}
        assert set(theirs) == set(ours)
        for name, shape in theirs.items():
            assert list(ours[name].shape) == (shape[:-1] if len(shape) == 5 else shape)


def test_avs_has_the_published_names() -> None:
    """All but the encoder's, whose stages they call otherwise."""
    published = next(v for k, v in reference_json("checkpoint_keys").items() if k.startswith("AVSBench S4 resnet"))
    with torch.device("meta"):
        ours = avs.AVS(Config.paper()).state_dict()
    theirs = {k for k in published if not k.startswith(("resnet.", "path4.resConfUnit1."))}
    assert theirs == {k.removeprefix("decoder.") for k in ours}


@given(seeds)
def test_mask_loss_is_the_mean_over_what_is_annotated(seed: int) -> None:
    x, mask = normal(seed, 3, 4, 4).requires_grad_(), (random(seed + 1, 3, 4, 4) > 0.5).float()
    mask[1] = -1
    value = visual_only.loss(x, mask)
    expected = F.binary_cross_entropy_with_logits(x[[0, 2]], mask[[0, 2]])
    torch.testing.assert_close(value, expected)
    assert torch.autograd.grad(value, x)[0][1].abs().sum() == 0
    assert visual_only.loss(x, torch.full((3, 4, 4), -1.0)) == 0


def test_mask_loss_takes_smaller_logits() -> None:
    torch.testing.assert_close(
        visual_only.loss(torch.full((1, 2, 2), 2.0), torch.ones(1, 8, 8)), F.softplus(-torch.tensor(2.0))
    )


@pytest.mark.parametrize("name", ["visual-only", "avs"])
def test_untrained_decoders_mark_as_little_as_masks_do(name: str, batch: Batch) -> None:
    net = peer(name).eval()
    m = net.method.score(net.features, batch.image, batch.sound)
    assert m.mean().item() == pytest.approx(visual_only.SHARE, abs=0.03)


def test_only_avs_hears(batch: Batch) -> None:
    other = batch.sound.roll(1, 0)
    for name, hears in (("avs", True), ("visual-only", False)):
        made = peer(name).eval()
        for key, value in made.method.named_parameters():
            if key.endswith("W_z.1.weight"):
                torch.nn.init.ones_(value)
        with torch.no_grad():
            own, swapped = (made.method.score(made.features, batch.image, s) for s in (batch.sound, other))
        assert torch.equal(own, swapped) != hears
        assert 0 <= own.min() <= own.max() <= 1


# CAM


@given(seeds)
def test_class_maps_add_up_to_the_scores(seed: int) -> None:
    f, weight = normal(seed, 2, 3, 4, 5), normal(seed + 1, 6, 3)
    torch.testing.assert_close(cam.class_maps(f, weight).mean((2, 3)), f.mean((2, 3)) @ weight.T)


@given(seeds)
def test_heard_map_stays_in_range(seed: int) -> None:
    m = cam.heard_map(normal(seed, 2, 3, 4, 4), normal(seed + 1, 2, 3).softmax(1))
    assert 0 <= m.min() <= m.max() <= 1 + 1e-6


def test_a_class_that_is_heard_alone_has_its_own_map() -> None:
    maps = normal(0, 1, 3, 4, 4)
    got = cam.heard_map(maps, torch.tensor([[0.0, 1.0, 0.0]]))
    torch.testing.assert_close(got[0], maps[0, 1].clamp_min(0) / maps[0, 1].max())


@pytest.mark.parametrize("name", LABELS)
def test_classes_become_known_and_nothing_is_drawn(name: str) -> None:
    made, before = methods.build(name, brief()), torch.get_rng_state()
    clips = open_set(sample(), "train", size=32)
    made.set_labels(clips)
    assert torch.equal(torch.get_rng_state(), before)
    held = getattr(made.method, "cam", made.method)
    assert len(held.image.weight) == len(held.sound.weight) == len(set(clips.categories)) > 1
    assert held.image.weight.abs().max() == 0


@pytest.mark.parametrize("name", LABELS)
def test_the_sound_chooses(name: str, batch: Batch) -> None:
    made = peer(name).eval()
    held = getattr(made.method, "cam", made.method)
    for i, layer in enumerate((held.image, held.sound)):
        layer.weight.data = normal(i, *layer.weight.shape)
    with torch.no_grad():
        own, swapped = (
            made.method.score(made.features, batch.image, s) for s in (batch.sound, batch.sound.flip(0) * 3)
        )
    assert not torch.equal(own, swapped)
    assert -1 - 1e-6 <= own.min() <= own.max() <= 1 + 1e-6


# MSSL


@given(seeds)
def test_alignment_is_the_loop(seed: int) -> None:
    a, v, y = normal(seed, 4, 3, dtype=torch.float64), normal(seed + 1, 4, 3, dtype=torch.float64), [0, 1, 0, 2]
    total = 0.0
    for i in range(4):
        for j in range(4):
            d = (a[i] / a[i].norm() - v[j] / v[j].norm()).norm().item()
            total += d**2 if y[i] == y[j] else max(1.2 - d, 0) ** 2
    assert mssl.alignment(a, v, torch.tensor(y), margin=1.2).item() == pytest.approx(total / 16, abs=1e-5)


def test_alignment_gradient_and_refusal() -> None:
    a, v = (normal(i, 3, 4, dtype=torch.float64).requires_grad_() for i in (0, 1))
    assert torch.autograd.gradcheck(lambda a, v: mssl.alignment(a, v, torch.tensor([0, 1, 0]), margin=2.0), (a, v))
    same = torch.ones(2, 3).requires_grad_()
    loss = mssl.alignment(same, same.detach(), torch.tensor([0, 1]))
    assert torch.autograd.grad(loss, same)[0].isfinite().all()
    with pytest.raises(ValueError, match="`margin` must be above 0; got 0"):
        mssl.alignment(a, v, torch.tensor([0, 1, 0]), margin=0.0)


def test_correspondence_by_hand() -> None:
    own, others = torch.tensor([1.0, 3.0]), torch.tensor([-2.0])
    expected = (F.softplus(-own).mean() + F.softplus(others).mean()) / 2
    torch.testing.assert_close(mssl.correspondence(own, others), expected)


def test_what_a_sound_has_of_a_class_is_grad_cam() -> None:
    """Gradient of the class's score by the embedding, times the embedding, where that is positive."""
    made = peer("mssl").method
    heard, weight = random(0, 3, 128).requires_grad_(), normal(1, 5, 128)
    (gradient,) = torch.autograd.grad((heard @ weight.T)[:, 2].sum(), heard)
    got = made.of_class(heard, weight[2].expand(3, 128))
    torch.testing.assert_close(got, (heard * gradient).clamp_min(0))


def test_mssl_aligns_in_the_second_half(batch: Batch) -> None:
    made = peer("mssl")
    for i, layer in enumerate((made.method.cam.image, made.method.cam.sound)):
        layer.weight.data = normal(i, *layer.weight.shape)
    assert losses(made, batch, 0.49)["align"] == 0
    late = losses(made, batch, 0.5)
    assert late["align"] > 0
    late["align"].backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in made.features.project_v.parameters())
    assert made.method.cam.image.weight.grad is None
