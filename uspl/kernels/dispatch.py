"""Numba kernels on the CPU behind `refine`, `affinity` and `walk`: the same numbers, several times as fast.

They are taken by themselves for float32 and float64 tensors on the CPU, unless `fast=False` is passed (`Config.fast`)
or the environment says `USPL_FAST=0`; the refinement leaves them where a gradient of its map is asked for. Images of a
batch are spread over `torch.get_num_threads()` threads. A C++ extension would need a compiler on the reader's machine;
numba brings its own.
"""

import functools
import importlib.util
import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

log = logging.getLogger(__name__)


def usable(*tensors: Tensor) -> bool:
    """Can the kernels take these tensors, and are they wanted?"""
    if os.environ.get("USPL_FAST", "1") == "0" or torch.compiler.is_compiling() or not _there():
        return False
    kinds = {(x.device.type, x.dtype) for x in tensors if x.is_floating_point()}
    plain = kinds in ({("cpu", torch.float32)}, {("cpu", torch.float64)})
    return plain and not any(torch._C._functorch.is_functorch_wrapped_tensor(x) for x in tensors)


def distance(f: Tensor, offs: Tensor, scale: float) -> Tensor:
    """L1 distances times `scale` (B, K, h, w) of features (B, h, w, C) to their neighbours; infinite outside."""
    kernel, d = _of_pairs().distance, f.new_empty(f.shape[0], len(offs), *f.shape[1:3])
    _each(lambda *a: kernel(a[0], offs.numpy(), scale, a[1]), f, d)
    return d


def distance_gradient(f: Tensor, offs: Tensor, grad: Tensor, like: float, unlike: float) -> Tensor:
    """Gradient (B, h, w, C) where `grad` (B, K, h, w) is that of the distances, times `like` or, below 0, `unlike`."""
    kernel, out = _of_pairs().distance_gradient, torch.zeros_like(f)
    _each(lambda *a: kernel(a[0], offs.numpy(), a[1], like, unlike, a[2]), f, grad, out)
    return out


def loss(f: Tensor, y_tri: Tensor, offs: Tensor, scale: float, least: float) -> tuple[Tensor, Tensor]:
    """Sums of Eq. (6) (4,): -log A over like pairs, -log(1 - A) over unlike pairs, their numbers; and the gradient of
    these sums by the distances, times `scale`, (B, K, h, w)."""
    kernel, g = _of_pairs().loss, f.new_empty(f.shape[0], len(offs), *f.shape[1:3])
    sums = torch.zeros(len(f), 4, dtype=torch.float64)
    _each(lambda *a: kernel(a[0], a[1], offs.numpy(), scale, least, a[2], a[3]), f, y_tri, g, sums)
    return sums.sum(0), g


