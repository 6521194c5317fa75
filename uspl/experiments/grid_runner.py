"""Run the cells of a table: a page by papermill and a record for each cell and seed, several at a time, resumable."""

import logging
import multiprocessing
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tqdm.auto import tqdm

from uspl.config import Config
from uspl.core import paths
from uspl.core.files import make_folder
from uspl.core.progress import has_kernel
from uspl.experiments.grid import Cell, Sweep, record_folder

log = logging.getLogger(__name__)
PAGE = Path(__file__).with_name("cell.ipynb")


class Job(NamedTuple):
    """A cell with one seed: what a worker needs to know."""

    record: Path
    page: Path  # the executed notebook
    parameters: dict[str, Any]
    threads: int


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
    runs: str | Path | None = None,
    workers: int = 0,
    scheduler: str | None = None,
    redo: bool = False,
) -> list[Failure]:
    """Run every cell of some tables on validation clips; one that has a record is left alone.

    Trainings are shared through `runs`: the cells of Tables 6 to 8 have one warm-up for each seed, and those of
    Table 8 one training, since the walk learns nothing. With the encoders of the paper a cell has `runs` of its own.

    Args:
        tables: of `grid.read`.
        cfg: what the cells change.
        data: folder in AVSBench-S4's layout; only its splits "train" and "val" are opened.
        results: a record for each cell and seed goes to `table<N>/<cell>/<data>`.
        seeds: training seeds.
        runs: where checkpoints live, and below `tables` the executed pages; None is `runs` in the project's folder.
        workers: cells at a time, each with its share of the cores; 0 is one for each core.
        scheduler: address of a Dask scheduler to run on instead; its workers start in the same folder.
        redo: also cells that have a record.

    Returns:
        The cells that failed.

    Raises:
        ValueError: papermill, or with `scheduler` Dask, is not installed.
    """
    cores, runs = os.cpu_count() or 1, paths.runs_folder(runs)
    workers = workers or cores
    failed = [f for table in tables if table.command for f in _measured(table, redo)]
    how: dict[str, Any] = {"threads": max(1, cores // workers), "redo": redo}
    every = [(table, cell, seed) for table in tables for cell in table.cells for seed in seeds]
    jobs = [_job(*one, cfg, data, results, runs, **how) for one in every]
    jobs = [job for job in jobs if redo or not job.record.is_file()]
    if jobs:
        with _executor(workers, scheduler) as executor:
            waiting = {executor.submit(perform, job): job for job in jobs}
            shown = sys.stderr.isatty() or has_kernel()
            for done in tqdm(as_completed(waiting), total=len(jobs), desc="cells", disable=not shown):
                failed += _told(waiting[done], done)
    return failed


def execute(page: Path, target: Path, parameters: dict[str, Any], **options: Any) -> None:
    """Run a notebook by papermill into `target`; what it and its kernel say is encrypted where it can be.

    The kernel is shut down here: papermill would interrupt it first, which a kernel without work reports as an error.
    """
    import papermill
    from jupyter_client.manager import KernelManager

    kernel = KernelManager(kernel_name="python3", transport_encryption="auto")
    try:
        papermill.execute_notebook(page, target, parameters, kernel_name="python3", km=kernel, **options)
    finally:
        if kernel.has_kernel:
            kernel.request_shutdown()
            kernel.finish_shutdown()
        kernel.cleanup_resources()


def perform(job: Job) -> None:
    """Execute the page of one cell; it writes the record. Raises RuntimeError with the reason where it cannot."""
    from papermill.exceptions import PapermillExecutionError

    os.environ |= {"OMP_NUM_THREADS": str(job.threads), "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    make_folder(job.page.parent)
    try:
        execute(PAGE, job.page, job.parameters, progress_bar=False)
    except PapermillExecutionError as error:
        raise RuntimeError(f"{error.ename}: {error.evalue}") from None


def _job(
    table: Sweep,
    cell: Cell,
    seed: int,
    cfg: Config,
    data: str | Path,
    results: str | Path,
    runs: str | Path,
    *,
    threads: int,
    redo: bool,
) -> Job:
    home, pages = record_folder(table, cell, results, Path(data).name), Path(runs) / "tables" / f"table{table.table}"
    asked = Config.from_dict(cfg.as_dict() | cell.changes | {"seed": seed})
    told = {
        "title": f"table {table.table}, {cell.name}, seed {seed}",
        "variant": cell.variant,
        "map": cell.map,
        "config": asked.as_dict(),
        "data": str(data),
        "out": str(home),
        "runs": str(runs if cfg.visual == "tiny" else pages / cell.folder),
        "again": redo,
    }
    return Job(home / f"{cell.variant}-s{seed}.json", pages / f"{cell.folder}-s{seed}.ipynb", told, threads)


def _told(job: Job, done: "Future[None]") -> list[Failure]:
    name, error = job.parameters["title"], done.exception()
    if error is None:
        log.info("%s: done", name)
        return []
    log.warning("%s failed: %s", name, error)
    return [Failure(name, str(error))]


def _measured(table: Sweep, redo: bool) -> list[Failure]:
    """Run the command of a table that is measured as a whole, unless its record is there."""
    if (paths.home() / table.record).is_file() and not redo:
        return []
    if paths.clone() is None:
        return [Failure(f"table {table.table}", f"`{table.command}` is a part of the repository: run it from a clone")]
    words = shlex.split(table.command.replace("python ", f"{shlex.quote(sys.executable)} ", 1))
    done = subprocess.run(words, cwd=paths.clone(), capture_output=True, text=True)
    if done.returncode == 0:
        return []
    return [Failure(f"table {table.table}", (done.stderr.strip().splitlines() or ["no reason was given"])[-1])]


@contextmanager
def _executor(workers: int, scheduler: str | None) -> Iterator[Executor]:
    try:
        import papermill  # noqa: F401
    except ImportError as error:
        raise ValueError("a sweep runs its cells by papermill, which is missing: pip install papermill.") from error
    if scheduler is None:
        with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
            yield pool
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise ValueError("`scheduler` needs Dask, which is missing: pip install 'dask[distributed]'.") from error
    with Client(scheduler, timeout=20) as client:
        yield client.get_executor()
