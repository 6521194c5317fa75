"""The cast of Sounding Shapes: what each class looks and sounds like."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def _tri(x: Array) -> Array:
    """Triangle wave of period 2 pi: 1 at 0, 0 at pi."""
    return np.abs((x / np.pi) % 2 - 1)


@dataclass(frozen=True)
class Body:
    """Outline rho(theta) in (0, 1], texture over (u, v) in [-1, 1], and two colours (hue, saturation, value)."""

    name: str
    outline: Callable[[Array], Array]
    texture: Callable[[Array, Array], Array]
    light: tuple[float, float, float]
    dark: tuple[float, float, float]


def _squircle(a: Array) -> Array:
    return 0.841 / (np.cos(a) ** 4 + np.sin(a) ** 4) ** 0.25


BODIES = (
    Body(
        "star",
        lambda a: 0.56 + 0.44 * _tri(5 * a) ** 1.1,
        lambda u, v: np.sin(11 * u),
        light=(0.13, 0.75, 1.0),
        dark=(0.07, 0.9, 0.85),
    ),
    Body(
        "flower",
        lambda a: 0.8 + 0.2 * np.cos(6 * a),
        lambda u, v: np.cos(9 * u) * np.cos(9 * v) - 0.15,
        light=(0.92, 0.25, 1.0),
        dark=(0.9, 0.7, 0.8),
    ),
    Body(
        "gear",
        lambda a: 0.87 + 0.13 * np.tanh(4 * np.cos(9 * a)),
        lambda u, v: np.sin(8 * u) * np.sin(8 * v),
        light=(0.58, 0.2, 0.95),
        dark=(0.6, 0.65, 0.6),
    ),
    Body(
        "clover",
        lambda a: 0.74 + 0.26 * np.cos(3 * a),
        lambda u, v: np.sin(13 * np.hypot(u, v)),
        light=(0.3, 0.5, 0.95),
        dark=(0.36, 0.8, 0.5),
    ),
    Body(
        "tile",
        _squircle,
        lambda u, v: np.sin(10 * v + 1.4 * np.sin(7 * u)),
        light=(0.02, 0.3, 0.95),
        dark=(0.0, 0.75, 0.6),
    ),
    Body(
        "leaf",
        lambda a: 1 - 0.52 * np.abs(np.sin(a)) ** 0.8,
        lambda u, v: np.sin(12 * (u + np.abs(v))),
        light=(0.47, 0.35, 0.95),
        dark=(0.5, 0.85, 0.45),
    ),
    Body(
        "stone",
        lambda a: 0.84 + 0.1 * np.cos(2 * a) + 0.06 * np.cos(3 * a + 1),
        lambda u, v: np.sin(9 * u + 3 * np.sin(5 * v)) * np.sin(7 * v - u),
        light=(0.09, 0.12, 0.8),
        dark=(0.75, 0.1, 0.4),
    ),
)
STONE = len(BODIES) - 1

# A pattern of a unit disc: rho, phi, u, v -> positive where the first colour shows.
EMITTERS: tuple[Callable[[Array, Array, Array, Array], Array], ...] = (
    lambda p, a, u, v: np.cos(3 * np.pi * p),  # target
    lambda p, a, u, v: 0.28 - np.minimum(np.abs(u), np.abs(v)),  # cross
    lambda p, a, u, v: np.cos(3 * a),  # three blades
    lambda p, a, u, v: np.sin(2.5 * np.pi * u),  # bars
    lambda p, a, u, v: np.sin(2 * a),  # quarters
    lambda p, a, u, v: np.sin(7 * p - a),  # spiral
    lambda p, a, u, v: 0.5 - p,  # dot
    lambda p, a, u, v: u,  # halves
    lambda p, a, u, v: 0.62 - np.abs(u) - np.abs(v),  # diamond
    lambda p, a, u, v: 0.5 - np.hypot(u - 0.35, v),  # moon
    lambda p, a, u, v: np.cos(6 * a) * (p - 0.3),  # pie
    lambda p, a, u, v: 0.35 - np.abs(p - 0.55),  # ring
)


@dataclass(frozen=True)
class Kind:
    """A sounding class: the body it shares with one other class, its emitter disc and its sound."""

    name: str
    body: int
    emitter: int
    colours: tuple[tuple[float, float, float], tuple[float, float, float]]  # hue, saturation, value
    f0: float  # Hz
    recipe: str
    envelope: str
    band: float  # Hz, centre of its noise band


KINDS = (
    Kind("star_bell", 0, 0, ((0.16, 0.05, 1.0), (0.75, 0.8, 0.45)), 660.0, "bell", "struck", 5200),
    Kind("star_reed", 0, 1, ((0.33, 0.9, 0.75), (0.0, 0.0, 0.1)), 220.0, "odd", "tremolo", 1800),
    Kind("flower_flute", 1, 2, ((0.55, 0.8, 1.0), (0.66, 0.9, 0.4)), 880.0, "pure", "swell", 3300),
    Kind("flower_drum", 1, 3, ((0.15, 0.8, 1.0), (0.05, 0.9, 0.3)), 130.0, "bell", "pulses", 900),
    Kind("gear_horn", 2, 4, ((0.0, 0.95, 0.95), (0.14, 0.1, 1.0)), 300.0, "full", "ramp", 1200),
    Kind("gear_whistle", 2, 5, ((0.86, 0.7, 1.0), (0.3, 0.9, 0.25)), 1500.0, "pure", "tremolo", 6500),
    Kind("clover_harp", 3, 6, ((0.08, 0.9, 1.0), (0.64, 0.9, 0.6)), 440.0, "full", "struck", 2500),
    Kind("clover_buzzer", 3, 7, ((0.78, 0.6, 0.9), (0.16, 0.9, 1.0)), 170.0, "odd", "pulses", 4200),
    Kind("tile_organ", 4, 8, ((0.5, 0.9, 0.9), (0.0, 0.0, 0.05)), 370.0, "full", "swell", 700),
    Kind("tile_siren", 4, 9, ((0.62, 0.9, 1.0), (0.12, 0.2, 1.0)), 1080.0, "odd", "ramp", 2100),
    Kind("leaf_chime", 5, 10, ((0.95, 0.9, 0.9), (0.5, 0.05, 1.0)), 1250.0, "bell", "struck", 7000),
    Kind("leaf_bass", 5, 11, ((0.12, 0.9, 1.0), (0.8, 0.8, 0.25)), 95.0, "full", "tremolo", 500),
)
RECIPES = {  # partials: (multiple of f0, amplitude)
    "full": tuple((k, 1 / k) for k in range(1, 9)),
    "odd": tuple((k, 1 / k**0.8) for k in range(1, 14, 2)),
    "bell": ((1.0, 1.0), (2.01, 0.6), (2.76, 0.5), (4.07, 0.35), (5.4, 0.25)),
    "pure": ((1.0, 1.0), (2.0, 0.12)),
}
ENVELOPES: dict[str, tuple[float, Callable[[Array], Array]]] = {  # repeats per second, level over phase in [0, 1)
    "struck": (3.0, lambda p: np.minimum(1, p * 60) * np.exp(-4.0 * p)),
    "tremolo": (7.0, lambda p: 0.55 + 0.45 * np.sin(2 * np.pi * p)),
    "swell": (2.0, lambda p: 0.15 + 0.85 * np.sin(np.pi * p) ** 2),
    "pulses": (5.0, lambda p: 0.5 - 0.5 * np.tanh(30 * (np.abs(p - 0.5) - 0.25))),
    "ramp": (4.0, lambda p: p**1.5 * np.minimum(1, (1 - p) * 25)),
}
