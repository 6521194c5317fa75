"""SLAVC (Mo and Morgado, NeurIPS 2022, "A Closer Look at Weakly-Supervised Audio-Visual Source Localization").

Two pairs of projectors share the work: the first says which sound belongs to a location, the second which location
belongs to a sound. What one branch says is compared with a slow copy of the other branch, and most of the image
features are dropped, so that the training does not overfit. Simplified: dropout on the image alone, as in the scripts
of the authors, and none of their early stopping.
"""

import copy
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from uspl import align
from uspl.baselines.base import StepInput, cosines, dropped
from uspl.config import Config
from uspl.core.ranks import ALONE, Ranks
from uspl.encoders import projectors
from uspl.encoders.audio_visual import AudioVisualEncoder
from uspl.encoders.sound import AudioEncoder


class Projected(NamedTuple):
    """A batch in both spaces; not normalised."""

    f_a1: Float[Tensor, "b c"]
    f_v1: Float[Tensor, "b c h w"]
    f_a2: Float[Tensor, "b c"]
    f_v2: Float[Tensor, "b c h w"]


def agreement(p: Projected, *, tau: float = 0.03) -> Float[Tensor, "b b"]:
    r"""Logarithm of how much image i and sound j explain each other.

    .. math:: \log \sum_k \frac{e^{s^1_{ijk}}}{\sum_{j'} e^{s^1_{ij'k}}} \cdot
        \frac{e^{s^2_{ijk}}}{\sum_{k'} e^{s^2_{ijk'}}}, \quad s^n_{ijk} = \cos(v^n_{ik}, a^n_j) / \tau

    Args:
        p: both pairs of features.
        tau: temperature, above 0.

    Returns:
        (B images, B sounds), at most 0.

    Raises:
        ValueError: `tau` not above 0.
    """
    which = cosines(p.f_a1, p.f_v1, tau=tau).log_softmax(1)  # over sounds
    where = cosines(p.f_a2, p.f_v2, tau=tau).log_softmax(2)  # over locations
    return (which + where).logsumexp(2)


def loss(own: Projected, target: Projected, *, tau: float = 0.03) -> Float[Tensor, ""]:
    r"""Images against target sounds plus target images against sounds; each the cross-entropy over sounds.

    .. math:: L = -\frac1B \sum_i \Big( \log \frac{e^{g_{ii}}}{\sum_j e^{g_{ij}}}
        + \log \frac{e^{h_{ii}}}{\sum_j e^{h_{ij}}} \Big)

    where g is the `agreement` of own images with target sounds, h that of target images with own sounds.

    Args:
        own: of the branch that learns.
        target: of its slow copy; takes no gradient.
        tau: temperature, above 0.

    Returns:
        Scalar, at least 0.

    Raises:
        ValueError: `tau` not above 0.
    """
    still = Projected(*(x.detach() for x in target))
    seen = agreement(own._replace(f_a1=still.f_a1, f_a2=still.f_a2), tau=tau)
    heard = agreement(own._replace(f_v1=still.f_v1, f_v2=still.f_v2), tau=tau)
    return -(seen.log_softmax(1).diagonal() + heard.log_softmax(1).diagonal()).mean()


def sounding_map(p: Projected) -> Float[Tensor, "b h w"]:
    """Mean of the cosine maps of both pairs, in [-1, 1]."""
    return (align.sounding_map(p.f_a1, p.f_v1) + align.sounding_map(p.f_a2, p.f_v2)) / 2


@torch.no_grad()
def follow(target: nn.Module, source: nn.Module, *, momentum: float = 0.999) -> None:
    """Each parameter of `target` goes to momentum * target + (1 - momentum) * source, by name."""
    theirs = dict(source.named_parameters())
    for name, mine in target.named_parameters():
        mine.lerp_(theirs[name], 1 - momentum)


class SLAVC(nn.Module):
    """Second projectors and slow copies of everything that learns.

    Args:
        cfg: `tau` and the projectors.
        features: encoders and first projectors, copied as the slow branch.
        momentum: of the slow branch, in [0, 1]; 0.999 as published is slow for a training of a few hundred steps.
        dropout: share of the image features that is dropped in training.
        slow: whether the map is that of the slow branch.
    """

    supervision, cosine, heads = "none", True, ()

    def __init__(
        self,
        cfg: Config,
        features: AudioVisualEncoder,
        *,
        momentum: float = 0.999,
        dropout: float = 0.9,
        slow: bool = False,
    ) -> None:
        super().__init__()
        self.tau, self.momentum, self.dropout, self.slow = cfg.tau, momentum, dropout, slow
        v = projectors.VisualProjector(cfg.widths[3], cfg.dim, kind=cfg.projector, norm=cfg.projector_norm)
        self.second = nn.ModuleDict({"v": v, "a": projectors.SoundProjector(128, cfg.dim, norm=cfg.projector_norm)})
        self.target, self.target_second = copy.deepcopy(features), copy.deepcopy(self.second)
        if features.audio.frozen:  # nothing to follow: the copy is handed what the frozen encoder says
            self.target.audio = AudioEncoder(nn.Identity(), frozen=True)
        self.target.requires_grad_(False)
        self.target_second.requires_grad_(False)

    def losses(self, step: StepInput) -> dict[str, Tensor]:
        """ "loss"."""
        if self.training:
            follow(self.target, step.features, momentum=self.momentum)
            follow(self.target_second, self.second, momentum=self.momentum)
        own = self._project(step.features, self.second, step.image, step.sound, step.generator, step.ranks)
        with torch.no_grad():
            sound = self._sound(step.features, step.sound)
            target = self._project(self.target, self.target_second, step.image, sound, step.generator, step.ranks)
        with torch.autocast(own.f_v1.device.type, enabled=False):
            return {"loss": loss(own, target, tau=self.tau)}

    def score(self, features: AudioVisualEncoder, image: Tensor, sound: Tensor) -> Float[Tensor, "b h w"]:
        """Mean of the two cosines."""
        if self.slow:
            features, second, sound = self.target, self.target_second, self._sound(features, sound)
        else:
            second = self.second
        return sounding_map(self._project(features, second, image, sound, None))

    def _sound(self, features: AudioVisualEncoder, sound: Tensor) -> Tensor:
        return features.audio(sound) if features.audio.frozen else sound

    def _project(
        self,
        features: AudioVisualEncoder,
        second: nn.ModuleDict,
        image: Tensor,
        sound: Tensor,
        generator: torch.Generator | None,
        ranks: Ranks = ALONE,
    ) -> Projected:
        """The whole batch in both spaces."""
        seen, heard = features.stages(image)[3], features.audio(sound)
        if generator is not None and self.training and self.dropout:
            seen = dropped(seen, self.dropout, generator, ranks)
        first = features.project_a(heard).float(), features.project_v(seen).float()
        both = *first, second["a"](heard).float(), second["v"](seen).float()
        return Projected(*(ranks.gather(x) for x in both))
