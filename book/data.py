"""All data sets and weights of the book, so that every chapter runs with the cable out: python book/data.py."""

import argparse
import sys
from collections.abc import Callable
from typing import Any

from uspl.core import paths
from uspl.core.errors import DataError
from uspl.data import sounding_photos, sounding_shapes
from uspl.encoders import yamnet_weights

FRESH = {"sounding-shapes-fresh": "standard", "sounding-shapes-hard-fresh": "hard"}  # drawn once, for the last test


def fresh(name: str) -> Any:
    """A set of another seed, which nothing was chosen on."""
    return sounding_shapes(paths.data_folder(name=name), level=FRESH[name], seed=3)  # type: ignore[arg-type]


STEPS: dict[str, Callable[[], Any]] = {
    "sounding-shapes": sounding_shapes,
    "sounding-shapes-hard": lambda: sounding_shapes(level="hard"),
    "sounding-shapes-fresh": lambda: fresh("sounding-shapes-fresh"),
    "sounding-shapes-hard-fresh": lambda: fresh("sounding-shapes-hard-fresh"),
    "yamnet": yamnet_weights.fetch,
    "sounding-photos": sounding_photos,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=list(STEPS), default=list(STEPS), metavar="NAME")
    lost = []
    for name in parser.parse_args().only:
        try:
            print(f"{name}: {STEPS[name]()}")
        except (DataError, FileNotFoundError, ValueError) as error:
            print(f"{name}: {error}", file=sys.stderr)
            lost.append(name)
    if lost:
        print(f"Not there: {', '.join(lost)}; the same command goes on.", file=sys.stderr)
    return int(bool(lost))


if __name__ == "__main__":
    sys.exit(main())
