"""Material from folders of the reader's own, one sub-folder per class."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from uspl.core.errors import DataError
from uspl.data.photos.listing import CLASSES
from uspl.data.photos.material import (
    NEVER,
    Array,
    Background,
    Material,
    Photo,
    Recording,
    Source,
    cutout,
    held,
    place,
    pools,
    sound,
)

Classify = Callable[[Array], Mapping[str, float]]  # a wave at 16 kHz -> score of each AudioSet class by name
SURE = 0.1  # below this best score of the class's own names a classifier disagrees with a folder's name
PICTURES = (".png", ".webp", ".tif", ".tiff", ".jpg", ".jpeg")
SOUNDS = (".wav", ".ogg", ".oga", ".opus", ".mp3", ".flac", ".m4a")
FLOATING = {one.name for one in CLASSES if not one.stands}


def from_folders(cutouts: Path, recordings: Path, backgrounds: Path, *, classify: Classify | None = None) -> Material:
    """Material of the reader's own: one sub-folder per class in `cutouts` and in `recordings`.

    A class with cut-outs alone is never heard: its objects are silent ones.

    Args:
        cutouts: `<class>/*.png`, pictures whose alpha channel is the mask.
        recordings: `<class>/*.wav`, or another sound.
        backgrounds: photographs, four or more.
        classify: scores of AudioSet's classes; where it knows the class by name, it has to hear it.

    Raises:
        DataError: a folder is missing, a cut-out has no alpha, a recording is silent or of another class, too few.
    """
    seen, heard = _by_class(cutouts, PICTURES, "cut-outs"), _by_class(recordings, SOUNDS, "recordings")
    names = [name for name in seen if name in heard]
    lonely = [name for name in heard if name not in seen]
    if lonely:
        raise DataError(
            cutouts / lonely[0], f"has no cut-out with alpha, and `{recordings / lonely[0]}` has recordings"
        )
    photos = [
        Photo(
            names.index(name) if name in names else NEVER,
            cutout(file, file.read_bytes()),
            _stands(name),
            out,
            _own(file),
        )
        for name, files in seen.items()
        for file, out in zip(files, held(len(files)), strict=True)
    ]
    waves = [
        Recording(k, _checked(name, file, classify), out, _own(file))
        for k, name in enumerate(names)
        for file, out in zip(heard[name], held(len(heard[name])), strict=True)
    ]
    views = _files(backgrounds, PICTURES, "backgrounds")
    grounds = [
        Background(pool, place(file, file.read_bytes()), _own(file))
        for file, pool in zip(views, pools(len(views)), strict=True)
    ]
    return Material(tuple(names), tuple(photos), tuple(waves), tuple(grounds))


def _stands(name: str) -> bool:
    return name not in FLOATING


def _own(file: Path) -> Source:
    return Source("a folder of one's own", str(file))


def _files(folder: Path, kinds: Iterable[str], what: str) -> list[Path]:
    if not folder.is_dir():
        raise DataError(folder, f"is no folder; it should hold the {what}")
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in kinds and not p.name.startswith("."))


def _by_class(folder: Path, kinds: Iterable[str], what: str) -> dict[str, list[Path]]:
    """Files of each sub-folder that has any."""
    if not folder.is_dir():
        raise DataError(folder, f"is no folder; it should hold the {what}, one sub-folder per class")
    below = {home.name: _files(home, kinds, what) for home in sorted(folder.iterdir()) if home.is_dir()}
    found = {name: files for name, files in below.items() if files}
    if not found:
        raise DataError(folder, f"holds no {what}; one sub-folder per class is expected")
    return found


def _checked(name: str, file: Path, classify: Classify | None) -> Array:
    wave = sound(file, file.read_bytes())
    says = disagreement(name, classify(wave)) if classify else ""
    if says:
        raise DataError(file, f"does not sound like `{name}`: {says}; remove it, or name the folder otherwise")
    return wave


def disagreement(name: str, scores: Mapping[str, float]) -> str:
    """What a classifier hears where it knows a class by name and does not hear it; else an empty string.

    >>> disagreement("dog", {"Dog": 0.02, "Bow-wow": 0.01, "Chicken, rooster": 0.98})
    'YAMNet hears Chicken, rooster (0.98), and Dog with 0.02'
    >>> disagreement("dog", {"Dog": 0.7, "Chicken, rooster": 0.9}) or disagreement("thing", {"Dog": 0.7})
    ''
    """
    words = set(name.lower().replace("_", " ").replace("-", " ").split())
    own = {
        label: p
        for label, p in scores.items()
        if words <= set(label.lower().replace(",", " ").replace("-", " ").split())
    }
    if not own:
        return ""
    best, most = max(own, key=lambda x: own[x]), max(scores, key=lambda x: scores[x])
    if own[best] >= SURE:
        return ""
    return f"YAMNet hears {most} ({scores[most]:.2f}), and {best} with {own[best]:.2f}"
