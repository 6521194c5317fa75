"""Run the cells of tables, several at a time, resumable: a page and a record for each cell, seed and split."""

import functools
import logging
import multiprocessing
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from tqdm.auto import tqdm

from uspl.config import Config, joint_fields
from uspl.core import paths
from uspl.core.device import visible_gpus
from uspl.core.files import make_folder
from uspl.core.progress import has_kernel
from uspl.data import splits
from uspl.encoders.weights import load_weights
from uspl.experiments import command_line
from uspl.experiments.paper import grid_report
from uspl.experiments.paper.grid import Cell, Sweep
from uspl.experiments.paper.notebook import execute
from uspl.experiments.study import PEERS, VARIANTS, changed
from uspl.train.schedule import canonical_config

log = logging.getLogger(__name__)
PAGE = Path(__file__).with_name("cell.ipynb")


class Job(NamedTuple):
    """A cell with one seed and split: what a worker needs to know."""

    record: Path
    page: Path  # the executed notebook
    parameters: dict[str, Any]


class Unit(NamedTuple):
    """Jobs that score one training, in turn; and the warm-up from which it starts."""

    jobs: list[Job]
    warmup: str


class Failure(NamedTuple):
    """A cell that has no record, and why."""

    name: str
    reason: str


def run(
    tables: Sequence[Sweep],
    cfg: Config,
    data: str | Path,
    results: str | Path,
    *,
    seeds: Sequence[int] = (1, 2, 3),
    extra: bool = False,
    boxes: str | Path | None = None,
    train_list: str | Path | None = None,
    partial: bool = False,
    runs: str | Path | None = None,
    workers: int = 0,
    gpus: Sequence[int] = (),
    scheduler: str | None = None,
    redo: bool = False,
) -> list[Failure]:
    """Run every cell of some tables; one that has a record is left alone.

    Trainings are shared through `runs`: cells that differ in nothing that is learned have one, and cells that differ
    in nothing that the warm-up sees have one warm-up for each seed. Such a warm-up is trained by the first of them,
    which the others wait for; a record names it in `warmup_run`.

    Args:
        tables: of `grid.read`.
        cfg: what the cells change.
        data: folder in AVSBench-S4's layout, or with `boxes` of VGGSound pairs; only splits of the columns are opened.
        results: a record for each cell, seed and split goes to `grid_report.record_folder`.
        seeds: training seeds.
        extra: also the rows beside the paper's.
        boxes: VGG-SS's box file: its pairs are scored, by the protocols of VGG-SS.
        train_list, partial: see `study`.
        runs: where checkpoints live, and below `tables` the executed pages; None is `runs` in the project's folder.
        workers: cells at a time, each with its share of the cores; 0 is one for each GPU, or without any for each core,
            where the encoders are those of the paper one.
        gpus: numbers of those to use, a cell each; none given takes all there are, unless `cfg.device` is "cpu".
        scheduler: address of a Dask scheduler to run on instead; its workers start in the same folder.
        redo: also cells that have a record.

    Returns:
        The cells that failed.

    Raises:
        ValueError: papermill, or with `scheduler` Dask, is not installed; a GPU that is not there, or more workers
            than GPUs; a record of another setting than its cell has.
        DataError: a split that is needed cannot be read.
        FileNotFoundError: published weights cannot be had.
    """
    cards = visible_gpus(gpus, device=cfg.device)
    workers = _workers(workers, cards, cfg)
    runs, threads = paths.runs_folder(runs), max(1, (os.cpu_count() or 1) // workers)
    tier = command_line.nearest(cfg)
    for table, cell, split in _rows(tables, extra):
        grid_report.records(table, cell, results, data, tier=tier, split=split)
    cfg = replace(cfg, device="cuda") if cards else cfg
    given = {"data": str(data), "runs": str(runs), "again": redo, "train_list": train_list, "partial": partial}
    given |= {"boxes": boxes and str(boxes)}
    made = functools.partial(_job, cfg=cfg, results=results, tier=tier, given=given)
    units = _units([made(*row, seed) for row in _rows(tables, extra) for seed in seeds], redo=redo)
    if not units:
        return []
    _check(cfg, data, {split for _, _, split in _rows(tables, extra)}, boxes, partial)
    with _executor(workers, cards, scheduler) as executor:
        return _run(executor, units, threads)


def _rows(tables: Sequence[Sweep], extra: bool) -> Iterator[tuple[Sweep, Cell, str]]:
    for table in tables:
        for cell in [*table.cells, *(table.extra if extra else [])]:
            for split in table.splits if cell.variant else ():
                yield table, cell, split


def _workers(asked: int, cards: Sequence[str], cfg: Config) -> int:
    if cards and asked > len(cards):
        raise ValueError(f"`jobs` must be at most {len(cards)}, one for each GPU; got {asked}.")
    return asked or len(cards) or (os.cpu_count() or 1 if cfg.visual == "tiny" else 1)


def _check(cfg: Config, data: str | Path, needed: set[str], boxes: str | Path | None, partial: bool) -> None:
    """What would stop every cell stops the sweep before anything is trained; downloads happen once, here."""
    given: dict[str, Any] = {"size": cfg.image_size, "seconds": cfg.seconds, "sound": cfg.sound, "partial": partial}
    for split in sorted(needed) if boxes is None else ["test"]:
        splits.open_set(data, split, boxes=boxes, **given)
    for field, kind in ((cfg.visual_weights, cfg.visual), (cfg.audio_weights, cfg.audio)):
        if kind != "tiny":
            load_weights(field, kind)


def _job(
    table: Sweep,
    cell: Cell,
    split: str,
    seed: int,
    *,
    cfg: Config,
    results: str | Path,
    tier: str,
    given: dict[str, Any],
) -> Job:
    home = grid_report.record_folder(table, cell, results, given["data"], tier=tier, split=split)
    asked = Config.from_dict(cfg.as_dict() | cell.changes | {"seed": seed})
    rules = [p for p in table.protocols if given["boxes"] is None or p.startswith("vggss")]
    told = given | {
        "title": f"table {table.table}, {cell.name}, seed {seed}" + (f", {split}" if len(table.splits) > 1 else ""),
        "variant": cell.variant,
        "map": cell.map,
        "split": split,
        "protocols": rules,
        "config": asked.as_dict(),
        "out": str(home),
    }
    pages = Path(given["runs"]) / "tables" / (table.records or f"table{table.table}")
    page = pages / "-".join([cell.folder, home.name, cell.variant, f"s{seed}.ipynb"])
    return Job(home / f"{cell.variant}-s{seed}.json", page, told)


def _units(jobs: Sequence[Job], *, redo: bool) -> list[Unit]:
    """Jobs without a record, each once, those of one training together; a warm-up that is there needs no wait."""
    together: dict[tuple[str, str, str], Unit] = {}
    for job in {job.record: job for job in jobs if redo or not job.record.is_file()}.values():
        variant = (VARIANTS | PEERS)[job.parameters["variant"]]
        learned = canonical_config(changed(Config.from_dict(job.parameters["config"]), variant))
        base = variant.method.partition("+")[0]
        warmup = f"warmup-{learned.slug(*joint_fields())}" if base == "uspl" else ""
        warmup = "" if any(Path(job.parameters["runs"]).glob(f"{warmup}-*/record.json")) else warmup
        together.setdefault((base, variant.phase, learned.slug()), Unit([], warmup)).jobs.append(job)
    return list(together.values())


def _run(executor: Executor, units: Sequence[Unit], threads: int) -> list[Failure]:
    """Every unit; of those that start from one warm-up, the first before the others."""
    waiting: dict[Future[list[str]], Unit] = {}
    held: dict[str, list[Unit]] = {}
    for unit in units:
        if unit.warmup and unit.warmup in held:
            held[unit.warmup].append(unit)
        else:
            held |= {unit.warmup: []} if unit.warmup else {}
            waiting[executor.submit(perform, unit.jobs, threads)] = unit
    failed: list[Failure] = []
    shown = sys.stderr.isatty() or has_kernel()
    with tqdm(total=sum(len(unit.jobs) for unit in units), desc="cells", disable=not shown) as bar:
        while waiting:
            for done in wait(waiting, return_when=FIRST_COMPLETED).done:
                unit = waiting.pop(done)
                failed += _told(unit, done)
                bar.update(len(unit.jobs))
                for follower in held.pop(unit.warmup, []):
                    waiting[executor.submit(perform, follower.jobs, threads)] = follower
    return failed


def perform(jobs: Sequence[Job], threads: int) -> list[str]:
    """Execute the pages of some cells; each writes its record. Returns why one could not, or "" for each."""
    from papermill.exceptions import PapermillExecutionError

    os.environ |= {"OMP_NUM_THREADS": str(threads), "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    reasons = []
    for job in jobs:
        make_folder(job.page.parent)
        try:
            execute(PAGE, job.page, job.parameters, progress_bar=False)
            reasons.append("")
        except PapermillExecutionError as error:
            reasons.append(f"{error.ename}: {error.evalue}")
    return reasons


def _told(unit: Unit, done: "Future[list[str]]") -> list[Failure]:
    error = done.exception()
    reasons = done.result() if error is None else [f"{type(error).__name__}: {error}"] * len(unit.jobs)
    names = [job.parameters["title"] for job in unit.jobs]
    for name, reason in zip(names, reasons, strict=True):
        log.log(logging.WARNING if reason else logging.INFO, "%s%s", name, f" failed: {reason}" if reason else ": done")
    return [Failure(name, reason) for name, reason in zip(names, reasons, strict=True) if reason]


def _claim(cards: Any) -> None:
    """A worker takes one GPU, where there are some, and what it starts sees no other."""
    if card := cards.get():
        os.environ["CUDA_VISIBLE_DEVICES"] = card


@contextmanager
def _executor(workers: int, cards: Sequence[str], scheduler: str | None) -> Iterator[Executor]:
    try:
        import papermill  # noqa: F401
    except ImportError as error:
        raise ValueError("a sweep runs its cells by papermill, which is missing: pip install papermill.") from error
    if scheduler is None:
        context = multiprocessing.get_context("spawn")
        free = context.Queue()
        for card in cards or [""] * workers:
            free.put(card)
        with ProcessPoolExecutor(workers, context, initializer=_claim, initargs=(free,)) as pool:
            yield pool
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise ValueError("`scheduler` needs Dask, which is missing: pip install 'dask[distributed]'.") from error
    with Client(scheduler, timeout=20) as client:
        yield client.get_executor()
