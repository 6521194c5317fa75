"""A frame of Sounding Photos as numbers: who is there, who is heard, where all stand, and the exact masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops, ImageFilter

from uspl.data.photos.material import NEVER, Array, Material, Photo

SPLITS = ("train", "val", "test", "new_photo", "new_recording", "new_background", "negative")

# The number of a test split changes whenever a recipe was chosen again: its clips must not have been looked at.
STREAMS = {"train": 0, "val": 1, "test": 2, "negative": 3, "new_photo": 4, "new_recording": 5, "new_background": 6}
COARSE = 4  # pixels, cell of the masks by which a draw is tried first


@dataclass(frozen=True)
class Settings:
    """What a clip depends on besides material, split and index. Lengths are shares of the image side."""

    seed: int = 1
    size: int = 224  # pixels, side of the square film
    fps: int = 8  # frames per second
    seconds: int = 1  # length of a clip; each second gives one (frame, sound) pair
    alone: float = 1 / 3  # probability that a frame has one object; else two or three, equally often
    area: tuple[float, float] = (0.05, 0.6)  # of every object, log-uniform, share of the frame
    extent: float = 1.1  # the longest an object may be: a thin one then covers less than its area
    sight: float = 0.65  # share of each object that is seen
    turn: float = 6.0  # degrees, greatest rotation
    mute: float = 0.15  # probability that a third object belongs to no sounding class
    drift: float = 0.04  # greatest way in a second


@dataclass(frozen=True)
class Thing:
    """One object on the used frame. `x`, `y`: pixels, its middle."""

    photo: int  # index in the material's photos
    role: int  # its label: 1 sounding, 2 first distractor, 3 second
    area: float  # that of its whole mask, share of the frame
    width: int  # of the cut-out before it is turned, pixels
    height: int
    angle: float  # degrees
    mirrored: bool
    x: int
    y: int
    step: tuple[float, float]  # pixels a frame


@dataclass(frozen=True)
class Scene:
    split: str
    index: int
    category: str
    heard: int  # class that is heard; -1 for silence
    things: tuple[Thing, ...]  # in drawing order, the farthest first
    background: int  # index in the material's backgrounds
    swap: int  # class of the first distractor, whose sound the swap test plays; -1 if there is none

    @property
    def name(self) -> str:
        return f"{self.split}_{self.index:05d}"


def used_frames(s: Settings) -> list[int]:
    """The frame on screen at 15/16 of each second: the one AVSBench's protocol cuts."""
    return [int((k + 15 / 16) * s.fps) for k in range(s.seconds)]


def generator(s: Settings, split: str, index: int, stream: int) -> np.random.Generator:
    """Randomness of one clip; scene, looks, sound and swap sound each have a stream of their own."""
    return np.random.default_rng([s.seed, STREAMS[split], index, stream])


def classes_of(m: Material, split: str) -> list[int]:
    """Classes that sound in a split: all, or those with a photograph or a recording kept for it."""
    if split == "new_photo":
        return sorted({p.owner for p in m.photos if p.held} - {NEVER})
    if split == "new_recording":
        return sorted({r.owner for r in m.recordings if r.held})
    return list(range(len(m.classes)))


def category(m: Material, split: str, index: int) -> str:
    """Folder of a clip, known without drawing it: the class heard; in `negative` what is wrong with its sound."""
    if split == "negative":
        return ("off_screen", "silent")[index % 2]
    there = classes_of(m, split)
    return m.classes[there[index % len(there)]]


def scene(m: Material, s: Settings, split: str, index: int) -> Scene:
    """Draw who is there, who is heard and where all stand. Size, place and order tell nothing about the roles."""
    rng = generator(s, split, index, 0)
    heard, cast = _cast(rng, m, s, split, index)
    pool = split if split in ("train", "val", "new_background") else "test"
    background = int(rng.choice([k for k, b in enumerate(m.backgrounds) if b.pool == pool]))
    order = rng.permutation(len(cast)).tolist()
    photos = [_photo(rng, m, split, cast[k]) for k in order]
    while (things := _placed(rng, m, s, photos, [_role(k, split) for k in order])) is None:
        pass
    swap = next((m.photos[t.photo].owner for t in things if t.role == 2), NEVER)
    return Scene(split, index, category(m, split, index), heard, things, background, swap)


def _role(k: int, split: str) -> int:
    return k + (2 if split == "negative" else 1)


