"""`sweeps.yml`: what it may say, which records its cells have, what is refused with file and line."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import nbformat
import pytest
from distributed import LocalCluster

from tests.helpers.data_sample import copy
from tests.helpers.models import brief
from tests.helpers.values import tight
from uspl.cli import main
from uspl.config import Config
from uspl.core import record
from uspl.experiments import grid, grid_runner, study

ROOT = Path(__file__).resolve().parents[2]
TABLE = """- table: 8
  title: walk
  variant: smr
  map: m_fine
  grid: {beta: [1.0, 10.0], t: [4, 8]}
  paper: {"10, 8": 0.45}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "sweeps.yml"
    path.write_text(text)
    return path


def test_the_file_of_the_project() -> None:
    tables = {s.table: s for s in grid.read()}
    assert {n: len(s.cells) for n, s in tables.items()} == {3: 0, 4: 5, 5: 6, 6: 4, 7: 4, 8: 16, 9: 11}
    assert study.BEST in [c.changes for c in tables[9].cells], "Config.best() is no row of Table 9."
    for s in tables.values():
        assert (ROOT / "notebooks" / f"{s.notebook}.ipynb").is_file()
        tiny = Config.tiny()
        recipe = [c for c in s.cells if all(getattr(tiny, k) == v for k, v in c.changes.items())]
        assert s.table in (3, 4, 8, 9) or len(recipe) == 1, f"Table {s.table} does not hold the recipe."


def test_a_grid_is_every_combination(tmp_path: Path) -> None:
    (found,) = grid.read(write(tmp_path, TABLE))
    assert [c.name for c in found.cells] == ["beta 1, t 4", "beta 1, t 8", "beta 10, t 4", "beta 10, t 8"]
    assert [c.paper for c in found.cells] == [None, None, None, 0.45]
    assert found.cells[3].folder == "beta-10-t-8"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TABLE.replace("beta:", "bta:"), r"sweeps.yml, line 5: `Config` has no field `bta`"),
        (TABLE.replace("[4, 8]", "[4, -8]"), r"sweeps.yml, line 5: `t` must be .*; got -8"),
        (TABLE.replace("m_fine", "m_best"), r"line 4: `map` must be one of m_fine, the maps of 'smr'; got 'm_best'"),
        (TABLE.replace("smr", "sms"), r"line 3: `variant` must be one of delta0, .*; got 'sms'"),
        (TABLE.replace("title:", "name:"), r"line 1: a table has the keys table, title, .*; got table, name"),
        (TABLE.replace('"10, 8"', '"10, 9"'), r"line 1: `paper` names a cell that the table does not have"),
        ("- [", r"is not a readable list of tables"),
        ("- 8", r"line 1: a table has the keys"),
    ],
)
def test_refused_with_the_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        grid.read(write(tmp_path, text))


def without_test(folder: Path) -> Path:
    """The sample with nothing left of its test split but the lines of its table."""
    root = copy(folder / "set")
    for place in list(root.rglob("test")):
        shutil.rmtree(place)
    for file in root.rglob("test_*"):
        file.unlink()
    return root


def test_cells_run_on_validation_and_are_shown(tmp_path: Path) -> None:
    """Two processes, pages by papermill, one training for all cells of a seed; no file of the test split is there."""
    (found,) = grid.read(write(tmp_path, TABLE))
    one, data = found._replace(cells=found.cells[:2]), without_test(tmp_path)
    given: dict[str, Any] = {"seeds": [1], "runs": tmp_path / "runs", "workers": 2}
    assert grid_runner.run([one], brief(), data, tmp_path, **given) == []
    for kind in ("warmup", "full"):
        assert len(list((tmp_path / "runs").glob(f"{kind}-*"))) == 1, "Cells of one seed share their training."
    first = grid.record_folder(one, one.cells[0], tmp_path, "set") / "smr-s1.json"
    told = record.read(first, sealed=True)
    assert (told["split"], told["changes"]["beta"], told["changes"]["t"]) == ("val", 1.0, 4)
    page = nbformat.read(tmp_path / "runs/tables/table8/beta-1-t-4-s1.ipynb", as_version=4)
    assert sum("image/" in str(out) for c in page.cells for out in c.get("outputs", [])) == 3
    before = first.stat().st_mtime_ns
    assert grid_runner.run([one], brief(), data, tmp_path, **given) == []
    assert first.stat().st_mtime_ns == before, "What has a record is left alone."
    text = tight(grid.markdown(found, tmp_path, "set"))
    score = told["scores"]["m_fine"]["miou"]
    assert f"| beta 1, t 4 | {score:.3f} | {score:.3f} | run, 1 seed | |" in text
    assert "| beta 10, t 8 | | | not run | 0.4500 | `uspl sweep --table 8 --cell beta-10-t-8` |" in text


def test_the_list_of_tables_is_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert [s.table for s in grid.read()] == [3, 4, 5, 6, 7, 8, 9]
    page = nbformat.read(grid_runner.PAGE, as_version=4)
    parameters = next(c.source for c in page.cells if "parameters" in c.metadata.get("tags", []))
    assert {"data = None", "out = None", "runs = None"} <= {
        line.partition("  #")[0] for line in parameters.splitlines()
    }


