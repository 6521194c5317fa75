"""One film on its way into AVSBench-S4's folders: where it lies, what its content is, its frames and its sound."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
from PIL import Image

from uspl.audio import RATE
from uspl.core.errors import DataError
from uspl.core.files import present, write
from uspl.data.prepare.pcm import pcm16, wav
from uspl.media.decode import frames_at, waveform
from uspl.media.image import still, thumbnail, upright

LATE = 0.25  # s: a sound that begins later is worth a look
LONG = 0.5  # s: a sound that is so much longer than wanted is cut; a shorter rest comes from the codec


def films(root: Path) -> list[Path]:
    """The folders that may hold the films: ours, and the one of AVSBench's own scripts."""
    return [home for home in (root / "raw_videos", root / "s4_data" / "raw_videos") if home.is_dir()]


def find(root: Path, split: str, category: str, name: str) -> Path:
    """The clip's film: `<split>/<category>/<name>.*` in a film folder, or without split, or without both."""
    places = [place for home in films(root) for place in (home / split / category, home / category, home)]
    for place in places:
        exact = place / f"{name}.mp4"
        if os.path.lexists(exact):
            return present(exact)
        same = sorted(path for path in place.glob("*") if path.stem == name) if place.is_dir() else []
        if same:
            return present(same[0])
    raise DataError(f"raw_videos/{split}/{category}/{name}.mp4", "is missing")


def resized(frame: np.ndarray, size: int) -> Image.Image:
    """A picture (H, W, 3) of `size` x `size` pixels."""
    image = Image.fromarray(frame)
    return image if image.size == (size, size) else image.resize((size, size), Image.Resampling.BILINEAR)


def png(image: Image.Image) -> bytes:
    """A picture as a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "png", compress_level=1)
    return buffer.getvalue()


def picture(file: Path) -> Image.Image:
    """A stored picture. Raises DataError when it cannot be read."""
    try:
        with Image.open(present(file)) as image:
            return upright(image).convert("RGB")
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(file, "cannot be read as a picture") from error


def cut(
    film: Path, frames: list[Path], sound: Path, size: int, notes: list[str]
) -> tuple[list[Image.Image], np.ndarray]:
    """Write a clip's frames (k at 15/16 of second k), then its sound of as many seconds; returns both.

    `notes` gets what is worth a look in the sound (see `waveform`).
    """
    seconds = len(frames)
    pictures = frames_at(film, [k + 15 / 16 for k in range(seconds)])
    pcm = pcm16(waveform(film, RATE, notes=notes).numpy())
    if len(pcm) < (seconds - 0.5) * RATE:
        raise DataError(film, f"is truncated: sound ends at {len(pcm) / RATE:.2f} s, {seconds} s are needed")
    pcm = pcm if len(pcm) < (seconds + LONG) * RATE else pcm[: seconds * RATE]
    images = [resized(np.ascontiguousarray(shown.permute(1, 2, 0).numpy()), size) for shown in pictures]
    for path, image in zip(frames, images, strict=True):
        write(path, png(image))
    write(sound, wav(pcm))
    return images, pcm


def odd(frames: list[Image.Image], pcm: np.ndarray) -> list[str]:
    """What is worth a look in a clip's frames and sound."""
    notes = []
    begin = int(np.argmax(pcm != 0)) / RATE
    if begin > LATE:
        notes.append(f"is silent up to {begin:.2f} s")
    if still([thumbnail(frame) for frame in frames]):
        notes.append("shows one still picture")
    return notes
