"""Scenes and films of Sounding Photos: one seed makes one set, the set is fair, masks and sounds are right."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
import torch

from tests.helpers.photo_material import CLASSES, material
from uspl import metrics
from uspl.audio import RATE
from uspl.data.photos.generate import settings
from uspl.data.photos.material import NEVER
from uspl.data.photos.render import Film, render, sound
from uspl.data.photos.scene import SPLITS, Scene, Settings, labels, scene, sprite
from uspl.data.photos.seconds import starts
from uspl.data.prepare.jobs import Refused

STANDARD = Settings(size=128)


@lru_cache(maxsize=8)
def scenes(split: str, n: int) -> tuple[Scene, ...]:
    return tuple(scene(material(), STANDARD, split, i) for i in range(n))


def covers(one: Scene) -> list[np.ndarray]:
    return [np.asarray(sprite(material().photos[t.photo], t).getchannel("A")) for t in one.things]


def maps(split: str, n: int) -> torch.Tensor:
    found = [labels(one.things, covers(one), STANDARD.size) for one in scenes(split, n)]
    return torch.from_numpy(np.stack(found))


def film(split: str, index: int, s: Settings = STANDARD) -> Film:
    return render(scene(material(), s, split, index), material(), s)


def test_same_seed_same_clip() -> None:
    def arrays(*given: object) -> list[bytes]:
        one = film(*given)  # type: ignore[arg-type]
        return [a.tobytes() for a in (one.frames, one.objects, one.wave)]

    assert arrays("train", 5) == arrays("train", 5)
    for other in (("train", 10), ("val", 5), ("train", 5, replace(STANDARD, seed=2))):
        assert all(a != b for a, b in zip(arrays("train", 5), arrays(*other), strict=True))


# A fair set


def test_size_place_and_order_tell_nothing() -> None:
    """Guessing by any such cue picks the sounding object about once in as many objects (within 3.5 standard errors)."""
    cues = {
        "largest": lambda o, t: t.area,
        "front": lambda o, t: o.things.index(t),
        "left": lambda o, t: -t.x,
        "top": lambda o, t: -t.y,
        "lowest": lambda o, t: t.y + t.height / 2,
        "central": lambda o, t: -np.hypot(t.x - 64, t.y - 64),
        "turned": lambda o, t: t.angle,
        "mirrored": lambda o, t: t.mirrored + 1e-6 * t.x,
        "fast": lambda o, t: abs(t.step[0]),
    }
    several = [one for one in scenes("val", 300) if len(one.things) > 1]
    chances = np.array([1 / len(one.things) for one in several])
    for name, cue in cues.items():
        hits = np.array([max(o.things, key=lambda t, o=o, cue=cue: cue(o, t)).role == 1 for o in several])
        excess = (hits - chances).sum() / np.sqrt((chances * (1 - chances)).sum())
        assert abs(excess) < 3.5, f"{name}: {excess:.1f} standard errors"


def test_floors() -> None:
    objects = maps("val", 300)
    several = torch.tensor([len(one.things) > 1 for one in scenes("val", 300)])
    whole = metrics.floors((objects == 1).float(), objects)
    among = metrics.floors((objects[several] == 1).float(), objects[several])
    assert whole["whole_image"] <= 0.25
    assert whole["centre_box"] <= 0.30
    assert among["every_object"] <= 0.47  # where one object is alone, every object is the one that sounds
    assert among["largest_object"] <= 0.50


def test_sizes_and_sight() -> None:
    areas = [t.area for one in scenes("val", 300) for t in one.things]
    assert 0.049 <= min(areas) <= 0.06
    assert 0.4 <= max(areas) <= 0.601
    for one in scenes("val", 100):
        seen = np.bincount(labels(one.things, covers(one), STANDARD.size).ravel(), minlength=5)
        for thing, cover in zip(one.things, covers(one), strict=True):
            assert seen[thing.role] >= 0.65 * (cover >= 128).sum()


def test_casts() -> None:
    m = material()
    numbers = np.bincount([len(one.things) for one in scenes("val", 300)], minlength=4)
    assert (np.abs(numbers[1:] - 100) < 30).all()
    for one in scenes("val", 300):
        owners = [m.photos[t.photo].owner for t in one.things]
        assert sorted(t.role for t in one.things) == list(range(1, len(owners) + 1))
        assert len(set(owners)) == len(owners)
        assert one.heard == next(m.photos[t.photo].owner for t in one.things if t.role == 1)
        assert (one.swap >= 0) == (len(owners) > 1)
        assert one.swap != one.heard
    assert any(m.photos[t.photo].owner == NEVER for one in scenes("val", 300) for t in one.things)
    heard = [one.category for one in scenes("val", 300)]
    assert {heard.count(name) for name in CLASSES} == {60}


@pytest.mark.parametrize("split", [s for s in SPLITS if s != "negative"])
def test_what_each_split_keeps_for_itself(split: str) -> None:
    m = material()
    for one in scenes(split, 40):
        assert {m.photos[t.photo].held for t in one.things} == {split == "new_photo"}
        pool = split if split in ("train", "val", "new_background") else "test"
        assert m.backgrounds[one.background].pool == pool


def test_negatives() -> None:
    for one in scenes("negative", 12):
        shown = render(one, material(), STANDARD)
        assert not (shown.objects == 1).any()
        assert (shown.objects == 2).any()
        if one.category == "silent":
            assert not shown.wave.any()
        else:
            assert one.heard not in [material().photos[t.photo].owner for t in one.things]
            assert shown.wave.std() > 0.01


# Masks and sounds


@pytest.mark.parametrize("index", range(4))
def test_mask_is_where_the_sounding_object_is_drawn(index: int) -> None:
    """With the object's cut-out painted over, the frame changes inside the mask and hardly outside."""
    m = material()
    one = next(o for o in scenes("test", 40)[8 * index :] if len(o.things) > 1)
    sounding = next(t.photo for t in one.things if t.role == 1)
    inverse = m.photos[sounding].pixels.copy()
    inverse[..., :3] = 255 - inverse[..., :3]
    painted = [p._replace(pixels=inverse) if k == sounding else p for k, p in enumerate(m.photos)]
    before, after = render(one, m, STANDARD), render(one, replace(m, photos=tuple(painted)), STANDARD)
    mask = before.objects[0] == 1
    changed = (np.abs(before.frames[-1].astype(int) - after.frames[-1]) > 24).any(axis=2)
    assert (changed & mask).sum() / (changed | mask).sum() > 0.9


