"""Records: one small JSON per run, with all that is needed to make it again. The book quotes nothing else."""

import hashlib
import json
import platform
import resource
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from uspl.core.files import write_text

_PACKAGES = ("uspl", "torch", "torchvision", "av", "numpy", "accelerate")


def environment() -> dict[str, Any]:
    """Versions, commit, processor, threads and peak memory (MiB) of this process."""
    import torch

    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    return {
        "python": platform.python_version(),
        "versions": versions,
        "commit": _commit(),
        "machine": platform.machine(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1 if sys.platform == "darwin" else 1024),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
    }


def write(path: str | Path, values: dict[str, Any]) -> Path:
    """Write `values`, the environment and a seal over both as JSON, whole or not at all; returns the path."""
    path = Path(path)
    values = json.loads(json.dumps({**values, "environment": environment()}))
    write_text(path, json.dumps({**values, "seal": seal(values)}, indent=1, sort_keys=True) + "\n")
    return path


def read(path: str | Path, *, sealed: bool = False) -> dict[str, Any]:
    """Read one record.

    Args:
        path: of the file.
        sealed: refuse a record without a seal.

    Raises:
        ValueError: it is not a record, or not the one that was written; with file and line.
    """
    try:
        text = Path(path).read_text()
        values: dict[str, Any] = json.loads(text)
    except (OSError, json.JSONDecodeError) as error:
        raise ValueError(f"`{path}` is not a readable record: {error}.") from error
    if not isinstance(values, dict):
        raise ValueError(f"`{path}`, line 1: a record is a JSON object; got {type(values).__name__}.")
    if "seal" not in values and sealed:
        raise ValueError(f"`{path}`, line 1: the record has no seal; run its command again.")
    if "seal" in values and values["seal"] != seal(values):
        line = next(i for i, words in enumerate(text.splitlines(), 1) if words.lstrip().startswith('"seal":'))
        raise ValueError(f"`{path}`, line {line}: the seal does not fit; the record was edited: run its command again.")
    return values


def seal(values: Mapping[str, Any]) -> str:
    """SHA-256 of a record's values as JSON, its own seal left out."""
    told = {k: v for k, v in values.items() if k != "seal"}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _commit() -> str:
    """Short hash of the checkout the library runs from, "+" behind it when files differ; "unknown" outside one."""
    root = Path(__file__).resolve().parents[2]
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--abbrev=10"],
            cwd=root,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip()
