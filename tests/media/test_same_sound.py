"""The same 10 s at any rate, sample format and number of channels: the same shapes, embeddings within 1e-3."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.helpers.sound_films import Track, film
from uspl.audio import log_spectrogram, vggish_patches
from uspl.config import Config
from uspl.inference.predict import patches
from uspl.media import excerpt, waveform
from uspl.model import USPL

FORMATS = {"s16": ("pcm_s16le", "s16"), "s24": ("pcm_s24le", "s32"), "f32": ("pcm_f32le", "flt")}
LAYOUTS = {"mono": 1, "stereo": 2, "5.1": 6, "7.1": 8}
TOLERANCE = 1e-3  # of the length of an embedding


def sound(rate: int) -> np.ndarray:
    """Forty tones below 3.2 kHz, which every rate can hold, louder and softer in turns."""
    t, draw = np.arange(10 * rate) / rate, np.random.default_rng(0)
    tones = zip(draw.uniform(100, 3200, 40), draw.uniform(0.01, 0.04, 40), draw.uniform(0, 6, 40), strict=True)
    wave = sum(loud * np.sin(2 * np.pi * hertz * t + phase) for hertz, loud, phase in tones)
    return np.asarray(wave * (0.6 + 0.4 * np.sin(2 * np.pi * 0.7 * t)), np.float32)


@lru_cache(maxsize=1)
def model() -> USPL:
    torch.manual_seed(0)
    return USPL(Config.tiny()).eval()


def heard(path: Path, rate: int, form: str, layout: str) -> tuple[list[tuple[int, ...]], Tensor]:
    """Shapes of the sound and its front ends; embeddings of three moments."""
    film(path, Track(np.tile(sound(rate), (LAYOUTS[layout], 1)), layout, *(FORMATS[form][0], rate, FORMATS[form][1])))
    wave, parts = waveform(path), [excerpt(path, at, model().cfg.seconds) for at in (2.0, 5.0, 8.0)]
    shapes = [tuple(x.shape) for x in (wave, vggish_patches(wave, 16_000), log_spectrogram(wave, 16_000))]
    with torch.inference_mode():
        return shapes, torch.cat([model().encode_sound(patches(model(), part)[None]) for part in parts])


@lru_cache(maxsize=1)
def reference(folder: Path) -> tuple[list[tuple[int, ...]], Tensor]:
    return heard(folder / "reference.mov", 16_000, "f32", "mono")


@pytest.mark.parametrize(
    ("rate", "form", "layout"),
    [
        *((rate, "s16", "stereo") for rate in (8_000, 22_050, 44_100, 48_000, 96_000)),
        *((48_000, form, "mono") for form in FORMATS),
        *((44_100, "s16", layout) for layout in LAYOUTS),
        (8_000, "s24", "5.1"),
        (96_000, "f32", "7.1"),
    ],
)
def test_shapes_are_the_same_and_embeddings_agree(
    rate: int, form: str, layout: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    shapes, embeddings = reference(tmp_path_factory.getbasetemp())
    assert shapes == [(160_000,), (10, 1, 96, 64), (257, 301)]
    found, ours = heard(tmp_path / "a.mov", rate, form, layout)
    assert found == shapes
    assert float((ours - embeddings).norm(dim=1).max() / embeddings.norm(dim=1).min()) < TOLERANCE
