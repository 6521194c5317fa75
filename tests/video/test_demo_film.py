"""One object sounds, then nothing, then another one, while the pictures run forth, back and forth."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.helpers.data_sample import sample
from uspl.core.errors import DataError
from uspl.media import waveform
from uspl.media.image import label_map
from uspl.media.stream import pictures
from uspl.video.demo_film import write_demo_film


def test_three_acts(tmp_path: Path) -> None:
    truth = write_demo_film(sample(), tmp_path / "film.mp4", size=112)
    shown = [picture.astype(int) for _, picture in pictures(tmp_path / "film.mp4")]
    assert len(shown) == 72
    for k in range(24):
        for other in (47 - k, 48 + k):
            assert np.abs(shown[k] - shown[other]).mean() < 8  # as far as H.264 keeps them
    assert np.abs(shown[0] - shown[23]).mean() > np.abs(shown[0] - shown[47]).mean()
    loud = waveform(tmp_path / "film.mp4")[: 9 * 16_000].view(9, -1).square().mean(1).sqrt()
    assert (loud[[0, 1, 2, 6, 7, 8]] > 0.02).all()
    assert (loud[4] < 1e-4).all()
    assert list(truth) == [7, 15, 23, 32, 40, 55, 63, 71]
    file = next((sample() / "s4_data/objects/val").glob("*/val_00000/val_00000_2.png"))
    objects = label_map(file, 112)
    assert torch.equal(truth[15], objects == 1)
    assert torch.equal(truth[63], objects == 2)
    assert truth[63].any()
    assert not truth[32].any()
    assert not truth[40].any()


def test_another_size_and_a_clip_that_is_not_there(tmp_path: Path) -> None:
    truth = write_demo_film(sample(), tmp_path / "film.mp4", split="test", index=1, size=64)
    assert {tuple(mask.shape) for mask in truth.values()} == {(64, 64)}
    assert next(pictures(tmp_path / "film.mp4"))[1].shape == (64, 64, 3)
    with pytest.raises(DataError, match=r"has 2 such clips in the split `val`; got number 2\.$"):
        write_demo_film(sample(), tmp_path / "none.mp4", index=2)
    assert not (tmp_path / "none.mp4").exists()
