"""`uspl run` on a film of 10 s and one of 60 s, 640 x 360 at 25 frames a second: `python -m benchmarks.film`."""

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

from uspl.core import paths, record
from uspl.core.record import read
from uspl.data import sounding_shapes
from uspl.media import waveform
from uspl.media.stream import pictures
from uspl.video.demo_film import write_demo_film

SIZE, FPS, RATE = (640, 360), 25, 44_100


def make(source: Path, out: Path, seconds: int) -> None:
    """A film of `seconds`: the pictures of another one again and again, enlarged, its sound in stereo at 44.1 kHz."""
    shown = [np.asarray(Image.fromarray(p).resize(SIZE)) for _, p in pictures(source)]
    wave = waveform(source, RATE).numpy()
    with av.open(str(out), "w") as box:
        film = box.add_stream("libx264", rate=FPS, options={"preset": "veryfast"})
        (film.width, film.height), film.pix_fmt = SIZE, "yuv420p"
        voice = box.add_stream("aac", rate=RATE, layout="stereo")
        order = itertools.cycle([*range(len(shown)), *range(len(shown))[::-1]])
        for n, k in zip(range(seconds * FPS), order, strict=False):
            box.mux(film.encode(av.VideoFrame.from_ndarray(shown[k], format="rgb24")))
            if n % FPS == 0:
                second = np.resize(np.roll(wave, -RATE * (n // FPS)), RATE)
                samples = av.AudioFrame.from_ndarray(np.stack([second, second]), format="fltp", layout="stereo")
                samples.sample_rate, samples.pts, samples.time_base = RATE, n // FPS * RATE, Fraction(1, RATE)
                box.mux(voice.encode(samples))
        box.mux(film.encode(None))
        box.mux(voice.encode(None))


def measured(film: Path, out: Path, given: list[str]) -> dict[str, float]:
    """Seconds of `uspl run` on the wall, from the start of Python to its end, its peak memory, what it found."""
    values = out.with_suffix(".json")
    command = ["-m", "uspl", "run", str(film), "-o", str(out), "--json", str(values), *given]
    start = time.perf_counter()
    with subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - start
    if process.returncode:
        raise RuntimeError(f"`uspl run` ended with {process.returncode}.")
    found = read(values)
    told = {"wall_s": round(wall, 2), "processor_s": round(usage.ru_utime + usage.ru_stime, 2)}
    return told | {"peak_mib": usage.ru_maxrss // 1024, "frames": found["count"], "open": found["open"]}


def main() -> None:
    """Make the films, run each, print a line, write the record."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.film", description=__doc__)
    parser.add_argument("--data", type=Path, default=paths.data_folder())
    parser.add_argument("--out", type=Path, default=paths.results_folder(below="run/360p.json"))
    asked = parser.parse_args()
    root = sounding_shapes(asked.data)
    told = {}
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "acts.mp4"
        write_demo_film(root, source)
        for seconds in (10, 60):
            film, out = Path(folder) / f"{seconds}.mp4", Path(folder) / f"{seconds}-out.mp4"
            make(source, film, seconds)
            told[f"{seconds}_s"] = measured(film, out, ["--data", str(root)])
            print(f"{seconds} s:", told[f"{seconds}_s"])
    about = {"command": "python -m benchmarks.film", "cores": len(os.sched_getaffinity(0)), "size": list(SIZE)}
    print(record.write(asked.out, about | {"fps": FPS, "map": "m", "tier": "tiny", **told}))


if __name__ == "__main__":
    main()
