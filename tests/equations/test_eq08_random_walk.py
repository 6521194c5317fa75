"""Eq. (8): the random walk to the fine map."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.helpers.values import metrics, normal, random, reference, seeds, shapes
from uspl.affinity import affinity, to_dense
from uspl.walk import random_walk

pytestmark = pytest.mark.usefixtures("either")


def slow(m: Tensor, a: Tensor, beta: float, t: int, r: int, metric: str) -> Tensor:
    """The matrix itself, multiplied t times; m (h, w), a (K, h, w)."""
    powered = to_dense(a[None], r=r, metric=metric)[0]
    powered = torch.where(powered > 0, powered**beta, 0)
    matrix = powered / powered.sum(1, keepdim=True)
    v = m.flatten()
    for _ in range(t):
        v = torch.stack([(row * v).sum() for row in matrix])
    return v.view(m.shape)


@given(seeds, shapes, st.integers(1, 3), metrics, st.sampled_from([0.0, 0.5, 1.0, 2.5, 5.0]), st.integers(0, 4))
def test_is_the_matrix(seed: int, shape: tuple[int, int], r: int, metric: str, beta: float, t: int) -> None:
    m, a = (
        normal(seed, 1, *shape, dtype=torch.float64),
        affinity(normal(seed + 1, 1, 2, *shape, dtype=torch.float64), r=r, metric=metric),
    )
    got = random_walk(m, a, beta=beta, t=t, r=r, metric=metric)
    torch.testing.assert_close(got[0], slow(m[0], a[0], beta, t, r, metric))


def test_by_hand() -> None:
    """Two pixels that trust each other fully share their value at once; a stranger keeps most of its own."""
    f = torch.tensor([0.0, 0.0, 100.0]).view(1, 1, 1, 3)
    a = affinity(f, r=1, metric="chebyshev")
    got = random_walk(torch.tensor([[[1.0, 0.0, 0.5]]]), a, beta=1, t=1, r=1, metric="chebyshev")
    assert got.flatten().tolist() == pytest.approx([0.5, 0.5, 0.5])
    one_way = random_walk(torch.tensor([[[1.0, 0.0, 0.9]]]), a, beta=1, t=7, r=1, metric="chebyshev")
    assert one_way.flatten().tolist() == pytest.approx([0.5, 0.5, 0.9])


# Golden values


@pytest.mark.parametrize("r", [3, 7])
@pytest.mark.parametrize("beta", [1, 5, 10, 15])
@pytest.mark.parametrize("t", [1, 4, 8, 12])
def test_matches_the_literal_power(r: int, beta: int, t: int) -> None:
    golden = reference("random_walk")
    a = affinity(golden["features"][None], r=r, reduce="sum")
    got = random_walk(golden["maps"], a.expand(2, -1, -1, -1), beta=beta, t=t, r=r)
    expected = golden[f"full_r{r}_beta{beta}_pow{t}_refined"]
    torch.testing.assert_close(got.flatten(1), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("r", "beta", "t"), [(r, b, t) for r in (3, 7) for b in (1, 5, 10, 15) for t in (1, 4, 8)])
def test_matches_the_squarings(r: int, beta: int, t: int) -> None:
    golden = reference("random_walk")
    a = affinity(golden["features"][None], r=r, reduce="sum")
    got = random_walk(golden["maps"], a.expand(2, -1, -1, -1), beta=beta, t=t, r=r, reading="squarings")
    expected = golden[f"full_r{r}_beta{beta}_logt{t}_refined"]
    torch.testing.assert_close(got.flatten(1), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("beta", [1, 10])
def test_matches_twelve_squarings(beta: int) -> None:
    """4096 steps, where the paper's Table 8 collapses."""
    golden = reference("random_walk")
    a = affinity(golden["features"][None], r=3, reduce="sum")
    got = random_walk(golden["maps"], a.expand(2, -1, -1, -1), beta=beta, t=12, r=3, reading="squarings")
    torch.testing.assert_close(got.flatten(1), golden[f"full_r3_beta{beta}_logt12_refined"], rtol=0, atol=1e-4)


# Gradient


