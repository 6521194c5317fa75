"""What the method costs: the records behind the book's page, `python -m benchmarks.costs [PART ...]`.

Parts: table3, stages, growth, clips, training; `memory` is training at batch 32 and wants 12 GiB.
Each writes results/costs/<part>.json. Weights are random, they do not change what anything costs. The clock is the
processor's, on one thread unless a record says more, so other work on the machine hardly shows.
"""

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from statistics import median
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # a thread that waits takes no processor time

import torch
from torch import Tensor, nn
from torch.utils.data import Subset
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import memory, naive
from benchmarks.run import processor
from uspl import align, maps, refine
from uspl.affinity import affinity, offsets
from uspl.config import Config
from uspl.core import record
from uspl.core.paths import results_folder
from uspl.core.progress import TrainingProgress
from uspl.data import AVSBench
from uspl.data.batch import Batch
from uspl.data.sounding_shapes import sounding_shapes
from uspl.evaluation import evaluate
from uspl.inference.optimize import for_inference
from uspl.kernels import affinity_autograd
from uspl.maps import resize
from uspl.model import USPL
from uspl.segment import segmentation_loss
from uspl.train import schedule
from uspl.train.losses import Objective
from uspl.walk import random_walk

Call = Callable[[], object]
NORM = 0.0507  # 10^9, 4 x the elements that pass a batch norm, as the paper's profiler counts them


# What is measured


