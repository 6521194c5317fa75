"""Which parts of a recording belong to which split: long recordings give each split seconds of their own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from uspl.audio import RATE
from uspl.data.photos.material import Array

HOP = RATE // 10  # samples between two starts
LOUD = 0.15  # of the loudest part: quieter parts, a decay or a pause, are left out
LONG = 4.0  # s between the first and the last loud part, from which on the splits share nothing
SHARE = 0.2  # of a long recording, for validation and for the tests; at least one part

# Of the listed recordings, tenths of a second at which the next second gives one of the class's names .2 or more by
# YAMNet; those that are not here do so throughout, or are shorter than a second.
HEARD_FROM = {
    "frog.mp3": "0-1 4 8 14 18-20 25-40 42-49",
    "animals/amphibians/frog.ogg": "3 5",
    "duck.mp3": "0-29 36 38-39 41 43 45-49",
    "explore_farm_animals/resource/animals/chickens.ogg": "5 7-14 16 18 26 28-31 33 45 58 60 62-63 66 69-70 77 "
    "82 95 97-105 109 111-113",
    "cat.mp3": "13-20",
    "animals/birds/crow.ogg": "0-5",
    "animals/birds/blackbird.ogg": "8 10-11 22-26 29-69",
    "explore_farm_animals/resource/animals/owl.ogg": "0-3 5-7 9-12",
    "animals/insects/bee.ogg": "0-11 13-14 16 19 27-41 47 50-55",
    "animals/mammals/bovines/cow_white.ogg": "0-7",
    "explore_farm_animals/resource/animals/cow.ogg": "0-31",
    "cow.mp3": "0-12 14-21 23-39 41 43 46-49",
    "animals/mammals/cats/tiger.ogg": "0-18 30-33 39-45 52-58",
    "explore_farm_animals/resource/animals/horse.ogg": "0 2-8 11-13 15-17 19 21 24",
    "horse.mp3": "0-2 5",
    "explore_farm_animals/resource/animals/pig.ogg": "0-5 7 9 12 16-28 30 32-38 40-42",
    "pig.mp3": "1 4 12-27 29 33 35",
    "vehicles/emergency/firetruck.ogg": "2-50 77 83-84 87",
    "memory-sound/resource/LRStartAndStopCarEngine1LACut.ogg": "0 6-17 20-38",
    "instruments/resource/cymbal.ogg": "0-43 48-60",
    "hobbies/music/percussion/cymbal_crash.ogg": "0-2 5 7 9 14-16",
    "instruments/resource/drum_kit.ogg": "0 4-8 10-28",
    "hobbies/music/string/cello.ogg": "0 3 6-14 23",
    "instruments/resource/violin.ogg": "1 3 8 10-19 24-25 28-29 31-39 44 46-54 56-58 60-65",
    "hobbies/music/string/violin.ogg": "7-17 20-21",
    "instruments/resource/guitar.ogg": "0-9 11-13 15-41",
    "instruments/resource/electric_guitar.ogg": "0-27 29-35 44-66",
}


def heard_from(file: str) -> tuple[int, ...]:
    """Samples at which a listed recording may be begun; none where it may be anywhere.

    >>> heard_from("horse.mp3"), heard_from("of my own.wav")
    ((0, 1600, 3200, 8000), ())
    """
    runs = [run.split("-") for run in HEARD_FROM.get(file, "").split()]
    return tuple(k * HOP for run in runs for k in range(int(run[0]), int(run[-1]) + 1))


def starts(wave: Array, length: int, split: str, begins: Sequence[int] = ()) -> Array:
    """Where parts of so many samples may begin in a split; only 0 where the recording is shorter.

    Training takes the first parts, validation those behind, the tests the last; no two splits share a sample.

    Args:
        wave: (n,), at 16 kHz.
        length: samples of a part.
        split: "train", "val", or another, which is a test.
        begins: samples, multiples of `HOP`, to choose from; none means all.

    >>> rng = np.random.default_rng(0)
    >>> wave = rng.standard_normal(5 * RATE)
    >>> [(int(x[0]) / RATE, int(x[-1]) / RATE) for x in (starts(wave, RATE, k) for k in ("train", "val", "test"))]
    [(0.0, 2.0), (3.0, 3.0), (4.0, 4.0)]
    """
    if len(wave) <= length:
        return np.zeros(1, int)
    first = np.arange(0, len(wave) - length + 1, HOP)
    first = first[np.isin(first, begins)] if np.isin(first, begins).any() else first
    total = np.concatenate([[0.0], np.cumsum(wave.astype(np.float64) ** 2)])
    level = np.sqrt(np.maximum(total[first + length] - total[first], 0) / length)
    loud = first[level >= LOUD * level.max()]
    whole = loud[-1] + length - loud[0]
    if whole < LONG * RATE:
        return np.asarray(loud)
    last = max(length, int(SHARE * whole))
    test, val = loud[-1] + length - last, loud[-1] + length - 2 * last
    train = loud[loud + length <= val]
    middle = loud[(loud >= val) & (loud + length <= test)]
    behind = loud[loud >= test]
    if not (len(train) and len(middle) and len(behind)):
        return np.asarray(loud)
    return np.asarray({"train": train, "val": middle}.get(split, behind))
