"""Cut one frame and 3 s of 16 kHz sound from the middle of each VGGSound clip.

Takes a folder of videos `<id>.*`, or the official table `vggsound.csv` (its videos are then downloaded with yt-dlp,
one at a time). Writes `frames/<id>.jpg` and `audio/<id>.wav`, or WebDataset shards; `ledger.jsonl`, a line for each
clip as it is done; and `report.json`. The same command goes on where it was stopped.

    python data_scripts/prepare_vggsound.py /data/videos /data/vggsound
    python data_scripts/prepare_vggsound.py vggsound.csv /data/vggsound --only vggss_10k.txt --shards 10
"""

from __future__ import annotations

import argparse
import json
import logging
import os
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tqdm import tqdm

from uspl.core.files import write
from uspl.data.download import fetch, refusals, table
from uspl.data.download.fetch import Manners
from uspl.data.download.refusals import KINDS, STANDING, Unavailable
from uspl.data.download.table import LENGTH
from uspl.data.layouts.clip_names import broken, lookalikes, misfit
from uspl.data.prepare.decoder_process import finished
from uspl.data.prepare.jobs import Job, Ledger, Refused, Row, sweep
from uspl.data.prepare.pcm import climbs
from uspl.data.prepare.shard_writer import Packer
from uspl.data.vggsound import read_ids

log = logging.getLogger(__name__)
LIMIT = 10.0  # s for one clip
REFUSALS = 5  # downloads that fail in a row, after which the run stops
PAUSE = timedelta(hours=1)  # what the site takes to forget us
SHOWN = 100  # clips in trouble that are printed; report.json names them all


class Films:
    """The videos of a folder, each a clip: its name without extension is the id."""

    def __init__(self, source: Path, only: set[str] | None) -> None:
        with os.scandir(source) as entries:
            names = sorted(e.name for e in entries if not e.name.startswith(".") and not e.is_dir())
        self.source = source
        self.names = [n for n in names if only is None or Path(n).stem in only]
        self.others = [] if only is None else [n for n in names if Path(n).stem not in only]
        self.absent = sorted((only or set()) - {Path(n).stem for n in self.names})

    def __len__(self) -> int:
        return len(self.names) + len(self.absent)

    def work(self, home: Path, known: Known, *, dots: bool) -> Iterator[Job | Row]:
        """A job for each clip, or its row where there is nothing to do."""
        seen: dict[str, str] = {}
        for name in self.names:
            id, film = Path(name).stem, self.source / name
            if id in seen:
                yield Row(name, "bad", f"has the same id as `{seen[id]}`, which was taken")
            elif climbs(id):
                yield Row(name, "bad", "is refused: its name would lead out of the folder")
            elif "." in id and not dots:
                yield Row(name, "bad", "is refused: a shard cannot hold a name with two dots")
            else:
                yield known(id, film) or Job(id, str(film), str(home), None)
            seen.setdefault(id, name)
        like = lookalikes(self.absent, self.others)
        for id in self.absent:
            meant = f"; is `{like[id]}` meant?" if id in like else ""
            yield Row(id, "bad", f"is listed, and has no video in the folder{meant}")

    def done(self, row: Row) -> None:
        """Nothing to clear up."""


class Table:
    """The clips of the official CSV; each video is downloaded before its clip is cut, and removed after."""

    def __init__(self, source: Path, only: set[str] | None, videos: Path, manners: Manners, *, keep: bool) -> None:
        listed = list(table.read(source))
        self.clips = [c for c in listed if only is None or c.id in only or c.wrong]
        self.others = [c.id for c in listed if only is not None and c.id not in only]
        self.absent = sorted((only or set()) - {c.id for c in self.clips})
        self.videos, self.manners, self.keep = videos, manners, keep
        self.here: dict[str, Path] = {}  # videos of the clips under way
        self.failed = 0  # downloads in a row

    def __len__(self) -> int:
        return len(self.clips) + len(self.absent)

    def work(self, home: Path, known: Known, *, dots: bool) -> Iterator[Job | Row]:
        """As for films."""
        seen: set[str] = set()
        for clip in self.clips:
            if clip.wrong:
                yield Row(clip.id, "bad", clip.wrong)
            elif clip.id in seen:
                yield Row(f"{clip.id} again", "bad", "stands twice in the table")
            else:
                seen.add(clip.id)
                yield known(clip.id, None) or self._fetched(clip, home)
        yield from (Row(id, "bad", "is listed, and not in the table") for id in self.absent)

    def _fetched(self, clip: table.Clip, home: Path) -> Job | Row:
        try:
            self.here[clip.id] = fetch.fetch(clip.video, self.videos, self.manners)
        except Unavailable as error:
            advice = KINDS[error.kind].advice
            self.failed = self.failed + 1 if advice else 0
            if self.failed == REFUSALS:
                raise Refused(_stopped(error, advice)) from None
            return Row(clip.id, error.kind, str(error))
        self.failed = 0
        return Job(clip.id, str(self.here[clip.id]), str(home), clip.start + LENGTH / 2)

    def done(self, row: Row) -> None:
        """Remove the video of a clip, unless another clip needs it."""
        video = self.here.pop(row.id, None)
        if video is not None and not self.keep and video not in self.here.values():
            video.unlink(missing_ok=True)


