"""MSSL (Qian et al., ECCV 2020, "Multiple Sound Sources Localization from Coarse to Fine"): class by class.

Stage one, coarse: do this image and this sound belong together, and which category has each? Stage two, fine: both are
taken apart by class, and the parts of one class are drawn together. Learned from image-level labels.
Simplified: their categories come from a pre-trained network or from clusters, here a clip has its one label;
their sound is taken apart by Grad-CAM on a spectrogram, here by the same rule on the embedding, which has no places:
what each number adds to the score of the class, so far as it is positive;
their two stages follow one another with what was learned held fixed, here they are the halves of one training.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from uspl.baselines.base import StepInput
from uspl.baselines.cam import CAM
from uspl.config import Config
from uspl.encoders.audio_visual import AudioVisualEncoder
from uspl.encoders.sound import sound_dim


def correspondence(scores: Float[Tensor, " b"], others: Float[Tensor, " n"]) -> Float[Tensor, ""]:
    r"""Stage one: binary cross-entropy of "these belong together".

    .. math:: L = -\tfrac12 \mathrm{mean} \log \sigma(s) - \tfrac12 \mathrm{mean} \log(1 - \sigma(s'))

    Args:
        scores: s (B,) of images with their own sounds.
        others: s' (N,) of images with sounds of other clips.

    Returns:
        Scalar, at least 0.

    >>> round(correspondence(torch.zeros(2), torch.zeros(2)).item(), 4)  # log 2
    0.6931
    """
    return -(F.logsigmoid(scores).mean() + F.logsigmoid(-others).mean()) / 2


def alignment(
    a: Float[Tensor, "b c"], v: Float[Tensor, "b c"], labels: Int[Tensor, " b"], *, margin: float = 1.0
) -> Float[Tensor, ""]:
    r"""Stage two: the contrastive loss of sounds and images of classes, mean over all pairs (i, j).

    .. math:: L = \mathrm{mean}_{ij}
        \begin{cases} D_{ij}^2 & y_i = y_j \\ \max(\Delta - D_{ij}, 0)^2 & \text{else} \end{cases},
        \quad D_{ij} = \lVert \hat a_i - \hat v_j \rVert

    Args:
        a: what the sounds have of their classes (B, C); made unit vectors here.
        v: what the images have of theirs (B, C); made unit vectors here.
        labels: y (B,), the classes.
        margin: Delta, above 0: unlike pairs this far apart are left alone.

    Returns:
        Scalar, at least 0.

    Raises:
        ValueError: `margin` not above 0.

    >>> alignment(torch.eye(2), torch.eye(2), torch.tensor([0, 1])).item()  # like at 0, unlike at sqrt 2
    0.0
    """
    if not margin > 0:
        raise ValueError(f"`margin` must be above 0; got {margin}.")
    squared = (2 - 2 * F.normalize(a, dim=1) @ F.normalize(v, dim=1).T).clamp_min(0)
    apart = (margin - (squared + 1e-12).sqrt()).clamp_min(0).square()  # the root has no slope at 0
    return torch.where(labels.unsqueeze(1) == labels, squared, apart).mean()


class MSSL(nn.Module):
    """CAM's two classifiers, a judge of pairs, and the projectors for what is of one class.

    Args:
        cfg: widths and the shared dimension.
    """

    supervision, cosine, heads = "label", True, ("judge",)

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        self.cam = CAM(cfg)
        both = cfg.widths[3] + sound_dim(cfg)
        self.judge = nn.Sequential(nn.Linear(both, cfg.dim), nn.ReLU(), nn.Linear(cfg.dim, 1))

    def set_num_classes(self, classes: int) -> None:
        """As `CAM.set_num_classes`."""
        self.cam.set_num_classes(classes)

    def of_class(self, heard: Float[Tensor, "b n"], weight: Float[Tensor, "b n"]) -> Float[Tensor, "b n"]:
        """What each number of an embedding adds to the score of a class, so far as it is positive."""
        return (heard * weight).clamp_min(0)

    def losses(self, step: StepInput) -> dict[str, Tensor]:
        """ "loss", and its parts "cam", "pair" and "align"; "align" is 0 in the first half."""
        stages, f_v = step.features.encode_image(step.image)
        heard = step.features.audio(step.sound)
        l_cam = self.cam.learn(stages[3], heard, step.labels)
        ranks = step.ranks
        seen, other = stages[3].mean((2, 3)), ranks.rows(ranks.gather(heard).roll(1, 0))
        own, others = (self.judge(torch.cat((seen, h), 1)).squeeze(1).float() for h in (heard, other))
        l_pair, l_align = correspondence(own, others), torch.zeros_like(l_cam)
        if step.progress >= 0.5:
            where = self.cam.own_map(stages[3], step.labels).detach().clamp_min(0)
            v = torch.einsum("bchw,bhw->bc", f_v, where) / where.sum((1, 2)).clamp_min(1e-8).unsqueeze(1)
            a = step.features.project_a(self.of_class(heard, self.cam.sound.weight[step.labels].detach()))
            with torch.autocast(v.device.type, enabled=False):
                l_align = alignment(*(ranks.gather(x) for x in (a.float(), v.float(), step.labels)))
        return {"loss": l_cam + l_pair + l_align, "cam": l_cam, "pair": l_pair, "align": l_align}

    def score(self, features: AudioVisualEncoder, image: Tensor, sound: Tensor) -> Float[Tensor, "b h w"]:
        """Cosine of every location with what the sound has of each class, weighted by the classes' probabilities."""
        f_v, heard = features.encode_image(image)[1], features.audio(sound)
        weight = self.cam.sound.weight
        b, k = len(heard), len(weight)
        each = self.of_class(heard.repeat_interleave(k, 0), weight.repeat(b, 1))  # (B K, 128), clip by clip
        a = F.normalize(features.project_a(each).float(), dim=1).view(b, k, -1)
        weighted = torch.einsum("bk,bkc->bc", self.cam.shares(heard), a)
        return torch.einsum("bc,bchw->bhw", weighted, F.normalize(f_v, dim=1))
