"""CAM (Zhou et al., CVPR 2016, "Learning Deep Features for Discriminative Localization") with a sound that chooses.

Learned from image-level labels: the category of what sounds. Simplified: their network is VGG or GoogLeNet, here it is
this library's encoder. Added, because no label is given at test: a linear classifier of the sound, trained on the same
labels; its probabilities weight the class maps. A sound that is not recognised leaves a low map, which shows in the
reading "m_cos"; "m" is divided by its maximum, as a cosine's is.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from uspl.baselines.base import StepInput
from uspl.config import Config
from uspl.encoders.audio_visual import AudioVisualEncoder
from uspl.encoders.sound import sound_dim
from uspl.maps import normalise_map


def class_maps(f: Float[Tensor, "b c h w"], weight: Float[Tensor, "k c"]) -> Float[Tensor, "b k h w"]:
    r"""Their Eq. (2): how much each location adds to the score of each class.

    .. math:: M_k(p) = \sum_c w_{kc} f_c(p), \quad \text{score}_k = \mathrm{mean}_p M_k(p)

    Args:
        f: last features of the image (B, C, h, w).
        weight: of the linear classifier on their mean (K, C).

    Returns:
        M (B, K, h, w), unit of the scores.
    """
    return torch.einsum("bchw,kc->bkhw", f, weight)


def heard_map(maps: Float[Tensor, "b k h w"], p: Float[Tensor, "b k"]) -> Float[Tensor, "b h w"]:
    r"""The class maps as the sound's classes weight them.

    .. math:: M(p) = \sum_k p_k \, \frac{\max(M_k(p), 0)}{\max_q M_k(q)}

    Args:
        maps: of `class_maps` (B, K, h, w).
        p: probabilities of the sound's classes (B, K), summing to 1.

    Returns:
        M (B, h, w) in [0, 1]; a class map that is nowhere positive adds 0.

    >>> maps = torch.tensor([[[[2.0, -1.0]], [[1.0, 4.0]]]])  # two classes, two locations
    >>> heard_map(maps, torch.tensor([[0.75, 0.25]])).tolist()
    [[[0.8125, 0.25]]]
    """
    each = normalise_map(maps.flatten(0, 1), "relu_max").view(maps.shape)
    return torch.einsum("bkhw,bk->bhw", each, p)


def loss(seen: Float[Tensor, "b k"], heard: Float[Tensor, "b k"], labels: Int[Tensor, " b"]) -> Float[Tensor, ""]:
    """Cross-entropy of both classifiers, mean over the batch.

    Args:
        seen: scores of the image (B, K).
        heard: scores of the sound (B, K).
        labels: categories (B,), in 0 .. K - 1.

    Returns:
        Scalar, at least 0.

    >>> round(loss(torch.zeros(1, 2), torch.zeros(1, 2), torch.tensor([1])).item(), 4)  # 2 log 2
    1.3863
    """
    return F.cross_entropy(seen, labels) + F.cross_entropy(heard, labels)


def classifier(c_in: int, classes: int) -> nn.Linear:
    """A linear classifier that starts at zero: no number is drawn for it, whenever the classes become known."""
    layer: nn.Linear = nn.utils.skip_init(nn.Linear, c_in, classes, bias=False)
    nn.init.zeros_(layer.weight)
    return layer


class CAM(nn.Module):
    """Both classifiers; one class until `set_num_classes` says how many there are.

    Args:
        width: channels of the last stage.
    """

    supervision, cosine, heads = "label", True, ()

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        self.widths = cfg.widths[3], sound_dim(cfg)
        self.set_num_classes(1)

    def set_num_classes(self, classes: int) -> None:
        """Make room for so many classes."""
        self.image, self.sound = (classifier(width, classes) for width in self.widths)

    def learn(self, f: Float[Tensor, "b c h w"], sound: Float[Tensor, "b n"], labels: Tensor) -> Float[Tensor, ""]:
        """The loss of the last stage and the sound's embedding."""
        return loss(self.image(f.mean((2, 3))), self.sound(sound), labels)

    def maps(self, f: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k h w"]:
        """The class maps of the last stage, in float32."""
        return class_maps(f.float(), self.image.weight)

    def own_map(self, f: Float[Tensor, "b c h w"], labels: Tensor) -> Float[Tensor, "b h w"]:
        """The map of each image's own class."""
        return self.maps(f)[torch.arange(len(f), device=f.device), labels]

    def shares(self, sound: Float[Tensor, "b n"]) -> Float[Tensor, "b k"]:
        """Probabilities of the classes from the sound's embedding."""
        scores: Tensor = self.sound(sound)
        return scores.float().softmax(1)

    def heard(self, f: Float[Tensor, "b c h w"], sound: Float[Tensor, "b n"]) -> Float[Tensor, "b h w"]:
        """The map of the last stage and the sound's embedding, in [0, 1]."""
        return heard_map(self.maps(f), self.shares(sound))

    def losses(self, step: StepInput) -> dict[str, Tensor]:
        """ "loss"."""
        return {"loss": self.learn(step.features.stages(step.image)[3], step.features.audio(step.sound), step.labels)}

    def score(self, features: AudioVisualEncoder, image: Tensor, sound: Tensor) -> Float[Tensor, "b h w"]:
        """The weighted class maps, in [0, 1]."""
        return self.heard(features.stages(image)[3], features.audio(sound))
