"""The map of every frame of a film, smoothed over time, empty in silence."""

import math
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from uspl import align
from uspl.batch import MEAN, STD
from uspl.config import SMOOTH
from uspl.deploy import for_inference, is_ready
from uspl.gate import Gate, loudness, patches
from uspl.model import USPL, resize
from uspl.predict import MAPS
from uspl.stream import listening, pictures

BATCH = 8  # frames at a time


class Moment(NamedTuple):
    """One frame of a film and what the model makes of it. S is the image side of the model."""

    time: float  # s from the start of the film
    picture: UInt8[np.ndarray, "h w 3"]  # RGB, upright
    map: Float[Tensor, "s s"]  # smoothed, in [0, 1]; zeros where the gate is shut
    single: Float[Tensor, "s s"]  # the same, not smoothed
    cosine: float  # the greatest of the coarse map, Eq. 1
    loudness: float  # dB of full scale, of the sound that belongs to the frame
    open: bool  # does the gate let it pass?

    def mask(self) -> Bool[np.ndarray, "h w"]:
        """True where it sounds: the map above 0.5, at the size of the picture."""
        height, width = self.picture.shape[:2]
        if not self.open:
            return np.zeros((height, width), bool)
        found: Bool[np.ndarray, "h w"] = (enlarged(self.map, height, width) > 0.5).numpy()
        return found


def enlarged(m: Float[Tensor, "s s"], height: int, width: int) -> Float[Tensor, "h w"]:
    """A map at the size of a picture, bilinearly."""
    return F.interpolate(m[None, None], (height, width), mode="bilinear", align_corners=False)[0, 0]


def watch(
    model: USPL, video: str | Path, *, map: str = "m", gate: Gate | None = None, smooth: float = SMOOTH
) -> Iterator[Moment]:
    r"""Every frame of a film with its map; a film of any length needs the memory of a few frames.

    Each frame hears the `seconds` of sound around it. Maps are smoothed by an exponential average that forgets with
    time, not with frames, so that a variable frame rate does no harm:

    .. math:: \bar M_k = a \bar M_{k-1} + (1 - a) M_k, \quad a = e^{-(t_k - t_{k-1}) / smooth}

    It begins anew where the gate opens, and a shut gate empties the map at once.

    Args:
        model: a trained model.
        video: any video with sound that PyAV reads.
        map: "m" (SPS), "m_fine" (SMR) or "m_crs".
        gate: see `Gate`; None is that of a model that was not calibrated: silence alone is shut.
        smooth: time constant, s; 0 smooths nothing.

    Raises:
        ValueError: an unknown `map`, or a negative `smooth`.
        DataError: the film cannot be read, or has no pictures or no sound track.
    """
    if map not in MAPS:
        raise ValueError(f"`map` must be one of {', '.join(MAPS)}; got {map!r}.")
    if not 0 <= smooth < math.inf:
        raise ValueError(f"`smooth` must be a number of seconds, at least 0; got {smooth}.")
    gate = gate or Gate()
    ready = model if is_ready(model) else for_inference(model)
    before: tuple[float, Tensor] | None = None
    with listening(video, model.cfg.seconds) as ear:
        shown = pictures(video)
        while batch := list(islice(shown, BATCH)):
            waves = torch.stack([ear.around(time) for time, _ in batch])
            maps, cosine = _maps(ready, [picture for _, picture in batch], waves, map)
            loud = loudness(waves)
            for k, opens in enumerate(gate.open(loud, cosine).tolist()):
                time, picture = batch[k]
                single = maps[k] if opens else torch.zeros_like(maps[k])
                a = math.exp(-max(time - before[0], 0.0) / smooth) if before is not None and smooth else 0.0
                m = single if before is None else a * before[1] + (1 - a) * single
                before = (time, m) if opens else None
                yield Moment(time, picture, m if opens else single, single, cosine[k].item(), loud[k].item(), opens)


@torch.inference_mode()
def _maps(model: USPL, shown: list[np.ndarray], waves: Tensor, wanted: str) -> tuple[Tensor, Tensor]:
    """The map asked for (B, S, S) and the greatest cosine of each frame (B,), on the CPU."""
    cfg, device = model.cfg, next(model.parameters()).device
    small = [
        F.interpolate(
            torch.from_numpy(p).permute(2, 0, 1)[None], (cfg.image_size,) * 2, mode="bilinear", antialias=True
        )
        for p in shown
    ]
    image = torch.cat(small).to(device).float() / 255
    image = (image - image.new_tensor(MEAN)[:, None, None]) / image.new_tensor(STD)[:, None, None]
    sound = torch.stack([patches(model, wave) for wave in waves]).to(device)
    stages, f_v = model.encode_image(image)
    m_crs = align.sounding_map(model.encode_sound(sound).float(), f_v.float())
    if wanted == "m_crs":
        m = align.normalise_map(m_crs, cfg.map_range)
    elif wanted == "m_fine":
        m = model.walked(model.on_grid(m_crs), model.affinities(model.f_aff(stages)))
    else:
        m = torch.sigmoid(model.segment(stages, f_v, m_crs))
    return resize(m.float(), cfg.image_size).cpu(), m_crs.amax((1, 2)).cpu()
