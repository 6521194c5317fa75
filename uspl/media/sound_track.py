"""The sound of a film as a player would play it: which of its tracks, its channels as one, its pauses in place."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from jaxtyping import Float32

from uspl.core.errors import DataError
from uspl.media.container import duration, opened, seeks_truly, zero
from uspl.media.downmix import Downmix

RUN_UP = 0.5  # s: decoders need some sound before what they give truly
JITTER = 0.05  # s: time stamps that run ahead of the samples by less are rounding; by more, a pause was not stored
LONGEST = 600.0  # s: a longer pause is a damaged time stamp
LISTEN = 60.0  # s: so far tracks are compared
QUIET = (2.5 / 32768) ** 2  # mean square: not above it is digital silence
CLIPPED = 0.001  # share of the samples above full scale: fewer are the overshoot of a codec
UNSTORED = {"opus", "speex", "amr_nb", "amr_wb", "g729", "evrc", "ilbc"}  # codecs that may leave silence out


@dataclass
class SoundReport:
    """What was heard of a film's sound that its owner should know."""

    track: str = ""  # which of several tracks was taken
    pauses: list[tuple[float, float]] = field(default_factory=list)  # s: not stored, silent here
    samples: int = 0
    above: int = 0  # samples above full scale
    peak: float = 0.0

    def add(self, wave: Float32[np.ndarray, " n"]) -> None:
        """Count a piece of mono sound."""
        loud = np.abs(wave)
        self.samples, self.above = self.samples + len(wave), self.above + int(np.count_nonzero(loud > 1))
        self.peak = max(self.peak, float(loud.max(initial=0)))

    def sentences(self) -> list[str]:
        """Each begins with a verb; the film is its subject."""
        notes = [self.track] if self.track else []
        if self.pauses:
            spans = [f"{a:.2f} to {b:.2f} s" for a, b in self.pauses[:3]]
            more = f" and {len(self.pauses) - 3} more" if len(self.pauses) > 3 else ""
            notes.append(f"has pauses in its sound that are not stored, silent here: {', '.join(spans)}{more}")
        if self.above > CLIPPED * self.samples:
            share = self.above / self.samples
            notes.append(f"is clipped: {share:.1%} of its sound is above full scale, the peak is {self.peak:.2f}")
        return notes


def sound_track(
    path: str | Path, box: InputContainer, report: SoundReport, content: bytes | None = None
) -> av.AudioStream:
    """The track that is heard: the one marked as default, unless it is silent; else the loudest.

    Args:
        path: the film; with `content`, the name used in errors.
        box: the film, opened; it is not read.
        content: the bytes of the film, where they do not lie in a file of their own.
        report: told which of several tracks was taken.

    Raises:
        DataError: no track can be decoded.
    """
    tracks = [track for track in box.streams.audio if track.codec_context is not None and track.rate]
    if not tracks:
        raise DataError(path, "has no sound track that can be decoded")
    if len(box.streams.audio) == 1:
        return tracks[0]
    energies = _energies(path, content, [track.index for track in tracks]) if len(tracks) > 1 else [1.0]
    loud = dict(zip((track.index for track in tracks), energies, strict=True))
    marked = [t for t in tracks if t.disposition & av.stream.Disposition.default and loud[t.index] > QUIET]
    chosen = max(marked or tracks, key=lambda track: loud[track.index])  # the first of equals
    number, why = box.streams.audio.index(chosen) + 1, "the default" if len(marked) == 1 else "the loudest"
    why = why if len(tracks) > 1 else "the only one that can be decoded"
    report.track = f"has {len(box.streams.audio)} sound tracks; number {number}, {why}, is heard"
    return chosen


def _energies(path: str | Path, content: bytes | None, which: list[int]) -> list[float]:
    """Mean power of tracks over the first minute, of all channels together, and on from there while all are silent."""
    sums, counts = dict.fromkeys(which, 0.0), dict.fromkeys(which, 1)
    with opened(path, "audio", content=content) as box:
        floats = {index: av.AudioResampler(format="flt") for index in which}
        for packet in box.demux([box.streams[index] for index in which]):
            index = packet.stream.index
            try:
                pieces = [part for frame in packet.decode() for part in floats[index].resample(frame)]  # type: ignore[arg-type]
            except (av.error.InvalidDataError, ValueError):
                continue
            for piece in pieces:
                sums[index] += float(np.square(np.nan_to_num(piece.to_ndarray()), dtype=np.float64).sum())
                counts[index] += piece.samples
            late = packet.pts is not None and float(packet.pts * packet.time_base) - zero(box) > LISTEN
            if late and any(sums[k] / counts[k] > QUIET for k in which):
                break
    return [sums[index] / counts[index] for index in which]


