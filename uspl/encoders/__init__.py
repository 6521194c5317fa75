"""Section 3.1: encoders and projectors, and the published weights they load."""

from uspl.encoders.projectors import SoundProjector, VisualProjector
from uspl.encoders.sound import AudioEncoder, TinySound, VGGish, audio_encoder
from uspl.encoders.visual import ResNet50Stages, TinyResNet, visual_encoder

__all__ = [
    "AudioEncoder",
    "ResNet50Stages",
    "SoundProjector",
    "TinyResNet",
    "TinySound",
    "VGGish",
    "VisualProjector",
    "audio_encoder",
    "visual_encoder",
]
