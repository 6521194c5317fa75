"""Cut frames and 16 kHz sound from the videos of a folder in AVSBench-S4's layout."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from uspl.cli.arguments import exit_code
from uspl.data.prepare.avsbench import LIMIT, made_as, run
from uspl.data.prepare.jobs import Refused


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path, help="folder that holds s4_meta_data.csv and raw_videos/")
    parser.add_argument("--size", type=int, help="pixels, side of the frames; default: as the set was made, or 224")
    parser.add_argument("--seconds", type=int, help="frames per clip, one a second; default: as made, or 5")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes; default: all processors")
    parser.add_argument("--limit", type=float, default=LIMIT, help="s, after which a clip is given up; default: 10")
    parser.add_argument("--strict", action="store_true", help="exit with 1 when any clip needs a look")
    args = parser.parse_args(argv)
    return exit_code(lambda: _prepared(args), args.root)


def _prepared(args: argparse.Namespace) -> int:
    made = made_as(args.root)
    size = args.size if args.size is not None else made.get("size", 224)
    seconds = args.seconds if args.seconds is not None else made.get("seconds", 5)
    if size < 8 or seconds < 1:
        raise Refused(f"`--size` must be 8 or more and `--seconds` 1 or more; got {size} and {seconds}.")
    if not args.limit > 0:
        raise Refused(f"`--limit` must be above 0; got {args.limit:g}.")
    done = run(args.root, size, seconds, args.workers, args.limit)
    trouble = [row for row in done if row.trouble]
    print(f"{args.root}: {sum(row.status != 'bad' for row in done)} of {len(done)} clips prepared.")
    for row in trouble:
        print(f"  {row}")
    return 1 if trouble and args.strict else 0


if __name__ == "__main__":
    sys.exit(main())
