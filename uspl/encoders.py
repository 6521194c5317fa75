"""Encoders and projectors, section 3.1 and Fig. 3: image to four stages, sound to 128 numbers, both to one space."""

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models import resnet50
from torchvision.models.resnet import BasicBlock

from uspl.config import Config
from uspl.weights import fill, random_start_only

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


class VGGish(nn.Module):
    """VGGish of AudioSet: log-mel patches to 128 non-negative numbers; names as in `vggish-10086976.pth`.

    The post-processing (PCA, 8 bit) of the original is left out, as in AVSBench. 72,141,184 parameters.
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        c_in = 1
        for item in (64, "M", 128, "M", 256, 256, "M", 512, 512, "M"):
            if isinstance(item, int):
                layers += [nn.Conv2d(c_in, item, 3, padding=1), nn.ReLU(inplace=True)]
                c_in = item
            else:
                layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.embeddings = nn.Sequential(
            nn.Linear(512 * 6 * 4, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 128), nn.ReLU()
        )

    def forward(self, patches: Float[Tensor, "n 1 96 64"]) -> Float[Tensor, "n 128"]:
        """patches (N, 1, 96, 64): log-mel of `audio.vggish_patches`. Returns (N, 128)."""
        x = self.features(patches)  # (N, 512, 6, 4)
        return self.embeddings(x.permute(0, 2, 3, 1).flatten(1))  # type: ignore[no-any-return]


class TinySound(nn.Module):
    """The small twin of `VGGish`: four convolutions with pooling between them, then one linear layer."""

    def __init__(self, widths: tuple[int, int, int, int] = (16, 32, 64, 96)) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for c_in, c_out in zip((1, *widths), widths, strict=False):
            layers += [_conv(c_in, c_out, 3), nn.BatchNorm2d(c_out), nn.ReLU(inplace=True), nn.MaxPool2d(2)]
        self.features = nn.Sequential(*layers)
        self.embedding = nn.Sequential(nn.Linear(widths[-1] * 6 * 4, 128), nn.ReLU())

    def forward(self, patches: Float[Tensor, "n 1 96 64"]) -> Float[Tensor, "n 128"]:
        """patches (N, 1, 96, 64): log-mel of `audio.vggish_patches`. Returns (N, 128)."""
        return self.embedding(self.features(patches).flatten(1))  # type: ignore[no-any-return]


class SpectrogramNet(nn.Module):
    """Reading 11: 257 x T log spectrogram to 128 numbers, by basic blocks and a mean over time in four bands."""

    def __init__(self, widths: tuple[int, int, int, int]) -> None:
        super().__init__()
        stem = [_conv(1, widths[0], 7, stride=2), nn.BatchNorm2d(widths[0]), nn.ReLU(inplace=True), nn.MaxPool2d(2)]
        steps = zip((widths[0], *widths), widths, (1, 2, 2, 2), strict=False)
        self.features = nn.Sequential(*stem, *(_stage(c_in, c_out, 1, stride) for c_in, c_out, stride in steps))
        self.embedding = nn.Sequential(nn.AdaptiveAvgPool2d((4, 1)), nn.Flatten(), nn.Linear(4 * widths[-1], 128))

    def forward(self, spectrogram: Float[Tensor, "b 1 257 t"]) -> Float[Tensor, "b 128"]:
        """spectrogram (B, 1, 257, T): of `audio.log_spectrogram`, divided by 12 here as the peers do."""
        return self.embedding(self.features(spectrogram / 12)).relu()  # type: ignore[no-any-return]


class AudioEncoder(nn.Module):
    """One 128-d embedding per sound: the mean over its patches, or the network itself on a spectrogram.

    Reading 12: a frozen network takes no gradient and stays in eval mode whatever `train()` is told.
    """

    dim = 128

    def __init__(self, net: nn.Module, *, frozen: bool) -> None:
        super().__init__()
        self.net, self.frozen = net, frozen
        if frozen:
            net.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> "AudioEncoder":
        """As `nn.Module.train`, except that a frozen network stays in eval mode."""
        super().train(mode)
        if self.frozen:
            self.net.eval()
        return self

    def forward(
        self, sound: Float[Tensor, "b n 1 96 64"] | Float[Tensor, "b 1 257 t"] | Float[Tensor, "b 128"]
    ) -> Float[Tensor, "b 128"]:
        """sound: patches (B, N, 1, 96, 64) or spectrogram (B, 1, 257, T); f_a itself, see `kept`, is returned as it is.

        Returns f_a before projection, (B, 128).
        """
        if sound.ndim == 2:
            return sound
        if sound.ndim == 4:
            return self.net(sound)  # type: ignore[no-any-return]
        b, n = sound.shape[:2]
        return self.net(sound.flatten(0, 1)).view(b, n, -1).mean(1)  # type: ignore[no-any-return]


class VisualProjector(nn.Sequential):
    """Reading 20: (B, C, h, w) -> (B, dim, h, w) by a 1x1 convolution, or by two with a ReLU between ("mlp")."""

    def __init__(self, c_in: int, dim: int, *, kind: str = "conv", norm: bool = False) -> None:
        layers: list[nn.Module] = [nn.Conv2d(c_in, dim, 1)]
        if kind == "mlp":
            layers += [nn.ReLU(inplace=True), nn.Conv2d(dim, dim, 1)]
        super().__init__(*layers, *([nn.BatchNorm2d(dim, affine=False)] if norm else []))


class SoundProjector(nn.Sequential):
    """Reading 20: (B, 128) -> (B, dim) by two linear layers with a ReLU between."""

    def __init__(self, c_in: int, dim: int, *, norm: bool = False) -> None:
        layers: list[nn.Module] = [nn.Linear(c_in, dim), nn.ReLU(inplace=True), nn.Linear(dim, dim)]
        super().__init__(*layers, *([nn.BatchNorm1d(dim, affine=False)] if norm else []))


def visual_encoder(cfg: Config) -> ResNet50Stages | TinyResNet:
    """The image encoder of a configuration, with its weights; `.widths` holds the channels of the four stages.

    Raises:
        ValueError: `visual_weights` is not "none" for the tiny network, or the file holds other parameters.
        FileNotFoundError: the weights are not there; the sentence says where to get them.
    """
    if cfg.visual == "tiny":
        random_start_only("visual_weights", cfg.visual_weights)
        return TinyResNet(cfg.widths)
    net = ResNet50Stages()
    fill(net, cfg.visual_weights, "resnet50")
    return net


def audio_encoder(cfg: Config) -> AudioEncoder:
    """The sound encoder of a configuration, with its weights; `.dim` is 128. Raises as `visual_encoder`.

    With `front_end="spectrogram"` there are no published weights: it starts at random and is always trained.
    """
    small = cfg.audio == "tiny"
    if cfg.front_end == "spectrogram":
        return AudioEncoder(SpectrogramNet((16, 32, 64, 96) if small else (64, 128, 256, 512)), frozen=False)
    if small:
        random_start_only("audio_weights", cfg.audio_weights)
        return AudioEncoder(TinySound(), frozen=not cfg.finetune_audio)
    net = VGGish()
    fill(net, cfg.audio_weights, "vggish")
    return AudioEncoder(net, frozen=not cfg.finetune_audio)


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
