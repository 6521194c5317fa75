"""The peers of Tables 1 and 2 on the encoders, data, loop and evaluation of this library: only the method differs."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial as partial_of
from pathlib import Path
from typing import Any, NamedTuple

from uspl.baselines import avobject, ez_vsl, lvs
from uspl.baselines.attention10k import Attention10k
from uspl.baselines.avs import AVS
from uspl.baselines.base import Contrast, Peer
from uspl.baselines.cam import CAM
from uspl.baselines.dmc import DMC
from uspl.baselines.fnac import FNAC
from uspl.baselines.irnet import IRNet
from uspl.baselines.mssl import MSSL
from uspl.baselines.ogl import OGL
from uspl.baselines.slavc import SLAVC
from uspl.baselines.sspl import SSPL
from uspl.baselines.visual_only import VisualOnly
from uspl.config import Config
from uspl.core import paths
from uspl.core.device import choose_device
from uspl.data import splits
from uspl.encoders.audio_visual import AudioVisualEncoder
from uspl.train import loop, schedule


class Method(NamedTuple):
    """A method of Tables 1 and 2 beside USPL."""

    name: str  # as the tables print it
    learns: str  # from what, beside videos: "nothing", "labels" or "masks"
    build: Callable[[Config, AudioVisualEncoder], Any]
    simplified: str = ""  # what differs from the published method; its file says more


def _tau(cfg: Config) -> float:
    """EZ-VSL, SLAVC and FNAC publish 0.03 for pre-trained encoders; a random start needs the one of `cfg`."""
    return cfg.tau if cfg.visual_weights == "none" else 0.03


def _slavc(cfg: Config, encoder: AudioVisualEncoder) -> SLAVC:
    # From random start the whole training has a few hundred steps; at 0.999 the slow branch would hardly leave it.
    return SLAVC(replace(cfg, tau=_tau(cfg)), encoder, momentum=0.99 if cfg.visual_weights == "none" else 0.999)


def _fnac(cfg: Config, encoder: AudioVisualEncoder) -> FNAC:
    # Small encoders from random start lose too much by dropout; validation says so.
    dropout = 0.0 if cfg.visual_weights == "none" else 0.9
    return FNAC(_tau(cfg), dropout=dropout, weight=100 * cfg.batch_size / 256)


# The one list of the baselines: a new one is a file in `uspl/baselines/` and a line here. In the order of the tables.
METHODS: dict[str, Method] = {
    "attention10k": Method(
        "Attention10k", "nothing", lambda cfg, encoder: Attention10k(cfg.tau), "two linear layers fewer"
    ),
    "dmc": Method(
        "DMC", "nothing", lambda cfg, encoder: DMC(cfg), "a sound is one vector, so only the image is clustered"
    ),
    "avobject": Method(
        "AVObject", "nothing", lambda cfg, encoder: Contrast(avobject.loss, cfg.tau), "one frame, so no optical flow"
    ),
    "sspl": Method("SSPL", "nothing", lambda cfg, encoder: SSPL(cfg), "one layer of predictive coding"),
    "lvs": Method("LVS", "nothing", lambda cfg, encoder: Contrast(lvs.loss, cfg.tau)),
    "ez-vsl": Method("EZ-VSL", "nothing", lambda cfg, encoder: Contrast(ez_vsl.loss, _tau(cfg))),
    "slavc": Method("SLAVC", "nothing", _slavc, "dropout on the image alone"),
    "fnac": Method("FNAC", "nothing", _fnac, "no masking of the spectrogram"),
    "cam": Method(
        "CAM",
        "labels",
        lambda cfg, encoder: CAM(cfg),
        "the encoder of this library and a classifier of the sound",
    ),
    "irnet": Method("IRNet", "labels", lambda cfg, encoder: IRNet(cfg), "no displacement field and no CRF"),
    "mssl": Method("MSSL", "labels", lambda cfg, encoder: MSSL(cfg), "its two stages are the halves of one training"),
    "visual-only": Method("visual only", "masks", lambda cfg, encoder: VisualOnly(cfg)),
    "avs": Method("AVS", "masks", lambda cfg, encoder: AVS(cfg), "ResNet50 where the printed row has PVT-v2"),
}
GUIDED = ("ez-vsl", "slavc", "fnac")  # those that the tables also show with object-guided maps


def marked(name: str, variant: str) -> str:
    """The name of a row, with a dagger where its method is simplified."""
    base = variant.partition("+")[0]
    return f"{name} †" if base in METHODS and METHODS[base].simplified else name


def simplifications(variants: Iterable[str]) -> str:
    """What the daggers of a table mean, as a paragraph behind it; empty where nothing is simplified."""
    bases = dict.fromkeys(variant.partition("+")[0] for variant in variants)
    said = [f"{METHODS[b].name}: {METHODS[b].simplified}" for b in bases if b in METHODS and METHODS[b].simplified]
    return f"\n\n† Simplified here. {'; '.join(said)}." if said else ""


def build(name: str, cfg: Config) -> Peer:
    """A peer by its name, from random start or the published encoders as `cfg` says.

    Raises:
        ValueError: no peer of that name.
    """
    if name not in METHODS:
        raise ValueError(f"`method` must be 'uspl' or one of {', '.join(METHODS)}; got {name!r}.")
    encoder = AudioVisualEncoder(cfg)
    return Peer(cfg, encoder, METHODS[name].build(cfg, encoder))


def add(name: str, peer: Peer) -> Peer:
    """A trained peer with an addition that needs no training: "ogl".

    Raises:
        ValueError: no addition of that name.
    """
    if name != "ogl":
        raise ValueError(f"`method` ends in '+ogl' or in nothing; got {name!r}.")
    return Peer(peer.cfg, peer.features, OGL(peer.method, peer.cfg))


def train_or_load(
    cfg: Config,
    data_root: str | Path,
    *,
    method: str = "uspl",
    train_list: str | Path | None = None,
    partial: bool = False,
    runs: str | Path | None = None,
    phase: str = "full",
    progress: bool | None = None,
    save_every: int = 0,
    log_with: str = "",
) -> tuple[Any, dict[str, Any]]:
    """As `train.train_or_load`, of any method: a baseline learns for as many epochs as both phases of USPL, in one.

    Args:
        cfg, data_root, train_list, partial, runs, phase, progress, save_every, log_with: see `train.train_or_load`.
        method: "uspl", a name of `METHODS`, or such a name with "+ogl".

    Returns:
        The model in eval mode, a `USPL` or a `Peer`, and its record.

    Raises:
        ValueError: an unknown `method`, or as `train.train_or_load`.
    """
    how: dict[str, Any] = {"progress": progress, "save_every": save_every, "log_with": log_with}
    if method == "uspl":
        how |= {"train_list": train_list, "partial": partial, "phase": phase}
        return loop.train_or_load(cfg, data_root, runs=runs, **how)
    loop.check(cfg, save_every, log_with)
    base, _, addition = method.partition("+")
    cfg = schedule.canonical_config(cfg)
    clips = splits.training(cfg, data_root, train_list=train_list, partial=partial)
    model = loop.random_start(partial_of(build, base), cfg)
    model.set_labels(clips.train)
    plan = schedule.baseline_plan(cfg, base, "first" if model.method.supervision == "mask" else clips.seconds)
    folder = paths.runs_folder(runs) / f"{base}-{cfg.slug()}-{clips.train.data_hash[:6]}"
    values = loop.fit(model, model, plan, folder, cfg=cfg, clips=clips, **how)
    model = add(addition, model) if addition else model
    return model.to(choose_device(cfg.device)).eval(), values
