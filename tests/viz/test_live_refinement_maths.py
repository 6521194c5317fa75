"""Eqs. (3) to (8) as the scripts of the live figures compute them, held against the library."""

import numpy as np
import pytest
import torch

from tests.helpers.live_figures import Run, flat, floats
from tests.helpers.values import SHAPES, normal, random, trimap
from uspl import affinity, maps, metrics, refine, walk
from uspl.kernels import affinity_autograd
from uspl.maps import resize
from uspl.viz import quantize
from uspl.viz.live_figure import pack

METRICS = ("euclidean", "chebyshev")
HELD = """
const distances = (held, o, offs) => uspl.maths.heldDistances(
  Object.fromEntries(Object.entries(held).map(([k, v]) => [k, uspl.unpack(v)])), o, offs);
"""


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("r", range(1, 9))
def test_offsets(javascript: Run, r: int, metric: str) -> None:
    found = javascript("({r, metric}) => uspl.maths.offsets(r, metric)", r=r, metric=metric)
    assert found == affinity.offsets(r, metric=metric).tolist()


@pytest.mark.parametrize("reduce", ["mean", "sum"])
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("shape", SHAPES)
def test_eq_3_distances(javascript: Run, shape: tuple[int, int], metric: str, reduce: str) -> None:
    """Also on a pixel, a row and a column, where the radius is larger than the map."""
    h, w = shape
    f = normal(3, 1, 5, h, w)
    go = """({f, h, w, r, metric, reduce}) => {
      const d = uspl.maths.distances(f, 5, h, w, uspl.maths.offsets(r, metric), reduce);
      return Array.from(d, (v) => isFinite(v) ? v : -1);
    }"""
    for r in (1, 3):
        found = floats(javascript(go, f=flat(f), h=h, w=w, r=r, metric=metric, reduce=reduce))
        expected = affinity_autograd.distance(f, affinity.offsets(r, metric=metric), reduce=reduce).flatten()
        torch.testing.assert_close(found, expected.where(expected.isfinite(), -1), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("shape", [*SHAPES, (6, 7)])
def test_eq_3_row_of_each_pixel(javascript: Run, shape: tuple[int, int], metric: str) -> None:
    h, w = shape
    f = normal(4, 1, 3, h, w)
    dense = affinity.to_dense(affinity.affinity(f, r=3, metric=metric), r=3, metric=metric)[0] ** 2.5
    go = """({f, h, w, metric, pixel}) => {
      const offs = uspl.maths.offsets(3, metric), d = uspl.maths.distances(f, 3, h, w, offs);
      return Array.from(uspl.maths.affinityRow(d, offs, h, w, pixel, 2.5));
    }"""
    for pixel in range(h * w):
        found = floats(javascript(go, f=flat(f), h=h, w=w, metric=metric, pixel=pixel))
        torch.testing.assert_close(found, dense[pixel], atol=1e-6, rtol=1e-5)
        row = quantize.affinity_row(f[0], (pixel // w, pixel % w), r=3, metric=metric)
        torch.testing.assert_close(row.flatten() ** 2.5, dense[pixel])


@pytest.mark.parametrize(("low", "high"), [(0.2, 0.4), (0.4, 0.55), (0.0, 1.0), (0.29, 0.3), (0.57, 0.58)])
def test_eq_5_in_levels_is_the_trimap(javascript: Run, low: float, high: float) -> None:
    """Thresholds on steps of .01 lose nothing by the levels, not even for values that lie on them."""
    m = torch.cat([random(5, 1, 40, 25).flatten(), torch.arange(101) / 100]).view(1, 1, -1)
    given = {"m": quantize.levels(m).flatten().tolist(), "low": round(100 * low), "high": round(100 * high)}
    found = javascript("({m, low, high}) => Array.from(uspl.maths.trimap(m, low, high))", **given)
    assert found == refine.trimap(m, beta_l=low, beta_h=high).flatten().tolist()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("shape", [*SHAPES, (9, 8)])
def test_eq_6_counts_of_pairs(javascript: Run, shape: tuple[int, int], metric: str) -> None:
    y = trimap(6, 1, *shape)
    for r in (1, 4):
        label = affinity.affinity_labels(y, r=r, metric=metric)
        inside = int(affinity_autograd.inside(affinity.offsets(r, metric=metric), *shape).sum())
        alike, unlike = int((label == 1).sum()), int((label == 0).sum())
        given = {"y": y.flatten().tolist(), "h": shape[0], "w": shape[1], "r": r, "metric": metric}
        go = "({y, h, w, r, metric}) => uspl.maths.pairCounts(y, h, w, uspl.maths.offsets(r, metric))"
        assert javascript(go, **given) == [alike, unlike, inside - alike - unlike]


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0, 7.0, 20.0])
@pytest.mark.parametrize("shape", [*SHAPES, (8, 9)])
def test_eq_7_transition(javascript: Run, shape: tuple[int, int], beta: float) -> None:
    h, w = shape
    f = normal(7, 1, 4, h, w)
    for metric in METRICS:
        go = """({f, h, w, beta, metric}) => {
          const M = uspl.maths, offs = M.offsets(3, metric);
          const T = M.transition(M.distances(f, 4, h, w, offs), offs, h, w, beta);
          return [T.weights, T.degree, M.step(T, new Float32Array(h * w).fill(1))].map((x) => Array.from(x));
        }"""
        weights, degree, sums = javascript(go, f=flat(f), h=h, w=w, beta=beta, metric=metric)
        rows = walk.transition(affinity.affinity(f, r=3, metric=metric), beta=beta, r=3, metric=metric)[0]
        k = len(affinity.offsets(3, metric=metric))
        degree = floats(degree).view(h, w)
        torch.testing.assert_close(1 / degree, rows[0])
        torch.testing.assert_close(floats(weights).view(k, h, w) / degree, rows[1 : 1 + k], atol=1e-6, rtol=1e-4)
        np.testing.assert_allclose(sums, 1, atol=1e-6)  # each row is a probability


@pytest.mark.parametrize(
    ("reading", "t"), [("power", 0), ("power", 1), ("power", 8), ("squarings", 0), ("squarings", 4)]
)
@pytest.mark.parametrize("shape", [*SHAPES, (12, 10)])
def test_eq_8_walk(javascript: Run, shape: tuple[int, int], reading: str, t: int) -> None:
    h, w = shape
    f, m = normal(8, 1, 4, h, w), random(9, 1, h, w)
    a = affinity.affinity(f, r=4)
    expected = walk.random_walk(m, a, beta=3, t=t, r=4, reading=reading)
    go = """({f, m, h, w, t, reading}) => {
      const M = uspl.maths, offs = M.offsets(4, "euclidean");
      return Array.from(M.walk(M.transition(M.distances(f, 4, h, w, offs), offs, h, w, 3), m, t, reading));
    }"""
    found = floats(javascript(go, f=flat(f), m=flat(m), h=h, w=w, t=t, reading=reading)).view(1, h, w)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)
    assert m.min() - 1e-6 <= found.min()
    assert found.max() <= m.max() + 1e-6
    if t == 0 and reading == "power":
        assert torch.equal(found, m)


