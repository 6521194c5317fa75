"""Section 4.1: files to what the encoders take, against the usual tools, one clip or picture at a time."""

import math
import tempfile
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy.io import wavfile
from torch import Tensor

from benchmarks.ratios import naive_media
from benchmarks.ratios.row import Make, Row, Side
from uspl import audio, media
from uspl.data.batch import MEAN, STD
from uspl.media.image import picture

RATE = naive_media.RATE
CLIPS = 32


@lru_cache(maxsize=1)
def _folder() -> tempfile.TemporaryDirectory[str]:
    """Goes when the process ends."""
    return tempfile.TemporaryDirectory()


def tones(seed: int, seconds: float, sr: int) -> np.ndarray:
    """40 tones below 6 kHz that fade in and out: what any two good resamplers agree on. float32."""
    rng, t = np.random.default_rng(seed), np.arange(round(seconds * sr)) / sr
    waves = [
        a * np.sin(2 * math.pi * (f * t + phase))
        for f, a, phase in zip(rng.uniform(80, 6000, 40), rng.uniform(0, 0.02, 40), rng.uniform(0, 1, 40), strict=True)
    ]
    fade = np.sin(math.pi / 2 * np.minimum(1, np.minimum(t, t[::-1]) / 0.05)) ** 2  # over 50 ms
    return (np.sum(waves, 0) * fade).astype(np.float32)


def spectrogram(_: torch.device) -> dict[str, Side]:
    """The central 3 s of a sound file of 10 s."""
    file = Path(_folder().name) / "ten_seconds.wav"
    wavfile.write(file, RATE, (32767 * tones(0, 10, RATE)).astype(np.int16))

    def ours() -> object:
        return audio.peer_spectrogram(media.excerpt(file, None, 3.0), RATE, seconds=3.0)

    return {"plain": Side(lambda: naive_media.log_spectrogram(file), ours)}


def patches(sr: int, how: str = "soxr_hq") -> Make:
    """VGGish's input from the samples of 32 clips of one second."""

    def make(_: torch.device) -> dict[str, Side]:
        waves = [tones(k, 1, sr) for k in range(CLIPS)]

        def base() -> Tensor:
            return torch.stack([naive_media.vggish_patches(wave, sr, how=how) for wave in waves])

        def ours() -> Tensor:
            return audio.vggish_batch(torch.stack([audio.resample(wave, sr) for wave in waves]))

        return {"plain": Side(base, ours)}

    return make


def pictures(width: int, height: int) -> Make:
    """A JPEG file to the normalised input of the image encoder, 224 x 224."""

    def make(_: torch.device) -> dict[str, Side]:
        file = Path(_folder().name) / f"{width}x{height}.jpg"
        scene(width, height).save(file, quality=90)
        mean, std = (torch.tensor(v).view(3, 1, 1) for v in (MEAN, STD))

        def ours() -> Tensor:
            return (picture(file, 224).float().div_(255) - mean).div_(std)

        def grey_levels(expected: Tensor, got: Tensor) -> float:
            return 255 * ((expected - got) * std).abs().max().item()

        return {"plain": Side(lambda: naive_media.picture(file, 224), ours, difference=grey_levels)}

    return make


def scene(width: int, height: int) -> Image.Image:
    """Slow colours, edges and grain: a picture that costs a decoder what a photograph does."""
    rng = np.random.default_rng(0)
    slow = Image.fromarray(rng.integers(0, 256, (9, 16, 3), dtype=np.uint8)).resize((width, height), Image.BICUBIC)
    edges = Image.fromarray(rng.integers(0, 256, (45, 80, 3), dtype=np.uint8)).resize((width, height), Image.NEAREST)
    grain = rng.normal(0, 6, (height, width, 1))
    mixed = 0.75 * np.asarray(slow, float) + 0.25 * np.asarray(edges, float) + grain
    return Image.fromarray(mixed.clip(0, 255).astype(np.uint8))


_LIBROSA = "log-mel patches of VGGish against librosa clip by clip, the mel matrix made for each"
ROWS = [
    Row(
        "wav-scipy",
        "log spectrogram of the central 3 s of a file, read in place, against the whole file decoded by PyAV and "
        "scipy's spectrogram",
        "16 kHz PCM16 file of 10 s",
        spectrogram,
        1e-5,
        {"plain": 8},
    ),
    Row("wav-librosa-16k", _LIBROSA, f"{CLIPS} clips of 1 s at 16 kHz", patches(RATE), 1e-4, {"plain": 2.5}),
    Row(
        "wav-librosa-44k",
        f"{_LIBROSA}, resampled by its kaiser_best, librosa's default before 0.10",
        f"{CLIPS} clips of 1 s at 44.1 kHz",
        patches(44_100, "kaiser_best"),
        2e-3,
        {"plain": 15},
    ),
    Row(
        "wav-librosa-44k-soxr",
        f"{_LIBROSA}, resampled by its soxr_hq, librosa's default since 0.10",
        f"{CLIPS} clips of 1 s at 44.1 kHz",
        patches(44_100),
        2e-3,
    ),
    Row(
        "image-hd",
        "JPEG file to network input against Pillow and torchvision's transforms v1, in grey levels",
        "1280 x 720 to 224 x 224",
        pictures(1280, 720),
        1.01,
        {"plain": 2.5},
    ),
    Row(
        "image-360p",
        "JPEG file to network input against Pillow and torchvision's transforms v1, in grey levels",
        "480 x 360 to 224 x 224",
        pictures(480, 360),
        1.01,
        {"plain": 1.7},
    ),
]
