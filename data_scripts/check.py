"""Say in one table what a data folder holds: per split the clips, frames, masks and sounds, and what is wrong.

python data_scripts/check.py data/sounding-shapes
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from uspl.doctor import SHOWN, examine, report
from uspl.media import DataError


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("root", type=Path, help="folder that holds s4_meta_data.csv and s4_data/")
    parser.add_argument("--strict", action="store_true", help="exit with 1 when anything is wrong")
    parser.add_argument("--all", action="store_true", help=f"name every clip in trouble, not only the first {SHOWN}")
    args = parser.parse_args(argv)
    try:
        splits = examine(args.root, progress=sys.stderr.isatty())
    except DataError as error:
        print(error, file=sys.stderr)
        return 2
    print(report(splits, shown=None if args.all else SHOWN))
    return 1 if args.strict and any(split.trouble for split in splits) else 0


if __name__ == "__main__":
    sys.exit(main())