def sound_between(
    path: str | Path,
    box: InputContainer,
    sr: int,
    start: float = 0.0,
    end: float = math.inf,
    *,
    content: bytes | None = None,
) -> tuple[Float32[np.ndarray, " n"], SoundReport]:
    """One channel from `start` to `end`, s; shorter where the sound ends before, silent where it begins after.

    Raises:
        DataError: no track can be decoded, or it holds no sound.
    """
    report = SoundReport()
    track = sound_track(path, box, report, content)
    before = max(start - RUN_UP, 0)
    if end < math.inf and seeks_truly(box):
        box.seek(int((before + zero(box)) / (track.time_base or 1)), stream=track)
    found = list(mono_sound(path, box, track, sr, report, start, end))
    if (before > 0 or not seeks_truly(box)) and (
        not found or found[0][0] > start
    ):  # it begins late, or the format cannot seek well
        report = SoundReport(track=report.track)
        with opened(path, "audio") as again:
            found = list(mono_sound(path, again, _same(again, track), sr, report, start, end))
    if not found and start == 0:
        raise DataError(path, "has a sound track without sound")
    first = found[0][0] if found else start
    lead = np.zeros(max(math.floor((first - start) * sr + 0.5), 0), np.float32)
    sound = np.concatenate([lead, *(piece for _, piece in found)])[max(math.floor((start - first) * sr + 0.5), 0) :]
    if track.codec_context.name in UNSTORED:
        lacking = round((min(end, duration(box)) - start) * sr) - len(sound)
        if JITTER * sr < lacking < LONGEST * sr:
            report.pauses.append((start + len(sound) / sr, start + (len(sound) + lacking) / sr))
            sound = np.pad(sound, (0, lacking))
    return (sound if end == math.inf else sound[: round((end - start) * sr)].copy()), report


def _same(box: InputContainer, track: av.AudioStream) -> av.AudioStream:
    return next(t for t in box.streams.audio if t.index == track.index)


def mono_sound(
    path: str | Path,
    box: InputContainer,
    track: av.AudioStream,
    sr: int,
    report: SoundReport,
    start: float = 0.0,
    end: float = math.inf,
) -> Iterator[tuple[float, Float32[np.ndarray, " n"]]]:
    """Pieces (n,) of a track, one channel, that cover `start` to `end`; with each, when the first of them begins, s.

    A pause that the codec did not store is silence. Rate and channels may change on the way.

    Raises:
        DataError: a time stamp that leaps too far.
    """
    origin, until, given, clock = zero(box), 0.0, 0, 0.0
    first: float | None = None
    part: _Part | None = None
    for frame in box.decode(track):
        begins = until if frame.time is None else frame.time - origin
        until = begins + frame.samples / frame.sample_rate
        if frame.time is not None and until < start:
            continue
        if begins > end + JITTER:  # what the resampler holds back
            if first is None:
                yield begins, np.zeros(0, np.float32)
            break
        _check_leap(path, first is None, clock, begins)
        first, clock = (begins, begins) if first is None else (first, clock)
        kind, pause = (frame.format.name, frame.layout.name, frame.sample_rate), begins - clock
        ahead = round((begins - first) * sr) - given
        pieces: list[np.ndarray] = []
        if part is None or part.kind != kind or pause > JITTER:
            pieces += part.rest() if part else []
            part = _Part(kind, [channel.name for channel in frame.layout.channels], sr)
        if pause > JITTER:
            report.pauses.append((clock, begins))
            pieces.append(np.zeros(max(ahead - sum(map(len, pieces)), 0), np.float32))
            clock = begins
        clock += frame.samples / frame.sample_rate
        pieces += part.mixed(frame)
        for piece in pieces:
            given += len(piece)
            report.add(piece)
            yield first, piece
    for piece in part.rest() if part is not None else []:
        report.add(piece)
        yield first or 0.0, piece


def _check_leap(path: str | Path, leads: bool, clock: float, begins: float) -> None:
    if begins - clock > LONGEST:
        where = "begins its sound" if leads else f"goes on with its sound after {clock:.2f} s"
        raise DataError(path, f"{where} at {begins:.2f} s: a damaged time stamp")


class _Part:
    """A stretch of sound of one format: resampled, then mixed."""

    def __init__(self, kind: tuple[str, str, int], channels: list[str], sr: int) -> None:
        # Samples of all channels in turn: PyAV reads planes of eight and more channels from beyond their end.
        self.kind, self._resampler = kind, av.AudioResampler(format="flt", rate=sr)
        self._mix, self._channels = Downmix(channels, sr), len(channels)

    def mixed(self, frame: av.AudioFrame | None) -> list[np.ndarray]:
        parts = [part.to_ndarray().reshape(-1, self._channels).T for part in self._resampler.resample(frame)]
        return [mono for part in parts for mono in self._mix.mixed(part)]

    def rest(self) -> list[np.ndarray]:
        return [*self.mixed(None), self._mix.rest()]
