"""What the doctor stands on: a perceptual hash, and a list of checksums."""

import hashlib
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_scripts import check
from tests.helpers.data_sample import copy, sample
from uspl.audit import checksums
from uspl.audit.examine import examine
from uspl.audit.near_duplicates import dhash, distances
from uspl.cli import main
from uspl.core.errors import DataError


def test_hash_is_the_sign_of_the_steps() -> None:
    """Against a slow loop over the cells."""
    cells = np.random.default_rng(3).integers(0, 256, (16, 17), np.uint8)
    bits = dhash(Image.fromarray(np.kron(cells, np.ones((5, 3), np.uint8))))
    for y in range(16):
        for x in range(16):
            n = 16 * y + x
            assert (int(bits[n // 64]) >> (63 - n % 64)) & 1 == (cells[y, x + 1] > cells[y, x])


def test_distance_of_unlike_and_like_pictures() -> None:
    data = sample() / "s4_data/visual_frames"
    one, other = (
        Image.open(data / f"test/{n}_1.png")
        for n in ("star_bell/test_00000/test_00000", "star_reed/test_00001/test_00001")
    )
    hashes = [dhash(image) for image in (one, other, one.resize((224, 224)), one.point(lambda v: v // 2 + 40))]
    assert all(h is not None for h in hashes)
    apart = distances(np.stack(hashes[:1]), np.stack(hashes[1:]))[0]  # type: ignore[arg-type]
    assert apart[0] > 60
    assert apart[1:].max() <= 16


def test_checksums(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, sums = copy(tmp_path / "set"), tmp_path / "sums.txt"
    main.main(["check", str(root), "--write-checksums", str(sums), "--out", str(tmp_path / "found.json")])
    assert subprocess.run(["sha256sum", "--quiet", "-c", str(sums)], cwd=root, check=False).returncode == 0
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["sha256"]["tree"] == hashlib.sha256(sums.read_bytes()).hexdigest()
    assert found["sha256"]["table"] == hashlib.sha256((root / "s4_meta_data.csv").read_bytes()).hexdigest()
    assert found["sha256"]["files"] == len(sums.read_text().splitlines()) == 1 + 54 + 34 + 18
    assert examine(root, written=sums).changed == []
    frame = root / "s4_data/visual_frames/test/star_bell/test_00000/test_00000_2.png"
    wav = root / "s4_data/audio_wav/test/star_bell/test_00000.wav"
    Image.open(frame).rotate(180).save(frame)
    wav.unlink()
    capsys.readouterr()
    assert check.main([str(root), "--strict", "--checksums", str(sums)]) == 1
    out = capsys.readouterr().out
    assert f"  {frame.relative_to(root)} has changed\n" in out
    assert f"  {wav.relative_to(root)} is gone or cannot be read\n" in out
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]


@pytest.mark.parametrize("text", ["nonsense", "abc  file", "\0\xff"])
def test_a_list_that_is_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "sums.txt").write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=r"sums\.txt` is no list of checksums"):
        checksums.read(tmp_path / "sums.txt")
