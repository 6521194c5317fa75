"""Tables 5 to 8 as lists of cells: read from `sweeps.yml`, run one by one, shown by chapter 07."""

import itertools
import logging
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from uspl import record
from uspl.config import Config
from uspl.study import study

log = logging.getLogger(__name__)
KEYS = ("table", "title", "notebook", "map", "grid", "cells", "paper")
VARIANT = "full"  # of `study.VARIANTS`


class Cell(NamedTuple):
    """One setting of a table."""

    changes: dict[str, Any]  # fields of `Config`
    paper: float | None  # the published value, where it is known here

    @property
    def name(self) -> str:
        """`beta 10, t 8`."""
        return ", ".join(f"{field} {value:g}" for field, value in self.changes.items())

    @property
    def folder(self) -> str:
        """`beta-10-t-8`: where its records lie."""
        return "-".join(f"{field}-{value:g}" for field, value in self.changes.items()).replace("_", "-")


class Sweep(NamedTuple):
    """One table."""

    table: int
    title: str
    notebook: str
    map: str
    cells: list[Cell]


def read(path: str | Path = "sweeps.yml") -> list[Sweep]:
    """The tables of a file.

    Raises:
        ValueError: not YAML, an unknown key, map or field, or a value outside its field's range: with file and line.
    """
    try:
        root = yaml.compose(Path(path).read_text(), Loader=yaml.SafeLoader)
    except (OSError, yaml.YAMLError) as error:
        raise ValueError(f"`{path}` is not a readable list of tables: {' '.join(str(error).split())}.") from error
    return [_sweep(node, Path(path)) for node in root.value]


def only(sweep: Sweep, cell: str) -> Sweep:
    """The table with one of its cells.

    Raises:
        ValueError: no cell of that name.
    """
    chosen = [c for c in sweep.cells if c.folder == cell]
    if not chosen:
        raise ValueError(f"`cell` must be one of {', '.join(c.folder for c in sweep.cells)}; got {cell!r}.")
    return sweep._replace(cells=chosen)


def _sweep(node: yaml.Node, path: Path) -> Sweep:
    line, held = node.start_mark.line + 1, _plain(node)
    unknown = [key for key in held if key not in KEYS]
    if unknown or not {"table", "title", "map"} <= set(held):
        raise ValueError(f"{path}, line {line}: a table has the keys {', '.join(KEYS)}; got {', '.join(held)}.")
    if held["map"] not in ("m_crs", "m_fine", "m"):
        raise ValueError(f"{path}, line {line}: `map` must be m_crs, m_fine or m; got {held['map']!r}.")
    grid = held.get("grid", {})
    settings = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())] if grid else []
    settings += held.get("cells", [])
    published = {tuple(map(float, key.split(","))): value for key, value in held.get("paper", {}).items()}
    cells = []
    for changes in settings:
        try:
            Config.tiny(**changes)
        except (TypeError, ValueError) as error:
            place = next((k.start_mark.line + 1 for k in _nodes(node) if k.value in changes), line)
            raise ValueError(f"{path}, line {place}: {error}") from error
        cells.append(Cell(changes, published.pop(tuple(map(float, changes.values())), None)))
    if published:
        raise ValueError(f"{path}, line {line}: `paper` names a cell that the table does not have: {list(published)}.")
    return Sweep(held["table"], held["title"], held.get("notebook", ""), held["map"], cells)


def _plain(node: yaml.Node) -> dict[str, Any]:
    values: Any = yaml.safe_load(yaml.serialize(node))
    return values if isinstance(values, dict) else {str(values): None}


def _nodes(node: yaml.Node) -> list[yaml.Node]:
    """Every scalar below a node."""
    if isinstance(node, yaml.ScalarNode):
        return [node]
    below = itertools.chain.from_iterable(node.value) if isinstance(node, yaml.MappingNode) else node.value
    return [scalar for child in below for scalar in _nodes(child)]


def run(
    sweep: Sweep,
    cfg: Config,
    data: str | Path,
    results: str | Path,
    *,
    seeds: Sequence[int] = (1, 2, 3),
    runs: str | Path = "runs",
) -> list[tuple[Cell, Exception | None]]:
    """Run the cells of a table on validation clips; what has a record is kept, a cell that fails does not stop others.

    Cells that share a warm-up share its checkpoint: those of Tables 6 to 8 have one for each seed.

    Returns:
        Each cell, with its error where it failed.
    """
    done: list[tuple[Cell, Exception | None]] = []
    for k, cell in enumerate(sweep.cells, 1):
        log.info("table %s, cell %s of %s: %s", sweep.table, k, len(sweep.cells), cell.name)
        asked = Config.from_dict(cfg.as_dict() | cell.changes)
        try:
            out = Path(results) / f"table{sweep.table}" / cell.folder / Path(data).name
            study(asked, data, out, seeds=seeds, variants=[VARIANT], split="val", protocols=["avsbench"], runs=runs)
            done.append((cell, None))
        except (ValueError, RuntimeError, OSError) as error:
            done.append((cell, error))
    return done


def values(sweep: Sweep, cell: Cell, results: str | Path) -> list[float]:
    """mIoU of each seed that has a record."""
    found = sorted((Path(results) / f"table{sweep.table}" / cell.folder).glob(f"*/{VARIANT}-s*.json"))
    return [record.read(path)["scores"][sweep.map]["miou"] for path in found]


def markdown(sweep: Sweep, results: str | Path) -> str:
    """A table: a row per cell, what it gave here, and the published value in a column of its own."""
    command = f"uspl sweep --table {sweep.table}"
    lines = [
        f"| {sweep.title} | mIoU of {sweep.map}, Sounding Shapes | seeds | status | the paper, AVSBench-S4 | command |",
        "|---|---|---|---|---|---|",
    ]
    for cell in sweep.cells:
        each = values(sweep, cell, results)
        spread = f" ± {(max(each) - min(each)) / 2:.3f}" if len(each) > 1 else ""
        mean = f"{statistics.mean(each):.3f}{spread}" if each else ""
        paper = "" if cell.paper is None else f"{cell.paper:.4f}"
        seeds = " ".join(f"{v:.3f}" for v in each)
        said = f"run, {len(each)} seeds" if each else "not run"
        lines.append(f"| {cell.name} | {mean} | {seeds} | {said} | {paper} | `{command} --cell {cell.folder}` |")
    return "\n".join(lines)
