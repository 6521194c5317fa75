"""Make Sounding Shapes: short films of drifting shapes of which exactly one is heard, with exact masks.

Writes real MP4 files in the folders of AVSBench-S4, so that `prepare_avsbench.py` and the readers treat them
as they treat AVSBench. Every clip is a function of (seed, level, split, index) alone.

    python data_scripts/make_sounding_shapes.py data/sounding-shapes
    python data_scripts/make_sounding_shapes.py data/sounding-shapes-hard --level hard
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from uspl.data.prepare import film_set
from uspl.data.prepare.film_set import write_clip, write_lists
from uspl.data.prepare.jobs import Refused, each
from uspl.data.sounding_shapes import MARKER, SHAPES
from uspl.data.synthetic.classes import KINDS
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


def make_clip(root: Path, s: Settings, split: str, index: int) -> None:
    """Write one clip's files; training has a mask of the first second alone, as in AVSBench."""
    one = scene(s, split, index)
    film = render(one, s)
    objects = film.objects[:1] if split == "train" else film.objects
    write_clip(
        root,
        Path(split) / one.category,
        one.name,
        frames=film.frames,
        objects=objects,
        wave=film.wave,
        swap=film.swap,
        fps=s.fps,
    )


def _clips(counts: dict[str, int]) -> Iterator[tuple[str, int]]:
    for split in SPLITS:
        yield from ((split, index) for index in range(counts[split]))


def claim(root: Path, s: Settings, counts: dict[str, int], level: str) -> dict[str, int]:
    """Take the folder: empty, or begun by this script with the same settings. Returns the counts; they only grow."""
    mine = {"what": SHAPES, "version": VERSION, **dataclasses.asdict(s)}
    return film_set.claim(root, MARKER, mine, counts, level=level)


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
    rows = [(f"{split}_{index:05d}", category(s, split, index), split) for split, index in _clips(counts)]
    write_lists(root, rows, size=s.size, seconds=s.seconds)
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
