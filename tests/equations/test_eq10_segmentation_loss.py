"""Eq. (10): the decoder learns the fine map."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.helpers.values import normal, random, seeds
from uspl.segment import segmentation_loss, three_way


def slow(logits: Tensor, m_fine: Tensor, as_printed: bool) -> float:
    total, n = 0.0, 0
    for logit, target in zip(logits.flatten().tolist(), m_fine.flatten().tolist(), strict=True):
        if target < 0:
            continue
        m = 1 / (1 + math.exp(-logit))
        total -= target * math.log(m) + (0 if as_printed else (1 - target) * math.log(1 - m))
        n += 1
    return total / max(n, 1)


@given(seeds, st.booleans())
def test_is_the_loop(seed: int, as_printed: bool) -> None:
    logits, m_fine = normal(seed, 2, 3, 4, dtype=torch.float64), random(seed + 1, 2, 3, 4, dtype=torch.float64)
    m_fine[0, 0] = -1
    got = segmentation_loss(logits, m_fine, as_printed=as_printed)
    assert got.item() == pytest.approx(slow(logits, m_fine, as_printed), rel=1e-9)


def test_by_hand() -> None:
    """M = 1/2 and 3/4 (logits 0 and log 3), targets 1 and 1/4."""
    logits, m_fine = torch.tensor([[[0.0, math.log(3)]]]), torch.tensor([[[1.0, 0.25]]])
    printed = (math.log(2) - 0.25 * math.log(0.75)) / 2
    full = printed + 0.75 * math.log(4) / 2
    assert segmentation_loss(logits, m_fine, as_printed=True).item() == pytest.approx(printed)
    assert segmentation_loss(logits, m_fine).item() == pytest.approx(full)


@given(seeds)
def test_without_ignored_pixels_it_is_torchs_cross_entropy(seed: int) -> None:
    logits, m_fine = 5 * normal(seed, 2, 4, 4), random(seed + 1, 2, 4, 4)
    torch.testing.assert_close(segmentation_loss(logits, m_fine), F.binary_cross_entropy_with_logits(logits, m_fine))


@pytest.mark.parametrize("as_printed", [False, True])
def test_gradient(as_printed: bool) -> None:
    logits = normal(0, 1, 3, 3, dtype=torch.float64).requires_grad_()
    target = three_way(random(1, 1, 3, 3, dtype=torch.float64), high=0.6, low=0.4)
    assert torch.autograd.gradcheck(lambda x: segmentation_loss(x, target, as_printed=as_printed), (logits,))


@given(seeds)
def test_ignored_pixels_carry_no_gradient(seed: int) -> None:
    logits, target = normal(seed, 1, 6, 6).requires_grad_(), three_way(random(seed + 1, 1, 6, 6), high=0.6, low=0.4)
    (gradient,) = torch.autograd.grad(segmentation_loss(logits, target), logits)
    assert torch.equal(gradient != 0, target >= 0)


@given(seeds, st.permutations(range(3)))
def test_permuting_the_batch_changes_nothing(seed: int, order: list[int]) -> None:
    logits, m_fine = normal(seed, 3, 4, 4, dtype=torch.float64), random(seed + 1, 3, 4, 4, dtype=torch.float64)
    torch.testing.assert_close(segmentation_loss(logits[order], m_fine[order]), segmentation_loss(logits, m_fine))


@given(seeds)
def test_the_target_itself_is_best(seed: int) -> None:
    m_fine = random(seed, 1, 4, 4, dtype=torch.float64).clamp(0.01, 0.99)
    best = segmentation_loss(m_fine.logit(), m_fine)
    assert best < segmentation_loss(m_fine.logit() + 0.3, m_fine)
    assert best < segmentation_loss(m_fine.logit() - 0.3, m_fine)


def test_as_printed_marking_everything_wins() -> None:
    """Why the default is the full cross-entropy (Reading 15)."""
    m_fine = torch.tensor([[[0.9, 0.1]]])
    everything, truth = torch.full((1, 1, 2), 50.0), m_fine.logit()
    assert segmentation_loss(everything, m_fine, as_printed=True) < segmentation_loss(truth, m_fine, as_printed=True)
    assert segmentation_loss(everything, m_fine) > segmentation_loss(truth, m_fine)


@pytest.mark.parametrize("logit", [-200.0, 200.0])
def test_extreme_logits_stay_finite(logit: float) -> None:
    logits = torch.full((1, 2, 2), logit).requires_grad_()
    loss = segmentation_loss(logits, torch.full((1, 2, 2), 0.5))
    assert loss.item() == pytest.approx(100)
    assert torch.autograd.grad(loss, logits)[0].isfinite().all()


def test_everything_ignored_costs_nothing() -> None:
    logits = torch.zeros(1, 2, 2).requires_grad_()
    loss = segmentation_loss(logits, torch.full((1, 2, 2), -1.0))
    assert loss.item() == 0
    assert torch.autograd.grad(loss, logits)[0].abs().sum() == 0


def test_three_way_by_hand() -> None:
    m = torch.tensor([[[0.1, 0.25, 0.5, 0.75, 0.9]]])
    assert three_way(m, high=0.75, low=0.25).flatten().tolist() == [0, -1, -1, 1, 1]
    assert three_way(m, high=0.5, low=0.5).flatten().tolist() == [0, 0, 1, 1, 1]
