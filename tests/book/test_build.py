"""book/build.py: what it refuses before it builds anything."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.values import ROOT


def build(installed: Path, out: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "book/build.py", "--out", str(out)]
    env = {**os.environ, "PYTHONPATH": str(installed)}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("version", ["2.0.0", "2.1.2", "10.0.0a1"])
def test_jupyter_book_2_is_refused(version: str, tmp_path: Path) -> None:
    folder = tmp_path / f"jupyter_book-{version}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: jupyter-book\nVersion: {version}\n")
    done = build(tmp_path, tmp_path / "out")
    assert done.returncode == 2
    assert done.stderr == (
        "`jupyter-book` must be version 1, which alone reads Sphinx extensions and builds offline; "
        f"got {version}: `pip install 'jupyter-book>=1.0.4,<2'` brings it.\n"
    )
    assert not (tmp_path / "out").exists()
