"""IRNet (Ahn et al., CVPR 2019) with PSA's affinity (Ahn and Kwak, CVPR 2018): class maps carried to the edge.

Learned from image-level labels. Three steps: CAM (see `cam`, with the same classifier of the sound); affinities learned
from what CAM is sure of; a random walk of 2^t steps. Simplified:
the displacement field is left out, so affinities come from feature distances, as in PSA, and not from a boundary map;
what is sure is found by Eqs. (4) and (5) in place of their CRF and its thresholds;
the affinity network is PMV-aff, and learns in the second half of one training while CAM goes on, not after it;
radius, grid and thresholds are those of `Config`, so that the walk differs from USPL's in what it learns from.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from uspl import maps, refine, walk
from uspl.affinity import affinity, affinity_labels, draw_offsets
from uspl.baselines.base import StepInput
from uspl.baselines.cam import CAM
from uspl.config import Config
from uspl.core.ranks import ALONE, Ranks
from uspl.encoders.audio_visual import AudioVisualEncoder
from uspl.maps import resize
from uspl.pmv_aff import PMVAff

EPS = 1e-5  # in both logarithms and both counts, as published


def terms(
    a: Float[Tensor, "b k h w"],
    labels: UInt8[Tensor, "b k h w"],
    y_tri: UInt8[Tensor, "b h w"],
    *,
    ranks: Ranks = ALONE,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""], Float[Tensor, ""]]:
    r"""The three means of PSA: like pairs of background, like pairs of an object, unlike pairs.

    .. math:: \frac{\sum_{bg} -\log(a + \epsilon)}{n_{bg} + \epsilon}, \quad
        \frac{\sum_{fg} -\log(a + \epsilon)}{n_{fg} + \epsilon}, \quad
        \frac{\sum_{neg} -\log(1 + \epsilon - a)}{n_{neg} + \epsilon}

    Args:
        a: affinities (B, K, h, w) in [0, 1] with the L1 norm as a mean over channels.
        labels: of the same pairs (B, K, h, w) in {0, 1, 255}; 255 is not counted.
        y_tri: three-way map (B, h, w): 0 is background.
        ranks: processes that each hold some images of the batch; the means of theirs are those of the batch.

    Returns:
        Three scalars, each at least 0; 0 where there is no such pair.
    """
    ground = (y_tri == 0).unsqueeze(1)
    like, unlike = -torch.log(a + EPS), -torch.log(1 + EPS - a)
    alike = labels == 1
    groups = ((like, alike & ground), (like, alike & ~ground), (unlike, labels == 0))
    least = EPS / ranks.world
    bg, fg, neg = (value.where(chosen, 0).sum() / (ranks.mean(chosen.sum()) + least) for value, chosen in groups)
    return bg, fg, neg


def loss(
    a: Float[Tensor, "b k h w"],
    labels: UInt8[Tensor, "b k h w"],
    y_tri: UInt8[Tensor, "b h w"],
    *,
    ranks: Ranks = ALONE,
) -> Float[Tensor, ""]:
    r"""Affinity loss of PSA and of IRNet, which are equal: :math:`L = bg / 4 + fg / 4 + neg / 2`, see `terms`.

    Eq. (6) is the same with one mean over all like pairs, and with no epsilon.

    >>> y = torch.tensor([[[1, 1, 0]]], dtype=torch.uint8)
    >>> labels = torch.tensor([[[[1, 0, 255]]]], dtype=torch.uint8)  # to the right-hand neighbour
    >>> round(loss(torch.tensor([[[[0.5, 0.5, 0.0]]]]), labels, y).item(), 4)  # log 2 / 4 + log 2 / 2
    0.5198
    """
    bg, fg, neg = terms(a, labels, y_tri, ranks=ranks)
    return (bg + fg) / 4 + neg / 2


class IRNet(nn.Module):
    """CAM, affinities of PMV-aff learned from its seeds, and the walk.

    Args:
        cfg: encoders, and everything of Eqs. (3) to (5).
        beta: exponent of the affinity.
        t: T is squared so many times: 2^t steps.
    """

    supervision, cosine, heads = "label", True, ("pmv_aff",)

    def __init__(self, cfg: Config, *, beta: float = 10.0, t: int = 8) -> None:
        super().__init__()
        self.cfg, self.beta, self.t = cfg, beta, t
        self.cam = CAM(cfg)
        self.pmv_aff = PMVAff(widths=cfg.widths, dim=cfg.aff_dim, block=cfg.aff_block, size=cfg.map_size)

    def set_num_classes(self, classes: int) -> None:
        """As `CAM.set_num_classes`."""
        self.cam.set_num_classes(classes)

    @torch.no_grad()
    def seeds(self, image: Tensor, f: Float[Tensor, "b c h w"], labels: Tensor) -> UInt8[Tensor, "b g g"]:
        """What the class map of the label is sure of, refined by the image: 1 object, 0 background, 255 neither."""
        cfg = self.cfg
        own = maps.normalise_map(self.cam.own_map(f, labels), "relu_max")
        m = resize(own, cfg.map_size).unsqueeze(1)
        guide = F.interpolate(image, size=(cfg.map_size,) * 2, mode="bilinear", align_corners=True)
        refined = refine.pamr(guide, m, iterations=cfg.refine_iterations, fast=cfg.fast).squeeze(1)
        return refine.trimap(refined, beta_l=cfg.beta_l, beta_h=cfg.beta_h)

    def losses(self, step: StepInput) -> dict[str, Tensor]:
        """ "loss", and its parts "cam" and "aff"; "aff" is 0 in the first half."""
        stages = step.features.stages(step.image)
        l_cam = self.cam.learn(stages[3], step.features.audio(step.sound), step.labels)
        l_aff = torch.zeros_like(l_cam)
        if step.progress >= 0.5:
            cfg = self.cfg
            y_tri = self.seeds(step.image, stages[3], step.labels)
            offs = draw_offsets(cfg.r, cfg.aff_offsets, metric=cfg.metric, generator=step.generator)
            f_aff = self.pmv_aff([s.detach() for s in stages]).float()
            a = affinity(f_aff, r=cfg.r, offs=offs, fast=cfg.fast)
            l_aff = loss(a, affinity_labels(y_tri, r=cfg.r, offs=offs), y_tri, ranks=step.ranks)
        return {"loss": l_cam + l_aff, "cam": l_cam, "aff": l_aff}

    def score(self, features: AudioVisualEncoder, image: Tensor, sound: Tensor) -> Float[Tensor, "b h w"]:
        """The weighted class maps after the walk, in [0, 1]."""
        cfg, stages = self.cfg, features.stages(image)
        m = resize(self.cam.heard(stages[3], features.audio(sound)), cfg.map_size)
        how: dict[str, Any] = {"r": cfg.r, "metric": cfg.metric, "fast": cfg.fast}
        a = affinity(self.pmv_aff(stages).float(), **how)
        return walk.random_walk(m, a, beta=self.beta, t=self.t, reading="squarings", **how)
