"""Default folders: found from the project, never from the working directory."""

import os
from pathlib import Path

import pytest

from tests.helpers.values import ROOT
from uspl.core import files, paths
from uspl.core.errors import DataError
from uspl.data import sounding_shapes
from uspl.viz import refused

DEFAULTS = {
    "data/sounding-shapes": paths.data_folder,
    "runs": paths.runs_folder,
    "results": paths.results_folder,
}


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory is an empty folder, and USPL_HOME is not set."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("USPL_HOME", raising=False)
    return folder


@pytest.mark.parametrize("name", DEFAULTS)
def test_a_default_lies_in_the_clone(name: str, elsewhere: Path) -> None:
    assert paths.clone() == ROOT
    assert DEFAULTS[name]() == ROOT / name


@pytest.mark.parametrize("name", DEFAULTS)
def test_uspl_home_comes_before_the_clone(name: str, elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USPL_HOME", str(elsewhere / "mine"))
    assert DEFAULTS[name]() == elsewhere / "mine" / name
    monkeypatch.setenv("HOME", str(elsewhere))
    monkeypatch.setenv("USPL_HOME", "~/mine")
    assert DEFAULTS[name]() == elsewhere / "mine" / name


@pytest.mark.parametrize("name", DEFAULTS)
def test_without_a_clone_it_is_a_folder_of_the_user(
    name: str, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "_ABOVE", elsewhere)
    monkeypatch.setenv("XDG_DATA_HOME", str(elsewhere / "share"))
    assert paths.clone() is None
    assert DEFAULTS[name]().is_relative_to(paths.platformdirs.user_data_dir("uspl", appauthor=False))
    assert not list(elsewhere.iterdir()), "To name a folder makes none."


@pytest.mark.parametrize("name", DEFAULTS)
def test_what_is_given_is_taken_as_it_is(name: str, elsewhere: Path) -> None:
    assert DEFAULTS[name]("there/it is") == Path("there/it is")
    assert DEFAULTS[name](Path("a")) == Path("a")


def test_a_home_that_is_a_file_is_refused(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = elsewhere / "file"
    file.touch()
    monkeypatch.setenv("USPL_HOME", str(file))
    with pytest.raises(ValueError, match=r"^`USPL_HOME` must be a folder; got the file `.*`: name a folder, or .*\.$"):
        paths.home()


def test_a_home_that_depends_on_the_working_directory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USPL_HOME", "mine")
    with pytest.raises(ValueError, match=r"^`USPL_HOME` must be an absolute path; got `mine`: .*\.$"):
        paths.home()


def test_a_home_that_cannot_be_made_is_told_where_it_is_first_written(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (elsewhere / "file").touch()
    monkeypatch.setenv("USPL_HOME", str(elsewhere / "file" / "below"))
    says = r"^`.*/file/below/data` cannot be made: Not a directory; name another folder, or set USPL_HOME to one\.$"
    with pytest.raises(DataError, match=says):
        sounding_shapes(train=1, val=1, test=1)


def test_a_folder_that_cannot_be_written_is_told(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the operating system answers, since for some users no folder is read-only."""
    folder = elsewhere / "closed"
    folder.mkdir(mode=0o555)
    if os.access(folder, os.W_OK):
        monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(DataError, match=r"^`.*/closed` cannot be written; name another folder, or set USPL_HOME "):
        files.write_text(folder / "a.txt", "")
    assert not list(folder.iterdir())


def test_records_that_the_book_quotes_are_those_of_the_clone(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USPL_HOME", str(elsewhere))
    assert paths.records_folder() == ROOT / "results"
    monkeypatch.setattr(paths, "_ABOVE", elsewhere)
    with pytest.raises(
        ValueError, match=r"^`.*/results` is missing: the records that the book quotes come with a clone"
    ):
        paths.records_folder()
    (elsewhere / "results").mkdir()
    assert paths.records_folder() == elsewhere / "results"
    assert paths.records_folder("mine") == Path("mine")


def test_a_path_is_told_from_the_project(elsewhere: Path) -> None:
    assert paths.told(ROOT / "data" / "sounding-shapes") == "data/sounding-shapes"
    assert paths.told("mine/set") == "mine/set"
    assert paths.told(elsewhere / "set") == (elsewhere / "set").as_posix()


def test_a_page_shows_no_path_of_the_machine(capsys: pytest.CaptureFixture[str]) -> None:
    with refused():
        raise DataError(paths.data_folder() / "s4_meta_data.csv", "is missing")
    assert str(ROOT) not in capsys.readouterr().out