def network(**changes: Any) -> USPL:
    """The paper's model with random weights, in eval mode."""
    cfg = dataclasses.replace(Config.paper(), visual_weights="none", audio_weights="none", **changes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return USPL(cfg).eval()


def clips(n: int, side: int = 224) -> tuple[Tensor, Tensor, Tensor]:
    """Images (N, 3, S, S), sounds as log-mel patches (N, 1, 1, 96, 64), and what VGGish makes of them (N, 128)."""
    generator = torch.Generator().manual_seed(0)
    shapes = ((n, 3, side, side), (n, 1, 1, 96, 64), (n, 128))
    image, sound, embedded = (torch.randn(shape, generator=generator) for shape in shapes)
    return image, sound, embedded.abs()


def coarse(model: USPL, image: Tensor, embedded: Tensor) -> tuple[Sequence[Tensor], Tensor, Tensor]:
    """Image and embedded sound -> stages, F_v, M_crs."""
    stages, f_v = model.encode_image(image)
    return stages, f_v, align.sounding_map(model.project_a(embedded).float(), f_v.float())


def smr(model: USPL, image: Tensor, embedded: Tensor, *, near: Tensor | None = None, labels: bool = False) -> Tensor:
    """To the fine map of Eq. (8); by full matrices where `near`, the pairs within r, is given; also to the three-way
    map of Eq. (5), which training needs, with `labels`."""
    cfg = model.cfg
    stages, _, m_crs = coarse(model, image, embedded)
    m, f_aff = model.on_grid(m_crs), model.f_aff(stages)
    if labels:
        refine.trimap(model.refined(image, m), beta_l=cfg.beta_l, beta_h=cfg.beta_h)
    if near is None:
        return model.walked(m, model.affinities(f_aff))
    return maps.normalise_map(naive.fine_map(f_aff, m, near, beta=cfg.beta, t=cfg.t), cfg.map_range)


def sps(model: USPL, image: Tensor, embedded: Tensor) -> Tensor:
    """To the map of Eq. (10)."""
    stages, f_v, m_crs = coarse(model, image, embedded)
    return torch.sigmoid(model.segment(stages, f_v, m_crs))


def paths(batch: int) -> dict[str, Call]:
    """Every way from a batch to a map, prepared for inference."""
    image, sound, embedded = clips(batch)
    ready = for_inference(network())
    plain = _twin(ready, fast=False)
    found: dict[str, Call] = {
        "coarse": partial(coarse, ready, image, embedded),
        "smr": partial(smr, ready, image, embedded),
        "smr-plain": partial(smr, plain, image, embedded),
        "smr-labels": partial(smr, ready, image, embedded, labels=True),
        "sps": partial(sps, ready, image, embedded),
        "vggish": partial(ready.audio, sound),
    }
    if batch == 1:
        cfg = ready.cfg
        near = naive.near(cfg.map_size, cfg.map_size, cfg.r, cfg.metric)
        found["smr-dense"] = partial(smr, plain, image, embedded, near=near)
    return found


def counts() -> dict[str, dict[str, float]]:
    """Parameters in 10^6 and multiply-adds of one clip in 10^9, counted as the paper's profiler does.

    The sound network is left out, the visual projector runs twice (masked and unmasked), batch norm counts. The paper's
    SMR row holds the decoder; "smr-alone" does not.
    """
    with torch.device("meta"):
        model = network()
        image, embedded, m_crs = torch.empty(1, 3, 224, 224), torch.empty(1, 128), torch.empty(1, 14, 14)
        stages, f_v = model.encode_image(image)
        base = macs(model.visual, image) + 2 * macs(model.project_v, stages[3]) + macs(model.project_a, embedded) + NORM
        decoder, affine = macs(model.segment, stages, f_v, m_crs), macs(model.f_aff, stages)
        sound = macs(model.audio, torch.empty(1, 1, 1, 96, 64))
    encoders = [model.visual, model.project_v, model.project_a]
    rows: dict[str, tuple[list[nn.Module], float]] = {
        "coarse": (encoders, base),
        "smr": ([*encoders, model.sps, model.pmv_aff], base + decoder + affine),
        "smr-alone": ([*encoders, model.pmv_aff], base + affine),
        "sps": ([*encoders, model.sps], base + decoder),
        "vggish": ([model.audio], sound),
    }
    return {name: {"parameters": parameters(nets), "multiply_adds": total} for name, (nets, total) in rows.items()}


def macs(call: Callable[..., object], *inputs: object) -> float:
    """Multiply-adds in 10^9."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        call(*inputs)
    return counter.get_total_flops() / 2e9


def parameters(nets: Sequence[nn.Module]) -> float:
    """Parameters in 10^6."""
    return sum(p.numel() for net in nets for p in net.parameters()) / 1e6


# The parts


def table3() -> dict[str, Any]:
    """Counts, milliseconds per frame and peak memory of every path at batch 1 and 8."""
    rows: dict[str, Any] = {name: dict(values) for name, values in counts().items()}
    for batch, rounds in ((1, 5), (8, 3)):
        calls = paths(batch)
        dense = calls.pop("smr-dense", None)
        times = in_turn(calls, rounds)
        if dense:
            times |= in_turn({"coarse ": calls["coarse"], "smr-dense": dense}, 2)
        peaks = apart("paths", batch)
        for name, seconds in times.items():
            if name.strip() != name:
                continue
            base = times["coarse " if name == "smr-dense" else "coarse"]
            rows.setdefault(name, {})[f"batch_{batch}"] = {
                "ms": 1e3 * median(seconds) / batch,
                "fps": batch / median(seconds),
                "of_coarse": median(b / s for b, s in zip(base, seconds, strict=True)),
                "peak_mib": peaks[name],
            }
    return {"rows": rows, "config": network_fields()}


def stages() -> dict[str, Any]:
    """Milliseconds of each stage for one clip of a batch of 1 and of 8."""
    found = {f"batch_{n}": _stages(n, rounds) for n, rounds in ((1, 7), (8, 3))}
    return {"ms": found, "config": network_fields()}


def _stages(batch: int, rounds: int) -> dict[str, float]:
    image, sound, embedded = clips(batch)
    model = for_inference(network())
    cfg, plain = model.cfg, _twin(model, fast=False)
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
        "PAMR, plain": partial(plain.refined, image, m),
        "affinity, plain": partial(plain.affinities, f_aff),
        "walk, plain": partial(plain.walked, m, a),
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
        model = for_inference(network(image_size=side))
        image, _, embedded = clips(1, side)
        fine, segmented = partial(smr, model, image, embedded), partial(sps, model, image, embedded)
        measure(
            "image",
            side,
            {"coarse": partial(coarse, model, image, embedded), "smr": fine, "sps": segmented},
            3 if side < 320 else 2,
        )
    for side in (28, 56, 84, 112):
        m, f = torch.rand(1, side, side), torch.randn(1, 256, side, side)
        calls = {name: partial(fine_map, f, m, fast=fast) for name, fast in (("numba", True), ("plain", False))}
        measure("grid", side, calls)
        if side <= 56:
            near = naive.near(side, side, cfg.r, cfg.metric)
            measure("grid", side, {"dense": partial(naive.fine_map, f, m, near, beta=cfg.beta, t=cfg.t)}, 2)
    m, f = torch.rand(1, 56, 56), torch.randn(1, 256, 56, 56)
    for r in (3, 5, 7, 10, 15):
        measure("radius", r, {k: partial(fine_map, f, m, r=r, fast=v) for k, v in (("numba", True), ("plain", False))})
    a = affinity(f, r=cfg.r, metric=cfg.metric, reduce=cfg.reduce)
    for t in (1, 2, 4, 8, 16, 32, 64):
        walk = partial(random_walk, m, a, beta=cfg.beta, t=t, r=cfg.r, metric=cfg.metric)
        measure("steps", t, {"numba": partial(walk, fast=True), "plain": partial(walk, fast=False)})
    model = for_inference(network())
    for batch in (1, 2, 4, 8, 16):
        image, _, embedded = clips(batch)
        fine, segmented = partial(smr, model, image, embedded), partial(sps, model, image, embedded)
        calls = {"coarse": partial(coarse, model, image, embedded), "smr": fine, "sps": segmented}
        measure("batch", batch, calls, 3 if batch < 8 else 2)
    return {"ms": curves, "config": network_fields()}


def fine_map(f: Tensor, m: Tensor, *, r: int = 7, fast: bool) -> Tensor:
    """AudioVisualEncoder to fine map, Eqs. (3), (7), (8)."""
    cfg = Config.paper()
    a = affinity(f, r=r, metric=cfg.metric, reduce=cfg.reduce, fast=fast)
    return random_walk(m, a, beta=cfg.beta, t=cfg.t, r=r, metric=cfg.metric, fast=fast)


def films() -> dict[str, Any]:
    """Seconds to make, prepare and judge sets of growing size, the tiny tier's model with random weights."""
    torch.manual_seed(0)
    model, found = USPL(Config.tiny()), {}
    for n in (50, 100, 200, 400):
        with tempfile.TemporaryDirectory() as folder:
            start = _cpu(RUSAGE_CHILDREN)
            sounding_shapes(folder, train=0, val=0, test=n, workers=1, progress=False)
            made = _cpu(RUSAGE_CHILDREN) - start
            data = AVSBench(folder, "test", size=model.cfg.image_size, seconds=model.cfg.seconds)
            every = Subset(data, range(0, len(data), len(data) // n))
            evaluate.score(model, Subset(every, range(5)))
            start = _cpu(RUSAGE_SELF)
            evaluate.score(model, every)
            found[str(n)] = {"prepare": made, "evaluate": _cpu(RUSAGE_SELF) - start}
    return {"seconds_by_clips": found, "config": {"tier": "tiny", "frames": "one a clip"}}


def training(batch: int = 8) -> dict[str, Any]:
    """Processor seconds of a training step by stage, forward and backward, on all threads."""
    torch.set_num_threads(os.cpu_count() or 1)
    model = network().to(memory_format=torch.channels_last).train()
    cfg, whole = model.cfg, step(model, batch)
    image, sound, _ = clips(batch)
    keep = align.mask_locations((batch, 14, 14), delta=cfg.delta, generator=torch.Generator().manual_seed(0))
    offs = offsets(cfg.r, metric=cfg.metric)
    with torch.no_grad():
        four, f_v = model.encode_image(image)
        f_a, embedded = model.encode_sound(sound), model.audio(sound)
        m = model.on_grid(align.sounding_map(f_a, f_v))
        f_aff, m_crs = model.f_aff(four), align.sounding_map(f_a, f_v)
        y_tri = refine.trimap(model.refined(image, m), beta_l=cfg.beta_l, beta_h=cfg.beta_h)
        target = resize(model.walked(m, model.affinities(f_aff)), cfg.image_size)

    def aligned(f4: Tensor) -> Tensor:
        f_a, f_v = model.project_a(embedded), model.project_v(f4)
        align.sounding_map(f_a, f_v)
        return align.mmicl_loss(f_a, f_v, keep=keep, tau=cfg.tau)

    def refinement(fast: bool) -> dict[str, dict[str, float]]:
        twin, how = _twin(model, fast=fast), {"reduce": cfg.reduce, "balanced": cfg.balanced, "fast": fast}
        fixed: dict[str, Call] = {
            "PAMR, three-way map": lambda: refine.trimap(twin.refined(image, m), beta_l=cfg.beta_l, beta_h=cfg.beta_h),
            "affinity, walk": lambda: twin.walked(m, twin.affinities(f_aff)),
        }
        found = {name: {"forward": median(s), "backward": 0.0} for name, s in in_turn(fixed, 3).items()}
        loss: Any = partial(affinity_autograd.loss, **how)
        return found | {"labels, affinity loss": forward_backward(lambda f: loss(f, y_tri, offs), (f_aff,))}

    learned: dict[str, tuple[Callable[..., Any], tuple[Tensor, ...]]] = {
        "visual encoder": (model.visual, (image,)),
        "projectors, Eqs. 1 and 2": (aligned, (four[3],)),
        "PMV-aff": (lambda *s: model.f_aff(s), tuple(four)),
        "decoder and its loss": (lambda *s: segmentation_loss(model.segment(s, f_v, m_crs), target), tuple(four)),
    }
    frozen = median(in_turn({"sound": partial(model.audio, sound)}, 3)["sound"])
    stages = {name: forward_backward(call, inputs) for name, (call, inputs) in learned.items()}
    total = median(_timed(whole) for _ in range(3))
    numba, plain = refinement(True), refinement(False)
    spent, in_plain = (sum(sum(v.values()) for v in found.values()) for found in (numba, plain))
    return {
        "batch": batch,
        "threads": torch.get_num_threads(),
        "seconds_by_stage": {**stages, **numba, "sound encoder": {"forward": frozen, "backward": 0.0}},
        "step": total,
        "refinement": spent,
        "share": spent / total,
        "share_plain": in_plain / (total - spent + in_plain),
        "config": network_fields(),
    }


def step(model: USPL, batch: int) -> Call:
    """One step of Eq. (11): losses, gradient, Adam."""
    image, sound, _ = clips(batch)
    nothing = torch.zeros(batch, 1)
    inputs = Batch([""] * batch, image, sound, torch.zeros(batch, 224, 224), nothing.byte(), nothing)
    objective, optimizer = Objective(model), torch.optim.Adam(schedule.groups(model, model.heads(), model.cfg))

    def descend() -> None:
        optimizer.zero_grad()
        objective(inputs, torch.Generator().manual_seed(0), TrainingProgress(True, model.cfg.delta, 0.0))[
            "loss"
        ].backward()
        optimizer.step()

    descend()
    return descend


def large() -> dict[str, Any]:
    """Highest memory of a process that trains the paper's model at its batch size, 32."""
    peak = apart("step", 32)["step"] / 1024
    return {"batch": 32, "threads": os.cpu_count(), "peak_gib": peak, "config": network_fields()}


# The clocks


def in_turn(calls: dict[str, Call], rounds: int) -> dict[str, list[float]]:
    """Processor seconds of each call, after one to warm up; in turn, so that what else runs meets all alike."""
    found: dict[str, list[float]] = {name: [] for name in calls}
    with torch.inference_mode():
        repeats = {name: _repeats(call) for name, call in calls.items()}
        for k in range(rounds):
            for name in list(calls)[:: 1 if k % 2 == 0 else -1]:
                found[name].append(_timed(calls[name], repeats[name]))
    return found


def _repeats(call: Call) -> int:
    """How often a call fills 20 ms; finding out warms it up, a long call by one run."""
    first = _timed(call)
    return 1 if first > 0.5 else max(1, int(0.02 / max(_timed(call), 1e-5)))


def forward_backward(call: Callable[..., Tensor | Sequence[Tensor]], inputs: Sequence[Tensor]) -> dict[str, float]:
    """Processor seconds of a stage and of its gradient, by all of its inputs that are features."""
    times: list[tuple[float, float]] = []
    for _ in range(3):
        leaves = [x.detach().requires_grad_(x.shape[1] != 3) for x in inputs]
        start = time.process_time()
        out = call(*leaves)
        middle = time.process_time()
        outs = [out] if isinstance(out, Tensor) else list(out)
        torch.autograd.backward(outs, [torch.ones_like(o) for o in outs])
        times.append((middle - start, time.process_time() - middle))
    return {"forward": median(f for f, _ in times[1:]), "backward": median(b for _, b in times[1:])}


def apart(what: str, batch: int) -> dict[str, float]:
    """Peaks in MiB of every path, or of a training step with all it holds, from a process of their own."""
    command = [sys.executable, "-m", "benchmarks.costs", "--peaks", what, "--batch", str(batch)]
    environment = {**os.environ, **(memory.ENVIRONMENT if what == "paths" else {})}
    done = subprocess.run(command, cwd=memory.ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def peaks(what: str, batch: int) -> dict[str, float]:
    """What `apart` asks its process for."""
    if what == "paths":
        with torch.inference_mode():
            return {name: memory.peak(call) for name, call in paths(batch).items()}
    torch.set_num_threads(os.cpu_count() or 1)
    step(network().to(memory_format=torch.channels_last).train(), batch)()  # the second step holds Adam's state too
    return {"step": getrusage(RUSAGE_SELF).ru_maxrss / 1024}


def network_fields() -> dict[str, Any]:
    """What the measured model is, for its record."""
    return {"tier": "paper", "visual_weights": "none", "audio_weights": "none"}


def _twin(model: USPL, **changes: Any) -> USPL:
    """The same weights under another configuration."""
    twin = USPL.__new__(USPL)
    twin.__dict__.update(model.__dict__)
    twin.cfg = dataclasses.replace(model.cfg, **changes)
    return twin


def _timed(call: Call, times: int = 1) -> float:
    start = time.process_time()
    for _ in range(times):
        call()
    return (time.process_time() - start) / times


def _cpu(who: int) -> float:
    used = getrusage(who)
    return used.ru_utime + used.ru_stime


PARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "table3": table3,
    "stages": stages,
    "growth": growth,
    "clips": films,
    "training": training,
    "memory": large,
}


def main() -> None:
    """Measure the parts asked for, all but `memory` without a name, and write a record of each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.costs", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("part", nargs="*", help=f"{', '.join(PARTS)}; by default all but memory")
    parser.add_argument("--out", type=Path, default=results_folder(below="costs"), help="folder of the records")
    parser.add_argument("--peaks", choices=("paths", "step"), help=argparse.SUPPRESS)
    parser.add_argument("--batch", type=int, default=1, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if unknown := [p for p in options.part if p not in PARTS]:
        parser.error(f"`part` must be among {', '.join(PARTS)}; got {unknown[0]}.")
    torch.set_num_threads(1)
    if options.peaks:
        print(json.dumps(peaks(options.peaks, options.batch)))
        return
    for part in options.part or [p for p in PARTS if p != "memory"]:
        start = time.perf_counter()
        values = rounded(PARTS[part]())
        about = {"command": f"python -m benchmarks.costs {part}", "seed": 0, "processor": processor()}
        about |= {"clock": "processor", "threads": 1, "cores": os.cpu_count()}
        about["seconds"] = round(time.perf_counter() - start, 1)
        print(record.write(options.out / f"{part}.json", {**about, **values}), f"{about['seconds']} s", flush=True)
        torch.set_num_threads(1)


def rounded(values: Any) -> Any:
    """Four digits: no clock has more."""
    if isinstance(values, dict):
        return {k: rounded(v) for k, v in values.items()}
    return float(f"{values:.4g}") if isinstance(values, float) else values


if __name__ == "__main__":
    main()
