"""The pages that code makes: equations, readings, live figures, and the lines under a chapter."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "book" / "_ext"))

import equations  # noqa: E402
import live  # noqa: E402
import page as page_extension  # noqa: E402
import readings  # noqa: E402
import status  # noqa: E402


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
    found = equations.gather(ROOT / "uspl", ROOT / "tests" / "equations", ROOT / "notebooks")
    assert not {e.number: e.lacks() for e in found if e.lacks()}


def test_readings_come_from_the_config(tmp_path: Path) -> None:
    found = readings.switches(ROOT / "uspl" / "config.py")
    assert set(found) == set(range(1, 26)), "Each of the 25 readings is a field of `Config`."
    assert readings.switch("reading") == "`reading` = `'power'`, or `'squarings'`"
    assert readings.switch("seg_target") == "`seg_target` = `'soft'` (tiny: `'three_way'`), or `'three_way'`"


def test_a_live_figure_comes_from_the_notebook(tmp_path: Path) -> None:
    path, page = tmp_path / "02_go.ipynb", ['<figure data-kind="swap">', "</figure>"]
    cells = [{"cell_type": "markdown", "source": ""}, {"outputs": [{"name": "stdout"}, {"data": {"text/html": page}}]}]
    path.write_text(json.dumps({"cells": cells}))
    assert live.figure(path, "swap") == '<figure data-kind="swap"></figure>'
    with pytest.raises(live.LiveError, match=r"`02_go.ipynb` holds no live figure `drop`; run it, or name another\."):
        live.figure(path, "drop")
    with pytest.raises(
        live.LiveError, match=r"`03_go.ipynb`, which should hold the live figure `swap`, cannot be read"
    ):
        live.figure(tmp_path / "03_go.ipynb", "swap")


def test_effects_come_from_records(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"reading": 7, "finding": "No difference."}))
    (tmp_path / "b.json").write_text(json.dumps({"metrics": {}}))
    assert readings.effects(tmp_path) == {7: "No difference."}
    assert readings.effects(tmp_path / "missing") == {}


def chapter_file(folder: Path, **metadata: Any) -> Path:
    """A notebook with a box, a parameters cell and one claim."""
    box = "# Walk\n> **Time and memory:** under two minutes once a model is there; 3 GB.\\\n"
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": box},
        {"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": ['tier = "tiny"\n', "beta = 10"]},
        {"cell_type": "code", "metadata": {}, "source": "assert beta"},
    ]
    path = folder / "04_walk.ipynb"
    path.write_text(json.dumps({"cells": cells, "metadata": metadata}))
    return path


def test_the_lines_under_a_chapter(tmp_path: Path) -> None:
    ran = {"duration": 12.3, "parameters": {"beta": 5}, "start_time": "2026-01-02T03:04:05"}
    told = {"python": "3.11.7", "versions": {"torch": "2.15"}, "peak_mib": 1234, "commit": "abc"}
    run = status.Run.of(chapter_file(tmp_path, papermill=ran, uspl=told))
    assert run.told() == (
        "This chapter ran on 2026-01-02 in 12 s with tier = tiny, beta = 5. "
        "1,234 MiB at most, Python 3.11.7, torch 2.15, commit abc."
    )
    assert run.budget == "under two minutes once a model is there; 3 GB"
    assert (run.title, run.limit(), run.claims, run.cells) == ("Walk", 120, 1, 2)
    silent = status.Run.of(chapter_file(tmp_path))
    assert silent.told() == ""
    assert silent.parameters == {"tier": "tiny", "beta": 10}


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda p: p.stem)
def test_chapters_keep_their_budget(path: Path) -> None:
    """What `book/execute.py` noted when the committed file was made, against the box at the top of the chapter."""
    run = status.Run.of(path)
    assert run.seconds is not None, f"{path.stem} was not run by book/execute.py."
    assert run.seconds <= run.limit() < float("inf"), f"{run.seconds:.0f} s; its box says {run.budget!r}."
    assert not run.changed, "Chapters are committed with their default parameters."


def test_bars_and_underscores_of_docstrings_stay() -> None:
    lines = ["log |STFT| of f_", "`|x|`", ".. math:: |x|", "    |y|", "then |z|", ">>> abs(x_)", "|1|", ""]
    page_extension.plain_words(None, "", "", None, None, lines)
    expected = [r"log \|STFT\| of f\_", "`|x|`", ".. math:: |x|", "    |y|", r"then \|z\|", ">>> abs(x_)", "|1|", ""]
    assert lines == expected
