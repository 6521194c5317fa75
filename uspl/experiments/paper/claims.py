"""The paper's claims about its Tables 1 to 8, each beside what the records say of it."""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from uspl.core import paths
from uspl.core.tables import markdown_table
from uspl.experiments.paper import grid, grid_report
from uspl.experiments.paper.grid import Cell, Column, Sweep


class Claim(NamedTuple):
    """One row of a table is better than others."""

    table: int
    says: str
    better: str  # name of the row
    worse: tuple[str, ...] = ()  # of the others; all of them by default


CLAIMS = (
    Claim(1, "USPL leads all that learn without annotation", "USPL", ("FNAC", "EZ-VSL", "LVS")),
    Claim(1, "USPL leads all that learn from image labels", "USPL", ("CAM", "IRNet", "MSSL")),
    Claim(1, "Learning from masks (AVS) still leads", "AVS", ("USPL",)),
    Claim(2, "USPL leads all other methods", "USPL"),
    Claim(3, "MMICL is better than MICL", "MMICL", ("EZ-VSL (baseline)",)),
    Claim(3, "SMR makes MMICL better", "MMICL + SMR", ("MMICL",)),
    Claim(3, "SPS needs what SMR finds", "MMICL + SMR + SPS", ("MMICL + SPS, SMR ablated",)),
    Claim(3, "SPS is better than SMR alone", "MMICL + SMR + SPS", ("MMICL + SMR",)),
    Claim(4, "Training SPS makes the fine map of SMR better", "SMR & SPS", ("Only SMR",)),
    Claim(5, "Hiding half of the locations is better than hiding none", "delta 0.5", ("delta 0",)),
    Claim(5, "Half is the best share", "delta 0.5"),
    Claim(5, "Hiding nine tenths is worse than hiding none", "delta 0", ("delta 0.9",)),
    Claim(6, "r = 7 is the best radius", "r 7"),
    Claim(6, "A radius of 9 is worse than 7", "r 7", ("r 9",)),
    Claim(7, "0.4 and 0.55 are the best thresholds", "beta_l 0.4, beta_h 0.55"),
    Claim(8, "beta = 10, t = 8 is the best pair", "beta 10, t 8"),
)


def markdown(
    tables: Sequence[int] = tuple(range(1, 9)),
    results: str | Path | None = None,
    data: str | Path = grid_report.SHAPES,
    *,
    tier: str = "tiny",
) -> str:
    """A table: claim, the paper's numbers, ours, and whether it held: in how many seeds, and in the mean.

    Args:
        tables: numbers of the tables.
        results: folder of the records; None is the project's.
        data, tier: see `grid_report.markdown`.
    """
    results, known = paths.results_folder(results), {s.table: s for s in grid.read()}
    rows = []
    for claim in CLAIMS:
        if claim.table in tables:
            sweep = known[claim.table]
            for column in sweep.columns:
                rows.append(_row(claim, sweep, column, results, data, tier))
    head = ["table", "the paper says", "its numbers", f"ours [{Path(data).name}, {tier}]", "held?"]
    return markdown_table(head, rows)


def _row(claim: Claim, sweep: Sweep, column: Column, results: Path, data: str | Path, tier: str) -> list[str]:
    cells = {cell.name: cell for cell in sweep.cells}
    others = claim.worse or tuple(name for name, cell in cells.items() if name != claim.better and cell.variant)
    at = sweep.columns.index(column)

    def seeds(cell: Cell) -> dict[int, float]:
        return grid_report.by_seed(sweep, cell, results, data, tier=tier, column=column)

    paper = [cells[name].paper[at] * column.unit for name in (claim.better, *others)]
    ours, theirs = seeds(cells[claim.better]), [seeds(cells[name]) for name in others]
    common = set(ours).intersection(*theirs)
    printed = f"{paper[0]:.3f} against {_span(paper[1:])}"
    title = f"{claim.says} ({column.title})"
    if not common:
        return [str(sweep.table), title, printed, "not run", "not run"]
    means = [statistics.mean(one[seed] for seed in common) for one in theirs]
    lead = statistics.mean(ours[seed] for seed in common) - max(means)
    held = sum(ours[seed] > max(one[seed] for one in theirs) for seed in common)
    found = f"{statistics.mean(ours[seed] for seed in common):.3f} against {_span(means)}"
    return [str(sweep.table), title, printed, found, f"{verdict(held, len(common), lead)} ({lead:+.3f})"]


def verdict(held: int, seeds: int, lead: float) -> str:
    """In words: in how many seeds the row is ahead of the best of the others, and whether it leads in the mean.

    >>> verdict(3, 3, 0.02), verdict(2, 3, 0.01), verdict(1, 3, -0.01), verdict(0, 3, -0.1)
    ('held in 3 of 3 seeds', 'in the mean, in 2 of 3 seeds', 'not held: 1 of 3 seeds', 'not held: 0 of 3 seeds')
    """
    if held == seeds:
        return f"held in {held} of {seeds} seeds"
    return f"in the mean, in {held} of {seeds} seeds" if lead > 0 else f"not held: {held} of {seeds} seeds"


def _span(values: Sequence[float]) -> str:
    low, high = f"{min(values):.3f}", f"{max(values):.3f}"
    return low if low == high else f"{low} to {high}"
