"""Records: one small JSON per run, with all that is needed to make it again. The book quotes nothing else."""

import json
import os
import platform
import resource
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

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
    """Write `values` and the environment as JSON, whole or not at all; returns the path."""
    path = Path(path)
    text = json.dumps({**values, "environment": environment()}, indent=1, sort_keys=True) + "\n"
    write_text(path, text)
    return path


def read(path: str | Path) -> dict[str, Any]:
    """Read one record. Raises ValueError that names the file when it is not one."""
    try:
        values: dict[str, Any] = json.loads(Path(path).read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise ValueError(f"`{path}` is not a readable record: {error}.") from error
    return values


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all: a temporary file beside it, then a rename."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes) -> None:
    """As `write_text`, for bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _commit() -> str:
    """Short hash of the checkout the library runs from, "+" behind it when files differ; "unknown" outside one."""
    root = Path(__file__).resolve().parents[1]
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
