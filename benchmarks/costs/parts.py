"""What each record of `results/costs/` holds."""

import os
import tempfile
from collections.abc import Callable
from functools import partial
from resource import RUSAGE_CHILDREN, RUSAGE_SELF
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Subset

from benchmarks.costs.clock import forward_backward, in_turn, spent, timed
from benchmarks.costs.counts import counts
from benchmarks.costs.paths import apart, clips, coarse, paths, three
from benchmarks.machine import without_numba
from benchmarks.ratios import naive
from benchmarks.ratios.network import network, step
from benchmarks.ratios.timing import Call
from uspl import align, refine
from uspl.affinity import affinity, affinity_loss
from uspl.config import Config
from uspl.data import AVSBench
from uspl.data.sounding_shapes import sounding_shapes
from uspl.evaluation import evaluate
from uspl.inference.optimize import for_inference
from uspl.maps import resize
from uspl.model import USPL
from uspl.segment import segmentation_loss
from uspl.walk import random_walk


def table3() -> dict[str, Any]:
    """Counts, milliseconds per frame and peak memory of every path at batch 1 and 8."""
    rows: dict[str, Any] = {name: dict(values) for name, values in counts().items()}
    for batch, rounds in ((1, 5), (8, 3)):
        calls, peaks = paths(batch), apart("paths", batch)
        slow = {name: calls.pop(name) for name in ("smr-dense",) if name in calls}
        for some, often in ((calls, rounds), (slow, 2)):
            times = in_turn({"coarse": calls["coarse"], **some}, often) if some else {}
            for name, seconds in times.items():
                found = {
                    "ms": 1e3 * median(seconds) / batch,
                    "fps": batch / median(seconds),
                    "of_coarse": median(b / s for b, s in zip(times["coarse"], seconds, strict=True)),
                    "peak_mib": peaks[name],
                }
                rows.setdefault(name, {}).setdefault(f"batch_{batch}", found)
    return {"rows": rows}


def stages() -> dict[str, Any]:
    """Milliseconds of each stage for one clip of a batch of 1 and of 8."""
    found = {f"batch_{n}": _stages(n, rounds) for n, rounds in ((1, 7), (8, 3))}
    return {"ms": found}


def _stages(batch: int, rounds: int) -> dict[str, float]:
    image, sound, embedded = clips(batch)
    model = for_inference(network())
    cfg = model.cfg
    with torch.inference_mode():
        four, f_v, m_crs = coarse(model, image, embedded)
        m, f_aff = model.on_grid(m_crs), model.f_aff(four)
        m_rf, a = model.refined(image, m), model.affinities(f_aff)
    calls: dict[str, Call] = {
        "visual encoder": partial(model.visual, image),
        "sound encoder": partial(model.audio, sound),
        "projectors, Eq. 1": lambda: align.sounding_map(model.project_a(embedded), model.project_v(four[3])),
        "PAMR": partial(model.refined, image, m),
        "three-way map": partial(refine.trimap, m_rf, beta_l=cfg.beta_l, beta_h=cfg.beta_h),
        "PMV-aff": partial(model.f_aff, four),
        "affinity": partial(model.affinities, f_aff),
        "walk": partial(model.walked, m, a),
        "decoder": partial(model.segment, four, f_v, m_crs),
        "PAMR, plain": without_numba(partial(model.refined, image, m)),
        "affinity, plain": without_numba(partial(model.affinities, f_aff)),
        "walk, plain": without_numba(partial(model.walked, m, a)),
    }
    return {name: 1e3 * median(s) / batch for name, s in in_turn(calls, rounds).items()}


def growth() -> dict[str, Any]:
    """How milliseconds grow: with the image, the grid, the radius, the steps and the batch."""
    curves: dict[str, dict[str, dict[str, float]]] = {}
    cfg = Config.paper()

    def measure(axis: str, x: int, calls: dict[str, Call], rounds: int = 5) -> None:
        for name, seconds in in_turn(calls, rounds).items():
            curves.setdefault(axis, {}).setdefault(name, {})[str(x)] = 1e3 * median(seconds)

    for side in (112, 160, 224, 320, 448):
        image, _, embedded = clips(1, side)
        measure("image", side, three(for_inference(network(image_size=side)), image, embedded), 3 if side < 320 else 2)
    for side in (28, 56, 84, 112):
        m, f = torch.rand(1, side, side), torch.randn(1, 256, side, side)
        measure("grid", side, both(partial(fine_map, f, m)))
        if side <= 56:
            near = naive.near(side, side, cfg.r, cfg.metric)
            measure("grid", side, {"dense": partial(naive.fine_map, f, m, near, beta=cfg.beta, t=cfg.t)}, 2)
    m, f = torch.rand(1, 56, 56), torch.randn(1, 256, 56, 56)
    for r in (3, 5, 7, 10, 15):
        measure("radius", r, both(partial(fine_map, f, m, r=r)))
    a = affinity(f, r=cfg.r, metric=cfg.metric, reduce=cfg.reduce)
    for t in (1, 2, 4, 8, 16, 32, 64):
        measure("steps", t, both(partial(random_walk, m, a, beta=cfg.beta, t=t, r=cfg.r, metric=cfg.metric)))
    model = for_inference(network())
    for batch in (1, 2, 4, 8, 16):
        image, _, embedded = clips(batch)
        measure("batch", batch, three(model, image, embedded), 3 if batch < 8 else 2)
    return {"ms": curves}


