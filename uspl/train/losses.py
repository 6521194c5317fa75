"""Section 3.4: the losses of one step, MMICL alone in the warm-up, then Eq. 11."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from uspl import align
from uspl.affinity import affinity_loss, draw_offsets
from uspl.core.progress import TrainingProgress
from uspl.core.ranks import ALONE, Ranks
from uspl.data.batch import Batch
from uspl.maps import resize
from uspl.model import USPL
from uspl.segment import segmentation_loss, three_way


def total_loss(
    l_mmicl: Float[Tensor, ""],
    l_aff: Float[Tensor, ""],
    l_seg: Float[Tensor, ""],
    *,
    lambda1: float,
    lambda2: float,
    lambda3: float,
) -> Float[Tensor, ""]:
    r"""Eq. (11): the joint objective.

    .. math:: L = \lambda_1 L_{mmicl} + \lambda_2 L_{aff} + \lambda_3 L_{seg}

    Args:
        l_mmicl: Eq. (2), scalar.
        l_aff: Eq. (6), scalar.
        l_seg: Eq. (10), scalar.
        lambda1: weight of L_mmicl, at least 0.
        lambda2: weight of L_aff, at least 0.
        lambda3: weight of L_seg, at least 0.

    Returns:
        Scalar loss.

    Raises:
        ValueError: a negative weight.

    Source: the paper, section 3.4.

    >>> one = torch.tensor(1.0)
    >>> round(total_loss(one, 2 * one, 4 * one, lambda1=0.1, lambda2=0.4, lambda3=0.5).item(), 4)
    2.9
    """
    for name, value in (("lambda1", lambda1), ("lambda2", lambda2), ("lambda3", lambda3)):
        if not value >= 0:
            raise ValueError(f"`{name}` must be at least 0; got {value}.")
    return lambda1 * l_mmicl + lambda2 * l_aff + lambda3 * l_seg


class Objective(nn.Module):
    """The losses of one step; a module, so that Accelerate can wrap it for several processes.

    Of several processes each returns losses whose mean is that of the whole batch, see `Ranks`.
    """

    def __init__(self, model: USPL) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, batch: Batch, generator: torch.Generator, progress: TrainingProgress, ranks: Ranks = ALONE
    ) -> dict[str, Tensor]:
        """Losses by name: "loss" (the one to descend), "mmicl", and in the joint phase "aff" and "seg"."""
        model, cfg = self.model, self.model.cfg
        stages, f_v = model.encode_image(batch.image)
        f_a = model.encode_sound(batch.sound)
        drawn = len(f_v) * ranks.world, *f_v.shape[2:]
        keep = ranks.rows(align.mask_locations(drawn, delta=progress.delta, generator=generator))
        # bf16 has three digits: enough for the encoders and the decoder, too few for a cosine divided by tau.
        with torch.autocast(f_v.device.type, enabled=False):
            m_crs = align.sounding_map(f_a, f_v)
            l_mmicl = align.mmicl_loss(
                f_a,
                f_v,
                keep=keep,
                tau=cfg.tau,
                symmetric=cfg.symmetric,
                masked_denominator=cfg.masked_denominator,
                dropped=cfg.dropped,
                ranks=ranks,
            )
        if not progress.joint:
            return {"loss": l_mmicl, "mmicl": l_mmicl}
        l_aff, l_seg = self._joint(batch, stages, f_v, m_crs.detach() if cfg.detach else m_crs, generator, ranks)
        loss = total_loss(l_mmicl, l_aff, l_seg, lambda1=cfg.lambda1, lambda2=cfg.lambda2, lambda3=cfg.lambda3)
        return {"loss": loss, "mmicl": l_mmicl, "aff": l_aff, "seg": l_seg}

    def _joint(
        self,
        batch: Batch,
        stages: Sequence[Tensor],
        f_v: Tensor,
        m_crs: Tensor,
        generator: torch.Generator,
        ranks: Ranks,
    ) -> tuple[Tensor, Tensor]:
        """L_aff and L_seg. A loss of weight 0 is not computed."""
        model, cfg = self.model, self.model.cfg
        learns_aff, learns_seg = cfg.lambda2 > 0, cfg.lambda3 > 0
        walks = learns_seg and cfg.teacher == "m_fine"
        f_aff = model.f_aff(stages) if learns_aff or walks else None
        known = f_aff.detach() if f_aff is not None and cfg.detach else f_aff
        wanted = ["m_norm", *(["m_fine"] if walks else []), *(["logits"] if learns_seg else [])]
        maps = model.decode(stages, f_v, m_crs, wanted, f_aff=known)
        l_aff = l_seg = m_crs.new_zeros(())
        if learns_aff and f_aff is not None:
            with torch.no_grad():
                _, y_tri = model.pseudo_labels(batch.image, maps["m_norm"])
            offs = draw_offsets(cfg.r, cfg.aff_offsets, metric=cfg.metric, generator=generator)
            how: dict[str, Any] = {"metric": cfg.metric, "reduce": cfg.reduce, "balanced": cfg.balanced, "ranks": ranks}
            l_aff = affinity_loss(f_aff, y_tri, r=cfg.r, offs=offs, fast=cfg.fast, **how)
        if learns_seg:
            target = maps["m_fine"] if walks else batch.mask if cfg.teacher == "mask" else maps["m_norm"]
            target = resize(target, cfg.image_size)
            if cfg.seg_target == "three_way" and cfg.teacher != "mask":
                target = three_way(target, high=cfg.seg_high, low=cfg.seg_low)
            l_seg = segmentation_loss(maps["logits"], target, as_printed=cfg.seg_loss == "as_printed", ranks=ranks)
        return l_aff, l_seg
