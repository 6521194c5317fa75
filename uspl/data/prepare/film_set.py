"""What the generators of films share: the folder they take, the films they write, and the lists at the end."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from PIL import Image

from uspl.audio import RATE
from uspl.core.files import write
from uspl.data.prepare.film import png
from uspl.data.prepare.jobs import Refused, sweep


def encode(frames: np.ndarray | None, wave: np.ndarray, fps: int = 8) -> bytes:
    """An MP4 file: H.264 at crf 18 in yuv420p (plays in every browser) and AAC, mono, 16 kHz; or the AAC alone."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as box:
        if frames is not None:
            options = {"crf": "18", "preset": "superfast", "threads": "1", "g": str(len(frames)), "bf": "0"}
            film = box.add_stream("libx264", rate=fps, options=options)
            film.height, film.width = frames.shape[1:3]
            film.pix_fmt = "yuv420p"
        voice = box.add_stream("aac", rate=RATE, layout="mono", options={"b": "96000", "aac_coder": "fast"})
        if frames is not None:
            colours = VideoReformatter()
            for frame in frames:
                shown = av.VideoFrame.from_ndarray(frame, format="rgb24")
                box.mux(film.encode(colours.reformat(shown, format="yuv420p", threads=1)))
            box.mux(film.encode(None))
        samples = av.AudioFrame.from_ndarray(np.ascontiguousarray(wave[None], np.float32), format="fltp", layout="mono")
        samples.sample_rate = RATE
        samples.pts = 0
        box.mux(voice.encode(samples))
        box.mux(voice.encode(None))
    return buffer.getvalue()


def write_clip(
    root: Path,
    place: Path,
    name: str,
    *,
    frames: np.ndarray,
    objects: np.ndarray,
    wave: np.ndarray,
    swap: np.ndarray | None,
    fps: int,
) -> None:
    """Write one clip's files, the film last: a clip with a film is complete.

    Args:
        place: `<split>/<category>`.
        frames: (F, H, W, 3) uint8.
        objects: (S, H, W) uint8, label maps, 1 where it sounds; a mask and a map of each are written.
        wave, swap: (n,) float32 at 16 kHz.
        fps: frames per second.
    """
    for k, labelled in enumerate(objects, 1):
        file = f"{name}_{k}.png"
        write(root / "s4_data/gt_masks" / place / name / file, png(Image.fromarray(labelled == 1)))
        write(root / "s4_data/objects" / place / name / file, png(Image.fromarray(labelled)))
    if swap is not None:
        write(root / "raw_sounds" / place / f"{name}.m4a", encode(None, swap))
    write(root / "raw_videos" / place / f"{name}.mp4", encode(frames, wave, fps))


def write_lists(root: Path, clips: Iterable[tuple[str, str, str]], *, size: int, seconds: int) -> None:
    """The metadata table of AVSBench-S4 and the box file of VGG-SS (test frames).

    Args:
        clips: name, category and split of each.
        size: pixels, side of the frames.
        seconds: length of a clip.
    """
    table, boxes = io.StringIO(), []
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(["name", "start time", "category", "split"])
    for name, kind, split in clips:
        rows.writerow([name, 0, kind, split])
        for k in range(1, seconds + 1) if split == "test" else ():
            mask = np.asarray(Image.open(root / "s4_data/gt_masks" / split / kind / name / f"{name}_{k}.png"))
            y, x = np.nonzero(mask)
            edges = [x.min(), y.min(), x.max() + 1, y.max() + 1]
            # VGG-SS's rule truncates box * size: the last digit keeps 57 / 112 * 112 from becoming 56.
            box = [min(float(edge) / size + 1e-9, 1.0) for edge in edges]
            boxes.append({"file": f"{name}_{k}", "class": kind, "bbox": [box]})
    write(root / "vggss.json", json.dumps(boxes).encode())
    write(root / "s4_meta_data.csv", table.getvalue().encode())


def claim(root: Path, marker: str, mine: Mapping[str, Any], counts: Mapping[str, int], **more: Any) -> dict[str, int]:
    """Take the folder: empty, or begun by this script with the same settings. Returns the counts; they only grow.

    Args:
        marker: name of the file that says what a folder holds.
        mine: what must be the same; `what` is the name of the set.
        counts: clips per split.
        more: what the marker tells besides.

    Raises:
        Refused: it holds something else.
    """
    mine, counts = json.loads(json.dumps(mine)), dict(counts)
    refuse_foreign(root, marker, mine["what"])
    if (root / marker).is_file():
        theirs = read_marker(root / marker, counts)
        other = [k for k in mine if theirs.get(k) != mine[k]]
        if other:
            got, want = theirs.get(other[0]), mine[other[0]]
            raise Refused(f"`{root}` was made with {other[0]} = {got}, not {want}; name another folder.")
        counts = {split: max(n, theirs["counts"][split]) for split, n in counts.items()}
    write(root / marker, json.dumps({**mine, **more, "counts": counts}, indent=1).encode())
    sweep(root)
    return counts


def refuse_foreign(root: Path, marker: str, what: str) -> None:
    """Raises Refused for a file, and for a folder that holds something and no marker."""
    if root.exists() and not root.is_dir():
        raise Refused(f"`{root}` is a file; name a folder.")
    if root.exists() and not (root / marker).is_file() and any(root.iterdir()):
        raise Refused(f"`{root}` holds files that are not {what}; name an empty or a missing folder.")


def read_marker(file: Path, splits: Iterable[str]) -> dict[str, Any]:
    """What a marker says, with a count for each split. Raises Refused when it cannot be read."""
    try:
        marker = json.loads(file.read_text())
        return {**marker, "counts": {split: int(marker["counts"][split]) for split in splits}}
    except (OSError, ValueError, KeyError, TypeError):
        raise Refused(f"`{file}` cannot be read; remove the folder or name another.") from None
