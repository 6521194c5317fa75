"""Unsupervised Sounding Pixel Learning: given a video frame and its sound, mark the pixels that sound.

The public names are found when they are first asked for, so that `import uspl` costs nothing.
"""

import importlib
import sys
from importlib import metadata
from typing import TYPE_CHECKING, Any

from uspl.core import old_names

if TYPE_CHECKING:
    from uspl.affinity import affinity_loss
    from uspl.align import mmicl_loss, sounding_map
    from uspl.config import Config
    from uspl.data.avsbench import AVSBench
    from uspl.data.vggsound import VGGSound
    from uspl.data.vggss import VGGSS
    from uspl.evaluation.evaluate import evaluate
    from uspl.inference.localizer import Localizer
    from uspl.model import USPL, Maps
    from uspl.refine import pamr, trimap
    from uspl.segment import fuse, segmentation_loss
    from uspl.train.loop import train_or_load
    from uspl.train.losses import total_loss
    from uspl.video.overlay import mark_video
    from uspl.walk import random_walk, transition

__version__ = metadata.version("uspl")

_MODULES = {
    "AVSBench": "data.avsbench",
    "Config": "config",
    "Localizer": "inference.localizer",
    "Maps": "model",
    "USPL": "model",
    "VGGSS": "data.vggss",
    "VGGSound": "data.vggsound",
    "affinity_loss": "affinity",
    "evaluate": "evaluation.evaluate",
    "fuse": "segment",
    "mark_video": "video.overlay",
    "mmicl_loss": "align",
    "pamr": "refine",
    "random_walk": "walk",
    "segmentation_loss": "segment",
    "sounding_map": "align",
    "total_loss": "train.losses",
    "train_or_load": "train.loop",
    "transition": "walk",
    "trimap": "refine",
}

__all__ = [
    "USPL",
    "VGGSS",
    "AVSBench",
    "Config",
    "Localizer",
    "Maps",
    "VGGSound",
    "__version__",
    "affinity_loss",
    "evaluate",
    "fuse",
    "mark_video",
    "mmicl_loss",
    "pamr",
    "random_walk",
    "segmentation_loss",
    "sounding_map",
    "total_loss",
    "train_or_load",
    "transition",
    "trimap",
]

sys.meta_path.append(old_names)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'uspl' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"uspl.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
