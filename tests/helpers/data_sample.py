"""Small data for the tests: a Sounding Shapes folder made once, and films with a fault."""

import atexit
import io
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path

import av
import numpy as np

from uspl.cli import make_sounding_shapes, prepare_avsbench
from uspl.data.synthetic import generate

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
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = [np.full((side, side, 3), 8 * n % 256, np.uint8) for n in range(round(8 * seconds))]
    wave = (sound or 0) * np.sin(2 * np.pi * 440 * np.arange(round(16000 * (end or seconds))) / 16000)
    if sound is not None and side > 1:
        path.write_bytes(generate.encode(np.stack(frames), wave.astype(np.float32)))
        return path
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as box:
        stream = box.add_stream("ffv1", rate=8)
        stream.width = stream.height = side
        stream.pix_fmt = "bgr0"
        for frame in frames:
            box.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        box.mux(stream.encode(None))
    path.write_bytes(buffer.getvalue())
    return path
