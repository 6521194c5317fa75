"""The built book, opened in a browser: quiet, complete, with the cable out."""

import functools
import http.server
import io
import itertools
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote_plus, unquote, urldefrag, urljoin

import axe_playwright_python
import pytest
from pypdf import PdfReader

from tests.helpers.html_links import Links
from tests.helpers.values import ROOT

AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js")
OUT_OF_REACH = """[...document.querySelectorAll("div.math, article table")]
    .filter(e => e.scrollWidth > e.clientWidth && e.tabIndex < 0).map(e => e.outerHTML.slice(0, 100))"""


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
    formulas = tab.locator("div.math, span.math")
    assert formulas.count() > 5
    assert formulas.filter(has_not=tab.locator("math")).count() == 0
    heights = formulas.locator("math").evaluate_all("all => all.map(e => e.getBoundingClientRect().height)")
    assert min(heights) > 5, "A formula has no height."
    tab.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "page"),
    [
        ("random walk", "04_random_walk"),
        ("Eq. 7", "book/equations"),
        ("M_fine", "book/glossary"),
        ("beta_h", "book/glossary"),
        ("MMICL", "02_mmicl_training"),
    ],
)
def test_search_finds(site: str, browser: Any, words: str, page: str) -> None:
    tab = browser.new_page()
    tab.goto(site + "search.html?q=" + quote_plus(words))
    tab.wait_for_selector("#search-results li a", timeout=20_000)
    found = tab.locator("#search-results li a").evaluate_all("all => all.map(a => a.getAttribute('href'))")
    assert any(page in href for href in found), found
    tab.close()


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_serious_stands_in_the_way_of_anybody(
    book: SimpleNamespace, site: str, browser: Any, theme: str
) -> None:
    """axe-core, over every page; of the library's sources, which are alike, over one."""
    tab, found = browser.new_page(color_scheme=theme), []
    sources = [name for name in book.pages if name.startswith("_modules/")]
    for name in sorted(set(book.pages) - set(sources) - {"index.html"}) + sources[:1]:  # the index leads on at once
        tab.goto(site + name, wait_until="load")
        tab.evaluate(AXE.read_text())
        for v in tab.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]:
            if v["impact"] in ("serious", "critical"):
                found.append(f"{name}: {v['id']}, {v['nodes'][0]['html'][:120]}")
    assert not found, "\n".join(found)
    tab.close()


@pytest.mark.slow
def test_a_page_weighs_less_than_a_megabyte(book: SimpleNamespace, site: str, browser: Any) -> None:
    """All that is asked for before anybody scrolls, plays or drags, nothing compressed."""
    heavy = {}
    for name in (name for name in book.pages if not name.startswith("_modules/")):
        context = browser.new_context()
        tab, got = context.new_page(), {}
        tab.on("response", lambda r, got=got: got.update({r.url: len(r.body())}))
        tab.goto(site + name, wait_until="networkidle")
        if sum(got.values()) > 2**20:
            heavy[name] = sorted(((size, url) for url, size in got.items()), reverse=True)[:4]
        context.close()
    assert not heavy, heavy


@pytest.mark.slow
def test_the_archive_opens_from_a_disk(book: SimpleNamespace, browser: Any, tmp_path: Path) -> None:
    """Unpacked and opened without a server: search, a player, a live figure, and nothing that is asked or fails."""
    command = [sys.executable, "book/archive.py", str(tmp_path / "book.zip"), "--html", str(book.folder)]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    with zipfile.ZipFile(tmp_path / "book.zip") as box:
        box.extractall(tmp_path)
    home, tab, noise = (tmp_path / "uspl-book").as_uri() + "/", browser.new_page(), []
    tab.on("console", lambda m: noise.append((m.type, m.text)) if m.type in {"error", "warning"} else None)
    tab.on("pageerror", lambda e: noise.append(("exception", str(e))))
    tab.on("requestfailed", lambda r: noise.append(("failed", r.url)))
    tab.on("request", lambda r: None if r.url.startswith((home, "data:", "blob:")) else noise.append(("asked", r.url)))
    tab.goto(home + "index.html")
    tab.wait_for_url("**/book/intro.html")  # the first page leads on
    tab.wait_for_load_state("load")
    tab.goto(home + "search.html?q=random+walk")
    tab.wait_for_selector("#search-results li a", timeout=20_000)
    found = tab.locator("#search-results li a").evaluate_all("all => all.map(a => a.getAttribute('href'))")
    assert any("04_random_walk" in href for href in found), found
    tab.goto(home + "notebooks/04_random_walk.html")
    figure = tab.locator("figure.uspl-live").first
    figure.scroll_into_view_if_needed()
    slider = figure.locator("input[type=range]").nth(1)
    slider.wait_for()
    before = figure.locator("canvas").last.evaluate("c => c.toDataURL()")
    slider.evaluate("e => { e.value = e.min; e.dispatchEvent(new Event('input', {bubbles: true})); }")
    tab.wait_for_timeout(500)
    assert figure.locator("canvas").last.evaluate("c => c.toDataURL()") != before
    tab.goto(home + "notebooks/01_data_preparation.html")
    load = "e => new Promise(r => { e.onloadedmetadata = () => r(e.duration); e.onerror = () => r(0); e.load(); })"
    assert tab.locator("audio, video").first.evaluate(load) > 0
    assert not noise
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
def test_the_summary_is_one_sheet(site: str, browser: Any) -> None:
    tab = browser.new_page()
    tab.goto(site + "book/summary.html")
    assert len(PdfReader(io.BytesIO(tab.pdf(format="A4"))).pages) == 1
    tab.close()


@pytest.mark.slow
def test_the_book_is_printed(book: SimpleNamespace, tmp_path: Path) -> None:
    target = tmp_path / "book.pdf"
    only = ["book/summary", "notebooks/04_random_walk"]
    command = [sys.executable, "book/pdf.py", str(target), "--html", str(book.folder), "--only", *only]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    pages = PdfReader(target)
    assert [item.title.split(" — ")[0] for item in pages.outline] == [
        "The method on one page",
        "Walk to the object’s edge",
    ]
    assert "walk" in "".join(page.extract_text() for page in pages.pages)
    lost = subprocess.run(
        [sys.executable, "book/pdf.py", str(target), "--html", str(tmp_path)], cwd=ROOT, capture_output=True, text=True
    )
    assert lost.returncode == 1
    assert lost.stderr.startswith("`--html` must be a built book;")


@pytest.mark.slow
def test_nothing_is_cut_off_on_a_phone(book: SimpleNamespace, site: str, browser: Any) -> None:
    tab = browser.new_page(viewport={"width": 390, "height": 840})
    for name in book.pages:
        if name.startswith(("book/", "notebooks/")):
            tab.goto(site + name)
            assert tab.evaluate("document.documentElement.scrollWidth") <= 391, f"{name} scrolls sideways."
            assert not tab.evaluate(OUT_OF_REACH), f"{name}: the keyboard cannot scroll a formula or table."
    tab.close()


@pytest.mark.slow
def test_tables_that_cells_made_are_tables(site: str, browser: Any) -> None:
    tab = browser.new_page()
    tab.goto(site + "notebooks/07_comparison.html")
    outputs = tab.locator(".cell_output")
    assert outputs.locator("table").count() >= 8
    assert "---|" not in "".join(outputs.all_text_contents()).replace("\u2014", "---")
    assert outputs.locator("th", has_text="of the bound").count() == 4
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
