"""`uspl run`: from a video file to an overlay with its sound, a JSON of every frame, a mask of each."""

import json as js
from collections.abc import Mapping
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from tqdm.auto import tqdm

from uspl.config import SMOOTH
from uspl.core.errors import DataError
from uspl.data.folder import embedded_set
from uspl.data.sounding_shapes import SHAPES
from uspl.gate import UNSURE, Gate
from uspl.inference.localizer import Localizer, enlarged
from uspl.media.probe import FilmInfo, probe
from uspl.media.writer import FORMATS, film, whole
from uspl.model import USPL
from uspl.video.frame_maps import FramePrediction, frame_maps

TINT = 0.65  # of the colour of a map, where it is 1


def mark_video(
    video: str | Path | FilmInfo,
    out: str | Path,
    *,
    model: Localizer | USPL,
    smooth: float = SMOOTH,
    json: str | Path | None = None,
    masks: str | Path | None = None,
    progress: bool = False,
) -> dict[str, Any]:
    """Write the overlay video of a film: grey where it is silent, coloured where it sounds, the mask outlined.

    All files appear when all are finished; after an error none is left. A film of any length needs the memory of a few
    frames.

    Args:
        video: any video with sound that PyAV reads, of any size, rotation and frame rate, also a variable one; or what
            `media.probe` says of it.
        out: .mp4, .mov or .mkv, with the sound of the film.
        model: a `Localizer`, which says what map and what gate; or a trained model, of which the map is SPS.
        smooth: time constant, s; 0 smooths nothing.
        json: file for the values of each frame and their summary.
        masks: folder, missing or empty, for a mask of each frame: PNG, 255 where it sounds, of the film's size.
        progress: show a progress bar.

    Returns:
        The summary: `count` (frames), `seconds`, `size` (width, height), `open` (share of the frames that the gate lets
        pass), `area` (mean share of the picture that is marked), `flicker` (share of the map's pixels whose mask
        changes from one frame to the next, on average: `smoothed`, and `single` for none), `sound` (what is to be known
        about the sound: which track was heard, pauses, clipping), and what was asked for.

    Raises:
        DataError: the film cannot be read, has no pictures or no sound track, or is silent from start to end.
        ValueError: a negative `smooth`, or names that do not go together.
        OSError: a file cannot be written.
    """
    localizer = model if isinstance(model, Localizer) else Localizer(model)
    info = video if isinstance(video, FilmInfo) else probe(video)
    files = output_files(info.path, {"out": out, "json": json, "masks": masks})
    audible(info, localizer.gate)
    statistics, notes_on_sound = FilmStatistics(), list[str]()
    with ExitStack() as stack:
        parts = dict(zip(files, stack.enter_context(whole(*files.values())), strict=True))
        put = stack.enter_context(film(parts["out"], info.path, files["out"]))
        notes = stack.enter_context(parts["json"].open("w")) if json else None
        if masks:
            parts["masks"].mkdir()
        moments = frame_maps(localizer, info.path, smooth=smooth, notes=notes_on_sound)
        for n, moment in enumerate(tqdm(moments, desc=info.path.name, total=info.frames, disable=not progress)):
            mask = moment.mask()
            put(moment.time, paint(moment.picture, moment.map, mask, says=UNSURE if moment.state == UNSURE else ""))
            statistics.add(moment, mask)
            if notes:
                notes.write((",\n" if n else '{"frames": [\n') + js.dumps(row(moment, mask)))
            if masks:
                Image.fromarray(mask.astype(np.uint8) * 255).save(parts["masks"] / f"{n:06d}.png", compress_level=1)
        about = {"video": info.path.name, "map": localizer.map, "smooth": smooth, "gate": localizer.gate.as_dict()}
        data = {"data": localizer.model.about.get("data"), "foreign": foreign(localizer.model, info.path)}
        summary = statistics.summary() | about | data | {"sound": notes_on_sound}
        if notes:
            notes.write("\n],\n" + js.dumps(summary, indent=1).removeprefix("{\n") + "\n")
    return summary


def audible(info: FilmInfo, gate: Gate) -> None:
    """Raise a DataError where no second of a film is as loud as the gate asks for."""
    if info.loudest(enough=gate.loudness + 1e-6) <= gate.loudness:
        says = f"is silent: no second of it is louder than {gate.loudness} dB, nothing can be marked"
        raise DataError(info.path, says)


def foreign(model: USPL, video: str | Path) -> bool:
    """Whether the model was trained on Sounding Shapes and the film does not lie in a folder of that set."""
    return model.about.get("data") == SHAPES and not in_set(video, SHAPES)


def in_set(video: str | Path, name: str) -> bool:
    """Whether a film lies in a folder of an embedded set."""
    return any(embedded_set(home) == name for home in Path(video).resolve().parents)


def row(moment: FramePrediction, mask: Bool[np.ndarray, "h w"]) -> dict[str, Any]:
    """What the JSON says of a frame: `time` (s), `state`, `score` (the greatest cosine of Eq. 1), `loudness` (dB).

    `state` is "sounding", "silent" or "not sure": heard, and not found in the picture; `open` is true for the first.
    And `peak`, the maximum of the map, `area`, the share of the picture that is marked, `box`, its x0, y0, x1, y1 in
    pixels, the last two exclusive, or None.
    """
    ys, xs = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    box = [int(xs[0]), int(ys[0]), int(xs[-1]) + 1, int(ys[-1]) + 1] if len(xs) else None
    found = {"time": moment.time, "score": moment.cosine, "loudness": moment.loudness, "peak": moment.map.max().item()}
    numbers = {k: round(v, 4) for k, v in (found | {"area": mask.mean().item()}).items()}
    return numbers | {"state": moment.state, "open": moment.active, "box": box}


