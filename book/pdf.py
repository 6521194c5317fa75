"""The built book as one PDF, printed by Chromium in the order of the contents: python book/pdf.py book.pdf."""

import argparse
import functools
import http.server
import io
import shutil
import sys
import threading
from pathlib import Path
from typing import Any

from build import contents

ROOT = Path(__file__).resolve().parent.parent
# Pictures load when they are seen; on paper all of them are.
LOAD = "Promise.all([...document.images].map(i => (i.loading = 'eager', i.decode().catch(() => null))))"


def pages() -> list[str]:
    """Addresses of all pages below the root of the book, in order."""
    toc = contents()
    chapters = [c for part in toc["parts"] for c in part["chapters"]]
    files = [toc["root"], *(page["file"] for c in chapters for page in (c, *c.get("sections", ())))]
    return [f"{name}.html" for name in files]


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *_: Any) -> None: ...


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("target", type=Path, nargs="?", default=ROOT / "_build" / "book.pdf")
    parser.add_argument("--html", type=Path, default=ROOT / "_build" / "html", help="the built book")
    parser.add_argument("--only", nargs="+", metavar="PAGE", help="these pages, for instance notebooks/04_random_walk")
    asked = parser.parse_args()
    chosen = [f"{name}.html" for name in asked.only] if asked.only else pages()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("`chromium` is not on the path; it prints the pages.")
    for name in chosen:
        if not (asked.html / name).is_file():
            sys.exit(f"`--html` must be a built book; {asked.html} has no {name}: `make book` builds it.")
    from playwright.sync_api import sync_playwright
    from pypdf import PdfWriter

    whole = PdfWriter()
    handler = functools.partial(Quiet, directory=str(asked.html))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, sync_playwright() as p:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        tab = p.chromium.launch(executable_path=chromium, args=["--no-sandbox"]).new_page()
        for name in chosen:
            tab.goto(f"http://127.0.0.1:{server.server_address[1]}/{name}", wait_until="networkidle")
            tab.evaluate(LOAD)
            first, edges = len(whole.pages), dict.fromkeys(("top", "bottom", "left", "right"), "15mm")
            whole.append(io.BytesIO(tab.pdf(format="A4", margin=edges)), import_outline=False)
            whole.add_outline_item(title=tab.title(), page_number=first)
        server.shutdown()
    asked.target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = asked.target.with_suffix(".part")
    whole.write(unfinished)
    unfinished.replace(asked.target)
    print(f"The book: {asked.target}, {len(whole.pages)} pages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
