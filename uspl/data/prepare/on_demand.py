"""Sets that are made where they are missing: is one there whole, and a script run in a process of its own."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock

from uspl.core.errors import DataError
from uspl.core.files import make_folder
from uspl.core.progress import has_kernel
from uspl.data.metadata import TABLE, read_table


def make_set(
    folder: Path,
    script: str,
    marker: str,
    made: Mapping[str, Any],
    counts: Mapping[str, int],
    *,
    more: Sequence[str] = (),
    workers: int | None = None,
    progress: bool | None = None,
) -> Path:
    """Make and prepare a set where it is missing or incomplete; returns the folder.

    Args:
        folder: where it lies.
        script: module that makes the films; `uspl.cli.prepare_avsbench` then cuts them.
        marker: name of the file that says what a folder holds.
        made: settings that the marker must tell; arguments of the script.
        counts: clips per split, as least; arguments of the script too.
        more: further arguments.
        workers: processes; None takes all processors.
        progress: show progress bars on stderr; None shows them where a person looks.

    Raises:
        DataError: the folder cannot be written, or the scripts refuse; the message is theirs.
    """
    if complete(folder, marker, made, counts):
        return folder
    progress = sys.stderr.isatty() or has_kernel() if progress is None else progress
    given = [str(x) for k, v in {**made, **counts}.items() for x in (f"--{k.replace('_', '-')}", v)]
    many = [] if workers is None else ["--workers", str(workers)]
    make_folder(folder.parent)
    with FileLock(folder.parent / f".{folder.name}.lock"):
        if not complete(folder, marker, made, counts):  # another process made it, while this one waited
            run_module(script, [str(folder), *given, *more, *many], progress)
            run_module("uspl.cli.prepare_avsbench", [str(folder), *many], progress)
    return folder


def complete(folder: Path, marker: str, made: Mapping[str, Any], counts: Mapping[str, int]) -> bool:
    """Are all clips there and prepared, as the marker, the table and the report say?"""
    files = [folder / name for name in (marker, TABLE, "report.json")]
    if not all(file.is_file() for file in files):
        return False
    says, report = json.loads(files[0].read_text()), json.loads(files[2].read_text())
    same = all(says.get(k) == v for k, v in made.items())
    return same and all(says["counts"][s] >= n for s, n in counts.items()) and len(report) == len(read_table(folder))


def run_module(module: str, given: Sequence[str], progress: bool) -> None:
    """A module in a process of its own: its workers must not inherit what this one has open."""
    home = Path(__file__).resolve().parents[3]
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