def _cast(rng: np.random.Generator, m: Material, s: Settings, split: str, index: int) -> tuple[int, list[int]]:
    """The class heard, and that of each object, the sounding one first; NEVER for what never sounds.

    Sounding classes take turns, so that all are equally many. The first distractor is always of a sounding class.
    """
    there = classes_of(m, split)
    drawn = [there[k] for k in rng.permutation(len(there))]
    number = 1 if rng.random() < s.alone else int(rng.integers(2, 4))
    muted = rng.random() < s.mute and split != "new_photo" and any(p.owner == NEVER for p in m.photos)
    heard = there[(index // 2 if split == "negative" else index) % len(there)]
    others = [k for k in drawn if k != heard]
    cast = [heard, *others][:number] if split != "negative" else others[:number]
    cast = [*cast[:2], NEVER] if len(cast) == 3 and muted else cast
    return (heard if split != "negative" or index % 2 == 0 else NEVER), cast


def _photo(rng: np.random.Generator, m: Material, split: str, owner: int) -> int:
    """A photograph of a class: in `new_photo` the one kept for it, elsewhere one of the others."""
    return int(rng.choice([k for k, p in enumerate(m.photos) if p.owner == owner and p.held == (split == "new_photo")]))


def _placed(
    rng: np.random.Generator, m: Material, s: Settings, photos: list[int], roles: list[int]
) -> tuple[Thing, ...] | None:
    """Sizes and places by one rule for all objects; None where too little of one is seen."""
    drawn = [_stood(rng, s, m.photos[photo], photo, role) for photo, role in zip(photos, roles, strict=True)]
    if sum(thing.area for thing, _ in drawn) > 1.2:
        return None
    things = tuple(thing for thing, _ in sorted(drawn, key=lambda one: one[1]))
    for cell in (COARSE, 1):
        covers = [_cover(m.photos[thing.photo], thing, cell) for thing in things]
        seen = np.bincount(labels(things, covers, s.size // cell, cell=cell).ravel(), minlength=5)
        least = s.sight if cell == 1 else 0.9 * s.sight
        if any(seen[t.role] < least * (c >= 128).sum() for t, c in zip(things, covers, strict=True)):
            return None
    return things


def _stood(rng: np.random.Generator, s: Settings, photo: Photo, index: int, role: int) -> tuple[Thing, float]:
    """One object, and its depth: the larger, the nearer, and so the lower it stands and the more it is in front."""
    high, wide = photo.pixels.shape[:2]
    solid = float((photo.pixels[..., 3] >= 128).sum())
    area = float(np.exp(rng.uniform(*np.log(s.area))))
    scale = min(np.sqrt(area * s.size**2 / solid), s.extent * s.size / max(high, wide))
    area, width, height = solid * scale**2 / s.size**2, max(4, round(wide * scale)), max(4, round(high * scale))
    feet = s.size * min(0.76 + 0.26 * np.sqrt(area / s.area[1]) + rng.normal(0, 0.03), 1.06)
    x = rng.uniform(0.2 * width, s.size - 0.2 * width)
    anywhere = rng.uniform(0.3 * height, s.size - 0.3 * height)
    depth = float(feet)  # what flies is drawn as what stands: neither is always in front
    y = feet - height / 2 if photo.stands else anywhere
    way = rng.uniform(-1, 1, 2) * s.drift * s.size / s.fps * np.array([1.0, 0.1 if photo.stands else 0.5])
    angle, mirrored = float(rng.uniform(-s.turn, s.turn)), bool(rng.random() < 0.5)
    step = (float(way[0]), float(way[1]))
    return Thing(index, role, area, width, height, angle, mirrored, round(x), round(float(y)), step), depth


def sprite(photo: Photo, thing: Thing) -> Image.Image:
    """A cut-out (RGBA) in its size on the film, mirrored or not, turned, its edge softened inwards."""
    image = Image.fromarray(photo.pixels)
    image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if thing.mirrored else image
    image = image.resize((thing.width, thing.height), Image.Resampling.LANCZOS)
    image = image.rotate(thing.angle, Image.Resampling.BICUBIC, expand=True)
    cover = image.getchannel("A")
    image.putalpha(ImageChops.darker(cover, cover.filter(ImageFilter.GaussianBlur(0.7))))
    return image


def _cover(photo: Photo, thing: Thing, cell: int) -> Array:
    """How much of each pixel an object covers, in [0, 255]; with a `cell` above 1 a coarse one, not turned."""
    if cell == 1:
        return np.asarray(sprite(photo, thing).getchannel("A"))
    alpha = photo.pixels[..., 3]
    rows = np.linspace(0, len(alpha) - 1, max(1, thing.height // cell)).astype(int)
    columns = np.linspace(0, alpha.shape[1] - 1, max(1, thing.width // cell)).astype(int)
    columns = columns[::-1] if thing.mirrored else columns
    return np.asarray(alpha[rows[:, None], columns])


def corner(thing: Thing, width: int, height: int, *, cell: int = 1, ago: int = 0) -> tuple[int, int]:
    """Left and upper end of a sprite of so many pixels, `ago` frames before the one used."""
    x, y = thing.x - round(ago * thing.step[0]), thing.y - round(ago * thing.step[1])
    return x // cell - width // 2, y // cell - height // 2


def labels(things: Sequence[Thing], covers: Sequence[Array], size: int, *, cell: int = 1) -> Array:
    """Exact label map: the role of the topmost object that covers half of a pixel or more."""
    out = np.zeros((size, size), np.uint8)
    for thing, cover in zip(things, covers, strict=True):
        high, wide = cover.shape
        x, y = corner(thing, wide, high, cell=cell)
        x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + wide, size), min(y + high, size)
        if x0 < x1 and y0 < y1:
            seen = cover[y0 - y : y1 - y, x0 - x : x1 - x] >= 128
            out[y0:y1, x0:x1][seen] = thing.role
    return out
