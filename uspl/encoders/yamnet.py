"""YAMNet (Plakal and Ellis, 2020) of AudioSet: MobileNet v1 on log-mel patches, 1024 numbers and 521 classes."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from uspl.encoders.efficientnet_lite import SameConv2d

BLOCKS = ((1, 64), (2, 128), (1, 128), (2, 256), (1, 256), (2, 512), *[(1, 512)] * 5, (2, 1024), (1, 1024))
ROOT = "layer-1/layer/_func/_yamnet/layer_with_weights-{}/{}/.ATTRIBUTES/VARIABLE_VALUE"
CLASSES = 521


class YAMNet(nn.Module):
    """Log-mel patches to the mean over time and frequency of the last features.

    The first convolution is followed by 13 depthwise-separable blocks, padded "same" as TensorFlow pads; BatchNorm has
    no scale.

    >>> with torch.device("meta"):
    ...     YAMNet()(torch.empty(2, 1, 96, 64)).shape
    torch.Size([2, 1024])
    """

    dim = 1024

    def __init__(self) -> None:
        super().__init__()
        convs, norms, c_in = [SameConv2d(1, 32, 3, stride=2)], [_Norm(32)], 32
        for stride, c_out in BLOCKS:
            convs += [SameConv2d(c_in, c_in, 3, stride=stride, groups=c_in), SameConv2d(c_in, c_out, 1)]
            norms += [_Norm(c_in), _Norm(c_out)]
            c_in = c_out
        self.convs, self.norms = nn.ModuleList(convs), nn.ModuleList(norms)
        self.classifier = nn.Linear(1024, CLASSES)

    def forward(self, patches: Float[Tensor, "n 1 96 64"]) -> Float[Tensor, "n 1024"]:
        """patches (N, 1, 96, 64): log-mel of `audio.yamnet_patches`. Returns (N, 1024), not negative."""
        x: Tensor = patches
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.relu(norm(conv(x)))
        return x.mean((2, 3))

    def classify(self, patches: Float[Tensor, "n 1 96 64"]) -> Float[Tensor, "n 521"]:
        """Probability of each AudioSet class; a sound may have several."""
        scores: Tensor = self.classifier(self(patches)).sigmoid()
        return scores


class _Norm(nn.Module):
    """BatchNorm of a frozen network, with an offset and no scale, as published."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(width))
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_var", torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        mean, var = self.get_buffer("running_mean"), self.get_buffer("running_var")
        return F.batch_norm(x, mean, var, None, self.bias, eps=1e-4)


def convert(held: Mapping[str, npt.NDArray[np.float32]]) -> dict[str, Tensor]:
    """The tensors of a TensorFlow checkpoint of YAMNet under the names of `YAMNet`.

    Args:
        held: of `tf_checkpoint.read`.

    Raises:
        ValueError: a tensor is missing or of another shape, with its name.
    """
    state, layer = {}, 0

    def take(name: str, shape: tuple[int, ...]) -> Tensor:
        full = ROOT.format(layer, name)
        if full not in held or held[full].shape != shape:
            got = held[full].shape if full in held else "nothing"
            raise ValueError(f"a checkpoint of YAMNet must hold `{full}` {shape}; got {got}.")
        return torch.from_numpy(held[full].copy())

    with torch.device("meta"):
        net = YAMNet()
    for i in range(len(net.convs)):
        c_out, c_in, side = net.get_parameter(f"convs.{i}.weight").shape[:3]
        deep = i > 0 and side == 3  # TensorFlow has (h, w, channels, 1) for a depthwise kernel
        kernel = take("depthwise_kernel", (3, 3, c_out, 1)) if deep else take("kernel", (side, side, c_in, c_out))
        state[f"convs.{i}.weight"] = kernel.permute(2, 3, 0, 1) if deep else kernel.permute(3, 2, 0, 1)
        layer += 1
        for ours, theirs in (("bias", "beta"), ("running_mean", "moving_mean"), ("running_var", "moving_variance")):
            state[f"norms.{i}.{ours}"] = take(theirs, (c_out,))
        layer += 1
    state["classifier.weight"] = take("kernel", (1024, CLASSES)).T
    state["classifier.bias"] = take("bias", (CLASSES,))
    return {name: tensor.contiguous() for name, tensor in state.items()}
