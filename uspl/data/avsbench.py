"""Readers: AVSBench-S4 here, VGGSound and VGG-SS in `vggsound`. Sounding Shapes is read as AVSBench-S4."""

import hashlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor
from torch.utils.data import Dataset, get_worker_info

from uspl.audio import RATE
from uspl.core.errors import DataError
from uspl.data.batch import Clip
from uspl.data.log_mel_pickle import log_mel
from uspl.data.metadata import TABLE, bad_clips, read_table
from uspl.media.decode import excerpt
from uspl.media.image import label_map, picture

MISSING = "is missing; data_scripts/prepare_avsbench.py makes it from raw_videos, `partial` leaves its clip out"


class AVSBench(Dataset[Clip]):
    """One split of AVSBench-S4 as distributed, or of a folder that prepare_avsbench.py made (Sounding Shapes).

    Args:
        root: folder that holds `s4_meta_data.csv` and `s4_data/`.
        split: "train", "val", "test", or another split of the table.
        frames: "first" takes the first second of each video, "all" every second.
        size: pixels, side of frames and maps; files of another size are resized.
        seconds: s of sound around the frame: 1 is the frame's own second.
        sound: "wav" reads `audio_wav`, "log_mel" the official pickles in `audio_log_mel`, for the front end
            "log_mel" only; their block k covers 0.96 (k - 1) to 0.96 k s, a little before second k.
        partial: leave out what is not there, and name it in `missing`; otherwise it is an error.
        limit: the first so many videos of the table.
        cache: keep clips, and what `collate` computes from them, in memory; not in processes that load clips, each
            of which would keep all of them.
        extras: read object maps and swap sounds too, where there are any; training needs neither.

    `ids` lists the pairs; `missing` the videos that `report.json` calls bad and, with `partial`, the videos and
    seconds that are not there; `data_hash` names ids and file sizes.

    Raises:
        DataError: a missing table, column, split or file; a name that leads out of the folder.
    """

    def __init__(
        self,
        root: str | Path,
        split: str,
        *,
        frames: Literal["all", "first"] = "all",
        size: int = 112,
        seconds: float = 1.0,
        sound: Literal["wav", "log_mel"] = "wav",
        partial: bool = False,
        limit: int | None = None,
        cache: bool = False,
        extras: bool = True,
    ) -> None:
        if frames not in ("all", "first"):
            raise ValueError(f"`frames` must be 'all' or 'first'; got {frames!r}.")
        if sound not in ("wav", "log_mel"):
            raise ValueError(f"`sound` must be 'wav' or 'log_mel'; got {sound!r}.")
        if sound == "log_mel" and seconds != 1:
            raise ValueError(f"`seconds` must be 1 where `sound` is 'log_mel', a block a second; got {seconds}.")
        self.root, self.split, self.size, self.seconds, self.sound = Path(root), split, size, seconds, sound
        self._cache: dict[int, Clip] = {}
        self._caches, self.extras = cache, extras
        bad = bad_clips(self.root)
        listed = [row for row in read_table(self.root) if row["split"] == split][:limit]
        if not listed:
            raise DataError(self.root / TABLE, f"lists no clip of the split `{split}`")
        self.missing = [row["name"] for row in listed if (split, row["category"], row["name"]) in bad]
        if len(self.missing) == len(listed):
            raise DataError(self.root / "report.json", f"calls every clip of the split `{split}` bad")
        there = [(row["name"], row["category"]) for row in listed if row["name"] not in set(self.missing)]
        sizes = hashlib.sha256()
        pairs = self._list(there, frames, partial, sizes)
        # Arrays: processes that load clips share them, while a list is copied as it is read.
        self._places = np.array([f"{category}/{name}".encode() for name, category, _ in pairs])
        self._ks = np.array([k for _, _, k in pairs])
        self.data_hash = sizes.hexdigest()[:12]

    @property
    def ids(self) -> list[str]:
        """Of each pair, `<name>_<second>`."""
        return [f"{name}_{k}" for name, _, k in map(self._pair, range(len(self)))]

    @property
    def categories(self) -> list[str]:
        """Of each pair, in the order of `ids`."""
        return [category for _, category, _ in map(self._pair, range(len(self)))]

    def _pair(self, index: int) -> tuple[str, str, int]:
        """Name, category and second."""
        category, _, name = str(self._places[index], "utf-8").rpartition("/")
        return name, category, int(self._ks[index])

    def _list(
        self, videos: list[tuple[str, str]], frames: str, partial: bool, sizes: Any
    ) -> list[tuple[str, str, int]]:
        """Name, category and second of each pair; notes the sizes of their files."""
        pairs: list[tuple[str, str, int]] = []
        lacks: DataError | None = None
        found = [self._seconds(name, category) for name, category in videos]
        most = max(map(len, found))
        for (name, category), seconds in zip(videos, found, strict=True):
            home, heard = self._at("visual_frames", category, name), self._heard(name, category)
            absent = [k for k in range(1, max(most, 1) + 1) if k not in seconds]
            if absent or not heard.is_file():
                whole = not seconds or not heard.is_file()
                lacks = lacks or DataError(home / f"{name}_{absent[0]}.png" if absent else heard, MISSING)
                self.missing += [name] if whole else [f"{name}_{k}" for k in absent]
                if whole:
                    continue
            for k in seconds[: 1 if frames == "first" else None]:
                pairs.append((name, category, k))
                png = home / f"{name}_{k}.png"
                sizes.update(f"{name}_{k} {png.stat().st_size} {heard.stat().st_size}\n".encode())
        if lacks and not (partial and pairs):
            raise lacks
        return pairs

    def _seconds(self, name: str, category: str) -> list[int]:
        pictures = self._at("visual_frames", category, name).glob(f"{name}_[0-9]*.png")
        return sorted(int(k) for p in pictures if (k := p.stem.rpartition("_")[2]).isdigit())

    def _heard(self, name: str, category: str) -> Path:
        pickled = self.sound == "log_mel"
        return self._at(f"audio_{self.sound}", category, f"{name}.{'pkl' if pickled else 'wav'}")

    def _at(self, kind: str, *parts: str) -> Path:
        return self.root.joinpath("s4_data", kind, self.split, *parts)

    def __len__(self) -> int:
        return len(self._ks)

    def __getitem__(self, index: int) -> Clip:
        if index in self._cache:
            return self._cache[index]
        name, category, k = self._pair(index)
        file = f"{name}_{k}.png"
        swap = self._sound("swap_wav", name, category, k) if self.extras else torch.zeros(0)
        mask = label_map(self._at("gt_masks", category, name, file), self.size)
        clip = Clip(
            id=f"{name}_{k}",
            category=category,
            frame=picture(self._at("visual_frames", category, name, file), self.size),
            wave=self._sound("audio_wav", name, category, k),
            mask=None if mask is None else mask > 0,
            objects=label_map(self._at("objects", category, name, file), self.size) if self.extras else None,
            swap=swap if len(swap) else None,
            inputs=self._block(name, category, k),
        )
        if self._caches and get_worker_info() is None:
            self._cache[index] = clip
        return clip

    def _sound(self, kind: str, name: str, category: str, k: int) -> Float32[Tensor, " n"]:
        """The wave around second k; empty where there is no file (the pickles may have come without their sounds)."""
        file = self._at(kind, category, f"{name}.wav")
        wave: Tensor = excerpt(file, k - 0.5, self.seconds, RATE) if file.is_file() else torch.zeros(0)
        return wave

    def _block(self, name: str, category: str, k: int) -> dict[str, Tensor]:
        """What `collate` then need not compute: the official block of second k, as (1, 1, 96, 64)."""
        if self.sound == "wav":
            return {}
        file = self._heard(name, category)
        blocks = log_mel(file)
        if len(blocks) < k:
            raise DataError(file, f"holds {len(blocks)} blocks; second {k} needs {k}")
        return {"wave/log_mel": blocks[k - 1 : k]}
