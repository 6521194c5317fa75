"""Two hundred damaged films, each ends in a result or one sentence: `python -m benchmarks.mutations FOLDER ...`."""

import argparse
import random
import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import av
import torch

from uspl.config import Config
from uspl.core import paths, record
from uspl.core.errors import DataError
from uspl.data.prepare.jobs import each
from uspl.inference.localizer import Localizer
from uspl.media import clip_at, frames_at, waveform
from uspl.media.stream import pictures
from uspl.model import USPL
from uspl.video.overlay import mark_video

LIMIT = 10.0  # s: a film that takes longer hangs
SECONDS = 1.5  # of each film: what is damaged is short
FILMS = {".mp4", ".mkv", ".webm", ".ts", ".mov", ".avi", ".flv"}


@dataclass(frozen=True)
class Outcome:
    """What became of a damaged film, by every way that reads it."""

    film: str
    kind: str
    seconds: float = 0.0
    says: tuple[str, ...] = ()  # "result", or the sentence
    faults: tuple[str, ...] = ()


def shortened(source: Path, out: Path) -> Path:
    """The first seconds of a film in its own container, its packets as they are."""
    with av.open(str(source)) as old, av.open(str(out), "w") as new:
        tracks = {
            s.index: new.add_stream_from_template(s, opaque=True) for s in (*old.streams.video, *old.streams.audio)
        }
        origin = (old.start_time or 0) / av.time_base
        for packet in old.demux([old.streams[index] for index in tracks]):
            at = packet.pts if packet.dts is None else packet.dts
            if at is not None and float(at * packet.time_base) - origin < SECONDS:
                packet.stream = tracks[packet.stream.index]
                new.mux(packet)
    return out


def flipped(data: bytearray, draw: random.Random) -> bytes:
    for _ in range(draw.choice([1, 10, 100, 1000])):
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    return bytes(data)


def header_flipped(data: bytearray, draw: random.Random) -> bytes:
    """As `flipped`, where a file says what it holds: in its first or last 2000 bytes."""
    for _ in range(draw.choice([1, 5, 25])):
        at = draw.randrange(min(2000, len(data)))
        data[at if draw.random() < 0.5 else -1 - at] ^= 1 << draw.randrange(8)
    return bytes(data)


def cut(data: bytearray, draw: random.Random) -> bytes:
    return bytes(data[: draw.randrange(1, len(data))])


