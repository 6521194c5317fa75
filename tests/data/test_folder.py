"""One door for the clips of a chapter: Sounding Shapes of any size, or another folder in AVSBench's layout."""

from pathlib import Path

import pytest

from tests.helpers.avsbench_folder import avsbench_folder
from tests.helpers.data_sample import sample
from uspl.core.errors import DataError
from uspl.data import AVSBench, is_embedded, open_folder
from uspl.data.folder import embedded_set
from uspl.video.demo_film import write_demo_film


def test_a_small_set_is_taken_as_it_is() -> None:
    assert open_folder(sample()) == sample()
    assert is_embedded(sample())
    assert len(AVSBench(open_folder(sample()), "train", frames="first")) == 10


def test_a_folder_of_avsbench(tmp_path: Path) -> None:
    root = avsbench_folder(tmp_path / "set")
    assert open_folder(root) == root
    assert not is_embedded(root)
    clip = AVSBench(root, "val")[0]
    assert clip.mask is not None
    assert clip.objects is None
    assert clip.swap is None
    # Its film in three acts: nothing in the picture sounds in the second and the third.
    truth = write_demo_film(root, tmp_path / "film.mp4", size=64)
    assert list(truth) == [7, 15, 23, 32, 40, 55, 63, 71]
    assert [bool(truth[k].any()) for k in truth] == [True] * 3 + [False] * 5


def test_photographs_are_known_and_taken_as_they_are(tmp_path: Path) -> None:
    root = avsbench_folder(tmp_path / "set")
    (root / "sounding_photos.json").write_text("{}")
    assert [embedded_set(folder) for folder in (root, sample(), tmp_path)] == ["Sounding Photos", "Sounding Shapes", ""]
    assert is_embedded(root)
    assert open_folder(root) == root


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no data set")
    with pytest.raises(DataError):
        open_folder(tmp_path)
