"""Cut frames and 16 kHz sound from the videos of a folder in AVSBench-S4's layout.

Reads `s4_meta_data.csv` and `raw_videos/` (or `s4_data/raw_videos/`, where AVSBench's own scripts put them), writes
`s4_data/visual_frames`, `s4_data/audio_wav`, from `raw_sounds/` (where there) `s4_data/swap_wav`, and `report.json`.
A clip that cannot be used is listed, the rest is finished. What somebody else has put there is left as it is.

    python data_scripts/prepare_avsbench.py data/sounding-shapes
    python data_scripts/prepare_avsbench.py /data/AVSBench/Single-source --size 224 --seconds 5
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from uspl.audio import RATE
from uspl.core.errors import DataError
from uspl.core.files import write
from uspl.data.metadata import TABLE, listed
from uspl.data.prepare.film import cut, films, find, odd, picture
from uspl.data.prepare.jobs import Refused, each, sweep
from uspl.data.prepare.pcm import extension, pcm16, silent, wav
from uspl.media.decode import waveform

LIMIT = 10.0  # s: a clip that takes longer is given up


@dataclass(frozen=True)
class Row:
    """One line of the report. `status`: "ok", "silent" or "odd" (prepared, but look at it), "bad" (not prepared).

    `film` is the file the clip was cut from; it is empty where the frames and the sound were there before.
    """

    name: str
    split: str
    category: str
    status: str = "ok"
    reason: str = ""
    film: str = ""

    @property
    def trouble(self) -> bool:
        """Should a person look? A clip of the split `negative` may be silent."""
        return self.status != "ok" and not (self.status == "silent" and self.split == "negative")

    @property
    def clip(self) -> tuple[str, str, str]:
        """What tells it from the other clips."""
        return self.split, self.category, self.name

    def __str__(self) -> str:
        """One printable line, whatever the names hold."""
        line = f"{'/'.join(self.clip)}: {self.status}: {self.reason}"
        return line if line.isprintable() else ascii(line)[1:-1]


def rows(root: Path) -> list[Row]:
    """The clips that the metadata table lists, those that it may not name as bad."""
    found = [
        Row(x.name, x.split, x.category, *(("bad", f"is refused: the table {x.refusal}") if x.refusal else ()))
        for x in listed(root)
    ]
    if not found:
        raise Refused(f"`{root / TABLE}` lists no clips.")
    return found


@dataclass(frozen=True)
class Files:
    """Where a clip's frames, sound and swap sound go, and where the swap sound comes from."""

    frames: list[Path]
    sound: Path
    swap: Path
    spoken: Path

    def kept(self) -> tuple[list[Image.Image], np.ndarray] | None:
        """The stored frames and sound (PCM16), when all files are there and can be read."""
        if self.spoken.is_file() and not self.swap.is_file():
            return None
        try:
            return [picture(frame) for frame in self.frames], pcm16(waveform(self.sound, RATE).numpy())
        except DataError:
            return None

    def younger(self, film: Path) -> bool:
        """Were sound and swap sound written after their sources?"""
        pairs = [(self.sound, film), *([(self.swap, self.spoken)] if self.spoken.is_file() else [])]
        return all(made.stat().st_mtime >= source.stat().st_mtime for made, source in pairs)


def _files(root: Path, row: Row, seconds: int) -> Files:
    place, data = Path(row.split) / row.category, root / "s4_data"
    frames = [data / "visual_frames" / place / row.name / f"{row.name}_{k}.png" for k in range(1, seconds + 1)]
    sound, swap = (data / kind / place / f"{row.name}.wav" for kind in ("audio_wav", "swap_wav"))
    return Files(frames, sound, swap, root / "raw_sounds" / place / f"{row.name}.m4a")


def prepare(root: Path, size: int, seconds: int, ours: frozenset[tuple[str, str, str]], row: Row) -> Row:
    """Cut one clip and say how it went; `ours` are the clips that this script has cut before.

    The sound is written last: a clip with sound is complete. What somebody else has put there is not touched.
    """
    files = _files(root, row, seconds)
    kept = files.kept()
    sides = {frame.size for frame in kept[0]} if kept else set()
    if kept is not None and row.clip not in ours:
        other = max(sides - {(size, size)}, default=None)
        return _judged(row, *kept, [f"has frames of {other[0]}x{other[1]} pixels, left as they are" if other else ""])
    try:
        film = find(root, row.split, row.category, row.name)
        row, notes = replace(row, film=film.relative_to(root).as_posix()), [extension(film)]
        if kept is None or sides != {(size, size)} or not files.younger(film):
            notes.append(_swap(files))
            kept = cut(film, files.frames, files.sound, size, notes)
    except DataError as error:
        if row.clip in ours:
            files.sound.unlink(missing_ok=True)
        return replace(row, status="bad", reason=error.reason)
    return _judged(row, *kept, notes)


def _swap(files: Files) -> str:
    """Write a clip's swap sound, where it has one; returns what is wrong with it."""
    if not files.spoken.is_file():
        return ""
    try:
        write(files.swap, wav(pcm16(waveform(files.spoken, RATE).numpy())))
    except DataError as error:
        return f"has a swap sound that {error.reason}"
    return ""


def _judged(row: Row, frames: list[Image.Image], pcm: np.ndarray, notes: list[str]) -> Row:
    if silent(pcm):
        meant = ", as a negative clip may be" if row.split == "negative" else ""
        return replace(row, status="silent", reason=f"holds digital silence{meant}")
    notes = [note for note in (*notes, *odd(frames, pcm)) if note]
    return replace(row, status="odd", reason="; ".join(notes)) if notes else row


def run(root: Path, size: int, seconds: int, workers: int, limit: float = LIMIT) -> list[Row]:
    """Prepare a folder; the report is in the order of the table, and names a clip once."""
    found = rows(root)
    if not films(root):
        raise Refused(f"`{root / 'raw_videos'}` is missing; put the videos there as <split>/<category>/<name>.mp4.")
    if (root / "s4_data").is_dir():
        sweep(root / "s4_data")
    times = Counter(row.clip for row in found)
    done = {row.clip: row for row in found}
    job = partial(prepare, root, size, seconds, ours(root))
    todo = [row for row in done.values() if row.status == "ok"]
    for row in each(job, todo, workers=workers, says="cutting clips", limit=limit, lost=_lost):
        done[row.clip] = row
    for clip, row in done.items():
        if times[clip] > 1:
            twice = f"is listed {times[clip]} times; prepared once" + ("; " + row.reason if row.reason else "")
            done[clip] = replace(row, status="odd" if row.status == "ok" else row.status, reason=twice)
    write(root / "report.json", json.dumps([asdict(row) for row in done.values()], indent=0).encode())
    return list(done.values())


def ours(root: Path) -> frozenset[tuple[str, str, str]]:
    """The clips that this script has cut from a film before, as its last report says."""
    try:
        last = json.loads((root / "report.json").read_text())
        return frozenset((r["split"], r["category"], r["name"]) for r in last if r["film"])
    except (OSError, ValueError, KeyError, TypeError):
        return frozenset()


def _lost(row: Row, why: str) -> Row:
    return replace(row, status="bad", reason=why)


def made_as(root: Path) -> dict[str, Any]:
    """Size and seconds of our own sets, from their marker file."""
    markers = [root / name for name in ("sounding_shapes.json", "sounding_photos.json") if (root / name).is_file()]
    return json.loads(markers[0].read_text()) if markers else {}
