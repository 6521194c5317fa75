"""One frozen `Config`: every symbol of the paper and every reading of it, with unit, section and reason."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any, Literal

from uspl import tiers

Range = Literal["relu_max", "minmax", "raw"]
Metric = Literal["euclidean", "chebyshev"]

# Fields that say where a model runs and how it is judged: they have no part in what it learns.
MACHINE = frozenset(("device", "precision", "fast", "workers", "binarise", "fscore_per"))

SMOOTH = 0.2  # s: time constant of the average over the maps of a film, see `watch`


@dataclass(frozen=True)
class Config:
    """All choices of one experiment. The defaults are the paper's (section 4.1).

    `Config.paper()` and `Config.tiny()` are the two tiers; change fields with `dataclasses.replace`.
    A comment `Reading n` names the row of the readings page where the paper is silent.

    Raises:
        ValueError: one sentence that names the field, its rule and the value got.

    >>> Config.tiny().image_size, Config.paper().image_size
    (112, 224)
    >>> import dataclasses
    >>> dataclasses.replace(Config(), beta_l=0.6)
    Traceback (most recent call last):
    ValueError: `beta_l` must be below `beta_h`; got 0.6 and 0.55.
    """

    # Data
    image_size: int = 224  # pixels, side of the square image; section 4.1
    seconds: float = 1.0  # seconds of sound per frame: 1 for AVSBench-S4, 3 for VGGSound
    train_frames: Literal["first", "one", "all"] = "first"  # Reading 16: seconds of a training video that are used
    keep_leaked: bool = False  # Reading 19: keep VGG-SS test ids found in a training list
    flip: bool = True  # random horizontal flips of the training images

    # Encoders, section 3.1
    visual: Literal["resnet50", "tiny"] = "resnet50"  # image encoder
    widths: tuple[int, int, int, int] = (256, 512, 1024, 2048)  # channels of the four stages; Fig. 3
    visual_weights: str = "imagenet"  # "imagenet", "none", or the path of a torchvision resnet50 file
    audio: Literal["vggish", "tiny"] = "vggish"  # sound encoder
    audio_weights: str = "audioset"  # "audioset", "none", or the path of vggish-10086976.pth
    front_end: Literal["vggish", "log_mel", "spectrogram"] = "vggish"  # Reading 11: 96 x 64, AVSBench's own, or 257 x T
    finetune_audio: bool = False  # Reading 12: VGGish is frozen and in eval mode
    dim: int = 256  # Reading 20: channels of the shared space
    projector: Literal["conv", "mlp"] = "conv"  # Reading 20: 1x1 convolution on F_v, or two of them
    projector_norm: bool = False  # BatchNorm without affine terms closes both projectors (random start needs it)

    # Coarse map and MMICL, Eqs. 1-2
    tau: float = 0.07  # temperature; section 4.1
    delta: float = 0.5  # share of visual locations dropped; section 4.1, Table 5
    delta_ramp: float = 0.0  # share of the warm-up over which delta rises from 0 (random start needs it)
    symmetric: bool = False  # Reading 9: add the image -> sound direction
    masked_denominator: bool = False  # Reading 9: the positive in the denominator is masked too
    dropped: Literal["exclude", "zero"] = "exclude"  # Reading 10: what happens to a dropped location
    map_range: Range = "relu_max"  # Reading 2: how a cosine map becomes a map in [0, 1]

    # Refinement and affinity, Eqs. 3-6
    map_size: int = 56  # pixels, side of tri-map, affinity and fine map; section 3.2
    refine_size: int = 56  # Reading 3: side at which the image guides the refinement
    refine: Literal["pamr", "par"] = "pamr"  # Reading 1
    refine_iterations: int = 10
    beta_l: float = 0.4  # below: silent; Table 7
    beta_h: float = 0.55  # at or above: sounding; Table 7
    r: int = 7  # pixels of the affinity grid; Table 6
    metric: Metric = "euclidean"  # Reading 4
    reduce: Literal["mean", "sum"] = "mean"  # Reading 5: L1 over channels
    balanced: bool = True  # Reading 6: half the mean over positives, half over negatives
    aff_block: Literal["two_step", "concat"] = "two_step"  # Reading 21: PMV-aff
    aff_dim: int = 256  # channels of F_aff
    aff_offsets: int = 0  # offsets drawn per step for Eq. 6; 0 takes all

    # Random walk, Eqs. 7-8
    beta: float = 10.0  # exponent of the affinity; Table 8
    t: int = 8  # steps; Table 8
    reading: Literal["power", "squarings"] = "power"  # Reading 7: T^t or T^(2^t)
    detach: bool = True  # Reading 8: maps used as targets carry no gradient

    # SPS, Eqs. 9-10
    fuse_on: Literal["stage4", "projected"] = "stage4"  # Reading 13: the F_v of Eq. 9
    decoder_dim: int = 256  # Reading 14: channels of ASPP and FPN
    aspp_dilations: tuple[int, ...] = (3, 6, 12, 18)
    rcu_inplace: bool = False  # Reading 14: the peers' in-place ReLU
    seg_loss: Literal["bce", "as_printed"] = "bce"  # Reading 15
    seg_target: Literal["soft", "three_way"] = "soft"  # Reading 15
    seg_high: float = 0.6  # three-way target: 1 at or above
    seg_low: float = 0.4  # three-way target: 0 below
    teacher: Literal["m_fine", "m_crs", "mask"] = "m_fine"  # what SPS learns; "mask" is the supervised bound

    # Training, section 3.4 and 4.1, Eq. 11
    lambda1: float = 0.1  # weight of L_mmicl
    lambda2: float = 0.4  # weight of L_aff
    lambda3: float = 0.5  # weight of L_seg
    warmup_epochs: int = 3  # epochs of L_mmicl alone
    epochs: int = 20  # epochs of Eq. 11 after them
    batch_size: int = 32
    lr: float = 1e-4  # Adam
    head_lr: float = 1.0  # factor on lr for PMV-aff and SPS
    schedule: Literal["constant", "cosine"] = "constant"  # cosine falls to 2 % in each phase
    ramp_steps: int = 0  # steps of linear ramp at the start of each phase
    keep: Literal["best", "last"] = "best"  # the epoch of Eq. 11 that is best on validation, or the last
    seed: int = 0

    # Machine
    device: str = "auto"  # "auto", "cpu", "cuda", "cuda:1", ...
    precision: Literal["auto", "fp32", "bf16"] = "auto"  # "auto": bf16 autocast on a GPU that has it
    fast: bool = True  # numba kernels on the CPU; False, or USPL_FAST=0 in the environment: plain PyTorch
    workers: int = 0  # processes that load clips

    # Evaluation, section 4.2
    binarise: Literal["half", "half_image", "adaptive"] = "half"  # Reading 17: M > 0.5, or the peers' rules
    fscore_per: Literal["video", "batch"] = "video"  # Reading 18

    def __post_init__(self) -> None:
        for name, allowed in _choices().items():
            if getattr(self, name) not in allowed:
                words = ", ".join(repr(a) for a in allowed)
                raise ValueError(f"`{name}` must be one of {words}; got {getattr(self, name)!r}.")
        for name, (rule, holds) in _RULES.items():
            if not holds(getattr(self, name)):
                raise ValueError(f"`{name}` must be {rule}; got {getattr(self, name)!r}.")
        if not self.beta_l < self.beta_h:
            raise ValueError(f"`beta_l` must be below `beta_h`; got {self.beta_l} and {self.beta_h}.")
        if not self.seg_low <= self.seg_high:
            raise ValueError(f"`seg_low` must not exceed `seg_high`; got {self.seg_low} and {self.seg_high}.")

    @property
    def sound(self) -> Literal["wav", "log_mel"]:
        """Where AVSBench's reader takes the sound from."""
        return "log_mel" if self.front_end == "log_mel" else "wav"

    @classmethod
    def paper(cls, **changes: Any) -> Config:
        """The paper's experiment on AVSBench-S4: ResNet50, VGGish, section 4.1."""
        return cls(**changes)

    @classmethod
    def tiny(cls, **changes: Any) -> Config:
        """The same method for Sounding Shapes: small networks from random start, minutes on two CPU cores."""
        return cls(**{**tiers.TINY, **changes})

    @classmethod
    def best(cls, **changes: Any) -> Config:
        """`tiny`, changed where validation said so (table 9 of `sweeps.yml`): beyond the paper, on both levels."""
        return cls.tiny(**{**tiers.BEST, **changes})

    @classmethod
    def tier(cls, name: str, **changes: Any) -> Config:
        """`Config.tiny`, `Config.best` or `Config.paper` by its name. Raises ValueError for another name."""
        known = {"tiny": cls.tiny, "best": cls.best, "paper": cls.paper}
        if name not in known:
            raise ValueError(f"`tier` must be 'tiny', 'best' or 'paper'; got {name!r}.")
        return known[name](**changes)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, tuples as lists: what a record or a checkpoint keeps."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in dataclasses.asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Config:
        """Inverse of `as_dict`. Raises ValueError for a field this version does not know."""
        unknown = sorted(set(values) - {f.name for f in dataclasses.fields(cls)})
        if unknown:
            raise ValueError(f"`Config` has no field `{unknown[0]}`; `uspl train --help` lists the fields.")
        fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return cls(**fields)

    def slug(self, *ignore: str) -> str:
        """Ten hexadecimal digits that name this configuration, machine fields and `ignore` left out."""
        drop = {*MACHINE, *ignore}
        text = json.dumps({k: v for k, v in self.as_dict().items() if k not in drop}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:10]


