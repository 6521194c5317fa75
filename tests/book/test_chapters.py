"""Every chapter follows the template of the house, runs by papermill and holds no noise.

The outputs themselves are compared by nbval, which collects `notebooks/` in the same run of pytest.
"""

import ast
import importlib.util
import itertools
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from papermill.exceptions import PapermillExecutionError

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = (
    "01_data_preparation",
    "02_mmicl_training",
    "03_affinity_learning",
    "04_random_walk",
    "05_sps_training",
    "06_metrics_and_bounds",
    "07_comparison",
    "08_ablations",
    "09_beyond_the_paper",
    "10_photographs",
    "11_failures_and_limits",
    "12_your_own_video",
)
READS_ONLY = {"07_comparison", "08_ablations", "09_beyond_the_paper"}  # open records: no model, no clip
EQUATIONS = {"02": {1, 2}, "03": {3, 4, 5, 6}, "04": {7, 8}, "05": {9, 10, 11}}


@pytest.fixture(params=CHAPTERS)
def chapter(request: pytest.FixtureRequest) -> Any:
    """One notebook as committed; a missing one is a failure."""
    path = ROOT / "notebooks" / f"{request.param}.ipynb"
    assert path.is_file(), f"notebooks/{request.param}.ipynb is missing."
    notebook = nbformat.read(path, as_version=4)
    notebook.stem = request.param
    return notebook


def code(notebook: Any) -> list[Any]:
    return [c for c in notebook.cells if c.cell_type == "code"]


def prose(notebook: Any) -> str:
    return "\n\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")


def outputs(notebook: Any) -> list[Any]:
    return [o for c in code(notebook) for o in c.get("outputs", [])]


def shown(notebook: Any, kind: str) -> list[str]:
    return [o.data[kind] for o in outputs(notebook) if kind in o.get("data", {})]


def section(notebook: Any, title: str) -> str:
    """The Markdown below a heading of level two, up to the next one."""
    match = re.search(rf"^## {title}\b.*?\n(.*?)(?=^## |\Z)", prose(notebook), re.MULTILINE | re.DOTALL)
    assert match, f"There is no section `## {title}`."
    return match[1]


def test_opens_with_title_result_and_box(chapter: Any) -> None:
    lines = [line for line in chapter.cells[0].source.splitlines() if line.strip()]
    assert chapter.cells[0].cell_type == "markdown"
    assert re.match(r"# [A-Z][a-z]+ \w+", lines[0]), "The title begins with a verb: `# Walk to the edge`."
    assert re.match(r"[A-Z*`].*[.!]\**$", lines[1]), "Line two is the result, one sentence on one line."
    for words in ("You will", "You need", "Time and memory", "Paper"):
        assert f"**{words}" in chapter.cells[0].source, f"The box lacks a line that begins `**{words}`."


def test_one_parameters_cell_before_all_other_code(chapter: Any) -> None:
    tagged = [c for c in code(chapter) if "parameters" in c.metadata.get("tags", [])]
    assert tagged == code(chapter)[:1], "The first code cell, and no other, carries the tag `parameters`."
    body = ast.parse(tagged[0].source).body
    assert all(isinstance(line, ast.Assign | ast.AnnAssign) for line in body)
    names = {name.id for line in body for name in ast.walk(line) if isinstance(name, ast.Name)}
    assert {"device", "seed"} <= names or chapter.stem in READS_ONLY, (
        "`device` and `seed` are parameters of every chapter."
    )


def test_imports_stand_in_one_cell(chapter: Any) -> None:
    importing = [
        k for k, c in enumerate(code(chapter)) if any(isinstance(n, ast.Import | ast.ImportFrom) for n in tree(c))
    ]
    assert importing == [1], f"The second code cell holds all imports; found some in code cells {importing}."


def tree(cell: Any) -> list[ast.AST]:
    lines = [line for line in cell.source.splitlines() if not line.lstrip().startswith(("%", "!"))]
    return list(ast.walk(ast.parse("\n".join(lines))))


