"""Make Sounding Photos on demand: photographs are pasted, then cut as AVSBench's films are."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from jaxtyping import Float32, UInt8
from numpy import ndarray

from uspl.core import paths
from uspl.data.photos.licences import Rights
from uspl.data.prepare.on_demand import make_set

PHOTOS, MARKER = "Sounding Photos", "sounding_photos.json"  # name of the set, and the file that says a folder holds it
MATERIAL, MANIFEST = "material.npz", "manifest.json"  # in the folder: what it was made of, and whose that is
COUNTS = {  # clips per split
    "train": 2000,
    "val": 200,
    "test": 300,
    "new_photo": 200,
    "new_recording": 200,
    "new_background": 200,
    "negative": 100,
}
ANIMALS = ("chicken", "cow", "dog", "duck", "horse", "owl", "pig", "sheep")  # of `whole_photographs`


def sounding_photos(
    root: str | Path | None = None,
    *,
    material: Sequence[str | Path] = (),
    train: int = COUNTS["train"],
    val: int = COUNTS["val"],
    test: int = COUNTS["test"],
    new_photo: int = COUNTS["new_photo"],
    new_recording: int = COUNTS["new_recording"],
    new_background: int = COUNTS["new_background"],
    negative: int = COUNTS["negative"],
    seed: int = 1,
    size: int = 224,
    workers: int | None = None,
    progress: bool | None = None,
) -> Path:
    """Make and prepare Sounding Photos where it is missing or incomplete; returns the folder.

    Args:
        root: folder; one that holds more clips of the same kind is taken as it is. None is `data/sounding-photos` in
            the project's folder.
        material: Debian packages, upstream archives or unpacked folders of them. What is not named is looked for where
            the system installs it and in `data/material`, and downloaded there else.
        train, val, test: clips per split.
        new_photo, new_recording, new_background: clips of tests whose objects, sounds or places training has not met.
        negative: clips whose sound comes from elsewhere, or that are silent.
        seed: of every scene and sound.
        size: pixels, side of the films.
        workers: processes; None takes all processors.
        progress: show the progress bars of the two scripts on stderr; None shows them where a person looks.

    Raises:
        DataError: the material is not there, the folder cannot be written, or the scripts refuse, in their words.
    """
    counts = {"train": train, "val": val, "test": test, "negative": negative}
    counts |= {"new_photo": new_photo, "new_recording": new_recording, "new_background": new_background}
    folder = paths.data_folder(root, "sounding-photos")
    more = [str(x) for path in material for x in ("--material", path)]
    script, made = "uspl.cli.make_sounding_photos", {"seed": seed, "size": size}
    return make_set(folder, script, MARKER, made, counts, more=more, workers=workers, progress=progress)


class Photograph(NamedTuple):
    """A photograph as it was taken, of which no pixel is marked, and a recording of what it shows."""

    name: str
    picture: UInt8[ndarray, "h w 3"]  # RGB
    wave: Float32[ndarray, " n"]  # mono at 16 kHz, in [-1, 1]
    rights: Rights  # of the photograph: licence and author


def whole_photographs(material: Sequence[str | Path] = ()) -> list[Photograph]:
    """Eight animals of classes that Sounding Photos teaches, in photographs that it does not contain.

    The recordings are among those that the set is made of: what is new is the picture.

    Args:
        material: see `sounding_photos`; of the packages GCompris is read.

    Raises:
        DataError: the package is not there and cannot be downloaded.
    """
    from uspl.data.photos.listing import GCOMPRIS
    from uspl.data.photos.material import picture_of, sound
    from uspl.data.photos.packages import PACKAGES, read

    home = "explore_farm_animals/resource/animals"
    files = {name: (f"{home}/{name}.webp", f"{home}/{name}.ogg") for name in ANIMALS}
    files["chicken"] = (files["chicken"][0], f"{home}/chickens.ogg")
    store = paths.data_folder(None, "material")
    found = read(PACKAGES[GCOMPRIS], {x for pair in files.values() for x in pair}, [Path(m) for m in material], store)
    return [
        Photograph(name, picture_of(seen, found.files[seen]), sound(heard, found.files[heard]), found.rights[seen])
        for name, (seen, heard) in files.items()
    ]
