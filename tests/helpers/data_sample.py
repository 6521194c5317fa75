"""Small data for the tests: a Sounding Shapes folder made once, and films with a fault."""

import atexit
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path

from tests.helpers.broken_films import make
from uspl.cli import make_sounding_shapes, prepare_avsbench

COUNTS = {"train": 10, "val": 2, "test": 4, "negative": 2}
GIVEN = [str(x) for split, n in COUNTS.items() for x in (f"--{split}", n)]


@lru_cache(maxsize=1)
def sample() -> Path:
    """A prepared standard set of a few clips, shared by all tests: read it, do not change it."""
    home = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    root = home / "set"
    assert make_sounding_shapes.main([str(root), *GIVEN, "--workers", "1"]) == 0
    assert prepare_avsbench.main([str(root), "--workers", "1"]) == 0
    return root


def copy(to: Path) -> Path:
    """A copy of the sample that a test may break."""
    shutil.copytree(sample(), to)
    return to


def film(
    path: Path, *, seconds: float = 3, side: int = 32, sound: float | None = 0.3, end: float | None = None
) -> Path:
    """A film whose frame n (of 8 per second) has grey level 8 n (modulo 256); its sound is 440 Hz of amplitude `sound`.

    `sound` None leaves the sound track out, `end` ends it early.
    """
    whole = sound is None or side == 1  # lossless: H.264 has no single pixel
    how = {"codec": "ffv1", "layout": None, "container": "matroska"} if whole else {"container": "mp4"}
    size = (side, side)
    return make(path, seconds=seconds, size=size, loud=sound or 0.0, heard=end, flat=True, **how)  # type: ignore[arg-type]
