"""Front ends of the sound, section 4.1: the 257 x T log spectrogram and VGGish's 96 x 64 log-mel patches."""

import math
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32
from torch import Tensor

RATE = 16_000  # Hz, the rate both front ends work at
HOP = 160  # samples, 10 ms
PATCH_SAMPLES = 15_600  # the shortest sound with one patch: 95 hops of 10 ms and one window of 25 ms
Wave = Float[Tensor, " n"] | Float[np.ndarray, " n"]


def log_spectrogram(wave: Wave, sr: int, *, seconds: float = 3.0) -> Float[Tensor, "257 t"]:
    """Log power spectrogram of the central `seconds`: log(|STFT|^2 + 1e-7).

    Window Hann 512, hop 160, centred frames with zeros beyond the ends, at 16 kHz.
    A longer sound is cut around its middle, a shorter one is repeated, as the peers do.

    Args:
        wave (n,): mono samples in [-1, 1].
        sr: int > 0, samples per second.
        seconds: length of the part that is seen, s.

    Returns:
        (257, T) with T = 1 + 100 * seconds; 301 columns for 3 s.

    Raises:
        ValueError: one sentence, for an empty sound, a wrong rate or a wrong length.

    >>> log_spectrogram(torch.zeros(16_000), 16_000).shape
    torch.Size([257, 301])
    >>> round(log_spectrogram(torch.zeros(16_000), 16_000).max().item(), 3)  # log(1e-7)
    -16.118
    """
    if not seconds > 0:
        raise ValueError(f"`seconds` must be above 0; got {seconds}.")
    x = _central(resample(wave, sr), round(seconds * RATE)).double()  # near silence float32 is off by 1e-3
    stft = torch.stft(x, 512, HOP, window=_hann(512).to(x), pad_mode="constant", return_complex=True)
    return (stft.abs().square_() + 1e-7).float().log_().contiguous()


def peer_spectrogram(wave: Wave, sr: int, *, seconds: float = 3.0) -> Float[Tensor, "257 t"]:
    """Log spectrogram as EZ-VSL, SLAVC, FNAC and LVS compute it: log(power density + 1e-7), at the file's own rate.

    Window Tukey(0.25) of 512, hop 238, no centring, the mean of each frame removed. The peers divide by 12 afterwards.

    Args:
        wave (n,): mono samples in [-1, 1]; EZ-VSL, SLAVC and FNAC divide PCM16 by 32767, LVS by 32768.
        sr: int > 0, samples per second; nothing is resampled.
        seconds: length of the central part that is seen, s; 3 (LVS: 10).

    Returns:
        (257, T): 200 columns for 3 s at 16 kHz.

    Raises:
        ValueError: one sentence, for an empty sound, a wrong rate, or less than 512 samples.

    Source: Mo and Morgado, ECCV 2022; Chen et al., CVPR 2021.

    >>> peer_spectrogram(torch.zeros(48_000), 16_000).shape
    torch.Size([257, 200])
    """
    from scipy.signal import spectrogram

    x = torch.as_tensor(wave, dtype=torch.float32)
    if not len(x) or sr <= 0 or round(seconds * sr) < 512:
        raise ValueError(
            f"`wave` must hold a sound, and `seconds` times `sr` at least 512 samples; "
            f"got {len(x)} samples, {seconds} s at {sr} Hz."
        )
    part = _central(x, round(seconds * sr)).cpu().numpy()
    _, _, power = spectrogram(part, sr, nperseg=512, noverlap=274)  # the peers' call; the rest is scipy's defaults
    return torch.from_numpy(np.log(power + 1e-7)).to(x.device).contiguous()


def vggish_patches(wave: Wave, sr: int) -> Float[Tensor, "k 1 96 64"]:
    """Log-mel patches for VGGish: log(mel |STFT| + 0.01) in blocks of 96 frames that do not overlap.

    Frames of 25 ms every 10 ms, not centred; 64 HTK-mel bands from 125 to 7500 Hz.
    An incomplete last block is dropped: 1 s gives one patch, 3 s three, 10 s ten.

    Args:
        wave (n,): mono samples in [-1, 1].
        sr: int > 0, samples per second.

    Returns:
        (K, 1, 96, 64): patches of 96 frames (0.96 s) x 64 bands, K >= 1.

    Raises:
        ValueError: one sentence, when the sound is shorter than 15,600 samples (0.975 s) at 16 kHz.

    >>> vggish_patches(torch.zeros(48_000), 16_000).shape
    torch.Size([3, 1, 96, 64])
    """
    patches: Tensor = vggish_batch(resample(wave, sr)[None])[0]
    return patches


def yamnet_patches(wave: Wave, sr: int) -> Float[Tensor, "k 1 96 64"]:
    """Log-mel patches for YAMNet: those of `vggish_patches` but for log(mel |STFT| + 0.001).

    Args, Returns, Raises: as `vggish_patches`.
    """
    patches: Tensor = vggish_batch(resample(wave, sr)[None], offset=0.001)[0]
    return patches


