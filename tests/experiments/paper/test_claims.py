"""The table of claims: what the paper says, its numbers, ours, and a verdict that follows from the records alone."""

from pathlib import Path

import pytest

from tests.helpers.values import tight
from uspl.core import record
from uspl.experiments.paper import claims, grid, grid_report

TABLES = {s.table: s for s in grid.read()}


def write(results: Path, table: int, name: str, scores: dict[int, float], split: str = "val") -> None:
    sweep = TABLES[table]
    (cell,) = (c for c in sweep.cells if c.name == name)
    for seed, miou in scores.items():
        told = {"split": split, "seed": seed, "variant": cell.variant, "changes": cell.changes}
        told["scores"] = {cell.map: {"miou": miou, "fscore": miou}}
        folder = grid_report.record_folder(sweep, cell, results, split=split)
        record.write(folder / f"{cell.variant}-s{seed}.json", told)


def row(results: Path, says: str, table: int) -> str:
    (found,) = (line for line in tight(claims.markdown((table,), results)).splitlines() if says in line)
    return found


@pytest.mark.parametrize(
    ("ours", "verdict"),
    [
        ({1: 0.6, 2: 0.6, 3: 0.6}, "held in 3 of 3 seeds (+0.100)"),
        ({1: 0.9, 2: 0.9, 3: 0.4}, "in the mean, in 2 of 3 seeds (+0.233)"),
        ({1: 0.6, 2: 0.2, 3: 0.2}, "not held: 1 of 3 seeds (-0.167)"),
        ({1: 0.6}, "held in 1 of 1 seeds (+0.100)"),
    ],
)
def test_a_verdict_follows_from_the_seeds_both_have(tmp_path: Path, ours: dict[int, float], verdict: str) -> None:
    write(tmp_path, 6, "r 9", {1: 0.5, 2: 0.5, 3: 0.5})
    write(tmp_path, 6, "r 7", ours)
    assert row(tmp_path, "A radius of 9 is worse than 7 (val mIoU)", 6).endswith(f"| {verdict} |")
    assert "| 0.454 against 0.396 |" in row(tmp_path, "A radius of 9 is worse than 7 (val mIoU)", 6)


def test_the_best_of_all_must_beat_each(tmp_path: Path) -> None:
    for name, value in (("r 3", 0.2), ("r 5", 0.7), ("r 7", 0.6)):
        write(tmp_path, 6, name, {1: value})
    assert row(tmp_path, "r = 7 is the best radius (val mIoU)", 6).endswith("| not run | not run |")
    write(tmp_path, 6, "r 9", {1: 0.1})
    found = row(tmp_path, "r = 7 is the best radius (val mIoU)", 6)
    assert found.endswith("| 0.600 against 0.100 to 0.700 | not held: 0 of 1 seeds (-0.100) |")


def test_every_claim_is_true_of_the_papers_own_numbers() -> None:
    """Otherwise it would be no claim of the paper."""
    for claim in claims.CLAIMS:
        cells = {c.name: c for c in TABLES[claim.table].cells}
        others = claim.worse or [name for name in cells if name != claim.better and cells[name].variant]
        assert cells[claim.better].paper[0] > max(cells[name].paper[0] for name in others), claim.says


def test_every_table_has_a_claim() -> None:
    assert {claim.table for claim in claims.CLAIMS} == set(range(1, 9))
