"""Every way from a batch to a map, prepared for inference, and the most memory that one holds."""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from resource import RUSAGE_SELF, getrusage

import torch
from torch import Tensor

from benchmarks.machine import without_numba
from benchmarks.ratios import memory, naive
from benchmarks.ratios.network import by_matrices, decoded, encoded, network, step
from benchmarks.ratios.timing import Call
from uspl.inference.optimize import for_inference
from uspl.model import USPL

BOTH = {"smr": "m_fine", "sps": "m"}


def clips(n: int, side: int = 224) -> tuple[Tensor, Tensor, Tensor]:
    """Images (N, 3, S, S), sounds as log-mel patches (N, 1, 1, 96, 64), and what VGGish makes of them (N, 128)."""
    generator = torch.Generator().manual_seed(0)
    shapes = ((n, 3, side, side), (n, 1, 1, 96, 64), (n, 128))
    image, sound, embedded = (torch.randn(shape, generator=generator) for shape in shapes)
    return image, sound, embedded.abs()


def coarse(model: USPL, image: Tensor, embedded: Tensor) -> tuple[Sequence[Tensor], Tensor, Tensor]:
    """Image and embedded sound -> stages, F_v, M_crs."""
    return encoded(model, image, model.project_a(embedded))


def mapped(model: USPL, image: Tensor, embedded: Tensor, wanted: str) -> Tensor:
    """To one map of `USPL.decode`."""
    return decoded(model, image, model.project_a(embedded), wanted)


def labelled(model: USPL, image: Tensor, embedded: Tensor) -> Tensor:
    """To the fine map, and to the three-way map of Eq. (5), which training needs."""
    found = model.decode(*coarse(model, image, embedded), ("m_norm", "m_fine"))
    model.pseudo_labels(image, found["m_norm"])
    return found["m_fine"]


def three(model: USPL, image: Tensor, embedded: Tensor) -> dict[str, Call]:
    """The three rows of Table 3."""
    maps = {name: partial(mapped, model, image, embedded, wanted) for name, wanted in BOTH.items()}
    return {"coarse": partial(coarse, model, image, embedded), **maps}


def paths(batch: int) -> dict[str, Call]:
    """Every way from a batch to a map."""
    image, sound, embedded = clips(batch)
    ready = for_inference(network())
    found = three(ready, image, embedded) | {
        "smr-plain": without_numba(partial(mapped, ready, image, embedded, "m_fine")),
        "smr-labels": partial(labelled, ready, image, embedded),
        "vggish": partial(ready.audio, sound),
    }
    if batch == 1:
        cfg = ready.cfg
        near = naive.near(cfg.map_size, cfg.map_size, cfg.r, cfg.metric)
        found["smr-dense"] = lambda: by_matrices(ready, image, ready.project_a(embedded), near)
    return found


def apart(what: str, batch: int) -> dict[str, float]:
    """`peaks` from a process of its own."""
    command = [sys.executable, "-m", "benchmarks.costs.paths", what, "--batch", str(batch)]
    environment = {**os.environ, **(memory.ENVIRONMENT if what == "paths" else {})}
    done = subprocess.run(command, cwd=memory.ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def peaks(what: str, batch: int) -> dict[str, float]:
    """Peaks in MiB of every path, or of a training step with all it holds."""
    if what == "paths":
        with torch.inference_mode():
            return {name: memory.peak(call) for name, call in paths(batch).items()}
    torch.set_num_threads(os.cpu_count() or 1)
    image, sound, _ = clips(batch)
    once = step(network().to(memory_format=torch.channels_last).train(), image, sound)
    for _ in range(2):  # the second step holds Adam's state too
        once()
    return {"step": getrusage(RUSAGE_SELF).ru_maxrss / 1024}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=peaks.__doc__)
    parser.add_argument("what", choices=("paths", "step"))
    parser.add_argument("--batch", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(json.dumps(peaks(options.what, options.batch)))
