"""book/archive.py and book/data.py: the book and its data for a room without a network."""

import importlib.util
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.values import ROOT
from uspl.core.errors import DataError


def script(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"book_{name}", ROOT / "book" / f"{name}.py")
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    return module


def run(*words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "book/archive.py", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_archive_holds_what_readers_need(tmp_path: Path) -> None:
    html = tmp_path / "html"
    pages = {
        "index.html": "a page",
        "_static/documentation_options.js": "const O = {SHOW_SEARCH_SUMMARY: true,};",
        "_static/media/a.webp": "a picture",
        "objects.inv": "for other builds",
        ".buildinfo": "likewise",
        "reports/a.log": "likewise",
    }
    for name, text in pages.items():
        (html / name).parent.mkdir(parents=True, exist_ok=True)
        (html / name).write_text(text)
    for name in ("one.zip", "two.zip"):
        done = run(str(tmp_path / "new" / name), "--html", str(html))
        assert done.returncode == 0
        assert "3 files, 0 MiB; unpack it and open uspl-book/index.html" in done.stdout
        (html / "index.html").touch()  # a time is no content
    assert (tmp_path / "new/one.zip").read_bytes() == (tmp_path / "new/two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "new/one.zip") as box:
        read = {info.filename: box.read(info).decode() for info in box.infolist()}
    assert read == {
        "uspl-book/index.html": "a page",
        "uspl-book/_static/documentation_options.js": "const O = {SHOW_SEARCH_SUMMARY: false,};",
        "uspl-book/_static/media/a.webp": "a picture",
    }
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["one.zip", "two.zip"]


def test_what_is_no_book_is_not_packed(tmp_path: Path) -> None:
    done = run(str(tmp_path / "a.zip"), "--html", str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.endswith("has no index.html: `make book` builds it.\n")
    assert not list(tmp_path.iterdir())


def test_data_that_cannot_be_had_does_not_stop_the_rest(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def lost() -> str:
        raise DataError("photos", "cannot be downloaded")

    data = script("data")
    assert {"sounding-shapes", "sounding-shapes-hard", "sounding-photos", "yamnet"} <= set(data.STEPS)
    monkeypatch.setattr(data, "STEPS", {"one": lambda: "there", "two": lost, "three": lambda: "here"})
    monkeypatch.setattr(sys, "argv", ["data.py"])
    assert data.main() == 1
    told = capsys.readouterr()
    assert told.out == "one: there\nthree: here\n"
    assert told.err == "two: `photos` cannot be downloaded.\nNot there: two; the same command goes on.\n"
