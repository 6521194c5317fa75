"""Where AVSBench keeps the files of a video: AVSBench-S4 as distributed, and its videos in AVSBench-semantic (v1s)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from uspl.data.metadata import is_semantic


@dataclass(frozen=True)
class S4:
    """Paths of the files of one split; seconds count from 1.

    `<kind>/<split>/<category>/<name>/<name>_<k>.png` and `audio_wav/<split>/<category>/<name>.wav` in `s4_data`.
    """

    root: Path
    split: str
    binary = True  # has a mask two values?

    def seconds(self, category: str, name: str) -> list[int]:
        """Seconds of which a frame is there."""
        pictures = self._at("visual_frames", category, name).glob(f"{name}_[0-9]*.png")
        return sorted(int(k) for p in pictures if (k := p.stem.rpartition("_")[2]).isdigit())

    def frame(self, category: str, name: str, k: int) -> Path:
        """The frame of second k."""
        return self.map("visual_frames", category, name, k)

    def map(self, kind: str, category: str, name: str, k: int) -> Path:
        """`kind` is "gt_masks" or "objects"."""
        return self._at(kind, category, name, f"{name}_{k}.png")

    def sound(self, kind: str, category: str, name: str) -> Path:
        """`kind` is "audio_wav", "audio_log_mel" or "swap_wav"."""
        return self._at(kind, category, f"{name}.{'pkl' if kind == 'audio_log_mel' else 'wav'}")

    def _at(self, kind: str, *parts: str) -> Path:
        return self.root.joinpath("s4_data", kind, self.split, *parts)


@dataclass(frozen=True)
class V1S:
    """As `S4`, of AVSBench-semantic's subset v1s.

    `v1s/<name>/` with `frames/<k - 1>.jpg`, `labels_semantic/<k - 1>.png` and `audio.wav`; any label is sounding.
    """

    root: Path
    binary = False

    def seconds(self, category: str, name: str) -> list[int]:
        pictures = self._at(name, "frames").glob("[0-9]*.jpg")
        return sorted(int(p.stem) + 1 for p in pictures if p.stem.isdigit())

    def frame(self, category: str, name: str, k: int) -> Path:
        return self._at(name, "frames", f"{k - 1}.jpg")

    def map(self, kind: str, category: str, name: str, k: int) -> Path:
        return self._at(name, "labels_semantic" if kind == "gt_masks" else kind, f"{k - 1}.png")

    def sound(self, kind: str, category: str, name: str) -> Path:
        return self._at(name, "audio.wav" if kind == "audio_wav" else kind)

    def _at(self, *parts: str) -> Path:
        return self.root.joinpath("v1s", *parts)


def layout(root: Path, split: str) -> S4 | V1S:
    """The layout of a folder: S4's unless it is AVSBench-semantic."""
    return V1S(root) if is_semantic(root) else S4(root, split)
