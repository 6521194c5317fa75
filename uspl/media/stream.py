"""A film read once, from start to end: each picture as it comes, and the sound around it. Memory does not grow."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import torch
from av.container import InputContainer
from jaxtyping import Float32, UInt8
from torch import Tensor

from uspl.audio import RATE
from uspl.core.errors import DataError
from uspl.media.container import opened
from uspl.media.decode import decoded, upright
from uspl.media.sound_track import SoundReport, mono_sound, sound_track

Shown = tuple[float, UInt8[np.ndarray, "h w 3"]]  # s from the start of the film, RGB in [0, 255]


def pictures(path: str | Path) -> Iterator[Shown]:
    """Every picture of a film, upright, with the time at which it appears; times need not be evenly spaced.

    Args:
        path: any video PyAV reads.

    Raises:
        DataError: the file cannot be read, holds no picture, one that is damaged, one smaller than 8x8 pixels, or
            pictures of several sizes.
    """
    first: tuple[int, ...] | None = None
    with opened(path, "video") as box:
        if box.streams.video[0].disposition & av.stream.Disposition.attached_pic:
            raise DataError(path, "has no pictures but that of its cover")
        for time, frame in decoded(box):
            shown = upright(path, frame, time)
            if first not in (None, shown.shape):
                raise DataError(path, f"changes the size of its pictures at {time:.2f} s")
            first = shown.shape
            yield time, np.ascontiguousarray(shown)
    if first is None:
        raise DataError(path, "holds no picture: it has zero length")


class AudioWindow:
    """The sound of a film around times that never go back; `open_audio` opens one. `report` tells what was heard."""

    def __init__(self, path: str | Path, box: InputContainer, seconds: float) -> None:
        self.report = SoundReport()
        self._pieces = _mono(path, box, self.report)
        self._n = round(seconds * RATE)
        self._held, self._first = np.zeros(0, np.float32), 0  # samples kept, and the place of the first of them
        self._ended = False

    def around(self, time: float) -> Float32[Tensor, " n"]:
        """`seconds` of sound, mono at 16 kHz, with `time` (s) in their middle.

        Where the sound begins or ends within that, the window moves inside, by half its length at the most, as
        `audio.around` does: a frame long after the end of the sound hears zeros, not what once was.
        """
        at, n = round(time * RATE), self._n
        while not self._ended and self._end < max(at + n - n // 2, n):
            self._pull()
        start = at - n // 2
        if self._ended:
            start = max(min(start, self._end - n), at - n)
        start = max(start, 0)
        wave = np.zeros(n, np.float32)
        part = self._held[start - self._first :][:n]
        wave[: len(part)] = part
        drop = min(start, max(self._end - n, 0)) - self._first  # the last n may be wanted when the sound ends
        self._held, self._first = self._held[max(drop, 0) :], self._first + max(drop, 0)
        return torch.from_numpy(wave)

    @property
    def _end(self) -> int:
        return self._first + len(self._held)

    def _pull(self) -> None:
        piece = next(self._pieces, None)
        self._ended = piece is None
        if piece is not None:
            self._held = np.concatenate([self._held, piece])


@contextmanager
def open_audio(path: str | Path, seconds: float) -> Iterator[AudioWindow]:
    """Open the sound of a film; windows are `seconds` long.

    Raises:
        DataError: the file cannot be read, has no sound track.
    """
    with opened(path, "audio") as box:
        yield AudioWindow(path, box, seconds)


def loudest(path: str | Path, *, enough: float = float("inf"), seconds: float = 1.0) -> float:
    """The greatest loudness, dB of full scale (see `audio.loudness`), of the seconds of a film's sound.

    Args:
        path: a film with sound.
        enough: dB; the first louder second ends the search, so that most films are hardly read.
        seconds: length of a piece.

    Raises:
        DataError: as `open_audio`.
    """
    from uspl.audio import loudness

    best = loudness(torch.zeros(1)).item()
    with opened(path, "audio") as box:
        held: list[np.ndarray] = []
        for piece in _mono(path, box, SoundReport()):
            held.append(piece)
            if sum(map(len, held)) >= seconds * RATE:
                best = max(best, loudness(torch.from_numpy(np.concatenate(held))).item())
                held = []
                if best >= enough:
                    return best
        if held:
            best = max(best, loudness(torch.from_numpy(np.concatenate(held))).item())
    return best


def _mono(path: str | Path, box: InputContainer, report: SoundReport) -> Iterator[np.ndarray]:
    """The sound from the start of the film, piece by piece, one channel at 16 kHz; zeros before a late one begins."""
    begun = False
    for first, piece in mono_sound(path, box, sound_track(path, box, report), RATE, report):
        if not begun:
            at = round(first * RATE)
            yield np.zeros(max(at, 0), np.float32)
            piece, begun = piece[max(-at, 0) :], True
        yield piece
    if not begun:
        raise DataError(path, "has a sound track without sound")