def test_cells_are_short_and_have_prose_between(chapter: Any) -> None:
    sizes = sorted(len(c.source.strip().splitlines()) for c in code(chapter)[1:])
    assert sizes[-1] < 15, f"The longest code cell has {sizes[-1]} lines; fewer than 15 fit on a screen."
    assert sizes[len(sizes) // 2] <= 8, f"Half of the code cells have more than {sizes[len(sizes) // 2] - 1} lines."
    kinds = [c.cell_type for c in chapter.cells]
    pairs = [k for k, pair in enumerate(itertools.pairwise(kinds)) if pair == ("code", "code")]
    assert not pairs, f"No prose between cells {pairs} and the next."


def test_code_fits_into_the_column(chapter: Any) -> None:
    long = [line for c in code(chapter) for line in c.source.splitlines() if len(line) > 88]
    assert not long, f"The column is 88 characters wide; longer: {long}."


DRAWS = (
    r"(viz\.(figure|maps_figure|sweep|live|player)|live_\w+\.\w+"
    r"|Markdown\((tables|comparison_tables|grid_report|claims))\b"
)


def test_cells_that_only_draw_are_folded(chapter: Any) -> None:
    """A figure or a table is to be seen, not the lines that colour it; what asserts or shows the library stays open."""
    for c in code(chapter):
        last = ast.parse(c.source).body[-1]
        ends = ast.unparse(last) if isinstance(last, ast.Expr) else ""
        opens = any(isinstance(n, ast.Assert) for n in tree(c)) or "viz.show(" in c.source
        if re.match(DRAWS, ends) and not opens:
            tags = c.metadata.get("tags", [])
            assert {"hide-input", "hide-cell"} & set(tags), f"Fold it with the tag `hide-input`: {c.source[:80]}"


def test_defaults_do_not_depend_on_the_working_directory(chapter: Any) -> None:
    assert not [c.source for c in code(chapter) if "../" in c.source], "None is the folder of the project."
    names = {n.id for n in tree(code(chapter)[0]) if isinstance(n, ast.Name)}
    assert {"tier", "data"} <= names or chapter.stem in READS_ONLY, "`make run TIER=.. DATA=..` hands over both."
    assert chapter.stem in READS_ONLY or "Config.tier(tier," in "".join(c.source for c in code(chapter))


def execute(*words: str) -> Any:
    command = [sys.executable, "book/execute.py", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_misspelt_parameter_is_refused(tmp_path: Path) -> None:
    done = execute("04_random_walk", "--out", str(tmp_path / "out"), "-p", "n_clps", "5")
    assert done.returncode == 2
    assert done.stderr == (
        "`04_random_walk` has no parameter `n_clps` (is `n_clips` meant?); "
        "there are tier, data, device, seed, changes, beta, t, reading, n_clips.\n"
    )
    done = execute("04_walk", "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    assert done.stderr.startswith("There is no chapter '04_walk'; there are 01_data_preparation, ")
    done = execute("04_random_walk", "--tier", "paper")
    assert done.returncode == 2
    assert done.stderr.startswith("`--out` must be given with parameters: ")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "given", "says"),
    [
        ("seed", "five", "`seed` of `04_random_walk` must be a number, as its default 1; got 'five'."),
        ("n_clips", "[5]", "`n_clips` of `04_random_walk` must be a number, as its default "),
        ("n-clips", "5", "`04_random_walk` has no parameter `n-clips` (is `n_clips` meant?); there are tier, data, "),
        ("Beta", "5", "`04_random_walk` has no parameter `Beta` (is `beta` meant?); there are tier, data, "),
    ],
)
def test_parameters_that_almost_fit_are_refused(name: str, given: str, says: str, tmp_path: Path) -> None:
    done = execute("04_random_walk", "--out", str(tmp_path / "out"), "-p", name, given)
    assert (done.returncode, done.stderr[: len(says)]) == (2, says)
    assert not list(tmp_path.iterdir())


def test_make_refuses_what_is_no_pair() -> None:
    command = ["make", "-o", "install", "-o", "data", "run", "NB=04_random_walk", "P=beta 5", "VENV="]
    done = subprocess.run([*command, f"PYTHON={sys.executable}"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "`P` must hold pairs like beta=5; got `beta`." in done.stderr


def test_make_refuses_a_misspelt_parameter() -> None:
    command = ["make", "-o", "install", "-o", "data", "run", "NB=04_random_walk", "P=n_clps=5", "VENV="]
    done = subprocess.run([*command, f"PYTHON={sys.executable}"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "`04_random_walk` has no parameter `n_clps` (is `n_clips` meant?); there are tier, data, " in done.stderr
    assert "Traceback" not in done.stderr


def test_make_hands_the_tier_and_the_data_over() -> None:
    for target in (["run", "NB=04_random_walk"], ["-B", "notebooks"]):
        command = ["make", "-n", *target, "TIER=best", "DATA=mine", "VENV=", f"PYTHON={sys.executable}"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        assert "--out 'runs/best' --tier 'best' --data 'mine'" in done.stdout


def test_make_uses_uspl_home(tmp_path: Path) -> None:
    command = ["make", "-n", "-B", "notebooks", f"USPL_HOME={tmp_path}", "VENV=", f"PYTHON={sys.executable}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert f"--out '{tmp_path}/runs/tiny'" in done.stdout
    assert f'sounding_shapes("{tmp_path}/data/sounding-shapes")' in done.stdout
    assert "--data" not in done.stdout


@pytest.mark.slow
def test_a_chapter_without_a_tier_is_not_given_one(tmp_path: Path) -> None:
    done = execute("08_ablations", "--out", str(tmp_path), "--tier", "best", "--data", "mine")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "KeyboardInterrupt" not in done.stderr
    assert nbformat.read(tmp_path / "08_ablations.ipynb", as_version=4).metadata.papermill.parameters == {}


def test_nothing_is_defined_twice(chapter: Any) -> None:
    assert not [n for c in code(chapter) for n in tree(c) if isinstance(n, ast.ClassDef)], "Classes live in uspl/."
    assert all(c.source.strip() for c in chapter.cells), "There is an empty cell."


def test_outputs_are_there_and_quiet(chapter: Any) -> None:
    assert all(c.execution_count for c in code(chapter)), "A code cell was not run."
    assert [c.execution_count for c in code(chapter)] == list(range(1, len(code(chapter)) + 1))
    for out in outputs(chapter):
        assert out.output_type != "error", out.get("evalue")
        assert out.get("name") != "stderr", out.get("text", "")[:200]
        assert "application/vnd.jupyter.widget-view+json" not in out.get("data", {}), "Commit with USPL_STATIC=1."
        text = out.get("text", "") + "".join(str(v) for k, v in out.get("data", {}).items() if k == "text/plain")
        assert not re.search(r"(^|[\s'\"(=])(/[a-z]+){2,}|it/s|s/it|\d%\|", text), f"A path or a bar: {text[:200]}"
        assert not re.search(r"\d\.\d{7,}", text), f"Round it: {text[:200]}"
    assert not chapter.metadata.get("widgets"), "Widget state loads scripts from another host."


def test_every_picture_is_described(chapter: Any) -> None:
    for c in code(chapter):
        if any("image/png" in o.get("data", {}) for o in c.get("outputs", [])):
            alt = c.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
            assert len(alt) > 15, "A figure without words: use `viz.figure(fig, alt=...)`."
    tags = [tag for page in shown(chapter, "text/html") for tag in re.findall(r"<img\b[^>]*>", page)]
    assert tags, "There is no picture in this chapter."
    for tag in tags:
        alt = re.search(r'alt="([^"]*)"', tag)
        assert alt is not None
        assert len(alt[1]) > 15, f"Say more than {alt[1]!r}."


def test_can_be_heard_dragged_and_broken(chapter: Any) -> None:
    pages = shown(chapter, "text/html")
    heard = chapter.stem in READS_ONLY or any("<audio" in p for p in pages)
    assert heard, "Nothing can be heard: `viz.player(wave, sr, description)`."
    dragged = any('type="range"' in p or "uspl-live" in p for p in pages)
    assert dragged, "Nothing can be dragged: `viz.live`, `viz.sweep` or a figure of `uspl.viz.live_alignment`."
    assert any("viz.refused(" in c.source for c in code(chapter)), "There is no break-it cell with `viz.refused()`."
    assert any(m.startswith("**Refused:**") for m in shown(chapter, "text/markdown"))
    assert re.search(r"\?\s*$", prose(chapter), re.MULTILINE), "The live figure has a question above it."
    assert "{dropdown}" in prose(chapter), "The answer is folded below: `:::{dropdown} Answer`."


def test_claims_are_asserted_and_code_is_shown(chapter: Any) -> None:
    asserts = [n for c in code(chapter) for n in tree(c) if isinstance(n, ast.Assert)]
    numbers = EQUATIONS.get(chapter.stem[:2], set())
    assert len(asserts) >= max(1, len(numbers)), "One `assert` beside each claim, at least one per equation."
    assert numbers <= {int(n) for n in re.findall(r"\\tag\{(\d+)\}", prose(chapter))}, "Write `\\tag{n}`."
    assert sum("viz.show(" in c.source for c in code(chapter)) >= max(1, len(numbers) - 1), "Show the library's lines."


def test_closes_with_exercises_takeaways_and_the_next_step(chapter: Any) -> None:
    exercises = re.findall(r"^\d+\. (?=\*(?:Easier|Harder)\.\*)", section(chapter, "Exercises"), re.MULTILINE)
    takeaways = re.findall(r"^[-*\d]+\.? ", section(chapter, "Takeaways"), re.MULTILINE)
    assert 2 <= len(exercises) <= 3, f"Two or three exercises, `1. *Easier.* ...`; got {len(exercises)}."
    pairs = itertools.pairwise(chapter.cells)
    solved = [b for a, b in pairs if a.cell_type == "markdown" and "{dropdown} Solution" in a.source]
    assert len(solved) == len(exercises), "Each exercise has its own cell with `:::{dropdown} Solution n`."
    for cell in solved:
        assert cell.cell_type == "code", "A solution is followed by the code cell that runs it."
        assert any(isinstance(n, ast.Assert) for n in tree(cell)), "The code of a solution ends with an `assert`."
    assert len(takeaways) == 3, f"Three takeaways; got {len(takeaways)}."
    assert re.search(r"\{cite\}`|^## References", prose(chapter), re.MULTILINE), "Name the sources: {cite}`uspl`."


@pytest.mark.slow
@pytest.mark.parametrize("stem", ["04_random_walk", "08_ablations"])
def test_runs_by_papermill(stem: str, tmp_path: Path) -> None:
    """One chapter with a kernel's worth of work and one that only reads; nbval runs every chapter, once."""
    command = [sys.executable, "book/execute.py", stem, "--out", str(tmp_path)]
    command += [] if stem in READS_ONLY else ["-p", "device", "cpu"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "WARNING" not in done.stderr
    assert "ERROR" not in done.stderr
    ran = nbformat.read(tmp_path / f"{stem}.ipynb", as_version=4)
    assert [p.name for p in tmp_path.iterdir()] == [f"{stem}.ipynb"]
    assert not [o for o in outputs(ran) if o.get("name") == "stderr" or o.output_type == "error"]


def test_a_chapter_whose_material_is_missing_keeps_its_outputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = importlib.util.spec_from_file_location("execute", ROOT / "book/execute.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    missing = PapermillExecutionError(3, 3, "", "DataError", "`gcompris-qt-data` is not there", "")
    monkeypatch.setattr(module, "execute", lambda *_: (_ for _ in ()).throw(missing))
    monkeypatch.setattr(sys, "argv", ["execute.py", "10_photographs", "--out", str(tmp_path)])
    assert module.main() == 0
    assert "its committed outputs stand: `gcompris-qt-data` is not there" in capsys.readouterr().out
    ran = nbformat.read(tmp_path / "10_photographs.ipynb", as_version=4)
    assert ran.metadata.uspl["kept"] == "`gcompris-qt-data` is not there"
    assert outputs(ran)
    monkeypatch.setattr(sys, "argv", ["execute.py", "04_random_walk", "--out", str(tmp_path)])
    with pytest.raises(SystemExit, match="DataError"):
        module.main()