def test_objects_move() -> None:
    moved = [np.abs(np.ptp(film("test", k).frames.astype(int), axis=0)).mean() for k in range(4)]
    assert min(moved) > 0.1


def test_sounds() -> None:
    """The tone of the class is the strongest line, at the speed played, and repeats where the recording is short."""
    m, rng = material(), np.random.default_rng(0)
    for owner in range(5):
        for split, hertz in (("test", 200 * (owner + 1)), ("new_recording", 200 * (owner + 1) + 30)):
            wave = sound(rng, m, split, owner, RATE)
            assert wave.dtype == np.float32
            assert 0.3 <= np.abs(wave).max() <= 0.8
            assert abs(np.abs(np.fft.rfft(wave)).argmax() / hertz - 1) < 0.08
    short = replace(m, recordings=tuple(r._replace(wave=r.wave[:4000]) for r in m.recordings))
    wave = sound(rng, short, "test", 0, RATE)
    assert all((wave[k : k + 6000] ** 2).mean() > 0.2 * (wave**2).mean() for k in range(0, RATE - 6000, 1000))


def test_long_recordings_give_each_split_seconds_of_its_own() -> None:
    wave = np.random.default_rng(0).standard_normal(10 * RATE).astype(np.float32)
    wave[: 2 * RATE] *= 0.01  # a quiet beginning is left out
    used = {split: np.zeros(len(wave), bool) for split in ("train", "val", "test")}
    for split, mine in used.items():
        for begin in starts(wave, RATE, split):
            mine[begin : begin + RATE] = True
    assert not (used["train"] & used["val"] | used["train"] & used["test"] | used["val"] & used["test"]).any()
    assert not used["train"][:RATE].any()
    assert min(mine.sum() for mine in used.values()) >= RATE
    assert set(starts(wave, RATE, "train", (3 * RATE, 4 * RATE))) == {3 * RATE, 4 * RATE}
    assert starts(wave[:100], RATE, "test").tolist() == [0]


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"size": 62}, "`size` must be a multiple of 4 from 64; got 62."),
        ({"area": [0.3, 0.1]}, r"`area` must be MIN <= MAX, from 0.01 to 0.6; got \(0.3, 0.1\)."),
        ({"alone": 2.0}, r"`alone` must be in \[0, 1\]; got 2.0."),
        ({"val": -1}, "Clip counts must be 0 or more"),
    ],
)
def test_settings_are_refused_in_a_sentence(values: dict[str, object], says: str) -> None:
    with pytest.raises(Refused, match=says):
        settings(values)
