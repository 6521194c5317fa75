"""Run chapters by papermill, and note beside papermill's own words what the page tells below the text.

python book/execute.py 04_random_walk --out runs/tiny -p t 4   # -> runs/tiny/04_random_walk.ipynb
python book/execute.py 04_random_walk                          # refreshes notebooks/04_random_walk.ipynb
"""

import argparse
import ast
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
import papermill
from papermill.exceptions import PapermillExecutionError

from uspl.cli.arguments import unknown
from uspl.core import files, record
from uspl.experiments.paper import notebook as page

ROOT = Path(__file__).resolve().parent.parent
OUTSIDE = ("10_photographs",)  # chapters that need what other packages bring; without it their committed outputs stand
KEPT = ("parameters", "duration", "start_time")  # of what papermill notes; the rest are paths of this machine


def execute(source: Path, target: Path, parameters: dict[str, Any]) -> None:
    """Run one notebook; `target` appears when all of it has run, with `metadata.uspl`: environment and peak memory."""
    with tempfile.TemporaryDirectory() as folder:
        ran = Path(folder) / source.name
        page.execute(source, ran, parameters, progress_bar=sys.stderr.isatty())
        notebook = nbformat.read(ran, as_version=4)
        told = record.environment() | {"commit": commit()}
        told["peak_mib"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024  # of the kernel
        notebook.metadata["uspl"] = told
        notebook.metadata.papermill = {k: notebook.metadata.papermill[k] for k in KEPT}
        notebook.metadata.pop("widgets", None)
        tidy(notebook)
        files.write_text(target, nbformat.writes(notebook) + "\n")


def keep(source: Path, target: Path, why: str) -> None:
    """The chapter as it is committed, with a note for the status page that it did not run here."""
    notebook = nbformat.read(source, as_version=4)
    notebook.metadata.setdefault("uspl", {})["kept"] = why
    if target != source:
        files.write_text(target, nbformat.writes(notebook) + "\n")


def tidy(notebook: Any) -> None:
    """Times leave the cells, and code cells are counted from 1: the file changes only where a result does."""
    kept, count = [], 0
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if "injected-parameters" in tags and not notebook.metadata.papermill["parameters"]:
            continue
        for name in ("papermill", "execution"):
            cell.metadata.pop(name, None)
        if not tags:
            cell.metadata.pop("tags", None)
        if cell.cell_type == "code":
            count += 1
            cell.execution_count = count
            for out in cell.outputs:
                if "execution_count" in out:
                    out["execution_count"] = count
        kept.append(cell)
    notebook.cells = kept


def commit() -> str:
    """Short hash of what ran, "+" behind it where the library differs from it; that chapters change does not count."""
    told = subprocess.run(["git", "rev-parse", "--short=10", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    changed = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", "uspl"], cwd=ROOT, capture_output=True)
    return (told.stdout.strip() or "unknown") + ("+" if changed.returncode == 1 else "")


def value(text: str) -> Any:
    """A Python literal, or the text itself."""
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text


def misfit(chapter: str, has: dict[str, Any], given: dict[str, Any]) -> str:
    """Why the parameters are not the chapter's: a name that it lacks, or text for a number; empty where they are."""
    for name, one in given.items():
        if name not in has:
            return unknown(f"`{chapter}` has no parameter", name, has)
        default = value(has[name]["default"])
        if isinstance(default, int | float) and one is not None and not isinstance(one, int | float):
            kind = "True or False" if isinstance(default, bool) else "a number"
            return f"`{name}` of `{chapter}` must be {kind}, as its default {default}; got {one!r}."
    return ""


def refuse(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 2


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="+", metavar="CHAPTER")
    parser.add_argument("--out", type=Path, default=ROOT / "notebooks", help="folder; `notebooks/` itself if not said")
    parser.add_argument("--slug", default="", help="is added to the name of the file")
    parser.add_argument("-p", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"), dest="parameters")
    parser.add_argument("--tier", help="as -p tier, for the chapters that have it")
    parser.add_argument("--data", help="as -p data, for the chapters that have it")
    asked = parser.parse_args()
    given = {name: value(text) for name, text in asked.parameters}
    offered = {name: text for name in ("tier", "data") if (text := getattr(asked, name)) is not None}
    if (given or offered) and asked.out.resolve() == ROOT / "notebooks":
        return refuse("`--out` must be given with parameters: notebooks/ holds the chapters with their own defaults.")
    os.environ.setdefault("USPL_STATIC", "1")  # nobody sits before these runs
    os.environ["PYTHONPATH"] = os.pathsep.join(p for p in (str(ROOT), os.environ.get("PYTHONPATH")) if p)
    if len(asked.names) > 1:  # a process each: the peak of memory is that of all kernels of a process
        options = [word for word in sys.argv[1:] if word not in asked.names]
        return max(subprocess.run([sys.executable, __file__, name, *options]).returncode for name in asked.names)
    for name in asked.names:
        source = ROOT / "notebooks" / f"{Path(name).stem}.ipynb"
        if not source.is_file():
            there = ", ".join(p.stem for p in sorted(source.parent.glob("*.ipynb")))
            return refuse(f"There is no chapter {Path(name).stem!r}; there are {there}.")
        has = papermill.inspect_notebook(source)
        if why := misfit(source.stem, has, given):
            return refuse(why)
        parameters = {name: text for name, text in offered.items() if name in has} | given
        try:
            execute(source, asked.out / f"{source.stem}{asked.slug}.ipynb", parameters)
        except PapermillExecutionError as error:
            if source.stem in OUTSIDE and error.ename in ("DataError", "FileNotFoundError") and not parameters:
                keep(source, asked.out / source.name, error.evalue)
                print(f"{source.stem}: not run, its committed outputs stand: {error.evalue}")
                continue
            sys.exit(f"{source.name}, cell {error.exec_count}: {error.ename}: {error.evalue}")
        print(f"{source.stem}: run")
    return 0


if __name__ == "__main__":
    sys.exit(main())
