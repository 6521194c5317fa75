"""`sweeps.yml`: what it may say, which records its cells have, what is refused with file and line."""

import json
import os
import re
import shutil
import time
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import nbformat
import pytest
import torch
from distributed import LocalCluster

from tests.helpers.data_sample import copy, sample
from tests.helpers.models import brief
from tests.helpers.values import ROOT, tight
from uspl.cli import main
from uspl.config import Config
from uspl.core import record
from uspl.core.device import visible_gpus
from uspl.experiments import study
from uspl.experiments.paper import grid, grid_report, grid_runner, notebook

TABLE = """- table: 8
  title: walk
  columns: [val miou]
  cells:
    - {variant: smr, map: m_fine, grid: {beta: [1.0], t: [4, 8]}}
    - {variant: smr, map: m_fine, beta: 10.0, t: 8, paper: [45.41]}
"""
PAPER = json.loads((ROOT / "tests/reference/paper_tables.json").read_text())
# How `paper_tables.json` names what a column prints.
KEYS = {
    1: ("miou", "fscore"),
    2: ("ciou_at_05", "auc"),
    3: ("val", "test"),
    4: ("miou",),
    5: ("miou", "fscore"),
    6: ("miou", "fscore"),
    7: ("miou", "fscore"),
    8: ("miou",),
}
FIELDS = {5: ("delta",), 6: ("r",), 7: ("beta_h", "beta_l"), 8: ("beta", "t")}


def write(folder: Path, text: str) -> Path:
    path = folder / "sweeps.yml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("number", KEYS)
def test_each_table_is_the_papers(number: int) -> None:
    """Row by row: what is set, and every number that is printed."""
    rows = PAPER[f"table{number}"]["rows"]
    (table,) = (s for s in grid.read() if s.table == number)
    for row, cell in zip(rows, table.cells, strict=True):
        assert cell.paper == tuple(row[key] for key in KEYS[number])
        if number in FIELDS:
            assert cell.changes == {field: row[field] for field in FIELDS[number]}
        else:
            name = row.get("row") or row["method"] + (" + OGL" if row.get("ogl") else "")
            assert (cell.title, cell.changes) == (name, {})
        assert (cell.variant, cell.map) == ("full", "m") or number < 5
    about = PAPER[f"table{number}"]["about"]
    assert number == 2 or {c.split for c in table.columns} == {split for split in ("val", "test") if split in about}


def test_published_tables_hold_every_row() -> None:
    """`results/published` repeats the paper's Tables 1 and 2 with each row's protocol and source."""
    for number in (1, 2):
        told = {r["method"]: r["values"] for r in record.read(ROOT / f"results/published/table-{number}.json")["rows"]}
        for row in PAPER[f"table{number}"]["rows"]:
            values = [row[key] / (1 if key == "fscore" else 100) for key in KEYS[number]]
            name = row["method"] + (" + OGL" if row.get("ogl") else " (PVT-v2)" if row["method"] == "AVS" else "")
            assert told[name] == pytest.approx(values)


def test_rows_beside_the_papers() -> None:
    tables = {s.table: s for s in grid.read()}
    assert {n: len(s.extra) for n, s in tables.items()} == {1: 3, 2: 0, 3: 2, 4: 0, 5: 6, 6: 4, 7: 4, 8: 16, 9: 0}
    assert study.BEST in [c.changes for c in tables[9].cells], "Config.best() is no row of Table 9."
    for s in tables.values():
        folders = [(c.folder, c.variant) for c in s.cells + s.extra if c.variant]
        assert s.records or len(folders) == len(set(folders)), "Two rows would share their records."


