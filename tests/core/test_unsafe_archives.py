"""Archives that would write elsewhere or fill the disk: refused by name, wherever one is read."""

import io
import re
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.helpers.photo_material import deb, put, rcc, tar
from uspl.audit import packed
from uspl.audit.examine import examine
from uspl.core.archives import check_zip
from uspl.core.errors import DataError
from uspl.data.photos.archives import members, resources

BOMB = b"\0" * (3 << 20)
T = tarfile
BAD = [  # name, type, link
    ("/etc/passwd", T.REGTYPE, "", "whose path is absolute"),
    ("C:\\Windows\\a.mp4", T.REGTYPE, "", "whose path is absolute"),
    ("../up.mp4", T.REGTYPE, "", "whose path leads out of the archive"),
    ("a/b/../../../up.mp4", T.REGTYPE, "", "whose path leads out of the archive"),
    ("a\\..\\..\\up.mp4", T.REGTYPE, "", "whose path leads out of the archive"),
    ("a/link.mp4", T.SYMTYPE, "/etc/passwd", "a link that leads out of the archive"),
    ("a/link.mp4", T.SYMTYPE, "../../etc/passwd", "a link that leads out of the archive"),
    ("a/link.mp4", T.LNKTYPE, "../etc/passwd", "a link that leads out of the archive"),
    ("a/folder", T.SYMTYPE, "..", ""),
    ("a/link.mp4", T.SYMTYPE, "../b/film.mp4", ""),
    ("a/dev.mp4", T.CHRTYPE, "", "a device or another special file"),
    ("a/dev.mp4", T.BLKTYPE, "", "a device or another special file"),
    ("a/pipe.mp4", T.FIFOTYPE, "", "a device or another special file"),
]


def one(name: str, kind: bytes, to: str = "") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as box:
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname = kind, to
        box.addfile(entry)
    return buffer.getvalue()


@pytest.mark.parametrize(("name", "kind", "to", "says"), BAD)
def test_a_member_that_leads_elsewhere_is_refused_by_name(
    name: str, kind: bytes, to: str, says: str, tmp_path: Path
) -> None:
    path = put(tmp_path / "box" / "vggsound_08.tar.gz", one(name, kind, to))
    for read in (lambda path: dict(members(path, lambda name: True)), packed.films):
        if says:
            with pytest.raises(DataError) as refused:
                read(path)
            assert refused.value.reason == f"is refused: it holds {name!r}, {says}"
        else:
            assert not read(path)
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*")) == ["box", "box/vggsound_08.tar.gz"]


def test_what_is_not_wanted_may_be_anything(tmp_path: Path) -> None:
    path = put(tmp_path / "a.tar.gz", one("../up.mp4", tarfile.REGTYPE))
    assert not dict(members(path, lambda name: name.endswith(".png")))


@pytest.mark.parametrize(
    ("name", "data"),
    [("p.tar.gz", tar({"a": BOMB}, "gz")), ("p.deb", deb({"a": BOMB})), ("p.tar.bz2", tar({"a": BOMB}, "bz2"))],
    ids=["gz", "deb", "bz2"],
)
def test_bombs(name: str, data: bytes, tmp_path: Path) -> None:
    path = put(tmp_path / name, data)
    says = rf"is refused: at '\./a' it unpacks to more than 100 times its {len(data):,} bytes"
    with pytest.raises(DataError, match=says):
        dict(members(path, lambda name: False))


def test_many_small_files_are_a_bomb_too(tmp_path: Path) -> None:
    files = {f"film{i}.mp4": b"\0" * (1 << 16) for i in range(40)}
    path = put(tmp_path / "vggsound_01.tar.gz", tar(files, "gz"))
    with pytest.raises(DataError, match=r"is refused: at '\./film\d+\.mp4' it unpacks to more than 100 times"):
        packed.films(path)


def test_a_bomb_among_resources() -> None:
    with pytest.raises(DataError, match=r"is refused: at 'a/b' it unpacks to more than 100 times"):
        dict(resources("x.rcc", rcc({"a/b": BOMB})))


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("../up.png", b"1", r"it holds '\.\./up\.png', whose path leads out of the archive"),
        ("/up.png", b"1", r"it holds '/up\.png', whose path is absolute"),
        ("bomb.png", BOMB, r"at 'bomb\.png' it unpacks to more than 100 times"),
    ],
)
def test_zip_archives(name: str, data: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "a.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as box:
        box.writestr("a/fine.png", b"1")
        box.writestr(name, data)
    with zipfile.ZipFile(path) as box, pytest.raises(DataError, match=f"is refused: {says}"):
        check_zip(box, path, lambda name: True)


def test_a_part_of_the_mirror_that_was_cut_is_named(tmp_path: Path) -> None:
    clips = {f"scratch/video/{chr(97 + i) * 11}_000030.mp4": bytes(range(256)) * 40 for i in range(5)}
    whole = tar(clips, "gz")
    put(tmp_path / "vggsound_00.tar.gz", whole)
    put(tmp_path / "vggsound_08.tar.gz", whole[: len(whole) * 6 // 10])
    put(tmp_path / "vggsound_09.tar.gz", whole[:-4])  # in the checksum
    put(tmp_path / "vggsound_10.tar.gz", b"<html>not found</html>")
    with pytest.raises(DataError) as refused:
        examine(tmp_path)
    says = refused.value.reason
    assert says.startswith("is VGGSound as the hub's mirror packs it, 4 of 20 parts; ")
    assert "; 5 films in those that are whole; " in says
    for part, before in (("08", r"\d"), ("09", "5"), ("10", "0")):
        assert re.search(rf"`vggsound_{part}\.tar\.gz` is cut off or damaged after {before} films", says)
    assert "vggsound_00" not in says
