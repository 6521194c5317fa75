"""Make the embedded data set on demand: films and masks are drawn, then cut as those of AVSBench are."""

from pathlib import Path
from typing import Literal

from uspl.core import paths
from uspl.data.prepare.on_demand import make_set

SHAPES, MARKER = "Sounding Shapes", "sounding_shapes.json"  # name of the set, and the file that says a folder holds it


def sounding_shapes(
    root: str | Path | None = None,
    *,
    level: Literal["standard", "hard"] = "standard",
    train: int = 1280,
    val: int = 200,
    test: int = 300,
    negative: int | None = None,
    seed: int = 1,
    size: int = 112,
    seconds: int = 3,
    workers: int | None = None,
    progress: bool | None = None,
) -> Path:
    """Make and prepare Sounding Shapes where it is missing or incomplete; returns the folder.

    Args:
        root: folder; one that holds more clips of the same kind is taken as it is. None is `data/sounding-shapes`, or
            `data/sounding-shapes-hard`, in the project's folder.
        level: preset of the generator.
        train, val, test, negative: clips per split; `negative` (sound from elsewhere, silence) by the level.
        seed: of every scene and sound.
        size: pixels, side of the films.
        seconds: length of a clip.
        workers: processes; None takes all processors.
        progress: show the progress bars of the two scripts on stderr; None shows them where a person looks.

    Raises:
        DataError: the folder cannot be written, or the scripts refuse; the message is theirs.
    """
    counts = {"train": train, "val": val, "test": test, "negative": (100, 0)[level == "standard"]}
    counts["negative"] = counts["negative"] if negative is None else negative
    name = "sounding-shapes" if level == "standard" else f"sounding-shapes-{level}"
    folder, made = paths.data_folder(root, name), {"level": level, "seed": seed, "size": size, "seconds": seconds}
    script = "uspl.cli.make_sounding_shapes"
    return make_set(folder, script, MARKER, made, counts, workers=workers, progress=progress)