def test_a_grid_is_every_combination(tmp_path: Path) -> None:
    (found,) = grid.read(write(tmp_path, TABLE))
    assert [c.name for c in found.cells] == ["beta 1, t 4", "beta 1, t 8", "beta 10, t 8"]
    assert [c.paper for c in found.cells] == [(), (), (45.41,)]
    assert found.cells[2].folder == "beta-10-t-8"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TABLE.replace("beta:", "bta:"), r"sweeps.yml, line 5: `Config` has no field `bta`"),
        (TABLE.replace("[4, 8]", "[4, -8]"), r"sweeps.yml, line 5: `t` must be .*; got -8"),
        (TABLE.replace("m_fine", "m_best"), r"line 5: `map` must be one of m_fine, the maps of 'smr'; got 'm_best'"),
        (TABLE.replace("smr", "sms"), r"line 5: `variant` must be one of delta0, .*; got 'sms'"),
        (TABLE.replace("title:", "name:"), r"line 1: a table has the keys table, title, .*; got table, name"),
        (TABLE.replace("[45.41]", "[45.41, 0.565]"), r"line 6: `paper` must be 1 numbers, .*; got \[45.41, 0.565\]"),
        (
            TABLE.replace("val miou", "miou"),
            r"line 1: each of `columns` must be a split, val or test, .*; got \['miou'\]",
        ),
        (TABLE.replace("cells", "extra"), r"line 1: a table has the keys"),
        (TABLE.replace("cells:", "cells: []\n  extra:"), r"line 1: a row of `extra` is not the paper's; got `paper`"),
        (
            TABLE[: TABLE.index("cells")] + "cells: []",
            r"line 1: table 8 must have at least one row in `cells`; got none",
        ),
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
    first = grid_report.record_folder(one, one.cells[0], tmp_path, "set") / "smr-s1.json"
    told = record.read(first, sealed=True)
    assert (told["split"], told["changes"]["beta"], told["changes"]["t"]) == ("val", 1.0, 4)
    page = nbformat.read(tmp_path / "runs/tables/table8/beta-1-t-4-set-smr-s1.ipynb", as_version=4)
    assert sum("image/" in str(out) for c in page.cells for out in c.get("outputs", [])) == 3
    before = first.stat().st_mtime_ns
    assert grid_runner.run([one], brief(), data, tmp_path, **given) == []
    assert first.stat().st_mtime_ns == before, "What has a record is left alone."
    text = tight(grid_report.markdown(found, tmp_path, "set"))
    score = told["scores"]["m_fine"]
    miou, fscore = (f"{score[key]:.3f}" for key in ("miou", "fscore"))
    assert f"| beta 1, t 4 | {miou} | {fscore} | {miou} | run, 1 seed; another recipe: image_size, " in text
    assert (
        "| walk | val mIoU [set, tiny] | val F-score [set, tiny] | seeds | status | the paper: val mIoU | command"
        in text
    )
    command = "`uspl sweep --table 8 --cell beta-10-t-8 --data set`"
    assert f"| beta 10, t 8 | | | | not run | 0.4541 | {command} |" in text


def test_the_list_of_tables_is_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert [s.table for s in grid.read()] == [1, 2, 3, 4, 5, 6, 7, 8, 9]
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
    notebook.execute(page, tmp_path / "ran.ipynb", {}, progress_bar=False)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["page.ipynb", "ran.ipynb"], "What it held is let go of."


def test_an_edited_record_is_refused_with_the_line(tmp_path: Path) -> None:
    (found,) = grid.read(write(tmp_path, TABLE))
    cell = found.cells[0]
    scores = {"m_fine": {"miou": 0.25}}
    told = {"split": "val", "seed": 1, "changes": {"beta": 1.0, "t": 4}, "scores": scores}
    path = record.write(grid_report.record_folder(found, cell, tmp_path, "set") / "smr-s1.json", told)
    assert grid_report.values(found, cell, tmp_path, "set") == [0.25]
    text = path.read_text()
    path.write_text(text.replace("0.25", "0.95"))
    line = 1 + [words.strip()[:6] for words in text.splitlines()].index('"seal"')
    with pytest.raises(ValueError, match=rf"smr-s1.json`, line {line}: the seal does not fit; the record was edited"):
        grid_report.values(found, cell, tmp_path, "set")
    path.write_text(json.dumps(told))
    with pytest.raises(ValueError, match=r"smr-s1.json`, line 1: the record has no seal"):
        grid_report.values(found, cell, tmp_path, "set")
    for other in ({"split": "test"}, {"changes": {"beta": 2.0, "t": 4}}, {"variant": "full"}):
        record.write(path, told | other)
        with pytest.raises(ValueError, match=r"smr-s1.json` is the record of .*, not of beta 1, t 4"):
            grid_report.values(found, cell, tmp_path, "set")


