"""The kernels of the loss and of the walk: what they count, and maps that share their affinities."""

import pytest
import torch

from tests.helpers.values import normal, random, trimap
from uspl.affinity import affinity, affinity_labels, offsets
from uspl.kernels import affinity_autograd, dispatch
from uspl.walk import random_walk


@pytest.mark.parametrize("metric", ["euclidean", "chebyshev"])
def test_the_loss_counts_what_the_labels_say(metric: str) -> None:
    f, y, offs = normal(0, 2, 4, 7, 5), trimap(1, 2, 7, 5), offsets(3, metric=metric)
    labels = affinity_labels(y, r=3, metric=metric)
    sums, pull = dispatch.loss(f.permute(0, 2, 3, 1).contiguous(), y, offs, 0.25, affinity_autograd.D_MIN)
    assert sums[2:].tolist() == [(labels == 1).sum(), (labels == 0).sum()]
    assert torch.equal(pull > 0, labels == 1)
    assert torch.equal(pull < 0, labels == 0)


@pytest.mark.parametrize("many", [1, 2, 5])
def test_maps_that_share_their_affinities_walk_as_each_would_alone(many: int) -> None:
    m, a = random(0, many, 6, 7), affinity(normal(1, 1, 3, 6, 7), r=3)
    how: dict = {"beta": 5, "t": 6, "r": 3}
    together = random_walk(m, a.expand(many, -1, -1, -1), **how)
    torch.testing.assert_close(together, torch.cat([random_walk(x[None], a, **how) for x in m]), atol=0, rtol=0)
