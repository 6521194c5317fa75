"""EfficientNet-Lite0 (Tan and Le, ICML 2019, without squeeze-and-excite) of ImageNet, as four stages."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

Stages = tuple[Tensor, Tensor, Tensor, Tensor]

# expansion, kernel, stride, channels, how many: the rows of the published network.
ROWS = (
    *((1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3)),
    *((6, 5, 1, 112, 3), (6, 5, 2, 192, 4), (6, 3, 1, 320, 1)),
)
ENDS = (2, 4, 10, 15)  # last block of each of the four stages: 24, 40, 112 and 320 channels
EPS = 1e-3  # of the published BatchNorm


class SameConv2d(nn.Conv2d):
    """A convolution padded as TensorFlow's "same", by what the input lacks.

    With stride 2 on an even side the padding is odd: TensorFlow adds the odd row below and the odd column on the right,
    so that a location looks half a pixel of its input too far down and to the right. At strides 1, 2, 4 and 8 that adds
    up to 7.5 pixels of the image, half a cell of the 14 x 14 grid. `flipped` adds them above and on the left, half a
    pixel the other way.
    """

    def __init__(self, c_in: int, c_out: int, side: int, *, stride: int = 1, groups: int = 1, flipped: bool = False):
        super().__init__(c_in, c_out, side, stride=stride, groups=groups, bias=False)
        self.flipped = flipped

    def forward(self, x: Tensor) -> Tensor:
        """(B, c_in, h, w) -> (B, c_out, ceil(h / stride), ceil(w / stride))."""
        pads: list[int] = []
        for n in (x.shape[3], x.shape[2]):
            lack = max((-(-n // self.stride[0]) - 1) * self.stride[0] + self.kernel_size[0] - n, 0)
            first = lack - lack // 2 if self.flipped else lack // 2
            pads += [first, lack - first]
        out: Tensor = self._conv_forward(F.pad(x, pads), self.weight, None)
        return out


class Block(nn.Module):
    """MBConv: 1x1 to more channels, depthwise, 1x1 to fewer without activation; a shortcut where shapes allow."""

    def __init__(self, c_in: int, c_out: int, *, expansion: int, side: int, stride: int, flipped: bool) -> None:
        super().__init__()
        wide = c_in * expansion
        if expansion > 1:
            self._expand_conv = nn.Conv2d(c_in, wide, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(wide, eps=EPS)
        self._depthwise_conv = SameConv2d(wide, wide, side, stride=stride, groups=wide, flipped=flipped)
        self._bn1 = nn.BatchNorm2d(wide, eps=EPS)
        self._project_conv = nn.Conv2d(wide, c_out, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(c_out, eps=EPS)
        self.expands, self.short = expansion > 1, stride == 1 and c_in == c_out

    def forward(self, x: Tensor) -> Tensor:
        wide = F.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        wide = F.relu6(self._bn1(self._depthwise_conv(wide)))
        y: Tensor = self._bn2(self._project_conv(wide))
        return x + y if self.short else y


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0 with the outputs of four stages; parameter names as published, a file loads strictly.

    224 x 224 pixels give 56 x 56 x 24, 28 x 28 x 40, 14 x 14 x 112 and 14 x 14 x 320: the last stride is removed, and
    nothing is dilated in its place, since dilated kernels answer far beyond an object.

    Args:
        as_published: keep the last stride and pad as TensorFlow does: what `classify` was trained as.

    >>> import torch
    >>> with torch.device("meta"):
    ...     stages = EfficientNetLite0()(torch.empty(1, 3, 224, 224))
    >>> [tuple(f.shape[1:]) for f in stages]
    [(24, 56, 56), (40, 28, 28), (112, 14, 14), (320, 14, 14)]
    """

    widths = (24, 40, 112, 320)

    def __init__(self, *, as_published: bool = False) -> None:
        super().__init__()
        # -0.5 - 1 - 2 + 4 pixels: the first three strides look up and to the left, the fourth takes it back.
        turns = iter((True, True, True, False, False))
        self._conv_stem = SameConv2d(3, 32, 3, stride=2, flipped=next(turns) and not as_published)
        self._bn0 = nn.BatchNorm2d(32, eps=EPS)
        blocks: list[nn.Module] = []
        c_in = 32
        for expansion, side, stride, c_out, count in ROWS:
            for i in range(count):
                strided = stride == 2 and i == 0
                flipped = strided and next(turns) and not as_published
                keep = strided and (as_published or c_out != 192)
                step = {"expansion": expansion, "side": side, "stride": 2 if keep else 1, "flipped": flipped}
                blocks.append(Block(c_in, c_out, **step))  # type: ignore[arg-type]
                c_in = c_out
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = nn.Conv2d(320, 1280, 1, bias=False)
        self._bn1 = nn.BatchNorm2d(1280, eps=EPS)
        self._fc = nn.Linear(1280, 1000)

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> Stages:
        """image (B, 3, H, W): ImageNet-normalised. Returns stages of strides 4, 8, 16 and 16 (or 32 as published)."""
        x, found = F.relu6(self._bn0(self._conv_stem(image))), []
        for i, block in enumerate(self._blocks):
            x = block(x)
            if i in ENDS:
                found.append(x)
        return found[0], found[1], found[2], found[3]

    def classify(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 1000"]:
        """Probabilities of ImageNet's classes; of a network that is `as_published`."""
        pooled = F.relu6(self._bn1(self._conv_head(self(image)[3]))).mean((2, 3))
        scores: Tensor = self._fc(pooled).softmax(1)
        return scores
