"""Pictures and sounds of a scene of Sounding Shapes, as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from uspl.audio import RATE
from uspl.data.synthetic.classes import BODIES, EMITTERS, ENVELOPES, KINDS, RECIPES, Array
from uspl.data.synthetic.scene import Scene, Settings, Thing, generator, labels, outline, used_frames


@dataclass(frozen=True)
class Film:
    """A clip before encoding."""

    frames: Array  # uint8 (F, H, W, 3)
    objects: Array  # uint8 (seconds, H, W): labels of the used frames
    wave: Array  # float32 (n,) in [-1, 1], 16 kHz
    swap: Array | None  # float32 (n,): another sound of the first distractor's class


def render(one: Scene, s: Settings) -> Film:
    """Draw and sound a scene. The same scene and settings give the same arrays, bit for bit."""
    look = generator(s, one.split, one.index, 1)
    ground = _background(look, s)
    sprites = [_sprite(t, look, s) for t in one.things]
    frames = np.stack([_compose(ground, one.things, sprites, f) for f in range(s.seconds * s.fps)])
    objects = np.stack([labels(one.things, f, s.size) for f in used_frames(s)])
    n = s.seconds * RATE
    wave = sound(generator(s, one.split, one.index, 2), one.heard, n)
    swap = sound(generator(s, one.split, one.index, 3), one.swap, n) if one.swap >= 0 else None
    return Film(frames, objects, wave, swap)


def _rgb(h: Array | float, s: Array | float, v: Array | float) -> Array:
    """Hue, saturation, value (each 0..1, hue wraps) -> float (..., 3) in 0..1."""
    k = (np.array([5.0, 3.0, 1.0]) + np.asarray(h)[..., None] * 6) % 6
    v = np.asarray(v)[..., None]
    return v - v * np.asarray(s)[..., None] * np.clip(np.minimum(k, 4 - k), 0, 1)


def _background(rng: np.random.Generator, s: Settings) -> Image.Image:
    """Noise fields between two quiet colours, and strokes."""
    field = np.zeros((s.size, s.size), np.float32)
    for cells, weight in ((3, 0.5), (7, 0.3), (18, 0.2)):
        noise = Image.fromarray(rng.random((cells, cells), np.float32))
        field += weight * np.asarray(noise.resize((s.size, s.size), Image.Resampling.BICUBIC))
    field = np.clip(1.6 * (field - 0.5) + 0.5, 0, 1)[..., None]
    hue, value = rng.random(2), rng.uniform(0.25, 0.85, 2)
    ends = _rgb(hue, rng.uniform(0.05, 0.45, 2), value)
    ground = ends[0] * field + ends[1] * (1 - field) + rng.normal(0, 0.025, (s.size, s.size, 3))
    image = Image.fromarray((np.clip(ground, 0, 1) * 255).astype(np.uint8))
    pen = ImageDraw.Draw(image)
    for _ in range(s.clutter):
        ink = tuple(int(255 * c) for c in _rgb(rng.random(), rng.uniform(0.1, 0.8), rng.uniform(0.2, 0.95)))
        x, y, dx, dy = rng.uniform(0, s.size, 2).tolist() + rng.uniform(-0.3 * s.size, 0.3 * s.size, 2).tolist()
        width = int(rng.integers(1, 4))
        box = [min(x, x + dx), min(y, y + dy), max(x, x + dx), max(y, y + dy)]
        if rng.random() < 0.5:
            pen.line([x, y, x + dx, y + dy], fill=ink, width=width)
        else:
            start = float(rng.uniform(0, 360))
            pen.arc(box, start, start + float(rng.uniform(60, 220)), fill=ink, width=width)
    return image


ZOOM = 2  # sprite pixels per film pixel: turning and shifting then stays sharp


def _sprite(thing: Thing, rng: np.random.Generator, s: Settings) -> Image.Image:
    """Picture and, as its fourth channel, coverage of an object at angle 0, drawn once per clip."""
    half = int(np.ceil(thing.radius * ZOOM)) + 2
    u, v = np.meshgrid(*(2 * [(np.arange(2 * half) + 0.5 - half) / (thing.radius * ZOOM)]))
    rho, phi = np.hypot(u, v), np.arctan2(v, u)
    rim = outline(thing)
    edge = rim[np.floor(phi * (len(rim) / (2 * np.pi))).astype(np.int64) % len(rim)]
    rgb = _skin(thing, u, v, rng, s.texture_variation)
    rgb *= np.where(rho > edge - 0.07, 0.55, 1.0)[..., None]
    _emitter(rgb, thing, u, v, rng, s.texture_variation)
    cover = np.clip((edge - rho) * thing.radius * ZOOM + 0.5, 0, 1)
    # RGBX, not RGBA: Pillow multiplies the colours of the latter with their coverage before it turns them.
    return Image.merge("RGBX", (*Image.fromarray(_bytes(rgb)).split(), Image.fromarray(_bytes(cover))))


def _bytes(x: Array) -> Array:
    return (np.clip(x, 0, 1) * 255 + 0.5).astype(np.uint8)


def _skin(thing: Thing, u: Array, v: Array, rng: np.random.Generator, vary: float) -> Array:
    """The body's texture in its two colours; `vary` loosens hue, grain, direction, pattern and light."""
    body = BODIES[thing.body]
    hue = rng.normal(0, 0.012 + 0.1 * vary)
    grain, way = np.exp(rng.normal(0, 0.35 * vary)), rng.normal(0, 1.5 * vary)
    other, light, tilt = int(rng.integers(len(BODIES))), rng.uniform(-0.4, 0.4) * vary, rng.uniform(0, 2 * np.pi)
    pattern = BODIES[other].texture if rng.random() < 0.5 * vary else body.texture
    x, y = grain * (u * np.cos(way) - v * np.sin(way)), grain * (u * np.sin(way) + v * np.cos(way))
    mix = (0.5 + 0.5 * np.tanh(3 * pattern(x, y)))[..., None]
    bright, deep = ((h + hue, a, b) for h, a, b in (body.light, body.dark))
    shade = 1 + light * (u * np.cos(tilt) + v * np.sin(tilt))
    return (_rgb(*bright) * mix + _rgb(*deep) * (1 - mix)) * shade[..., None]


