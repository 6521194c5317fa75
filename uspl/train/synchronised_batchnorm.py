"""BatchNorm over the batches of all processes, with the layers and their names left as they are."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from uspl.core.ranks import Ranks


@contextmanager
def synchronised(model: nn.Module, ranks: Ranks) -> Iterator[None]:
    """Inside, each BatchNorm that trains takes mean and variance over the rows of all processes."""
    layers: list[Any] = (
        [m for m in model.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)] if ranks.world > 1 else []
    )
    for layer in layers:
        # A partial, not a closure: a copy of the model then normalises with the copy's own numbers.
        if layer.running_mean is not None and layer.running_mean.is_cuda:
            twin = nn.SyncBatchNorm.convert_sync_batchnorm(layer)  # shares the parameters and the statistics
            layer.forward = partial(_as_twin, layer, twin)
        else:
            layer.forward = partial(_normalised, layer, ranks)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _as_twin(layer: nn.Module, twin: nn.Module, x: Tensor) -> Tensor:
    """PyTorch's own synchronised layer, which needs a GPU."""
    found: Tensor = twin.train(layer.training)(x)
    return found


def _normalised(layer: Any, ranks: Ranks, x: Tensor) -> Tensor:
    """What `layer` gives where its batch is that of all processes, each of which has as many rows."""
    if not layer.training:
        return type(layer).forward(layer, x)  # type: ignore[no-any-return]
    rest, shape = [d for d in range(x.dim()) if d != 1], [1, -1, *[1] * (x.dim() - 2)]
    values = x if x.dtype == torch.float64 else x.float()
    mean = ranks.sum(values.mean(rest)) / ranks.world
    centred = values - mean.view(shape)
    variance = ranks.sum(centred.square().mean(rest)) / ranks.world
    with torch.no_grad():
        n = x.numel() // x.shape[1] * ranks.world
        layer.num_batches_tracked.add_(1)
        layer.running_mean.lerp_(mean.to(layer.running_mean), layer.momentum)
        layer.running_var.lerp_((variance * (n / max(n - 1, 1))).to(layer.running_var), layer.momentum)
    found: Tensor = centred * (variance + layer.eps).rsqrt().view(shape)
    if layer.affine:
        found = found * layer.weight.view(shape) + layer.bias.view(shape)
    return found.to(x.dtype)
