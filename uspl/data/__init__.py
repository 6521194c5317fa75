"""Readers of AVSBench, VGGSound and VGG-SS, and the generators of what is embedded."""

from uspl.core.errors import DataError
from uspl.data.avsbench import AVSBench
from uspl.data.batch import Batch, Clip, collate, flipped, sound_input, sounds, video_of
from uspl.data.sounding_shapes import sounding_shapes
from uspl.data.vggsound import VGGSound
from uspl.data.vggss import VGGSS

__all__ = [
    "VGGSS",
    "AVSBench",
    "Batch",
    "Clip",
    "DataError",
    "VGGSound",
    "collate",
    "flipped",
    "sound_input",
    "sounding_shapes",
    "sounds",
    "video_of",
]
