"""What runs on a Dask worker: it hands clips to decoder processes, which may be killed when their time is up.

Workers elsewhere need `uspl` too: installed, or a clone on their PYTHONPATH.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

import distributed
from distributed.diagnostics.plugin import WorkerPlugin

START = 180  # s for a decoder to start: it imports the library
PLUGIN = "uspl-decoders"


class Decoder:
    """A decoder process: `ask` sends a job and waits for the answer."""

    def __init__(self, command: tuple[str, ...]) -> None:
        home = Path(__file__).resolve().parents[3]  # where `uspl` is, installed or not
        path = os.pathsep.join([str(home), os.environ.get("PYTHONPATH", "")])
        env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
        self.process: Any = subprocess.Popen(
            [sys.executable, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, env=env
        )
        if self._line(START) != "ready":
            self.close()
            raise RuntimeError(f"the decoder does not start; try `python {' '.join(command)}`")

    def ask(self, job: dict[str, Any], limit: float) -> list[str] | None:
        """Status and reason of a clip; None when the process died of it."""
        try:
            self.process.stdin.write(json.dumps(job).encode() + b"\n")
        except BrokenPipeError:
            return None
        answer: list[str] | str | None = self._line(limit)
        if isinstance(answer, str):
            self.close()
            return ["bad", f"takes longer than {limit:g} s"]
        return answer

    def _line(self, limit: float) -> Any:
        """The next line; "late" when it does not come, None when it never will."""
        out, data, end = self.process.stdout, b"", time.monotonic() + limit
        poll = select.poll()
        poll.register(out, select.POLLIN | select.POLLHUP)
        while not data.endswith(b"\n"):
            left = end - time.monotonic()
            if left <= 0 or not poll.poll(1000 * left):
                return "late"
            piece = os.read(out.fileno(), 1 << 16)
            if not piece:
                return None
            data += piece
        return json.loads(data)

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            pipe.close()


class Decoders(WorkerPlugin):
    """The decoder processes of one worker: as many as it has threads at work."""

    name = PLUGIN

    def __init__(self, command: tuple[str, ...], limit: float) -> None:
        self.command, self.limit = command, limit

    def setup(self, worker: Any) -> None:
        self.idle: deque[Decoder] = deque()

    def teardown(self, worker: Any) -> None:
        while self.idle:
            self.idle.pop().close()

    def cut(self, job: dict[str, Any]) -> list[str]:
        """A decoder that dies is tried once more: what killed it may have come from outside."""
        code = 0
        for _ in range(2):
            try:
                decoder = self.idle.pop()
            except IndexError:
                decoder = Decoder(self.command)
            answer = decoder.ask(job, self.limit)
            if answer is not None and decoder.alive:
                self.idle.append(decoder)
            if answer is not None:
                return answer
            code = decoder.process.wait()
            decoder.close()
        return ["bad", f"ends the decoder (exit code {code})"]


def cut(job: dict[str, Any]) -> list[str]:
    """Status and reason of one clip."""
    decoders: Any = distributed.get_worker().plugins.get(PLUGIN)
    if decoders is None:  # the run was stopped: nobody waits for the answer
        return ["bad", "was not cut: the run was stopped"]
    answer: list[str] = decoders.cut(job)
    return answer
