"""What the cells of a table gave: their records, checked against the cell and shown beside the paper's numbers."""

import shlex
import statistics
from pathlib import Path
from typing import Any

from uspl.config import MACHINE, Config, fields_of
from uspl.core import record
from uspl.core.paths import told as path_told
from uspl.core.tables import markdown_table
from uspl.experiments import methods
from uspl.experiments.paper.grid import Cell, Column, Sweep
from uspl.experiments.study import PEERS, VARIANTS, changed
from uspl.experiments.tables import mean_and_half_range

SHAPES = "sounding-shapes"


def record_folder(
    sweep: Sweep, cell: Cell, results: str | Path, data: str | Path = SHAPES, *, tier: str = "tiny", split: str = ""
) -> Path:
    """The folder of a cell's records on a split, one for each seed: `<variant>-s<seed>.json`.

    Validation records lie beside the folder `test`; a table that shares its records with others has no folder per cell.
    """
    home = Path(results) / (sweep.records or f"table{sweep.table}/{cell.folder}")
    home /= Path(data).name + ("" if tier == "tiny" else f"-{tier}")
    alone = sweep.records or (split or sweep.splits[0]) == "val"
    return home if alone else home / (split or sweep.splits[0])


def records(
    sweep: Sweep, cell: Cell, results: str | Path, data: str | Path = SHAPES, *, tier: str = "tiny", split: str = ""
) -> list[dict[str, Any]]:
    """Those of a cell on a split, in the order of the seeds.

    Raises:
        ValueError: a record that was edited, or that holds another setting, variant or split than the cell.
    """
    split = split or sweep.splits[0]
    folder, found = record_folder(sweep, cell, results, data, tier=tier, split=split), []
    for path in folder.glob(f"{cell.variant}-s*.json") if cell.variant else ():
        told = record.read(path, sealed=True)
        config = told.get("config") or Config.tier(told.get("tier", "tiny")).as_dict() | told["changes"]
        changes = {field: config.get(field) for field in cell.changes}
        scored = "test" if told.get("boxes") else told["split"]
        if changes != cell.changes or scored != split or told.get("variant", cell.variant) != cell.variant:
            raise ValueError(f"`{path}` is the record of {changes} on {scored!r}, not of {cell.name} on {split!r}.")
        found.append(told)
    return sorted(found, key=lambda told: told.get("seed", 0))


def values(
    sweep: Sweep,
    cell: Cell,
    results: str | Path,
    data: str | Path = SHAPES,
    *,
    tier: str = "tiny",
    column: Column | None = None,
) -> list[float]:
    """A score of each seed that has a record: of the first column by default. Raises ValueError as `records`."""
    return list(by_seed(sweep, cell, results, data, tier=tier, column=column).values())


def by_seed(
    sweep: Sweep,
    cell: Cell,
    results: str | Path,
    data: str | Path = SHAPES,
    *,
    tier: str = "tiny",
    column: Column | None = None,
) -> dict[int, float]:
    """As `values`: seed -> score."""
    split, score = column or sweep.columns[0]
    found = {}
    for told in records(sweep, cell, results, data, tier=tier, split=split):
        if score in ("miou", "fscore"):
            scores = told.get("scores", {}).get(cell.map, {})
        else:
            judged = told["protocols"].get("vggss-half", {"scores": {cell.map: {}}})["scores"][cell.map]
            scores = {name: one["value"] for name, one in judged.items()}
        if score in scores:
            found[told.get("seed", 0)] = scores[score]
    return found


def other_recipe(told: dict[str, Any], cell: Cell, tier: str) -> list[str]:
    """Fields in which the run of a record differs from what the cell asks for at its tier today."""
    if "config" not in told:
        return []
    variant = (VARIANTS | PEERS)[cell.variant]
    asked = changed(Config.tier(tier, **cell.changes), variant).as_dict()
    known = {*fields_of(MACHINE), "seed", "seconds", "keep"}
    return [field for field, value in asked.items() if field not in known and told["config"].get(field) != value]


def markdown(
    sweep: Sweep, results: str | Path, data: str | Path = SHAPES, *, tier: str = "tiny", extra: bool = False
) -> str:
    """A table: a row per cell, what it gave on `data` at `tier`, and the paper's numbers in columns of their own.

    Args:
        sweep: of `grid.read`.
        results: folder of the records.
        data: the folder that was trained on, or its name.
        tier: of the configuration.
        extra: the rows beside the paper's in place of these.
    """
    ours = list(sweep.columns)
    for column in sweep.columns:  # the F-score stands beside every mIoU
        beside = Column(column.split, "fscore")
        if column.score == "miou" and beside not in ours:
            ours.insert(ours.index(column) + 1, beside)
    name = f"{Path(data).name}, {tier}"
    printed = () if extra else sweep.columns
    head = [sweep.title, *(f"{c.title} [{name}]" for c in ours), "seeds", "status"]
    head += [*(f"the paper: {c.title}" for c in printed), "command"]
    where = "" if tier == "tiny" else f" --tier {tier}"
    where += "" if str(data) == SHAPES else f" --data {shlex.quote(path_told(data))}"
    rows = []
    for cell in sweep.extra if extra else sweep.cells:
        each = [values(sweep, cell, results, data, tier=tier, column=c) for c in ours]
        runs = [told for s in sweep.splits for told in records(sweep, cell, results, data, tier=tier, split=s)]
        paper = [f"{v * c.unit:.{3 if c.unit == 1 else 4}f}" for v, c in zip(cell.paper, printed, strict=False)]
        paper += [""] * (len(printed) - len(paper))
        command = f"`uspl sweep --table {sweep.table} --cell {cell.folder}{' --extra' if extra else ''}{where}`"
        seeds = " ".join(f"{v:.3f}" for v in each[0])
        means = [_mean(c, v) for c, v in zip(ours, each, strict=True)]
        rows.append([_marked(cell, extra), *means, seeds, _status(cell, each[0], runs, tier), *paper])
        rows[-1].append(command if cell.variant else "")
    shown = sweep.extra if extra else sweep.cells
    return markdown_table(head, rows) + methods.simplifications(cell.variant for cell in shown)


def _mean(column: Column, found: list[float]) -> str:
    if not found:
        return ""
    return f"{statistics.mean(found):.3f}" if column.score == "fscore" else mean_and_half_range(found)


def _status(cell: Cell, found: list[float], runs: list[dict[str, Any]], tier: str) -> str:
    if not found:
        return "not run" if cell.variant else "cited only"
    other = list(dict.fromkeys(field for told in runs for field in other_recipe(told, cell, tier)))
    recipe = f"; another recipe: {', '.join(other)}" if other else ""
    return f"run, {len(found)} {'seed' if len(found) == 1 else 'seeds'}{recipe}"


def _marked(cell: Cell, extra: bool) -> str:
    """The name of a row, with a dagger where its method is simplified; of a row beside the paper's, what it trains."""
    name = f"{cell.name} ({cell.variant})" if extra and not cell.title else cell.name
    return methods.marked(name, cell.variant)