def _emitter(rgb: Array, thing: Thing, u: Array, v: Array, rng: np.random.Generator, vary: float) -> None:
    """Paint the disc that tells the class; a stone has a plain one."""
    x, y = rng.uniform(-0.08, 0.08, 2)
    hue = rng.normal(0, 0.012 + 0.02 * vary)
    scale = 0.36
    u, v = (u - x) / scale, (v - y) / scale
    edge = 1 + 1 / (scale * thing.radius * ZOOM)  # nothing is painted beyond
    across, down = (np.flatnonzero(np.abs(line) < edge) for line in (u[0], v[:, 0]))
    near = slice(down[0], down[-1] + 1), slice(across[0], across[-1] + 1)
    u, v, rgb = u[near], v[near], rgb[near]
    rho, phi = np.hypot(u, v), np.arctan2(v, u)
    if thing.kind >= 0:
        kind = KINDS[thing.kind]
        mix = (0.5 + 0.5 * np.tanh(6 * EMITTERS[kind.emitter](rho / 0.85, phi, u / 0.85, v / 0.85)))[..., None]
        first, second = (_rgb(h + hue, a, b) for h, a, b in kind.colours)
        disc = first * mix + second * (1 - mix)
    else:
        disc = np.broadcast_to(_rgb(0.1 + hue, 0.1, 0.55), rgb.shape)
    disc = np.where((rho > 0.85)[..., None], 0.97 if thing.kind >= 0 else 0.3, disc)
    cover = np.clip((1 - rho) * scale * thing.radius * ZOOM + 0.5, 0, 1)[..., None]
    rgb += cover * (disc - rgb)


