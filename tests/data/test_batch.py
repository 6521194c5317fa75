"""uspl.data.batch: clips side by side as the model takes them."""

import dataclasses

import pytest
import torch

from tests.helpers.data_sample import sample
from uspl.data import AVSBench, collate, sound_input
from uspl.data.batch import flipped


def test_batch() -> None:
    data = AVSBench(sample(), "train")
    batch = collate([data[i] for i in range(4)])
    assert batch.ids == data.ids[:4]
    assert batch.image.shape == (4, 3, 112, 112)
    assert batch.sound.shape == batch.swap.shape == (4, 1, 1, 96, 64)
    assert batch.mask.shape == batch.objects.shape == (4, 112, 112)
    assert set(batch.mask[0].unique().tolist()) == {0.0, 1.0}
    assert (batch.mask[1] == -1).all()
    assert (batch.objects[1] == 255).all()
    red = (data[0].frame[0].float() / 255 - 0.485) / 0.229
    assert torch.allclose(batch.image[0, 0], red)
    assert batch.to("cpu").ids == batch.ids


def test_three_seconds_and_spectrograms() -> None:
    data = AVSBench(sample(), "test", seconds=3.0)
    assert collate([data[0]]).sound.shape == (1, 3, 1, 96, 64)
    assert collate([data[0]], front_end="spectrogram").sound.shape == (1, 1, 257, 301)
    assert sound_input(torch.zeros(16000), front_end="spectrogram").shape == (1, 257, 101)
    with pytest.raises(ValueError, match=r"`front_end` must be 'vggish', .*'spectrogram' or 'peers'; got 'mel'\."):
        sound_input(torch.zeros(16000), front_end="mel")


def test_clip_without_swap_gets_zeros() -> None:
    clip = dataclasses.replace(AVSBench(sample(), "test")[0], swap=None, objects=None, inputs={})
    batch = collate([clip])
    assert not batch.swap.any()
    assert (batch.objects == 255).all()


def test_flips_take_the_maps_along() -> None:
    data = AVSBench(sample(), "test")
    clips = [data[i] for i in range(12)]
    plain, mirrored = collate(clips), flipped(collate(clips), torch.Generator().manual_seed(3))
    turned = [not torch.equal(a, b) for a, b in zip(plain.image, mirrored.image, strict=True)]
    assert 0 < sum(turned) < 12
    for i, t in enumerate(turned):
        for name in ("image", "mask", "objects"):
            before = getattr(plain, name)[i]
            assert torch.equal(getattr(mirrored, name)[i], before.flip(-1) if t else before)
    assert torch.equal(plain.sound, mirrored.sound)
