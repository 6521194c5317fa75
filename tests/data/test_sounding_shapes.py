"""Sounding Shapes drawn: one seed makes one set, the set is fair, and its masks and sounds are right."""

import hashlib
import subprocess
import sys
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
import torch

from tests.helpers.values import ROOT
from uspl import metrics
from uspl.audio import vggish_patches
from uspl.data.synthetic import generate
from uspl.data.synthetic.classes import KINDS
from uspl.data.synthetic.render import RATE, render, sound
from uspl.data.synthetic.scene import Scene, Settings, labels, outline, scene, used_frames

STANDARD, HARD = (generate.settings({"level": level})[0] for level in ("standard", "hard"))


@lru_cache(maxsize=8)
def scenes(s: Settings, split: str, n: int) -> tuple[Scene, ...]:
    return tuple(scene(s, split, i) for i in range(n))


def maps(s: Settings, n: int) -> torch.Tensor:
    frames = used_frames(s)[:1]
    return torch.from_numpy(np.stack([labels(one.things, f, s.size) for one in scenes(s, "val", n) for f in frames]))


# The same clip, bit for bit


def arrays(s: Settings, split: str, index: int) -> list[bytes]:
    film = render(scene(s, split, index), s)
    return [a.tobytes() for a in (film.frames, film.objects, film.wave, film.swap) if a is not None]


@pytest.mark.parametrize("s", [STANDARD, HARD], ids=["standard", "hard"])
def test_same_seed_same_clip(s: Settings) -> None:
    assert arrays(s, "train", 5) == arrays(s, "train", 5)


@pytest.mark.parametrize(
    "other", [(replace(STANDARD, seed=2), "train", 5), (STANDARD, "val", 5), (STANDARD, "train", 13)]
)
def test_seed_split_and_index_all_matter(other: tuple[Settings, str, int]) -> None:
    assert all(a != b for a, b in zip(arrays(STANDARD, "train", 5), arrays(*other), strict=True))


def test_another_process_draws_the_same() -> None:
    code = (
        "import hashlib; from uspl.data.synthetic import render, scene; "
        "s = scene.Settings(); f = render.render(scene.scene(s, 'test', 3), s);"
        "print(hashlib.sha256(f.frames.tobytes() + f.objects.tobytes() + f.wave.tobytes()).hexdigest())"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "data_scripts", capture_output=True, text=True, check=True
    )
    assert out.stdout.strip() == hashlib.sha256(b"".join(arrays(STANDARD, "test", 3)[:3])).hexdigest()


@pytest.mark.parametrize(
    ("index", "first"),
    [
        (159, [(61.48, 22.25), (63.68, 70.36)]),
        (855, [(80.44, 88.19), (81.63, 26.40), (27.45, 25.11)]),
    ],
)
def test_no_processor_draws_other_clips(index: int, first: list[tuple[float, float]]) -> None:
    """Objects that have just been pushed apart may count as too close by the last bit, which BLAS rounds as it likes.

    So it was here on processors with AVX-512; the places are those that every other processor drew.
    """
    found = [thing.track[0, :2] for thing in scene(STANDARD, "train", index).things]
    assert np.allclose(found, first, atol=0.01)


# A fair set


@pytest.mark.parametrize("s", [STANDARD, HARD], ids=["standard", "hard"])
def test_places_and_sight_follow_one_rule(s: Settings) -> None:
    for one in scenes(s, "val", 60):
        for frame in used_frames(s):
            seen = np.bincount(labels(one.things, frame, s.size).ravel(), minlength=8)
            for i, a in enumerate(one.things):
                assert s.radius[0] * s.size <= a.radius <= s.radius[1] * s.size
                assert (a.track[:, :2] >= 0.75 * a.radius - 1e-6).all()
                assert (a.track[:, :2] <= s.size - 0.75 * a.radius + 1e-6).all()
                assert seen[a.role] >= 0.65 * np.pi * a.radius**2 * (outline(a) ** 2).mean() - 1e-6
                for b in one.things[:i]:
                    far = np.hypot(*(a.track[frame, :2] - b.track[frame, :2]))
                    assert far >= 0.8 * (a.radius + b.radius) - 1e-6


def test_casts() -> None:
    for s, least, most in ((STANDARD, 2, 3), (HARD, 3, 5)):
        for one in scenes(s, "val", 60):
            kinds = [t.kind for t in one.things if t.kind >= 0]
            assert least <= len(one.things) <= most
            assert len(set(kinds)) == len(kinds)  # no class twice
            assert sorted(t.role for t in one.things) == list(range(1, len(one.things) + 1))
            assert one.heard == next(t.kind for t in one.things if t.role == 1)
            assert one.swap >= 0  # the first distractor could sound
    heard = [one.category for one in scenes(STANDARD, "val", 64)]
    assert {heard.count(c) for c in set(heard)} == {8}


def test_objects_drift() -> None:
    moved = [np.hypot(*(t.track[-1] - t.track[0])[:2]) for one in scenes(STANDARD, "val", 60) for t in one.things]
    steps = [
        np.hypot(*np.diff(t.track[:, :2], axis=0).T).max() for one in scenes(STANDARD, "val", 60) for t in one.things
    ]
    assert np.median(moved) > 10
    assert max(steps) < 12