def both(call: Callable[..., object]) -> dict[str, Call]:
    """A call by numba and in plain PyTorch."""
    return {"numba": call, "plain": without_numba(call)}


def fine_map(f: Tensor, m: Tensor, *, r: int = 7) -> Tensor:
    """Features to fine map, Eqs. (3), (7), (8)."""
    cfg = Config.paper()
    a = affinity(f, r=r, metric=cfg.metric, reduce=cfg.reduce)
    return random_walk(m, a, beta=cfg.beta, t=cfg.t, r=r, metric=cfg.metric)


def films() -> dict[str, Any]:
    """Seconds to make, prepare and judge sets of growing size, the tiny tier's model with random weights."""
    torch.manual_seed(0)
    model, found = USPL(Config.tiny()), {}
    for n in (50, 100, 200, 400):
        with tempfile.TemporaryDirectory() as folder:
            start = spent(RUSAGE_CHILDREN)
            sounding_shapes(folder, train=0, val=0, test=n, workers=1, progress=False)
            made = spent(RUSAGE_CHILDREN) - start
            data = AVSBench(folder, "test", size=model.cfg.image_size, seconds=model.cfg.seconds)
            every = Subset(data, range(0, len(data), len(data) // n))
            evaluate.score(model, Subset(every, range(5)))
            start = spent(RUSAGE_SELF)
            evaluate.score(model, every)
            found[str(n)] = {"prepare": made, "evaluate": spent(RUSAGE_SELF) - start}
    return {"seconds_by_clips": found, "config": {"tier": "tiny", "frames": "one a clip"}}


def training(batch: int = 8) -> dict[str, Any]:
    """Processor seconds of a training step by stage, forward and backward, on all threads."""
    torch.set_num_threads(os.cpu_count() or 1)
    model = network().to(memory_format=torch.channels_last).train()
    cfg, (image, sound, _) = model.cfg, clips(batch)
    whole = step(model, image, sound)
    whole()
    keep = align.mask_locations((batch, 14, 14), delta=cfg.delta, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        four, f_v = model.encode_image(image)
        f_a, embedded = model.encode_sound(sound), model.audio(sound)
        m_crs, f_aff = align.sounding_map(f_a, f_v), model.f_aff(four)
        m = model.on_grid(m_crs)
        _, y_tri = model.pseudo_labels(image, m)
        target = resize(model.walked(m, model.affinities(f_aff)), cfg.image_size)

    def aligned(f4: Tensor) -> Tensor:
        f_a, f_v = model.project_a(embedded), model.project_v(f4)
        align.sounding_map(f_a, f_v)
        return align.mmicl_loss(f_a, f_v, keep=keep, tau=cfg.tau)

    def refinement() -> dict[str, dict[str, float]]:
        fixed: dict[str, Call] = {
            "PAMR, three-way map": partial(model.pseudo_labels, image, m),
            "affinity, walk": lambda: model.walked(m, model.affinities(f_aff)),
        }
        found = {name: {"forward": median(s), "backward": 0.0} for name, s in in_turn(fixed, 3).items()}
        how: dict[str, Any] = {"metric": cfg.metric, "reduce": cfg.reduce, "balanced": cfg.balanced}
        learned = forward_backward(lambda f: affinity_loss(f, y_tri, r=cfg.r, **how), (f_aff,))
        return found | {"labels, affinity loss": learned}

    learned: dict[str, tuple[Callable[..., Any], tuple[Tensor, ...]]] = {
        "visual encoder": (model.visual, (image,)),
        "projectors, Eqs. 1 and 2": (aligned, (four[3],)),
        "PMV-aff": (lambda *s: model.f_aff(s), tuple(four)),
        "decoder and its loss": (lambda *s: segmentation_loss(model.segment(s, f_v, m_crs), target), tuple(four)),
    }
    frozen = median(in_turn({"sound": partial(model.audio, sound)}, 3)["sound"])
    stages = {name: forward_backward(call, inputs) for name, (call, inputs) in learned.items()}
    total = median(timed(whole, 1) for _ in range(3))
    numba, plain = refinement(), without_numba(refinement)()
    in_numba, in_plain = (sum(sum(v.values()) for v in found.values()) for found in (numba, plain))
    return {
        "batch": batch,
        "threads": torch.get_num_threads(),
        "seconds_by_stage": {**stages, **numba, "sound encoder": {"forward": frozen, "backward": 0.0}},
        "step": total,
        "refinement": in_numba,
        "share": in_numba / total,
        "share_plain": in_plain / (total - in_numba + in_plain),
    }


def large() -> dict[str, Any]:
    """Highest memory of a process that trains the paper's model at its batch size, 32."""
    peak = apart("step", 32)["step"] / 1024
    return {"batch": 32, "threads": os.cpu_count(), "peak_gib": peak}
