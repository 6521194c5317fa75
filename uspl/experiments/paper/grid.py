"""The paper's Tables 1 to 8 as lists of cells, from `sweeps.yml`; `grid_runner` runs them, `grid_report` shows them."""

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from uspl.config import Config
from uspl.experiments.study import PEERS, VARIANTS

TABLES = Path(__file__).with_name("sweeps.yml")
KEYS = ("table", "title", "notebook", "columns", "records", "protocols", "cells", "extra")
SCORES = {"miou": "mIoU", "fscore": "F-score", "ciou": "cIoU@0.5", "auc": "AUC"}


class Column(NamedTuple):
    """What a table prints of each row."""

    split: str
    score: str  # of `SCORES`

    @property
    def title(self) -> str:
        """`val mIoU`."""
        return f"{self.split} {SCORES[self.score]}"

    @property
    def unit(self) -> float:
        """Of the printed number: all but the F-score are printed in per cent."""
        return 1.0 if self.score == "fscore" else 0.01


class Cell(NamedTuple):
    """One row of a table."""

    changes: dict[str, Any]  # fields of `Config`
    variant: str  # of `study`; "" for a row that is cited only
    map: str  # the one that is scored
    paper: tuple[float, ...] = ()  # as printed, in the order of the columns; empty for a row beside the paper's
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
    """One table."""

    table: int
    title: str
    notebook: str  # the chapter that explains it
    columns: tuple[Column, ...]
    cells: list[Cell]  # the paper's rows
    extra: list[Cell]  # rows beside them
    records: str = ""  # folder of the records, where tables share them
    protocols: tuple[str, ...] = ("avsbench",)

    @property
    def splits(self) -> tuple[str, ...]:
        """Those that its columns are about."""
        return tuple(dict.fromkeys(column.split for column in self.columns))


def read(path: str | Path | None = None) -> list[Sweep]:
    """The tables of a file; None is the one of the project.

    Raises:
        ValueError: not YAML, an unknown key, column, map, variant or field, a value outside its field's range, or as
            many numbers as there are no columns: with file and line.
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
    cells, extra = ([c for c in rows if c.folder == cell] for rows in (sweep.cells, sweep.extra))
    if not cells + extra:
        there = ", ".join(dict.fromkeys(c.folder for c in sweep.cells + sweep.extra if c.variant))
        raise ValueError(f"`cell` must be one of {there}; got {cell!r}.")
    return sweep._replace(cells=cells, extra=extra)


def _sweep(node: yaml.Node, path: Path) -> Sweep:
    line, held = node.start_mark.line + 1, _plain(node)
    if not {"table", "title", "columns", "cells"} <= set(held) <= set(KEYS):
        raise ValueError(f"{path}, line {line}: a table has the keys {', '.join(KEYS)}; got {', '.join(held)}.")
    columns = tuple(Column(*str(column).split(" ", 1)) for column in held["columns"] if " " in str(column))
    if len(columns) != len(held["columns"]) or any(
        c.split not in ("val", "test") or c.score not in SCORES for c in columns
    ):
        there = f"a split, val or test, and a score of {', '.join(SCORES)}"
        raise ValueError(f"{path}, line {line}: each of `columns` must be {there}; got {held['columns']}.")
    rows = {key: [_cell(one, columns, node, path) for one in _rows(held.get(key, []))] for key in ("cells", "extra")}
    for cell in rows["extra"]:
        if cell.paper:
            raise ValueError(f"{path}, line {line}: a row of `extra` is not the paper's; got `paper` in {cell.name!r}.")
    if not rows["cells"]:
        raise ValueError(f"{path}, line {line}: table {held['table']} must have at least one row in `cells`; got none.")
    sweep = Sweep(held["table"], held["title"], held.get("notebook", ""), columns, rows["cells"], rows["extra"])
    return sweep._replace(
        records=held.get("records", sweep.records), protocols=tuple(held.get("protocols", sweep.protocols))
    )


def _rows(rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Each row; one with a `grid` for every combination of its values."""
    for row in rows:
        grid = row.get("grid", {})
        plain = {key: value for key, value in row.items() if key != "grid"}
        for values in itertools.product(*grid.values()):
            yield plain | dict(zip(grid, values, strict=True))


def _cell(row: dict[str, Any], columns: tuple[Column, ...], node: yaml.Node, path: Path) -> Cell:
    given = {"variant": "full", "map": "m", "title": "", "paper": []} | row
    variant, m, title, paper = (given.pop(key) for key in ("variant", "map", "title", "paper"))
    known = VARIANTS | PEERS
    if variant and variant not in known:
        there = f"one of {', '.join(known)}; got {variant!r}"
        raise ValueError(f"{path}, line {_line(node, [variant])}: `variant` must be {there}.")
    if variant and m not in known[variant].maps:
        there = f"one of {', '.join(known[variant].maps)}, the maps of {variant!r}; got {m!r}"
        raise ValueError(f"{path}, line {_line(node, [m])}: `map` must be {there}.")
    if paper and len(paper) != len(columns):
        many = f"{len(columns)} numbers, one for each column; got {paper}"
        raise ValueError(f"{path}, line {_line(node, map(str, paper))}: `paper` must be {many}.")
    try:
        Config.from_dict(Config.tiny().as_dict() | given)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}, line {_line(node, given)}: {error}") from error
    return Cell(given, variant, m, tuple(paper), title)


def _told(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _plain(node: yaml.Node) -> dict[str, Any]:
    values: Any = yaml.safe_load(yaml.serialize(node))
    return values if isinstance(values, dict) else {str(values): None}


def _line(node: yaml.Node, words: Iterable[str]) -> int:
    """Where one of some words stands in a table; its first line if none does."""
    sought = set(words)
    found = [scalar.start_mark.line for scalar in _nodes(node) if scalar.value in sought]
    return int(min(found, default=node.start_mark.line)) + 1


def _nodes(node: yaml.Node) -> list[yaml.Node]:
    """Every scalar below a node."""
    if isinstance(node, yaml.ScalarNode):
        return [node]
    below = itertools.chain.from_iterable(node.value) if isinstance(node, yaml.MappingNode) else node.value
    return [scalar for child in below for scalar in _nodes(child)]
