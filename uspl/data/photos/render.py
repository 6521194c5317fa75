"""Pictures and sounds of a scene of Sounding Photos, as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from uspl.audio import RATE
from uspl.data.photos.material import Array, Material
from uspl.data.photos.scene import Scene, Settings, Thing, corner, generator, labels, sprite, used_frames
from uspl.data.photos.seconds import starts

LIGHT = (  # factors of each object; a place departs half as far from 1
    (ImageEnhance.Brightness, (0.75, 1.25)),
    (ImageEnhance.Contrast, (0.8, 1.2)),
    (ImageEnhance.Color, (0.7, 1.3)),
)
SPEED = (0.94, 1.06)  # of a recording when it is played
NOISE = (15.0, 30.0)  # dB that pink noise lies below the recording


@dataclass(frozen=True)
class Film:
    """A clip before encoding."""

    frames: Array  # uint8 (F, H, W, 3)
    objects: Array  # uint8 (seconds, H, W): labels of the used frames
    wave: Array  # float32 (n,) in [-1, 1], 16 kHz
    swap: Array | None  # float32 (n,): another sound of the first distractor's class


def render(one: Scene, m: Material, s: Settings) -> Film:
    """Draw and sound a scene. The same scene, material and settings give the same arrays, bit for bit."""
    look = generator(s, one.split, one.index, 1)
    ground = _ground(look, m.backgrounds[one.background].pixels, s)
    plain = [sprite(m.photos[thing.photo], thing) for thing in one.things]
    sprites = [_lit(look, image) for image in plain]
    shadows = [_shadow(image) if m.photos[t.photo].stands else None for t, image in zip(one.things, plain, strict=True)]
    used = used_frames(s)[-1]
    frames = [_composed(ground, one.things, sprites, shadows, used - k) for k in range(s.seconds * s.fps)]
    objects = labels(one.things, [np.asarray(image.getchannel("A")) for image in plain], s.size)
    wave = sound(generator(s, one.split, one.index, 2), m, one.split, one.heard, s.seconds * RATE)
    swap = None
    if one.swap >= 0:
        swap = sound(generator(s, one.split, one.index, 3), m, one.split, one.swap, s.seconds * RATE)
    return Film(np.stack(frames), objects[None], wave, swap)


def _ground(rng: np.random.Generator, pixels: Array, s: Settings) -> Image.Image:
    """A square of the place that ends near the photograph's lower edge, where the ground is."""
    high, wide = pixels.shape[:2]
    side = round(min(high, wide) * rng.uniform(0.7, 1.0))
    x = int(rng.integers(0, wide - side + 1))
    y = max(0, high - side - int(rng.uniform(0, 0.06) * high))
    image = Image.fromarray(pixels[y : y + side, x : x + side])
    image = image.resize((s.size, s.size), Image.Resampling.LANCZOS)
    image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else image
    return _lit(rng, image, 0.5)


def _lit(rng: np.random.Generator, image: Image.Image, share: float = 1.0) -> Image.Image:
    """Other brightness, contrast and colour; the alpha channel stays."""
    shown = image.convert("RGB")
    for enhance, span in LIGHT:
        shown = enhance(shown).enhance(1 + share * (rng.uniform(*span) - 1))
    if image.mode == "RGBA":
        shown.putalpha(image.getchannel("A"))
    return shown


def _shadow(image: Image.Image) -> Image.Image:
    """A soft dark patch (mode L) on the ground below an object; it belongs to no mask."""
    wide, high = image.width, max(4, image.width // 7)
    edge = max(2, high // 3)
    patch = Image.new("L", (wide + 4 * edge, high + 4 * edge))
    seen = np.flatnonzero((np.asarray(image.getchannel("A"))[-max(2, image.height // 8) :] >= 128).any(0))
    first, last = (int(seen[0]), int(seen[-1])) if len(seen) else (0, wide)
    box = [2 * edge + first, 2 * edge, 2 * edge + max(last, first + 2), 2 * edge + high]
    ImageDraw.Draw(patch).ellipse(box, fill=120)
    return patch.filter(ImageFilter.GaussianBlur(edge))


def _composed(
    ground: Image.Image,
    things: tuple[Thing, ...],
    sprites: list[Image.Image],
    shadows: list[Image.Image | None],
    ago: int,
) -> Array:
    """The frame so many frames before the one used: the farthest object first, each with its shadow."""
    image = ground.copy()
    for thing, shown, shadow in zip(things, sprites, shadows, strict=True):
        x, y = corner(thing, *shown.size, ago=ago)
        if shadow is not None:
            feet = y + shown.height - (shown.height - thing.height) // 4  # turning has made the sprite higher
            at = x - (shadow.width - shown.width) // 2, feet - shadow.height // 2
            image.paste((12, 12, 12), at, shadow)
        image.paste(shown, (x, y), shown)
    return np.asarray(image)


def sound(rng: np.random.Generator, m: Material, split: str, owner: int, n: int) -> Array:
    """n samples at 16 kHz of one class: a part of one of its recordings, in a little pink noise.

    Played a little faster or slower, repeated after a pause where it is shorter. Class -1 is digital silence.
    """
    if owner < 0:
        return np.zeros(n, np.float32)
    recordings = [k for k, r in enumerate(m.recordings) if r.owner == owner and r.held == (split == "new_recording")]
    chosen = m.recordings[int(rng.choice(recordings))]
    wave = chosen.wave
    speed = rng.uniform(*SPEED)
    need = int(np.ceil(n * speed)) + 1
    begin = int(rng.choice(starts(wave, need, split, chosen.begins)))
    part = wave[begin : begin + need]
    if len(part) < need:
        pause = np.zeros(int(rng.uniform(0.05, 0.25) * RATE), np.float32)
        part = np.concatenate([part, pause])
        part = np.roll(np.tile(part, need // len(part) + 1), int(rng.integers(len(part))))[:need]
    voice = np.interp(np.arange(n) * speed, np.arange(len(part)), part)
    lines = np.fft.rfftfreq(n, 1 / RATE)
    pink = np.where(lines >= 30, 1 / np.sqrt(np.maximum(lines, 30)), 0)
    hiss = np.fft.irfft(pink * (rng.standard_normal(len(lines)) + 1j * rng.standard_normal(len(lines))), n)
    level = np.sqrt((voice**2).mean()) * 10 ** (-rng.uniform(*NOISE) / 20)
    mixed = voice + hiss * (level / hiss.std())
    gain = rng.uniform(0.3, 0.8) / max(float(np.abs(mixed).max()), 1e-9)
    return np.asarray(gain * mixed, np.float32)
