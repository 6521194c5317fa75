"""`uspl check / bounds`: what a data folder holds, and what annotation files alone say."""

import sys
import time
from json import dumps
from pathlib import Path
from typing import Annotated

import tyro

from uspl.cli.arguments import in_project
from uspl.core import paths

Records = Annotated[Path | None, in_project("folder of the records, one per file", "results/annotations")]


def check(
    root: tyro.conf.Positional[Path],
    strict: bool = False,
    all: bool = False,
    json: bool = False,
    out: Path | None = None,
    boxes: Path | None = None,
    checksums: Path | None = None,
    write_checksums: Path | None = None,
) -> None:
    """What a data folder holds, lacks and hides, and whether scores on it compare with published ones.

    Args:
        root: folder in AVSBench-S4's layout, or with `frames` and `audio` as VGGSound's.
        strict: exit with 1 when something is wrong.
        all: name every clip in trouble, not only the first.
        json: print the findings as JSON.
        out: also write the findings as JSON to this file.
        boxes: the file that names VGG-SS's test clips; `vggss.json` in the folder by default.
        checksums: compare with this list of SHA-256.
        write_checksums: write such a list; `sha256sum -c` reads it too.
    """
    from uspl.audit import examine, folder_report
    from uspl.audit.checksums import listing
    from uspl.core.files import write_text

    found = examine.examine(root, boxes=boxes, written=checksums, progress=sys.stderr.isatty())
    text = dumps(found.as_dict(), indent=1)
    if out is not None:
        write_text(out, text + "\n")
    if write_checksums is not None:
        write_text(write_checksums, listing(found.files))
    print(text if json else folder_report.report(found, shown=None if all else folder_report.SHOWN))
    if strict and not found.healthy:
        raise SystemExit(1)


def bounds(files: tyro.conf.Positional[tuple[Path, ...]], out: Records = None) -> None:
    """Floor and ceiling of each protocol on a box file (.json); VGG-SS test clips in a list of ids (any other file).

    Args:
        files: VGG-SS's box file, training lists.
    """
    from uspl.core import record
    from uspl.evaluation.annotation_bounds import measure

    folder = paths.results_folder(out, "annotations")
    for file in files:
        start = time.perf_counter()
        found = measure(file)
        about = {"command": f"uspl bounds {file.name}", "seconds": round(time.perf_counter() - start, 1)}
        print(record.write(folder / f"{file.name.partition('.')[0]}.json", about | found))
