"""Two thresholds that silence and noise do not pass, chosen on validation clips."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.data import Dataset

from uspl import align
from uspl.audio import FLOOR, RATE, loudness
from uspl.data.batch import Clip, collate
from uspl.gate import Gate
from uspl.inference.optimize import as_ready
from uspl.inference.predict import patches
from uspl.model import USPL

MARGIN = 20.0  # dB: so much softer than the softest validation clips may a sound be
NOISE = {"white -20 dB": (0, -20), "white -40 dB": (0, -40), "pink -20 dB": (1, -20), "pink -40 dB": (1, -40)}


def calibrate(model: USPL, clips: Dataset[Clip], *, keep: float = 0.99, batch_size: int = 32, seed: int = 0) -> Gate:
    """Choose the gate on validation clips: silence and noise are shut as far as `keep` of the clips stay open.

    The loudness is 20 dB below that of the softest 1 - `keep` of the clips. The cosine lies halfway between the
    greatest that noise or silence reaches with any of the frames and the greatest that keeps `keep` of the clips;
    where the first is above the second, it is the second.

    Args:
        model: trained.
        clips: the validation split.
        keep: share of the clips that must pass, in (0, 1).
        batch_size, seed: see `cosines`.

    Raises:
        ValueError: `keep` outside (0, 1).
    """
    if not 0 < keep < 1:
        raise ValueError(f"`keep` must be in (0, 1); got {keep}.")
    found = cosines(model, clips, batch_size=batch_size, seed=seed)
    loud, own, silence = found.pop("loudness"), found.pop("own"), found.pop("silence")
    noise = torch.cat(list(found.values()))
    limit, shut = _below(own, 1 - keep), max(noise.max().item(), silence.max().item())
    cosine = round((limit + shut) / 2 if shut < limit else limit, 4)
    gate = Gate(round(max(_below(loud, 1 - keep) - MARGIN, FLOOR), 1), cosine, len(own))
    passing = (gate.active(loud, own), gate.active(torch.full_like(silence, FLOOR), silence), noise > cosine)
    return Gate(gate.loudness, cosine, len(own), *(round(x.float().mean().item(), 4) for x in passing))


@torch.inference_mode()
def cosines(model: USPL, clips: Any, *, batch_size: int = 32, seed: int = 0) -> dict[str, Float[Tensor, " n"]]:
    """The greatest cosine (Eq. 1) of each clip's frame with several sounds, and the loudness of its own.

    Args:
        model: trained.
        clips: a reader.
        batch_size: clips at a time.
        seed: of the noise; each frame hears one draw of each kind.

    Returns:
        "own", "silence" and each kind of `NOISE`: cosines (N,); "loudness": dB (N,).
    """
    model = as_ready(model)
    generator = torch.Generator().manual_seed(seed)
    parts: dict[str, list[Tensor]] = {name: [] for name in ("loudness", "own", "silence", *NOISE)}
    n = round(model.cfg.seconds * RATE)
    for batch in _batches(clips, batch_size):
        heard = collate(batch, front_end=model.cfg.front_end).to(next(model.parameters()).device)
        f_v = model.encode_image(heard.image)[1]
        parts["own"].append(_greatest(model, heard.sound, f_v))
        parts["loudness"].append(torch.stack([loudness(c.wave) if len(c.wave) else torch.tensor(FLOOR) for c in batch]))
        for name in ("silence", *NOISE):
            waves = [_noise(n, *NOISE[name], generator) if name in NOISE else torch.zeros(n) for _ in batch]
            sound = torch.stack([patches(model, wave) for wave in waves]).to(f_v.device)
            parts[name].append(_greatest(model, sound, f_v))
    return {name: torch.cat(found) for name, found in parts.items()}


def _greatest(model: USPL, sound: Tensor, f_v: Float[Tensor, "b c h w"]) -> Float[Tensor, " b"]:
    """The greatest cosine (Eq. 1) of each sound with the places of its image."""
    return align.sounding_map(model.encode_sound(sound), f_v).amax((1, 2)).cpu()


def _batches(clips: Any, size: int) -> Iterator[Sequence[Clip]]:
    for start in range(0, len(clips), size):
        yield [clips[i] for i in range(start, min(start + size, len(clips)))]


def _below(x: Tensor, share: float) -> float:
    """A number that at most `share` of the values do not exceed."""
    ordered = x.float().sort().values
    return float(ordered[int(share * len(x))]) - 1e-4


def _noise(n: int, power: int, db: float, generator: torch.Generator) -> Float[Tensor, " n"]:
    """Noise whose power falls as 1 / frequency^power: 0 is white, 1 is pink."""
    spectrum = torch.fft.rfft(torch.randn(n, generator=generator))
    spectrum = spectrum / torch.arange(len(spectrum)).clamp_min(1) ** (power / 2)
    wave = torch.fft.irfft(spectrum, n)
    loud: Tensor = wave * 10 ** (db / 20) / wave.square().mean().sqrt()
    return loud
