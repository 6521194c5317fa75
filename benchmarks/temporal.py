"""The record of `uspl.experiments.temporal_average`: `python -m benchmarks.temporal`."""

import argparse
import time
from pathlib import Path

from uspl.core import paths, record
from uspl.data import sounding_shapes
from uspl.experiments.temporal_average import measured


def main() -> None:
    """Train what is not there, score, write the record, print its path."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.temporal", description=__doc__)
    parser.add_argument("--data", type=Path, default=paths.data_folder())
    parser.add_argument("--out", type=Path, default=paths.results_folder(below="temporal/sounding-shapes.json"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    asked = parser.parse_args()
    start = time.perf_counter()
    values = measured(sounding_shapes(asked.data), asked.seeds)
    about = {"command": "python -m benchmarks.temporal", "tier": "tiny", "map": "m", "seeds": asked.seeds}
    about |= {"data": asked.data.name, "seconds": round(time.perf_counter() - start, 1)}
    print(record.write(asked.out, about | values))


if __name__ == "__main__":
    main()