def paint(
    picture: UInt8[np.ndarray, "h w 3"], m: Float[Tensor, "s s"], mask: Bool[np.ndarray, "h w"], *, says: str = ""
) -> UInt8[np.ndarray, "h w 3"]:
    """The picture in grey where the map is 0, in the colours of cividis where it sounds, the mask outlined in white.

    `says` is written in the upper left corner.
    """
    red, green, blue = (picture[..., k].astype(np.uint16) for k in range(3))
    grey = ((red + green + blue) // 3)[..., None]
    if not m.any():
        return _lettered(np.repeat(grey.astype(np.uint8), 3, axis=2), says)
    levels = (enlarged(m, *mask.shape).clamp(0, 1) * 255).byte().numpy()
    colours, rest = _table()
    painted: UInt8[np.ndarray, "h w 3"] = ((grey * rest[levels] + colours[levels]) >> 8).astype(np.uint8)
    painted[_outline(mask)] = 255
    return _lettered(painted, says)


def _lettered(picture: UInt8[np.ndarray, "h w 3"], says: str) -> UInt8[np.ndarray, "h w 3"]:
    """White letters on black in the upper left corner."""
    if not says:
        return picture
    image, size = Image.fromarray(picture), max(10, min(picture.shape[:2]) // 16)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size)
    box = draw.textbbox((size / 2, size / 2), says, font)
    draw.rectangle((box[0] - size / 4, box[1] - size / 4, box[2] + size / 4, box[3] + size / 4), fill=0)
    draw.text((size / 2, size / 2), says, (255, 255, 255), font)
    return np.asarray(image)


@lru_cache(maxsize=1)
def _table() -> tuple[np.ndarray, np.ndarray]:
    """For each level of a map: 256 times the colour that is added, and 256 times the share of the grey that stays."""
    from uspl.viz.draw import heat

    share = np.linspace(0, TINT, 256)[:, None]
    colours = heat(np.linspace(0, 1, 256)[None])[0]
    return (256 * share * colours).astype(np.uint16), (256 * (1 - share)).astype(np.uint16)


def _outline(mask: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """The inner border of a mask, thicker in larger pictures."""
    inside = mask
    for _ in range(max(round(min(mask.shape) / 240), 1)):
        p = np.pad(inside, 1, "edge")  # where the picture ends, no border is drawn
        inside = inside & p[:-2, 1:-1] & p[2:, 1:-1] & p[1:-1, :-2] & p[1:-1, 2:]
    border: Bool[np.ndarray, "h w"] = mask & ~inside
    return border


class FilmStatistics:
    """Sums over the frames of a film, and what they come to."""

    def __init__(self) -> None:
        self.count, self.opened, self.area, self.time = 0, 0, 0.0, 0.0
        self.size = (0, 0)
        self.changed = {"smoothed": 0.0, "single": 0.0}
        self.last: dict[str, Tensor] = {}

    def add(self, moment: FramePrediction, mask: Bool[np.ndarray, "h w"]) -> None:
        self.count, self.opened, self.time = self.count + 1, self.opened + moment.active, moment.time
        self.area, self.size = self.area + mask.mean().item(), (mask.shape[1], mask.shape[0])
        marked = {"smoothed": moment.map > 0.5, "single": moment.single > 0.5}
        for name, before in self.last.items():
            self.changed[name] += (before != marked[name]).float().mean().item()
        self.last = marked

    def summary(self) -> dict[str, Any]:
        flicker = {k: round(v / max(self.count - 1, 1), 5) for k, v in self.changed.items()}
        shares = {"open": self.opened / self.count, "area": self.area / self.count}
        return {
            "count": self.count,
            "seconds": round(self.time, 3),
            "size": list(self.size),
            "flicker": flicker,
            **{k: round(v, 4) for k, v in shares.items()},
        }


def output_files(video: str | Path, names: Mapping[str, str | Path | None]) -> dict[str, Path]:
    """The files that are to be written, of `out`, `json` and `masks`.

    Raises:
        ValueError: names that do not go together.
    """
    files = {name: Path(path) for name, path in names.items() if path}
    if files["out"].suffix.lower() not in FORMATS:
        raise ValueError(f"`out` must end in {', '.join(FORMATS)}; got '{files['out'].name}'.")
    taken = {Path(video).resolve(): "video"}
    for name, path in files.items():
        real = path.resolve()
        if real in taken:
            raise ValueError(f"`{name}` must be another file than `{taken[real]}`; got '{path}' for both.")
        taken[real] = name
        if not real.parent.is_dir():
            raise ValueError(f"`{name}` must lie in a folder that is there; '{path.parent}' is not.")
        if name == "masks" and path.exists() and not (path.is_dir() and not any(path.iterdir())):
            raise ValueError(f"`masks` must be a missing or an empty folder; '{path}' is neither.")
        if name != "masks" and path.is_dir():
            raise ValueError(f"`{name}` must be a file; '{path}' is a folder.")
    return files
