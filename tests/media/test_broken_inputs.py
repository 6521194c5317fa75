"""Broken and odd input of many kinds: each ends in its named row, none hangs, none is replaced, none stops the rest."""

import os
import tempfile
import time
from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.broken_films import FILMS, make
from tests.helpers.preparation import HEAD, prepared
from uspl.audit.examine import examine
from uspl.cli import prepare_avsbench
from uspl.core.errors import DataError
from uspl.data.metadata import read_table
from uspl.data.prepare import avsbench, jobs

GREYS = [56, 120, 184]  # of frames 7, 15 and 23


def reported(root: Path, *given: str) -> dict[str, dict[str, str]]:
    """Run the preparation; the report by name of clip."""
    return prepared(root, "--workers", "2", "--seconds", "3", "--size", "32", *given)


def listing(*names: str) -> bytes:
    """A table with a clip per name."""
    return HEAD.encode() + b"".join(f'"{name}",0,bell,test\n'.encode() for name in names)


@lru_cache(maxsize=1)
def corpus() -> tuple[Path, dict[str, dict[str, str]]]:
    """All films in one folder, prepared once: folder and report."""
    root = Path(tempfile.mkdtemp())
    home = root / "raw_videos/test/bell"
    home.mkdir(parents=True)
    for name, (how, _, _) in FILMS.items():
        how(home / name)
    (root / "s4_meta_data.csv").write_bytes(listing(*(name.rpartition(".")[0] for name in FILMS)))
    return root, reported(root)


@pytest.mark.parametrize("name", FILMS)
def test_every_film_ends_in_its_row(name: str) -> None:
    root, report = corpus()
    _, status, reason = FILMS[name]
    row = report[name.rpartition(".")[0]]
    assert (row["status"], row["reason"][: len(reason)]) == (status, reason), row["reason"]
    assert bool(reason) == bool(row["reason"])
    assert "\n" not in row["reason"]
    wav = root / "s4_data/audio_wav/test/bell" / f"{row['name']}.wav"
    assert wav.exists() == (status != "bad")


@pytest.mark.parametrize("name", [name for name, (_, status, _) in FILMS.items() if status != "bad"])
def test_none_is_replaced(name: str) -> None:
    """What was prepared shows the grey levels of this very film."""
    home = corpus()[0] / "s4_data/visual_frames/test/bell"
    stem = name.rpartition(".")[0]
    stored = [np.asarray(Image.open(home / stem / f"{stem}_{k}.png")).astype(float) for k in (1, 2, 3)]
    expected = {"still.mp4": [90, 90, 90], "uneven.mp4": [58, 122, 186]}.get(name, GREYS)
    assert [round(float(image.mean())) for image in stored] == pytest.approx(expected, abs=4)
    left, top = (np.diff(image.mean(axis=2).mean(axis=axis)).sum() for axis in (0, 1) for image in stored[:1])
    assert (top < -20 and abs(left) < 5) if name == "turned.mp4" else (left < -20 and abs(top) < 5)


def test_none_hangs() -> None:
    """A film at which the preparation gives up is called so."""
    assert not [row for row in corpus()[1].values() if "takes longer" in row["reason"]]


def test_at_least_twenty_five_kinds() -> None:
    assert len(FILMS) >= 25


# Clips that hang or crash


def wait(name: str) -> str:
    if name == "hangs":
        time.sleep(60)
    if name == "crashes":
        os._exit(3)
    return f"{name} done"


@pytest.mark.parametrize("workers", [1, 3])
def test_a_clip_that_hangs_or_crashes_stops_no_other(workers: int) -> None:
    began = time.monotonic()
    todo = ["a", "hangs", "b", "crashes", "c", "d"]
    results = jobs.each(wait, todo, workers=workers, says="", limit=3.0, lost=lambda name, why: f"{name} {why}")
    assert sorted(results) == [
        "a done",
        "b done",
        "c done",
        "crashes ends the process that reads it",
        "d done",
        "hangs takes longer than 3 s to read",
    ]
    assert time.monotonic() - began < 30


def test_no_clips_need_no_process() -> None:
    assert list(jobs.each(wait, [], workers=2, says="", limit=1.0)) == []


def test_a_crash_without_a_limit_is_a_sentence() -> None:
    with pytest.raises(jobs.Refused, match="ended without a word"):
        list(jobs.each(wait, ["a", "crashes", "b"], workers=2, says=""))


def test_an_error_in_a_worker_reaches_the_caller() -> None:
    with pytest.raises(ZeroDivisionError):
        list(jobs.each(partial(divmod, 1), [2, 1, 0], workers=2, says=""))


def endless(*given: object) -> None:
    time.sleep(60)


def test_the_limit_of_the_preparation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path / "raw_videos/slow.mp4")
    (tmp_path / "s4_meta_data.csv").write_bytes(listing("slow"))
    with monkeypatch.context() as patched:
        patched.setattr(avsbench, "prepare", endless)
        row = reported(tmp_path, "--limit", "0.3")["slow"]
    assert (row["status"], row["reason"]) == ("bad", "takes longer than 0.3 s to read")
    assert reported(tmp_path)["slow"]["status"] == "ok"
    assert prepare_avsbench.main([str(tmp_path), "--limit", "0"]) == 2
    assert "`--limit` must be above 0; got 0." in capsys.readouterr().err


