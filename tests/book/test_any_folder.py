"""Every chapter runs on a folder in AVSBench's layout at the paper's tier: ResNet50 and VGGish from random start."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.book.test_chapters import CHAPTERS, READS_ONLY, ROOT
from tests.helpers.avsbench_folder import avsbench_folder

# Two steps a phase; small maps and heads, for time.
CHANGES: dict[str, Any] = {"visual_weights": "none", "audio_weights": "none", "warmup_epochs": 1, "epochs": 1}
CHANGES |= {"batch_size": 4, "image_size": 64, "map_size": 16, "refine_size": 16, "r": 3, "t": 2}
CHANGES |= {"dim": 16, "aff_dim": 8, "decoder_dim": 8}
MORE: dict[str, dict[str, Any]] = {
    "02_mmicl_training": {"deltas": [0.0, 0.9], "epochs": 1, "n_clips": 4},
    "03_affinity_learning": {"r": 3, "epochs": 1, "n_clips": 4},
    "04_random_walk": {"n_clips": 4},
    "06_metrics_and_bounds": {"n_clips": 4},
    "11_failures_and_limits": {"n_clips": 3, "k": 1},
    "12_your_own_video": {"n_clips": 4, "smooth": 0.0},
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What USPL_HOME names: the folder `data`, and the models, which the chapters share."""
    folder = tmp_path_factory.mktemp("home")
    avsbench_folder(folder / "data")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("stem", [stem for stem in CHAPTERS if stem not in READS_ONLY | {"10_photographs"}])
def test_at_the_tier_of_the_paper(stem: str, home: Path) -> None:
    given = {"changes": CHANGES, "device": "cpu", **MORE.get(stem, {})}
    words = [word for name, value in given.items() for word in ("-p", name, repr(value))]
    command = [sys.executable, "book/execute.py", stem, "--tier", "paper", "--data", str(home / "data"), *words]
    env = {**os.environ, "USPL_HOME": str(home)}
    done = subprocess.run(
        [*command, "--out", str(home / "out")], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    ran = nbformat.read(home / "out" / f"{stem}.ipynb", as_version=4)
    assert ran.metadata.papermill.parameters["tier"] == "paper"
    assert not [o for c in ran.cells for o in c.get("outputs", []) if o.output_type == "error"]
