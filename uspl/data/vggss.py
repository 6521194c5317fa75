"""VGG-SS: pairs with boxes, the test set of VGGSound."""

import hashlib
import json
from pathlib import Path

import numpy as np
from torch.utils.data import Dataset

from uspl.audio import RATE
from uspl.core.errors import DataError
from uspl.data.batch import Clip
from uspl.data.layouts.clip_names import misfit
from uspl.data.metadata import read_table, stay, table_file
from uspl.media.decode import excerpt
from uspl.media.image import picture
from uspl.metrics.localization import boxes_to_map


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
        prepared = table_file(self.root).is_file()
        homes = {r["name"]: Path(r["split"]) / r["category"] for r in read_table(self.root)} if prepared else None
        pairs: list[bytes] = []
        self.ids: list[str] = []
        self.missing: list[str] = []
        sizes = hashlib.sha256()
        for id, kind, boxes in read_boxes(Path(box_file)):
            frame, wav, middle = self._files(id, homes)
            if frame.is_file() and wav.is_file():
                pairs.append(json.dumps((kind, str(frame), str(wav), middle, boxes)).encode())
                self.ids.append(id)
                sizes.update(f"{id} {frame.stat().st_size} {wav.stat().st_size}\n".encode())
            else:
                self.missing.append(id)
        if not pairs:
            raise DataError(box_file, f"names no pair whose frame and sound are in `{self.root}`: {self._lack()}")
        # One block of bytes: processes that load clips share it, while a list is copied as it is read.
        self._pairs, self._ends = b"".join(pairs), np.cumsum([0, *map(len, pairs)])
        self.data_hash = sizes.hexdigest()[:12]

    def _lack(self) -> str:
        there = {path.stem for path in (self.root / "frames").glob("*.jpg")}
        if fit := there.intersection(self.missing):
            return f"{len(fit):,} frames are there, without their sounds"
        return misfit(self.missing, there)

    @property
    def categories(self) -> list[str]:
        """Of each pair, in the order of `ids`."""
        return [self._pair(i)[0] for i in range(len(self))]

    def _pair(self, index: int) -> tuple[str, str, str, float | None, list[list[float]]]:
        """Category, frame, sound, its middle in s, boxes."""
        start, end = self._ends[:-1][index], self._ends[1:][index]
        kind, frame, wav, middle, boxes = json.loads(self._pairs[start:end])
        return kind, frame, wav, middle, boxes

    def _files(self, id: str, homes: dict[str, Path] | None) -> tuple[Path, Path, float | None]:
        """Frame, sound, and the s around which the sound is cut (None: the middle of the file)."""
        if homes is None:
            return self.root / "frames" / f"{id}.jpg", self.root / "audio" / f"{id}.wav", None
        name, _, k = id.rpartition("_")
        data, home = self.root / "s4_data", homes.get(name, Path("nowhere"))
        frame, wav = data / "visual_frames" / home / name / f"{id}.png", data / "audio_wav" / home / f"{name}.wav"
        return frame, wav, float(k) - 0.5 if k.isdigit() else None

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Clip:
        kind, frame, wav, middle, boxes = self._pair(index)
        wave = excerpt(wav, middle, self.seconds, RATE)
        mask = boxes_to_map(boxes, size=self.size) > 0
        return Clip(self.ids[index], kind, picture(frame, self.size), wave, mask, None, None)


def read_boxes(file: Path) -> list[tuple[str, str, list[list[float]]]]:
    """Id, class and boxes [x1, y1, x2, y2] in [0, 1] of each entry. Raises DataError as `VGGSS` does."""
    if not file.is_file():
        raise DataError(file, "is missing")
    try:
        entries = [(e["file"], e["class"], e["bbox"]) for e in json.loads(file.read_text())]
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise DataError(file, 'is no JSON list of {"file", "class", "bbox"}') from error
    for id, _, _ in entries:
        stay(str(id), file)
    if not entries:
        raise DataError(file, "lists no pair")
    return entries
