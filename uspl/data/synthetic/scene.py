"""A scene of Sounding Shapes as numbers: who is there, who is heard, how all move, and the exact masks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import numpy as np

from uspl.data.synthetic.classes import BODIES, KINDS, STONE, Array

SPLITS = ("train", "val", "test", "negative")

# The number of the test split changes whenever a recipe was chosen again: its clips must not have been looked at.
STREAMS = {"train": 0, "val": 1, "test": 4, "negative": 3}


@dataclass(frozen=True)
class Settings:
    """What a clip depends on besides split and index. Lengths are shares of the image side."""

    seed: int = 1
    size: int = 112  # pixels, side of the square film
    fps: int = 8  # frames per second
    seconds: int = 3  # length of a clip; each second gives one (frame, sound) pair
    classes: int = 8  # sounding classes, at most 12
    distractors: tuple[int, int] = (1, 2)  # silent objects beside the sounding one
    radius: tuple[float, float] = (0.22, 0.36)  # of every object, sounding or not
    clutter: int = 14  # strokes behind the objects
    texture_variation: float = 0.0  # 0: objects of a class share one texture; 1: colours, pattern, light all vary
    mute: float = 0.15  # probability that the last distractors belong to no sounding class


@dataclass(frozen=True)
class Thing:
    """One object. Lengths in pixels, angles in radians; `track` holds x, y, angle for each frame."""

    kind: int  # index in KINDS, or -1 for a stone, which never sounds
    role: int  # its label: 1 sounding, 2 first distractor, 3.. the others
    radius: float
    z: int  # drawing order, 0 first
    track: Array  # (frames, 3)
    stretch: float  # how strongly the outline departs from a circle

    @property
    def body(self) -> int:
        return KINDS[self.kind].body if self.kind >= 0 else STONE


@dataclass(frozen=True)
class Scene:
    split: str
    index: int
    category: str
    heard: int  # kind that is heard; -1 for silence
    things: tuple[Thing, ...]  # in drawing order

    @property
    def name(self) -> str:
        return f"{self.split}_{self.index:05d}"

    @property
    def swap(self) -> int:
        """Kind of the first distractor, whose sound the swap test plays; -1 if there is none."""
        return next((t.kind for t in self.things if t.role == 2), -1)


def used_frames(s: Settings) -> list[int]:
    """The frame on screen at 15/16 of each second: the one AVSBench's protocol cuts."""
    return [int((k + 15 / 16) * s.fps) for k in range(s.seconds)]


def generator(s: Settings, split: str, index: int, stream: int) -> np.random.Generator:
    """Randomness of one clip; scene, looks, sound and swap sound each have a stream of their own."""
    return np.random.default_rng([s.seed, STREAMS[split], index, stream])


def scene(s: Settings, split: str, index: int) -> Scene:
    """Draw who is there, who is heard, and how all move. Size, place and order tell nothing about the roles.

    >>> one = scene(Settings(), "train", 0)
    >>> one.category, sorted(t.role for t in one.things)[0]
    ('star_bell', 1)
    """
    rng = generator(s, split, index, 0)
    heard, kinds, roles = _cast(rng, s, split, index)
    while True:
        things = _place(rng, s, kinds, roles)
        if things is not None and _in_sight(things, s):
            break
    return Scene(split, index, category(s, split, index), heard, things)


def category(s: Settings, split: str, index: int) -> str:
    """Folder of a clip, known without drawing it: the class heard; in `negative` what is wrong with its sound."""
    if split == "negative":
        return ("off_screen", "silent")[index % 2]
    return KINDS[index % s.classes].name


