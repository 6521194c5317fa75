"""Eq. (5): the three-way map of what is sure."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.values import random, seeds
from uspl.refine import trimap

thresholds = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted).filter(lambda b: b[0] < b[1])


@given(seeds, thresholds)
def test_is_the_loop(seed: int, betas: list[float]) -> None:
    beta_l, beta_h = betas
    m = random(seed, 2, 3, 4, dtype=torch.float64)
    got = trimap(m, beta_l=beta_l, beta_h=beta_h)
    for value, label in zip(m.flatten().tolist(), got.flatten().tolist(), strict=True):
        assert label == (1 if value >= beta_h else 0 if value < beta_l else 255)


def test_by_hand() -> None:
    """A value on the upper threshold sounds; one on the lower threshold is not sure."""
    m = torch.tensor([[[0.0, 0.25, 0.5], [0.75, 1.0, 0.375]]])
    got = trimap(m, beta_l=0.25, beta_h=0.75)
    assert got.dtype == torch.uint8
    assert got.tolist() == [[[0, 255, 255], [1, 1, 255]]]


def test_the_papers_thresholds_on_a_ramp() -> None:
    ramp = torch.arange(100).view(1, 10, 10) / 100
    got = trimap(ramp, beta_l=0.4, beta_h=0.55)
    assert [(got == k).sum().item() for k in (0, 255, 1)] == [40, 15, 45]


def test_a_label_is_no_path_for_gradients() -> None:
    m = random(0, 1, 3, 3).requires_grad_()
    assert not trimap(m, beta_l=0.4, beta_h=0.55).requires_grad


@given(seeds, thresholds, st.floats(0, 0.2))
def test_stricter_thresholds_only_add_doubt(seed: int, betas: list[float], step: float) -> None:
    beta_l, beta_h = betas
    m = random(seed, 1, 6, 6)
    loose, strict = (
        trimap(m, beta_l=low, beta_h=high).numpy() for low, high in ((beta_l, beta_h), (beta_l - step, beta_h + step))
    )
    assert np.all((strict == loose) | (strict == 255))


@given(seeds)
def test_swapping_sound_and_silence(seed: int) -> None:
    """1 - m exchanges the two labels, away from the thresholds."""
    m = random(seed, 1, 6, 6, dtype=torch.float64)
    straight, turned = trimap(m, beta_l=0.4, beta_h=0.6), trimap(1 - m, beta_l=0.4, beta_h=0.6)
    assert torch.equal(straight == 1, turned == 0)
    assert torch.equal(straight == 255, turned == 255)


def test_nan_is_not_sure() -> None:
    assert trimap(torch.full((1, 1, 1), float("nan")), beta_l=0.4, beta_h=0.55).item() == 255


@pytest.mark.parametrize(("beta_l", "beta_h"), [(0.6, 0.55), (0.5, 0.5), (float("nan"), 0.5)])
def test_refused(beta_l: float, beta_h: float) -> None:
    with pytest.raises(ValueError, match=f"`beta_l` must be below `beta_h`; got {beta_l} and {beta_h}"):
        trimap(torch.zeros(1, 2, 2), beta_l=beta_l, beta_h=beta_h)
