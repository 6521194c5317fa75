"""A (frame, sound) pair and a batch of them, ready for the model."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Float32, UInt8
from torch import Tensor

from uspl import audio
from uspl.audio import RATE
from uspl.core.ranks import ALONE, Ranks

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
    sound: Float[Tensor, "b *input"]  # (B, N, 1, 96, 64) patches, (B, 1, 257, T) spectrograms, (B, 128) embeddings
    mask: Float[Tensor, "b s s"]  # 0 or 1; -1 everywhere where there is no annotation
    objects: UInt8[Tensor, "b s s"]  # labels of `Clip.objects`; 255 everywhere where there are none
    swap: Float[Tensor, "b *input"]  # like `sound`; zeros where there is none

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch with its tensors on `device`."""
        return Batch(self.ids, *(x.to(device, non_blocking=True) for x in self[1:]))


def sound_input(wave: Float32[Tensor, " n"], *, front_end: str = "vggish") -> Tensor:
    """What the sound encoder takes: (N, 1, 96, 64) log-mel patches, or (1, 257, T)."""
    if front_end in ("vggish", "log_mel"):
        patches: Tensor = audio.vggish_patches(wave, RATE)
        return patches
    if front_end == "yamnet":
        return audio.yamnet_patches(wave, RATE)
    if front_end == "spectrogram":
        spectrogram: Tensor = audio.log_spectrogram(wave, RATE, seconds=len(wave) / RATE)
        return spectrogram.unsqueeze(0)
    if front_end == "peers":
        power: Tensor = audio.peer_spectrogram(wave, RATE, seconds=len(wave) / RATE)
        return power.unsqueeze(0)
    raise ValueError(f"`front_end` must be 'vggish', 'log_mel', 'yamnet', 'spectrogram' or 'peers'; got {front_end!r}.")


def collate(clips: Sequence[Clip], *, front_end: str = "vggish") -> Batch:
    """Clips of one size as a batch.

    Args:
        clips: read with `sound="log_mel"` where the front end is "log_mel".
        front_end: "vggish" computes log-mel patches from the wave, "log_mel" takes AVSBench's own, "spectrogram"
            computes a spectrogram.
    """
    image = normalised_images(torch.stack([c.frame for c in clips]))
    side = image.shape[-2:]
    unknown, none = torch.full(side, -1.0), torch.full(side, 255, dtype=torch.uint8)
    mask = torch.stack([unknown if c.mask is None else c.mask.float() for c in clips])
    objects = torch.stack([none if c.objects is None else c.objects for c in clips])
    sound = sounds(clips, front_end=front_end)
    swap = torch.zeros_like(sound)
    _listen(clips, "swap", front_end)
    for i, clip in enumerate(clips):
        if clip.swap is not None:
            swap[i] = clip.inputs[f"swap/{front_end}"]
    return Batch([c.id for c in clips], image, sound, mask, objects, swap)


def normalised_images(frames: UInt8[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
    """Pictures in [0, 255] as the image encoders take them: mean 0, standard deviation 1 over ImageNet."""
    image = frames.float().div_(255)
    return image.sub_(image.new_tensor(MEAN)[:, None, None]).div_(image.new_tensor(STD)[:, None, None])


def sounds(clips: Sequence[Clip], *, front_end: str = "vggish") -> Float[Tensor, "b *input"]:
    """What the sound encoder takes of each clip, as in `Batch.sound`."""
    _listen(clips, "wave", front_end)
    return torch.stack([c.inputs[f"wave/{front_end}"] for c in clips])


def flipped(batch: Batch, generator: torch.Generator, ranks: Ranks = ALONE) -> Batch:
    """Each image mirrored left to right, with its maps, with probability 1/2; the sound is mono and stays. Several
    processes draw for the whole batch, and each takes what belongs to its clips."""
    drawn = torch.rand(len(batch.ids) * ranks.world, generator=generator) < 0.5
    chosen = ranks.rows(drawn).to(batch.image.device)

    def turn(x: Tensor) -> Tensor:
        return torch.where(chosen.view(-1, *[1] * (x.dim() - 1)), x.flip(-1), x)

    return batch._replace(image=turn(batch.image), mask=turn(batch.mask), objects=turn(batch.objects))


def _listen(clips: Sequence[Clip], which: str, front_end: str) -> None:
    """Compute what clips lack of `inputs`, the patches of sounds of one length together."""
    key = f"{which}/{front_end}"
    todo = [c for c in clips if key not in c.inputs and getattr(c, which) is not None]
    if todo and key == "wave/log_mel":
        raise ValueError(
            f"`front_end` must be 'vggish' for clips read with `sound` = 'wav'; got 'log_mel' for {todo[0].id}."
        )
    waves: list[Tensor] = [getattr(c, which) for c in todo]
    lengths = {len(wave) for wave in waves}
    if front_end in ("vggish", "log_mel") and len(lengths) == 1 and 0 not in lengths:
        found = list(audio.vggish_batch(torch.stack(waves)))
    else:
        found = [sound_input(wave, front_end=front_end) for wave in waves]
    for clip, patches in zip(todo, found, strict=True):
        clip.inputs[key] = patches


def video_of(id: str) -> str:
    """The video that a pair belongs to: its id without the second.

    >>> video_of("a_b_000030")
    'a_b'
    """
    return id.rsplit("_", 1)[0]
