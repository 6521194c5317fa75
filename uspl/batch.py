"""A (frame, sound) pair and a batch of them, ready for the model."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Float32, UInt8
from torch import Tensor

from uspl import audio

RATE = 16_000  # Hz
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, RGB in [0, 1]


@dataclass(frozen=True)
class Clip:
    """One frame and the sound around it."""

    id: str  # "<name>_<k>": second k of the video, from 1
    category: str
    frame: UInt8[Tensor, "3 h w"]  # RGB, [0, 255]
    wave: Float32[Tensor, " n"]  # mono, 16 kHz, [-1, 1]
    mask: Bool[Tensor, "h w"] | None  # True where it sounds; None: not annotated
    objects: UInt8[Tensor, "h w"] | None  # 0 background, 1 sounding, 2 first distractor, 3.. others; None: not known
    swap: Float32[Tensor, " n"] | None  # another sound of the first distractor's class
    inputs: dict[str, Tensor] = field(default_factory=dict, compare=False, repr=False)  # what `collate` computed before


class Batch(NamedTuple):
    """Clips side by side, ready for the model."""

    ids: list[str]
    image: Float[Tensor, "b 3 s s"]  # ImageNet-normalised
    sound: Float[Tensor, "b *input"]  # (B, N, 1, 96, 64) log-mel patches, or (B, 1, 257, T) spectrograms
    mask: Float[Tensor, "b s s"]  # 0 or 1; -1 everywhere where there is no annotation
    objects: UInt8[Tensor, "b s s"]  # labels of `Clip.objects`; 255 everywhere where there are none
    swap: Float[Tensor, "b *input"]  # like `sound`; zeros where there is none

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch with its tensors on `device`."""
        return Batch(self.ids, *(x.to(device, non_blocking=True) for x in self[1:]))


def sound_input(wave: Float32[Tensor, " n"], *, front_end: str = "vggish") -> Tensor:
    """What the sound encoder takes: (N, 1, 96, 64) log-mel patches, or with "spectrogram" (1, 257, T)."""
    if front_end in ("vggish", "log_mel"):
        patches: Tensor = audio.vggish_patches(wave, RATE)
        return patches
    if front_end == "spectrogram":
        spectrogram: Tensor = audio.log_spectrogram(wave, RATE, seconds=len(wave) / RATE)
        return spectrogram.unsqueeze(0)
    raise ValueError(f"`front_end` must be 'vggish', 'log_mel' or 'spectrogram'; got {front_end!r}.")


def collate(clips: Sequence[Clip], *, front_end: str = "vggish") -> Batch:
    """Clips of one size as a batch.

    Args:
        clips: read with `sound="log_mel"` where the front end is "log_mel".
        front_end: "vggish" computes log-mel patches from the wave, "log_mel" takes AVSBench's own, "spectrogram"
            computes a spectrogram.
    """
    image = torch.stack([c.frame for c in clips]).float() / 255
    image = (image - image.new_tensor(MEAN)[:, None, None]) / image.new_tensor(STD)[:, None, None]
    side = image.shape[-2:]
    mask = torch.stack([torch.full(side, -1.0) if c.mask is None else c.mask.float() for c in clips])
    none = torch.full(side, 255, dtype=torch.uint8)
    objects = torch.stack([none if c.objects is None else c.objects for c in clips])
    sound = torch.stack([_remembered(c, "wave", front_end) for c in clips])
    blank = torch.zeros_like(sound[0])
    swap = torch.stack([blank if c.swap is None else _remembered(c, "swap", front_end) for c in clips])
    return Batch([c.id for c in clips], image, sound, mask, objects, swap)


def flipped(batch: Batch, generator: torch.Generator) -> Batch:
    """Each image mirrored left to right, with its maps, with probability 1/2; the sound is mono and stays."""
    chosen = (torch.rand(len(batch.ids), generator=generator) < 0.5).to(batch.image.device)

    def turn(x: Tensor) -> Tensor:
        return torch.where(chosen.view(-1, *[1] * (x.dim() - 1)), x.flip(-1), x)

    return batch._replace(image=turn(batch.image), mask=turn(batch.mask), objects=turn(batch.objects))


def _remembered(clip: Clip, which: str, front_end: str) -> Tensor:
    key = f"{which}/{front_end}"
    if key == "wave/log_mel" and key not in clip.inputs:
        raise ValueError(
            f"`front_end` must be 'vggish' for clips read with `sound` = 'wav'; got 'log_mel' for {clip.id}."
        )
    if key not in clip.inputs:
        clip.inputs[key] = sound_input(getattr(clip, which), front_end=front_end)
    return clip.inputs[key]
