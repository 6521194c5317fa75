"""Files to numbers, one clip and one picture at a time, as the tools' own examples do it."""

import math
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
import librosa
import numpy as np
import scipy.signal
import torch
from PIL import Image
from torch import Tensor
from torchvision import transforms

from uspl.data.batch import MEAN, STD

RATE = 16_000  # Hz


def decoded(file: Path) -> np.ndarray:
    """All samples of a mono PCM16 sound, decoded by PyAV: float32 in [-1, 1]."""
    with av.open(str(file)) as box:
        pieces = [frame.to_ndarray()[0] for frame in box.decode(audio=0)]
    return np.concatenate(pieces).astype(np.float32) / 32768


def log_spectrogram(file: Path, *, seconds: float = 3.0) -> Tensor:
    """The central `seconds` of a 16 kHz file: scipy's spectrogram, log(power density + 1e-7); (257, T)."""
    x = decoded(file)
    n = round(seconds * RATE)
    start = (len(x) - n) // 2
    _, _, power = scipy.signal.spectrogram(x[start : start + n], RATE, nperseg=512, noverlap=274)
    return torch.from_numpy(np.log(power + 1e-7))


def mel_matrix() -> np.ndarray:
    """(257, 64): triangles on the axis 1127 ln(1 + f / 700) between 125 and 7500 Hz, bin by bin."""
    mel = [1127 * math.log(1 + hertz / 700) for hertz in np.linspace(0, RATE / 2, 257)]
    edges = np.linspace(1127 * math.log(1 + 125 / 700), 1127 * math.log(1 + 7500 / 700), 66)
    matrix = np.zeros((257, 64))
    for band, (left, centre, right) in enumerate(zip(edges, edges[1:], edges[2:], strict=False)):
        rising = (np.array(mel) - left) / (centre - left)
        falling = (right - np.array(mel)) / (right - centre)
        matrix[:, band] = np.maximum(0, np.minimum(rising, falling))
    return matrix


def vggish_patches(wave: np.ndarray, sr: int, *, how: str = "soxr_hq") -> Tensor:
    """VGGish's input by librosa: resampled if need be, |STFT| to log-mel, blocks of 96 frames; (K, 1, 96, 64).

    librosa centres the window of 400 in its 512 samples; 56 zeros at both ends put it where VGGish has it.
    """
    if sr != RATE:
        wave = librosa.resample(wave, orig_sr=sr, target_sr=RATE, res_type=how)
    magnitude = np.abs(librosa.stft(np.pad(wave, 56), n_fft=512, hop_length=160, win_length=400, center=False))
    log_mel = np.log(magnitude.T @ mel_matrix() + 0.01)
    n = len(log_mel) // 96
    return torch.from_numpy(log_mel[: 96 * n].reshape(n, 1, 96, 64)).float()


def picture(file: Path, size: int) -> Tensor:
    """A picture ready for the image encoder: Pillow and torchvision's transforms, version 1; (3, size, size)."""
    image: Tensor = _transform(size)(Image.open(file).convert("RGB"))
    return image


@lru_cache(maxsize=1)
def _transform(size: int) -> Any:
    steps = [transforms.Resize((size, size)), transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    return transforms.Compose(steps)
