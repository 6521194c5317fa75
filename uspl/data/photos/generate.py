"""Make Sounding Photos: films of photographed objects of which one is heard, with exact masks.

Cut-outs stand before photographs of places, as collages do; the sound is a recording. The folder is one of AVSBench-S4,
so that `prepare_avsbench.py` and the readers treat it as they treat AVSBench. Every clip is a function of material,
seed, split and index alone; the material is kept in the folder, and `manifest.json` names each file of it.

    python data_scripts/make_sounding_photos.py data/sounding-photos
    python data_scripts/make_sounding_photos.py data/mine --cutouts pictures --recordings sounds --backgrounds places
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from uspl.core.files import write
from uspl.data.photos.material import Material, Source
from uspl.data.photos.render import render
from uspl.data.photos.scene import SPLITS, Settings, category, classes_of, scene
from uspl.data.prepare import film_set
from uspl.data.prepare.film_set import write_clip, write_lists
from uspl.data.prepare.jobs import Refused, each
from uspl.data.sounding_photos import COUNTS, MANIFEST, MARKER, MATERIAL, PHOTOS

VERSION = 1


def make_clip(root: Path, m: Material, s: Settings, split: str, index: int) -> None:
    """Write one clip's files."""
    one = scene(m, s, split, index)
    film = render(one, m, s)
    write_clip(
        root,
        Path(split) / one.category,
        one.name,
        frames=film.frames,
        objects=film.objects,
        wave=film.wave,
        swap=film.swap,
        fps=s.fps,
    )


def make(
    root: Path,
    s: Settings,
    counts: dict[str, int],
    gather: Callable[[], Material],
    *,
    afresh: bool = False,
    workers: int = 1,
) -> tuple[dict[str, int], int]:
    """Make what is missing of a set and write its lists.

    Args:
        root: folder to fill.
        s: settings.
        counts: clips per split.
        gather: brings the material.
        afresh: gather it although the folder keeps some: the user has named it.
        workers: processes.

    Returns:
        Clips per split, and the number of clips made.

    Raises:
        Refused, DataError: the folder holds something else, or the material does not do. Nothing is then written.
    """
    kept = root / MATERIAL
    film_set.refuse_foreign(root, MARKER, PHOTOS)
    marker = film_set.read_marker(root / MARKER, ()) if (root / MARKER).is_file() else {}
    if kept.is_file() and not afresh:
        m, digest = Material.load(kept), marker.get("material")
    else:
        m = gather()
        digest = _digest(m)
    for split in ("new_photo", "new_recording"):
        if counts[split] and len(classes_of(m, split)) < 2:
            piece = "cut-outs" if split == "new_photo" else "recordings"
            raise Refused(f"`{split}` needs two classes with two {piece} or more; add some, or set `--{split} 0`.")
    mine = {"what": PHOTOS, "version": VERSION, "material": digest, **dataclasses.asdict(s)}
    counts = film_set.claim(root, MARKER, mine, counts)
    if not kept.is_file():
        write(root / MANIFEST, json.dumps(manifest(m), indent=1, ensure_ascii=False).encode())
        m.save(kept)
    clips = [(split, index, category(m, split, index)) for split, index in _clips(counts)]
    todo = [
        (split, index)
        for split, index, kind in clips
        if not (root / "raw_videos" / split / kind / f"{split}_{index:05d}.mp4").is_file()
    ]
    for _ in each(partial(_job, root, s), todo, workers=workers, says="pasting clips"):
        pass
    rows = [(f"{split}_{index:05d}", kind, split) for split, index, kind in clips]
    write_lists(root, rows, size=s.size, seconds=s.seconds)
    return counts, len(todo)


def _clips(counts: dict[str, int]) -> Iterator[tuple[str, int]]:
    for split in SPLITS:
        yield from ((split, index) for index in range(counts[split]))


@lru_cache(maxsize=1)
def _material(path: Path) -> Material:
    """That of the set, read once in each process."""
    return Material.load(path)


def _job(root: Path, s: Settings, clip: tuple[str, int]) -> None:
    make_clip(root, _material(root / MATERIAL), s, *clip)


def _digest(m: Material) -> str:
    """What tells one material from another: classes, and the bytes of each piece in order."""
    told = hashlib.sha256(repr(m.classes).encode())
    for pieces in (m.photos, m.recordings, m.backgrounds):
        for piece in pieces:
            plain = [part for part in piece if not isinstance(part, np.ndarray | Source)]
            told.update(repr(plain).encode() + piece[1].tobytes())
    return told.hexdigest()[:12]


def manifest(m: Material) -> dict[str, Any]:
    """Every file of the material: what it is for, where it comes from, whose it is and how it is licensed."""
    names = dict(enumerate(m.classes))
    return {
        "classes": list(m.classes),
        "cutouts": [
            {"class": names.get(p.owner, "(never heard)"), "held_out": p.held, **_source(p.source._asdict())}
            for p in m.photos
        ],
        "recordings": [
            {"class": names[r.owner], "held_out": r.held, "seconds": round(len(r.wave) / 16000, 1)}
            | _source(r.source._asdict())
            for r in m.recordings
        ],
        "backgrounds": [{"pool": b.pool, **_source(b.source._asdict())} for b in m.backgrounds],
    }


def _source(said: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in said.items() if v}


def settings(values: dict[str, Any]) -> tuple[Settings, dict[str, int]]:
    """Command line -> (settings, clips per split). Raises Refused with one sentence."""
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    counts = {split: values.pop(split, COUNTS[split]) for split in SPLITS}
    s = Settings(**values)
    rules = {
        "seed": (s.seed >= 0, "0 or more"),
        "size": (s.size >= 64 and s.size % 4 == 0, "a multiple of 4 from 64"),
        "fps": (s.fps >= 1, "1 or more"),
        "alone": (0 <= s.alone <= 1, "in [0, 1]"),
        "area": (0.01 <= s.area[0] <= s.area[1] <= 0.6, "MIN <= MAX, from 0.01 to 0.6"),
        "mute": (0 <= s.mute <= 1, "in [0, 1]"),
    }
    for name, (holds, rule) in rules.items():
        if not holds:
            raise Refused(f"`{name}` must be {rule}; got {getattr(s, name)}.")
    if min(counts.values()) < 0:
        raise Refused(f"Clip counts must be 0 or more; got {counts}.")
    return s, counts
