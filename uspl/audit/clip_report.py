"""One clip as it lies on disk: which of its files can be read, which cannot, and what looks wrong in them."""

import hashlib
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from uspl.audio import RATE
from uspl.audit.near_duplicates import dhash
from uspl.core.errors import DataError
from uspl.core.files import present
from uspl.data.layouts.avsbench import layout
from uspl.data.metadata import Line
from uspl.media.decode import waveform
from uspl.media.image import flat, still, thumbnail, upright
from uspl.media.mask_file import labels
from uspl.media.probe import probe

SILENCE = 2.5 / 32768  # a sound that never exceeds this is digital silence
SPARE = 0.5  # s: a sound may be so much shorter than its clip
KINDS = {  # what may be wrong, in the order of a report
    "refused": "the table may not name it",
    "missing": "a frame, a mask or the sound is not there",
    "unreadable": "a file is damaged",
    "odd": "a file is not what the layout promises",
    "still": "all frames are the same, or a frame is one colour",
    "silent": "digital silence",
    "short": "the sound ends too early",
    "twin": "a frame looks like one of the training split",
    "empty": "a mask marks nothing; the published rules count it, so it is a note and no fault",
}


@dataclass
class ClipReport:
    """What was found of one clip. `faults` are (kind, reason); `files` names each file read, with its SHA-256."""

    split: str
    name: str
    counts: Counter[str] = field(default_factory=Counter)  # videos, frames, masks, sounds that can be read
    faults: list[tuple[str, str]] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    hashes: list[np.ndarray] = field(default_factory=list)  # `dhash` of each frame that shows enough

    def add(self, kind: str, reason: str) -> None:
        """Note a fault; `kind` is one of KINDS."""
        self.faults.append((kind, reason))

    @property
    def complete(self) -> bool:
        """Can the clip be trained on or scored?"""
        return not any(kind in ("refused", "missing", "unreadable") for kind, _ in self.faults)


def video(root: Path, line: Line, seconds: int, told: str = "") -> ClipReport:
    """Read what AVSBench-S4's layout promises for a line of the table.

    Args:
        root: folder that holds `s4_data/`.
        line: name, category and split.
        seconds: frames that the clip should have.
        told: why the preparation could not use the clip, if it said so.
    """
    one = ClipReport(line.split, line.name)
    if line.refusal:
        one.add("refused", f"the table {line.refusal}")
        return one
    data, place = root / "s4_data", Path(line.split, line.category)
    homes = [home / part for home in (root / "raw_videos", data / "raw_videos") for part in (place, line.category, ".")]
    film = next((path for home in homes if (path := home / f"{line.name}.mp4").is_file()), None)
    one.counts["videos"] = int(film is not None)
    lies = layout(root, line.split)
    frames = {k: lies.frame(line.category, line.name, k) for k in range(1, seconds + 1)}
    sound = lies.sound("audio_wav", line.category, line.name)
    why = "" if sound.is_file() and any(file.is_file() for file in frames.values()) else _why(film, told)
    pictures = _pictures(one, root, frames, "frame", why)
    _extra(one, len(lies.seconds(line.category, line.name)), seconds)
    _look(one, pictures)
    wanted = 1 if line.split == "train" else seconds
    if pictures:
        masks = {k: lies.map("gt_masks", line.category, line.name, k) for k in range(1, wanted + 1)}
        size = next(iter(pictures.values())).size
        _masks(one, _pictures(one, root, masks, "mask"), size, binary=lies.binary)
    _sound(one, root, sound, seconds - SPARE, why)
    return one


def pair(root: Path, split: str, id: str, seconds: float = 3.0) -> ClipReport:
    """Read the frame and the sound of a clip in VGGSound's layout: `frames/<id>.jpg` and `audio/<id>.wav`."""
    one = ClipReport(split, id)
    _look(one, _pictures(one, root, {1: root / "frames" / f"{id}.jpg"}, "frame"))
    _sound(one, root, root / "audio" / f"{id}.wav", seconds)
    return one


def _why(film: Path | None, told: str) -> str:
    """Why frames or sound were not cut: in the preparation's words, or as the film shows."""
    if told:
        return f"; the preparation says that the film {told}"
    try:
        if film is not None:
            probe(film)
    except DataError as error:
        return f"; its film {error.reason}"
    return ""


