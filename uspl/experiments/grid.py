"""The paper's Tables 3 to 8 as lists of cells, from `sweeps.yml`; `grid_runner` runs them, chapter 07 shows them."""

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from uspl.config import Config
from uspl.core import record
from uspl.core.tables import markdown_table
from uspl.experiments.study import VARIANTS
from uspl.experiments.tables import mean_and_half_range

TABLES = Path(__file__).with_name("sweeps.yml")
KEYS = ("table", "title", "notebook", "command", "record", "variant", "map", "grid", "cells", "paper")


class Cell(NamedTuple):
    """One setting of a table."""

    changes: dict[str, Any]  # fields of `Config`
    variant: str  # of `study.VARIANTS`
    map: str  # the one that is scored
    paper: float | None  # the published value, where it is known here
    title: str = ""  # where fields do not say it

    @property
    def name(self) -> str:
        """`beta 10, t 8`."""
        return self.title or ", ".join(f"{field} {_told(value)}" for field, value in self.changes.items())

    @property
    def folder(self) -> str:
        """`beta-10-t-8`: where its records lie."""
        fields = "-".join(f"{field}-{_told(value)}" for field, value in self.changes.items()).replace("_", "-")
        return fields or f"{self.variant}-{self.map}".replace("_", "-")


class Sweep(NamedTuple):
    """One table: cells that are trained and scored, or a command that measures all of it."""

    table: int
    title: str
    notebook: str  # the chapter that explains it
    cells: list[Cell]
    command: str = ""
    record: str = ""  # what the command writes


def read(path: str | Path | None = None) -> list[Sweep]:
    """The tables of a file; None is the one of the project.

    Raises:
        ValueError: not YAML, an unknown key, map, variant or field, or a value outside its field's range: with file
            and line.
    """
    path = Path(path or TABLES)
    try:
        root = yaml.compose(path.read_text(), Loader=yaml.SafeLoader)
    except (OSError, yaml.YAMLError) as error:
        raise ValueError(f"`{path}` is not a readable list of tables: {' '.join(str(error).split())}.") from error
    return [_sweep(node, path) for node in root.value]


def select_cell(sweep: Sweep, cell: str) -> Sweep:
    """The table with one of its cells.

    Raises:
        ValueError: no cell of that name.
    """
    chosen = [c for c in sweep.cells if c.folder == cell]
    if not chosen:
        there = ", ".join(c.folder for c in sweep.cells) or "none: the table is one command"
        raise ValueError(f"`cell` must be one of {there}; got {cell!r}.")
    return sweep._replace(cells=chosen)


def _sweep(node: yaml.Node, path: Path) -> Sweep:
    line, held = node.start_mark.line + 1, _plain(node)
    needed = {"table", "title", "command", "record"} if "command" in held else {"table", "title"}
    if not needed <= set(held) <= set(KEYS):
        raise ValueError(f"{path}, line {line}: a table has the keys {', '.join(KEYS)}; got {', '.join(held)}.")
    grid = held.get("grid", {})
    settings = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())] if grid else []
    settings += held.get("cells", [])
    published = {str(key).replace(" ", ""): value for key, value in held.get("paper", {}).items()}
    cells = []
    for setting in settings:
        given = {"variant": held.get("variant", "full"), "map": held.get("map", "m"), "title": ""} | setting
        variant, m, title = (given.pop(key) for key in ("variant", "map", "title"))
        if variant not in VARIANTS:
            there = f"one of {', '.join(VARIANTS)}; got {variant!r}"
            raise ValueError(f"{path}, line {_line(node, [variant])}: `variant` must be {there}.")
        if m not in VARIANTS[variant].maps:
            there = f"one of {', '.join(VARIANTS[variant].maps)}, the maps of {variant!r}; got {m!r}"
            raise ValueError(f"{path}, line {_line(node, [m])}: `map` must be {there}.")
        try:
            Config.from_dict(Config.tiny().as_dict() | given)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path}, line {_line(node, given)}: {error}") from error
        key = ",".join(map(_told, given.values())) if given else title
        cells.append(Cell(given, variant, m, published.pop(key.replace(" ", ""), None), title))
    if published:
        raise ValueError(f"{path}, line {line}: `paper` names a cell that the table does not have: {list(published)}.")
    more = {key: held.get(key, "") for key in ("notebook", "command", "record")}
    return Sweep(held["table"], held["title"], cells=cells, **more)


def _told(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _plain(node: yaml.Node) -> dict[str, Any]:
    values: Any = yaml.safe_load(yaml.serialize(node))
    return values if isinstance(values, dict) else {str(values): None}


def _line(node: yaml.Node, words: Iterable[str]) -> int:
    """Where one of some words stands in a table; its first line if none does."""
    found = [scalar.start_mark.line for scalar in _nodes(node) if scalar.value in set(words)]
    return int(min(found, default=node.start_mark.line)) + 1


def _nodes(node: yaml.Node) -> list[yaml.Node]:
    """Every scalar below a node."""
    if isinstance(node, yaml.ScalarNode):
        return [node]
    below = itertools.chain.from_iterable(node.value) if isinstance(node, yaml.MappingNode) else node.value
    return [scalar for child in below for scalar in _nodes(child)]


def record_folder(sweep: Sweep, cell: Cell, results: str | Path, data: str) -> Path:
    """The folder of a cell's records, one for each seed: `<variant>-s<seed>.json`."""
    return Path(results) / f"table{sweep.table}" / cell.folder / data


def values(sweep: Sweep, cell: Cell, results: str | Path, data: str = "sounding-shapes") -> list[float]:
    """mIoU of each seed that has a record.

    Raises:
        ValueError: a record that was edited, or that holds another setting than the cell.
    """
    found = []
    for path in sorted(record_folder(sweep, cell, results, data).glob(f"{cell.variant}-s*.json")):
        told = record.read(path, sealed=True)
        changes = {k: told["changes"].get(k, getattr(Config.tiny(), k)) for k in cell.changes}
        if changes != cell.changes or told["split"] != "val":
            raise ValueError(f"`{path}` is the record of {changes} on {told['split']!r}, not of {cell.name}.")
        found.append(told["scores"][cell.map]["miou"])
    return found


def markdown(sweep: Sweep, results: str | Path, data: str = "sounding-shapes") -> str:
    """A table: a row per cell, what it gave here, and the published value in a column of its own."""
    head = [sweep.title, "mIoU, Sounding Shapes", "seeds", "status", "the paper, AVSBench-S4", "command"]
    rows = []
    for cell in sweep.cells:
        each = values(sweep, cell, results, data)
        paper = "" if cell.paper is None else f"{cell.paper:.4f}"
        said = f"run, {len(each)} {'seed' if len(each) == 1 else 'seeds'}" if each else "not run"
        command = f"`uspl sweep --table {sweep.table} --cell {cell.folder}`"
        mean = mean_and_half_range(each) if each else ""
        rows.append([cell.name, mean, " ".join(f"{v:.3f}" for v in each), said, paper, command])
    return markdown_table(head, rows)
