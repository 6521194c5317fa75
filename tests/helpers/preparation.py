"""Both preparations, run as scripts, and what they wrote; scripts that are stopped on their way."""

import functools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.helpers.values import ROOT
from uspl.cli import prepare_avsbench, prepare_vggsound

HEAD = "name,start time,category,split\n"  # of AVSBench's table


def prepared(root: Path, *given: str) -> dict[str, dict[str, str]]:
    """Run the preparation of AVSBench; the report by name of clip."""
    assert prepare_avsbench.main([str(root), "--workers", "1", *given]) == 0
    return {row["name"]: row for row in json.loads((root / "report.json").read_text())}


def prepare(source: Path, out: Path, *given: str) -> dict[str, tuple[str, str]]:
    """Run the preparation of VGGSound; status and reason by id, of the clips in trouble."""
    assert prepare_vggsound.main([str(source), str(out), "--workers", "1", *given]) == 0
    return trouble(out)


def trouble(out: Path) -> dict[str, tuple[str, str]]:
    rows = json.loads((out / "report.json").read_text())["trouble"]
    return {row["id"]: (row["status"], row["reason"]) for row in rows}


def written(out: Path) -> dict[str, tuple[int, bytes]]:
    """Time and content of each frame and sound."""
    files = [p for kind in ("frames", "audio") for p in (out / kind).glob("*")]
    return {f"{p.parent.name}/{p.name}": (p.stat().st_mtime_ns, p.read_bytes()) for p in files}


def started(name: str, *given: object) -> "subprocess.Popen[str]":
    """A script of `data_scripts` on its way, in a session of its own."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(ROOT / "data_scripts" / f"{name}.py"), *map(str, given)]
    # Tests started in the background of a shell inherit that Ctrl-C is ignored.
    heard = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    pipes = {"stderr": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=env, preexec_fn=heard, start_new_session=True, **pipes)  # type: ignore[call-overload, no-any-return]


def until(holds: Callable[[], bool], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.002)
    assert holds()
