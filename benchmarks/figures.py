"""How long the live figures of the built book take to answer: `make book && python -m benchmarks.figures`.

Every control of every figure is moved over its whole range in headless Chromium; the time is that of the script, from
the values of the controls to the last pixel painted on a canvas.
"""

import argparse
import functools
import http.server
import os
import shutil
import statistics
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.machine import about
from uspl.core import paths, record

GOAL_MS = 30.0
ROUNDS = 3  # each range is passed so often; the first pass includes what the browser compiles

# A figure has begun, or something has failed and it never will.
BEGUN = """let failed = false;
for (const kind of ["error", "unhandledrejection"]) addEventListener(kind, () => (failed = true));
window.begun = (id) => failed || document.getElementById(id).matches(".on");"""

# One figure: label of a control -> milliseconds of each step. A step without a time of its own did not draw.
STEPS = """async (figure, rounds) => {
  const frame = () => new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go))), told = {};
  for (const e of figure.querySelectorAll("input, select")) {
    const label = e.type === "radio" ? e.closest("fieldset").querySelector("legend") : e.labels[0], all = [];
    const values = e.type === "range" ? [] : e.type === "radio" ? [true] : [...e.options].map((o) => o.value);
    for (let v = +e.min; e.type === "range" && v <= +e.max + 1e-9; v += +e.step || 1) values.push(v);
    const first = e.type === "radio" ? figure.querySelector(`[name="${e.name}"]:checked`) : e.value;
    const set = async (v) => {
      e.type === "radio" ? (e.checked = v) : (e.value = v);
      uspl.lastStep = undefined;
      for (const kind of ["input", "change"]) e.dispatchEvent(new Event(kind, { bubbles: true }));
      await frame();
      if (uspl.lastStep !== undefined) all.push(uspl.lastStep);
    };
    for (let k = 0; k < rounds; k++) for (const v of values) await set(v);
    if (e.type === "radio") { first.checked = true; first.dispatchEvent(new Event("change")); await frame(); }
    else await set(first);
    (told[label.textContent.trim()] ??= []).push(...all);
  }
  return told;
}"""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a folder, served from this machine."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None: ...

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


def measured(folder: Path, browser: Any) -> dict[str, dict[str, Any]]:
    """Page, place on it and kind of each figure -> for each control its steps, their median and their maximum.

    Raises:
        RuntimeError: a page that throws, or a figure none of whose controls draws.
    """
    found: dict[str, dict[str, Any]] = {}
    with served(folder) as site:
        for page in [p for p in sorted(folder.rglob("*.html")) if 'class="uspl uspl-live"' in p.read_text()]:
            name, tab, thrown = page.relative_to(folder).with_suffix("").as_posix(), browser.new_page(), []
            tab.on("pageerror", lambda error, thrown=thrown: thrown.append(str(error)))
            tab.add_init_script(BEGUN)
            tab.goto(site + name + ".html")
            for k, figure in enumerate(tab.locator("figure.uspl-live").all(), 1):
                figure.scroll_into_view_if_needed()
                tab.wait_for_function("id => begun(id)", arg=figure.get_attribute("id"))
                told = {} if thrown else figure.evaluate(f"(figure) => ({STEPS})(figure, {ROUNDS})")
                steps = {label: summary(ms) for label, ms in told.items() if ms}
                if not steps or thrown:
                    raise RuntimeError(f"{name}: {thrown or 'a figure does not answer its controls'}.")
                found[f"{name} {k} {figure.get_attribute('data-kind')}"] = steps
            tab.close()
    return found


def summary(ms: list[float]) -> dict[str, float]:
    """Steps, and their median and maximum in milliseconds."""
    return {"steps": len(ms), "median_ms": round(statistics.median(ms), 2), "max_ms": round(max(ms), 2)}


def chromium() -> str:
    """Where Chromium is."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not path:
        sys.exit("`chromium` is not on the path.")
    return path


def main() -> None:
    """Measure, print a line a control, write the record."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(prog="python -m benchmarks.figures", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--book", type=Path, default=Path("_build/html"), help="folder of the built pages")
    parser.add_argument("--out", type=Path, default=paths.results_folder(below="bench/figures.json"))
    asked = parser.parse_args()
    machine = about(threads=os.cpu_count() or 1, wall=True, pairs=ROUNDS)
    with sync_playwright() as p:
        found = measured(
            asked.book, p.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"])
        )
    if not found:
        sys.exit(f"`{asked.book}` holds no page with a live figure; `make book` builds the pages.")
    for name, steps in found.items():
        for label, s in steps.items():
            times = f"median {s['median_ms']:6.2f}   max {s['max_ms']:6.2f} ms"
            print(f"{name:40s} {label:25s} {s['steps']:5d} steps   {times}")
    slowest = {k: max(s[k] for steps in found.values() for s in steps.values()) for k in ("median_ms", "max_ms")}
    told = {"figures": found, "slowest": slowest, "goal_ms": GOAL_MS, "reached": slowest["median_ms"] < GOAL_MS}
    record.write(asked.out, {**told, "command": "python -m benchmarks.figures", "machine": machine})


if __name__ == "__main__":
    main()
