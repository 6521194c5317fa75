"""uspl.data.prepare.dask_cluster: a hang, a crash or a lost worker costs nothing but its time; the ledger remembers."""

import contextlib
import importlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from uspl.cli import prepare_vggsound
from uspl.data.prepare import jobs as work

spread = importlib.import_module("uspl.data.prepare.dask_cluster")  # Dask is imported here only
Job, Ledger, Row = work.Job, work.Ledger, work.Row

# A decoder that hangs, crashes or talks. The stand-in decides by the id of the clip.

STUB = """
import json, os, sys, time
print(json.dumps("ready"), flush=True)
for line in sys.stdin:
    job = json.loads(line)
    mark = os.path.join(job["root"], job["id"])
    if job["id"].startswith("hang"):
        time.sleep(60)
    if job["id"].startswith("crash") or (job["id"].startswith("once") and not os.path.exists(mark)):
        open(mark, "w").close()
        os._exit(3)
    time.sleep(0.02)
    with open(mark, "a") as file:
        file.write("x")
    print(json.dumps(["ok", str(os.getpid())]), flush=True)
"""


@pytest.fixture
def stub(tmp_path: Path) -> tuple[str, ...]:
    (tmp_path / "stub.py").write_text(STUB)
    (tmp_path / "marks").mkdir()
    return (str(tmp_path / "stub.py"),)


def jobs(tmp_path: Path, *ids: str) -> Iterator[work.Job | work.Row]:
    return (Job(id, "", str(tmp_path / "marks"), None) for id in ids)


def test_hangs_and_crashes_cost_one_clip(stub: tuple[str, ...], tmp_path: Path) -> None:
    start = time.monotonic()
    with spread.cluster(None, 2, 1.0, stub) as client:
        ids = ["a", "hang1", "b", "crash", "c", "once", "hang2", "d"]
        rows = {r.id: r for r in spread.spread(client, jobs(tmp_path, *ids))}
    assert time.monotonic() - start < 20
    assert set(rows) == set(ids)
    assert [rows[i].status for i in ("a", "b", "c", "d", "once")] == ["ok"] * 5
    assert rows["hang1"] == Row("hang1", "bad", "takes longer than 1 s")
    assert rows["hang2"] == Row("hang2", "bad", "takes longer than 1 s")
    assert rows["crash"] == Row("crash", "bad", "ends the decoder (exit code 3)")


def test_no_decoder_outlives_its_run(stub: tuple[str, ...], tmp_path: Path) -> None:
    with spread.cluster(None, 2, 5.0, stub) as client:
        pids = {int(r.reason) for r in spread.spread(client, jobs(tmp_path, *"abcdef"))}
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 0)
            pytest.fail(f"decoder {pid} is alive")


def test_a_job_that_comes_after_the_end_is_no_error(stub: tuple[str, ...]) -> None:
    with spread.cluster(None, 1, 5.0, stub) as client:
        client.unregister_worker_plugin(spread.dask_worker.PLUGIN)
        assert client.submit(spread.dask_worker.cut, {}).result() == ["bad", "was not cut: the run was stopped"]
        client.register_plugin(spread.dask_worker.Decoders(stub, 5.0))


def test_nothing_listens_to_other_machines(stub: tuple[str, ...]) -> None:
    with spread.cluster(None, 1, 5.0, stub) as client:
        servers = [client.cluster.scheduler, *client.cluster.workers.values()]
        open_to = {s.getsockname()[0] for server in servers for s in server.http_server._sockets.values()}
    assert open_to == {"127.0.0.1"}


def test_few_clips_are_under_way(stub: tuple[str, ...], tmp_path: Path) -> None:
    asked = done = most = 0

    def counted() -> Iterator[work.Job | work.Row]:
        nonlocal asked, most
        for job in jobs(tmp_path, *(f"c{i}" for i in range(40))):
            asked += 1
            most = max(most, asked - done)
            yield job

    with spread.cluster(None, 1, 5.0, stub) as client:
        for _ in spread.spread(client, counted()):
            done += 1
    assert done == 40
    assert most <= 5


def test_a_lost_worker_loses_nothing(stub: tuple[str, ...], tmp_path: Path) -> None:
    """A cluster of two worker processes, as on two machines; one is killed."""
    code = (
        "import distributed, sys\n"
        "if __name__ == '__main__':\n"
        "    c = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)\n"
        "    print(c.scheduler_address, *(w.pid for w in c.workers.values()), flush=True)\n"
        "    sys.stdin.read()\n"
    )
    (tmp_path / "cluster.py").write_text(code)
    command = [sys.executable, str(tmp_path / "cluster.py")]
    cluster = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        address, first, _ = cluster.stdout.readline().split()  # type: ignore[union-attr]
        ids = [f"c{i}" for i in range(80)]
        rows = []
        with spread.cluster(address, 1, 5.0, stub) as client:
            for row in spread.spread(client, jobs(tmp_path, *ids)):
                rows.append(row)
                if len(rows) == 10:
                    os.kill(int(first), signal.SIGKILL)
        assert sorted(r.id for r in rows) == sorted(ids)
        assert {r.status for r in rows} == {"ok"}
    finally:
        cluster.communicate("", timeout=30)


def test_half_a_line_of_the_ledger(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.add(Row("a", "gone", "private video"))
    ledger.add(Row("b"))
    ledger.add(Row("b", "bad", "is empty (0 bytes)"))
    whole = (tmp_path / "ledger.jsonl").read_bytes()
    (tmp_path / "ledger.jsonl").write_bytes(whole[:-10])
    ledger = Ledger(tmp_path / "ledger.jsonl")
    assert ledger.rows == {"a": Row("a", "gone", "private video"), "b": Row("b")}
    ledger.add(Row("c"))
    assert set(Ledger(tmp_path / "ledger.jsonl").rows) == {"a", "b", "c"}


def test_a_decoder_that_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.py").write_text("raise SystemExit(1)")
    whole = spread.cluster
    monkeypatch.setattr(spread, "cluster", lambda a, w, s: whole(a, w, s, (str(tmp_path / "broken.py"),)))
    assert prepare_vggsound.main([str(tmp_path), str(tmp_path / "out"), "--workers", "1"]) == 2
    assert "the decoder does not start" in capsys.readouterr().err
