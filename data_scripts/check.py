"""Say in one table what a data folder holds: per split the clips, frames, masks and sounds, and what is wrong.

python data_scripts/check.py data/sounding-shapes
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from uspl.doctor import examine, table
from uspl.media import DataError

SHOWN = 40  # clips named; the rest are counted


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
    print(table(splits))
    trouble = [f"  {split.name}/{name}: {reason}" for split in splits for name, reason in split.trouble]
    shown = trouble if args.all else trouble[:SHOWN]
    print("Nothing is wrong." if not trouble else "\n".join(shown))
    if len(shown) < len(trouble):
        print(f"  and {len(trouble) - len(shown)} more; --all names them.")
    return 1 if trouble and args.strict else 0


if __name__ == "__main__":
    sys.exit(main())