def fine(m: Tensor, a: Tensor, offs: Tensor, beta: float, r: int, steps: int) -> Tensor:
    """The whole of Eqs. (7) and (8) without a gradient, image by image: maps (B, h, w), affinities (B, K, h, w).

    Maps whose affinities are expanded from one image's walk together: the weights are made and fetched once for all.
    """
    kernels, moves, out = _of_maps(), offs.numpy(), torch.empty_like(m, memory_format=torch.contiguous_format)
    (h, w), k = m.shape[1:], len(offs)

    def prepared(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        weights, degree = np.zeros((k, h + 2 * r, w + 2 * r), a.dtype), np.empty((h + 2 * r, w + 2 * r), a.dtype)
        kernels.power(a, moves, beta, r, weights)
        kernels.degree(weights, moves, r, degree)
        return weights, degree

    shared = prepared(a[0].contiguous().numpy()) if len(a) > 1 and a.stride(0) == 0 else None
    runs = min(torch.get_num_threads(), len(m)) if shared else len(m)

    def some(m: np.ndarray, a: np.ndarray, out: np.ndarray) -> None:
        weights, degree = shared or prepared(a[0])
        maps = np.zeros((2, len(m), h + 2 * r, w + 2 * r), m.dtype)
        maps[0, :, r : r + h, r : r + w] = m
        kernels.walk(weights, moves, degree, r, steps, maps)
        out[:] = maps[steps % 2, :, r : r + h, r : r + w]

    if len(m):
        _each(some, m.tensor_split(runs), a[:runs].split(1), out.tensor_split(runs))
    return out


def walk(weights: Tensor, offs: Tensor, degree: Tensor, r: int, maps: Tensor, steps: int) -> None:
    """Fill maps[:, s + 1] from maps[:, s], index modulo their number; weights and maps are padded by r with zeros."""
    kernel = _of_maps().walk
    _each(lambda *a: kernel(a[0], offs.numpy(), a[1], r, steps, a[2]), weights, degree, maps.unsqueeze(2))


def walk_gradient(weights: Tensor, offs: Tensor, degree: Tensor, r: int, maps: Tensor, grad: Tensor) -> Tensor:
    """Gradient of the weights; `grad`, that of the last of `maps`, becomes that of the first; all padded by r."""
    kernel, pull = _of_maps().walk_gradient, torch.zeros_like(weights)
    _each(lambda *a: kernel(a[0], offs.numpy(), a[1], r, a[2], a[3], a[4]), weights, degree, maps, grad, pull)
    return pull


class ColourAffinity(NamedTuple):
    """How the weights of a refinement follow from colours: softmax of -mean over channels of (|d| * scale) ** power,
    scale = 1 / (factor * local standard deviation + least); and what position adds to them."""

    power: int
    factor: float
    least: float
    with_centre: bool  # the centre counts in the standard deviation, once per dilation
    by_position: Tensor | None = None  # (N,)


def refined(image: Tensor, m: Tensor, colours: ColourAffinity, iterations: int, dilations: Sequence[int]) -> Tensor:
    """`iterations` of the refinement by images (B, 3, H, W), of maps (B, K, H, W), without a gradient."""
    kernels, reach, pad = _of_maps(), np.array(dilations), max(dilations)
    out = torch.empty_like(m, memory_format=torch.contiguous_format)
    added = 0 if colours.by_position is None else colours.by_position.numpy()[:, None, None]

    def one(image: np.ndarray, m: np.ndarray, out: np.ndarray) -> None:
        guide, scale = kernels.padded(image, pad), np.empty_like(image)
        weights = np.empty((8 * len(reach), *image.shape[1:]), image.dtype)
        kernels.spread(guide, reach, int(colours.with_centre), scale)
        scale = 1 / (colours.factor * scale + colours.least)
        kernels.colour_logits(guide, reach, scale, colours.power, weights)
        np.exp(weights, out=weights)
        weights /= weights.sum(0)
        weights += added
        out[:] = m
        for _ in range(iterations):
            kernels.gather(kernels.padded(out, pad), reach, weights, out)

    _each(one, image, m, out)
    return out


def _each(call: Callable[..., None], *tensors: Tensor | Sequence[Tensor]) -> None:
    """`call` on image after image of the tensors, as arrays in C order; each thread takes a run of images."""
    images = list(zip(*([image.detach().contiguous().numpy() for image in x] for x in tensors), strict=True))
    threads = min(torch.get_num_threads(), len(images))

    def run(first: int) -> None:
        for parts in images[first::threads]:
            call(*parts)

    if threads < 2:
        for parts in images:
            call(*parts)
    else:
        list(_pool(threads, os.getpid()).map(run, range(threads)))


@functools.lru_cache(maxsize=4)
def _pool(threads: int, process: int) -> ThreadPoolExecutor:
    """Threads do not survive a fork: each process has its own."""
    return ThreadPoolExecutor(threads, thread_name_prefix=f"uspl-{process}")


@functools.cache
def _there() -> bool:
    return importlib.util.find_spec("numba") is not None


@functools.cache
def _of_pairs() -> ModuleType:
    _announce()
    from uspl.kernels import numba_affinity

    return numba_affinity


@functools.cache
def _of_maps() -> ModuleType:
    _announce()
    from uspl.kernels import numba_maps

    return numba_maps


@functools.cache
def _announce() -> None:
    """Once in a process, a line says that kernels are being compiled; those found in numba's cache are not."""
    from numba.core import event

    class Announce(event.Listener):
        said = False

        def on_start(self, event: Any) -> None:
            if not Announce.said:
                log.info("Compiling the CPU kernels, some seconds each; later runs find them in a cache.")
            Announce.said = True

        def on_end(self, event: Any) -> None:
            pass

    event.register("numba:compile", Announce())
