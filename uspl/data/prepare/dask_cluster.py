"""Clips over Dask workers, on this machine or elsewhere."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import distributed

from uspl.data.prepare import dask_worker
from uspl.data.prepare.jobs import Job, Refused, Row

DECODER = ("-m", "uspl.data.prepare.decoder_process")


@contextmanager
def cluster(
    address: str | None, workers: int, limit: float, command: tuple[str, ...] = DECODER
) -> Iterator[distributed.Client]:
    """A client of the scheduler at `address`, or of threads in this process; each thread has its decoder process."""
    local = None
    if address is None:
        near = "127.0.0.1:0"  # Dask shows its state on a page: to this machine alone
        local = distributed.LocalCluster(
            n_workers=1,
            threads_per_worker=workers,
            processes=False,
            dashboard_address=near,
            worker_dashboard_address=near,
            memory_limit=0,
        )
    try:
        with distributed.Client(local or address, timeout=10) as client:
            client.register_plugin(dask_worker.Decoders(command, limit))
            try:
                yield client
            except BaseException as error:
                traceback.clear_frames(error.__traceback__)  # futures are let go while the client can still be told
                raise
            finally:
                client.unregister_worker_plugin(dask_worker.PLUGIN)
    finally:
        if local is not None:
            local.close()


def spread(client: distributed.Client, work: Iterator[Job | Row]) -> Iterator[Row]:
    """Rows as they come. Few clips are under way at any time, so a million take no more memory than a hundred."""
    window = 4 * max(sum(client.nthreads().values()), 1)
    running = distributed.as_completed(raise_errors=False)
    ids: dict[Any, str] = {}
    while True:
        while running.count() < window and not running.has_ready():
            item = next(work, None)
            if item is None:
                break
            if isinstance(item, Row):
                yield item
                continue
            future = client.submit(dask_worker.cut, item._asdict(), pure=False)
            ids[future.key] = item.id
            running.add(future)
        if not running.count():
            return
        future = next(running)
        id = ids.pop(future.key)
        if future.status == "finished":
            yield Row(id, *future.result())
        elif isinstance(error := future.exception(), distributed.KilledWorker):
            yield Row(id, "bad", "ends the workers that try it")
        else:
            raise Refused(f"The workers stopped ({error}); the same command goes on from here.")
