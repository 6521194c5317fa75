"""Eq. (6): the affinity loss and the labels it learns from."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.helpers.values import metrics, normal, reference, seeds, shapes, trimap
from uspl.affinity import affinity_labels, affinity_loss, offsets, to_dense
from uspl.kernels import affinity_autograd

pytestmark = pytest.mark.usefixtures("either")


def dense_labels(y_tri: Tensor, r: int, metric: str) -> Tensor:
    """Labels of every ordered pair (B, hw, hw); 255 beyond r; a pixel with itself as AFA has it."""
    labels = affinity_labels(y_tri, r=r, metric=metric)
    # to_dense carries numbers and puts 1 on the diagonal, 0 beyond r: shift so that 0 means "no pair".
    dense = to_dense(labels.float() + 1, r=r, metric=metric)
    dense = torch.where(dense == 0, 256.0, dense) - 1
    own = torch.where(y_tri.flatten(1) == 255, 255.0, 1.0)
    return torch.diagonal_scatter(dense, own, dim1=1, dim2=2).to(torch.uint8)


def slow(f: Tensor, y: Tensor, r: int, metric: str, reduce: str, balanced: bool) -> float:
    """Every ordered pair of pixels; f (C, h, w), y (h, w)."""
    c, h, w = f.shape
    positive, negative = [], []
    for i in range(h * w):
        for j in range(h * w):
            (y1, x1), (y2, x2) = divmod(i, w), divmod(j, w)
            dy, dx = y1 - y2, x1 - x2
            near = dy * dy + dx * dx < r * r if metric == "euclidean" else max(abs(dy), abs(dx)) <= r
            p, q = y[y1, x1].item(), y[y2, x2].item()
            if i == j or not near or 255 in (p, q):
                continue
            a = math.exp(-(f[:, y1, x1] - f[:, y2, x2]).abs().sum().item() / (c if reduce == "mean" else 1))
            (positive if p == q else negative).append(-math.log(a) if p == q else -math.log(1 - a))
    if not balanced:
        return sum(positive + negative) / max(1, len(positive + negative))
    return sum(sum(part) / max(1, len(part)) for part in (positive, negative)) / 2


@given(seeds, shapes, st.integers(1, 3), metrics, st.sampled_from(["mean", "sum"]), st.booleans())
def test_is_the_loop(seed: int, shape: tuple[int, int], r: int, metric: str, reduce: str, balanced: bool) -> None:
    f, y = normal(seed, 1, 2, *shape, dtype=torch.float64), trimap(seed + 1, 1, *shape)
    got = affinity_loss(f, y, r=r, metric=metric, reduce=reduce, balanced=balanced)
    assert got.item() == pytest.approx(slow(f[0], y[0], r, metric, reduce, balanced), rel=1e-9, abs=1e-12)


def test_by_hand() -> None:
    """Pixels 1, 1, 0 with features 0, .2, 1.2: one like pair at .2, unlike pairs at 1 and 1.2."""
    f, y = torch.tensor([[[[0.0, 0.2, 1.2]]]]), torch.tensor([[[1, 1, 0]]], dtype=torch.uint8)
    near, far = -math.log(1 - math.exp(-1)), -math.log(1 - math.exp(-1.2))
    assert affinity_loss(f, y, r=3).item() == pytest.approx(0.5 * 0.2 + 0.5 * (near + far) / 2)
    assert affinity_loss(f, y, r=3, balanced=False).item() == pytest.approx((0.2 + near + far) / 3)


# Labels, golden values


@pytest.mark.parametrize("grid", [0, 1])
@pytest.mark.parametrize("r", [3, 5, 7])
def test_labels_are_those_of_afa(grid: int, r: int) -> None:
    golden = reference("affinity_label")
    got = dense_labels(golden[f"grid{grid}_trimap"], r, "chebyshev")
    assert torch.equal(got, golden[f"grid{grid}_afa_label_r{r}"])


@pytest.mark.parametrize("r", [3, 5, 7])
def test_labels_hold_those_of_psa_and_irnet(r: int) -> None:
    """They label the pairs whose source pixel keeps r from the border; ours has those and the rest."""
    golden = reference("affinity_label")
    y = golden["psa_trimap"]
    # Their labels name classes; Eq. (5) has one, so like and unlike are all that is left.
    dense = dense_labels(y[None], r, "euclidean")[0]
    for peer, source, target in (("psa", "index_from", "index_to"), ("irn", "src", "dst")):
        i, j = golden[f"{peer}_{source}_r{r}"].long(), golden[f"{peer}_{target}_r{r}"].long()
        labels = dense[i.expand_as(j), j]
        like = (golden[f"{peer}_bgpos_r{r}"] + golden[f"{peer}_fgpos_r{r}"]).bool()
        unlike = golden[f"{peer}_neg_r{r}"].bool()
        assert like.sum() + unlike.sum() > 0
        assert torch.equal(labels == 1, like)
        assert torch.equal(labels == 0, unlike)


def test_labels_by_hand() -> None:
    y = torch.tensor([[[1, 0], [255, 1]]], dtype=torch.uint8)
    assert offsets(2).tolist() == [[0, 1], [1, -1], [1, 0], [1, 1]]
    assert affinity_labels(y, r=2)[0].tolist() == [
        [[0, 255], [255, 255]],  # right: 1-0 unlike
        [[255, 255], [255, 255]],  # down left: 0-255 not sure
        [[255, 0], [255, 255]],  # down: 1-255 not sure, 0-1 unlike
        [[1, 255], [255, 255]],  # down right: 1-1 alike
    ]


# Loss, golden values


@pytest.mark.parametrize("tag", ["s", "m"])
@pytest.mark.parametrize(("name", "metric"), [("euclid_lt", "euclidean"), ("chebyshev", "chebyshev")])
@pytest.mark.parametrize("norm", ["half_meanpos_half_meanneg", "mean_all_valid_pairs", "sum"])
def test_matches_the_papers_equation(tag: str, name: str, metric: str, norm: str) -> None:
    golden = reference("affinity_loss")
    f = golden[f"paper_{tag}_features"][None].clone().requires_grad_()
    y, r = golden[f"paper_{tag}_trimap"][None], int(golden[f"paper_{tag}_radius"])
    loss = affinity_loss(f, y, r=r, metric=metric, reduce="sum", balanced=norm.startswith("half"))
    if norm == "sum":  # the stored sum runs over ordered pairs
        loss = loss * golden[f"paper_{tag}_{name}_npos_nneg"].sum()
    expected, grad = (golden[f"paper_{tag}_{name}_{kind}_{norm}"] for kind in ("loss", "grad"))
    assert loss.item() == pytest.approx(expected.item(), abs=1e-5, rel=1e-6)
    torch.testing.assert_close(torch.autograd.grad(loss, f)[0][0], grad, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("tag", ["s", "m"])
@pytest.mark.parametrize("metric", ["euclidean", "chebyshev"])
def test_counts_the_stored_pairs(tag: str, metric: str) -> None:
    golden = reference("affinity_loss")
    r = int(golden[f"paper_{tag}_radius"])
    labels = affinity_labels(golden[f"paper_{tag}_trimap"][None], r=r, metric=metric)
    name = "euclid_lt" if metric == "euclidean" else metric
    counts = [2 * (labels == k).sum().item() for k in (1, 0)]
    assert counts == golden[f"paper_{tag}_{name}_npos_nneg"].tolist()


# Gradient


@pytest.mark.parametrize("reduce", ["mean", "sum"])
@pytest.mark.parametrize("balanced", [True, False])
def test_gradient(reduce: str, balanced: bool) -> None:
    f, y = normal(3, 2, 2, 3, 3, dtype=torch.float64).requires_grad_(), trimap(4, 2, 3, 3)
    assert torch.autograd.gradcheck(lambda f: affinity_loss(f, y, r=2, reduce=reduce, balanced=balanced), (f,))


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e4])
def test_nothing_underflows_or_overflows(scale: float) -> None:
    """Sums over many channels would give A = 0, equal features A = 1."""
    f, y = (scale * normal(0, 1, 256, 4, 4)).requires_grad_(), trimap(1, 1, 4, 4)
    loss = affinity_loss(f, y, r=3, reduce="sum")
    assert loss.isfinite()
    assert torch.autograd.grad(loss, f)[0].isfinite().all()


def test_equal_features_with_unlike_labels_stay_finite() -> None:
    f, y = torch.zeros(1, 3, 1, 2).requires_grad_(), torch.tensor([[[1, 0]]], dtype=torch.uint8)
    loss = affinity_loss(f, y, r=2)
    assert 5 < loss.item() < 20
    assert torch.autograd.grad(loss, f)[0].isfinite().all()


# Properties


@given(seeds, st.permutations(range(3)))
def test_permuting_the_batch_changes_nothing(seed: int, order: list[int]) -> None:
    f, y = normal(seed, 3, 2, 4, 4, dtype=torch.float64), trimap(seed + 1, 3, 4, 4)
    torch.testing.assert_close(affinity_loss(f[order], y[order], r=3), affinity_loss(f, y, r=3))


@given(seeds)
def test_ignored_pixels_carry_no_gradient(seed: int) -> None:
    f, y = normal(seed, 2, 3, 5, 5).requires_grad_(), trimap(seed + 1, 2, 5, 5)
    (gradient,) = torch.autograd.grad(affinity_loss(f, y, r=3), f)
    assert gradient[(y == 255)[:, None].expand_as(f)].abs().sum() == 0
    assert gradient.abs().sum() > 0


@given(seeds, metrics)
def test_naming_the_other_class_changes_nothing(seed: int, metric: str) -> None:
    f, y = normal(seed, 1, 2, 4, 4), trimap(seed + 1, 1, 4, 4)
    turned = torch.where(y == 255, y, 1 - y)
    torch.testing.assert_close(affinity_loss(f, turned, r=3, metric=metric), affinity_loss(f, y, r=3, metric=metric))


@given(seeds)
def test_a_draw_of_offsets_is_their_share_of_the_pairs(seed: int) -> None:
    """Training draws a few offsets per step: all of them are the whole loss."""
    f, y = normal(seed, 1, 2, 5, 5), trimap(seed + 1, 1, 5, 5)
    whole = affinity_autograd.loss(f, y, offsets(3).flip(0), reduce="mean", balanced=True)
    torch.testing.assert_close(whole, affinity_loss(f, y, r=3))


def test_nothing_sure_costs_nothing() -> None:
    f = normal(0, 1, 2, 3, 3).requires_grad_()
    loss = affinity_loss(f, torch.full((1, 3, 3), 255, dtype=torch.uint8), r=2)
    assert loss.item() == 0
    assert torch.autograd.grad(loss, f)[0].abs().sum() == 0


# Refused


def test_wrong_settings() -> None:
    f, y = torch.zeros(1, 1, 2, 2), torch.zeros(1, 2, 2, dtype=torch.uint8)
    with pytest.raises(ValueError, match="`r` must be an integer of at least 1; got 0"):
        affinity_loss(f, y, r=0)
    with pytest.raises(ValueError, match="`metric` must be 'euclidean' or 'chebyshev'; got 'l2'"):
        affinity_labels(y, r=2, metric="l2")
    with pytest.raises(ValueError, match="`reduce` must be 'mean' or 'sum'; got 'max'"):
        affinity_loss(f, y, r=2, reduce="max")
