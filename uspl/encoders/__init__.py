"""Section 3.1: encoders and projectors, and the published weights they load."""

from uspl.encoders.audio_visual import AudioVisualEncoder
from uspl.encoders.projectors import SoundProjector, VisualProjector
from uspl.encoders.sound import AudioEncoder, SpectrogramNet, TinySound, VGGish, audio_encoder
from uspl.encoders.visual import ResNet50Stages, Stages, TinyResNet, visual_encoder

__all__ = [
    "AudioEncoder",
    "AudioVisualEncoder",
    "ResNet50Stages",
    "SoundProjector",
    "SpectrogramNet",
    "Stages",
    "TinyResNet",
    "TinySound",
    "VGGish",
    "VisualProjector",
    "audio_encoder",
    "visual_encoder",
]
