"""What a data folder in AVSBench-S4's layout holds, lacks and hides."""

from dataclasses import dataclass, field
from pathlib import Path

import torch
from PIL import Image
from tqdm import tqdm

from uspl.media import DataError, waveform
from uspl.table import read_table

SILENCE = 2.5 / 32768  # a sound that never exceeds this is digital silence
SHOWN = 40  # clips in trouble that a report names; the rest are counted
COLUMNS = ("clips", "videos", "frames", "masks", "sounds", "missing", "unreadable", "silent")


@dataclass
class Split:
    """Counts of one split, and what is wrong with which clip: (name, reason)."""

    name: str
    clips: int = 0  # listed in the table
    videos: int = 0  # clips whose video is there
    frames: int = 0  # pictures that can be read
    masks: int = 0  # masks that can be read
    sounds: int = 0  # clips whose sound can be read
    missing: list[tuple[str, str]] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    silent: list[tuple[str, str]] = field(default_factory=list)

    @property
    def trouble(self) -> list[tuple[str, str]]:
        """What a person should look at; in the split `negative` silence is meant."""
        return self.missing + self.unreadable + ([] if self.name == "negative" else self.silent)


def examine(root: str | Path, *, progress: bool = False) -> list[Split]:
    """Read every frame, mask and sound that the metadata table promises.

    Args:
        root: folder that holds `s4_meta_data.csv` and `s4_data/`.
        progress: show a progress bar on stderr.

    Returns:
        One `Split` per split, in the order of the table.

    Raises:
        DataError: the table is missing or malformed.
    """
    home = Path(root)
    splits: dict[str, Split] = {}
    for row in tqdm(read_table(home), desc="examining", unit="clip", disable=not progress):
        split = splits.setdefault(row["split"], Split(row["split"]))
        split.clips += 1
        _clip(home, row["name"], row["category"], split)
    return list(splits.values())


def _clip(root: Path, name: str, category: str, split: Split) -> None:
    videos, data = root / "raw_videos", root / "s4_data"
    places = (videos / split.name / category, videos / category, videos)
    split.videos += any((place / f"{name}.mp4").is_file() for place in places)
    frames = sorted((data / "visual_frames" / split.name / category / name).glob(f"{name}_*.png"))
    if not frames:
        split.missing.append((name, "no frames"))
    split.frames += sum(_picture(file, name, split) for file in frames)
    masks = data / "gt_masks" / split.name / category / name
    for k in range(1, 2 if split.name == "train" else len(frames) + 1):
        if (masks / f"{name}_{k}.png").is_file():
            split.masks += _picture(masks / f"{name}_{k}.png", name, split)
        else:
            split.missing.append((name, f"no mask {k}"))
    _sound(data / "audio_wav" / split.name / category / f"{name}.wav", name, split)


def _picture(file: Path, name: str, split: Split) -> bool:
    try:
        with Image.open(file) as image:
            image.load()
        return True
    except OSError:
        split.unreadable.append((name, f"`{file.name}` in {file.parents[3].name} cannot be read as a picture"))
        return False


def _sound(file: Path, name: str, split: Split) -> None:
    if not file.is_file():
        split.missing.append((name, "no sound"))
        return
    try:
        wave = waveform(file)
    except DataError as error:
        split.unreadable.append((name, f"`{file.name}` {error.reason}"))
        return
    split.sounds += 1
    if not bool(torch.any(wave.abs() > SILENCE)):
        split.silent.append((name, "digital silence"))


def report(splits: list[Split], *, shown: int | None = SHOWN) -> str:
    """`table`, then the clips in trouble by name and reason: the first `shown`, or all of them at None."""
    trouble = [f"  {split.name}/{name}: {reason}" for split in splits for name, reason in split.trouble]
    lines = [table(splits), *(trouble[:shown] or ["Nothing is wrong."])]
    if shown is not None and len(trouble) > shown:
        lines.append(f"  and {len(trouble) - shown} more; --all names them.")
    return "\n".join(lines)


def table(splits: list[Split]) -> str:
    """The counts as text, one line per split.

    >>> print(table([Split("val", clips=2, videos=2, frames=6, masks=6, sounds=1, missing=[("a", "no sound")])]))
    split     clips  videos  frames   masks  sounds  missing  unreadable  silent
    val           2       2       6       6       1        1           0       0
    """
    rows = ["split    " + "".join(f"{c:>{_width(c)}}" for c in COLUMNS)]
    for split in splits:
        counts = {c: len(v) if isinstance(v := getattr(split, c), list) else v for c in COLUMNS}
        rows.append(f"{split.name:<9}" + "".join(f"{n:>{_width(c)}}" for c, n in counts.items()))
    return "\n".join(rows)


def _width(column: str) -> int:
    return max(len(column), 4) + 2
