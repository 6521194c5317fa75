"""The built book, opened in a browser: quiet, complete, with the cable out. And the pages that code makes."""

import functools
import http.server
import itertools
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book" / "_ext"))

import equations  # noqa: E402
import page as page_extension  # noqa: E402
import readings  # noqa: E402


class Links(HTMLParser):
    """What one page holds: links, ids, what it loads, pictures, controls, headings."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.loads: list[str] = []
        self.pictures: list[dict[str, str | None]] = []
        self.ranges: list[str | None] = []
        self.labels: set[str | None] = set()
        self.headings: list[int] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        a = dict(attrs)
        self.ids |= {i for i in (a.get("id"), a.get("name")) if i}
        if tag == "a" and a.get("href"):
            self.links.append(str(a["href"]))
        if tag == "img":
            self.pictures.append(a)
        if tag in {"script", "img", "audio", "video", "iframe", "source"} and a.get("src"):
            self.loads.append(str(a["src"]))
        if tag == "link" and a.get("rel") in {"stylesheet", "preload", "preconnect", "icon"}:
            self.loads.append(str(a.get("href")))
        if tag == "input" and a.get("type") == "range":
            self.ranges.append(a.get("id"))
        if tag == "label":
            self.labels.add(a.get("for"))
        if tag in {"h1", "h2", "h3", "h4"}:
            self.headings.append(int(tag[1]))


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """The book of the committed notebooks, built as `make book` builds it."""
    out = tmp_path_factory.mktemp("book")
    command = [sys.executable, "book/build.py", "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    folder = out / "_build" / "html"
    pages = {p.relative_to(folder).as_posix(): Links(p.read_text()) for p in sorted(folder.rglob("*.html"))}
    return SimpleNamespace(folder=folder, pages={k: v for k, v in pages.items() if not k.startswith("_static/")})


@pytest.fixture(scope="module")
def site(book: SimpleNamespace) -> Iterator[str]:
    """The address of the built book, served from this machine."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None: ...

    handler = functools.partial(Quiet, directory=str(book.folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


@pytest.mark.slow
def test_every_page_is_quiet_and_asks_nobody(book: SimpleNamespace, site: str, browser: Any) -> None:
    tab, noise = browser.new_page(), []
    tab.on("console", lambda m: noise.append((m.type, m.text)) if m.type in {"error", "warning"} else None)
    tab.on("pageerror", lambda e: noise.append(("exception", str(e))))
    tab.on("request", lambda r: None if r.url.startswith((site, "data:", "blob:")) else noise.append(("asked", r.url)))
    tab.on("response", lambda r: noise.append((r.status, r.url)) if r.status >= 400 else None)
    for name in book.pages:
        tab.goto(site + name, wait_until="load")
        tab.wait_for_timeout(150)
        assert not noise, f"{name}: {noise}"
    tab.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["book/equations.html", "notebooks/04_random_walk.html"])
def test_equations_are_rendered(site: str, browser: Any, name: str) -> None:
    tab = browser.new_page()
    tab.goto(site + name)
    tab.wait_for_selector("mjx-container svg", timeout=20_000)
    left = tab.locator("div.math, span.math").filter(has_not=tab.locator("mjx-container")).count()
    assert left == 0, f"{left} formulas of {name} are not rendered."
    assert tab.locator("[data-mjx-error]").count() == 0
    tab.close()


@pytest.mark.slow
def test_search_finds_random_walk(site: str, browser: Any) -> None:
    tab = browser.new_page()
    tab.goto(site + "search.html?q=random+walk")
    tab.wait_for_selector("#search-results li a", timeout=20_000)
    found = tab.locator("#search-results li a").evaluate_all("all => all.map(a => a.getAttribute('href'))")
    assert any("04_random_walk" in href for href in found)
    tab.close()


@pytest.mark.slow
def test_sliders_answer_to_the_keyboard(site: str, browser: Any) -> None:
    tab = browser.new_page()
    tab.goto(site + "notebooks/05_sps_training.html")
    slider = tab.locator(".uspl-sweep input").first
    sweep = tab.locator(".uspl-sweep").first
    before = sweep.locator("img.now").get_attribute("alt")
    at_end = slider.evaluate("e => e.value === e.max")
    slider.focus()
    tab.keyboard.press("ArrowLeft" if at_end else "ArrowRight")
    assert sweep.locator("img.now").count() == 1
    assert sweep.locator("img.now").get_attribute("alt") != before
    assert sweep.locator("img:visible").count() == 1
    tab.emulate_media(media="print")
    assert sweep.locator("img:visible").count() == sweep.locator("img").count()
    tab.close()


@pytest.mark.slow
def test_nothing_is_cut_off_on_a_phone(book: SimpleNamespace, site: str, browser: Any) -> None:
    tab = browser.new_page(viewport={"width": 390, "height": 840})
    for name in book.pages:
        if name.startswith(("book/", "notebooks/")):
            tab.goto(site + name)
            assert tab.evaluate("document.documentElement.scrollWidth") <= 391, f"{name} scrolls sideways."
    tab.close()


@pytest.mark.slow
def test_tables_that_cells_made_are_tables(site: str, browser: Any) -> None:
    tab = browser.new_page()
    tab.goto(site + "notebooks/06_benchmark_evaluation.html")
    outputs = tab.locator(".cell_output")
    assert outputs.locator("table").count() >= 8
    assert "---|" not in "".join(outputs.all_text_contents()).replace("\u2014", "---")
    assert outputs.locator("th", has_text="share of the bound").count() == 2
    tab.close()


@pytest.mark.slow
def test_links_lead_somewhere(book: SimpleNamespace) -> None:
    lost = []
    for name, held in book.pages.items():
        for href in held.links:
            path, anchor = urldefrag(urljoin(name, href))
            if href.startswith(("http:", "https:", "mailto:", "data:")) or not path:
                continue
            known = book.pages[path].ids if path in book.pages else set()
            if not (book.folder / unquote(path)).exists() or (anchor and known and unquote(anchor) not in known):
                lost.append((name, href))
    assert not lost, lost[:10]


@pytest.mark.slow
def test_nothing_loads_from_another_host(book: SimpleNamespace) -> None:
    foreign = [(n, src) for n, held in book.pages.items() for src in held.loads if src.startswith(("http", "//"))]
    assert not foreign, foreign[:10]


@pytest.mark.slow
def test_pictures_are_described_controls_labelled_headings_in_order(book: SimpleNamespace) -> None:
    for name, held in book.pages.items():
        for a in held.pictures:
            assert len(a.get("alt") or "") > 3, f"{name}: a picture without words, {str(a.get('src'))[:60]}."
        assert set(held.ranges) <= held.labels, f"{name}: a slider without a label."
        if name.startswith(("book/", "notebooks/")):
            assert held.headings[0] == 1
            steps = itertools.pairwise(held.headings)
            assert all(b - a <= 1 for a, b in steps), f"{name}: a level of heading is skipped, {held.headings}."


def fake(tmp_path: Path, *, number: int = 7, tag: str = r"\tag{7}") -> list[equations.Equation]:
    """A repository with one equation, as the extension reads it."""
    for name in ("uspl", "tests", "notebooks"):
        (tmp_path / name).mkdir()
    lines = [
        "def go(x):",
        f'    r"""Eq. ({number}): goes.',
        "",
        "    .. math:: T = D^{-1}",
        "        A",
        "",
        "    More.",
        '    """',
    ]
    (tmp_path / "uspl" / "walk.py").write_text("\n".join(lines))
    (tmp_path / "tests" / "test_eq07_go.py").write_text("")
    cells = [{"cell_type": "markdown", "source": ["$$T ", tag, "$$"]}, {"cell_type": "code", "source": [r"\tag{8}"]}]
    (tmp_path / "notebooks" / "04_walk.ipynb").write_text(json.dumps({"cells": cells}))
    return equations.gather(tmp_path / "uspl", tmp_path / "tests", tmp_path / "notebooks")


def test_an_equation_is_gathered(tmp_path: Path) -> None:
    found = fake(tmp_path)
    assert [e.number for e in found] == list(range(1, 12))
    seven = found[6]
    assert (seven.says, seven.formula, seven.function) == ("goes.", "T = D^{-1}\nA", "uspl.walk.go")
    assert (seven.tests, seven.chapters, seven.lacks()) == (("test_eq07_go.py",), ("04_walk",), [])
    assert found[7].lacks() == ["function", "formula", "test", "chapter"]


def test_an_equation_that_lacks_something_says_what(tmp_path: Path) -> None:
    assert fake(tmp_path, number=6, tag="")[6].lacks() == ["function", "formula", "chapter"]


def test_every_equation_of_the_paper_has_all() -> None:
    found = equations.gather(ROOT / "uspl", ROOT / "tests", ROOT / "notebooks")
    assert not {e.number: e.lacks() for e in found if e.lacks()}


def test_readings_come_from_the_config(tmp_path: Path) -> None:
    found = readings.switches(ROOT / "uspl" / "config.py")
    assert set(found) == set(range(1, 22)), "Each of the 21 readings is a field of `Config`."
    assert readings.switch("reading") == "`reading` = `'power'`, or `'squarings'`"
    assert readings.switch("seg_target") == "`seg_target` = `'soft'` (tiny: `'three_way'`), or `'three_way'`"


def test_effects_come_from_records(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"reading": 7, "finding": "No difference."}))
    (tmp_path / "b.json").write_text(json.dumps({"metrics": {}}))
    assert readings.effects(tmp_path) == {7: "No difference."}
    assert readings.effects(tmp_path / "missing") == {}


def test_the_line_under_a_chapter() -> None:
    ran = {"duration": 12.3, "parameters": {"beta": 5}, "start_time": "2026-01-02T03:04:05"}
    said = page_extension.provenance({"metadata": {"papermill": ran}})
    assert said == "This chapter ran with beta = 5 in 12 s on 2026-01-02."
    assert page_extension.provenance({"metadata": {}}) == ""


def test_bars_and_underscores_of_docstrings_stay() -> None:
    lines = ["log |STFT| of f_", "`|x|`", ".. math:: |x|", "    |y|", "then |z|", ">>> abs(x_)", "|1|", ""]
    page_extension.plain_words(None, "", "", None, None, lines)
    expected = [r"log \|STFT\| of f\_", "`|x|`", ".. math:: |x|", "    |y|", r"then \|z\|", ">>> abs(x_)", "|1|", ""]
    assert lines == expected