# Files that may not be read


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A folder of a user who is not root: root may read everything."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        root = os.geteuid() == 0
        if root:
            os.seteuid(65534)
        try:
            yield Path(folder) / "set"
        finally:
            if root:
                os.seteuid(0)


def test_a_film_that_may_not_be_read(unprivileged: Path) -> None:
    for name in ("locked", "open"):
        make(unprivileged / f"raw_videos/{name}.mp4")
    (unprivileged / "raw_videos/locked.mp4").chmod(0)
    (unprivileged / "s4_meta_data.csv").write_bytes(listing("locked", "open"))
    report = reported(unprivileged)
    assert (report["locked"]["status"], report["locked"]["reason"]) == ("bad", "cannot be opened: Permission denied")
    assert report["open"]["status"] == "ok"
    frame = unprivileged / "s4_data/visual_frames/test/bell/open/open_2.png"
    frame.chmod(0)
    reason = "`open_2.png` cannot be opened: Permission denied"
    assert ("unreadable", "open", reason) in examine(unprivileged).splits[0].faults


# Tables

REFUSED = {
    "absolute": (b"/etc/passwd", "is no plain file name and would lead out of the folder"),
    "climbs": (b"../../escape", "is no plain file name and would lead out of the folder"),
    "backslash": (b"..\\escape", "is no plain file name and would lead out of the folder"),
    "empty": (b"", "is no plain file name and would lead out of the folder"),
    "nul": (b"a\0b", "holds a control character or is no UTF-8 text"),
    "newline": (b'"a\nb"', "holds a control character or is no UTF-8 text"),
    "latin": (b"\xe9t\xe9", "holds a control character or is no UTF-8 text"),
    "long": (b"x" * 300, "is 300 bytes long; 200 are the most"),
    "comma": (b"a,b", "has more fields in line 3 than in its first line"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_name_that_is_refused_stops_no_other(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name, reason = REFUSED[kind]
    make(tmp_path / "set/raw_videos/good.mp4")
    make(tmp_path / "escape.mp4")
    table = HEAD.encode() + b"good,0,bell,test\n" + name + b",0,bell,test\n"
    (tmp_path / "set/s4_meta_data.csv").write_bytes(table)
    before = set(tmp_path.iterdir())
    good, bad = reported(tmp_path / "set").values()
    assert good["status"] == "ok"
    assert bad["status"] == "bad"
    assert bad["reason"].startswith("is refused: the table ")
    assert bad["reason"].endswith(reason)
    assert set(tmp_path.iterdir()) == before
    assert len(capsys.readouterr().out.splitlines()) == 2
    with pytest.raises(DataError, match=r"names|has more fields"):
        read_table(tmp_path / "set")


def test_a_clip_that_is_listed_twice(tmp_path: Path) -> None:
    make(tmp_path / "raw_videos/good.mp4")
    (tmp_path / "s4_meta_data.csv").write_bytes(listing("good", "good"))
    row = reported(tmp_path)["good"]
    assert (row["status"], row["reason"]) == ("odd", "is listed 2 times; prepared once")
    with pytest.raises(DataError, match="lists `test/bell/good` twice; remove one line"):
        read_table(tmp_path)


PLAIN = HEAD + "good,0,bell,test\n"
TABLES = {
    "mark": (PLAIN.encode("utf-8-sig"), None),
    "carriage returns": (PLAIN.replace("\n", "\r\n").encode(), None),
    "old carriage returns": (PLAIN.replace("\n", "\r").encode(), None),
    "no last line end": (PLAIN.strip().encode(), None),
    "semicolons": (
        PLAIN.replace(",", ";").encode(),
        "is separated by ';'; AVSBench-S4's table is separated by commas.",
    ),
    "tabs": (PLAIN.replace(",", "\t").encode(), "is separated by '\\t'; AVSBench-S4's table is separated by commas."),
    "UTF-16": (PLAIN.encode("utf-16"), "is no table of comma-separated UTF-8 text."),
    "other columns": (b"id,label,set\n", "lacks the column `name`; it has id, label, set."),
    "nothing": (b"", "is empty (0 bytes)."),
    "one field too long": (
        PLAIN.encode() + b"x" * 200_000,
        "is no table of comma-separated UTF-8 text below line 2: field larger than",
    ),
}


@pytest.mark.parametrize("kind", TABLES)
def test_tables(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content, refusal = TABLES[kind]
    make(tmp_path / "raw_videos/good.mp4")
    (tmp_path / "s4_meta_data.csv").write_bytes(content)
    if refusal is None:
        assert reported(tmp_path)["good"]["status"] == "ok"
        assert read_table(tmp_path) == [{"name": "good", "category": "bell", "split": "test"}]
    else:
        assert prepare_avsbench.main([str(tmp_path), "--workers", "1"]) == 2
        error = capsys.readouterr().err
        assert f"s4_meta_data.csv` {refusal}" in error
        assert error.count("\n") == 1