def _compose(ground: Image.Image, things: tuple[Thing, ...], sprites: list[Image.Image], frame: int) -> Array:
    """One frame: each sprite turned, shifted and pasted in drawing order."""
    image = ground.copy()
    for thing, sprite in zip(things, sprites, strict=True):
        x, y, angle = thing.track[frame]
        x0, y0 = int(np.floor(x - thing.radius)) - 1, int(np.floor(y - thing.radius)) - 1
        side = int(np.ceil(2 * thing.radius)) + 4
        c, d, half = ZOOM * np.cos(angle), ZOOM * np.sin(angle), sprite.width / 2
        move = (c, d, half + c * (x0 - x) + d * (y0 - y), -d, c, half - d * (x0 - x) + c * (y0 - y))
        turned = sprite.transform((side, side), Image.Transform.AFFINE, move, Image.Resampling.BILINEAR)
        *colours, cover = turned.split()
        image.paste(Image.merge("RGB", colours), (x0, y0), cover)
    return np.asarray(image)


def sound(rng: np.random.Generator, kind: int, n: int) -> Array:
    """n samples at 16 kHz of one class: partials and a noise band under an envelope, in pink noise at 3 to 18 dB SNR.

    The envelope repeats about twice a second or more, so that every second can be told. Kind -1 is digital silence.
    """
    if kind < 0:
        return np.zeros(n, np.float32)
    me = KINDS[kind]
    t = np.arange(n) / RATE
    f0 = me.f0 * np.exp(rng.uniform(-0.05, 0.05))
    tone = np.zeros(n)
    for multiple, amplitude in RECIPES[me.recipe]:
        if multiple * f0 < 0.45 * RATE:
            height = amplitude * rng.uniform(0.8, 1.2)
            wave = multiple * f0 * t
            wave += rng.random()
            wave *= 2 * np.pi
            np.sin(wave, out=wave)
            wave *= height
            tone += wave
    band = _noise(rng, _band(me.band, n), n)
    pink = _noise(rng, _pink(n), n)
    repeats, level = ENVELOPES[me.envelope]
    phase = (t * repeats * rng.uniform(0.9, 1.1) + rng.random()) % 1
    voice = level(phase) * (tone / tone.std() + rng.uniform(0.2, 0.4) * band)
    voice = voice / np.sqrt((voice**2).mean())
    mixed = voice + pink * 10 ** (-rng.uniform(3, 18) / 20)
    gain = rng.uniform(0.3, 0.8) / max(float(np.abs(mixed).max()), 1e-9)
    return (gain * mixed).astype(np.float32)


def _noise(rng: np.random.Generator, spectrum: Array, n: int) -> Array:
    """Gaussian noise of the given amplitude spectrum, standard deviation 1."""
    lines = np.empty(len(spectrum), np.complex128)
    lines.real = spectrum * rng.standard_normal(len(spectrum))
    lines.imag = spectrum * rng.standard_normal(len(spectrum))
    noise = np.fft.irfft(lines, n)
    return noise / noise.std()


@lru_cache(maxsize=len(KINDS))
def _band(centre: float, n: int) -> Array:
    """Amplitudes of a noise band a quarter of an octave wide, centre in Hz, for n samples."""
    hertz = np.fft.rfftfreq(n, 1 / RATE)
    return np.exp(-0.5 * (np.log2(np.maximum(hertz, 1) / centre) / 0.25) ** 2)


@lru_cache(maxsize=1)
def _pink(n: int) -> Array:
    """Amplitudes of pink noise from 30 Hz up, for n samples."""
    hertz = np.fft.rfftfreq(n, 1 / RATE)
    return np.where(hertz >= 30, 1 / np.sqrt(np.maximum(hertz, 30)), 0)
