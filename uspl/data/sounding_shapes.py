"""Make the embedded data set on demand: films and masks are drawn, then cut as those of AVSBench are."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock

from uspl.core import paths
from uspl.core.errors import DataError
from uspl.core.files import make_folder
from uspl.core.progress import has_kernel
from uspl.data.metadata import TABLE, read_table

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
    if _complete(folder, made, counts):
        return folder
    progress = sys.stderr.isatty() or has_kernel() if progress is None else progress
    given = [str(x) for k, v in {**made, **counts}.items() for x in (f"--{k}", v)]
    many = [] if workers is None else ["--workers", str(workers)]
    make_folder(folder.parent)
    with FileLock(folder.parent / f".{folder.name}.lock"):
        if not _complete(folder, made, counts):  # another process made it, while this one waited
            _run("uspl.cli.make_sounding_shapes", [str(folder), *given, *many], progress)
            _run("uspl.cli.prepare_avsbench", [str(folder), *many], progress)
    return folder


def _complete(folder: Path, made: dict[str, Any], counts: dict[str, int]) -> bool:
    """Are all clips there and prepared, as the marker, the table and the report say?"""
    files = [folder / name for name in (MARKER, TABLE, "report.json")]
    if not all(file.is_file() for file in files):
        return False
    marker, report = json.loads(files[0].read_text()), json.loads(files[2].read_text())
    same = all(marker.get(k) == v for k, v in made.items())
    return same and all(marker["counts"][s] >= n for s, n in counts.items()) and len(report) == len(read_table(folder))


def _run(module: str, given: list[str], progress: bool) -> None:
    """A module in a process of its own: its workers must not inherit what this one has open."""
    home = Path(__file__).resolve().parents[2]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(home), os.environ.get("PYTHONPATH", "")])}
    last = b""
    command = [sys.executable, "-m", module, *given]
    with subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as run:
        assert isinstance(run.stderr, io.BufferedReader)
        while chunk := run.stderr.read1(4096):
            last = (last + chunk)[-2000:]
            if progress:
                sys.stderr.write(chunk.decode(errors="replace"))
    if run.returncode:
        says = last.decode(errors="replace").strip().splitlines()
        raise DataError(given[0], f"cannot be made: {says[-1].rstrip('.') if says else f'exit code {run.returncode}'}")
