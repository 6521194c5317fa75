"""No number in the book without a source.

Prose repeats what a cell of its chapter shows, what the paper prints, or what is named here.
"""

import json
import math
import re
from pathlib import Path

import pytest

from uspl.data.photos.render import SPEED
from uspl.data.photos.scene import Settings
from uspl.experiments.paper import paper_tables

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("book/*.md"), *ROOT.glob("notebooks/*.ipynb")])
RESULT = re.compile(r"(?<![\w./^-])(\d*\.\d+|\d+(?:\.\d+)?(?= ?%))(?!\w|\.\d)")
NUMBER = re.compile(r"\d*\.?\d+(?:e-?\d+)?")
SECTION = re.compile(r"[Ss]ections? \d(?:\.\d)?(?:(?:,| and| to) \d(?:\.\d)?)*")
BARE = re.compile(r"(?<![\w.)\]])\.\d")  # .42 in place of 0.42
TEXT = ("text/plain", "text/markdown")  # pictures, players and live figures are `text/html`: digits that nobody reads

SEEDS = [
    json.loads(path.read_text())["scores"]["m"]["miou"]
    for path in ROOT.glob("results/first_light/sounding-shapes/full-s*.json")
]

# Worked out in the sentence itself, or a version; everything else is measured.
ELSEWHERE: dict[str, dict[str, float]] = {
    "setup.md": {"3.11": 3.11},
    "data.md": {"60": 100 * Settings.area[1], "65": 100 * Settings.sight, "6": 100 * (SPEED[1] - 1)},
    "readings.md": {"0.03": (max(SEEDS) - min(SEEDS)) / 2},
}


def leaves(values: object) -> list[object]:
    """Every plain value in nested lists and dictionaries."""
    below = values.values() if isinstance(values, dict) else values if isinstance(values, list) else None
    return [values] if below is None else [leaf for value in below for leaf in leaves(value)]


PAPER = {float(x) for x in leaves(paper_tables.read()) if isinstance(x, int | float)}


def prose(text: str) -> str:
    """Without code, addresses and numbers of sections; formulas stay."""
    for pattern in (r"```.*?```", r"~~~.*?~~~", r"`[^`]*`", r"\]\([^)]*\)"):
        text = re.sub(pattern, " ", text, flags=re.DOTALL)
    text = SECTION.sub(" ", text)
    return text.replace(r"\,\%", " %").replace(r"\%", " %")


def cells_of(page: Path) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(page.read_text())["cells"]
    return found


def read(page: Path) -> tuple[str, list[float]]:
    """What is written, and the numbers that its cells ask for or show as text."""
    if page.suffix == ".md":
        return prose(page.read_text()), []
    cells = cells_of(page)
    text = "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    shown = ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]
    for out in (out for c in cells for out in c.get("outputs", [])):
        shown.append("".join(out.get("text", "")))
        shown += ["".join(v) for k, v in out.get("data", {}).items() if k in TEXT]
    return prose(text), [float(n) for n in NUMBER.findall(" ".join(shown))]


def sourced(word: str, shown: list[float]) -> bool:
    """Does the paper print it, or something shown round to it? A share of one decimal has to be there itself."""
    value, places = float(word), len(word.partition(".")[2])
    if value in PAPER:
        return True
    rounding = 1e-9 if places == 1 and value < 1 else 0.51 * 10**-places
    return any(abs(x - value) <= rounding for s in shown for x in (s, 100 * s))


def unsourced(page: Path) -> list[str]:
    text, shown = read(page)
    known = ELSEWHERE.get(page.name, {})
    missing = []
    for word in RESULT.findall(text):
        rounding = 0.51 * 10 ** -len(word.partition(".")[2])
        if not sourced(word, shown) and abs(known.get(word, math.inf) - float(word)) > rounding:
            missing.append(word)
    return missing


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_number_has_a_source(page: Path) -> None:
    assert not unsourced(page)


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda p: p.name)
def test_numbers_are_written_one_way(page: Path) -> None:
    assert not [text[max(m.start() - 30, 0) : m.end() + 5] for text in [read(page)[0]] for m in BARE.finditer(text)]


def changed(tmp_path: Path, *cells: dict[str, object]) -> list[str]:
    """What is unsourced in chapter 06 with cells at its end."""
    page = tmp_path / "06_metrics_and_bounds.ipynb"
    notebook = json.loads((ROOT / "notebooks" / page.name).read_text())
    notebook["cells"] += cells
    page.write_text(json.dumps(notebook))
    return unsourced(page)


def test_a_number_without_a_record_is_found(tmp_path: Path) -> None:
    """Figures made up, in words, at the end of a sentence and in a formula."""
    says = (
        "It reaches 0.9876 on the test split, and 73.21 %. The best is 0.9677. So $\\tau = 7.63$ and $x = 41.3\\,\\%$."
    )
    found = changed(tmp_path, {"cell_type": "markdown", "source": [says]})
    assert found == ["0.9876", "73.21", "0.9677", "7.63", "41.3"]


def test_digits_of_pictures_and_arrays_are_no_source(tmp_path: Path) -> None:
    hidden = {"image/png": "77.77", "text/html": "<script>[77.77, 0.8765]</script>", "application/json": [77.77]}
    cell = {"cell_type": "code", "source": [], "outputs": [{"output_type": "display_data", "data": hidden}]}
    text = {"cell_type": "markdown", "source": ["It is 77.77 and 0.8765."]}
    assert changed(tmp_path, cell, text) == ["77.77", "0.8765"]


def test_no_chapter_shows_so_many_numbers_that_any_would_pass() -> None:
    for page in (page for page in PAGES if page.suffix == ".ipynb"):
        shown = read(page)[1]
        passing = sum(sourced(f"{k / 1000:.3f}", shown) for k in range(1000))
        assert passing < 500, (page.name, passing)
