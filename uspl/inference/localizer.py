"""One picture and one sound in, the pixels that sound out: what a user calls."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Float32, Shaped, UInt8
from torch import Tensor

from uspl import align
from uspl.audio import around, loudness, resample
from uspl.data.batch import normalised_images
from uspl.gate import SOUNDING, Gate
from uspl.inference.optimize import as_ready
from uspl.inference.predict import MAPS, patches
from uspl.maps import resize
from uspl.media import downmix
from uspl.model import USPL
from uspl.pretrained import gate_of

Picture = UInt8[np.ndarray, "h w 3"]  # RGB in [0, 255]


class Localization(NamedTuple):
    """What a model makes of one picture and its sound."""

    map: Float32[np.ndarray, "h w"]  # in [0, 1], at the size of the picture; zeros where nothing sounds
    mask: Bool[np.ndarray, "h w"]  # True where it sounds: the map above 0.5
    score: float  # the greatest cosine of the coarse map, Eq. (1), in [-1, 1]
    loudness: float  # of the sound that was heard, dB of full scale, at least -100
    sounding: bool  # False in silence, and where the calibrated gate finds no place that agrees with the sound
    state: str  # "sounding", "silent", or "not sure": heard, and not found in the picture


class Localizer:
    """A trained model, ready for pictures and sounds of any size and rate.

    Args:
        model: trained; a copy made by `inference.optimize.for_inference` runs, the model stays as it is.
        gate: when nothing is marked; None takes the one saved with the model, or one that refuses silence alone.
        map: "m" (SPS), "m_fine" (SMR) or "m_crs"; None takes the one saved with the model, or "m".

    Raises:
        ValueError: an unknown `map`.

    >>> from uspl.config import Config
    >>> localizer = Localizer(USPL(Config.tiny()))
    >>> found = localizer(np.zeros((48, 64, 3), np.uint8), np.zeros(44_100), 44_100)
    >>> found.map.shape, bool(found.mask.any()), found.sounding
    ((48, 64), False, False)
    """

    def __init__(self, model: USPL, *, gate: Gate | None = None, map: str | None = None) -> None:
        map = map or str(model.about.get("map", "m"))
        if map not in MAPS:
            raise ValueError(f"`map` must be one of {', '.join(MAPS)}; got {map!r}.")
        self.model, self.map = as_ready(model), map
        self.gate = gate_of(model) if gate is None else gate

    @classmethod
    def from_pretrained(
        cls, name: str | Path, *, map: str | None = None, device: str = "auto", **hub: Any
    ) -> Localizer:
        """A model that was saved, with its gate.

        Args:
            name: "photos", which comes with the library; a folder that `save_pretrained` or a training wrote; or
                the id of a model on the Hugging Face hub.
            map: see the class.
            device, hub: see `USPL.from_pretrained`.

        Raises:
            ValueError: no such model, or an unknown `map`.
        """
        return cls(USPL.from_pretrained(name, device=device, **hub), map=map)

    def __call__(
        self, image: Picture, wave: Shaped[np.ndarray, "*channels n"] | Shaped[Tensor, "*channels n"], sample_rate: int
    ) -> Localization:
        """Mark the pixels of a picture that sound.

        Args:
            image: (H, W, 3), uint8, RGB in [0, 255], at least 8 x 8 pixels.
            wave: the sound around the picture, (n,) or (channels, n), float in [-1, 1]; channels are mixed as
                those of a film (`media.downmix`). The `Config.seconds` in its middle are heard; a shorter sound is
                followed by silence.
            sample_rate: Hz, int >= 1.

        Raises:
            ValueError: another shape, type, range or rate.
        """
        _check_image(image)
        mono = _mono(wave, sample_rate)
        heard = around(resample(mono, sample_rate), len(mono) / sample_rate / 2, self.model.cfg.seconds)
        m, cosine = self.maps([image], heard[None])
        loud = loudness(heard)
        (state,) = self.gate.states(loud[None], cosine)
        sounding = state == SOUNDING
        height, width = image.shape[:2]
        shown = enlarged(m[0], height, width).numpy() if sounding else np.zeros((height, width), np.float32)
        return Localization(shown, shown > 0.5, cosine.item(), loud.item(), sounding, state)

    @torch.inference_mode()
    def maps(
        self, pictures: Sequence[Picture], waves: Float[Tensor, "b n"]
    ) -> tuple[Float[Tensor, "b s s"], Float[Tensor, " b"]]:
        """Maps of several pictures, without the gate.

        Args:
            pictures: B of them, each (H, W, 3), of any sizes.
            waves: (B, n), mono at 16 kHz, `Config.seconds` long.

        Returns:
            The maps (B, S, S) in [0, 1], S the image side of the model, and the greatest cosine of Eq. (1) of each.
        """
        model, cfg, device = self.model, self.model.cfg, next(self.model.parameters()).device
        size = (cfg.image_size, cfg.image_size)
        planes = (
            torch.from_numpy(p.copy()).permute(2, 0, 1)[None] for p in pictures
        )  # a copy: views may be turned round
        small = [F.interpolate(p, size, mode="bilinear", antialias=True) for p in planes]
        image = normalised_images(torch.cat(small).to(device))
        sound = torch.stack([patches(model, wave) for wave in waves]).to(device)
        stages, f_v = model.encode_image(image)
        m_crs = align.sounding_map(model.encode_sound(sound), f_v)
        m = model.decode(stages, f_v, m_crs, (self.map,))[self.map]
        return resize(m.float(), cfg.image_size).cpu(), m_crs.amax((1, 2)).cpu()


def enlarged(m: Float[Tensor, "s s"], height: int, width: int) -> Float[Tensor, "h w"]:
    """A map at the size of a picture, bilinearly."""
    return F.interpolate(m[None, None], (height, width), mode="bilinear", align_corners=False)[0, 0]


def _check_image(image: Any) -> None:
    shape, kind = getattr(image, "shape", None), getattr(image, "dtype", type(image).__name__)
    if not isinstance(image, np.ndarray) or image.ndim != 3 or shape is None or shape[2] != 3 or kind != np.uint8:
        raise ValueError(f"`image` must be an array (H, W, 3) of uint8, RGB in [0, 255]; got {kind} of shape {shape}.")
    if min(shape[:2]) < 8:
        raise ValueError(f"`image` must have at least 8 x 8 pixels; got {shape[1]} x {shape[0]}.")


def _mono(wave: Any, sample_rate: Any) -> Float32[Tensor, " n"]:
    if isinstance(sample_rate, bool) or not isinstance(sample_rate, int | np.integer) or sample_rate < 1:
        raise ValueError(f"`sample_rate` must be an integer of at least 1 Hz; got {sample_rate!r}.")
    x = wave if isinstance(wave, Tensor) else torch.as_tensor(np.array(wave))
    if not x.is_floating_point():
        raise ValueError(f"`wave` must be float in [-1, 1]; got {x.dtype}: divide 16-bit samples by 32768.")
    if x.ndim not in (1, 2) or not x.shape[-1] or (x.ndim == 2 and not 1 <= len(x) <= 32):
        raise ValueError(f"`wave` must be (n,) or (channels, n), at least one sample; got shape {tuple(x.shape)}.")
    if not x.isfinite().all():
        raise ValueError("`wave` must be finite; got NaN or infinity.")
    return torch.from_numpy(downmix.mono(x.float().cpu().numpy(), int(sample_rate))) if x.ndim == 2 else x.float()
