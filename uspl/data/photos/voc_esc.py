"""Material from two public sets: objects of PASCAL VOC 2012 with their masks, recordings of ESC-50."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from uspl.core.errors import DataError
from uspl.core.files import present
from uspl.data.photos.material import (
    Array,
    Background,
    Material,
    Photo,
    Recording,
    Source,
    held,
    picture_of,
    place,
    pools,
    sound,
)

VOC = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
HEARD = {  # class of VOC 2012 -> categories of ESC-50 that are its sound
    "aeroplane": ("airplane",),
    "bird": ("chirping_birds", "crow"),
    "car": ("car_horn", "engine"),
    "cat": ("cat",),
    "cow": ("cow",),
    "dog": ("dog",),
    "sheep": ("sheep",),
    "train": ("train",),
}
FLOATING = frozenset({"aeroplane"})
LEAST = 0.02  # share of the picture an object covers, at least
MOST = 24  # objects of a class, and backgrounds of a pool, at most
VOID = 255  # of VOC's masks: the line between objects


def from_voc_and_esc(voc: Path, esc: Path) -> Material:
    """Whole objects of VOC 2012 (none that the picture's edge cuts), with the sounds of ESC-50.

    Pictures that hold no person, animal or vehicle are the backgrounds.

    Args:
        voc: folder with JPEGImages, SegmentationClass and SegmentationObject.
        esc: folder with audio and meta/esc50.csv.

    Raises:
        DataError: a folder or table is missing, a file cannot be read, or there is too little.
    """
    heard = _recordings(esc)
    seen: dict[str, list[tuple[Source, Array]]] = {}
    views: list[Path] = []
    for picture, kinds, objects in _pictures(voc):
        there = {VOC[k - 1] for k in np.unique(kinds) if 0 < k <= len(VOC)}
        if there <= {"bottle", "chair", "diningtable", "pottedplant", "sofa", "tvmonitor"}:
            views.append(picture)
        for name, cut in _objects(picture, kinds, objects):
            if name in heard and len(seen.setdefault(name, [])) < MOST:
                seen[name].append((Source("VOC 2012", picture.name, "see Flickr's terms of use"), cut))
    names = sorted(seen)
    photos = [
        Photo(k, cut, name not in FLOATING, out, source)
        for k, name in enumerate(names)
        for (source, cut), out in zip(seen[name], held(len(seen[name])), strict=True)
    ]
    recordings = [
        Recording(k, sound(file, present(file).read_bytes()), out, Source("ESC-50", file.name, "CC-BY-NC-3.0"))
        for k, name in enumerate(names)
        for file, out in zip(heard[name], held(len(heard[name])), strict=True)
    ]
    views = views[: MOST * 2]
    backgrounds = [
        Background(pool, place(file, file.read_bytes()), Source("VOC 2012", file.name, "see Flickr's terms of use"))
        for file, pool in zip(views, pools(len(views)), strict=True)
    ]
    return Material(tuple(names), tuple(photos), tuple(recordings), tuple(backgrounds))


def _recordings(esc: Path) -> dict[str, list[Path]]:
    """Files of each class of VOC that ESC-50 has sounds of, at most `MOST`."""
    table = present(esc / "meta" / "esc50.csv")
    try:
        rows = list(csv.DictReader(table.read_text().splitlines()))
        files = {row["filename"]: row["category"] for row in rows}
    except (KeyError, UnicodeDecodeError, csv.Error):
        raise DataError(table, "is no table of ESC-50: it needs the columns filename and category") from None
    found = {name: [esc / "audio" / file for file, kind in files.items() if kind in HEARD[name]] for name in HEARD}
    return {name: paths[:MOST] for name, paths in found.items() if paths}


def _pictures(voc: Path) -> Iterator[tuple[Path, Array, Array]]:
    """Each segmented picture with its masks of classes and of objects."""
    folder = voc / "SegmentationObject"
    if not folder.is_dir():
        raise DataError(folder, "is missing; the folder of VOC 2012 holds it, beside JPEGImages and SegmentationClass")
    for file in sorted(folder.glob("*.png")):
        picture = present(voc / "JPEGImages" / f"{file.stem}.jpg")
        with Image.open(present(voc / "SegmentationClass" / file.name)) as kinds, Image.open(file) as objects:
            if kinds.mode != "P" or kinds.size != objects.size:
                raise DataError(file, "and its picture in SegmentationClass are no masks of VOC 2012")
            yield picture, np.asarray(kinds), np.asarray(objects)


def _objects(picture: Path, kinds: Array, objects: Array) -> Iterator[tuple[str, Array]]:
    """Class and cut-out of each object that is large enough and wholly in the picture."""
    pixels: Array | None = None
    for k in np.unique(objects):
        mask = objects == k
        kind = int(np.bincount(kinds[mask]).argmax())
        rim = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
        if k in (0, VOID) or not 0 < kind <= len(VOC) or mask.mean() < LEAST or rim.any():
            continue
        if pixels is None:
            pixels = picture_of(picture, picture.read_bytes())
        if pixels.shape[:2] != mask.shape:
            raise DataError(picture, f"has {pixels.shape[1]}x{pixels.shape[0]} pixels, its mask another number")
        y, x = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
        window = slice(y[0], y[-1] + 1), slice(x[0], x[-1] + 1)
        alpha = np.where(mask[window], 255, 0).astype(np.uint8)
        yield VOC[kind - 1], np.dstack([pixels[window], alpha])
