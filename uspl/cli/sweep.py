"""`uspl sweep`: the tables of the paper, cell by cell."""

import logging
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from uspl.cli.arguments import in_project
from uspl.config import Config
from uspl.core import paths

TINY = Config.tiny()


def sweep(
    table: tuple[int, ...] = (),
    cell: str | None = None,
    cfg: Annotated[Config, tyro.conf.arg(name="")] = TINY,
    tier: Annotated[Literal["tiny", "paper"], tyro.conf.arg(help="what the cells change")] = "tiny",
    data: Annotated[Path | None, in_project("folder in AVSBench-S4's layout", "data/sounding-shapes")] = None,
    out: Annotated[Path | None, in_project("where the records go, in `table<N>/<cell>`", "results")] = None,
    seeds: int = 3,
    cells: Annotated[
        Path | None, tyro.conf.arg(help="a list of tables", help_behavior_hint="(default: the library's own)")
    ] = None,
    runs: Annotated[Path | None, in_project("where checkpoints and executed pages live", "runs")] = None,
    jobs: int = 0,
    scheduler: str | None = None,
    redo: bool = False,
) -> None:
    """The cells of the paper's Tables 3 to 8, several at a time, on the validation split; resumable.

    Args:
        table: its number, or several; all of them by default.
        cell: only this one, for instance beta-10-t-8.
        seeds: how many trainings each cell gets: seeds 1, 2, ...
        jobs: cells at a time; 0 is one for each core.
        scheduler: address of a Dask scheduler to run on, as it prints it when it starts.
        redo: also cells that have a record; trained weights in `runs` are used again.
    """
    from uspl.experiments import grid, grid_runner

    if seeds < 1 or jobs < 0:
        raise ValueError(f"`seeds` must be at least 1 and `jobs` at least 0; got {seeds} and {jobs}.")
    data, out = paths.data_folder(data), paths.results_folder(out)
    tables = {s.table: s for s in grid.read(cells)}
    for number in table:
        if number not in tables:
            raise ValueError(f"`table` must be among {', '.join(map(str, tables))}; got {number}.")
    if cell is not None and len(table) != 1:
        raise ValueError(f"`cell` must be of one table; got {len(table)} tables.")
    asked = [tables[number] for number in table or tables]
    asked = asked if cell is None else [grid.select_cell(asked[0], cell)]
    logging.getLogger("uspl.experiments").setLevel(logging.INFO)
    how: dict[str, Any] = {"runs": runs, "workers": jobs, "scheduler": scheduler, "redo": redo}
    failed = grid_runner.run(asked, cfg, data, out, seeds=range(1, seeds + 1), **how)
    for one in asked:
        print(grid.markdown(one, out, data.name) if one.cells else f"{one.title}: {one.record}", end="\n\n")
    if failed:
        raise ValueError("failed: " + "; ".join(f"{f.name}: {f.reason}" for f in failed))