@pytest.mark.parametrize("s", [STANDARD, HARD], ids=["standard", "hard"])
def test_size_place_and_order_tell_nothing(s: Settings) -> None:
    """Guessing by any such cue picks the sounding object about once in as many objects (within 3.5 standard errors)."""
    frame = used_frames(s)[0]
    cues = {
        "largest": lambda t: t.radius,
        "smallest": lambda t: -t.radius,
        "front": lambda t: t.z,
        "central": lambda t: -np.hypot(*(t.track[frame, :2] - s.size / 2)),
        "left": lambda t: -t.track[frame, 0],
        "top": lambda t: -t.track[frame, 1],
        "fast": lambda t: np.hypot(*np.diff(t.track[:2, :2], axis=0)[0]),
        "stretched": lambda t: t.stretch,
    }
    chances = np.array([1 / len(one.things) for one in scenes(s, "val", 240)])
    for name, cue in cues.items():
        hits = np.array([max(one.things, key=cue).role == 1 for one in scenes(s, "val", 240)])
        excess = (hits - chances).sum() / np.sqrt((chances * (1 - chances)).sum())
        assert abs(excess) < 3.5, f"{name}: {excess:.1f} standard errors"


def test_floors_of_the_standard_level() -> None:
    objects = maps(STANDARD, 240)
    floor = metrics.floors((objects == 1).float(), objects)
    assert floor["whole_image"] <= 0.22
    assert floor["centre_box"] <= 0.30
    assert floor["every_object"] <= 0.45
    assert floor["largest_object"] <= 0.50


def test_floors_of_the_hard_level() -> None:
    objects = maps(HARD, 240)
    floor = metrics.floors((objects == 1).float(), objects)
    assert floor["every_object"] <= 0.30
    assert max(floor.values()) <= 0.33


def test_hard_objects_of_a_class_look_different() -> None:
    """The spread of mean colour within a class, over its body, is wider on the hard level."""

    def spread(s: Settings) -> float:
        found = []
        for i in range(4):
            one = scene(s, "val", i * s.classes)  # always the first class
            film, frame = render(one, s), used_frames(s)[0]
            found.append(film.frames[frame][film.objects[0] == 1].mean(axis=0))
        return float(np.std(found, axis=0).mean())

    assert spread(HARD) > 1.5 * spread(STANDARD)


def test_negatives() -> None:
    for one in scenes(HARD, "negative", 12):
        assert all(t.role != 1 for t in one.things)
        film = render(one, HARD)
        assert not (film.objects == 1).any()
        assert (film.objects == 2).any()
        if one.category == "silent":
            assert not film.wave.any()
        else:
            assert one.category == "off_screen"
            assert one.heard not in [t.kind for t in one.things]
            assert film.wave.std() > 0.01


# Masks and sounds


@pytest.mark.parametrize("index", range(4))
def test_mask_is_where_the_sounding_object_is_drawn(index: int) -> None:
    """Without the object the frame changes inside the mask and nowhere else."""
    one = scene(STANDARD, "val", index)
    looks = render(one, STANDARD)
    for k, frame in enumerate(used_frames(STANDARD)):
        mask = looks.objects[k] == 1
        gone = tuple(replace(t, track=np.add(t.track, (1e4, 0, 0))) if t.role == 1 else t for t in one.things)
        changed = (render(replace(one, things=gone), STANDARD).frames[frame] != looks.frames[frame]).any(axis=2)
        assert (changed & mask).sum() / (changed | mask).sum() > 0.9


def spectrum(wave: np.ndarray) -> torch.Tensor:
    """Mean log-mel column of one second, loudness removed."""
    column = vggish_patches(torch.from_numpy(wave), RATE).mean(dim=(0, 1, 2))
    return column - column.mean()


def test_every_second_tells_its_class() -> None:
    """The nearest of twelve class means names a second that was not used for the means."""
    heard = [[sound(np.random.default_rng([kind, i]), kind, 3 * RATE) for i in range(4)] for kind in range(12)]
    known = torch.stack([torch.stack([spectrum(w[:RATE]) for w in of]) for of in heard])[:, :3]
    asked = torch.stack(
        [torch.stack([spectrum(w[k * RATE : (k + 1) * RATE]) for w in of[3:] for k in range(3)]) for of in heard]
    )
    spread = known.flatten(0, 1).std(0)
    guess = torch.cdist(asked.flatten(0, 1) / spread, known.mean(1) / spread).argmin(1).view(12, -1)
    assert (guess == torch.arange(12)[:, None]).float().mean().item() > 0.9  # chance is 0.08


@pytest.mark.parametrize("kind", range(12), ids=[k.name for k in KINDS])
def test_every_second_is_heard(kind: int) -> None:
    for i in range(5):
        wave = sound(np.random.default_rng(i), kind, 3 * RATE)
        assert np.abs(wave).max() <= 0.8 + 1e-6
        loud = wave.reshape(3, RATE).std(axis=1)
        assert loud.min() > 0.6 * loud.max()
