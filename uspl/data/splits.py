"""Which clips are scored: a split in AVSBench's layout or VGG-SS, whole or openly partial, with silent pairs or not."""

from pathlib import Path
from typing import Any, Literal, NamedTuple

from uspl.config import Config
from uspl.core.errors import DataError
from uspl.data.avsbench import AVSBench
from uspl.data.metadata import table_file
from uspl.data.silent_pairs import SilentPairs, WithSilence
from uspl.data.vggsound import VGGSound
from uspl.data.vggss import VGGSS


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
    if table_file(root).is_file() or not is_pairs(root):
        if train_list is not None:
            raise ValueError(f"`train_list` is for VGGSound; `{root}` has its splits in `{table_file(root).name}`.")
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
