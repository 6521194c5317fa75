"""Debian packages, tar archives and Qt resource files: read without their programs, and refused when damaged."""

from pathlib import Path

import pytest

from tests.helpers.photo_material import deb, put, rcc, tar
from uspl.core.errors import DataError
from uspl.data.photos.archives import members, resources

FILES = {"usr/share/a/one.png": b"1" * 7, "usr/share/a/two.ogg": b"22"}


def all_of(path: Path) -> dict[str, bytes]:
    return dict(members(path, lambda name: True))


@pytest.mark.parametrize(
    ("name", "data"),
    [("p.deb", deb(FILES)), ("p.tar.gz", tar(FILES, "gz")), ("p.tar", tar(FILES, ""))],
    ids=["deb", "gz", "tar"],
)
def test_files_of_an_archive(tmp_path: Path, name: str, data: bytes) -> None:
    assert all_of(put(tmp_path / name, data)) == FILES


def test_only_what_is_wanted(tmp_path: Path) -> None:
    path = put(tmp_path / "p.deb", deb(FILES))
    assert [name for name, _ in members(path, lambda name: name.endswith(".ogg"))] == ["usr/share/a/two.ogg"]


def test_links(tmp_path: Path) -> None:
    links = {"usr/share/a/same.png": "one.png", "usr/share/a/away.png": "../../../etc/passwd"}
    found = all_of(put(tmp_path / "p.tar.gz", tar(FILES, "gz", links)))
    assert found == {**FILES, "usr/share/a/same.png": FILES["usr/share/a/one.png"]}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"!<arch>\n", "is a damaged Debian package: it holds no data.tar"),
        (deb(FILES)[:-40], "is a damaged Debian package: it holds no data.tar"),
        (deb(FILES, "data.tar.zst"), "is packed with Zstandard; unpack it with `dpkg -x` and name the folder"),
        (b"no archive at all", "cannot be read as an archive of tar files"),
        (tar(FILES)[:60], "cannot be read as an archive of tar files"),
    ],
)
def test_damaged_archives(tmp_path: Path, data: bytes, says: str) -> None:
    path = put(tmp_path / "p.deb", data)
    with pytest.raises(DataError, match="^" + str(DataError(path, says)).replace(".", r"\.") + "$"):
        all_of(path)


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("flags", [0, 1])
def test_resources(version: int, flags: int) -> None:
    files = {"sounds/dog.ogg": b"woof" * 50, "sounds/käse.ogg": b"", "views/a.webp": b"\0\1"}
    assert dict(resources("x.rcc", rcc(files, version=version, flags=flags))) == files


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"RIFF1234", "is no Qt resource file"),
        (rcc({"a/b": b"c"}, version=9), "is of format 9; formats 1 to 3 can be read"),
        (rcc({"a/b": b"c"}, flags=4), "is packed with Zstandard, which is not read here"),
        (rcc({"a/b": b"c"})[:50], "is a damaged Qt resource file"),
        (rcc({"a/b": b"c"}).replace(b"\x78\x9c", b"\x00\x00"), "is a damaged Qt resource file"),
    ],
    ids=["another file", "format 9", "Zstandard", "cut", "damaged"],
)
def test_damaged_resources(data: bytes, says: str) -> None:
    with pytest.raises(DataError, match=says):
        dict(resources("x.rcc", data))
