"""What the data scripts share: a ledger, and jobs over processes that end with their parent."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, as_completed
from multiprocessing.connection import wait
from pathlib import Path
from typing import NamedTuple, TypeVar

from pebble import ProcessExpired, ProcessPool
from tqdm import tqdm

Todo = TypeVar("Todo")
Result = TypeVar("Result")


class Refused(Exception):
    """A request that cannot be met; the message is one sentence for the user."""


class Job(NamedTuple):
    """One clip to cut: `at` is the s of the film, None its middle; `root` is where its files go."""

    id: str
    source: str
    root: str
    at: float | None


class Row(NamedTuple):
    """How a clip went: "ok"; "silent" or "odd" (prepared, but look at it); "bad" (not prepared).

    A video that did not come has the class of its refusal, a key of `uspl.data.download.refusals.KINDS`.
    """

    id: str
    status: str = "ok"
    reason: str = ""

    @property
    def prepared(self) -> bool:
        return self.status in ("ok", "silent", "odd")


class Ledger:
    """One line of JSON per clip as it is done; the last line about a clip counts, half a line does not."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[str, Row] = {}
        lines = path.read_bytes().splitlines() if path.is_file() else []
        for line in lines:
            try:
                row = Row(**json.loads(line))
            except (ValueError, TypeError):
                continue
            self.rows[row.id] = row
        path.parent.mkdir(parents=True, exist_ok=True)
        self.file = path.open("a", encoding="utf-8")
        if lines:
            self.file.write("\n")  # what a killed run wrote last may be half a line

    def add(self, row: Row) -> None:
        if self.rows.get(row.id) != row:
            self.rows[row.id] = row
            self.file.write(json.dumps(row._asdict()) + "\n")
            self.file.flush()


def sweep(root: Path) -> None:
    """Remove the temporary files that a killed run left."""
    for part in root.rglob(".*.part"):
        part.unlink(missing_ok=True)


def each(
    job: Callable[[Todo], Result],
    todo: Sequence[Todo],
    *,
    workers: int,
    says: str,
    limit: float | None = None,
    lost: Callable[[Todo, str], Result] | None = None,
) -> Iterator[Result]:
    """Results of `job` over `todo` as they come, with a progress bar.

    In this process when `workers` is 1 and there is no `limit`. With `limit` (s, looked at ten times a second) a job
    that takes longer, or whose process dies, is ended, and `lost(one, why)` is its result: a file that hangs or
    crashes a decoder stops no other.
    """
    with tqdm(total=len(todo), desc=says, unit="clip", disable=not todo, mininterval=0.5) as bar:
        apart = limit is not None or (workers > 1 and len(todo) > 1)
        for result in _apart(job, todo, workers, limit, lost) if apart else map(job, todo):
            bar.update()
            yield result


def _apart(
    job: Callable[[Todo], Result],
    todo: Sequence[Todo],
    workers: int,
    limit: float | None,
    lost: Callable[[Todo, str], Result] | None,
) -> Iterator[Result]:
    pool = ProcessPool(max_workers=max(1, min(workers, len(todo))), initializer=_follow_parent)
    try:
        asked: dict[Future[Result], Todo] = {pool.schedule(job, args=(one,), timeout=limit): one for one in todo}
        for done in as_completed(asked):
            try:
                result = done.result()
            except TimeoutError:
                result = _give_up(asked[done], f"takes longer than {limit or 0:g} s to read", lost)
            except ProcessExpired:
                result = _give_up(asked[done], "ends the process that reads it", lost)
            yield result
    finally:
        pool.stop()
        pool.join()


def _give_up(one: Todo, why: str, lost: Callable[[Todo, str], Result] | None) -> Result:
    if lost is None:
        raise Refused(f"The process that worked on {one} ended without a word; is there enough memory?")
    return lost(one, why)


def _follow_parent() -> None:
    """A worker leaves interrupts to its parent, and ends when the parent is gone, however it went."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        sentinel = parent.sentinel
        threading.Thread(target=lambda: (wait([sentinel]), os._exit(1)), daemon=True).start()
