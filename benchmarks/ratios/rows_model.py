"""Whole paths of the paper-sized model: coarse map, SMR, SPS, and what the refinement is in a step of training."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.ratios import naive, network
from benchmarks.ratios.network import by_matrices, decoded, encoded
from benchmarks.ratios.row import Row, Side, normal, random, share
from benchmarks.ratios.rows_refinement import PATHS
from uspl import align, maps, refine
from uspl.affinity import affinity_loss
from uspl.inference.optimize import for_inference
from uspl.maps import resize
from uspl.model import USPL


def seasoned(**changes: Any) -> USPL:
    """The network with the statistics of some pictures in its BatchNorm.

    Each residual branch is scaled down to 0.1: sixteen random blocks would otherwise turn every rounding, and every
    picture, into noise, as no trained network does.
    """
    model = network.network(**changes)
    with torch.no_grad():
        for name, part in model.visual.named_modules():
            if name.endswith("bn3"):
                part.weight.fill_(0.1)
        norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
        for norm in norms:
            norm.momentum = 1.0
        model.train().encode_image(pictures(8))
        for norm in norms:
            norm.momentum = 0.1
    return model.eval()


def pictures(batch: int) -> Tensor:
    """Normalised pictures (B, 3, 224, 224): a disc of one colour before another, with some grain."""
    y, x = torch.meshgrid(torch.arange(224), torch.arange(224), indexing="ij")
    disc = ((y - 112) ** 2 + (x - 112) ** 2 < 60**2).float()
    colours = normal(9, 2, batch, 3, 1, 1)
    return disc * colours[0] + (1 - disc) * colours[1] + 0.3 * normal(10, batch, 3, 224, 224)


def heard(model: USPL, image: Tensor) -> Tensor:
    """A sound (B, dim) that lies in the middle of each picture: what F_v has there more than elsewhere."""
    with torch.inference_mode():
        f_v = model.encode_image(image)[1]
        h, w = f_v.shape[2:]
        return f_v[:, :, h // 2 - 1 : h // 2 + 1, w // 2 - 1 : w // 2 + 1].mean((2, 3)) - f_v.mean((2, 3))


def coarse(model: USPL, image: Tensor, f_a: Tensor) -> Tensor:
    """Image to Eq. (1), for a sound that is encoded already."""
    return encoded(model, image, f_a)[2]


def eager(precision: str, difference: Callable[[Any, Any], float] = share) -> Callable[[torch.device], dict[str, Side]]:
    """The coarse path as `for_inference` prepares it, against the model as it is built, batch 8."""

    def make(_: torch.device) -> dict[str, Side]:
        model, image = seasoned(), pictures(8)
        f_a = heard(model, image)
        ready = for_inference(model, precision=precision)

        def base() -> Tensor:
            with torch.no_grad():
                return align.sounding_map(f_a, model.encode_image(image)[1])

        return {precision: Side(base, partial(coarse, ready, image, f_a), difference=difference)}

    return make


def missed(expected: Tensor, got: Tensor) -> float:
    """1 - IoU of the pixels above one half (Reading 2), at the size of the image."""
    a, b = (resize(maps.normalise_map(m, "relu_max"), 224) > 0.5 for m in (expected, got))
    return 1 - ((a & b).sum() / (a | b).sum().clamp_min(1)).item()


def smr_path(_: torch.device) -> dict[str, Side]:
    """The coarse path against the coarse path and SMR, both prepared for inference."""
    image = pictures(1)
    model = for_inference(seasoned())
    cfg, f_a = model.cfg, heard(model, image)
    close = naive.near(cfg.map_size, cfg.map_size, cfg.r, cfg.metric)
    base = partial(coarse, model, image, f_a)
    expected = partial(by_matrices, model, image, f_a, close)
    ours = {variant: path(partial(decoded, model, image, f_a, "m_fine")) for variant, path in PATHS.items()}
    return {variant: Side(base, call, proof=(expected, call)) for variant, call in ours.items()}


def sps_path(_: torch.device) -> dict[str, Side]:
    """The coarse path against the coarse path and SPS, both prepared for inference."""
    model, image = seasoned(), pictures(1)
    ready, f_a = for_inference(model), heard(model, image)
    expected, ours = (partial(decoded, m, image, f_a, "logits") for m in (model, ready))
    return {"plain": Side(partial(coarse, ready, image, f_a), ours, proof=(expected, ours))}


def step(_: torch.device) -> dict[str, Side]:
    """Refinement, labels, affinity forward and backward, and walk, against the step of Eq. (11) they are part of."""
    n = 8
    image, m, f_aff = pictures(n), random(11, n, 56, 56), normal(3, n, 256, 56, 56).requires_grad_()
    sound = normal(12, n, 1, 1, 96, 64)
    found = {}
    for variant, path in PATHS.items():
        model = seasoned().to(memory_format=torch.channels_last).train()
        parts = path(partial(refinement, model, image, m, f_aff))
        one = [x[:1].detach() for x in (image, m, f_aff)]
        proof = (partial(dense_refinement, model, *one), path(partial(refinement, model, *one)))
        found[variant] = Side(parts, path(network.step(model, image, sound)), proof=proof)
    return found


def refinement(model: USPL, image: Tensor, m: Tensor, f_aff: Tensor) -> tuple[Tensor, Tensor]:
    """Eqs. (3) to (8) of a step: the affinity loss, with its gradient, and the fine map."""
    cfg, f = model.cfg, f_aff.detach().requires_grad_()
    _, y = model.pseudo_labels(image, m)
    loss = affinity_loss(f, y, r=cfg.r, metric=cfg.metric, reduce=cfg.reduce, balanced=cfg.balanced)
    loss.backward()
    return loss.detach(), model.walked(m, model.affinities(f_aff.detach()))


def dense_refinement(model: USPL, image: Tensor, m: Tensor, f_aff: Tensor) -> tuple[Tensor, Tensor]:
    """The same with full matrices, without the gradient."""
    cfg = model.cfg
    close = naive.near(cfg.map_size, cfg.map_size, cfg.r, cfg.metric)
    guide = F.interpolate(image, size=(cfg.refine_size,) * 2, mode="bilinear", align_corners=True)
    y = refine.trimap(naive.pamr(guide, m.unsqueeze(1)).squeeze(1), beta_l=cfg.beta_l, beta_h=cfg.beta_h)
    fine = naive.fine_map(f_aff, m, close, beta=cfg.beta, t=cfg.t)
    return naive.affinity_loss(f_aff, y, close), maps.normalise_map(fine, cfg.map_range)


_IMAGE = "ResNet50 with random weights, 224 x 224, sound encoded before"
ROWS = [
    Row(
        "step-share",
        "refinement, labels, affinity forward and backward and walk, as a share of a step of training",
        "ResNet50, 224 x 224, batch 8, channels last, float32, Adam",
        step,
        1e-4,
        {"plain": 0.10, "numba": 0.03},
        at_most=True,
    ),
    Row(
        "smr-fps",
        "frames a second of coarse map and SMR, relative to the coarse map (paper: 0.28)",
        f"{_IMAGE}, batch 1",
        smr_path,
        1e-4,
        {"plain": 0.55, "numba": 0.70},
    ),
    Row(
        "sps-fps",
        "frames a second of SPS, relative to the coarse map (paper: 0.64)",
        f"{_IMAGE}, batch 1",
        sps_path,
        1e-3,
        {"plain": 0.19},
    ),
    Row(
        "coarse-b8",
        "coarse map, channels last and BatchNorm folded, against the model as built in NCHW",
        f"{_IMAGE}, batch 8, float32",
        eager("fp32"),
        1e-3,
        {"fp32": 1.3},
    ),
    Row(
        "coarse-b8-bf16",
        "coarse map in bfloat16 against the model as built in NCHW and float32; agreement is 1 - mask IoU",
        f"{_IMAGE}, batch 8",
        eager("bf16", missed),
        0.01,
        {"bf16": 2.4},
    ),
]
