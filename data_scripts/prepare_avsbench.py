"""Cut frames and 16 kHz sound from the videos of a folder in AVSBench-S4's layout.

Reads `s4_meta_data.csv` and `raw_videos/`, writes `s4_data/visual_frames`, `s4_data/audio_wav`, from `raw_sounds/`
(where there) `s4_data/swap_wav`, and `report.json`. A clip that cannot be used is listed, the rest is finished.

    python data_scripts/prepare_avsbench.py data/sounding-shapes
    python data_scripts/prepare_avsbench.py /data/AVSBench/Single-source --size 224 --seconds 5
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import sys
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from _cut import RATE, climbs, extension, pcm16, silent, stored
from _cut import wav as _wav
from _work import Refused, each, sweep, write
from PIL import Image

from uspl.media import DataError, frames_at, waveform


@dataclass(frozen=True)
class Row:
    """One line of the report. `status`: "ok", "silent" or "odd" (prepared, but look at it), "bad" (not prepared)."""

    name: str
    split: str
    category: str
    status: str = "ok"
    reason: str = ""

    @property
    def trouble(self) -> bool:
        """Should a person look? A clip of the split `negative` may be silent."""
        return self.status != "ok" and not (self.status == "silent" and self.split == "negative")


def rows(root: Path) -> list[Row]:
    """The clips that the metadata table lists."""
    table = root / "s4_meta_data.csv"
    if not table.is_file():
        raise Refused(f"`{table}` is missing; name the folder that holds the metadata table.")
    with table.open(newline="", encoding="utf-8-sig") as file:
        lines = csv.DictReader(file)
        lack = {"name", "category", "split"} - set(lines.fieldnames or ())
        if lack:
            has = ", ".join(lines.fieldnames or ["none"])
            raise Refused(f"`{table}` lacks the column `{min(lack)}`; it has {has}.")
        found = [Row(x["name"] or "", x["split"] or "", x["category"] or "") for x in lines]
    if not found:
        raise Refused(f"`{table}` lists no clips.")
    return found


def _source(root: Path, row: Row) -> Path:
    """The clip's video: `<split>/<category>/<name>.*` under raw_videos, or without split, or without both."""
    home = root / "raw_videos"
    for place in (home / row.split / row.category, home / row.category, home):
        exact = place / f"{row.name}.mp4"
        if exact.is_file():
            return exact
        same = sorted(p for p in place.glob("*") if p.stem == row.name and p.is_file()) if place.is_dir() else []
        if same:
            return same[0]
    raise DataError(f"raw_videos/{row.split}/{row.category}/{row.name}.mp4", "is missing")


def _png(frame: np.ndarray, size: int) -> bytes:
    image = Image.fromarray(frame)
    if image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.BILINEAR)
    buffer = io.BytesIO()
    image.save(buffer, "png", compress_level=1)
    return buffer.getvalue()


def _finished(frames: list[Path], wav: Path, swap: Path, spoken: Path, source: Path, size: int) -> np.ndarray | None:
    """The clip's stored sound when all its files are there, of this size and younger than their sources."""
    if not all(p.is_file() for p in (*frames, wav)) or wav.stat().st_mtime < source.stat().st_mtime:
        return None
    if spoken.is_file() and not (swap.is_file() and swap.stat().st_mtime >= spoken.stat().st_mtime):
        return None
    with Image.open(frames[0]) as image:
        if image.size != (size, size):
            return None
    return stored(wav)


def prepare(root: Path, size: int, seconds: int, row: Row) -> Row:
    """Cut one clip and say how it went. The sound is written last: a clip with sound is complete."""
    if climbs(row.name, row.split, row.category):
        return _told(row, "bad", "is refused: a name, category or split of the table climbs out of the folder")
    place, data = Path(row.split) / row.category, root / "s4_data"
    frames = [data / "visual_frames" / place / row.name / f"{row.name}_{k}.png" for k in range(1, seconds + 1)]
    wav, swap = (data / kind / place / f"{row.name}.wav" for kind in ("audio_wav", "swap_wav"))
    spoken = root / "raw_sounds" / place / f"{row.name}.m4a"
    try:
        source = _source(root, row)
        pcm = _finished(frames, wav, swap, spoken, source, size)
        odd = extension(source)
        if pcm is None:
            pcm, trouble = _cut(source, frames, wav, swap, spoken, size)
            odd = odd or trouble
    except DataError as error:
        wav.unlink(missing_ok=True)
        return _told(row, "bad", error.reason)
    if silent(pcm):
        meant = ", as a negative clip may be" if row.split == "negative" else ""
        return _told(row, "silent", f"holds digital silence{meant}")
    return _told(row, "odd", odd) if odd else row