@pytest.mark.parametrize("how", ["relu_max", "minmax", "raw"])
def test_range_of_a_map(javascript: Run, how: str) -> None:
    for m in (normal(10, 1, 3, 4), torch.full((1, 2, 2), 0.5), torch.full((1, 2, 2), -0.5), torch.zeros(1, 1, 1)):
        found = javascript("({m, how}) => Array.from(uspl.maths.ranged(m, how))", m=flat(m), how=how)
        torch.testing.assert_close(floats(found), maps.normalise_map(m, how).flatten())


@pytest.mark.parametrize("empty", [False, True])
@pytest.mark.parametrize(("side", "size"), [(1, 4), (7, 7), (7, 16), (56, 112)])
def test_iou_of_a_map(javascript: Run, side: int, size: int, empty: bool) -> None:
    m, mask = random(11, 1, side, side), random(12, 1, size, size) > (2 if empty else 0.5)
    given = {"m": flat(m), "n": side, "mask": mask.flatten().int().tolist(), "size": size}
    found = javascript("({m, n, mask, size}) => uspl.maths.iouOfMap(m, n, n, mask, size, size)", **given)
    assert found == pytest.approx(metrics.iou(resize(m, size) > 0.5, mask).item(), abs=1e-6)


def test_outline(javascript: Run) -> None:
    go = "({mask}) => uspl.maths.outline(mask, 2, 3)"
    assert javascript(go, mask=[0, 0, 0, 0, 0, 0]) == []
    sides = javascript(go, mask=[0, 1, 0, 0, 0, 0])
    assert sorted(sides) == [[1, 0, 1, 1], [1, 0, 2, 0], [1, 1, 2, 1], [2, 0, 2, 1]]


@pytest.mark.parametrize("channels", [4, 60])
def test_distances_travel(javascript: Run, channels: int) -> None:
    """Few channels travel as float16 features; of many, the distances as bytes, each at most half a step off."""
    f = normal(13, channels, 9, 8)
    arrays, how = quantize.distances_for_page(f, r=3, metric="chebyshev", reduce="mean")
    assert set(arrays) == ({"features"} if channels == 4 else {"distances"})
    go = f"""({{held, how, r, metric}}) => {{{HELD}
      return Array.from(distances(held, how, uspl.maths.offsets(r, metric)), (v) => isFinite(v) ? v : -1);
    }}"""
    packed, atol = {k: pack(x) for k, x in arrays.items()}, how["step"] / 2 + 1e-6 if channels == 60 else 2e-3
    for r, metric in ((3, "chebyshev"), (3, "euclidean"), (1, "chebyshev")):
        found = floats(javascript(go, held=packed, how=how, r=r, metric=metric))
        expected = affinity_autograd.distance(f[None], affinity.offsets(r, metric=metric)).flatten()
        torch.testing.assert_close(found, expected.where(expected.isfinite(), -1), atol=atol, rtol=0)