def emptied(data: bytearray, draw: random.Random) -> bytes:
    """A stretch of zeros."""
    at, n = draw.randrange(len(data)), draw.randrange(1, max(len(data) // 4, 2))
    data[at : at + n] = bytes(len(data[at : at + n]))
    return bytes(data)


def swapped(data: bytearray, draw: random.Random) -> bytes:
    """Two boxes of an ISO file change places; of any other, two stretches of it."""
    boxes = [
        found.start() - 4 for found in re.finditer(rb"ftyp|moov|mdat|trak|mdia|minf|stbl|st[cstz][odcszs]|free", data)
    ]
    spans = [(at, at + int.from_bytes(data[at : at + 4], "big")) for at in boxes if at >= 0]
    spans = [(a, b) for a, b in spans if a + 8 <= b <= len(data)]
    if len(spans) < 2:
        n = max(len(data) // draw.choice([4, 20, 100]), 1)
        spans = [(at, at + n) for at in (draw.randrange(max(len(data) - n, 1)) for _ in range(2))]
    (a, b), (c, d) = sorted(draw.sample(spans, 2))
    if c < b:
        return bytes(data[:a] + data[c:d] + data[a:c] + data[d:])
    return bytes(data[:a] + data[c:d] + data[b:c] + data[a:b] + data[d:])


KINDS: tuple[Callable[[bytearray, random.Random], bytes], ...] = (flipped, header_flipped, cut, emptied, swapped)


def tried(localizer: Localizer, seed: int, asked: tuple[int, Path]) -> Outcome:
    """Damage a film and read it in every way; `faults` tells what no film may do."""
    number, source = asked
    change, draw = KINDS[number % len(KINDS)], random.Random(f"{seed} {number}")
    says, faults = [], []
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        film, out = Path(folder) / source.name, Path(folder) / "out.mp4"
        film.write_bytes(change(bytearray(source.read_bytes()), draw))
        files = {"json": Path(folder) / "out.json", "masks": Path(folder) / "masks"}
        ways: list[Callable[[], Any]] = [
            partial(frames_at, film, [0.1, 0.5, 0.9]),
            partial(frames_at, film, [1.1]),
            partial(waveform, film),
            partial(clip_at, film, 0.8),
            partial(mark_video, film, out, model=localizer, **files),
        ]
        for way in ways:
            try:
                way()
                says.append("result")
            except DataError as error:
                says.append(re.sub(r"\d+(\.\d+)?", "N", error.reason))
                if "\n" in str(error) or not str(error).endswith("."):
                    faults.append(f"no sentence: {error}")
            except Exception as error:  # what no film may do
                faults.append(f"{type(error).__name__}: {error}")
        seconds = time.perf_counter() - start
        there = {path.name for path in Path(folder).iterdir()} - {film.name}
        whole = {"out.mp4", "out.json", "masks"} if says and says[-1] == "result" and len(says) == len(ways) else set()
        if there != whole:
            faults.append(f"left {sorted(there)}")
        elif whole and not any(True for _ in pictures(out)):
            faults.append("wrote a film without pictures")
    return Outcome(source.name, change.__name__, seconds, tuple(says), tuple(faults))


def _lost(asked: tuple[int, Path], why: str) -> Outcome:
    return Outcome(asked[1].name, KINDS[asked[0] % len(KINDS)].__name__, faults=(why,))


def counted(outcomes: list[Outcome]) -> dict[str, Any]:
    """The record: how each kind of damage ended, the sentences, the faults."""
    by_kind: dict[str, Any] = {}
    for change in KINDS:
        of_kind = [o for o in outcomes if o.kind == change.__name__]
        read = sum(set(o.says) == {"result"} for o in of_kind)
        refused = sum("result" not in o.says and bool(o.says) for o in of_kind)
        by_kind[change.__name__] = {
            "films": len(of_kind),
            "read in every way": read,
            "refused in every way": refused,
            "read in some": len(of_kind) - read - refused,
        }
    return {
        "films": len(outcomes),
        "kinds": by_kind,
        "slowest_s": round(max(o.seconds for o in outcomes), 1),
        "sentences": dict(Counter(say for o in outcomes for say in o.says).most_common()),
        "faults": [f"{o.film} ({o.kind}): {fault}" for o in outcomes for fault in o.faults],
    }


def main() -> None:
    """Damage, read, print the faults, write the record."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mutations", description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+", help="folders of films")
    parser.add_argument("--out", type=Path, default=paths.results_folder(below="robustness/mutated-films.json"))
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    torch.manual_seed(0)
    localizer = Localizer(USPL(Config.tiny()).eval(), map="m_crs")
    with tempfile.TemporaryDirectory() as folder:
        found = sorted(p for home in asked.folders for p in home.iterdir() if p.suffix in FILMS)
        films = [shortened(film, Path(folder) / film.name) for film in found]
        todo = [(n, films[n // len(KINDS) % len(films)]) for n in range(asked.count)]
        job = partial(tried, localizer, asked.seed)
        outcomes = list(each(job, todo, workers=1, says="damaged films", limit=LIMIT, lost=_lost))
    told = counted(outcomes)
    print(*told["faults"], sep="\n")
    about = {"command": "python -m benchmarks.mutations FOLDER ...", "seed": asked.seed, "limit_s": LIMIT}
    print(record.write(asked.out, about | {"sources": [film.name for film in found]} | told))


if __name__ == "__main__":
    main()
