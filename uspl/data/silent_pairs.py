"""Pairs in which nothing sounds, and a set that joins them to pairs that sound."""

import csv
import dataclasses
import gzip
import hashlib
import io
import zlib
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset

from uspl.audio import RATE
from uspl.core.errors import DataError
from uspl.data.batch import Clip
from uspl.data.metadata import stay
from uspl.data.vggsound import LONGEST
from uspl.media.decode import excerpt
from uspl.media.image import picture


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
    try:
        with gzip.open(table) if table.suffix == ".gz" else table.open("rb") as packed:
            text = packed.read(LONGEST + 1).decode("utf-8-sig")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(table, "is no table of comma-separated UTF-8 text") from error
    if len(text) > LONGEST:
        raise DataError(table, f"unpacks to more than {LONGEST} bytes")
    lines = csv.DictReader(io.StringIO(text))
    lack = {"video", "audio", "label"} - set(lines.fieldnames or ())
    if lack:
        raise DataError(table, f"lacks the column `{min(lack)}`; it has {', '.join(lines.fieldnames or ['none'])}")
    pairs = [(line["video"], line["audio"]) for line in lines if line["label"] == "non-sounding"]
    for pair in pairs:
        for name in pair:
            stay(name, table)
    return pairs
