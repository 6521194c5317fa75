"""No number in the book without a source: prose repeats what a cell of its chapter shows, or what is named here."""

import json
import math
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("book/*.md"), *ROOT.glob("notebooks/*.ipynb")])
RESULT = re.compile(r"(?<![\w./-])(\d*\.\d{2,}|\d+(?:\.\d+)?(?= ?%))(?![\w.])")
NUMBER = re.compile(r"\d*\.?\d+(?:e-?\d+)?")
PUBLISHED = json.loads((ROOT / "results/published/table-1.json").read_text())["rows"]

SEEDS = [
    json.loads(path.read_text())["scores"]["m"]["miou"]
    for path in ROOT.glob("results/first_light/sounding-shapes/full-s*.json")
]

# Worked out in the sentence itself, or a version; everything else is measured.
ELSEWHERE: dict[str, dict[str, float]] = {
    "setup.md": {"3.11": 3.11},
    "readings.md": {".03": (max(SEEDS) - min(SEEDS)) / 2},
    "01_data_preparation.ipynb": {"0.875": 7 / 8},
    "06_benchmark_evaluation.ipynb": {
        "47.19": 100 * next(r["values"][0] for r in PUBLISHED if r["method"] == "USPL"),
        "80.10": 100 * max(r["values"][0] for r in PUBLISHED),
        ".001": 1e-3,
    },
    "09_your_own_video.ipynb": {".139": 0.2 * math.log(2)},
}


def prose(text: str) -> str:
    """Without code and formulas."""
    for pattern in (r"```.*?```", r"~~~.*?~~~", r"\$\$.*?\$\$", r"\$[^$]*\$", r"`[^`]*`", r"\]\([^)]*\)"):
        text = re.sub(pattern, " ", text, flags=re.DOTALL)
    return text


def read(page: Path) -> tuple[str, list[float]]:
    """What is written, and the numbers that its cells ask for or show."""
    if page.suffix == ".md":
        return prose(page.read_text()), []
    cells = json.loads(page.read_text())["cells"]
    text = "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    shown = ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]
    for out in (out for c in cells for out in c.get("outputs", [])):
        data = {"text": out.get("text", ""), **out.get("data", {})}
        shown += ["".join(v) for k, v in data.items() if k.startswith("text") and len(v) < 100_000]
    return prose(text), [float(n) for n in NUMBER.findall(" ".join(shown))]


def unsourced(page: Path) -> list[str]:
    text, shown = read(page)
    known = ELSEWHERE.get(page.name, {})
    missing = []
    for word in RESULT.findall(text):
        places = len(word.partition(".")[2])
        value, rounding = float(word), 0.51 * 10**-places
        near = [x for s in shown for x in (s, 100 * s) if abs(x - value) <= rounding]
        if not near and abs(known.get(word, math.inf) - value) > rounding:
            missing.append(word)
    return missing


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_number_has_a_source(page: Path) -> None:
    assert not unsourced(page)


def test_a_number_without_a_record_is_found(tmp_path: Path) -> None:
    """The same page with one figure made up."""
    page = tmp_path / "06_benchmark_evaluation.ipynb"
    notebook = json.loads((ROOT / "notebooks" / page.name).read_text())
    notebook["cells"].append({"cell_type": "markdown", "source": ["It reaches .9876 on the test split, and 73.21 %."]})
    page.write_text(json.dumps(notebook))
    assert unsourced(page) == [".9876", "73.21"]
