"""`sweeps.yml`: what it may say, which records its cells have, what is refused with file and line."""

from pathlib import Path
from typing import Any

import pytest
from data_sample import sample
from test_train import small

from uspl import cli, record, sweeps
from uspl.config import Config

ROOT = Path(__file__).resolve().parents[1]
TABLE = """- table: 8
  title: walk
  map: m_fine
  grid: {beta: [1.0, 10.0], t: [4, 8]}
  paper: {"10, 8": 0.45}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "sweeps.yml"
    path.write_text(text)
    return path


def test_the_file_of_the_project() -> None:
    tables = {s.table: s for s in sweeps.read(ROOT / "sweeps.yml")}
    assert {n: len(s.cells) for n, s in tables.items()} == {5: 6, 6: 4, 7: 4, 8: 16}
    for s in tables.values():
        assert (ROOT / "notebooks" / f"{s.notebook}.ipynb").is_file()
        tiny = Config.tiny()
        recipe = [c for c in s.cells if all(getattr(tiny, k) == v for k, v in c.changes.items())]
        assert s.table == 8 or len(recipe) == 1, f"Table {s.table} does not hold the recipe."


def test_a_grid_is_every_combination(tmp_path: Path) -> None:
    (found,) = sweeps.read(write(tmp_path, TABLE))
    assert [c.name for c in found.cells] == ["beta 1, t 4", "beta 1, t 8", "beta 10, t 4", "beta 10, t 8"]
    assert [c.paper for c in found.cells] == [None, None, None, 0.45]
    assert found.cells[3].folder == "beta-10-t-8"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TABLE.replace("beta:", "bta:"), r"sweeps.yml, line 4: .*bta"),
        (TABLE.replace("[4, 8]", "[4, -8]"), r"sweeps.yml, line 4: `t` must be .*; got -8"),
        (TABLE.replace("m_fine", "m_best"), r"line 1: `map` must be m_crs, m_fine or m; got 'm_best'"),
        (TABLE.replace("title:", "name:"), r"line 1: a table has the keys table, title, .*; got table, name"),
        (TABLE.replace('"10, 8"', '"10, 9"'), r"line 1: `paper` names a cell that the table does not have"),
        ("- [", r"is not a readable list of tables"),
        ("- 8", r"line 1: a table has the keys"),
    ],
)
def test_refused_with_the_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        sweeps.read(write(tmp_path, text))


def test_cells_run_and_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (found,) = sweeps.read(write(tmp_path, TABLE))
    one = found._replace(cells=found.cells[:2])
    given: dict[str, Any] = {"seeds": [1], "runs": tmp_path / "runs"}
    done = sweeps.run(one, small(), sample(), tmp_path, **given)
    assert [error for _, error in done] == [None, None]
    assert len(list((tmp_path / "runs").glob("warmup-*"))) == 1, "Cells of one seed share their warm-up."
    record_of_first = tmp_path / "table8" / "beta-1-t-4" / sample().name / "full-s1.json"
    values = record.read(record_of_first)
    assert (values["split"], values["changes"]["beta"], values["changes"]["t"]) == ("val", 1.0, 4)
    before = record_of_first.stat().st_mtime_ns
    sweeps.run(one, small(), sample(), tmp_path, **given)
    assert record_of_first.stat().st_mtime_ns == before
    text = sweeps.markdown(found, tmp_path)
    score = values["scores"]["m_fine"]["miou"]
    assert f"| beta 1, t 4 | {score:.3f} | {score:.3f} | run, 1 seeds |  |" in text
    assert "| beta 10, t 8 |  |  | not run | 0.4500 | `uspl sweep --table 8 --cell beta-10-t-8` |" in text


def test_a_cell_that_fails_does_not_stop_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, TABLE)
    given = ["--cells", str(path), "--data", str(tmp_path / "none"), "--out", str(tmp_path), "--seeds", "1"]
    with pytest.raises(SystemExit) as stop:
        cli.main(["sweep", "--table", "8", *given])
    assert stop.value.code == 2
    told = capsys.readouterr()
    assert told.err.count("beta 1, t 4: ") == 1
    assert told.err.count("beta 10, t 8: ") == 1
    assert told.out.count("not run") == 4
    with pytest.raises(SystemExit):
        cli.main(["sweep", "--table", "9", *given])
    assert "`table` must be one of 8; got 9." in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main(["sweep", "--table", "8", "--cell", "beta-2", *given])
    assert "`cell` must be one of beta-1-t-4, beta-1-t-8, beta-10-t-4, beta-10-t-8; got 'beta-2'." in (
        capsys.readouterr().err
    )
