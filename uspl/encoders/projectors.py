"""Section 3.1: the two projectors into the shared space (Reading 20)."""

from torch import nn


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
