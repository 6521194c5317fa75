"""What annotation files alone say: the recorded floors, ceilings and leaks are those of the published files."""

import json
from pathlib import Path

import pytest

from tests.helpers.values import shared
from uspl.cli import main
from uspl.core import record
from uspl.evaluation import annotation_bounds
from uspl.experiments import tables

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", ["vggss.json", "vggss_10k.txt.gz", "vggss_144k.txt.gz", "vggss_heard.txt.gz"])
def test_a_record_says_what_its_file_says(name: str) -> None:
    kept = record.read(ROOT / "results/annotations" / f"{name.partition('.')[0]}.json")
    found = annotation_bounds.measure(shared("reference/metadata") / name)
    assert found == {key: kept[key] for key in found}


def test_the_leak_is_the_published_one() -> None:
    leaks = {p.stem: record.read(p).get("leaked") for p in (ROOT / "results/annotations").glob("vggss_*.json")}
    assert leaks == {"vggss_10k": 238, "vggss_144k": 3709, "vggss_heard": 0}


def test_no_column_of_the_published_tables_holds_two_protocols() -> None:
    for path in (ROOT / "results/published").glob("*.json"):
        rows = record.read(path)["rows"]
        columns = {r["protocol"] for r in rows}
        lines = tables.published(path).splitlines()
        assert lines[0].count("[") == len(columns)
        for r, line in zip(rows, lines[2:], strict=False):
            cells = [cell.strip() for cell in line.strip("|").split("|")][2:]
            assert sum(bool(cell) for cell in cells) == 1, r["method"]
        assert lines[-1].count("not run here") == len(columns)


def test_a_box_file_of_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    boxes = [{"file": f"v_{i}", "class": "x", "bbox": [[0, 0, 1, side]]} for i, side in enumerate((0.25, 1))]
    (tmp_path / "b.json").write_text(json.dumps(boxes))
    main.main(["bounds", str(tmp_path / "b.json"), "--out", str(tmp_path / "out")])
    found = record.read(tmp_path / "out/b.json")
    assert capsys.readouterr().out.strip() == str(tmp_path / "out/b.json")
    assert found["area"] == pytest.approx(0.625)
    assert found["protocols"]["vggss-half"]["ceiling"]["ciou"] == 1  # a quarter of the image: exactly one half
    assert found["protocols"]["vggss-half"]["floors"]["whole_image"]["ciou"] == 0.5


@pytest.mark.parametrize(("name", "text"), [("none.json", None), ("bad.json", "{}"), ("none.txt", None), ("l.txt", "")])
def test_a_file_that_cannot_be_read_is_one_sentence(
    name: str, text: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(SystemExit):
        main.main(["bounds", str(tmp_path / name), "--out", str(tmp_path / "out")])
    assert name in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