def _stopped(error: Unavailable, advice: str) -> str:
    when = f"after {datetime.now() + PAUSE:%H:%M}, an hour from now," if error.kind == "rate" else "then"
    return f"{REFUSALS} downloads in a row failed ({error}): {advice}; {when} the same command goes on."


def repair(ledger: Ledger) -> Counter[str]:
    """Name the class of each clip that was filed as gone and is not, so that it is asked for again; how many of each.

    An earlier version took "Video unavailable. ... try again later" and the like for the end of a video.
    """
    mended: Counter[str] = Counter()
    for row in list(ledger.rows.values()):
        kind = refusals.classify(row.reason)
        if row.status == "gone" and kind != "gone":
            ledger.add(row._replace(status=kind))
            mended[kind] += 1
    if mended:
        counts = ", ".join(f"{count} {kind}" for kind, count in sorted(mended.items()))
        log.warning("`%s` called %d clips gone that are not: %s.", ledger.path, mended.total(), counts)
    return mended


class Known:
    """Asked for the row of a clip that needs nothing more; None where there is something to do."""

    def __init__(self, home: Path, ledger: Ledger, packer: Packer | None, *, again: frozenset[str]) -> None:
        self.home, self.ledger, self.packer, self.again = home, ledger, packer, again

    def __call__(self, id: str, source: Path | None) -> Row | None:
        row = self.ledger.rows.get(id)
        if self.packer is not None and id in self.packer.done:
            return row if row is not None and row.prepared else Row(id)
        if row is not None and row.status in STANDING:
            return None if row.status in self.again else row
        return row if row is not None and row.prepared and finished(self.home, id, source) else None


def _nothing(args: argparse.Namespace, clips: Films | Table, only: set[str] | None) -> str:
    if only is None:
        return f"`{args.source}` holds no clip."
    return f"`{args.source}` holds no clip that `{args.only}` lists: {misfit(only, clips.others)}."


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Prepare all clips; the report."""
    from uspl.data.prepare.dask_cluster import cluster, spread

    only = None if args.only is None else set(read_ids(args.only))
    videos = args.out / ".videos"
    clips: Films | Table = (
        Films(args.source, only)
        if args.source.is_dir()
        else Table(args.source, only, videos, Manners(args.sleep, args.rate), keep=args.keep_videos)
    )
    if len(clips) == len(clips.absent):
        raise Refused(_nothing(args, clips, only))
    args.out.mkdir(parents=True, exist_ok=True)
    sweep(args.out)
    home = args.out / ".clips" if args.shards else args.out
    packer = Packer(args.out, home, -(-len(clips) // args.shards)) if args.shards else None
    ledger = Ledger(args.out / "ledger.jsonl")
    mended = repair(ledger)
    counts: Counter[str] = Counter()
    trouble: list[Row] = []
    work = clips.work(
        home,
        Known(home, ledger, packer, again=frozenset(STANDING if "all" in args.again else args.again)),
        dots=packer is None,
    )
    with cluster(args.scheduler, args.workers, LIMIT) as client, tqdm(total=len(clips), unit="clip") as bar:
        for row in spread(client, work):
            if row.status == "bad":
                row = row._replace(reason=row.reason + broken(row.id))
            ledger.add(row)
            clips.done(row)
            counts[row.status] += 1
            if row.status != "ok":
                trouble.append(row)
            if packer is not None and row.prepared and row.id not in packer.done:
                packer.add(row.id)
            bar.update()
    if packer is not None:
        packer.flush()
    report = {
        "listed": len(clips),
        **counts,
        **({"repaired": mended} if mended else {}),
        "trouble": [row._asdict() for row in sorted(trouble)],
    }
    write(args.out / "report.json", json.dumps(report, indent=0).encode())
    return report