def test_a_kernel_is_shut_down_without_an_interrupt(tmp_path: Path) -> None:
    """An interrupt of a kernel that has nothing to do is an error in its log, one after each chapter."""
    page, told = tmp_path / "page.ipynb", tmp_path / "interrupted"
    cells = [
        f"import pathlib, tempfile\ntold = pathlib.Path({str(told)!r})",
        f"held = tempfile.TemporaryDirectory(dir={str(tmp_path)!r})",
        "get_ipython().kernel.saved_sigint_handler = lambda *_: told.write_text('yes')",
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    made = [nbformat.v4.new_code_cell(source) for source in cells]
    nbformat.write(nbformat.v4.new_notebook(cells=made, metadata=kernel), page)
    grid_runner.execute(page, tmp_path / "ran.ipynb", {}, progress_bar=False)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["page.ipynb", "ran.ipynb"], "What it held is let go of."


def test_an_edited_record_is_refused_with_the_line(tmp_path: Path) -> None:
    (found,) = grid.read(write(tmp_path, TABLE))
    cell = found.cells[0]
    scores = {"m_fine": {"miou": 0.25}}
    told = {"split": "val", "changes": {"beta": 1.0, "t": 4}, "scores": scores}
    path = record.write(grid.record_folder(found, cell, tmp_path, "set") / "smr-s1.json", told)
    assert grid.values(found, cell, tmp_path, "set") == [0.25]
    text = path.read_text()
    path.write_text(text.replace("0.25", "0.95"))
    line = 1 + [words.strip()[:6] for words in text.splitlines()].index('"seal"')
    with pytest.raises(ValueError, match=rf"smr-s1.json`, line {line}: the seal does not fit; the record was edited"):
        grid.values(found, cell, tmp_path, "set")
    path.write_text(json.dumps(told))
    with pytest.raises(ValueError, match=r"smr-s1.json`, line 1: the record has no seal"):
        grid.values(found, cell, tmp_path, "set")
    for other in ({"split": "test"}, {"changes": {"beta": 2.0, "t": 4}}):
        record.write(path, told | other)
        with pytest.raises(ValueError, match=r"smr-s1.json` is the record of .*, not of beta 1, t 4"):
            grid.values(found, cell, tmp_path, "set")


def test_every_record_of_the_project_is_sealed() -> None:
    """Published values are copied by hand; every other number was written by a command."""
    written = [p for p in (ROOT / "results").rglob("*.json") if p.parent.name != "published" and p.name != "paper.json"]
    assert len(written) > 60
    for path in written:
        record.read(path, sealed=True)


def test_a_cell_that_fails_does_not_stop_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, TABLE.replace("[4, 8]", "[4]").replace("10, 8", "10, 4"))
    given = ["--cells", str(path), "--data", str(tmp_path / "none"), "--out", str(tmp_path), "--seeds", "1"]
    with pytest.raises(SystemExit) as stop:
        main.main(["sweep", "--table", "8", *given, "--jobs", "1", "--runs", str(tmp_path / "runs")])
    assert stop.value.code == 2
    told = capsys.readouterr()
    assert told.err.count("table 8, beta 1, t 4, seed 1: DataError: ") == 1
    assert told.err.count("table 8, beta 10, t 4, seed 1: DataError: ") == 1
    assert told.out.count("not run") == 2
    assert not list(tmp_path.glob("table8/**/*.json"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--table", "9"], "`table` must be among 8; got 9."),
        (["--table", "8", "--cell", "beta-2"], "`cell` must be one of beta-1-t-4, beta-1-t-8, .*; got 'beta-2'."),
        (["--cell", "beta-1-t-4"], "`cell` must be of one table; got 0 tables."),
        (["--seeds", "0"], "`seeds` must be at least 1 and `jobs` at least 0; got 0 and 0."),
    ],
)
def test_what_is_asked_wrongly_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    with pytest.raises(SystemExit):
        main.main(["sweep", *words, "--cells", str(write(tmp_path, TABLE))])
    assert re.search(said, capsys.readouterr().err)


def test_a_dask_scheduler_runs_the_cells(tmp_path: Path) -> None:
    (found,) = grid.read(write(tmp_path, TABLE))
    given: dict[str, Any] = {"seeds": [1], "runs": tmp_path / "runs", "workers": 1}
    with LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as cluster:
        (failure,) = grid_runner.run(
            [found._replace(cells=found.cells[:1])],
            brief(),
            tmp_path / "none",
            tmp_path,
            scheduler=cluster.scheduler_address,
            **given,
        )
    assert failure.name == "table 8, beta 1, t 4, seed 1"
    assert failure.reason.startswith("DataError: ")


def test_a_table_that_is_measured_as_a_whole(tmp_path: Path) -> None:
    wrote = tmp_path / "told.json"
    words = f"python -c \"open('{wrote}', 'w').write('1')\""
    text = f"- table: 3\n  title: costs\n  command: {json.dumps(words)}\n  record: {wrote}\n"
    (found,) = grid.read(write(tmp_path, text))
    for _ in range(2):
        assert grid_runner.run([found], brief(), tmp_path, tmp_path) == []
        assert wrote.read_text() == "1"
        wrote.write_text("1")
    wrong = found._replace(command="python -c \"raise SystemExit('no such part')\"")
    assert grid_runner.run([wrong], brief(), tmp_path, tmp_path, redo=True) == [("table 3", "no such part")]
