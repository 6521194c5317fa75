"""What every peer shares with USPL: the encoders, the projectors, the loop that trains it and the way it is judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from uspl import align
from uspl.config import Config
from uspl.core.progress import TrainingProgress
from uspl.core.ranks import ALONE, Ranks
from uspl.data.batch import Batch, video_of
from uspl.encoders.audio_visual import AudioVisualEncoder
from uspl.encoders.sound import AudioEncoder
from uspl.maps import normalise_map, resize


class StepInput(NamedTuple):
    """What a method learns from in one step."""

    features: AudioVisualEncoder
    image: Tensor  # (B, 3, S, S), ImageNet-normalised
    sound: Tensor  # (B, ...), as the encoder takes it
    mask: Tensor  # (B, S, S): 0, 1, or -1 where nothing is annotated
    labels: Tensor  # (B,), categories; empty where the method does not learn from them
    generator: torch.Generator
    progress: float  # share of the training that is over, in [0, 1)
    ranks: Ranks = ALONE  # processes that each hold B pairs of the batch

    def project(self) -> tuple[Float[Tensor, "n c"], Float[Tensor, "n c h w"]]:
        """F_a and F_v of the whole batch, not normalised."""
        f_a, f_v = self.features.encode_sound(self.sound), self.features.encode_image(self.image)[1]
        return self.ranks.gather(f_a), self.ranks.gather(f_v)


class Method(Protocol):
    """What a peer adds: an `nn.Module` with its own layers, if it has any.

    `supervision`: what it learns from, "none", "label" or "mask"; `cosine`: whether `score` gives cosines;
    `heads`: names of its parts that learn at `lr * head_lr`. One that learns from labels has
    `set_num_classes(classes)` too, which is told their number before anything is trained or loaded.
    """

    supervision: str
    cosine: bool
    heads: tuple[str, ...]

    def losses(self, step: StepInput) -> dict[str, Tensor]:
        """Losses by name, "loss" is the one to descend."""

    def score(self, features: AudioVisualEncoder, image: Tensor, sound: Tensor) -> Float[Tensor, "b h w"]:
        """One map for each image and sound: cosines in [-1, 1], or shares in [0, 1]."""


def cosines(f_a: Float[Tensor, "j c"], f_v: Float[Tensor, "i c h w"], *, tau: float = 1.0) -> Float[Tensor, "i j k"]:
    """Cosine of every sound with every location of every image, over `tau`: (B images, B sounds, h*w).

    Raises:
        ValueError: `tau` not above 0.
    """
    if not tau > 0:
        raise ValueError(f"`tau` must be above 0; got {tau}.")
    return torch.einsum("ick,jc->ijk", F.normalize(f_v, dim=1).flatten(2), F.normalize(f_a, dim=1)) / tau


def dropped(x: Float[Tensor, "*s"], p: float, generator: torch.Generator, ranks: Ranks = ALONE) -> Float[Tensor, "*s"]:
    """Element-wise dropout: each number is 0 with probability `p`, in [0, 1), otherwise divided by 1 - p. Several
    processes draw for the whole batch."""
    keep = ranks.rows(torch.rand((len(x) * ranks.world, *x.shape[1:]), generator=generator) >= p)
    return x * keep.to(x.device) / (1 - p)


class Contrast(nn.Module):
    """A method that adds only a loss on the projected features, without layers of its own; the map is the cosine.

    Args:
        loss: of F_a (B, C), F_v (B, C, h, w) and `tau`.
        tau: temperature.
    """

    supervision, cosine, heads = "none", True, ()

    def __init__(self, loss: Callable[..., Tensor], tau: float) -> None:
        super().__init__()
        self.loss, self.tau = loss, tau

    def losses(self, step: StepInput) -> dict[str, Tensor]:
        """ "loss"."""
        f_a, f_v = step.project()
        with torch.autocast(f_v.device.type, enabled=False):
            return {"loss": self.loss(f_a, f_v, tau=self.tau)}

    def score(self, features: AudioVisualEncoder, image: Tensor, sound: Tensor) -> Float[Tensor, "b h w"]:
        """The cosine."""
        return align.sounding_map(features.encode_sound(sound), features.encode_image(image)[1])


class Peer(nn.Module):
    """A peer's method on the encoders of this library; trained by `train.train_or_load`, judged by `evaluate`.

    Its map has two readings: "m", in [0, 1], a cosine as `Config.map_range` says, and "m_cos", (cos + 1) / 2.

    Args:
        cfg: encoders, loop and evaluation.
        method: the peer's own losses and layers.
        features: encoders and projectors.
    """

    MAPS = ("m", "m_cos")

    def __init__(self, cfg: Config, features: AudioVisualEncoder, method: Any) -> None:
        super().__init__()
        self.cfg, self.features, self.method = cfg, features, method
        self.about: dict[str, Any] = {}
        self.labels: dict[str, int] = {}  # category of each training video, for those that learn from it

    @property
    def audio(self) -> AudioEncoder:
        """The sound encoder, as `USPL` has it."""
        return self.features.audio

    def heads(self) -> list[nn.Module]:
        """The parts that learn at `lr * head_lr`."""
        return [self.method.get_submodule(name) for name in self.method.heads]

    def set_labels(self, clips: Any) -> None:
        """Take in the category of each training video, where the method learns from labels, in the order of names."""
        if self.method.supervision != "label":
            return
        order = {name: i for i, name in enumerate(sorted(set(clips.categories)))}
        videos = (video_of(id) for id in clips.ids)
        self.labels = {video: order[kind] for video, kind in zip(videos, clips.categories, strict=True)}
        self.method.set_num_classes(len(order))

    def forward(
        self, batch: Batch, generator: torch.Generator, moment: TrainingProgress, ranks: Ranks = ALONE
    ) -> dict[str, Tensor]:
        """The losses of one step; of several processes each gives losses whose mean is that of the whole batch."""
        known = [self.labels[video_of(id)] for id in batch.ids] if self.method.supervision == "label" else []
        labels = torch.tensor(known, dtype=torch.long, device=batch.image.device)
        given = batch.image, batch.sound, batch.mask, labels, generator, moment.progress, ranks
        losses: dict[str, Tensor] = self.method.losses(StepInput(self.features, *given))
        return losses

    def predict_maps(
        self, image: Float[Tensor, "b 3 s s"], sounds: Mapping[str, Tensor], wanted: Sequence[str]
    ) -> dict[str, dict[str, Tensor]]:
        """As `USPL.predict_maps`: sound -> map -> (B, S, S) in [0, 1]; `wanted` is among "m" and "m_cos"."""
        found = {}
        for name, sound in sounds.items():
            raw = self.method.score(self.features, image, sound).float()
            maps = {"m": normalise_map(raw, self.cfg.map_range) if self.method.cosine else raw}
            maps["m_cos"] = (raw + 1) / 2 if self.method.cosine else raw
            found[name] = {m: resize(maps[m], self.cfg.image_size) for m in wanted}
        return found
