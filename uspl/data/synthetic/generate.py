"""Make Sounding Shapes: short films of drifting shapes of which exactly one is heard, with exact masks.

Writes real MP4 files in the folders of AVSBench-S4, so that `prepare_avsbench.py` and the readers treat them
as they treat AVSBench. Every clip is a function of (seed, level, split, index) alone.

    python data_scripts/make_sounding_shapes.py data/sounding-shapes
    python data_scripts/make_sounding_shapes.py data/sounding-shapes-hard --level hard
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from PIL import Image

from uspl.audio import RATE
from uspl.core.files import write
from uspl.data.prepare.film import png
from uspl.data.prepare.jobs import Refused, each, sweep
from uspl.data.sounding_shapes import MARKER
from uspl.data.synthetic.classes import KINDS, Array
from uspl.data.synthetic.render import render
from uspl.data.synthetic.scene import SPLITS, Settings, category, scene

VERSION = 1
LEVELS: dict[str, dict[str, Any]] = {
    "standard": {"train": 1280, "val": 200, "test": 300, "negative": 0},
    "hard": {
        **{"classes": 12, "distractors": (2, 4), "radius": (0.14, 0.23), "clutter": 28, "texture_variation": 0.8},
        **{"train": 1280, "val": 200, "test": 300, "negative": 100},
    },
}


def encode(frames: Array | None, wave: Array, fps: int = 8) -> bytes:
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


def make_clip(root: Path, s: Settings, split: str, index: int) -> None:
    """Write one clip's files, the film last: a clip with a film is complete."""
    one = scene(s, split, index)
    film = render(one, s)
    place = Path(split) / one.category
    for k, objects in enumerate(film.objects[: 1 if split == "train" else None], 1):
        name = f"{one.name}_{k}.png"
        write(root / "s4_data/gt_masks" / place / one.name / name, png(Image.fromarray(objects == 1)))
        write(root / "s4_data/objects" / place / one.name / name, png(Image.fromarray(objects)))
    if film.swap is not None:
        write(root / "raw_sounds" / place / f"{one.name}.m4a", encode(None, film.swap))
    write(root / "raw_videos" / place / f"{one.name}.mp4", encode(film.frames, film.wave, s.fps))


def _clips(counts: dict[str, int]) -> Iterator[tuple[str, int]]:
    for split in SPLITS:
        yield from ((split, index) for index in range(counts[split]))


def write_lists(root: Path, s: Settings, counts: dict[str, int]) -> None:
    """The metadata table of AVSBench-S4 and the box file of VGG-SS (test frames)."""
    table, boxes = io.StringIO(), []
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(["name", "start time", "category", "split"])
    for split, index in _clips(counts):
        name, kind = f"{split}_{index:05d}", category(s, split, index)
        rows.writerow([name, 0, kind, split])
        for k in range(1, s.seconds + 1) if split == "test" else ():
            mask = np.asarray(Image.open(root / "s4_data/gt_masks" / split / kind / name / f"{name}_{k}.png"))
            y, x = np.nonzero(mask)
            edges = [x.min(), y.min(), x.max() + 1, y.max() + 1]
            # VGG-SS's rule truncates box * size: the last digit keeps 57 / 112 * 112 from becoming 56.
            box = [min(float(edge) / s.size + 1e-9, 1.0) for edge in edges]
            boxes.append({"file": f"{name}_{k}", "class": kind, "bbox": [box]})
    write(root / "vggss.json", json.dumps(boxes).encode())
    write(root / "s4_meta_data.csv", table.getvalue().encode())


def _marker(root: Path) -> dict[str, Any]:
    try:
        marker = json.loads((root / MARKER).read_text())
        return {**marker, "counts": {split: int(marker["counts"][split]) for split in SPLITS}}
    except (ValueError, KeyError, TypeError):
        raise Refused(f"`{root / MARKER}` cannot be read; remove the folder or name another.") from None


def claim(root: Path, s: Settings, counts: dict[str, int], level: str) -> dict[str, int]:
    """Take the folder: empty, or begun by this script with the same settings. Returns the counts; they only grow."""
    mine = {"what": "Sounding Shapes", "version": VERSION, **json.loads(json.dumps(dataclasses.asdict(s)))}
    if root.exists() and not root.is_dir():
        raise Refused(f"`{root}` is a file; name a folder.")
    if root.exists() and any(root.iterdir()):
        if not (root / MARKER).is_file():
            raise Refused(f"`{root}` holds files that are not Sounding Shapes; name an empty or a missing folder.")
        theirs = _marker(root)
        other = [k for k in mine if theirs.get(k) != mine[k]]
        if other:
            got, want = theirs.get(other[0]), mine[other[0]]
            raise Refused(f"`{root}` was made with {other[0]} = {got}, not {want}; name another folder.")
        counts = {split: max(n, theirs["counts"][split]) for split, n in counts.items()}
    write(root / MARKER, json.dumps({**mine, "level": level, "counts": counts}, indent=1).encode())
    sweep(root)
    return counts


def _job(root: Path, s: Settings, clip: tuple[str, int]) -> None:
    make_clip(root, s, *clip)


def make(root: Path, s: Settings, counts: dict[str, int], *, workers: int = 1, level: str = "standard") -> int:
    """Make what is missing of a set and write its lists. Returns the number of clips made."""
    counts.update(claim(root, s, counts, level))
    todo = [
        (split, index)
        for split, index in _clips(counts)
        if not (root / "raw_videos" / split / category(s, split, index) / f"{split}_{index:05d}.mp4").is_file()
    ]
    for _ in each(partial(_job, root, s), todo, workers=workers, says="drawing clips"):
        pass
    write_lists(root, s, counts)
    return len(todo)


def settings(values: dict[str, Any]) -> tuple[Settings, dict[str, int]]:
    """Level and command line -> (settings, clips per split). Raises Refused with one sentence."""
    values = {**LEVELS[values.pop("level")], **values}
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    counts = {split: values.pop(split) for split in SPLITS}
    s = Settings(**values)
    most = min(5, s.classes - 1)
    rules = {
        "seed": (s.seed >= 0, "0 or more"),
        "size": (s.size >= 32 and s.size % 2 == 0, "an even number from 32"),
        "fps": (s.fps >= 1, "1 or more"),
        "seconds": (s.seconds >= 1, "1 or more"),
        "classes": (2 <= s.classes <= len(KINDS), f"from 2 to {len(KINDS)}"),
        "distractors": (0 <= s.distractors[0] <= s.distractors[1] <= most, f"MIN <= MAX, from 0 to {most}"),
        "radius": (0.05 <= s.radius[0] <= s.radius[1] <= 0.36, "MIN <= MAX, from 0.05 to 0.36"),
        "clutter": (s.clutter >= 0, "0 or more"),
        "texture_variation": (0 <= s.texture_variation <= 1, "in [0, 1]"),
        "mute": (0 <= s.mute <= 1, "in [0, 1]"),
    }
    for name, (holds, rule) in rules.items():
        if not holds:
            raise Refused(f"`{name}` must be {rule}; got {getattr(s, name)}.")
    if s.radius[1] * s.radius[1] * (1 + s.distractors[1]) > 0.4:
        raise Refused(f"`radius` {s.radius} leaves no room for {1 + s.distractors[1]} objects; make it smaller.")
    if min(counts.values()) < 0:
        raise Refused(f"Clip counts must be 0 or more; got {counts}.")
    return s, counts
