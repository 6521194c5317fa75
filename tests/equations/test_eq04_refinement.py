"""Eq. (4): refinement of a map by the image, PAMR and PAR."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.helpers.values import normal, random, reference, seeds, shapes
from uspl.refine import pamr, par

pytestmark = pytest.mark.usefixtures("either")

RING = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)]
FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "pamr": pamr,
    "par": lambda *args, **options: par(*args, keep_range=False, **options),
}


def slow(kind: str, image: np.ndarray, m: np.ndarray, dilations: tuple[int, ...]) -> np.ndarray:
    """One iteration, pixel by pixel; image (3, H, W), m (H, W)."""
    _, height, width = image.shape
    out = np.zeros_like(m)
    distances = [d * math.hypot(dy, dx) for d in dilations for dy, dx in RING]
    for y in range(height):
        for x in range(width):
            at = [
                (min(max(y + d * dy, 0), height - 1), min(max(x + d * dx, 0), width - 1))
                for d in dilations
                for dy, dx in RING
            ]
            logits = np.zeros(len(at))
            for c in range(3):
                near = np.array([image[c, p, q] for p, q in at])
                gap = np.abs(image[c, y, x] - near)
                if kind == "pamr":
                    spread = np.std([*near, *[image[c, y, x]] * len(dilations)], ddof=1)
                    logits -= gap / (1e-8 + 0.1 * spread) / 3
                else:
                    logits -= (gap / (np.std(near, ddof=1) + 1e-8) / 0.3) ** 2 / 3
            weights = np.exp(logits - logits.max())
            weights /= weights.sum()
            if kind == "par":
                position = -((np.array(distances) / (np.std(distances, ddof=1) + 1e-8) / 0.3) ** 2)
                position = np.exp(position - position.max())
                weights = weights + 0.01 * position / position.sum()
            out[y, x] = sum(k * m[p, q] for k, (p, q) in zip(weights, at, strict=True))
    return out


@pytest.mark.parametrize("kind", ["pamr", "par"])
@pytest.mark.parametrize("dilations", [(1,), (1, 2, 4)])
@given(shape=shapes)
def test_is_the_loop(kind: str, dilations: tuple[int, ...], shape: tuple[int, int]) -> None:
    image, m = random(0, 1, 3, *shape, dtype=torch.float64), random(1, 1, 1, *shape, dtype=torch.float64)
    got = FUNCTIONS[kind](image, m, iterations=1, dilations=dilations)
    np.testing.assert_allclose(got[0, 0].numpy(), slow(kind, image[0].numpy(), m[0, 0].numpy(), dilations), atol=1e-9)


def test_by_hand() -> None:
    """A flat image trusts all eight neighbours alike: the replicated 1 x 3 row 0, 0, 8 becomes 0, 3, 5 (its
    last pixel sees three copies of the middle and five of itself)."""
    m = torch.tensor([0.0, 0.0, 8.0]).view(1, 1, 1, 3)
    got = pamr(torch.ones(1, 3, 1, 3), m, iterations=1, dilations=(1,))
    assert got.flatten().tolist() == pytest.approx([0.0, 3.0, 5.0])


# Golden values


@pytest.mark.parametrize("kind", ["pamr", "par"])
@pytest.mark.parametrize("case", ["a", "b", "d"])
def test_matches_the_peers(kind: str, case: str) -> None:
    golden = reference(kind)
    got = FUNCTIONS[kind](golden[f"case_{case}_image_norm"], golden[f"case_{case}_map"])
    torch.testing.assert_close(got, golden[f"case_{case}_refined"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["pamr", "par"])
@pytest.mark.parametrize(("iterations", "dilations"), [(1, (1,)), (3, (1, 2, 4))])
def test_matches_the_peers_with_other_settings(kind: str, iterations: int, dilations: tuple[int, ...]) -> None:
    golden = reference(kind)
    got = FUNCTIONS[kind](golden["case_c_image_norm"], golden["case_c_map"], iterations=iterations, dilations=dilations)
    expected = golden[f"case_c_refined_it{iterations}_d{'_'.join(map(str, dilations))}"]
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["pamr", "par"])
def test_matches_the_peers_on_flat_images(kind: str) -> None:
    golden = reference(kind)
    got = FUNCTIONS[kind](golden["case_flat_image"], golden["case_flat_map"])
    torch.testing.assert_close(got, golden["case_flat_refined"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["pamr", "par"])
def test_raw_and_normalised_images_agree(kind: str) -> None:
    golden = reference(kind)
    raw = golden["case_d_image_u8"].permute(2, 0, 1)[None].float()
    got = FUNCTIONS[kind](raw, golden["case_d_map"])
    torch.testing.assert_close(got, golden["case_d_refined"], rtol=0, atol=1e-5)


# Gradient with respect to the map: the refinement is linear in it


@pytest.mark.parametrize("kind", ["pamr", "par"])
def test_gradient(kind: str) -> None:
    image = random(0, 1, 3, 4, 4, dtype=torch.float64)
    m = random(1, 1, 2, 3, 3, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda m: FUNCTIONS[kind](image, m, iterations=2, dilations=(1, 2)), (m,))


# Properties


@given(seeds, st.floats(-2, 2))
def test_a_constant_map_is_a_fixed_point(seed: int, value: float) -> None:
    image, m = random(seed, 1, 3, 6, 5), torch.full((1, 1, 6, 5), value)
    torch.testing.assert_close(pamr(image, m, dilations=(1, 2)), m, rtol=0, atol=1e-5)
    torch.testing.assert_close(par(image, m, dilations=(1, 2)), m, rtol=0, atol=1e-5)
    grown = par(image, m, dilations=(1, 2), keep_range=False)
    torch.testing.assert_close(grown, 1.01**10 * m, rtol=0, atol=1e-4)


@given(seeds)
def test_never_leaves_the_range_of_the_map(seed: int) -> None:
    image, m = random(seed, 1, 3, 6, 5), normal(seed + 1, 1, 2, 6, 5)
    for refined in (pamr(image, m, dilations=(1, 2)), par(image, m, dilations=(1, 2))):
        assert refined.min() >= m.min() - 1e-5
        assert refined.max() <= m.max() + 1e-5


@given(seeds, st.floats(0.1, 300), st.floats(-100, 100))
def test_ignores_scale_and_shift_of_the_image(seed: int, scale: float, shift: float) -> None:
    image, m = random(seed, 1, 3, 6, 5, dtype=torch.float64), random(seed + 1, 1, 1, 6, 5, dtype=torch.float64)
    torch.testing.assert_close(pamr(scale * image + shift, m), pamr(image, m), rtol=0, atol=1e-5)


def test_no_iteration_only_resizes() -> None:
    m = random(0, 1, 1, 3, 3)
    got = pamr(random(1, 1, 3, 5, 5), m, iterations=0)
    torch.testing.assert_close(got[..., ::2, ::2], m)


def test_maps_are_refined_independently() -> None:
    image, m = random(0, 2, 3, 6, 6), random(1, 2, 2, 6, 6)
    torch.testing.assert_close(pamr(image, m)[1:, :1], pamr(image[1:], m[1:, :1]))


# Refused


@pytest.mark.parametrize("kind", ["pamr", "par"])
def test_wrong_settings(kind: str) -> None:
    image, m = torch.zeros(1, 3, 4, 4), torch.zeros(1, 1, 4, 4)
    with pytest.raises(ValueError, match="`iterations` must be at least 0; got -1"):
        FUNCTIONS[kind](image, m, iterations=-1)
    for dilations in ((), (1, 0)):
        with pytest.raises(ValueError, match="`dilations` must be integers of at least 1; got "):
            FUNCTIONS[kind](image, m, dilations=dilations)
