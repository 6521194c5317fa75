"""Readers of AVSBench, VGGSound and VGG-SS, and the generators of what is embedded."""

from uspl.data.avsbench import AVSBench
from uspl.data.batch import Batch, Clip, collate, sound_input, video_of
from uspl.data.folder import is_embedded, open_folder
from uspl.data.sounding_photos import sounding_photos
from uspl.data.sounding_shapes import sounding_shapes
from uspl.data.vggsound import VGGSound
from uspl.data.vggss import VGGSS

__all__ = [
    "VGGSS",
    "AVSBench",
    "Batch",
    "Clip",
    "VGGSound",
    "collate",
    "is_embedded",
    "open_folder",
    "sound_input",
    "sounding_photos",
    "sounding_shapes",
    "video_of",
]