def _told(row: Row, status: str, reason: str) -> Row:
    return Row(row.name, row.split, row.category, status, reason)


def _cut(source: Path, frames: list[Path], wav: Path, swap: Path, spoken: Path, size: int) -> tuple[np.ndarray, str]:
    """Write a clip's files. Returns its sound (PCM16) and what is wrong with its swap sound, if anything."""
    seconds = len(frames)
    pictures = frames_at(source, [k + 15 / 16 for k in range(seconds)])
    pcm = pcm16(waveform(source, RATE).numpy())
    if len(pcm) < (seconds - 0.5) * RATE:
        raise DataError(source, f"is truncated: sound ends at {len(pcm) / RATE:.2f} s, {seconds} s are needed")
    for path, picture in zip(frames, pictures, strict=True):
        write(path, _png(picture.permute(1, 2, 0).contiguous().numpy(), size))
    trouble = ""
    if spoken.is_file():
        try:
            write(swap, _wav(pcm16(waveform(spoken, RATE).numpy())))
        except DataError as error:
            trouble = f"has a swap sound that {error.reason}"
    write(wav, _wav(pcm))
    return pcm, trouble


def run(root: Path, size: int, seconds: int, workers: int) -> list[Row]:
    """Prepare a folder; the report is in the order of the table."""
    listed = rows(root)
    if not (root / "raw_videos").is_dir():
        raise Refused(f"`{root / 'raw_videos'}` is missing; put the videos there as <split>/<category>/<name>.mp4.")
    if (root / "s4_data").is_dir():
        sweep(root / "s4_data")
    order = {(row.split, row.category, row.name): i for i, row in enumerate(listed)}
    done = list(each(partial(prepare, root, size, seconds), listed, workers=workers, says="cutting clips"))
    done.sort(key=lambda row: order[row.split, row.category, row.name])
    write(root / "report.json", json.dumps([asdict(row) for row in done], indent=0).encode())
    return done


def _made(root: Path) -> dict[str, int]:
    """Size and seconds of our own set, from its marker file."""
    marker = root / "sounding_shapes.json"
    return json.loads(marker.read_text()) if marker.is_file() else {}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("root", type=Path, help="folder that holds s4_meta_data.csv and raw_videos/")
    parser.add_argument("--size", type=int, help="pixels, side of the frames; default: as the set was made, or 224")
    parser.add_argument("--seconds", type=int, help="frames per clip, one a second; default: as made, or 5")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes; default: all processors")
    parser.add_argument("--strict", action="store_true", help="exit with 1 when any clip needs a look")
    args = parser.parse_args(argv)
    try:
        made = _made(args.root)
        size = args.size if args.size is not None else made.get("size", 224)
        seconds = args.seconds if args.seconds is not None else made.get("seconds", 5)
        if size < 8 or seconds < 1:
            raise Refused(f"`--size` must be 8 or more and `--seconds` 1 or more; got {size} and {seconds}.")
        done = run(args.root, size, seconds, args.workers)
    except Refused as refusal:
        print(refusal, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"`{error.filename or args.root}` cannot be read or written: {error.strerror}.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped; the same command goes on from here.", file=sys.stderr)
        return 130
    trouble = [row for row in done if row.trouble]
    print(f"{args.root}: {sum(row.status != 'bad' for row in done)} of {len(done)} clips prepared.")
    for row in trouble:
        print(f"  {row.split}/{row.category}/{row.name}: {row.status}: {row.reason}")
    return 1 if trouble and args.strict else 0


if __name__ == "__main__":
    sys.exit(main())
