"""Build the book: stage the pages and one folder of notebooks side by side, then let Jupyter Book render them.

python book/build.py                                         # the committed notebooks -> _build/html
python book/build.py --notebooks runs/tiny --out runs/tiny   # those just executed -> runs/tiny/_build/html
"""

import argparse
import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml
from api_pages import pages

ROOT = Path(__file__).resolve().parent.parent
JUPYTER_BOOK = "from jupyter_book.cli.main import main; main()"


def contents() -> dict[str, Any]:
    """The table of contents, with the pages of the library below `book/api`."""
    toc: dict[str, Any] = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text())
    for chapter in [c for part in toc["parts"] for c in part["chapters"] if c["file"] == "book/api"]:
        chapter["sections"] = [{"file": f"book/{name}"} for name in pages() if name != "api"]
    return toc


def stage(notebooks: Path, target: Path, *, draft: bool) -> None:
    """Pages, pictures and notebooks in one tree with the repository's own relative paths; what did not change stays."""
    wanted = {target / "book" / f"{name}.md": text.encode() for name, text in pages().items()}
    for path in sorted((ROOT / "book").iterdir()):
        if path.suffix in {".md", ".bib", ".yml"}:
            wanted[target / "book" / path.name] = path.read_bytes()
    for path in sorted((ROOT / "book" / "_static").iterdir()):
        wanted[target / "book" / "_static" / path.name] = path.read_bytes()
    toc = contents()
    for name in [c["file"] for part in toc["parts"] for c in part["chapters"]]:
        path = notebooks / f"{Path(name).name}.ipynb"  # a run with other parameters is no chapter
        if name.startswith("notebooks/") and path.is_file():
            wanted[target / "notebooks" / path.name] = path.read_bytes()
    if draft:  # chapters not yet written are left out; a real build stops at them
        there = {path.relative_to(target).with_suffix("").as_posix() for path in wanted}
        for part in toc["parts"]:
            part["chapters"] = [c for c in part["chapters"] if c["file"] in there]
        toc["parts"] = [part for part in toc["parts"] if part["chapters"]]
    wanted[target / "_toc.yml"] = yaml.safe_dump(toc, sort_keys=False).encode()
    for old in [p for p in target.rglob("*") if p.is_file() and p not in wanted]:
        old.unlink()
    for path, data in wanted.items():
        if not path.exists() or path.read_bytes() != data:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)


def refusal() -> str:
    """Why the book cannot be built with what is installed; empty where it can."""
    brings = "`pip install 'jupyter-book>=1.0.4,<2'` brings it"
    try:
        found = version("jupyter-book")
    except PackageNotFoundError:
        return f"`jupyter-book` 1 is missing; {brings}."
    if int(found.split(".")[0]) >= 2:
        return (
            f"`jupyter-book` must be version 1, which alone reads Sphinx extensions and builds offline; got {found}: "
            f"{brings}."
        )
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--notebooks", type=Path, default=ROOT / "notebooks", help="folder of the chapters")
    parser.add_argument("--out", type=Path, default=ROOT, help="the book lands in OUT/_build/html")
    parser.add_argument("--draft", action="store_true", help="leave out chapters not written yet; warn, do not stop")
    args = parser.parse_args()
    if why := refusal():
        print(why, file=sys.stderr)
        return 2
    out = args.out.resolve()
    source = out / "_build" / "src"
    stage(args.notebooks.resolve(), source, draft=args.draft)
    command = [sys.executable, "-c", JUPYTER_BOOK, "build", str(source), "--path-output", str(out), "--quiet"]
    command += ["--config", str(ROOT / "book" / "_config.yml"), "--toc", str(source / "_toc.yml")]
    command += ["-n", "--keep-going"] if args.draft else ["-W", "-n", "--keep-going"]
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in paths if p), "USPL_DRAFT": str(int(args.draft))}
    done = subprocess.run(command, env=env, check=False)
    page = out / "_build" / "html" / "index.html"
    if done.returncode == 0 and page.is_file():
        print(f"The book: {page}")
        return 0
    print(f"The book was not built: see the warnings above; the reports are in {out / '_build' / 'html'}.")
    return done.returncode or 1


if __name__ == "__main__":
    sys.exit(main())
