"""Readers: AVSBench-S4 and VGG-SS as (frame, sound) pairs. Sounding Shapes is read as AVSBench-S4."""

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float32
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from uspl.batch import RATE, Batch, Clip, collate, sound_input
from uspl.media import DataError, waveform
from uspl.metrics import boxes_to_map
from uspl.shapes import sounding_shapes
from uspl.table import TABLE, bad_clips, read_table, stay

__all__ = ["VGGSS", "AVSBench", "Batch", "Clip", "DataError", "collate", "sound_input", "sounding_shapes"]


class AVSBench(Dataset[Clip]):
    """One split of a prepared folder in AVSBench-S4's layout (AVSBench itself, or Sounding Shapes).

    Args:
        root: folder that holds `s4_meta_data.csv` and `s4_data/`.
        split: "train", "val", "test", or another split of the table.
        frames: "first" takes the first second of each video, "all" every second.
        size: pixels, side of frames and maps; files of another size are resized.
        seconds: s of sound around the frame: 1 is the frame's own second.
        limit: the first so many videos of the table.
        cache: keep clips, and what `collate` computes from them, in memory.

    `ids` lists the pairs, `missing` the videos that `report.json` calls bad, `data_hash` names ids and file sizes.

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
        limit: int | None = None,
        cache: bool = False,
    ) -> None:
        if frames not in ("all", "first"):
            raise ValueError(f"`frames` must be 'all' or 'first'; got {frames!r}.")
        self.root, self.split, self.size, self.seconds = Path(root), split, size, seconds
        self._cache: dict[int, Clip] | None = {} if cache else None
        bad = bad_clips(self.root)
        listed = [row for row in read_table(self.root) if row["split"] == split][:limit]
        if not listed:
            raise DataError(self.root / TABLE, f"lists no clip of the split `{split}`")
        self.missing = [row["name"] for row in listed if (split, row["category"], row["name"]) in bad]
        self._pairs: list[tuple[str, str, int]] = []  # name, category, second
        sizes = hashlib.sha256()
        for row in listed:
            if row["name"] not in self.missing:
                self._add(row["name"], row["category"], frames, sizes)
        if not self._pairs:
            raise DataError(self.root / "report.json", f"calls every clip of the split `{split}` bad")
        self.ids = [f"{name}_{k}" for name, _, k in self._pairs]
        self.data_hash = sizes.hexdigest()[:12]

    def _add(self, name: str, category: str, frames: str, sizes: Any) -> None:
        """List the seconds of one video, and note the sizes of its files."""
        home, wav = self._at("visual_frames", category, name), self._at("audio_wav", category, f"{name}.wav")
        seconds = sorted(int(p.stem.rpartition("_")[2]) for p in home.glob(f"{name}_[0-9]*.png"))
        if not seconds:
            raise DataError(home / f"{name}_1.png", "is missing; run data_scripts/prepare_avsbench.py")
        if not wav.is_file():
            raise DataError(wav, "is missing; run data_scripts/prepare_avsbench.py")
        for k in seconds[: 1 if frames == "first" else None]:
            self._pairs.append((name, category, k))
            sizes.update(f"{name}_{k} {(home / f'{name}_{k}.png').stat().st_size} {wav.stat().st_size}\n".encode())

    def _at(self, kind: str, *parts: str) -> Path:
        return self.root.joinpath("s4_data", kind, self.split, *parts)

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, index: int) -> Clip:
        if self._cache is not None and index in self._cache:
            return self._cache[index]
        name, category, k = self._pairs[index]
        file = f"{name}_{k}.png"
        swap = self._at("swap_wav", category, f"{name}.wav")
        mask = _map(self._at("gt_masks", category, name, file), self.size)
        clip = Clip(
            id=f"{name}_{k}",
            category=category,
            frame=_frame(self._at("visual_frames", category, name, file), self.size),
            wave=around(waveform(self._at("audio_wav", category, f"{name}.wav"), RATE), k - 0.5, self.seconds),
            mask=None if mask is None else mask > 0,
            objects=_map(self._at("objects", category, name, file), self.size),
            swap=around(waveform(swap, RATE), k - 0.5, self.seconds) if swap.is_file() else None,
        )
        if self._cache is not None:
            self._cache[index] = clip
        return clip


class VGGSS(Dataset[Clip]):
    """VGG-SS: the pairs of a box file whose frame is there, each with the union of its boxes as mask.

    Args:
        root: a folder with `frames/<id>.jpg` and `audio/<id>.wav`, or a prepared Sounding Shapes folder.
        box_file: JSON list of {"file": id, "class": name, "bbox": [[x1, y1, x2, y2], ...]}, coordinates in [0, 1].
        size: pixels, side of frames and masks.
        seconds: s of sound: around the frame's second, or the middle of the file.

    `ids` lists the pairs, `missing` the ids without frame or sound.

    Raises:
        DataError: a missing or malformed box file, an id that leads out of the folder, or no pair at all.
    """

    def __init__(self, root: str | Path, box_file: str | Path, *, size: int = 224, seconds: float = 3.0) -> None:
        self.root, self.size, self.seconds = Path(root), size, seconds
        prepared = (self.root / TABLE).is_file()
        homes = {r["name"]: Path(r["split"]) / r["category"] for r in read_table(self.root)} if prepared else None
        self._pairs: list[tuple[str, str, Path, Path, float | None, list[list[float]]]] = []
        self.missing: list[str] = []
        sizes = hashlib.sha256()
        for id, kind, boxes in _boxes(Path(box_file)):
            frame, wav, middle = self._files(id, homes)
            if frame.is_file() and wav.is_file():
                self._pairs.append((id, kind, frame, wav, middle, boxes))
                sizes.update(f"{id} {frame.stat().st_size} {wav.stat().st_size}\n".encode())
            else:
                self.missing.append(id)
        if not self._pairs:
            raise DataError(box_file, f"names no pair whose frame and sound are in `{self.root}`")
        self.ids = [pair[0] for pair in self._pairs]
        self.data_hash = sizes.hexdigest()[:12]

    def _files(self, id: str, homes: dict[str, Path] | None) -> tuple[Path, Path, float | None]:
        """Frame, sound, and the s around which the sound is cut (None: the middle of the file)."""
        if homes is None:
            return self.root / "frames" / f"{id}.jpg", self.root / "audio" / f"{id}.wav", None
        name, _, k = id.rpartition("_")
        data, home = self.root / "s4_data", homes.get(name, Path("nowhere"))
        frame, wav = data / "visual_frames" / home / name / f"{id}.png", data / "audio_wav" / home / f"{name}.wav"
        return frame, wav, float(k) - 0.5 if k.isdigit() else None

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, index: int) -> Clip:
        id, kind, frame, wav, middle, boxes = self._pairs[index]
        wave = waveform(wav, RATE)
        wave = around(wave, len(wave) / RATE / 2 if middle is None else middle, self.seconds)
        mask = boxes_to_map(boxes, size=self.size) > 0
        return Clip(id, kind, _frame(frame, self.size), wave, mask, None, None)


def around(wave: Float32[Tensor, " n"], middle: float, seconds: float) -> Float32[Tensor, " m"]:
    """`seconds` of a 16 kHz wave around `middle` (s), moved inside where it would leave; zeros follow a short one.

    >>> around(torch.arange(32_000.0), 0.5, 1.0)[[0, -1]].tolist()
    [0.0, 15999.0]
    >>> around(torch.ones(8_000), 0.5, 1.0).sum().item()
    8000.0
    """
    n = round(seconds * RATE)
    start = max(min(round(middle * RATE - n / 2), len(wave) - n), 0)
    part = wave[start : start + n]
    return torch.nn.functional.pad(part, (0, n - len(part)))


def _boxes(file: Path) -> list[tuple[str, str, list[list[float]]]]:
    if not file.is_file():
        raise DataError(file, "is missing")
    try:
        entries = [(e["file"], e["class"], e["bbox"]) for e in json.loads(file.read_text())]
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise DataError(file, 'is no JSON list of {"file", "class", "bbox"}') from error
    for id, _, _ in entries:
        stay(str(id), file)
    return entries


def _image(file: Path, mode: str, size: int, how: Image.Resampling) -> Tensor:
    try:
        with Image.open(file) as image:
            picture = image.convert(mode) if image.mode != mode else image
            picture = picture if picture.size == (size, size) else picture.resize((size, size), how)
            return torch.from_numpy(np.array(picture))
    except FileNotFoundError:
        raise DataError(file, "is missing") from None
    except OSError as error:
        raise DataError(file, "cannot be read as a picture") from error


def _frame(file: Path, size: int) -> Tensor:
    return _image(file, "RGB", size, Image.Resampling.BILINEAR).permute(2, 0, 1).contiguous()


def _map(file: Path, size: int) -> Tensor | None:
    """A label map, (size, size) uint8; None where the file is not there."""
    if not file.is_file():
        return None
    with Image.open(file) as image:
        mode = "1" if image.mode == "1" else "L"
    return _image(file, mode, size, Image.Resampling.NEAREST).to(torch.uint8)
