"""What both preparations write and look at: 16 kHz PCM16 sound, silence, and extensions that mislead."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import numpy as np

from uspl.audio import RATE
from uspl.core.errors import DataError

SILENCE = 2  # PCM16 steps: a sound that never exceeds this is digital silence
SIGNATURES = (  # offset, bytes, extensions that tell the truth
    (4, b"ftyp", (".mp4", ".m4v", ".mov", ".m4a", ".3gp")),
    (0, b"\x1aE\xdf\xa3", (".mkv", ".webm")),
    (0, b"RIFF", (".avi", ".wav")),
    (0, b"OggS", (".ogg", ".ogv", ".oga")),
    (0, b"FLV", (".flv",)),
)


def extension(path: Path) -> str:
    """What is odd about a file's extension, or an empty string. The content is what is read."""
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise DataError(path, f"cannot be opened: {error.strerror}") from error
    for offset, sign, names in SIGNATURES:
        if head[offset:].startswith(sign) and path.suffix.lower() not in names:
            return f"has the extension `{path.suffix or 'none'}` but the content of {names[0]}; the content was read"
    return ""


def pcm16(sound: np.ndarray) -> np.ndarray:
    """Samples in [-1, 1] as 16-bit steps."""
    return np.clip(np.rint(sound * 32768), -32768, 32767).astype("<i2")


def wav(pcm: np.ndarray) -> bytes:
    """A mono WAV file."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(pcm.tobytes())
    return buffer.getvalue()


def stored(path: Path) -> np.ndarray:
    """The samples of a WAV file that `wav` made."""
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


def silent(pcm: np.ndarray) -> bool:
    """Is it digital silence, or nothing at all?"""
    return not len(pcm) or int(np.abs(pcm.astype(np.int32)).max()) <= SILENCE


def climbs(*names: str) -> bool:
    """Would one of the names lead out of the folder?"""
    return any(name in ("", ".", "..") or Path(name).name != name or "\\" in name or "\0" in name for name in names)
