"""Stages replaced by their oracles: nothing replaced is the method itself, everything replaced is nearly the mask."""

import dataclasses
from pathlib import Path

import pytest
import torch

from tests.helpers.models import brief, clips, model
from tests.helpers.values import tight
from uspl.core import record
from uspl.evaluation import stage_oracles, validation
from uspl.experiments import tables
from uspl.model import USPL


def test_nothing_replaced_is_the_method() -> None:
    found = stage_oracles.replaced(model(), clips(), batch_size=5)
    assert list(found) == list(stage_oracles.STAGES)
    assert found["none"] == pytest.approx(validation.miou(model(), clips()), abs=1e-3)  # BatchNorm is folded there


def test_each_oracle_changes_what_follows_it_alone() -> None:
    """Untrained: the true coarse map says nearly all, and true affinities keep it inside the object."""
    torch.manual_seed(0)
    found = stage_oracles.replaced(USPL(dataclasses.replace(brief(), map_range="minmax")), clips())
    assert found["m_crs"]["m_crs"] > found["choice"]["m_crs"] > found["none"]["m_crs"] + 0.1
    assert found["a"]["m_crs"] == found["none"]["m_crs"]
    assert found["a"]["m"] == found["none"]["m"]
    assert found["a"]["m_fine"] != found["none"]["m_fine"]
    assert found["m_crs, a"]["m"] == found["m_crs"]["m"]
    assert found["m_crs, a"]["m_fine"] > found["m_crs"]["m_fine"] + 0.1 > found["a"]["m_fine"] + 0.2


def test_the_table_is_the_mean_over_seeds(tmp_path: Path) -> None:
    for seed, value in ((1, 0.5), (2, 0.7)):
        by = {name: {"m_crs": value, "m_fine": value, "m": value} for name in stage_oracles.STAGES}
        record.write(tmp_path / f"full-s{seed}.json", {"seed": seed, "oracles": by})
    record.write(tmp_path / "full-s3.json", {"seed": 3})  # of a time before oracles
    assert "| true affinity | 0.600 | 0.600 | 0.600 |" in tight(tables.oracle_markdown(tmp_path))
    assert "| as it is | not run | not run | not run |" in tight(tables.oracle_markdown(tmp_path, "best"))
