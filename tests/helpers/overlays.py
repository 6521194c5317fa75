"""A film marked by a model that knows nothing."""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from tests.helpers.models import small, trained
from uspl.gate import Gate
from uspl.inference.localizer import Localizer
from uspl.media.stream import pictures
from uspl.model import USPL
from uspl.video import frame_maps, overlay


@lru_cache(maxsize=1)
def model() -> USPL:
    """Untrained: its coarse map, divided by its maximum, marks something in every frame."""
    return trained(small()).eval()


def mark(video: Path, out: Path, *, map: str = "m", gate: Gate | None = None, **options: Any) -> dict[str, Any]:
    return overlay.mark_video(video, out, model=Localizer(model(), map=map, gate=gate), **options)


def watch(video: Path, *, map: str, gate: Gate | None = None, **options: Any) -> Iterator[frame_maps.FramePrediction]:
    return frame_maps.frame_maps(Localizer(model(), map=map, gate=gate), video, **options)


def go(video: Path, **options: Any) -> tuple[dict[str, Any], Path]:
    """What `run` says, and where it wrote the film, its JSON and its masks."""
    home = video.parent / "out"
    home.mkdir(exist_ok=True)
    files = {"json": home / "film.json", "masks": home / "masks"}
    return mark(video, home / "film.mp4", map="m_crs", **{**files, **options}), home


def shown(path: Path) -> list[tuple[float, np.ndarray]]:
    return list(pictures(path))