def _cast(rng: np.random.Generator, s: Settings, split: str, index: int) -> tuple[int, list[int], list[int]]:
    """The class heard, and class and role of each object. Sounding classes take turns, so that all are equally many."""
    silent = int(rng.integers(s.distractors[0], s.distractors[1] + 1))
    drawn = rng.permutation(s.classes)
    heard = (index // 2 if split == "negative" else index) % s.classes
    others = [int(k) for k in drawn if k != heard][: max(silent, 1) if split == "negative" else silent]
    others = [k if i == 0 or rng.random() >= s.mute else -1 for i, k in enumerate(others)]
    if split == "negative":
        return (heard if index % 2 == 0 else -1), others, list(range(2, 2 + len(others)))
    return heard, [heard, *others], list(range(1, 2 + len(others)))


def _place(rng: np.random.Generator, s: Settings, kinds: list[int], roles: list[int]) -> tuple[Thing, ...] | None:
    """Radii, places and paths by one rule for all objects; then a random permutation hands out the roles."""
    n, side = len(kinds), float(s.size)
    radius = rng.uniform(*s.radius, n) * side
    low, high = 0.75 * radius[:, None], side - 0.75 * radius[:, None]
    at = rng.uniform(low, high, (n, 2))
    speed, way = rng.uniform(0.04, 0.16, (n, 1)), rng.uniform(0, 2 * np.pi, (n, 1))
    angle, turn = rng.uniform(0, 2 * np.pi, n), rng.uniform(-0.5, 0.5, n)
    stretch, order = rng.uniform(0.88, 1.12, n), rng.permutation(n)
    if _too_close(at, radius):  # most are: nothing is worked out before, but all is drawn
        return None
    step = speed * side / s.fps * np.hstack([np.cos(way), np.sin(way)])
    track = np.empty((s.seconds * s.fps, n, 3))
    for f in range(len(track)):
        track[f] = np.column_stack([at, angle + f * (turn / s.fps)])
        at, step = _drift(at, step, radius, low, high)
    if any(_too_close(track[f, :, :2], radius) for f in used_frames(s)):
        return None
    return tuple(
        Thing(kinds[o], roles[o], float(radius[i]), i, track[:, i].copy(), float(stretch[i]))
        for i, o in enumerate(order)
    )


def _too_close(at: Array, radius: Array) -> bool:
    """Do two objects overlap by more than a fifth? Few numbers: plain Python is faster than NumPy."""
    # Complex numbers: their absolute value is the `hypot` of `_drift`, which leaves objects just touching.
    things = [(complex(*place), r) for place, r in zip(at.tolist(), radius.tolist(), strict=True)]
    return any(abs(a - b) < 0.8 * (r + q) for (a, r), (b, q) in combinations(things, 2))


def _drift(at: Array, step: Array, radius: Array, low: Array, high: Array) -> tuple[Array, Array]:
    """One frame of motion: objects bounce off the border and off one another."""
    at, step = at + step, step.copy()
    for i in range(len(at)):
        for j in range(i):
            line = at[i] - at[j]
            far = float(np.hypot(*line))
            lack = 0.8 * (radius[i] + radius[j]) - far
            if lack > 0 and far > 0:
                line = line / far
                # No `@`: its last bit is the processor's choice, and `_too_close` may turn on it.
                nearing = float(((step[i] - step[j]) * line).sum())
                if nearing < 0:
                    step[i], step[j] = step[i] - nearing * line, step[j] + nearing * line
                at[i], at[j] = at[i] + line * lack / 2, at[j] - line * lack / 2
    step = np.where((at < low) & (step < 0) | (at > high) & (step > 0), -step, step)
    return np.clip(at, low, high), step


def outline(thing: Thing) -> Array:
    """rho at 2048 angles from 0 to 2 pi, as a share of the radius, 1 at most."""
    return _outline(thing.body, thing.stretch)


@lru_cache(maxsize=64)
def _outline(body: int, stretch: float) -> Array:
    rho = BODIES[body].outline(np.linspace(0, 2 * np.pi, 2048, endpoint=False))
    return np.asarray(np.maximum(rho / rho.max(), 1e-3) ** stretch, np.float32)


def labels(things: tuple[Thing, ...], frame: int, size: int) -> Array:
    """Exact label map of one frame: the role of the topmost object whose outline holds the pixel's centre."""
    out = np.zeros((size, size), np.uint8)
    for thing in things:
        x, y, angle = thing.track[frame]
        x0, x1 = max(int(x - thing.radius), 0), min(int(x + thing.radius) + 2, size)
        y0, y1 = max(int(y - thing.radius), 0), min(int(y + thing.radius) + 2, size)
        dx = np.arange(x0, x1)[None, :] + 0.5 - x
        dy = np.arange(y0, y1)[:, None] + 0.5 - y
        rho = outline(thing)
        turn = (np.arctan2(dy, dx) - angle) * (len(rho) / (2 * np.pi))
        inside = np.hypot(dx, dy) < thing.radius * rho[np.floor(turn).astype(np.int64) % len(rho)]
        out[y0:y1, x0:x1][inside] = thing.role
    return out


def _in_sight(things: tuple[Thing, ...], s: Settings) -> bool:
    """Does each object keep 65 % of its pixels in sight in every frame that is used?"""
    whole = [0.5 * float((outline(t) ** 2).mean()) * 2 * np.pi * t.radius**2 for t in things]
    for frame in used_frames(s):
        seen = np.bincount(labels(things, frame, s.size).ravel(), minlength=len(things) + 2)
        if any(seen[t.role] < 0.65 * area for t, area in zip(things, whole, strict=True)):
            return False
    return True
