"""The preparation of VGGSound, run as a script, and what it wrote."""

import json
from pathlib import Path

from uspl.cli import prepare_vggsound


def prepare(source: Path, out: Path, *given: str) -> dict[str, tuple[str, str]]:
    """Run the script; status and reason by id, of the clips in trouble."""
    assert prepare_vggsound.main([str(source), str(out), "--workers", "1", *given]) == 0
    return trouble(out)


def trouble(out: Path) -> dict[str, tuple[str, str]]:
    rows = json.loads((out / "report.json").read_text())["trouble"]
    return {row["id"]: (row["status"], row["reason"]) for row in rows}


def written(out: Path) -> dict[str, tuple[int, bytes]]:
    """Time and content of each frame and sound."""
    files = [p for kind in ("frames", "audio") for p in (out / kind).glob("*")]
    return {f"{p.parent.name}/{p.name}": (p.stat().st_mtime_ns, p.read_bytes()) for p in files}
