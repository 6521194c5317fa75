"""Eq. (3): affinity of neighbours."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.helpers.values import metrics, normal, random, reduces, reference, seeds, shapes
from uspl.affinity import affinity, offsets, to_dense

pytestmark = pytest.mark.usefixtures("either")


def slow(f: Tensor, r: int, metric: str, reduce: str) -> Tensor:
    """Every pair of pixels, (hw, hw); 0 beyond r."""
    c, h, w = f.shape
    dense = torch.zeros(h * w, h * w, dtype=f.dtype)
    for i in range(h * w):
        for j in range(h * w):
            dy, dx = i // w - j // w, i % w - j % w
            near = dy * dy + dx * dx < r * r if metric == "euclidean" else max(abs(dy), abs(dx)) <= r
            if near or i == j:
                d = sum(abs(f[k, i // w, i % w].item() - f[k, j // w, j % w].item()) for k in range(c))
                dense[i, j] = math.exp(-d / (c if reduce == "mean" else 1))
    return dense


@given(seeds, shapes, st.integers(1, 4), metrics, reduces)
def test_is_the_loop(seed: int, shape: tuple[int, int], r: int, metric: str, reduce: str) -> None:
    f = normal(seed, 1, 2, *shape, dtype=torch.float64)
    got = to_dense(affinity(f, r=r, metric=metric, reduce=reduce), r=r, metric=metric)
    torch.testing.assert_close(got[0], slow(f[0], r, metric, reduce))


def test_by_hand() -> None:
    """A row 0, 1, 3 with two equal channels: mean and sum differ by the factor 2 in the exponent."""
    f = torch.tensor([0.0, 1.0, 3.0]).view(1, 1, 1, 3).repeat(1, 2, 1, 1)
    for reduce, c in (("mean", 1), ("sum", 2)):
        a = affinity(f, r=3, reduce=reduce)
        k = {tuple(o): i for i, o in enumerate(offsets(3).tolist())}
        expected = [math.exp(-1 * c), math.exp(-2 * c), 0]
        assert a[0, k[0, 1], 0].tolist() == pytest.approx(expected)
        assert a[0, k[0, 2], 0].tolist() == pytest.approx([math.exp(-3 * c), 0, 0])


# Offsets


@pytest.mark.parametrize(
    ("r", "metric", "k"),
    [
        (3, "euclidean", 12),
        (5, "euclidean", 34),
        (7, "euclidean", 72),
        (3, "chebyshev", 24),
        (5, "chebyshev", 60),
        (7, "chebyshev", 112),
    ],
)
def test_number_of_neighbours(r: int, metric: str, k: int) -> None:
    assert offsets(r, metric=metric).shape == (k, 2)


@pytest.mark.parametrize("r", [3, 5, 7])
def test_offsets_are_those_of_psa_and_irnet(r: int) -> None:
    golden = reference("affinity_label")
    ours = set(map(tuple, offsets(r).tolist()))
    assert ours == set(map(tuple, golden[f"psa_offsets_dydx_r{r}"].tolist()))
    assert ours == set(map(tuple, golden[f"irn_dydx_r{r}"].tolist()))


@given(st.integers(1, 9), metrics)
def test_half_plane(r: int, metric: str) -> None:
    half = set(map(tuple, offsets(r, metric=metric).tolist()))
    other = {(-dy, -dx) for dy, dx in half}
    assert not half & other
    assert (0, 0) not in half
    assert all(dy > 0 or (dy == 0 and dx > 0) for dy, dx in half)


# Golden values


@pytest.mark.parametrize(("tag", "r"), [("s", 3), ("m", 5)])
@pytest.mark.parametrize("reduce", ["mean", "sum"])
def test_matches_psa(tag: str, r: int, reduce: str) -> None:
    """PSA reads only pixels whose whole neighbourhood fits, offset by offset in its own order."""
    golden = reference("affinity_loss")
    f = golden[f"psa_{tag}_features"]
    n = f.shape[1]
    a = affinity(f[None], r=r, reduce=reduce)[0]
    place = {tuple(o): k for k, o in enumerate(offsets(r).tolist())}
    order = [place[tuple(o)] for o in reference("affinity_label")[f"psa_offsets_dydx_r{r}"].tolist()]
    got = a[order][:, : n - r + 1, r - 1 : n - r + 1].flatten(1)
    torch.testing.assert_close(got, golden[f"psa_{tag}_{reduce}L1_affinity"][0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("r", [3, 7])
def test_matches_the_full_matrix(r: int) -> None:
    golden = reference("random_walk")
    a = affinity(golden["features"][None], r=r, reduce="sum")
    torch.testing.assert_close(to_dense(a, r=r)[0], golden[f"full_dense_A_sumL1_r{r}"], rtol=0, atol=1e-5)


# Gradient


@pytest.mark.parametrize("reduce", ["mean", "sum"])
def test_gradient(reduce: str) -> None:
    f = normal(3, 2, 2, 3, 3, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda f: affinity(f, r=2, reduce=reduce), (f,))


# Properties


@given(seeds, st.integers(1, 3), metrics, reduces)
def test_symmetric_in_the_unit_interval_one_on_the_diagonal(seed: int, r: int, metric: str, reduce: str) -> None:
    dense = to_dense(affinity(normal(seed, 2, 3, 4, 3), r=r, metric=metric, reduce=reduce), r=r, metric=metric)
    assert torch.equal(dense, dense.mT)
    assert ((dense >= 0) & (dense <= 1)).all()
    assert (dense.diagonal(dim1=1, dim2=2) == 1).all()


@given(seeds, st.floats(-3, 3))
def test_only_differences_count(seed: int, shift: float) -> None:
    f = normal(seed, 1, 3, 4, 4, dtype=torch.float64)
    torch.testing.assert_close(affinity(f + shift, r=3), affinity(f, r=3))


@given(seeds)
def test_a_flipped_image_has_the_flipped_affinities(seed: int) -> None:
    f = random(seed, 1, 3, 4, 5)
    straight = to_dense(affinity(f, r=3), r=3).view(4, 5, 4, 5)
    turned = to_dense(affinity(f.flip(3), r=3), r=3).view(4, 5, 4, 5)
    torch.testing.assert_close(turned, straight.flip(1, 3))


def test_neighbours_outside_have_no_affinity() -> None:
    a = affinity(torch.zeros(1, 2, 1, 1), r=4)
    assert a.abs().max() == 0
    assert affinity(torch.zeros(1, 2, 2, 2), r=9).sum() == 6  # the pairs of four pixels


# Refused


def test_wrong_radius_metric_and_reduction() -> None:
    f = torch.zeros(1, 1, 2, 2)
    with pytest.raises(ValueError, match="`r` must be an integer of at least 1; got 0"):
        affinity(f, r=0)
    with pytest.raises(ValueError, match="`metric` must be 'euclidean' or 'chebyshev'; got 'manhattan'"):
        offsets(3, metric="manhattan")
    with pytest.raises(ValueError, match="`reduce` must be 'mean' or 'sum'; got 'max'"):
        affinity(f, r=2, reduce="max")
