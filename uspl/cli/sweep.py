"""`uspl sweep` and `uspl figure`: the tables of the paper, cell by cell, and its Fig. 4."""

import logging
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from uspl.cli.arguments import Data, Listed, in_project
from uspl.config import Config
from uspl.core import paths

TINY = Config.tiny()


def sweep(
    table: tuple[int, ...] = (),
    cell: str | None = None,
    cfg: Annotated[Config, tyro.conf.arg(name="")] = TINY,
    tier: Annotated[Literal["tiny", "photos", "paper"], tyro.conf.arg(help="what the cells change")] = "tiny",
    data: Data = None,
    out: Annotated[Path | None, in_project("where the records go, in `table<N>/<cell>`", "results")] = None,
    seeds: int = 3,
    extra: bool = False,
    boxes: Annotated[Path | None, tyro.conf.arg(help="VGG-SS's box file: Table 2 on its pairs")] = None,
    train_list: Listed = None,
    partial: bool = False,
    cells: Annotated[
        Path | None, tyro.conf.arg(help="a list of tables", help_behavior_hint="(default: the library's own)")
    ] = None,
    runs: Annotated[Path | None, in_project("where checkpoints and executed pages live", "runs")] = None,
    jobs: int = 0,
    gpus: str = "",
    scheduler: str | None = None,
    redo: bool = False,
) -> None:
    """The cells of the paper's Tables 1 to 8, several at a time; resumable.

    Args:
        table: its number, or several; Tables 3 to 8 by default.
        cell: only this one, for instance beta-10-t-8.
        seeds: how many trainings each cell gets: seeds 1, 2, ...
        extra: also the rows beside the paper's.
        partial: train and score on what is there although clips are missing.
        jobs: cells at a time; 0 is one for each GPU, or without any for each core (with the paper's encoders one).
        gpus: numbers of those to use, a cell each, as 0,1,2,3; all there are by default.
        scheduler: address of a Dask scheduler to run on, as it prints it when it starts.
        redo: also cells that have a record; trained weights in `runs` are used again.
    """
    from uspl.experiments import command_line
    from uspl.experiments.paper import grid, grid_report, grid_runner

    if seeds < 1 or jobs < 0:
        raise ValueError(f"`seeds` must be at least 1 and `jobs` at least 0; got {seeds} and {jobs}.")
    if not re.fullmatch(r"(\d+(,\d+)*)?", gpus):
        raise ValueError(f"`gpus` must be numbers divided by commas, as 0,1,2,3; got {gpus!r}.")
    data, out = paths.data_folder(data), paths.results_folder(out)
    tables = {s.table: s for s in grid.read(cells)}
    for number in table:
        if number not in tables:
            raise ValueError(f"`table` must be among {', '.join(map(str, tables))}; got {number}.")
    if cell is not None and len(table) != 1:
        raise ValueError(f"`cell` must be of one table; got {len(table)} tables.")
    if boxes is not None and table != (2,):
        raise ValueError(f"`boxes` is for Table 2; got {', '.join(map(str, table)) or 'no table'}.")
    asked = [tables[n] for n in table or (tables if cells else (n for n in tables if 3 <= n <= 8))]
    asked = asked if cell is None else [grid.select_cell(asked[0], cell)]
    logging.getLogger("uspl.experiments").setLevel(logging.INFO)
    where: dict[str, Any] = {"boxes": boxes, "train_list": train_list, "partial": partial, "runs": runs}
    where |= {"gpus": [int(n) for n in gpus.split(",") if n], "workers": jobs, "scheduler": scheduler}
    failed = grid_runner.run(asked, cfg, data, out, seeds=range(1, seeds + 1), extra=extra, redo=redo, **where)
    for one in asked:
        for more in (False, True) if extra and one.extra else (False,):
            if one.extra if more else one.cells:
                told = grid_report.markdown(one, out, data, tier=command_line.nearest(cfg), extra=more)
                print(f"Table {one.table}{', rows beside the paper' if more else ''}", told, sep="\n\n", end="\n\n")
    if failed:
        raise ValueError("failed: " + "; ".join(f"{f.name}: {f.reason}" for f in failed))


def figure(
    fig: int = 4,
    cfg: Annotated[Config, tyro.conf.arg(name="")] = TINY,
    tier: Annotated[Literal["tiny", "photos", "paper"], tyro.conf.arg(help="encoders and recipe")] = "tiny",
    data: Annotated[Path | None, in_project("folder in AVSBench-S4's layout", "data/sounding-shapes")] = None,
    out: Annotated[Path | None, in_project("where the picture goes", "runs/figure4-<data>.png")] = None,
    rows: int = 6,
    boxes: Annotated[Path | None, tyro.conf.arg(help="VGG-SS's box file; its pairs are shown")] = None,
    train_list: Annotated[Path | None, tyro.conf.arg(help="ids of the VGGSound pairs to train on, one a line")] = None,
    partial: bool = False,
    runs: Annotated[Path | None, in_project("where checkpoints live", "runs")] = None,
) -> None:
    """Fig. 4 of the paper: EZ-VSL, FNAC and USPL on the same clips, chosen by rule; missing models are trained.

    Args:
        fig: 4, the only figure of the paper that is a result.
        rows: clips that are shown: those at equal steps of the IoU of USPL, from the best to the worst.
        partial: train and show what is there although clips are missing.
    """
    from uspl.core.files import write_bytes
    from uspl.experiments.paper.qualitative import figure4
    from uspl.viz.html_embed import encoded

    if fig != 4:
        raise ValueError(f"`fig` must be 4: the other figures of the paper explain the method; got {fig}.")
    data = paths.data_folder(data)
    out = out or paths.runs_folder(runs) / f"figure4-{data.name}{'' if tier == 'tiny' else f'-{tier}'}.png"
    found = figure4(cfg, data, rows=rows, boxes=boxes, train_list=train_list, partial=partial, runs=runs)
    write_bytes(out, encoded(found.picture))
    for id, *scores in zip(found.ids, *found.iou.values(), strict=True):
        print(id, *(f"{name} {score:.3f}" for name, score in zip(found.iou, scores, strict=True)))
    print(out)
