"""Kinds of failure as numbers, what is measured of a clip, and the guess that joins the two."""

import numpy as np
import pytest
import torch

from tests.helpers.values import normal, random
from uspl.evaluation.error_analysis import KINDS, failures, guess, properties, rank_correlation

OBJECTS = torch.zeros(1, 8, 8, dtype=torch.uint8)
OBJECTS[0, :4, :4], OBJECTS[0, :2, 6:] = 1, 2


def marked(*places: tuple[slice, slice]) -> torch.Tensor:
    m = torch.zeros(1, 8, 8)
    for rows, columns in places:
        m[0, rows, columns] = 1
    return m


@pytest.mark.parametrize(
    ("m", "expected"),
    [
        (marked((slice(0, 4), slice(0, 4))), (0, 0, 0, 0)),
        (marked((slice(0, 2), slice(0, 4))), (0, 0.5, 0, 1)),
        (marked((slice(0, 8), slice(0, 4))), (0.5, 0, 0, 1)),
        (marked((slice(0, 2), slice(6, 8))), (0, 1, 1, 2)),
        (marked(), (0, 1, 0, 4)),
    ],
)
def test_each_kind_is_counted(m: torch.Tensor, expected: tuple[float, ...]) -> None:
    found = failures(m, OBJECTS)
    assert list(found) == list(KINDS)
    assert tuple(round(v.item(), 6) for v in found.values()) == expected


def test_a_clip_needs_a_sounding_object() -> None:
    with pytest.raises(ValueError, match=r"a sounding object \(1\) in each clip; clip 1 has none"):
        failures(torch.zeros(2, 8, 8), torch.cat([OBJECTS, torch.zeros_like(OBJECTS)]))


def test_what_is_measured() -> None:
    image = torch.zeros(2, 3, 8, 8)
    image[:, 0, :4, :4], image[:, 0, :2, 6:] = 1.0, 0.5
    alone = torch.where(OBJECTS == 2, 0, OBJECTS)
    cos = torch.zeros(2, 8, 8)
    cos[:, 0, 0], cos[:, 7, 7] = 0.9, 0.2
    waves = [torch.full((100,), 0.1), torch.zeros(100)]
    found = {k: v.tolist() for k, v in properties(image, torch.cat([OBJECTS, alone]), waves, cos).items()}
    assert found["size of the object"] == [0.25, 0.25]
    assert found["gap to the nearest silent object"] == [3.0, pytest.approx(8 * 2**0.5)]
    assert found["colour distance to the nearest silent object"][0] == pytest.approx(0.5)
    assert found["colour distance to the ground"][0] == pytest.approx(1.0)
    assert found["loudness"] == [pytest.approx(-20.0), pytest.approx(-120.0)]
    assert found["lead of the cosine"] == [pytest.approx(0.7), pytest.approx(0.7)]


@pytest.mark.parametrize("seed", range(5))
def test_rank_correlation_is_spearmans(seed: int) -> None:
    x, y = (random(seed, 40) * 6).round(), normal(seed + 9, 40).double()
    ranks = [[sum(float(b < a) + (b == a) / 2 for b in z) for a in z] for z in (x.tolist(), y.tolist())]
    assert rank_correlation(x.double(), y) == pytest.approx(np.corrcoef(ranks)[0, 1])
    assert rank_correlation(torch.ones(40), y.float()) == 0


def test_the_guess_is_unusual_and_goes_with_the_failure() -> None:
    values = torch.linspace(0, 1, 21).double()
    measured = {"size": 1 - values, "colour": values.roll(7), "luck": normal(0, 21).double().fill_(1.0)}
    found = guess(values, measured, 20)
    assert (found.name, found.share, found.correlation) == ("size", 20 / 21, -1.0)
    assert str(found) == "the size is lower than in 95% of clips (rank correlation -1.00)"
    assert str(guess(values, {"luck": measured["luck"]}, 20)) == "nothing that is measured here goes with it"
    assert not guess(values, {"size": 1 - values}, 0).name  # at the good end of what goes with it
