"""The short version of `benchmarks/kills.py`: nothing is lost when a training is killed."""

import random
from pathlib import Path

from benchmarks import kills


def test_a_killed_training_goes_on_as_if_nothing_had_been(tmp_path: Path) -> None:
    found = kills.trainings(3, tmp_path, random.Random(1))
    assert found["kills"] == found["resumed runs equal"] == 3
    assert found["checkpoints that load"] == found["checkpoints"] > 0
    assert not found["files left over"]
