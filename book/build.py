"""Build the book: stage the pages and one folder of notebooks side by side, then let Jupyter Book render them.

python book/build.py                                         # the committed notebooks -> _build/html
python book/build.py --notebooks runs/tiny --out runs/tiny   # those just executed -> runs/tiny/_build/html
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
JUPYTER_BOOK = "from jupyter_book.cli.main import main; main()"


def copy(source: Path, target: Path) -> None:
    """Copy unless the copy is the same, so that an unchanged page is not rendered again."""
    if target.exists() and target.read_bytes() == source.read_bytes():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)


def stage(notebooks: Path, target: Path, *, draft: bool) -> None:
    """Pages, pictures and notebooks in one tree with the repository's own relative paths."""
    wanted = {}
    for path in sorted((ROOT / "book").iterdir()):
        if path.suffix in {".md", ".bib", ".yml"}:
            wanted[target / "book" / path.name] = path
    for path in sorted((ROOT / "book" / "_static").iterdir()):
        wanted[target / "book" / "_static" / path.name] = path
    toc = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text())
    for name in [c["file"] for part in toc["parts"] for c in part["chapters"]]:
        path = notebooks / f"{Path(name).name}.ipynb"  # a run with other parameters is no chapter
        if name.startswith("notebooks/") and path.is_file():
            wanted[target / "notebooks" / path.name] = path
    if target.exists():
        for old in [p for p in target.rglob("*") if p.is_file() and p not in wanted and p.name != "_toc.yml"]:
            old.unlink()
    for to, source in wanted.items():
        copy(source, to)
    if draft:  # chapters not yet written are left out; a real build stops at them
        for part in toc["parts"]:
            part["chapters"] = [c for c in part["chapters"] if any(target.glob(c["file"] + ".*"))]
        toc["parts"] = [part for part in toc["parts"] if part["chapters"]]
    text = yaml.safe_dump(toc, sort_keys=False)
    if not (target / "_toc.yml").exists() or (target / "_toc.yml").read_text() != text:
        (target / "_toc.yml").write_text(text)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--notebooks", type=Path, default=ROOT / "notebooks", help="folder of the chapters")
    parser.add_argument("--out", type=Path, default=ROOT, help="the book lands in OUT/_build/html")
    parser.add_argument("--draft", action="store_true", help="leave out chapters not written yet; warn, do not stop")
    args = parser.parse_args()
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
    if done.returncode == 0:
        print(f"The book: {page}")
    else:
        print(f"The book was not built: see the warnings above; the reports are in {out / '_build' / 'html'}.")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
