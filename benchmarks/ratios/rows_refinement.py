"""Section 3.2: refinement, labels, affinity, its loss, and the walk, against the equations with full matrices."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.machine import without_numba
from benchmarks.ratios import naive
from benchmarks.ratios.row import Make, Row, Side, normal, random, share
from uspl import refine, walk
from uspl.affinity import affinity, affinity_labels, affinity_loss, offsets
from uspl.kernels import affinity_autograd

GRID, CHANNELS, R, BETA, T = 56, 256, 7, 10.0, 8  # sections 3.2 and 4.1 of the paper
ON_GRID = f"{GRID} x {GRID}, r = {R}"
PATHS: dict[str, Callable[[Callable[..., Any]], Callable[..., Any]]] = {
    "plain": without_numba,
    "numba": lambda call: call,
}


def variants(
    base: Callable[[], object],
    ours: Callable[..., object],
    difference: Callable[[Any, Any], float] = share,
) -> dict[str, Side]:
    """The plain path and the compiled one against the same reference."""
    return {name: Side(base, path(ours), difference=difference) for name, path in PATHS.items()}


def refinement(kind: str, batch: int) -> Make:
    """PAMR or PAR of one map per image, 112 x 112, 10 iterations."""

    def make(device: torch.device) -> dict[str, Side]:
        image, m = random(0, batch, 3, 112, 112, device=device), random(1, batch, 1, 112, 112, device=device)
        base, ours = getattr(naive, kind), getattr(refine, kind)
        return variants(lambda: base(image, m), partial(ours, image, m))

    return make


def labels(device: torch.device) -> dict[str, Side]:
    """Labels of Eq. (6) for 8 tri-maps."""
    y, close = tri_map(8, device), naive.near(GRID, GRID, R, "chebyshev").to(device)
    ours = partial(affinity_labels, y, r=R, metric="chebyshev")
    side = Side(lambda: naive.labels(y, close), ours, difference=lambda a, b: share(half(a, "chebyshev", 255), b))
    return {"plain": side}


def loss(metric: str) -> Make:
    """Eqs. (3), (6) for one image, forward and backward."""

    def make(device: torch.device) -> dict[str, Side]:
        f, y = features(1, device).requires_grad_(), tri_map(1, device)
        close = naive.near(GRID, GRID, R, metric).to(device)

        def base() -> object:
            value = naive.affinity_loss(f, y, close)
            return value, *torch.autograd.grad(value, f)

        def ours() -> object:
            value = affinity_loss(f, y, r=R, metric=metric)
            return value, *torch.autograd.grad(value, f)

        return variants(base, ours)

    return make


def fine_map(device: torch.device) -> dict[str, Side]:
    """Eqs. (3), (7), (8) for one image."""
    f, m = features(1, device), smooth(1, device)
    close = naive.near(GRID, GRID, R, "chebyshev").to(device)

    def ours() -> object:
        a = affinity(f, r=R, metric="chebyshev")
        return walk.random_walk(m, a, beta=BETA, t=T, r=R, metric="chebyshev")

    return variants(lambda: naive.fine_map(f, m, close, beta=BETA, t=T), ours)


def walks(device: torch.device) -> dict[str, Side]:
    """Eqs. (7), (8) for one map, the affinities given."""
    a, dense, m = affinities(device)
    ours = partial(walk.random_walk, m, a, beta=BETA, t=T, r=R, metric="chebyshev")
    return variants(lambda: naive.walk(m, dense, beta=BETA, t=T), ours)


def powers(device: torch.device) -> dict[str, Side]:
    """Eq. (8) by the power of T, T given to the reference only."""
    a, dense, m = affinities(device)
    matrix = naive.transition(dense, BETA)
    ours = partial(walk.random_walk, m, a, beta=BETA, t=T, r=R, metric="chebyshev")
    return variants(lambda: naive.walk_by_power(m, matrix, t=T), ours)


def gradient(device: torch.device) -> dict[str, Side]:
    """Eqs. (7), (8) forward and backward: gradients of the map and of the affinities."""
    a, dense, m = (x.requires_grad_() for x in affinities(device))
    pull = normal(4, 1, GRID, GRID, device=device)

    def base() -> object:
        return torch.autograd.grad(naive.walk(m, dense, beta=BETA, t=T), (m, dense), pull)

    def ours() -> object:
        fine = walk.random_walk(m, a, beta=BETA, t=T, r=R, metric="chebyshev")
        return torch.autograd.grad(fine, (m, a), pull)

    def difference(expected: Any, got: Any) -> float:
        (m_e, dense_e), (m_g, a_g) = expected, got
        # One number of ours stands for both orders of a pair.
        return share((m_e, half(dense_e + dense_e.transpose(1, 2), "chebyshev", 0)), (m_g, a_g))

    return variants(base, ours, difference)


def features(batch: int, device: torch.device) -> Tensor:
    """F_aff (B, 256, 56, 56) that changes over a few pixels, so that affinities spread over (0, 1)."""
    coarse = normal(3, batch, CHANNELS, 14, 14)
    fine = F.interpolate(coarse, size=(GRID, GRID), mode="bicubic", align_corners=False)
    return fine.contiguous(memory_format=torch.channels_last).to(device)  # as PMV-aff gives them


def smooth(batch: int, device: torch.device) -> Tensor:
    """Maps (B, 56, 56) in [0, 1] that change slowly, as sounding maps do."""
    m = F.interpolate(random(2, batch, 1, 7, 7), size=(GRID, GRID), mode="bicubic", align_corners=False)
    return m.clamp(0, 1).squeeze(1).to(device)


def tri_map(batch: int, device: torch.device) -> Tensor:
    """Eq. (5) of such maps, with the thresholds of Table 7."""
    return refine.trimap(smooth(batch, device), beta_l=0.4, beta_h=0.55)


def affinities(device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """A of one image as half plane (1, K, h, w) and as matrix (1, n, n), and a map."""
    dense = naive.affinity(features(1, device), naive.near(GRID, GRID, R, "chebyshev").to(device))
    return half(dense, "chebyshev", 0), dense, smooth(1, device)


def half(dense: Tensor, metric: str, outside: float) -> Tensor:
    """What a matrix (B, n, n) says about the half-plane neighbours: (B, K, h, w), `outside` where there is none."""
    offs, index = offsets(R, metric=metric), torch.arange(GRID * GRID).view(GRID, GRID)
    found = torch.full((len(dense), len(offs), GRID, GRID), outside, dtype=dense.dtype, device=dense.device)
    for k, (here, there) in enumerate(affinity_autograd.areas(offs, GRID, GRID)):
        found[(slice(None), k, *here)] = dense[:, index[here], index[there]]
    return found


_SIZE = "image and map 112 x 112, 48 neighbours, 10 iterations"
_WALK = f"{ON_GRID}, square, beta = {BETA:g}, t = {T}"
_LOSS = f"{ON_GRID}, {CHANNELS} channels, 1 image"
_SQUARE = ((2 * R + 1) ** 2 - 1) // 2  # half of the neighbours in a square
_FLOAT = 4  # bytes
# Kind, batch, goals, goal of the peak.
_REFINED = (
    ("pamr", 1, {"plain": 5, "numba": 10}, 8),
    ("pamr", 8, {"plain": 6, "numba": 15}, 8),
    ("par", 1, {"plain": 2.3, "numba": 10}, 0),
    ("par", 8, {"plain": 4, "numba": 15}, 0),
)
# Name, metric, shape of the neighbourhood.
_LOSSES = (
    ("affinity-loss", "chebyshev", "square neighbourhood"),
    ("affinity-loss-disc", "euclidean", "round neighbourhood, the library's default"),
)
ROWS = [
    *(
        Row(
            f"{kind}-b{batch}",
            f"Eq. 4, {kind.upper()}, against unfold per dilation",
            f"{_SIZE}, batch {batch}",
            refinement(kind, batch),
            1e-5,
            goals,
            peak=peak,
            traffic=batch * 5 * _FLOAT * 112**2,
        )
        for kind, batch, goals, peak in _REFINED
    ),
    Row(
        "labels-b8",
        "labels of Eq. 6 against every pixel compared with every pixel",
        f"{ON_GRID}, square, batch 8",
        labels,
        0,
        {"plain": 250},
        peak=0,
        traffic=8 * (1 + _SQUARE) * GRID**2,
    ),
    *(
        Row(
            name,
            "Eqs. 3 and 6, forward and backward, against cdist and a mask",
            f"{_LOSS}, {shape}",
            loss(metric),
            1e-5,
            {"plain": 40, "numba": 120},
            peak=20,
            traffic=3 * _FLOAT * CHANNELS * GRID**2,
        )
        for name, metric, shape in _LOSSES
    ),
    Row(
        "fine-map",
        "Eqs. 3, 7 and 8, features to fine map, against cdist and products of matrix and vector",
        f"{_WALK}, {CHANNELS} channels, 1 image",
        fine_map,
        1e-5,
        {"plain": 50, "numba": 200},
        peak=8,
        traffic=_FLOAT * (CHANNELS + 2) * GRID**2,
    ),
    Row(
        "walk",
        "Eqs. 7 and 8 against products of matrix and vector, with T built",
        f"{_WALK}, 1 map",
        walks,
        1e-5,
        {"plain": 14, "numba": 60},
        peak=8,
        traffic=_FLOAT * (_SQUARE + 2) * GRID**2,
    ),
    Row(
        "walk-power",
        "Eqs. 7 and 8 against the power of T, with T given to the reference",
        f"{_WALK}, 1 map",
        powers,
        1e-5,
        traffic=_FLOAT * (_SQUARE + 2) * GRID**2,
    ),
    Row(
        "walk-gradient",
        "gradient of Eqs. 7 and 8 against products of matrix and vector, with T built",
        f"{_WALK}, 1 map",
        gradient,
        1e-4,
        {"plain": 12, "numba": 30},
        peak=0,
        traffic=_FLOAT * (2 * _SQUARE + 3) * GRID**2,
    ),
]
