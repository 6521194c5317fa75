"""Eq. (1): the coarse sounding map."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.helpers.values import normal, reference, seeds
from uspl.align import mask_locations, sounding_map
from uspl.maps import normalise_map


def slow(f_a: Tensor, f_v: Tensor) -> list[list[list[float]]]:
    b, c, h, w = f_v.shape
    out = [[[0.0] * w for _ in range(h)] for _ in range(b)]
    for n in range(b):
        for y in range(h):
            for x in range(w):
                dot = sum(f_a[n, k].item() * f_v[n, k, y, x].item() for k in range(c))
                norm_a = math.sqrt(sum(f_a[n, k].item() ** 2 for k in range(c)))
                norm_v = math.sqrt(sum(f_v[n, k, y, x].item() ** 2 for k in range(c)))
                out[n][y][x] = dot / (norm_a * norm_v)
    return out


@given(seeds)
def test_is_the_loop(seed: int) -> None:
    f_a, f_v = normal(seed, 2, 3, dtype=torch.float64), normal(seed + 1, 2, 3, 2, 4, dtype=torch.float64)
    torch.testing.assert_close(sounding_map(f_a, f_v), torch.tensor(slow(f_a, f_v), dtype=torch.float64))


def test_by_hand() -> None:
    """Sound (3, 4); locations along it, across it, against it, and at 45 degrees to (1, 0)."""
    f_v = torch.tensor([[[[6.0, 4.0], [-3.0, 1.0]], [[8.0, -3.0], [-4.0, 0.0]]]])
    torch.testing.assert_close(sounding_map(torch.tensor([[3.0, 4.0]]), f_v), torch.tensor([[[1.0, 0.0], [-1.0, 0.6]]]))


def test_matches_the_peers_map() -> None:
    """EZ-VSL stores the same cosine divided by its temperature."""
    golden = reference("contrastive_losses")
    expected = 0.03 * golden["ezvsl_tau0.03_Savl"]
    torch.testing.assert_close(sounding_map(golden["aud"], golden["img"]), expected, rtol=0, atol=1e-5)


def test_gradient() -> None:
    f_a, f_v = normal(0, 2, 3, dtype=torch.float64), normal(1, 2, 3, 2, 2, dtype=torch.float64)
    assert torch.autograd.gradcheck(sounding_map, (f_a.requires_grad_(), f_v.requires_grad_()))


@given(seeds, st.floats(0.01, 100), st.floats(0.01, 100))
def test_a_cosine_ignores_lengths(seed: int, p: float, q: float) -> None:
    f_a, f_v = normal(seed, 2, 5), normal(seed + 1, 2, 5, 3, 3)
    m = sounding_map(f_a, f_v)
    torch.testing.assert_close(sounding_map(p * f_a, q * f_v), m, rtol=0, atol=1e-5)
    assert m.abs().max() <= 1 + 1e-6


@given(seeds)
def test_swapping_the_batch_swaps_the_maps(seed: int) -> None:
    f_a, f_v = normal(seed, 3, 5), normal(seed + 1, 3, 5, 3, 3)
    torch.testing.assert_close(sounding_map(f_a.flip(0), f_v.flip(0)), sounding_map(f_a, f_v).flip(0))


def test_silent_features_give_zero_not_nan() -> None:
    assert sounding_map(torch.zeros(1, 4), torch.ones(1, 4, 2, 2)).abs().max() == 0


# Reading 2: the map in [0, 1]


@given(seeds)
def test_ranges(seed: int) -> None:
    m = normal(seed, 2, 4, 4)
    m[:, 0, 0] = 1.0
    for how in ("relu_max", "minmax"):
        got = normalise_map(m, how)
        assert got.amin() >= 0
        torch.testing.assert_close(got.amax((1, 2)), torch.ones(2))
    assert normalise_map(m, "raw") is m
    assert (normalise_map(m, "relu_max")[m <= 0] == 0).all()
    torch.testing.assert_close(normalise_map(m, "minmax").amin((1, 2)), torch.zeros(2))


def test_constant_maps_stay_finite() -> None:
    for how in ("relu_max", "minmax"):
        assert normalise_map(torch.full((1, 2, 2), -0.5), how).abs().max() == 0
    assert normalise_map(torch.full((1, 2, 2), 0.5), "minmax").abs().max() == 0
    assert normalise_map(torch.full((1, 2, 2), 0.5), "relu_max").min() == 1


# What delta drops


@given(seeds, st.floats(0, 0.99))
def test_a_location_always_stays(seed: int, delta: float) -> None:
    keep = mask_locations((4, 3, 3), delta=delta, generator=torch.Generator().manual_seed(seed))
    assert keep.flatten(1).any(1).all()


def test_share_that_stays(generator: torch.Generator) -> None:
    keep = mask_locations((64, 14, 14), delta=0.4, generator=generator)
    assert keep.float().mean().item() == pytest.approx(0.6, abs=0.02)
    assert mask_locations((2, 3, 3), delta=0.0, generator=generator).all()


# Refused


@pytest.mark.parametrize("delta", [1.0, -0.1])
def test_wrong_delta(delta: float) -> None:
    with pytest.raises(ValueError, match=rf"`delta` must be in \[0, 1\); got {delta}\."):
        mask_locations((1, 2, 2), delta=delta)


@pytest.mark.usefixtures("unchecked")
def test_unknown_range() -> None:
    with pytest.raises(ValueError, match="`how` must be 'relu_max', 'minmax' or 'raw'; got 'sigmoid'"):
        normalise_map(torch.zeros(1, 2, 2), "sigmoid")
