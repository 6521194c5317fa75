"""Which clips are scored: a split in AVSBench's layout or VGG-SS, whole or openly partial, with silent pairs or not."""

import csv
import dataclasses
import gzip
import hashlib
import io
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch.utils.data import Dataset

from uspl.batch import RATE
from uspl.config import Config
from uspl.data import VGGSS, AVSBench, Clip, VGGSound
from uspl.media import DataError, excerpt
from uspl.picture import picture
from uspl.table import TABLE, stay


class Training(NamedTuple):
    """The clips of a training."""

    train: Any
    val: Any  # with masks from AVSBench; from VGGSound, pairs that are held out
    seconds: str  # which seconds of a video an epoch draws, see `schedule.Draw`

    def about(self) -> dict[str, Any]:
        """What a record says of them."""
        leak = {k: getattr(self.train, k) for k in ("leaked", "keep_leaked") if hasattr(self.train, k)}
        known = {"data_hash": self.train.data_hash, "n_train": len(self.train), "n_val": len(self.val)}
        return known | {"n_missing": len(self.train.missing)} | leak


def training(cfg: Config, root: str | Path, *, train_list: str | Path | None = None, partial: bool = False) -> Training:
    """The training and validation clips of a folder in AVSBench-S4's layout, or of VGGSound pairs.

    Args:
        cfg: sizes, seconds, front end, `train_frames`, `keep_leaked`.
        root: a folder with `s4_meta_data.csv`, or with `frames` and `audio`, or with shards.
        train_list: ids of VGGSound pairs, one a line; None takes all. One in 50 is held out for validation.
        partial: AVSBench: take what is there although clips are missing.

    Raises:
        DataError: no data set there, or what its reader refuses.
    """
    given: dict[str, Any] = {"size": cfg.image_size, "seconds": cfg.seconds}
    if (Path(root) / TABLE).is_file() or not is_pairs(root):
        if train_list is not None:
            raise ValueError(f"`train_list` is for VGGSound; `{root}` has its splits in `{TABLE}`.")
        given |= {"sound": cfg.sound, "partial": partial, "cache": True, "extras": False}
        frames: Literal["all", "first"] = "first" if cfg.train_frames == "first" else "all"
        train = AVSBench(root, "train", frames=frames, **given)
        return Training(train, AVSBench(root, "val", frames="first", **given), cfg.train_frames)
    given |= {"list_file": train_list, "keep_leaked": cfg.keep_leaked}
    return Training(VGGSound(root, split="train", **given), VGGSound(root, split="val", **given), "all")


def is_pairs(root: str | Path) -> bool:
    """Does a folder hold VGGSound pairs: `frames` and `audio`, or shards?"""
    home = Path(root)
    return ((home / "frames").is_dir() and (home / "audio").is_dir()) or any(home.glob("*.tar"))


def open_set(
    root: str | Path,
    split: str = "val",
    *,
    boxes: str | Path | None = None,
    silent: str | None = None,
    partial: bool = False,
    size: int = 112,
    seconds: float = 1.0,
    sound: Literal["wav", "log_mel"] = "wav",
) -> Any:
    """The clips that are scored, with `ids`, `missing` and `data_hash`.

    Args:
        root: a folder in AVSBench-S4's layout, or of VGG-SS pairs.
        split: of the first kind.
        boxes: the box file that makes it the second kind.
        silent: pairs in which nothing sounds: a split of the same folder, or SLAVC's CSV (video, audio, label).
        partial: score what is there although clips are missing.
        size: pixels, side of frames and maps.
        seconds: s of sound.
        sound: see `AVSBench`.

    Raises:
        DataError: no such folder, split or file; clips are missing and `partial` was not asked for.
    """
    options: dict[str, Any] = {"size": size, "seconds": seconds}

    def of(split: str) -> Any:
        return AVSBench(root, split, sound=sound, partial=True, **options)

    clips: Any = VGGSS(root, boxes, **options) if boxes is not None else of(split)
    if silent is not None:
        from_file = silent.endswith((".csv", ".csv.gz"))
        quiet: Any = SilentPairs(root, silent, **options) if from_file else of(silent)
        clips = WithSilence(clips, quiet)
    if clips.missing and not partial:
        many = "clip" if len(clips.missing) == 1 else "clips"
        lack = f"lacks {len(clips.missing)} {many} beside the {len(clips.ids)} pairs that are there"
        raise DataError(root, f"{lack}, {clips.missing[0]!r} first; add --partial to score the rest")
    return clips


class SilentPairs(Dataset[Clip]):
    """SLAVC's silent pairs: the frame of one clip with the sound of another, in which nothing sounds.

    Args:
        root: a folder with `frames/<id>.jpg` and `audio/<id>.wav`.
        table: CSV with the columns video, audio, label, plain or gzip; rows labelled "non-sounding" count.
        size: pixels, side of frames.
        seconds: s of sound, from the middle of the file.

    Raises:
        DataError: a missing table or column, a name that leads out of the folder, or no pair at all.
    """

    def __init__(self, root: str | Path, table: str | Path, *, size: int = 224, seconds: float = 3.0) -> None:
        self.root, self.size, self.seconds = Path(root), size, seconds
        self._pairs: list[tuple[Path, Path]] = []
        self.ids: list[str] = []
        self.missing: list[str] = []
        for video, audio in _read_pairs(Path(table)):
            frame, wav = self.root / "frames" / f"{video}.jpg", self.root / "audio" / f"{audio}.wav"
            there = frame.is_file() and wav.is_file()
            (self.ids if there else self.missing).append(f"{audio}+{video}")
            if there:
                self._pairs.append((frame, wav))
        if not self._pairs:
            raise DataError(table, f"names no silent pair whose frame and sound are in `{root}`")
        self.data_hash = hashlib.sha256("\n".join(self.ids).encode()).hexdigest()[:12]

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, index: int) -> Clip:
        frame, wav = self._pairs[index]
        wave = excerpt(wav, None, self.seconds, RATE)
        return Clip(self.ids[index], "silent", picture(frame, self.size), wave, None, None, None)


class WithSilence(Dataset[Clip]):
    """Sounding clips, then silent ones; `silent` names the latter, and their ground truth is empty by definition."""

    def __init__(self, sounding: Any, quiet: Any) -> None:
        self.sounding, self._quiet = sounding, quiet
        self.ids: list[str] = [*sounding.ids, *quiet.ids]
        self.silent = frozenset(quiet.ids)
        self.missing: list[str] = [*sounding.missing, *quiet.missing]
        self.data_hash = hashlib.sha256(f"{sounding.data_hash} {quiet.data_hash}".encode()).hexdigest()[:12]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Clip:
        if index < len(self.sounding):
            sounding: Clip = self.sounding[index]
            return sounding
        clip: Clip = self._quiet[index - len(self.sounding)]
        return dataclasses.replace(clip, mask=torch.zeros(clip.frame.shape[1:], dtype=torch.bool))


def _read_pairs(table: Path) -> list[tuple[str, str]]:
    if not table.is_file():
        raise DataError(table, "is missing")
    data = table.read_bytes()
    text = (gzip.decompress(data) if table.suffix == ".gz" else data).decode("utf-8-sig")
    lines = csv.DictReader(io.StringIO(text))
    lack = {"video", "audio", "label"} - set(lines.fieldnames or ())
    if lack:
        raise DataError(table, f"lacks the column `{min(lack)}`; it has {', '.join(lines.fieldnames or ['none'])}")
    pairs = [(line["video"], line["audio"]) for line in lines if line["label"] == "non-sounding"]
    for pair in pairs:
        for name in pair:
            stay(name, table)
    return pairs
