"""The peers without stored values: each loss is a loop that reads like its formula, and an example by hand."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.helpers.values import normal
from uspl.baselines import attention10k, avobject, dmc, fnac, lvs, slavc, sspl

OTHER = torch.tensor([1, 0])


def pairs(seed: int, b: int = 3, h: int = 2, w: int = 3) -> tuple[Tensor, Tensor]:
    """Sounds and images in float64."""
    return normal(seed, b, 4, dtype=torch.float64), normal(seed + 1, b, 4, h, w, dtype=torch.float64)


def unit(x: list[float]) -> list[float]:
    return [k / math.sqrt(dot(x, x)) for k in x]


def dot(x: list[float], y: list[float]) -> float:
    return sum(p * q for p, q in zip(x, y, strict=True))


def mixed(weights: list[float], vectors: list[list[float]]) -> list[float]:
    return [sum(w * v[c] for w, v in zip(weights, vectors, strict=True)) for c in range(len(vectors[0]))]


def soft(x: list[float]) -> list[float]:
    return [math.exp(v) / sum(math.exp(u) for u in x) for v in x]


def locations(f_v: Tensor, i: int) -> list[list[float]]:
    return [unit(v) for v in f_v[i].flatten(1).T.tolist()]


# Attention10k


@pytest.mark.parametrize("tau", [0.2, 1.0])
def test_attention10k_is_the_loop(tau: float) -> None:
    f_a, f_v = pairs(0)
    other, total = [2, 0, 1], 0.0
    for i in range(3):
        a, v = [unit(x) for x in f_a.tolist()], locations(f_v, i)
        z = unit(mixed(soft([dot(a[i], v_k) / tau for v_k in v]), v))
        near, far = soft([math.dist(z, a[i]), math.dist(z, a[other[i]])])
        total += near**2 + (1 - far) ** 2
    found = attention10k.loss(f_a, f_v, torch.tensor(other), tau=tau)
    assert found.item() == pytest.approx(total / 3, rel=1e-9)


def test_attention10k_by_hand() -> None:
    """One location that is the sound: it is at distance 0 of its own and 2 of the opposite."""
    f_a = torch.tensor([[3.0, 0.0], [-1.0, 0.0]])
    found = attention10k.loss(f_a, f_a.view(2, 2, 1, 1), OTHER)
    assert found.item() == pytest.approx(2 / (1 + math.exp(2)) ** 2)


# SSPL


def test_sspl_is_the_loop() -> None:
    p1, p2, z1, z2 = (normal(seed, 3, 4, dtype=torch.float64) for seed in range(4))
    total = 0.0
    for i in range(3):
        total -= dot(unit(p1[i].tolist()), unit(z2[i].tolist())) + dot(unit(p2[i].tolist()), unit(z1[i].tolist()))
    assert sspl.loss(p1, p2, z1, z2).item() == pytest.approx(total / 6, rel=1e-9)


def test_sspl_stops_gradients() -> None:
    p1, p2, z1, z2 = (normal(seed, 2, 3).requires_grad_() for seed in range(4))
    sspl.loss(p1, p2, z1, z2).backward()
    assert [x.grad is None for x in (p1, p2, z1, z2)] == [False, False, True, True]


def test_sspl_pools_what_sounds() -> None:
    """Cosines 1, 0 and -1 become weights 1, 1/2 and 0; the mean over three locations."""
    f_v = torch.tensor([[[[2.0, 0.0, -3.0]], [[0.0, 6.0, 0.0]]]])
    torch.testing.assert_close(sspl.pooled(torch.tensor([[1.0, 0.0]]), f_v), torch.tensor([[2 / 3, 1.0]]))


def test_sspl_codes_until_the_sound_is_predicted() -> None:
    """With D = U = identity the error goes up: large features predict themselves and move towards the sound."""
    coding = sspl.Coding(2, cycles=3)
    with torch.no_grad():
        for layer in (coding.down, coding.up):
            layer.weight.copy_(torch.eye(2))
        coding.down.bias.zero_()
        coding.rate.fill_(0.5)
    f_a, f_v = torch.tensor([[1.0, 0.0]]), torch.full((1, 2, 1, 2), 5.0)
    expected = torch.tensor([5.0, 5.0])
    for _ in range(3):
        expected = expected + 0.5 * (f_a[0] - torch.nn.functional.gelu(expected))
    torch.testing.assert_close(coding(f_a, f_v)[0, :, 0, 1], expected)
    assert expected[0] > expected[1]


# AVObject


def slow_peaks(m: list[list[float]], count: int, radius: int) -> list[tuple[int, int]]:
    left = {(y, x): value for y, row in enumerate(m) for x, value in enumerate(row)}
    found: list[tuple[int, int]] = []
    while len(found) < count and left:
        y, x = max(left, key=lambda place: left[place])
        found.append((y, x))
        left = {p: v for p, v in left.items() if max(abs(p[0] - y), abs(p[1] - x)) > radius}
    return found


@pytest.mark.parametrize("radius", [0, 1])
def test_avobject_is_the_loop(radius: int) -> None:
    f_a, f_v = pairs(4, h=3, w=5)
    tau, count = 0.3, 2
    a = [unit(x) for x in f_a.tolist()]
    scores = [[0.0] * 3 for _ in range(3)]
    for j in range(3):
        v = locations(f_v, j)
        m = [[dot(a[j], v[y * 5 + x]) for x in range(5)] for y in range(3)]
        found = []
        for y, x in slow_peaks(m, count, radius):
            window = [p * 5 + q for p in range(3) for q in range(5) if max(abs(p - y), abs(q - x)) <= radius]
            weights = soft([m[k // 5][k % 5] / tau for k in window])
            found.append(unit(mixed(weights, [v[k] for k in window])))
        for i in range(3):
            scores[i][j] = max(dot(a[i], o) for o in found) / tau
    total = 0.0
    for i in range(3):
        total -= math.log(soft(scores[i])[i]) + math.log(soft([scores[j][i] for j in range(3)])[i])
    found = avobject.loss(f_a, f_v, tau=tau, count=count, radius=radius)
    assert found.item() == pytest.approx(total / 3, rel=1e-9)


def test_avobject_by_hand() -> None:
    """The peaks of a row, one apart; where there is no room the first location fills up."""
    m = torch.tensor([[[0.1, 0.5, 0.9, 0.8, 0.2, 0.3]]])
    assert avobject.peaks(m, count=4, radius=1).tolist() == [[2, 5, 0, 0]]
    with pytest.raises(ValueError, match="`count` must be at least 1; got 0"):
        avobject.peaks(m, count=0)
    with pytest.raises(ValueError, match="`radius` must be at least 0; got -1"):
        avobject.peaks(m, radius=-1)


# DMC


def test_dmc_is_the_loop() -> None:
    u, tau = normal(7, 2, 3, 4, 5, dtype=torch.float64), 0.3
    shares, centres = dmc.clustered(u, tau=tau, turns=3)
    for b in range(2):
        v = [[unit(u[b, n, :, k].tolist()) for k in range(5)] for n in range(3)]
        s = [[1.0] * 5 for _ in range(3)]
        for _ in range(3):
            c = [[x / sum(s[n]) for x in mixed(s[n], v[n])] for n in range(3)]
            columns = [soft([dot(v[n][k], unit(c[n])) / tau for n in range(3)]) for k in range(5)]
            s = [[columns[k][n] for k in range(5)] for n in range(3)]
        torch.testing.assert_close(shares[b], torch.tensor(s, dtype=torch.float64))
        torch.testing.assert_close(centres[b], torch.tensor(c, dtype=torch.float64))


def test_dmc_margin_is_the_loop() -> None:
    heard, centres = (normal(seed, 3, 2, 4, dtype=torch.float64) for seed in (8, 9))
    s = [
        [sum(dot(unit(heard[i, n].tolist()), unit(centres[j, n].tolist())) for n in range(2)) / 2 for j in range(3)]
        for i in range(3)
    ]
    total = 0.0
    for i in range(3):
        for j in {0, 1, 2} - {i}:
            total += max(0, s[i][j] - s[i][i] + 0.5) + max(0, s[j][i] - s[i][i] + 0.5)
    assert dmc.loss(heard, centres).item() == pytest.approx(total / 12, rel=1e-9)


def test_dmc_by_hand() -> None:
    """The second cluster sees one location upside down; seen from the first centres, both clusters fit alike."""
    u = torch.tensor([[[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, -1.0]]]])
    shares, centres = dmc.clustered(u, turns=1)
    torch.testing.assert_close(shares, torch.full((1, 2, 2), 0.5))
    torch.testing.assert_close(centres, torch.tensor([[[0.5, 0.5], [0.5, -0.5]]]))
    with pytest.raises(ValueError, match="`turns` must be at least 1; got 0"):
        dmc.clustered(u, turns=0)
    with pytest.raises(ValueError, match="`margin` must be at least 0; got -1"):
        dmc.loss(centres, centres, margin=-1)


# All of them


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "lvs": lvs.loss,
    "slavc": lambda a, v: slavc.loss(slavc.Projected(a, v, a, v), slavc.Projected(a, v, a, v)),
    "fnac": fnac.loss,
    "attention10k": lambda a, v: attention10k.loss(a, v, OTHER),
    "sspl": lambda a, v: sspl.loss(a, a, *(sspl.pooled(a, v),) * 2),
    "avobject": avobject.loss,
    "dmc": lambda a, v: dmc.loss(a.unsqueeze(1), dmc.clustered(v.flatten(2).unsqueeze(1))[1]),
}
WORST = {
    "constant": (torch.eye(2), torch.eye(2).view(2, 2, 1, 1).expand(2, 2, 3, 3)),
    "opposite": (torch.eye(2), -torch.eye(2).view(2, 2, 1, 1).expand(2, 2, 3, 3)),
    "twins": (torch.ones(2, 2), torch.ones(2, 2, 3, 3)),
    "nothing": (torch.zeros(2, 2), torch.zeros(2, 2, 3, 3)),
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("case", WORST)
def test_stays_finite(name: str, case: str) -> None:
    f_a, f_v = (x.clone().requires_grad_() for x in WORST[case])
    found = LOSSES[name](f_a, f_v)
    assert found.isfinite()
    found.backward()
    assert all(x.grad is None or x.grad.isfinite().all() for x in (f_a, f_v))


@pytest.mark.parametrize("name", ["lvs", "slavc", "attention10k", "avobject", "fnac"])
def test_refuses_a_temperature(name: str) -> None:
    f_a, f_v = pairs(0, b=2)
    same = slavc.Projected(f_a, f_v, f_a, f_v)
    calls: dict[str, Callable[[], Tensor]] = {
        "lvs": lambda: lvs.loss(f_a, f_v, tau=0),
        "slavc": lambda: slavc.loss(same, same, tau=0),
        "attention10k": lambda: attention10k.loss(f_a, f_v, OTHER, tau=0),
        "avobject": lambda: avobject.loss(f_a, f_v, tau=0),
        "fnac": lambda: fnac.loss(f_a, f_v, tau=0),
    }
    with pytest.raises(ValueError, match="`tau` must be above 0; got 0"):
        calls[name]()


def test_refuses_other_numbers() -> None:
    f_a, f_v = pairs(0, b=2)
    with pytest.raises(ValueError, match="`width` must be above 0; got 0"):
        lvs.loss(f_a, f_v, width=0)
    with pytest.raises(ValueError, match=r"`low` must not exceed `high`; got 0.7 and 0.65"):
        lvs.loss(f_a, f_v, low=0.7)
    with pytest.raises(ValueError, match="`weight` must be at least 0; got -1"):
        fnac.loss(f_a, f_v, weight=-1)
    with pytest.raises(ValueError, match="`tau` must be above 0; got 0"):
        dmc.clustered(f_v.flatten(2).unsqueeze(1), tau=0)
