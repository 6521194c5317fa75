"""One frozen `Config`: every symbol of the paper and every reading of it, with unit, section and reason."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from uspl import presets

Range = Literal["relu_max", "minmax", "raw"]
Metric = Literal["euclidean", "chebyshev"]

SMOOTH = 0.2  # s: time constant of the average over the maps of a film, see `watch`


# Fields of the joint phase (Eq. 11) are not seen by the warm-up, those of the walk by nothing that is learned without
# SPS, those of the machine by nothing that is learned at all.
JOINT, WALK, MACHINE = "joint", "walk", "machine"


class Rule(NamedTuple):
    """What a value must be, in words, and whether it is."""

    words: str
    holds: Callable[[Any], bool]


def _integer(v: Any, least: int) -> bool:
    return isinstance(v, int) and not isinstance(v, bool) and v >= least


COUNT = Rule("an integer of at least 0", lambda v: _integer(v, 0))
AT_LEAST_1 = Rule("an integer of at least 1", lambda v: _integer(v, 1))
AT_LEAST_2 = Rule("an integer of at least 2", lambda v: _integer(v, 2))
POSITIVE = Rule("a number above 0", lambda v: 0 < v < float("inf"))
NOT_NEGATIVE = Rule("a number of at least 0", lambda v: 0 <= v < float("inf"))
UNIT = Rule("in [0, 1]", lambda v: 0 <= v <= 1)
BELOW_1 = Rule("in [0, 1)", lambda v: 0 <= v < 1)
FOUR = Rule("four positive integers", lambda v: len(v) == 4 and all(_integer(c, 1) for c in v))
INTEGERS = Rule("positive integers", lambda v: len(v) > 0 and all(_integer(d, 1) for d in v))


def _field(default: Any, rule: Rule | None = None, *, phase: str = "") -> Any:
    """A field of `Config` with its rule and the phase it belongs to."""
    return dataclasses.field(default=default, metadata={"rule": rule, "phase": phase})


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
    image_size: int = _field(224, AT_LEAST_1)  # pixels, side of the square image; section 4.1
    seconds: float = _field(1.0, POSITIVE)  # s of sound per frame; section 4.1: 1 for AVSBench-S4, see `vggsound` for 3
    train_frames: Literal["first", "one", "all"] = "first"  # Reading 16: seconds of a training video that are used
    keep_leaked: bool = False  # Reading 19: keep VGG-SS test ids found in a training list
    flip: bool = True  # Reading 23: random horizontal flips of the training images

    # Encoders, section 3.1
    visual: Literal["resnet50", "tiny", "lite0"] = "resnet50"  # image encoder
    widths: tuple[int, int, int, int] = _field((256, 512, 1024, 2048), FOUR)  # channels of the four stages; Fig. 3
    visual_weights: str = "imagenet"  # "imagenet", "none", or the path of the published file
    finetune_visual: bool = True  # the image encoder is trained, as section 3.1 says; False freezes it
    audio: Literal["vggish", "tiny", "yamnet"] = "vggish"  # sound encoder
    audio_weights: str = "audioset"  # "audioset", "none", or the path of the published file
    # what the sound encoder takes: 96 x 64, AVSBench's own of these, 257 x T, or the 257 x T of EZ-VSL and its kin
    front_end: Literal["vggish", "log_mel", "yamnet", "spectrogram", "peers"] = "vggish"  # Reading 11
    finetune_audio: bool = False  # Reading 12: VGGish is frozen and in eval mode
    dim: int = _field(256, AT_LEAST_1)  # Reading 20: channels of the shared space
    project_from: Literal["stage3", "stage4"] = "stage4"  # the stage that is projected to F_v; section 3.1: the last
    stage_norm: bool = False  # standardise the channels of the stages (linear bottlenecks such as Lite0's need it)
    projector: Literal["conv", "mlp"] = "conv"  # Reading 20: 1x1 convolution on F_v, or two of them
    projector_norm: bool = False  # BatchNorm without affine terms closes both projectors (random start needs it)

    # Coarse map and MMICL, Eqs. 1-2
    tau: float = _field(0.07, POSITIVE)  # temperature; section 4.1
    delta: float = _field(0.5, BELOW_1)  # share of visual locations dropped; section 4.1, Table 5
    delta_ramp: float = _field(0.0, UNIT)  # share of the warm-up over which delta rises from 0 (random start needs it)
    symmetric: bool = False  # Reading 9: add the image -> sound direction
    masked_denominator: bool = False  # Reading 9: the positive in the denominator is masked too
    dropped: Literal["exclude", "zero"] = "exclude"  # Reading 10: what happens to a dropped location
    map_range: Range = _field("minmax", phase=JOINT)  # Reading 2: how a cosine map becomes a map in [0, 1]

    # Refinement and affinity, Eqs. 3-6
    map_size: int = _field(56, AT_LEAST_1, phase=JOINT)  # pixels, side of tri-map, affinity and fine map; section 3.2
    refine_size: int = _field(56, AT_LEAST_1, phase=JOINT)  # Reading 3: side at which the image guides the refinement
    refine: Literal["pamr", "par"] = _field("pamr", phase=JOINT)  # Reading 1
    refine_iterations: int = _field(10, COUNT, phase=JOINT)
    beta_l: float = _field(0.4, UNIT, phase=JOINT)  # below: silent; Table 7
    beta_h: float = _field(0.55, UNIT, phase=JOINT)  # at or above: sounding; Table 7
    r: int = _field(7, AT_LEAST_1, phase=JOINT)  # pixels of the affinity grid; Table 6
    metric: Metric = _field("euclidean", phase=JOINT)  # Reading 4
    reduce: Literal["mean", "sum"] = _field("mean", phase=JOINT)  # Reading 5: L1 over channels
    balanced: bool = _field(True, phase=JOINT)  # Reading 6: half the mean over positives, half over negatives
    aff_block: Literal["two_step", "concat"] = "two_step"  # Reading 21: PMV-aff
    aff_dim: int = _field(256, AT_LEAST_1)  # channels of F_aff
    aff_offsets: int = _field(0, COUNT, phase=JOINT)  # offsets drawn per step for Eq. 6; 0 takes all

    # Random walk, Eqs. 7-8
    beta: float = _field(10.0, NOT_NEGATIVE, phase=WALK)  # exponent of the affinity; Table 8
    t: int = _field(8, COUNT, phase=WALK)  # steps; Table 8
    reading: Literal["power", "squarings"] = _field("power", phase=WALK)  # Reading 7: T^t or T^(2^t)
    detach: bool = _field(True, phase=JOINT)  # Reading 8: maps used as targets carry no gradient

    # SPS, Eqs. 9-10
    fuse_on: Literal["stage4", "projected"] = "stage4"  # Reading 13: the F_v of Eq. 9
    decoder_dim: int = _field(256, AT_LEAST_1)  # Reading 14: channels of ASPP and FPN
    decoder_hidden: int = _field(0, COUNT)  # channels before the last layer of SPS; 0 is an eighth of `decoder_dim`
    aspp_dilations: tuple[int, ...] = _field((3, 6, 12, 18), INTEGERS)
    decoder_dims: Literal["shared", "printed"] = "shared"  # Reading 25: F_1..F_4 at `decoder_dim`, or at `widths`
    rcu_inplace: bool = False  # Reading 14: the peers' in-place ReLU
    seg_loss: Literal["bce", "as_printed"] = _field("bce", phase=JOINT)  # Reading 15
    seg_target: Literal["soft", "three_way"] = _field("soft", phase=JOINT)  # Reading 15
    seg_high: float = _field(0.6, UNIT, phase=JOINT)  # three-way target: 1 at or above
    seg_low: float = _field(0.4, UNIT, phase=JOINT)  # three-way target: 0 below
    teacher: Literal["m_fine", "m_crs", "mask"] = _field("m_fine", phase=JOINT)  # what SPS learns; "mask": the bound

    # Training, section 3.4 and 4.1, Eq. 11
    lambda1: float = _field(0.1, NOT_NEGATIVE, phase=JOINT)  # weight of L_mmicl
    lambda2: float = _field(0.4, NOT_NEGATIVE, phase=JOINT)  # weight of L_aff
    lambda3: float = _field(0.5, NOT_NEGATIVE, phase=JOINT)  # weight of L_seg
    warmup_epochs: int = _field(3, COUNT)  # epochs of L_mmicl alone
    epochs: int = _field(20, COUNT, phase=JOINT)  # epochs of Eq. 11 after them
    batch_size: int = _field(32, AT_LEAST_2)
    lr: float = _field(1e-4, POSITIVE)  # Adam
    warmup_lr: float = _field(1.0, POSITIVE)  # factor on lr in the warm-up
    head_lr: float = _field(1.0, POSITIVE, phase=JOINT)  # factor on lr for PMV-aff and SPS
    schedule: Literal["constant", "cosine"] = "constant"  # cosine falls to 2 % in each phase
    ramp_steps: int = _field(0, COUNT)  # steps of linear ramp at the start of each phase
    keep: Literal["best", "last"] = _field("best", phase=JOINT)  # Reading 22: the epoch best on validation, or the last
    precision: Literal["auto", "fp32", "bf16"] = "auto"  # Reading 24; "auto": bf16 on a GPU that has it
    seed: int = _field(0, COUNT)

    # Machine
    device: str = _field("auto", phase=MACHINE)  # "auto", "cpu", "cuda", "cuda:1", ...
    fast: bool = _field(True, phase=MACHINE)  # numba kernels on the CPU; False, or USPL_FAST=0: plain PyTorch
    workers: int = _field(0, COUNT, phase=MACHINE)  # processes that load clips

    # Evaluation, section 4.2
    binarise: Literal["half", "half_image", "minmax"] = _field("half", phase=MACHINE)  # Reading 17: M > 0.5
    fscore_per: Literal["video", "batch"] = _field("video", phase=MACHINE)  # Reading 18

    def __post_init__(self) -> None:
        for name, allowed in _choices().items():
            if getattr(self, name) not in allowed:
                words = ", ".join(repr(a) for a in allowed)
                raise ValueError(f"`{name}` must be one of {words}; got {getattr(self, name)!r}.")
        for field in dataclasses.fields(self):
            rule, value = field.metadata.get("rule"), getattr(self, field.name)
            if rule is not None and not rule.holds(value):
                raise ValueError(f"`{field.name}` must be {rule.words}; got {value!r}.")
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
    def vggsound(cls, **changes: Any) -> Config:
        """The paper's experiment on VGGSound: `paper`, with 3 s of sound, and without masks to choose an epoch by."""
        return cls(**{**presets.VGGSOUND, **changes})

    @classmethod
    def tiny(cls, **changes: Any) -> Config:
        """The same method for Sounding Shapes: small networks from random start, minutes on two CPU cores."""
        return cls(**{**presets.TINY, **changes})

    @classmethod
    def photos(cls, **changes: Any) -> Config:
        """The same method for Sounding Photos: frozen EfficientNet-Lite0 and YAMNet, minutes on two CPU cores."""
        return cls(**{**presets.PHOTOS, **changes})

    @classmethod
    def best(cls, **changes: Any) -> Config:
        """`tiny`, changed where validation said so (table 9 of `sweeps.yml`): beyond the paper, on both levels."""
        return cls.tiny(**{**presets.BEST, **changes})

    @classmethod
    def tier(cls, name: str, **changes: Any) -> Config:
        """The configuration of a tier by its name. Raises ValueError for another name."""
        known = {"tiny": cls.tiny, "best": cls.best, "photos": cls.photos, "paper": cls.paper}
        if name not in known:
            raise ValueError(f"`tier` must be one of {', '.join(map(repr, known))}; got {name!r}.")
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
        drop = {*fields_of(MACHINE), *ignore}
        text = json.dumps({k: v for k, v in self.as_dict().items() if k not in drop}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:10]


def fields_of(*phases: str) -> tuple[str, ...]:
    """Names of the fields that belong to one of the phases, in order.

    >>> fields_of(WALK)
    ('beta', 't', 'reading')
    """
    return tuple(f.name for f in dataclasses.fields(Config) if f.metadata.get("phase") in phases)


def joint_fields() -> tuple[str, ...]:
    """Fields that the warm-up does not see: configurations that differ in them alone share one warm-up."""
    return fields_of(JOINT, WALK)


def differences(a: Config, b: Config) -> dict[str, tuple[Any, Any]]:
    """Fields in which two configurations differ: name -> (value in a, value in b)."""
    left, right = a.as_dict(), b.as_dict()
    return {k: (left[k], right[k]) for k in left if left[k] != right[k]}


def _choices() -> dict[str, tuple[Any, ...]]:
    """Allowed values of each field typed as a `Literal`, read from the annotations: no second list."""
    import typing

    hints = typing.get_type_hints(Config)
    return {k: typing.get_args(h) for k, h in hints.items() if typing.get_origin(h) is Literal}