def differences(a: Config, b: Config) -> dict[str, tuple[Any, Any]]:
    """Fields in which two configurations differ: name -> (value in a, value in b)."""
    left, right = a.as_dict(), b.as_dict()
    return {k: (left[k], right[k]) for k in left if left[k] != right[k]}


def _choices() -> dict[str, tuple[Any, ...]]:
    """Allowed values of each field typed as a `Literal`, read from the annotations: no second list."""
    import typing

    hints = typing.get_type_hints(Config)
    return {k: typing.get_args(h) for k, h in hints.items() if typing.get_origin(h) is Literal}


def _positive_int(v: Any) -> bool:
    return isinstance(v, int) and not isinstance(v, bool) and v >= 1


_POSITIVE_INT = ("an integer of at least 1", _positive_int)
_NOT_NEGATIVE_INT = ("an integer of at least 0", lambda v: isinstance(v, int) and not isinstance(v, bool) and v >= 0)
_POSITIVE = ("a number above 0", lambda v: 0 < v < float("inf"))
_NOT_NEGATIVE = ("a number of at least 0", lambda v: 0 <= v < float("inf"))
_UNIT = ("in [0, 1]", lambda v: 0 <= v <= 1)

_RULES: dict[str, tuple[str, Any]] = {
    **dict.fromkeys(("image_size", "map_size", "refine_size", "r", "dim", "aff_dim", "decoder_dim"), _POSITIVE_INT),
    **dict.fromkeys(("batch_size",), ("an integer of at least 2", lambda v: _positive_int(v) and v >= 2)),
    **dict.fromkeys(
        ("t", "refine_iterations", "aff_offsets", "warmup_epochs", "epochs", "ramp_steps", "seed", "workers"),
        _NOT_NEGATIVE_INT,
    ),
    **dict.fromkeys(("tau", "seconds", "lr", "head_lr"), _POSITIVE),
    **dict.fromkeys(("beta", "lambda1", "lambda2", "lambda3"), _NOT_NEGATIVE),
    **dict.fromkeys(("beta_l", "beta_h", "seg_low", "seg_high", "delta_ramp"), _UNIT),
    "delta": ("in [0, 1)", lambda v: 0 <= v < 1),
    "widths": ("four positive integers", lambda v: len(v) == 4 and all(_positive_int(c) for c in v)),
    "aspp_dilations": ("positive integers", lambda v: len(v) > 0 and all(_positive_int(d) for d in v)),
}