def test_every_record_of_the_project_is_sealed() -> None:
    """Published values are copied by hand; every other number was written by a command."""
    written = [p for p in (ROOT / "results").rglob("*.json") if p.parent.name != "published" and p.name != "paper.json"]
    assert len(written) > 60
    for path in written:
        record.read(path, sealed=True)


def test_a_cell_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    """The first trains too few clips for its batch."""
    cells = "cells:\n    - {variant: smr, map: m_fine, grid: {batch_size: [16, 4]}}"
    (found,) = grid.read(write(tmp_path, TABLE[: TABLE.index("cells")] + cells))
    given: dict[str, Any] = {"seeds": [1], "runs": tmp_path / "runs", "workers": 1}
    ((name, reason),) = grid_runner.run([found], brief(), sample(), tmp_path, **given)
    assert name == "table 8, batch_size 16, seed 1"
    assert reason.startswith("ValueError: `batch_size` must be at most the number of training videos, 10; got 16")
    assert [p.parent.parent.name for p in tmp_path.glob("table8/**/*.json")] == ["batch-size-4"]


def test_what_stops_every_cell_is_told_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, TABLE)
    given = ["--cells", str(path), "--out", str(tmp_path), "--seeds", "1", "--runs", str(tmp_path / "runs")]
    for more, said in (
        (["--data", str(tmp_path / "none")], "none/s4_meta_data.csv` is missing"),
        (["--data", str(sample()), "--tier", "paper", "--visual-weights", "gone.pth"], "'gone.pth' is not there"),
        (["--data", str(sample()), "--gpus", "0"], "`gpus` must be left out: there is no GPU here; got 0."),
    ):
        with pytest.raises(SystemExit) as stop:
            main.main(["sweep", "--table", "8", *given, *more])
        assert stop.value.code == 2
        told = capsys.readouterr()
        assert told.err.startswith("uspl: ")
        assert said in told.err
        assert told.err.count("\n") == 1
        assert not told.out
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("count", "environment", "asked", "device", "names"),
    [
        (0, None, (), "auto", []),
        (4, None, (), "auto", ["0", "1", "2", "3"]),
        (4, None, (2, 0), "auto", ["2", "0"]),
        (2, "5,7", (), "auto", ["5", "7"]),
        (2, "GPU-a,GPU-b", (1,), "cuda", ["GPU-b"]),
        (4, None, (), "cuda:3", ["3"]),
        (4, None, (), "cpu", []),
        (2, None, (2,), "auto", "`gpus` must be among 0, 1, each once; got 2."),
        (2, None, (1, 1), "auto", "`gpus` must be among 0, 1, each once; got 1,1."),
        (0, None, (0,), "auto", "`gpus` must be left out: there is no GPU here; got 0."),
        (2, None, (1,), "cpu", "`gpus` asks for 1, and `device` is 'cpu': leave out one of both."),
    ],
)
def test_gpus_are_shared_out(
    monkeypatch: pytest.MonkeyPatch,
    count: int,
    environment: str | None,
    asked: tuple[int, ...],
    device: str,
    names: list[str] | str,
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if environment:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", environment)
    if isinstance(names, str):
        with pytest.raises(ValueError, match=re.escape(names)):
            visible_gpus(asked, device=device)
    else:
        assert visible_gpus(asked, device=device) == names


def test_each_worker_sees_one_gpu_of_its_own() -> None:
    with grid_runner._executor(2, ["3", "5"], None) as pool:
        # Each holds its worker until the other has one too.
        seen = [pool.submit(_card_after, 1.0) for _ in range(2)]
        assert sorted(future.result() for future in seen) == ["3", "5"]


def _card_after(seconds: float) -> str:
    time.sleep(seconds)
    return os.environ["CUDA_VISIBLE_DEVICES"]


def test_there_are_never_more_workers_than_the_device_holds() -> None:
    assert grid_runner._workers(0, ["0", "1"], Config.paper()) == 2
    assert grid_runner._workers(0, [], Config.paper()) == 1
    assert grid_runner._workers(0, [], Config.tiny()) == os.cpu_count()
    with pytest.raises(ValueError, match=r"^`jobs` must be at most 2, one for each GPU; got 4\.$"):
        grid_runner._workers(4, ["0", "1"], Config.paper())


class Immediate(Executor):
    """Runs nothing; keeps what it was given, in order."""

    def __init__(self) -> None:
        self.given: list[list[str]] = []

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        done: Future[list[str]] = Future()
        self.given.append([job.parameters["title"] for job in args[0]])
        done.set_result([""] * len(args[0]))
        return done


def test_a_warm_up_is_trained_once_and_first(tmp_path: Path) -> None:
    """Table 8: one warm-up a seed. Its first cell goes ahead; what differs in the walk alone is one training."""
    (table,) = (s for s in grid.read() if s.table == 8)
    table = table._replace(cells=table.cells[:3], extra=table.extra[:3])
    given = {"data": "set", "runs": str(tmp_path), "boxes": None}
    jobs = [
        grid_runner._job(*row, seed, cfg=Config.paper(keep="last"), results=tmp_path, tier="paper", given=given)
        for row in grid_runner._rows([table], True)
        for seed in (1, 2)
    ]
    units = grid_runner._units(jobs, redo=False)
    assert sorted(len(unit.jobs) for unit in units) == [1, 1, 1, 1, 1, 1, 3, 3]
    assert len({unit.warmup for unit in units}) == 2
    pool = Immediate()
    assert grid_runner._run(pool, units, 1) == []
    assert [names[0].partition(", ")[2] for names in pool.given[:2]] == ["beta 1, t 1, seed 1", "beta 1, t 1, seed 2"]
    assert sorted(name for names in pool.given for name in names) == sorted(job.parameters["title"] for job in jobs)


@pytest.mark.slow
def test_the_tables_run_at_the_tier_of_the_paper(tmp_path: Path) -> None:
    """ResNet50 and VGGish from random start on a folder shaped as AVSBench: trained, scored, printed, read again."""
    tables = [s._replace(cells=s.cells[1:2]) for s in grid.read() if s.table in (2, 5, 7, 8)]
    changes = {"image_size": 64, "visual_weights": "none", "audio_weights": "none", "batch_size": 5}
    cfg = Config.paper(warmup_epochs=1, epochs=1, device="cpu", **changes)
    given: dict[str, Any] = {"seeds": [1], "runs": tmp_path / "runs", "workers": 2}
    assert grid_runner.run(tables, cfg, sample(), tmp_path, **given) == []
    found = {p.parent.parent.name: record.read(p, sealed=True) for p in tmp_path.glob("table*/*/*/*.json")}
    assert len({told["warmup_run"] for told in found.values()}) == 2, (
        "Tables 7 and 8 share a warm-up; delta has its own."
    )
    for s in tables:
        text = tight(grid_report.markdown(s, tmp_path, sample(), tier="paper"))
        assert "[set, paper]" in text
        assert "| run, 1 seed; another recipe: image_size, visual_weights, audio_weights, warmup_epochs, epochs" in text
        assert f"--tier paper --data {sample()}`" in text
    # Once the tables ask for something else, what is there is refused before anything is trained.
    other = [tables[0]._replace(cells=[tables[0].cells[0]._replace(changes={"delta": 0.2})])]
    with pytest.raises(ValueError, match=r"is the record of {'delta': 0.5} on 'test', not of DMC on 'test'"):
        grid_runner.run(other, cfg, sample(), tmp_path, **given)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--table", "9"], "`table` must be among 8; got 9."),
        (
            ["--table", "8", "--cell", "beta-2"],
            "`cell` must be one of beta-1-t-4, beta-1-t-8, beta-10-t-8; got 'beta-2'.",
        ),
        (["--cell", "beta-1-t-4"], "`cell` must be of one table; got 0 tables."),
        (["--table", "8", "--boxes", "b.json"], "`boxes` is for Table 2; got 8."),
        (["--gpus", "0;1"], "`gpus` must be numbers divided by commas, as 0,1,2,3; got '0;1'."),
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
            brief(batch_size=16),
            sample(),
            tmp_path,
            scheduler=cluster.scheduler_address,
            **given,
        )
    assert failure.name == "table 8, beta 1, t 4, seed 1"
    assert failure.reason.startswith("ValueError: `batch_size` must be at most")
