"""How the parts are strung together: fixed weights and clips, the losses and maps put together here by hand."""

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.helpers.data_sample import sample
from tests.helpers.models import brief
from uspl import align, refine, walk
from uspl.affinity import affinity, affinity_loss, offsets
from uspl.config import Config
from uspl.core.progress import TrainingProgress
from uspl.data import AVSBench, Batch, collate
from uspl.maps import normalise_map, resize
from uspl.model import USPL
from uspl.segment import fuse, segmentation_loss, three_way
from uspl.train import Objective, total_loss

SETTINGS: dict[str, dict[str, Any]] = {
    "tiny": {},
    "as the paper": {"symmetric": False, "map_range": "minmax", "seg_target": "soft", "lambda1": 0.1, "aff_offsets": 0},
    "the other readings": {"refine": "par", "reading": "squarings", "metric": "chebyshev", "seg_loss": "as_printed"},
    "sums": {"reduce": "sum", "balanced": False, "masked_denominator": True, "dropped": "zero", "beta": 2.0},
    "projected": {"fuse_on": "projected"},
    "taught by the coarse map": {"teacher": "m_crs", "lambda2": 0.0},
    "taught by the mask": {"teacher": "mask"},
    "without SPS": {"lambda3": 0.0},
    "gradients through the targets": {"detach": False, "seg_target": "soft"},
}


def model(cfg: Config) -> USPL:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        net = USPL(cfg).train()  # statistics of the batch: cosines of both signs
    for part in net.heads():
        for weight in part.parameters():
            weight.data *= 2  # a start of some size, so that nothing that is left out is too small to be seen
    return net


def batch() -> Batch:
    data = AVSBench(sample(), "train", size=32)
    return collate([data[i] for i in range(4)])


