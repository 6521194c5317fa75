"""Section 3.1: the image encoders, four stages each."""

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from uspl.config import Config
from uspl.encoders.efficientnet_lite import EfficientNetLite0
from uspl.encoders.frozen import FrozenStages
from uspl.encoders.weights import fill, random_start_only

Stages = tuple[Float[Tensor, "b c1 h1 w1"], Float[Tensor, "b c2 h2 w2"], Float[Tensor, "b c3 h3 w3"], Tensor]


class ResNet50Stages(nn.Module):
    """ResNet50 whose last stage keeps its resolution, with the outputs of all four stages.

    The names of its parameters are torchvision's; a published file loads unchanged, its classifier `fc` left aside.
    224 x 224 pixels give 56 x 56 x 256, 28 x 28 x 512, 14 x 14 x 1024 and 14 x 14 x 2048.

    >>> import torch
    >>> with torch.device("meta"):
    ...     stages = ResNet50Stages()(torch.empty(1, 3, 224, 224))
    >>> [tuple(f.shape[1:]) for f in stages]
    [(256, 56, 56), (512, 28, 28), (1024, 14, 14), (2048, 14, 14)]
    """

    widths = (256, 512, 1024, 2048)

    def __init__(self) -> None:
        super().__init__()
        from torchvision.models import resnet50  # half of what `import uspl.model` would take

        net = resnet50(weights=None)
        net.layer4[0].conv2.stride = (1, 1)
        net.layer4[0].downsample[0].stride = (1, 1)
        self.conv1, self.bn1, self.relu, self.maxpool = net.conv1, net.bn1, net.relu, net.maxpool
        self.layer1, self.layer2, self.layer3, self.layer4 = net.layer1, net.layer2, net.layer3, net.layer4
        self.register_load_state_dict_pre_hook(_without_classifier)  # type: ignore[no-untyped-call]

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> Stages:
        """image (B, 3, H, W): ImageNet-normalised. Returns stages of strides 4, 8, 16 and 16."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(image))))
        f1 = self.layer1(x)
        f2 = self.layer2(f1)
        f3 = self.layer3(f2)
        return f1, f2, f3, self.layer4(f3)


class TinyResNet(nn.Module):
    """The small twin of `ResNet50Stages`: basic blocks, a stem without pooling, the same four grids at half size.

    112 x 112 pixels give 56 x 56, 28 x 28, 14 x 14 and 14 x 14: strides 2, 4, 8 and 8.

    Args:
        widths: channels of the four stages.
        blocks: basic blocks in each stage.
    """

    def __init__(
        self, widths: tuple[int, int, int, int] = (24, 48, 96, 192), blocks: tuple[int, int, int, int] = (1, 1, 1, 1)
    ) -> None:
        super().__init__()
        self.widths = widths
        self.stem = nn.Sequential(_conv(3, widths[0], 5, stride=2), nn.BatchNorm2d(widths[0]), nn.ReLU(inplace=True))
        stages, c_in = [], widths[0]
        for c_out, stride, side, count in zip(widths, (1, 2, 2, 1), (3, 3, 3, 1), blocks, strict=True):
            stages.append(_stage(c_in, c_out, count, stride, side=side))
            c_in = c_out
        self.stages = nn.ModuleList(stages)

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> Stages:
        """image (B, 3, H, W): ImageNet-normalised. Returns the four stages."""
        x, out = self.stem(image), []
        for stage in self.stages:
            x = stage(x)
            out.append(x)
        return out[0], out[1], out[2], out[3]


class BasicBlock(nn.Module):
    """Two convolutions of 3x3 and a shortcut; the names of its parameters are torchvision's."""

    def __init__(self, c_in: int, c_out: int, stride: int = 1, downsample: nn.Module | None = None) -> None:
        super().__init__()
        self.conv1, self.bn1 = _conv(c_in, c_out, 3, stride=stride), nn.BatchNorm2d(c_out)
        self.relu = nn.ReLU(inplace=True)
        self.conv2, self.bn2 = _conv(c_out, c_out, 3), nn.BatchNorm2d(c_out)
        self.downsample = downsample

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d p q"]:
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        y += x if self.downsample is None else self.downsample(x)  # in torchvision's order: gradients keep their bits
        return self.relu(y)  # type: ignore[no-any-return]


def visual_encoder(cfg: Config) -> Any:
    """The image encoder of a configuration, with its weights; `.widths` holds the channels of the four stages.

    Raises:
        ValueError: `visual_weights` is not "none" for the tiny network, or the file holds other parameters.
        FileNotFoundError: the weights are not there; the sentence says where to get them.
    """
    if cfg.visual == "tiny":
        random_start_only("visual_weights", cfg.visual_weights)
        return TinyResNet(cfg.widths)
    net: nn.Module = EfficientNetLite0() if cfg.visual == "lite0" else ResNet50Stages()
    fill(net, cfg.visual_weights, "lite0" if cfg.visual == "lite0" else "resnet50")
    return net if cfg.finetune_visual else FrozenStages(net, published=cfg.visual_weights != "none")


def _conv(c_in: int, c_out: int, side: int, *, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(c_in, c_out, side, stride=stride, padding=side // 2, bias=False)


def _stage(c_in: int, c_out: int, count: int, stride: int, *, side: int = 3) -> nn.Sequential:
    """`count` basic blocks; the first changes width and resolution, its shortcut by a 1x1 convolution.

    `side` 1 makes all convolutions 1x1: the stage is deeper, its receptive field is not.
    """
    short = None
    if stride != 1 or c_in != c_out:
        short = nn.Sequential(_conv(c_in, c_out, 1, stride=stride), nn.BatchNorm2d(c_out))
    rest = (BasicBlock(c_out, c_out) for _ in range(count - 1))
    stage = nn.Sequential(BasicBlock(c_in, c_out, stride, short), *rest)
    if side == 1:
        for block, width in zip(stage, (c_in, *[c_out] * (count - 1)), strict=True):
            block.conv1, block.conv2 = _conv(width, c_out, 1, stride=stride), _conv(c_out, c_out, 1)
    return stage


def _without_classifier(module: nn.Module, state: dict[str, Tensor], prefix: str, *_: Any) -> None:
    """Drop the published classifier, which the stages do not have."""
    state.pop(f"{prefix}fc.weight", None)
    state.pop(f"{prefix}fc.bias", None)
