"""The map of every frame of a film, smoothed over time, empty in silence."""

import math
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from uspl.audio import loudness
from uspl.config import SMOOTH
from uspl.gate import SOUNDING
from uspl.inference.localizer import Localizer, enlarged
from uspl.media.stream import open_audio, pictures

BATCH = 8  # frames at a time


class FramePrediction(NamedTuple):
    """One frame of a film and what the model makes of it. S is the image side of the model."""

    time: float  # s from the start of the film
    picture: UInt8[np.ndarray, "h w 3"]  # RGB, upright
    map: Float[Tensor, "s s"]  # smoothed, in [0, 1]; zeros where the gate is shut
    single: Float[Tensor, "s s"]  # the same, not smoothed
    cosine: float  # the greatest of the coarse map, Eq. 1
    loudness: float  # dB of full scale, of the sound that belongs to the frame
    state: str  # what the gate says: "sounding", "silent", or "not sure" (heard, and not found in the picture)

    @property
    def active(self) -> bool:
        """Whether the gate finds a sound that agrees with a place."""
        return self.state == SOUNDING

    def mask(self) -> Bool[np.ndarray, "h w"]:
        """True where it sounds: the map above 0.5, at the size of the picture."""
        height, width = self.picture.shape[:2]
        if not self.active:
            return np.zeros((height, width), bool)
        found: Bool[np.ndarray, "h w"] = (enlarged(self.map, height, width) > 0.5).numpy()
        return found


def frame_maps(
    localizer: Localizer, video: str | Path, *, smooth: float = SMOOTH, notes: list[str] | None = None
) -> Iterator[FramePrediction]:
    r"""Every frame of a film with its map; a film of any length needs the memory of a few frames.

    Each frame hears the `seconds` of sound around it. Maps are smoothed by an exponential average that forgets with
    time, not with frames, so that a variable frame rate does no harm:

    .. math:: \bar M_k = a \bar M_{k-1} + (1 - a) M_k, \quad a = e^{-(t_k - t_{k-1}) / smooth}

    It begins anew where the gate opens, and a closed gate empties the map at once.

    Args:
        localizer: a trained model with its gate, and which of its maps.
        video: any video with sound that PyAV reads.
        smooth: time constant, s; 0 smooths nothing.
        notes: as for `media.waveform`; filled when the last frame has been taken.

    Raises:
        ValueError: a negative `smooth`.
        DataError: the film cannot be read, or has no pictures or no sound track.
    """
    if not 0 <= smooth < math.inf:
        raise ValueError(f"`smooth` must be a number of seconds, at least 0; got {smooth}.")
    before: tuple[float, Tensor] | None = None
    with open_audio(video, localizer.model.cfg.seconds) as window:
        shown = pictures(video)
        while batch := list(islice(shown, BATCH)):
            waves = torch.stack([window.around(time) for time, _ in batch])
            maps, cosine = localizer.maps([picture for _, picture in batch], waves)
            loud = loudness(waves)
            for k, state in enumerate(localizer.gate.states(loud, cosine)):
                time, picture = batch[k]
                opens = state == SOUNDING
                single = maps[k] if opens else torch.zeros_like(maps[k])
                a = math.exp(-max(time - before[0], 0.0) / smooth) if before is not None and smooth else 0.0
                m = single if before is None else a * before[1] + (1 - a) * single
                before = (time, m) if opens else None
                smoothed = m if opens else single
                yield FramePrediction(time, picture, smoothed, single, cosine[k].item(), loud[k].item(), state)
        if notes is not None:
            notes += window.report.sentences()