def test_gradient() -> None:
    m = random(0, 1, 3, 3, dtype=torch.float64).requires_grad_()
    a = (0.1 + 0.8 * random(1, 1, 4, 3, 3, dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(lambda m, a: random_walk(m, a, beta=2, t=3, r=2), (m, a))


# Properties


@given(seeds, st.floats(-3, 3), st.integers(0, 9))
def test_a_constant_map_is_a_fixed_point(seed: int, value: float, t: int) -> None:
    m = torch.full((1, 4, 5), value)
    got = random_walk(m, affinity(normal(seed, 1, 3, 4, 5), r=3), beta=3, t=t, r=3)
    torch.testing.assert_close(got, m, rtol=0, atol=1e-5)


@given(seeds, st.integers(0, 9), st.sampled_from([0.0, 1.0, 10.0]))
def test_never_leaves_the_range_of_the_map(seed: int, t: int, beta: float) -> None:
    m = normal(seed, 2, 4, 5)
    got = random_walk(m, affinity(normal(seed + 1, 2, 3, 4, 5), r=3), beta=beta, t=t, r=3)
    assert (got.amin((1, 2)) >= m.amin((1, 2)) - 1e-5).all()
    assert (got.amax((1, 2)) <= m.amax((1, 2)) + 1e-5).all()


@given(seeds)
def test_no_step_is_the_identity(seed: int) -> None:
    m, a = normal(seed, 2, 4, 4), affinity(normal(seed, 2, 3, 4, 4), r=2)
    assert torch.equal(random_walk(m, a, beta=5, t=0, r=2), m)


@given(seeds, st.integers(0, 4), st.integers(0, 4))
def test_steps_add_up(seed: int, first: int, second: int) -> None:
    m, a = normal(seed, 1, 4, 4), affinity(normal(seed + 1, 1, 3, 4, 4), r=3)
    halfway = random_walk(m, a, beta=2, t=first, r=3)
    torch.testing.assert_close(
        random_walk(halfway, a, beta=2, t=second, r=3), random_walk(m, a, beta=2, t=first + second, r=3)
    )


@given(seeds, st.integers(0, 4))
def test_squarings_are_two_to_the_t_steps(seed: int, t: int) -> None:
    m, a = normal(seed, 1, 4, 4), affinity(normal(seed + 1, 1, 3, 4, 4), r=2)
    torch.testing.assert_close(
        random_walk(m, a, beta=2, t=t, r=2, reading="squarings"), random_walk(m, a, beta=2, t=2**t, r=2)
    )


@given(seeds, st.floats(-2, 2), st.floats(-2, 2))
def test_linear_in_the_map(seed: int, p: float, q: float) -> None:
    m, n = normal(seed, 2, 1, 4, 4, dtype=torch.float64)
    a = affinity(normal(seed + 1, 1, 3, 4, 4, dtype=torch.float64), r=3)

    def walk(x: Tensor) -> Tensor:
        return random_walk(x, a, beta=2, t=3, r=3)

    torch.testing.assert_close(walk(p * m + q * n), p * walk(m) + q * walk(n))


@given(seeds)
def test_clips_walk_alone(seed: int) -> None:
    m, a = normal(seed, 3, 4, 4), affinity(normal(seed + 1, 3, 3, 4, 4), r=3)
    together = random_walk(m, a, beta=2, t=4, r=3)
    torch.testing.assert_close(random_walk(m[1:2], a[1:2], beta=2, t=4, r=3), together[1:2])


# Refused


def test_wrong_settings() -> None:
    m, a = torch.zeros(1, 3, 3), torch.zeros(1, 4, 3, 3)
    with pytest.raises(ValueError, match="`t` must be an integer of at least 0; got -1"):
        random_walk(m, a, beta=1, t=-1, r=2)
    with pytest.raises(ValueError, match="`reading` must be 'power' or 'squarings'; got 'cubes'"):
        random_walk(m, a, beta=1, t=1, r=2, reading="cubes")
    with pytest.raises(ValueError, match="`beta` must be at least 0; got -2"):
        random_walk(m, a, beta=-2, t=1, r=2)
    with pytest.raises(ValueError, match="`a` must have 72 neighbours for r = 7, euclidean; got 4"):
        random_walk(m, a, beta=1, t=1, r=7)
