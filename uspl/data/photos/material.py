"""The material of Sounding Photos: cut-outs, recordings and backgrounds as arrays, each with its source."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from uspl.audio import RATE
from uspl.core.errors import DataError
from uspl.core.files import present, write
from uspl.media.decode import waveform
from uspl.media.image import upright

Array = NDArray[Any]
POOLS = ("train", "val", "test", "new_background")  # of backgrounds
LARGEST = 448  # pixels, shorter side of what is kept of a photograph
QUIET = 1e-3  # root mean square of a second below which a recording is silent: -60 dB of full scale
NEVER = -1  # class of what is never heard


class Source(NamedTuple):
    """Where a piece of the material comes from."""

    package: str
    file: str
    licence: str = "not told"
    author: str = "not told"
    origin: str = ""
    heard: str = ""  # of a recording: what a classifier hears in it
    score: float = 0.0  # of a recording: how sure it is


class Photo(NamedTuple):
    """A cut-out (H, W, 4) uint8; `owner` is its class, or NEVER; `held`: kept out of training."""

    owner: int
    pixels: Array
    stands: bool
    held: bool
    source: Source


class Recording(NamedTuple):
    """A recording (n,) float32 at 16 kHz; `owner` and `held` as in `Photo`.

    `begins` are the samples at which it may be begun; none means anywhere.
    """

    owner: int
    wave: Array
    held: bool
    source: Source
    begins: tuple[int, ...] = ()


class Background(NamedTuple):
    """A photograph (H, W, 3) uint8 of a place, and the pool of backgrounds it belongs to."""

    pool: str
    pixels: Array
    source: Source


@dataclass(frozen=True)
class Material:
    """All of it. `classes` are the names of the sounding classes."""

    classes: tuple[str, ...]
    photos: tuple[Photo, ...]
    recordings: tuple[Recording, ...]
    backgrounds: tuple[Background, ...]

    def __post_init__(self) -> None:
        """Raises DataError where a set cannot be made of it."""
        if len(self.classes) < 2:
            raise DataError("material", f"holds {len(self.classes)} classes with cut-outs and recordings; 2 are needed")
        for kind, pieces in (("cut-out with alpha", self.photos), ("recording", self.recordings)):
            there = {piece.owner for piece in pieces}
            lacking = [name for k, name in enumerate(self.classes) if k not in there]
            if lacking:
                raise DataError(lacking[0], f"has no {kind}; a class needs one or more of both")
        pools = {background.pool for background in self.backgrounds}
        if not pools.issuperset(POOLS):
            raise DataError("material", f"has {len(self.backgrounds)} backgrounds; {len(POOLS)} or more are needed")

    def save(self, path: Path) -> None:
        """Write everything to one file, so that every process and a later run make the same set."""
        arrays: dict[str, Array] = {}
        about: dict[str, Any] = {"classes": self.classes}
        for kind in ("photos", "recordings", "backgrounds"):
            about[kind] = []
            for k, piece in enumerate(getattr(self, kind)):
                name = "wave" if kind == "recordings" else "pixels"
                arrays[f"{kind}_{k}"] = getattr(piece, name)
                about[kind].append({f: v for f, v in piece._asdict().items() if f not in (name, "source")})
                about[kind][-1]["source"] = list(piece.source)
        buffer = io.BytesIO()
        np.savez(buffer, about=np.array(json.dumps(about)), **arrays)  # type: ignore[arg-type]
        write(path, buffer.getvalue())

    @classmethod
    def load(cls, path: Path) -> Material:
        """Read what `save` wrote. Raises DataError when it is no such file."""
        kinds = {"photos": (Photo, "pixels"), "recordings": (Recording, "wave"), "backgrounds": (Background, "pixels")}
        try:
            with np.load(present(path), allow_pickle=False) as held:
                about = json.loads(str(held["about"]))
                pieces = {
                    kind: tuple(
                        piece(**{**said, name: held[f"{kind}_{k}"], "source": Source(*said["source"])})
                        for k, said in enumerate(about[kind])
                    )
                    for kind, (piece, name) in kinds.items()
                }
        except (OSError, ValueError, KeyError, TypeError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(path, "cannot be read; remove the folder or name another") from None
        heard = tuple(r._replace(begins=tuple(r.begins)) for r in pieces["recordings"])
        return cls(tuple(about["classes"]), pieces["photos"], heard, pieces["backgrounds"])


def cutout(name: str | Path, content: bytes) -> Array:
    """The pixels (H, W, 4) of a picture with alpha, cut to what can be seen.

    Raises:
        DataError: no picture, one without alpha, or one of which nothing or everything can be seen.
    """
    image = _opened(name, content)
    if "A" not in image.mode and "transparency" not in image.info:
        raise DataError(name, "has no alpha channel; a cut-out needs one, for it is the mask")
    pixels = np.asarray(image.convert("RGBA"))
    seen = pixels[..., 3] >= 128
    if not seen.any() or pixels[..., 3].min() >= 128:
        what = "nothing can be seen of it" if not seen.any() else "it is opaque everywhere"
        raise DataError(name, f"is no cut-out: by its alpha channel {what}")
    y, x = (np.flatnonzero(seen.any(axis)) for axis in (1, 0))
    return _kept(Image.fromarray(pixels[y[0] : y[-1] + 1, x[0] : x[-1] + 1]))


def place(name: str | Path, content: bytes) -> Array:
    """The pixels (H, W, 3) of a photograph. Raises DataError when it is no picture, or smaller than 64 pixels."""
    image = _opened(name, content).convert("RGB")
    if min(image.size) < 64:
        raise DataError(name, f"is too small for a background: {image.width}x{image.height} pixels, 64x64 are needed")
    return _kept(image)


def picture_of(name: str | Path, content: bytes) -> Array:
    """All pixels (H, W, 3) of a picture. Raises DataError when it is none."""
    return np.asarray(_opened(name, content).convert("RGB"))


def sound(name: str | Path, content: bytes) -> Array:
    """The samples of a recording at 16 kHz. Raises DataError when it cannot be read or is silent."""
    wave = waveform(str(name), RATE, content=content).numpy()
    loudest = max(float(np.sqrt((wave[k : k + RATE] ** 2).mean())) for k in range(0, len(wave), RATE // 2))
    if loudest < QUIET:
        raise DataError(name, "is silent")
    return np.asarray(wave, np.float32)


def pools(number: int) -> list[str]:
    """A pool of each of so many backgrounds: about 65 % train, and at least one in each of the others.

    >>> pools(5)
    ['train', 'train', 'val', 'test', 'new_background']
    """
    few, more = max(1, number // 10), max(1, number // 8)
    names = ["val"] * few + ["test"] * more + ["new_background"] * more
    return ["train"] * (number - len(names)) + names if number >= len(POOLS) else ["train"] * number


def held(number: int) -> Sequence[bool]:
    """Which of so many cut-outs or recordings of a class are kept out of training: the last, of two or more."""
    return [number > 1 and k == number - 1 for k in range(number)]


def _opened(name: str | Path, content: bytes) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(content))
        image.load()
        return upright(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise DataError(name, "cannot be read as a picture") from None


def _kept(image: Image.Image) -> Array:
    """At most `LARGEST` pixels on the shorter side: more than the film needs is not kept."""
    scale = LARGEST / min(image.size)
    if scale < 1:
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(size, Image.Resampling.LANCZOS)
    return np.asarray(image)
