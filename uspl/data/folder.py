"""One door for the clips that a chapter looks at: an embedded set, or any other folder in AVSBench's layout."""

import json
from pathlib import Path

from uspl.data.metadata import table_file
from uspl.data.sounding_photos import MARKER as PHOTOS_MARKER
from uspl.data.sounding_photos import PHOTOS
from uspl.data.sounding_shapes import MARKER, SHAPES, sounding_shapes

MARKERS = {SHAPES: MARKER, PHOTOS: PHOTOS_MARKER}  # of the embedded sets


def open_folder(root: str | Path | None = None) -> Path:
    """A folder in AVSBench-S4's layout; Sounding Shapes, drawn where it is missing, if none is there.

    Args:
        root: AVSBench-S4 as distributed or prepared, Sounding Photos, or Sounding Shapes of any level and size: taken
            as it is. A folder that does not exist, or that an interrupted drawing left, becomes Sounding Shapes. None
            is `data/sounding-shapes` in the project's folder.

    Raises:
        DataError: a folder that holds something else, or that cannot be written.
    """
    if root is None or not table_file(root).is_file():
        return sounding_shapes(root)
    folder = Path(root)
    if embedded_set(folder) != SHAPES:
        return folder
    made = json.loads((folder / MARKER).read_text())
    kept = {name: made[name] for name in ("level", "seed", "size", "seconds")}
    return sounding_shapes(folder, **kept, **made["counts"])


def embedded_set(root: str | Path) -> str:
    """Which embedded set a folder holds, "Sounding Shapes" or "Sounding Photos"; "" for any other folder."""
    return next((name for name, marker in MARKERS.items() if (Path(root) / marker).is_file()), "")


def is_embedded(root: str | Path) -> bool:
    """Is it an embedded set, with object maps and a second sound for each clip?"""
    return bool(embedded_set(root))
