"""Eq. (2): masked multiple-instance contrastive loss."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.helpers.values import normal, random, reference, seeds
from uspl.align import mmicl_loss, sounding_map


def problem(seed: int, b: int = 3, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    keep = random(seed + 2, b, 2, 3) > 0.4
    keep[:, 0, 0] = True
    return normal(seed, b, 4, dtype=dtype), normal(seed + 1, b, 4, 2, 3, dtype=dtype), keep


def slow(f_a: Tensor, f_v: Tensor, keep: Tensor, tau: float) -> float:
    """The formula, index by index: numerator over kept locations, denominator over all."""
    b, c, h, w = f_v.shape

    def s(i: int, j: int, y: int, x: int) -> float:
        a, v = f_a[i].tolist(), f_v[j, :, y, x].tolist()
        dot = sum(a[k] * v[k] for k in range(c))
        return dot / math.sqrt(sum(k * k for k in a)) / math.sqrt(sum(k * k for k in v)) / tau

    total = 0.0
    for i in range(b):
        kept = max(s(i, i, y, x) for y in range(h) for x in range(w) if keep[i, y, x])
        others = sum(math.exp(max(s(i, j, y, x) for y in range(h) for x in range(w))) for j in range(b))
        total -= math.log(math.exp(kept) / others)
    return total / b


@given(seeds, st.sampled_from([0.07, 0.5, 1.0]))
def test_is_the_loop(seed: int, tau: float) -> None:
    f_a, f_v, keep = problem(seed)
    assert mmicl_loss(f_a, f_v, keep=keep, tau=tau).item() == pytest.approx(slow(f_a, f_v, keep, tau), rel=1e-9)


def test_by_hand() -> None:
    """Two sounds, two images of two locations; dropping its best location costs the first sound exactly 1 / tau."""
    f_a = torch.eye(2)
    f_v = torch.tensor([[[[1.0, 0.0]], [[0.0, -1.0]]], [[[0.0, 0.0]], [[1.0, 1.0]]]])
    keep = torch.tensor([[[False, True]], [[True, True]]])
    free, masked = mmicl_loss(f_a, f_v, tau=0.5), mmicl_loss(f_a, f_v, keep=keep, tau=0.5)
    assert free.item() == pytest.approx(math.log(1 + math.exp(-2)))  # both positives 1, both negatives 0
    assert masked.item() == pytest.approx(free.item() + 2 / 2)


# Golden values


@pytest.mark.parametrize("tau", [0.03, 0.07])
@pytest.mark.parametrize("dropped", ["exclude", "zero"])
@pytest.mark.parametrize("masked", [False, True])
def test_matches_the_papers_equation(tau: float, dropped: str, masked: bool) -> None:
    golden = reference("contrastive_losses")
    key = f"paper_mmicl_tau{tau}_{dropped}_denom_{'pos_masked' if masked else 'unmasked'}"
    img, aud = golden["img"].clone().requires_grad_(), golden["aud"].clone().requires_grad_()
    loss = mmicl_loss(aud, img, keep=golden["mask_keep"] > 0, tau=tau, masked_denominator=masked, dropped=dropped)
    assert loss.item() == pytest.approx(golden[f"{key}_mean"].item(), abs=1e-5)
    assert 6 * loss.item() == pytest.approx(golden[f"{key}_sum"].item(), abs=6e-5)
    if f"{key}_mean_grad_img" in golden:
        loss.backward()
        torch.testing.assert_close(img.grad, golden[f"{key}_mean_grad_img"], rtol=0, atol=1e-5)
        torch.testing.assert_close(aud.grad, golden[f"{key}_mean_grad_aud"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("tau", [0.03, 0.07])
@pytest.mark.parametrize("dropped", ["exclude", "zero"])
def test_matches_the_symmetric_reading(tau: float, dropped: str) -> None:
    golden = reference("contrastive_losses")
    loss = mmicl_loss(
        golden["aud"], golden["img"], keep=golden["mask_keep"] > 0, tau=tau, symmetric=True, dropped=dropped
    )
    expected = golden[f"paper_mmicl_tau{tau}_{dropped}_denom_unmasked_symmetric_mean"].item()
    assert loss.item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("tau", [0.03, 0.07])
def test_symmetric_and_unmasked_is_ez_vsl(tau: float) -> None:
    golden = reference("contrastive_losses")
    img, aud = golden["img"].clone().requires_grad_(), golden["aud"].clone().requires_grad_()
    loss = mmicl_loss(aud, img, tau=tau, symmetric=True)
    loss.backward()
    assert loss.item() == pytest.approx(golden[f"ezvsl_tau{tau}_loss"].item(), abs=1e-5)
    one_way = golden[f"ezvsl_tau{tau}_term_audio_to_image"].item()
    assert mmicl_loss(aud, img, tau=tau).item() == pytest.approx(one_way, abs=1e-5)
    torch.testing.assert_close(img.grad, golden[f"ezvsl_tau{tau}_grad_img"], rtol=0, atol=1e-5)
    torch.testing.assert_close(aud.grad, golden[f"ezvsl_tau{tau}_grad_aud"], rtol=0, atol=1e-5)


# Gradient


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_gradient(symmetric: bool, masked: bool) -> None:
    f_a, f_v, keep = problem(5)

    def loss(f_a: Tensor, f_v: Tensor) -> Tensor:
        return mmicl_loss(f_a, f_v, keep=keep, tau=0.5, symmetric=symmetric, masked_denominator=masked)

    assert torch.autograd.gradcheck(loss, (f_a.requires_grad_(), f_v.requires_grad_()))


# Properties


@given(seeds, st.permutations(range(3)))
def test_permuting_the_batch_changes_nothing(seed: int, order: list[int]) -> None:
    f_a, f_v, keep = problem(seed)
    torch.testing.assert_close(mmicl_loss(f_a[order], f_v[order], keep=keep[order]), mmicl_loss(f_a, f_v, keep=keep))


@given(seeds)
def test_keeping_everything_is_no_mask(seed: int) -> None:
    f_a, f_v, keep = problem(seed)
    torch.testing.assert_close(mmicl_loss(f_a, f_v, keep=torch.ones_like(keep)), mmicl_loss(f_a, f_v))


@given(seeds)
def test_masking_never_lowers_the_printed_loss_which_is_positive(seed: int) -> None:
    f_a, f_v, keep = problem(seed)
    free = mmicl_loss(f_a, f_v)
    assert mmicl_loss(f_a, f_v, keep=keep) >= free > 0


@given(seeds)
def test_one_clip_pays_the_gap_between_its_best_and_its_best_kept_location(seed: int) -> None:
    f_a, f_v, keep = problem(seed, b=1)
    m = sounding_map(f_a, f_v)
    gap = m.max() - m[keep].max()
    assert mmicl_loss(f_a, f_v, keep=keep, tau=0.5).item() == pytest.approx(gap.item() / 0.5, abs=1e-9)
    assert mmicl_loss(f_a, f_v, keep=keep, masked_denominator=True).item() == pytest.approx(0, abs=1e-9)


@given(seeds)
def test_the_numerator_pulls_at_one_kept_location(seed: int) -> None:
    f_a, f_v, keep = problem(seed)
    f_v.requires_grad_()
    loss = mmicl_loss(f_a, f_v, keep=keep, masked_denominator=True)
    pulled = torch.autograd.grad(loss, f_v)[0].abs().sum(1) > 0
    assert (pulled & keep).flatten(1).any(1).all()
    assert pulled.flatten(1).sum(1).max() <= 1 + 2  # its own sound's choice and those of the two other sounds


@given(seeds)
def test_one_clip_alone_teaches_nothing(seed: int) -> None:
    f_a, f_v, _ = problem(seed, b=1)
    assert mmicl_loss(f_a, f_v).item() == pytest.approx(0, abs=1e-12)


# Refused


@pytest.mark.parametrize("tau", [0.0, -0.07])
def test_wrong_tau(tau: float) -> None:
    with pytest.raises(ValueError, match=f"`tau` must be above 0; got {tau}"):
        mmicl_loss(torch.ones(2, 3), torch.ones(2, 3, 1, 1), tau=tau)


def test_unknown_dropped() -> None:
    with pytest.raises(ValueError, match="`dropped` must be 'exclude' or 'zero'; got 'noise'"):
        mmicl_loss(torch.ones(2, 3), torch.ones(2, 3, 1, 1), dropped="noise")


def test_nothing_kept() -> None:
    keep = torch.tensor([[[True]], [[False]]])
    with pytest.raises(ValueError, match="`keep` must leave at least one location in every sample"):
        mmicl_loss(torch.ones(2, 3), torch.ones(2, 3, 1, 1), keep=keep)