def by_hand(model: USPL, clips: Batch, delta: float) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The losses of Eqs. (2), (6), (10), (11), and the maps between them, in the order of Fig. 2."""
    cfg, draw = model.cfg, torch.Generator().manual_seed(5)
    held = Tensor.detach if cfg.detach else torch.clone
    stages = model.visual(clips.image)
    f_v, f_a = model.project_v(stages[3]), model.project_a(model.audio(clips.sound))
    m_crs = align.sounding_map(f_a, f_v)
    keep = align.mask_locations(tuple(m_crs.shape), delta=delta, generator=draw)
    how = {"symmetric": cfg.symmetric, "masked_denominator": cfg.masked_denominator, "dropped": cfg.dropped}
    l_mmicl = align.mmicl_loss(f_a, f_v, keep=keep, tau=cfg.tau, **how)
    m = held(resize(normalise_map(m_crs, cfg.map_range), cfg.map_size))
    guide = torch.nn.functional.interpolate(
        clips.image, size=(cfg.refine_size,) * 2, mode="bilinear", align_corners=True
    )
    refined = {"pamr": refine.pamr, "par": refine.par}[cfg.refine](guide, m[:, None], fast=False)[:, 0]
    y_tri = refine.trimap(refined, beta_l=cfg.beta_l, beta_h=cfg.beta_h)
    f_aff, near = model.pmv_aff(stages), {"r": cfg.r, "metric": cfg.metric}
    offs = offsets(**near)
    if 0 < cfg.aff_offsets < len(offs):
        offs = offs[torch.randperm(len(offs), generator=draw)[: cfg.aff_offsets]]
    how = {"reduce": cfg.reduce, "balanced": cfg.balanced}
    l_aff = affinity_loss(f_aff, y_tri, offs=offs, fast=False, **near, **how)
    a = affinity(held(f_aff), reduce=cfg.reduce, fast=False, **near)
    m_fine = walk.random_walk(m, a, beta=cfg.beta, t=cfg.t, reading=cfg.reading, fast=False, **near)
    m_fine = normalise_map(m_fine, cfg.map_range)
    f_av = fuse(stages[3] if cfg.fuse_on == "stage4" else f_v, held(m_crs))
    logits = resize(model.sps((*stages[:3], f_av)), cfg.image_size)
    target = resize({"m_fine": m_fine, "m_crs": m, "mask": clips.mask}[cfg.teacher], cfg.image_size)
    if cfg.seg_target == "three_way" and cfg.teacher != "mask":
        target = three_way(target, high=cfg.seg_high, low=cfg.seg_low)
    l_seg = segmentation_loss(logits, target, as_printed=cfg.seg_loss == "as_printed")
    l_aff, l_seg = (part if weight else 0 * part for part, weight in ((l_aff, cfg.lambda2), (l_seg, cfg.lambda3)))
    assert m.std() > 0.1, "A map that is the same everywhere shows nothing."
    loss = total_loss(l_mmicl, l_aff, l_seg, lambda1=cfg.lambda1, lambda2=cfg.lambda2, lambda3=cfg.lambda3)
    maps = {"m_crs": m_crs, "m_norm": m, "m_rf": refined, "y_tri": y_tri, "m_fine": m_fine, "logits": logits}
    return {"loss": loss, "mmicl": l_mmicl, "aff": l_aff, "seg": l_seg}, maps


@pytest.mark.parametrize("changes", SETTINGS.values(), ids=SETTINGS)
def test_a_joint_step_is_the_paper_put_together(changes: dict[str, Any]) -> None:
    net, clips = model(brief(**changes)), batch()
    delta = 0.97 if changes.get("dropped") == "zero" else 0.5  # so that the best of what is left may be negative
    expected, _ = by_hand(net, clips, delta=delta)
    net.zero_grad()
    got = Objective(net)(clips, torch.Generator().manual_seed(5), TrainingProgress(True, delta, 0.0))
    assert got.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(
            got[name], value, atol=1e-5, rtol=1e-4, msg=lambda said, name=name: f"{name}: {said}"
        )
    wanted = torch.autograd.grad(expected["loss"], [*net.parameters()], allow_unused=True)
    found = torch.autograd.grad(got["loss"], [*net.parameters()], allow_unused=True)
    for (name, _), a, b in zip(net.named_parameters(), found, wanted, strict=True):
        a, b = (torch.zeros(1) if g is None else g for g in (a, b))
        assert (a - b).abs().max() <= 1e-3 * b.abs().max() + 5e-6, name


def test_a_step_of_the_warm_up_is_eq_2_alone() -> None:
    net, clips = model(brief()), batch()
    expected, _ = by_hand(net, clips, delta=0.7)
    got = Objective(net)(clips, torch.Generator().manual_seed(5), TrainingProgress(False, 0.7, 0.0))
    assert set(got) == {"loss", "mmicl"}
    torch.testing.assert_close(got["loss"], expected["mmicl"])


@pytest.mark.parametrize("changes", SETTINGS.values(), ids=SETTINGS)
def test_every_map_is_the_paper_put_together(changes: dict[str, Any]) -> None:
    net, clips = model(brief(**changes)), batch()
    with torch.no_grad():
        _, expected = by_hand(net, clips, delta=0.0)
        got = net(clips.image, clips.sound)
        for name, value in expected.items():
            torch.testing.assert_close(
                getattr(got, name), value, atol=1e-4, rtol=1e-4, msg=lambda said, name=name: f"{name}: {said}"
            )
        several = net.predict_maps(clips.image, {"own": clips.sound, "swap": clips.swap}, net.MAPS)
    own, size = several["own"], net.cfg.image_size
    torch.testing.assert_close(own["m_fine"], resize(expected["m_fine"], size), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(own["m"], torch.sigmoid(expected["logits"]), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(own["m_cos"], resize((expected["m_crs"] + 1) / 2, size), atol=1e-5, rtol=1e-4)
    coarse = normalise_map(expected["m_crs"], net.cfg.map_range)
    torch.testing.assert_close(own["m_crs"], resize(coarse, size), atol=1e-5, rtol=1e-4)