def _content(one: ClipReport, root: Path, file: Path) -> bytes | None:
    """The bytes of a file, its SHA-256 noted; None where it cannot be read."""
    try:
        content = present(file).read_bytes()
    except DataError as error:
        one.add("missing" if error.reason == "is missing" else "unreadable", f"`{file.name}` {error.reason}")
        return None
    except OSError as error:
        one.add("unreadable", f"`{file.name}` cannot be opened: {error.strerror}")
        return None
    one.files[file.relative_to(root).as_posix()] = hashlib.sha256(content).hexdigest()
    return content


def _pictures(one: ClipReport, root: Path, files: dict[int, Path], what: str, why: str = "") -> dict[int, Image.Image]:
    """The pictures that can be read, by their number."""
    there = {k: file for k, file in files.items() if file.is_symlink() or file.exists()}
    if not there and len(files) > 1:
        one.add("missing", f"no {what}s{why}")
        return {}
    for k in files.keys() - there.keys():
        one.add("missing", f"no {what}{f' {k}' if len(files) > 1 or what == 'mask' else ''}{why}")
    found = {}
    for k, file in there.items():
        content = _content(one, root, file)
        if content is None:
            continue
        try:
            with Image.open(io.BytesIO(content)) as image:
                image.load()
                shown = upright(image)
                found[k] = shown.copy() if what == "frame" else Image.fromarray(labels(shown))
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
            one.add("unreadable", f"`{file.name}` ({what}) cannot be read as a picture")
    one.counts[f"{what}s"] = len(found)
    return found


def _extra(one: ClipReport, frames: int, seconds: int) -> None:
    """A folder that holds more frames than the clip has seconds."""
    if frames > seconds:
        one.add("odd", f"{frames} frames, {seconds} are expected")


def _look(one: ClipReport, pictures: dict[int, Image.Image]) -> None:
    """What the frames show: one size, something, something that moves; and their hashes."""
    sides = sorted({image.size for image in pictures.values()})
    if len(sides) > 1:
        one.add("odd", "frames of " + " and ".join(f"{w}x{h}" for w, h in sides) + " pixels")
    cells = {k: thumbnail(image) for k, image in pictures.items()}
    blank = [k for k, small in cells.items() if flat(small)]
    if blank:
        one.add(
            "still", f"frame {_numbers(blank)} is one flat colour" if len(cells) > 1 else "its frame is one flat colour"
        )
    elif still(list(cells.values())):
        one.add("still", f"all {len(cells)} frames are the same")
    one.hashes = [bits for image in pictures.values() if (bits := dhash(image)) is not None]


def _masks(one: ClipReport, masks: dict[int, Image.Image], side: tuple[int, int], *, binary: bool) -> None:
    """A mask has the size of its frame, two values unless it names kinds, and marks something."""
    marked = {}
    for k, mask in masks.items():
        values = np.unique(np.asarray(mask))
        marked[k] = bool(values.any())
        if mask.size != side:
            one.add("odd", "mask {} is {}x{} pixels, its frame {}x{}".format(k, *mask.size, *side))
        if binary and len(values) > 2:
            one.add("odd", f"mask {k} has {len(values)} values; a mask has two")
    empty = [k for k, some in marked.items() if not some]
    if empty:
        one.add("empty", f"mask {_numbers(empty)} marks nothing")


def _sound(one: ClipReport, root: Path, file: Path, least: float, why: str = "") -> None:
    if not file.is_symlink() and not file.exists():
        one.add("missing", f"no sound{why}")
        return
    if _content(one, root, file) is None:
        return
    try:
        wave = waveform(file, RATE)
    except DataError as error:
        one.add("unreadable", f"`{file.name}` {error.reason}")
        return
    one.counts["sounds"] = 1
    if not bool(torch.any(wave.abs() > SILENCE)):
        one.add("silent", "digital silence")
    if len(wave) < least * RATE:
        one.add("short", f"its sound is {len(wave) / RATE:.2f} s long; {least:g} s are needed")


def _numbers(which: Sequence[int]) -> str:
    return ", ".join(map(str, which))
