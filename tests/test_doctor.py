"""uspl.doctor and data_scripts/check.py: one table, each clip in trouble by name, and no traceback."""

from pathlib import Path

import numpy as np
import pytest
from data_sample import check, copy, prepare_avsbench, sample

from uspl.doctor import examine, table
from uspl.media import DataError

HEALTHY = """\
split     clips  videos  frames   masks  sounds  missing  unreadable  silent
train        10      10      30      10      10        0           0       0
val           2       2       6       6       2        0           0       0
test          4       4      12      12       4        0           0       0
negative      2       2       6       6       2        0           0       1"""


def test_healthy_set(capsys: pytest.CaptureFixture[str]) -> None:
    assert table(examine(sample())).split() == HEALTHY.split()
    assert check.main([str(sample()), "--strict"]) == 0  # silence is meant in `negative`
    assert capsys.readouterr().out == f"{table(examine(sample()))}\nNothing is wrong.\n"


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    root = copy(tmp_path / "set")
    data = root / "s4_data"
    (data / "audio_wav/test/star_bell/test_00000.wav").unlink()
    (data / "audio_wav/test/star_reed/test_00001.wav").write_bytes(b"RIFFnonsense")
    prepare_avsbench.write(
        data / "audio_wav/test/flower_flute/test_00002.wav", prepare_avsbench.wav(np.zeros(48000, "<i2"))
    )
    (data / "visual_frames/test/flower_drum/test_00003/test_00003_2.png").write_bytes(b"no picture")
    (data / "gt_masks/val/star_bell/val_00000/val_00000_3.png").unlink()
    for frame in (data / "visual_frames/val/star_reed/val_00001").iterdir():
        frame.unlink()
    (root / "raw_videos/train/star_bell/train_00000.mp4").unlink()
    return root


TROUBLE = [
    "  val/val_00000: no mask 3",
    "  val/val_00001: no frames",
    "  test/test_00000: no sound",
    "  test/test_00001: `test_00001.wav` cannot be read: truncated, damaged or no media file",
    "  test/test_00003: `test_00003_2.png` in visual_frames cannot be read as a picture",
    "  test/test_00002: digital silence",
]


def test_every_fault_is_counted_and_named(broken: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check.main([str(broken)]) == 0
    says = capsys.readouterr().out.splitlines()
    assert says[1].split() == ["train", "10", "9", "30", "10", "10", "0", "0", "0"]
    assert says[2].split() == ["val", "2", "2", "3", "2", "2", "2", "0", "0"]
    assert says[3].split() == ["test", "4", "4", "11", "12", "2", "1", "2", "1"]
    assert len(says) == 5 + len(TROUBLE)
    assert all(line.startswith(start) for line, start in zip(says[5:], TROUBLE, strict=True))


def test_strict(broken: Path) -> None:
    assert check.main([str(broken), "--strict"]) == 1


def test_long_lists_are_cut(broken: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "SHOWN", 2)
    check.main([str(broken)])
    assert capsys.readouterr().out.splitlines()[-1] == "  and 4 more; --all names them."
    check.main([str(broken), "--all"])
    assert len(capsys.readouterr().out.splitlines()) == 5 + len(TROUBLE)


def test_no_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check.main([str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "s4_meta_data.csv` is missing" in error
    assert error.count("\n") == 1
    with pytest.raises(DataError, match="is missing"):
        examine(tmp_path)
