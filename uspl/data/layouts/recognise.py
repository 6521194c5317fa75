"""Which data set a folder holds that is not laid out as the readers need it, and what can be done with it."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

SUBSETS = ("v1m", "v1s", "v2")  # of AVSBench-semantic
TABLES = ("s4_meta_data.csv", "metadata.csv")  # of folders that are read
PARTS = 20  # archives into which the hub's mirror packs VGGSound
PART = re.compile(r"vggsound_\d+\.tar(?:\.gz)?")
CLIP = re.compile(r"[A-Za-z0-9_-]{11}_\d{6}\.(?:mp4|mkv|webm)")
LOOKED_AT = 200  # names of a folder


def recognise(root: Path) -> str:
    """What a folder is and what can be done with it, to stand behind its name; empty where nothing is known of it."""
    names = sorted(path.name for path in root.iterdir()) if root.is_dir() else []
    return next(filter(None, (rule(root, names) for rule in (_ms3, _semantic, _subset, _vggsound, _outer))), "")


def _ms3(root: Path, names: list[str]) -> str:
    if not {"ms3_meta_data.csv", "ms3_data"} & set(names):
        return ""
    return (
        "is AVSBench MS3, in which several objects sound at a time; it is not read here, since the method and its "
        "protocols mark one sound: name the folder of AVSBench-S4 (s4_meta_data.csv), or mark its films by `uspl run`"
    )


def _semantic(root: Path, names: list[str]) -> str:
    there = [name for name in SUBSETS if name in names]
    if not there or not (root / there[0]).is_dir():
        return ""
    head = f"is AVSBench-semantic with {', '.join(there)}"
    if "v1s" not in there:
        return f"{head}; of its subsets v1s alone is shaped as AVSBench-S4 is, and is read: add it"
    return f"{head}; v1s can be read when metadata.csv, the table of its splits, lies beside it"


def _subset(root: Path, names: list[str]) -> str:
    """A folder per video."""
    video = next((root / name for name in names if (root / name / "frames").is_dir()), None)
    if video is None or not (video / "audio.wav").is_file():
        return ""
    frames = sum(path.suffix == ".jpg" for path in (video / "frames").iterdir())
    which = root.name if root.name in SUBSETS else "v2" if frames == 10 else "v1s or v1m"
    if "v1s" in which:
        return f"is {which} of AVSBench-semantic, a folder per video; to read v1s, name the folder with metadata.csv"
    return f"is {which} of AVSBench-semantic, a folder per video with several sounds and kinds; only v1s is read here"


def _vggsound(root: Path, names: list[str]) -> str:
    parts = [name for name in names if PART.fullmatch(name)]
    cut = "`prepare_vggsound.py` cuts frames and sounds from the folder of films"
    if parts:
        return f"is VGGSound as the hub's mirror packs it, {len(parts)} of {PARTS} parts; unpack them, then {cut}"
    some = names[:LOOKED_AT]
    if some and sum(bool(CLIP.fullmatch(name)) for name in some) > len(some) // 2:
        return f"is a folder of VGGSound's films, not prepared; {cut}"
    kinds = Counter(Path(name).suffix for name in names)
    if kinds[".tar"]:
        return f"holds {kinds['.tar']} shards, which are read for training; `uspl check` reads pairs of plain files"
    return ""


def _outer(root: Path, names: list[str]) -> str:
    """A folder above one that is known."""
    for name in names[:LOOKED_AT]:
        if not (root / name).is_dir():
            continue
        if table := next((table for table in TABLES if (root / name / table).is_file()), None):
            return f"holds no data set; {table} is in `{root / name}`: name that folder"
        inner = sorted(path.name for path in (root / name).iterdir())
        if says := next(filter(None, (rule(root / name, inner) for rule in (_ms3, _semantic, _vggsound))), ""):
            return f"holds no data set of its own; `{name}` in it {says}"
    return ""
