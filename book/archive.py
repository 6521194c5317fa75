"""The built book as one zip that opens from a disk, without a server or a network: python book/archive.py book.zip."""

import argparse
import re
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NAME = "uspl-book"  # the folder in the archive
UNREAD = {"objects.inv", ".buildinfo", ".doctrees", "reports"}  # for other builds, not for readers
PACKED = {".webp", ".png", ".jpg", ".mp4", ".woff", ".woff2", ".zip", ".gz"}  # compressed already
DATE = (2026, 1, 1, 0, 0, 0)  # the same book is the same archive
# The search shows a line of each page that it finds. A page opened from a disk may not read another one.
SUMMARY = re.compile(r"(SHOW_SEARCH_SUMMARY:\s*)true")


def files(html: Path) -> list[Path]:
    """What readers need, in a fixed order."""
    there = (path for path in html.rglob("*") if path.is_file())
    return sorted(path for path in there if not UNREAD & set(path.relative_to(html).parts))


def content(path: Path) -> bytes:
    """The bytes of a file as they go into the archive."""
    if path.name == "documentation_options.js":
        return SUMMARY.sub(r"\1false", path.read_text()).encode()
    return path.read_bytes()


def pack(html: Path, target: Path) -> int:
    """Write the archive whole or not at all; how many files it holds."""
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished, chosen = target.with_suffix(".part"), files(html)
    with zipfile.ZipFile(unfinished, "w") as box:
        for path in chosen:
            entry = zipfile.ZipInfo(f"{NAME}/{path.relative_to(html).as_posix()}", DATE)
            entry.compress_type = zipfile.ZIP_STORED if path.suffix in PACKED else zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            box.writestr(entry, content(path))
    unfinished.replace(target)
    return len(chosen)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("target", type=Path, nargs="?", default=ROOT / "_build" / f"{NAME}.zip")
    parser.add_argument("--html", type=Path, default=ROOT / "_build" / "html", help="the built book")
    asked = parser.parse_args()
    if not (asked.html / "index.html").is_file():
        sys.exit(f"`--html` must be a built book; {asked.html} has no index.html: `make book` builds it.")
    count = pack(asked.html, asked.target)
    size = asked.target.stat().st_size / 2**20
    print(f"The book: {asked.target}, {count} files, {size:.0f} MiB; unpack it and open {NAME}/index.html")
    return 0


if __name__ == "__main__":
    sys.exit(main())
