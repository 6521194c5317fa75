"""One film on its way into AVSBench-S4's folders: where it lies, what its content is, its frames and its sound."""

from __future__ import annotations

import io
import os
import wave
from pathlib import Path

import numpy as np
from _work import write
from PIL import Image

from uspl.likeness import still, thumbnail
from uspl.media import DataError, frames_at, present, waveform

RATE = 16000  # Hz
LATE = 0.25  # s: a sound that begins later is worth a look
LONG = 0.5  # s: a sound that is so much longer than wanted is cut; a shorter rest comes from the codec

SIGNATURES = (  # offset, bytes, extensions that tell the truth
    (4, b"ftyp", (".mp4", ".m4v", ".mov", ".m4a", ".3gp")),
    (0, b"\x1aE\xdf\xa3", (".mkv", ".webm")),
    (0, b"RIFF", (".avi", ".wav")),
    (0, b"OggS", (".ogg", ".ogv", ".oga")),
    (0, b"FLV", (".flv",)),
)


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


def extension(path: Path) -> str:
    """What is odd about a file's extension, or an empty string. The content is what is read."""
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise DataError(path, f"cannot be opened: {error.strerror}") from error
    for offset, sign, names in SIGNATURES:
        if head[offset:].startswith(sign) and path.suffix.lower() not in names:
            return f"has the extension `{path.suffix or 'none'}` but the content of {names[0]}; the content was read"
    return ""


def png(frame: np.ndarray, size: int) -> bytes:
    """A picture (H, W, 3) as a PNG file of `size` x `size` pixels."""
    image = Image.fromarray(frame)
    if image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.BILINEAR)
    buffer = io.BytesIO()
    image.save(buffer, "png", compress_level=1)
    return buffer.getvalue()


def pcm16(sound: np.ndarray) -> np.ndarray:
    """Values about [-1, 1] as 16-bit integers."""
    return np.clip(np.rint(sound * 32768), -32768, 32767).astype("<i2")


def wav(pcm: np.ndarray) -> bytes:
    """16-bit integers as a WAV file: one channel, 16 kHz."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(pcm.tobytes())
    return buffer.getvalue()


def picture(file: Path) -> Image.Image:
    """A stored picture. Raises DataError when it cannot be read."""
    try:
        with Image.open(present(file)) as image:
            return image.convert("RGB")
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(file, "cannot be read as a picture") from error


def cut(film: Path, frames: list[Path], sound: Path, size: int) -> None:
    """Write a clip's frames (k at 15/16 of second k), then its sound of as many seconds."""
    seconds = len(frames)
    pictures = frames_at(film, [k + 15 / 16 for k in range(seconds)])
    pcm = pcm16(waveform(film, RATE).numpy())
    if len(pcm) < (seconds - 0.5) * RATE:
        raise DataError(film, f"is truncated: sound ends at {len(pcm) / RATE:.2f} s, {seconds} s are needed")
    for path, shown in zip(frames, pictures, strict=True):
        write(path, png(shown.permute(1, 2, 0).contiguous().numpy(), size))
    write(sound, wav(pcm if len(pcm) < (seconds + LONG) * RATE else pcm[: seconds * RATE]))


def odd(frames: list[Image.Image], pcm: np.ndarray) -> list[str]:
    """What is worth a look in a clip's frames and sound."""
    notes = []
    begin = int(np.argmax(pcm != 0)) / RATE
    if begin > LATE:
        notes.append(f"is silent up to {begin:.2f} s")
    if still([thumbnail(frame) for frame in frames]):
        notes.append("shows one still picture")
    return notes
