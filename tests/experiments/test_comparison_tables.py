"""Tables 1 and 2 on Sounding Shapes: what the records say, and nothing else."""

from pathlib import Path
from typing import Any

import pytest

from tests.helpers.values import tight
from uspl.core import record
from uspl.experiments import comparison_tables, methods
from uspl.experiments.study import PEERS, VARIANTS


def write(folder: Path, variant: str, seed: int, value: float, m: str = "m") -> Path:
    limits = {"floors": {"whole_image": {"miou": 0.14}}, "ceiling": {"miou": 1.0}}
    plain: dict[str, Any] = {"scores": {m: {"miou": {"value": value}}}} | limits
    heard = {key: {m: value} for key in comparison_tables.LISTENING}
    told = {"seed": seed, "protocols": {"avsbench": plain, f"avsbench(val) for {m}": plain}, "listening": heard}
    return record.write(folder / f"{variant}-s{seed}.json", told | {"floors": {"every_object": 0.41}})


def table(folder: Path, protocol: str = "avsbench") -> list[list[str]]:
    text = tight(comparison_tables.markdown(folder, protocol, ["mIoU"], ["miou"]))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]


def test_rows_are_what_the_records_say(tmp_path: Path) -> None:
    for seed, value in ((1, 0.2), (2, 0.3)):
        write(tmp_path, "ez-vsl", seed, value)
    write(tmp_path, "supervised-4x", 1, 0.5)
    rows = {row[0]: row[1:] for row in table(tmp_path)}
    assert rows["EZ-VSL"] == ["nothing", "0.250 ± 0.050", "50%", "2"]
    assert rows["supervised bound, SPS"] == ["masks", "0.500", "100%", "1"]
    assert rows["LVS"] == ["nothing", "not run", "", ""]
    assert rows["*whole image*"][1] == "0.140"
    assert rows["*every object, an oracle that does not hear*"][1] == "0.410"
    assert {len(row) for row in table(tmp_path)} == {5}
    text = tight(comparison_tables.sensitivity_table(tmp_path))
    assert "| EZ-VSL | 0.250 | 0.250 | 0.250 | 0.250 |" in text
    assert "LVS" not in text


def test_a_chosen_threshold_has_its_own_floors(tmp_path: Path) -> None:
    write(tmp_path, "ez-vsl", 1, 0.25)
    rows = {row[0]: row[1:] for row in table(tmp_path, "avsbench(val)")}
    assert rows["EZ-VSL"][1] == "0.250"
    assert rows["*whole image*"][1] == "0.140"
    assert not any("every object" in name for name in rows)


def test_without_records_nothing_is_said(tmp_path: Path) -> None:
    assert {row[2] for row in table(tmp_path)[2:]} == {"not run"}


def test_an_edited_record_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "ez-vsl", 1, 0.25)
    path.write_text(path.read_text().replace("0.25", "0.95"))
    with pytest.raises(ValueError, match=r"ez-vsl-s1.json`, line \d+: the seal does not fit"):
        table(tmp_path)


def test_every_row_can_be_run_and_every_peer_has_one() -> None:
    named = {method.variant for method in comparison_tables.LINES}
    assert named <= set(VARIANTS | PEERS)
    assert set(methods.METHODS) <= named
    for method in comparison_tables.LINES:
        assert method.map in (VARIANTS | PEERS)[method.variant].maps
        assert method.variant in comparison_tables.commands().split()
    assert comparison_tables.fresh_commands().endswith("--variants full best supervised-4x")
    hard = comparison_tables.fresh_commands("hard")
    assert "make_sounding_shapes.py data/sounding-shapes-hard-fresh --level hard --seed 3\n" in hard
    assert "--tier best" in hard
    assert hard.endswith("--variants best supervised-4x")


def test_some_methods_make_a_table_of_their_own(tmp_path: Path) -> None:
    write(tmp_path, "supervised-4x", 1, 0.5)
    text = tight(comparison_tables.markdown(tmp_path, "avsbench", ["mIoU"], ["miou"], comparison_tables.OWN))
    assert "| USPL, SPS | nothing | not run | | |" in text
    assert "EZ-VSL" not in text
