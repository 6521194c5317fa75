"""The page "What it costs": its numbers are those of the records, a record that lacks one is named, none is typed."""

import json
import re
import shutil
import sys
from pathlib import Path

import pytest
import torch
from matplotlib.figure import Figure

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "book" / "_ext"))

import cost_figures  # noqa: E402
from cost_records import FOLDER, CostError, made, value  # noqa: E402
from cost_tables import counts_table, smr_table, speed_table  # noqa: E402

from benchmarks.costs.__main__ import rounded  # noqa: E402
from benchmarks.costs.clock import in_turn  # noqa: E402
from benchmarks.costs.paths import paths  # noqa: E402
from uspl.affinity import offsets  # noqa: E402

PAGE = (ROOT / "book" / "costs.md").read_text()


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """A copy of the records, to be changed."""
    return Path(shutil.copytree(FOLDER, tmp_path / "costs"))


def change(folder: Path, name: str, keys: str, value: object) -> None:
    record = json.loads((folder / f"{name}.json").read_text())
    *above, last = keys.split(".")
    place = record
    for key in above:
        place = place[key]
    place[last] = value
    (folder / f"{name}.json").write_text(json.dumps(record))


# The page


def test_every_number_the_page_asks_for_is_in_a_record() -> None:
    asked = re.findall(r"\{cost\}`([^`]+)`", PAGE)
    assert len(asked) >= 15
    for one in asked:
        assert re.search(r"\d", value(one)), one


def test_no_measured_number_is_typed() -> None:
    text = re.sub(r"```\{costs\}[^\n]*|\{\w+(:\w+)?\}`[^`]*`", "", PAGE)
    for known in (r"ResNet50", r"float(32|16)", r"Table 3", r"Eqs?\. \(?\d+\)?", r"M_\w+", r"224 x 224", r"56 x 56"):
        text = re.sub(known, "", text)
    for known in (r"r = 7\b", r"3136 x 3136", r"batch 8", r"144 neighbours"):  # sizes, not measurements
        assert re.search(known, text), known
        text = re.sub(known, "", text)
    assert not re.findall(r"\d+", text)
    assert 2 * len(offsets(7)) == 144


def test_ours_and_the_papers_stand_in_their_own_columns(records: Path) -> None:
    change(records, "table3", "rows.sps.batch_1.fps", 123.4)
    change(records, "table3", "rows.sps.parameters", 98.76)
    change(records, "paper", "rows.sps.fps", 5.67)
    for table, ours, theirs in (
        (speed_table, "123.4", "5.67"),
        (counts_table, "98.76", "68.12"),
    ):
        head, _, *rows = ([c.strip() for c in line.strip("|").split("|")] for line in table(records).splitlines())
        assert rows[2][0] == "SPS"
        assert ours in [cell for title, cell in zip(head, rows[2], strict=True) if "paper" not in title]
        assert theirs in [cell for title, cell in zip(head, rows[2], strict=True) if "paper" in title]
        assert theirs not in [cell for title, cell in zip(head, rows[2], strict=True) if "paper" not in title]


def test_the_ways_to_the_fine_map_are_read_from_the_record(records: Path) -> None:
    change(records, "table3", "rows.smr-dense.batch_1.ms", 4321.0)
    assert "| 4321 |" in smr_table(records)


def test_formats_and_ratios(records: Path) -> None:
    change(records, "training", "share", 0.0123)
    change(records, "training", "step", 4.0)
    assert value("training.share %", records) == "1.2 %"
    assert value("training.step/training.share .0f", records) == "325"
    with pytest.raises(CostError, match=r"must end in one of %, \.0f, \.1f, \.2f; got '\.9f'\."):
        value("training.step .9f", records)


def test_a_record_that_is_missing_or_broken_is_named(records: Path) -> None:
    (records / "memory.json").unlink()
    makes = r"^`results/costs/memory\.json` is missing; `python -m benchmarks\.costs memory` makes it\.$"
    with pytest.raises(CostError, match=makes):
        value("memory.peak_gib .1f", records)
    (records / "training.json").write_text("{")
    with pytest.raises(CostError, match=r"^`results/costs/training\.json` is no record: "):
        cost_figures.training_figure(records)
    change(records, "table3", "rows.smr", {})
    with pytest.raises(CostError, match=r"has no number at `rows\.smr\.parameters`\.$"):
        counts_table(records)
    change(records, "stages", "ms.batch_1", {})
    with pytest.raises(CostError, match=r"^`results/costs/stages\.json` has no 'visual encoder'\.$"):
        cost_figures.stages_figure(records)
    change(records, "growth", "ms", {})
    with pytest.raises(CostError, match="have no 'radius'"):
        cost_figures.growth_figure(["grid", "radius"][1], records)
    change(records, "clips", "threads", 1)
    record = json.loads((records / "clips.json").read_text())
    del record["processor"]
    (records / "clips.json").write_text(json.dumps(record))
    with pytest.raises(CostError, match="does not say its 'processor'"):
        made("clips", records)


@pytest.mark.parametrize("name", sorted(p.stem for p in FOLDER.glob("*.json") if p.stem != "paper"))
def test_a_record_says_how_it_was_made(name: str) -> None:
    assert made(name).startswith(f"`python -m benchmarks.costs {name}` on ")


def test_figures_say_in_words_what_they_show(records: Path) -> None:
    change(records, "stages", "ms.batch_1.decoder", 777.0)
    change(records, "growth", "ms.radius.numba", {"3": 1.5, "15": 25.0, "9": 9.0})
    for fig, said in (
        (cost_figures.stages_figure(records), "SPS: decoder 777 ms"),
        (cost_figures.growth_figure("radius", records), "numba, radius 3 to 15: 1.5 to 25 milliseconds"),
        (cost_figures.growth_figure("clips", records), "evaluate, clips "),
        (cost_figures.training_figure(records), "decoder and its loss "),
    ):
        assert isinstance(fig[0], Figure)
        assert said in fig[1]


# What is measured


def test_four_ways_to_the_fine_map_agree() -> None:
    """The dense matrix, plain PyTorch and numba on one clip: the row compares equals."""
    with torch.inference_mode():
        calls = paths(1)
        dense, plain, fast = (calls[name]() for name in ("smr-dense", "smr-plain", "smr"))
    torch.testing.assert_close(plain, dense, atol=1e-4, rtol=0)
    torch.testing.assert_close(fast, plain, atol=1e-4, rtol=0)


def test_calls_are_timed_in_turn() -> None:
    order: list[str] = []
    times = in_turn({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 2)
    assert {name: len(seconds) for name, seconds in times.items()} == {"a": 2, "b": 2}
    assert order[:4] == ["a", "a", "b", "b"]
    assert order[4] == "a"
    assert order[-1] == "a"


def test_four_digits_are_kept() -> None:
    assert rounded({"a": 1.23456, "b": {"c": 7}, "d": "x"}) == {"a": 1.235, "b": {"c": 7}, "d": "x"}
