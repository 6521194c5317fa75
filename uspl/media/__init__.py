"""Files and arrays: containers, pictures, sounds, films."""

from uspl.media.decode import clip_at, excerpt, frame_at, frames_at, waveform
from uspl.media.image import label_map
from uspl.media.probe import probe

__all__ = ["clip_at", "excerpt", "frame_at", "frames_at", "label_map", "probe", "waveform"]
