"""Frames and sounds of VGGSound, from a folder of films or from the table of ids."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from uspl.cli.arguments import exit_code
from uspl.data.download.refusals import STANDING
from uspl.data.prepare.jobs import Refused
from uspl.data.prepare.vggsound import SHOWN, run


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("source", type=Path, help="folder of videos, or the official table vggsound.csv")
    add("out", type=Path, help="folder to write")
    add("--only", type=Path, help="list of ids, one a line, perhaps .gz: prepare no other")
    add("--shards", type=int, default=0, help="write so many WebDataset shards instead of plain files")
    add("--workers", type=int, default=os.cpu_count() or 1, help="clips at a time; default: all processors")
    add("--scheduler", help="address of a Dask scheduler, whose workers see the same folders; default: this machine")
    add("--sleep", type=float, default=2.0, help="s between two downloads, up to twice as long; default 2")
    add("--rate", type=int, default=2_000_000, help="bytes a second of a download, at most; default 2000000")
    kinds = ", ".join(sorted(STANDING))
    what = f"ask again for the videos of this class, which otherwise stand: {kinds}, or all; may be repeated"
    add("--again", action="append", default=[], choices=[*sorted(STANDING), "all"], metavar="CLASS", help=what)
    add("--keep-videos", action="store_true", help="keep the downloaded videos, in .videos")
    add("--strict", action="store_true", help="exit with 1 when any clip needs a look")
    return parser


def _checked(args: argparse.Namespace) -> argparse.Namespace:
    for name, least in (("shards", 0), ("workers", 1), ("sleep", 0), ("rate", 1)):
        if not getattr(args, name) >= least:
            raise Refused(f"`--{name}` must be {least} or more; got {getattr(args, name)}.")
    if not args.source.exists():
        raise Refused(f"`{args.source}` is missing; name a folder of videos, or the table vggsound.csv.")
    if args.source.resolve() == args.out.resolve():
        raise Refused(f"`out` must be another folder than the videos; got `{args.out}` for both.")
    return args


def main(argv: list[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    return exit_code(lambda: _prepared(args), args.out)


def _prepared(args: argparse.Namespace) -> int:
    report = run(_checked(args))
    trouble = report["trouble"]
    prepared = sum(report.get(status, 0) for status in ("ok", "silent", "odd"))
    print(f"{args.out}: {prepared} of {report['listed']} clips prepared.")
    for row in trouble[:SHOWN]:
        says = f"  {row['id']}: {row['status']}: {row['reason']}"
        print(says.encode(errors="backslashreplace").decode())
    if len(trouble) > SHOWN:
        print(f"  and {len(trouble) - SHOWN} more, in `{args.out / 'report.json'}`.")
    standing = ", ".join(f"{report[kind]} {kind}" for kind in sorted(STANDING & report.keys()))
    if standing:
        print(f"Not asked for again: {standing}; --again CLASS does.")
    return 1 if trouble and args.strict else 0


if __name__ == "__main__":
    sys.exit(main())
