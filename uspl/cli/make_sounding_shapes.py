"""Draw Sounding Shapes: films of shapes of which exactly one is heard, with exact masks."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from uspl.cli.arguments import exit_code
from uspl.data.synthetic.generate import LEVELS, make, settings
from uspl.data.synthetic.scene import SPLITS


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """The command line; what is not given comes from the level."""
    parser = argparse.ArgumentParser(description=__doc__, argument_default=argparse.SUPPRESS)
    parser.add_argument("root", type=Path, help="folder to fill: empty, missing, or begun by this script")
    parser.add_argument("--level", choices=LEVELS, default="standard", help="preset of the arguments below")
    whole = {
        "seed": "of every scene and sound",
        "size": "pixels, side of the film, even",
        "fps": "frames per second",
        "seconds": "length of a clip",
        "classes": "sounding classes, 2 to 12",
        "clutter": "strokes in the background",
        **{split: f"clips in the split `{split}`" for split in SPLITS},
    }
    for name, text in whole.items():
        parser.add_argument(f"--{name}", type=int, help=text)
    parser.add_argument("--distractors", type=int, nargs=2, metavar=("MIN", "MAX"), help="silent objects")
    parser.add_argument("--radius", type=float, nargs=2, metavar=("MIN", "MAX"), help="of objects, shares of the side")
    parser.add_argument("--texture-variation", type=float, help="0 to 1: how much looks vary within a class")
    parser.add_argument("--mute", type=float, help="probability that a later distractor is of no sounding class")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes; default: all processors")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    values = vars(arguments(argv))
    root, workers, level = values.pop("root"), values.pop("workers"), values["level"]

    def drawn() -> int:
        s, counts = settings(values)
        made = make(root, s, counts, workers=workers, level=level)
        print(f"{root}: {sum(counts.values())} clips, {made} of them made in this run.")
        return 0

    return exit_code(drawn, root, stopped=f" and keeps what `{root}` holds")


if __name__ == "__main__":
    sys.exit(main())
