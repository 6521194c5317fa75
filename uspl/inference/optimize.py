"""A trained model made ready to run: BatchNorm folded, channels last, half precision or compilation where asked for."""

import copy
import itertools
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

M = TypeVar("M", bound=nn.Module)
_COMPILERS = ("g++", "clang++", "c++", "cl")  # what `torch.compile` looks for on a CPU


def for_inference(model: M, *, precision: str = "fp32", compile: bool = False) -> M:
    r"""A copy of a model that gives the same maps in less time and cannot be trained; the model itself stays as it is.

    Every BatchNorm is folded into the layer before it, whose output it scales and shifts by constants:

    .. math:: W' = s W, \quad b' = s (b - \mu) + \beta, \quad s = \gamma / \sqrt{v + \epsilon}

    Args:
        model: `USPL` or a peer, in any mode, on any device; copied with its device.
        precision: "fp32"; or "bf16", the weights of all convolutions and linear layers in 16 bits, where the processor
            or GPU computes with them. Cosines, affinities, walk and logits stay in float32.
        compile: let `torch.compile` write code for the encoders, PMV-aff and the decoder. It costs tens of seconds at
            the first batch of each size, and pays on a GPU or for thousands of images.

    Returns:
        The copy, in eval mode, channels last, without gradients.

    Raises:
        ValueError: an unknown `precision`, "bf16" on a machine without it, or `compile` without a C++ compiler.

    >>> from uspl.config import Config
    >>> from uspl.model import USPL
    >>> ready = for_inference(USPL(Config.tiny()))
    >>> any(isinstance(layer, nn.BatchNorm2d) for layer in ready.modules())
    False
    """
    if precision not in ("fp32", "bf16"):
        raise ValueError(f"`precision` must be 'fp32' or 'bf16'; got {precision!r}.")
    device = next(model.parameters()).device
    if precision == "bf16" and not has_bf16(device):
        raise ValueError(f"`precision` is 'bf16', but this {device.type} does not compute with it; take 'fp32'.")
    if compile and not any(map(shutil.which, (os.environ.get("CXX", _COMPILERS[0]), *_COMPILERS))):
        raise ValueError(
            "`compile` is True, but no C++ compiler is on the path; install g++ or clang++, or take False."
        )
    ready = copy.deepcopy(model).eval().requires_grad_(False)
    for parent, layer, norm in _pairs(ready):
        _fold(parent, layer, norm)
    ready.to(memory_format=torch.channels_last)
    for part in ready.modules():
        if isinstance(part, nn.Conv2d) and part.kernel_size == (1, 1) and device.type == "cpu":
            # One tap has nothing to spread: the maps are the same. But on one thread PyTorch leaves oneDNN aside for
            # plain 1x1 convolutions, and half of a ResNet50 then takes twice the time.
            part.dilation = (2, 2)
        if isinstance(part, nn.Conv2d | nn.Linear) and precision == "bf16":
            part.to(torch.bfloat16).register_forward_pre_hook(_in_bf16)
    if compile:
        whole: Any = ready
        sps: Any = whole.sps
        parts: list[Any] = [whole.visual, whole.audio, whole.project_v, whole.pmv_aff, sps]
        for part in parts:
            part.forward = _compiled(part.forward)
        sps.sides, decode = _compiled(sps.sides), sps.forward
        sps.forward = lambda stages, sides=None: decode(stages, sps.sides(stages) if sides is None else sides)
    return ready


def as_ready(model: M, *, precision: str = "fp32") -> M:
    """The model itself where `for_inference` made it, otherwise such a copy."""
    return model if is_ready(model) else for_inference(model, precision=precision)


def has_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bf16 numbers by instructions of its own; emulated they are slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    can: Mapping[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(can.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def is_ready(model: nn.Module) -> bool:
    """Whether `for_inference` made this model."""
    return not any(p.requires_grad for p in model.parameters()) and not any(_pairs(model))


def _compiled(call: Callable[..., Any]) -> Callable[..., Any]:
    from torch._inductor import config

    compiled = torch.compile(call)

    def run(*inputs: Any) -> Any:
        with config.patch(freezing=True):  # weights are constants, laid out once as the processor wants them
            return compiled(*inputs)

    return run


def _pairs(model: nn.Module) -> Iterator[tuple[nn.Module, str, str]]:
    """(parent, layer, norm): names of each BatchNorm and of the layer whose output it takes."""
    for parent in list(model.modules()):
        names = list(parent._modules)
        if isinstance(parent, nn.Sequential):
            couples = list(itertools.pairwise(names))
        else:  # torchvision's blocks and stem: bn1 follows conv1
            couples = [(f"conv{name[2:]}", name) for name in names if name.startswith("bn")]
        for layer, norm in couples:
            if isinstance(parent._modules[norm], nn.BatchNorm1d | nn.BatchNorm2d):
                yield parent, layer, norm


def _fold(parent: nn.Module, layer: str, norm: str) -> None:
    conv: Any = parent.get_submodule(layer)
    bn: Any = parent.get_submodule(norm)
    conv.weight, conv.bias = fuse_conv_bn_weights(
        conv.weight, conv.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias
    )
    parent.set_submodule(norm, nn.Identity())


def _in_bf16(_: nn.Module, args: tuple[Tensor]) -> Tensor:
    return args[0].to(torch.bfloat16)
