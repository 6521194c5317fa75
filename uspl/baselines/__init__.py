"""The peers of Tables 1 and 2 on the encoders, data, loop and evaluation of this library: only the method differs."""

from typing import Any

from uspl.baselines.avs import AVS
from uspl.baselines.cam import CAM
from uspl.baselines.ez_vsl import EZVSL
from uspl.baselines.irnet import IRNet
from uspl.baselines.mssl import MSSL
from uspl.baselines.ogl import OGL
from uspl.baselines.peer import Features, Peer
from uspl.baselines.visual import VisualOnly
from uspl.config import Config

METHODS: dict[str, Any] = {
    "ez-vsl": lambda cfg, features: EZVSL(cfg.tau),
    "cam": lambda cfg, features: CAM(cfg.widths[3]),
    "irnet": lambda cfg, features: IRNet(cfg),
    "mssl": lambda cfg, features: MSSL(cfg),
    "avs": lambda cfg, features: AVS(cfg),
    "visual-only": lambda cfg, features: VisualOnly(cfg),
}


def build(name: str, cfg: Config) -> Peer:
    """A peer by its name, from random start or the published encoders as `cfg` says.

    Raises:
        ValueError: no peer of that name.
    """
    if name not in METHODS:
        raise ValueError(f"`method` must be 'uspl' or one of {', '.join(METHODS)}; got {name!r}.")
    features = Features(cfg)
    return Peer(cfg, features, METHODS[name](cfg, features))


def add(name: str, peer: Peer) -> Peer:
    """A trained peer with an addition that needs no training: "ogl".

    Raises:
        ValueError: no addition of that name.
    """
    if name != "ogl":
        raise ValueError(f"`method` ends in '+ogl' or in nothing; got {name!r}.")
    return Peer(peer.cfg, peer.features, OGL(peer.method, peer.cfg))
