"""Eq. (7): the row-stochastic transition."""

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.helpers.values import metrics, normal, random, reference, seeds, shapes
from uspl.affinity import affinity, offsets, to_dense
from uspl.walk import transition

pytestmark = pytest.mark.usefixtures("either")

betas = st.sampled_from([0.0, 1.0, 2.5, 10.0])


def dense(t: Tensor, r: int, metric: str = "euclidean") -> Tensor:
    """T (B, 1 + 2K, h, w) as the matrix (B, hw, hw), entry by entry."""
    b, _, h, w = t.shape
    half = offsets(r, metric=metric).tolist()
    moves = [(0, 0), *half, *((-dy, -dx) for dy, dx in half)]
    out = torch.zeros(b, h * w, h * w, dtype=t.dtype)
    for n, (dy, dx) in enumerate(moves):
        for y in range(h):
            for x in range(w):
                if 0 <= y + dy < h and 0 <= x + dx < w:
                    out[:, y * w + x, (y + dy) * w + x + dx] = t[:, n, y, x]
                else:
                    assert t[:, n, y, x].abs().max() == 0
    return out


def slow(a: Tensor, beta: float) -> list[list[float]]:
    """a (hw, hw), symmetric, 1 on the diagonal, 0 beyond the radius."""
    n = len(a)
    powered = [[a[i, j].item() ** beta if a[i, j] > 0 else 0.0 for j in range(n)] for i in range(n)]
    return [[powered[i][j] / sum(powered[i]) for j in range(n)] for i in range(n)]


@given(seeds, shapes, st.integers(1, 3), metrics, betas)
def test_is_the_loop(seed: int, shape: tuple[int, int], r: int, metric: str, beta: float) -> None:
    a = affinity(normal(seed, 1, 2, *shape, dtype=torch.float64), r=r, metric=metric)
    got = dense(transition(a, beta=beta, r=r, metric=metric), r, metric)[0]
    expected = torch.tensor(slow(to_dense(a, r=r, metric=metric)[0], beta), dtype=torch.float64)
    torch.testing.assert_close(got, expected)


def test_by_hand() -> None:
    """Three pixels in a row, A = 1/2 between the first two and 1/4 between the last two; beta 2 squares them."""
    f = torch.tensor([0.0, math.log(2), 3 * math.log(2)]).view(1, 1, 1, 3)
    a = affinity(f, r=1, metric="chebyshev")
    got = dense(transition(a, beta=2, r=1, metric="chebyshev"), 1, "chebyshev")[0]
    expected = [[4 / 5, 1 / 5, 0], [4 / 21, 16 / 21, 1 / 21], [0, 1 / 17, 16 / 17]]
    torch.testing.assert_close(got, torch.tensor(expected))


@pytest.mark.parametrize("r", [3, 7])
def test_matches_the_row_normalised_matrix(r: int) -> None:
    golden = reference("random_walk")
    a = affinity(golden["features"][None], r=r, reduce="sum")
    got = dense(transition(a, beta=10, r=r), r)[0]
    torch.testing.assert_close(got, golden[f"full_r{r}_beta10_T_rownorm"], rtol=0, atol=1e-5)


def test_gradient() -> None:
    a = (0.1 + 0.8 * random(0, 1, 4, 3, 3, dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(lambda a: transition(a, beta=3, r=2), (a,))


@given(seeds, st.integers(1, 4), metrics, betas)
def test_rows_sum_to_one_and_are_never_negative(seed: int, r: int, metric: str, beta: float) -> None:
    t = transition(affinity(normal(seed, 2, 3, 4, 5), r=r, metric=metric), beta=beta, r=r, metric=metric)
    torch.testing.assert_close(t.sum(1), torch.ones(2, 4, 5))
    assert (t >= 0).all()


@given(seeds)
def test_a_larger_beta_stays_more(seed: int) -> None:
    a = affinity(normal(seed, 1, 3, 4, 4), r=3)
    stays = [transition(a, beta=beta, r=3)[:, 0] for beta in (0.0, 1.0, 5.0, 20.0)]
    for less, more in pairwise(stays):
        assert (more >= less - 1e-6).all()


def test_beta_zero_is_the_mean_of_the_neighbourhood() -> None:
    t = dense(transition(affinity(normal(0, 1, 3, 5, 5), r=2), beta=0, r=2), 2)[0]
    assert t[12][t[12] > 0].tolist() == pytest.approx([1 / 9] * 9)
    assert t[0][t[0] > 0].tolist() == pytest.approx([1 / 4] * 4)


def test_what_lies_outside_is_not_believed() -> None:
    """Numbers that `a` carries for neighbours beyond the border have no effect."""
    a = affinity(normal(0, 1, 3, 4, 4), r=3)
    spoiled = torch.where(a == 0, 0.7, a)
    torch.testing.assert_close(transition(spoiled, beta=2, r=3), transition(a, beta=2, r=3))


def test_refused() -> None:
    a = torch.zeros(1, 4, 3, 3)
    with pytest.raises(ValueError, match="`beta` must be at least 0; got -1"):
        transition(a, beta=-1, r=2)
    with pytest.raises(ValueError, match="`a` must have 12 neighbours for r = 3, euclidean; got 4"):
        transition(a, beta=1, r=3)
    with pytest.raises(ValueError, match="`a` must have 12 neighbours for r = 2, chebyshev; got 4"):
        transition(a, beta=1, r=2, metric="chebyshev")
