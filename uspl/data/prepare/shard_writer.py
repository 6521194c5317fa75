"""WebDataset shards: finished clips wait as plain files, and go into a tar file that appears whole."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

from uspl.data.prepare.decoder_process import places
from uspl.data.shards import KINDS, Shards


class Packer:
    """Puts `each` clips into a shard; `done` holds the ids that are in one."""

    def __init__(self, out: Path, staged: Path, each: int) -> None:
        self.out, self.staged, self.each = out, staged, max(each, 1)
        files = sorted(out.glob("*.tar"))
        self.done = {str(id, "utf-8") for id in Shards(files).ids} if files else set()
        self.next = 1 + max((int(f.stem) for f in files if f.stem.isdigit()), default=-1)
        self.waiting: list[str] = []
        for id in self.done:  # a run that ended between writing a shard and clearing up
            self._clear(id)

    def add(self, id: str) -> None:
        """A clip is finished."""
        self.waiting.append(id)
        if len(self.waiting) >= self.each:
            self.flush()

    def flush(self) -> None:
        """Write what waits, in the order of the ids."""
        if not self.waiting:
            return
        target = self.out / f"{self.next:05d}.tar"
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        with tarfile.open(part, "w", format=tarfile.USTAR_FORMAT) as tar:
            for id in sorted(self.waiting):
                for file, kind in zip(places(self.staged, id), KINDS, strict=True):
                    info = tarfile.TarInfo(f"{id}{kind}")
                    info.size = file.stat().st_size
                    with file.open("rb") as content:
                        tar.addfile(info, content)
        part.replace(target)
        for id in self.waiting:
            self._clear(id)
        self.done.update(self.waiting)
        self.next, self.waiting = self.next + 1, []

    def _clear(self, id: str) -> None:
        for file in places(self.staged, id):
            file.unlink(missing_ok=True)
