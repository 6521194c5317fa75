"""Eq. (11): the joint objective."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from uspl.config import Config
from uspl.train.losses import total_loss

values = st.floats(0, 100)
weights = st.tuples(st.floats(0, 10), st.floats(0, 10), st.floats(0, 10))


def total(losses: tuple[float, float, float], w: tuple[float, float, float]) -> float:
    terms = [torch.tensor(x, dtype=torch.float64) for x in losses]
    return total_loss(*terms, lambda1=w[0], lambda2=w[1], lambda3=w[2]).item()


@given(st.tuples(values, values, values), weights)
def test_is_the_sum(losses: tuple[float, float, float], w: tuple[float, float, float]) -> None:
    expected = 0.0
    for loss, weight in zip(losses, w, strict=True):
        expected += weight * loss
    assert total(losses, w) == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_by_hand_with_the_papers_weights() -> None:
    cfg = Config.paper()
    assert total((2.0, 1.0, 0.6), (cfg.lambda1, cfg.lambda2, cfg.lambda3)) == pytest.approx(0.2 + 0.4 + 0.3)


def test_gradient() -> None:
    losses = tuple(torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in (1.0, 2.0, 3.0))

    def loss(*terms: Tensor) -> Tensor:
        return total_loss(*terms, lambda1=0.1, lambda2=0.4, lambda3=0.5)

    assert torch.autograd.gradcheck(loss, losses)
    assert torch.autograd.grad(loss(*losses), losses) == pytest.approx((0.1, 0.4, 0.5))


@given(st.tuples(values, values, values))
def test_warm_up_is_the_first_term_alone(losses: tuple[float, float, float]) -> None:
    assert total(losses, (1.0, 0.0, 0.0)) == pytest.approx(losses[0])


@given(st.tuples(values, values, values), weights, st.floats(0, 10))
def test_scales_with_its_weights(
    losses: tuple[float, float, float], w: tuple[float, float, float], factor: float
) -> None:
    scaled = (factor * w[0], factor * w[1], factor * w[2])
    assert total(losses, scaled) == pytest.approx(factor * total(losses, w), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", ["lambda1", "lambda2", "lambda3"])
@pytest.mark.parametrize("value", [-0.1, float("nan")])
def test_refused(name: str, value: float) -> None:
    one = torch.tensor(1.0)
    given_weights = {"lambda1": 1.0, "lambda2": 1.0, "lambda3": 1.0, name: value}
    with pytest.raises(ValueError, match=f"`{name}` must be at least 0; got {value}"):
        total_loss(one, one, one, **given_weights)