def vggish_batch(waves: Float32[Tensor, "b n"], *, offset: float = 0.01) -> Float32[Tensor, "b k 1 96 64"]:
    """`vggish_patches` of sounds of one length side by side.

    Args:
        waves (B, n): mono samples in [-1, 1] at 16 kHz.
        offset: added before the logarithm; YAMNet has 0.001.

    Returns:
        (B, K, 1, 96, 64).

    Raises:
        ValueError: as `vggish_patches`.
    """
    if waves.shape[1] < PATCH_SAMPLES:
        raise ValueError(
            f"`wave` must last at least 0.975 s ({PATCH_SAMPLES} samples at 16 kHz) to fill one patch; "
            f"got {waves.shape[1] / RATE:.3f} s."
        )
    window, mel = _hann(400).to(waves.device), mel_matrix().to(waves)
    k = (1 + (waves.shape[1] - 400) // HOP) // 96
    blocks = []
    for few in waves.split(4):  # what four sounds need stays in the processor's cache
        frames = few.unfold(1, 400, HOP)[:, : 96 * k] * window  # beside a loud tone float32 is off by 1e-5
        squares = torch.view_as_real(torch.fft.rfft(frames, n=512)).square_()  # (b, frames, 257, 2)
        magnitude = (squares[..., 0] + squares[..., 1]).to(waves.dtype).sqrt_()
        blocks.append((magnitude @ mel).add_(offset).log_())
    return torch.cat(blocks).reshape(len(waves), k, 1, 96, 64)


@lru_cache(maxsize=4)
def _hann(n: int) -> Float[Tensor, " n"]:
    """Periodic Hann window of n samples, float64."""
    return torch.hann_window(n, dtype=torch.float64)


@lru_cache(maxsize=1)
def mel_matrix() -> Float[Tensor, "257 64"]:
    """Weights of 64 triangles, linear on the mel axis 1127 ln(1 + f / 700), between 125 and 7500 Hz.

    Not `librosa.filters.mel`: its triangles are linear in Hz, which moves weights by up to 0.004.

    Returns:
        (257, 64): row = bin of a 512-point transform at 16 kHz; the constant bin counts nowhere.
    """
    hertz = torch.linspace(0, RATE / 2, 257, dtype=torch.float64)
    mel = 1127 * torch.log1p(hertz / 700)
    edges = torch.linspace(1127 * math.log1p(125 / 700), 1127 * math.log1p(7500 / 700), 66, dtype=torch.float64)
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    rising = (mel[:, None] - left) / (centre - left)
    falling = (right - mel[:, None]) / (right - centre)
    return torch.minimum(rising, falling).clamp_min(0).float()


def resample(wave: Wave, sr: int) -> Float[Tensor, " m"]:
    """Float32 samples at 16 kHz, by librosa's default, the sinc of libsoxr in high quality.

    Tones come out to 1e-6. librosa's `kaiser_best`, with which torchvggish resamples, is nearer to torchvggish (the
    mean difference of log-mel patches of a chirp is 2e-6 instead of 0.006) but takes 60 times as long and is off by
    1e-4 on a tone at 48 kHz.

    >>> tone = torch.sin(2 * torch.pi * 440 * torch.arange(48_000) / 48_000)
    >>> resample(tone, 48_000).shape
    torch.Size([16000])
    """
    x = torch.as_tensor(wave, dtype=torch.float32)
    if len(x) == 0:
        raise ValueError("`wave` must hold at least one sample; got an empty one.")
    if sr <= 0:
        raise ValueError(f"`sr` must be a positive number of samples per second; got {sr}.")
    if sr == RATE:
        return x
    import librosa  # takes a second, and most sounds are at 16 kHz

    found = librosa.resample(x.cpu().numpy(), orig_sr=sr, target_sr=RATE, res_type="soxr_hq")
    return torch.from_numpy(found).to(x.device)


def around(wave: Float[Tensor, " n"], middle: float, seconds: float, sr: int = RATE) -> Float[Tensor, " m"]:
    """`seconds` of a wave around `middle` (s), moved inside where it would leave; zeros follow a short one.

    >>> around(torch.arange(32_000.0), 0.5, 1.0)[[0, -1]].tolist()
    [0.0, 15999.0]
    >>> around(torch.ones(8_000), 0.5, 1.0).sum().item()
    8000.0
    """
    start, n = span(len(wave), middle, seconds, sr)
    part = wave[start : start + n]
    return F.pad(part, (0, n - len(part)))


def span(total: int, middle: float, seconds: float, sr: int = RATE) -> tuple[int, int]:
    """First sample and number of samples that `around` wants of `total`.

    >>> span(32_000, 0.5, 1.0), span(32_000, 2.0, 1.0)
    ((0, 16000), (16000, 16000))
    """
    n = round(seconds * sr)
    return max(min(round(middle * sr - n / 2), total - n), 0), n


def _central(x: Float[Tensor, " n"], length: int) -> Float[Tensor, " m"]:
    """The central `length` samples of x, x being repeated first when it is too short."""
    if len(x) < length:
        return x.repeat(math.ceil(length / len(x)))[:length]
    start = (len(x) - length) // 2
    return x[start : start + length]


FLOOR = -100.0  # dB: the loudness of digital silence


def loudness(wave: Float[Tensor, "*b n"]) -> Float[Tensor, "*b"]:
    r"""Root mean square of sounds in dB of full scale, at least -100.

    .. math:: L = 20 \log_{10} \sqrt{\mathrm{mean}(x^2)}

    >>> round(loudness(torch.full((16_000,), 0.1)).item(), 3), loudness(torch.zeros(16_000)).item()
    (-20.0, -100.0)
    """
    return 10 * (wave.square().mean(-1) + 1e-10).log10()
