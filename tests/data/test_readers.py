"""uspl.data: clips as they lie on disk, and a sentence for what is missing."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from tests.helpers.data_sample import COUNTS, copy, sample
from uspl.core.errors import DataError
from uspl.data import VGGSS, AVSBench, Clip, collate, sound_input, sounding_shapes
from uspl.inference.predict import loader
from uspl.media import waveform


def read(root: Path, split: str = "test", **options: object) -> AVSBench:
    return AVSBench(root, split, **options)  # type: ignore[arg-type]


# AVSBench's layout


def test_every_second_is_a_pair() -> None:
    data = read(sample())
    assert len(data) == 12
    assert data.ids[:4] == ["test_00000_1", "test_00000_2", "test_00000_3", "test_00001_1"]
    assert read(sample(), frames="first").ids == [f"test_0000{i}_1" for i in range(4)]
    assert read(sample(), limit=2).ids == data.ids[:6]
    assert data.missing == []


def test_clip_is_what_lies_on_disk() -> None:
    clip = read(sample())[4]  # second 2 of clip 1
    assert (clip.id, clip.category) == ("test_00001_2", "star_reed")
    home = Path("test/star_reed")
    data = sample() / "s4_data"
    stored = np.asarray(Image.open(data / "visual_frames" / home / "test_00001/test_00001_2.png"))
    assert np.array_equal(clip.frame.permute(1, 2, 0).numpy(), stored)
    whole = waveform(data / "audio_wav" / home / "test_00001.wav")
    assert torch.equal(clip.wave, whole[16000:32000])
    assert torch.equal(clip.mask, clip.objects == 1)
    assert torch.equal(clip.swap, waveform(data / "swap_wav" / home / "test_00001.wav")[16000:32000])


@pytest.mark.parametrize("front_end", ["vggish", "spectrogram"])
def test_batch_holds_what_each_clip_gives_alone(front_end: str) -> None:
    clips = [read(sample())[i] for i in range(5)]
    clips[1] = dataclasses.replace(clips[1], swap=None)
    clips[3] = dataclasses.replace(clips[3], mask=None, objects=None)
    batch = collate(clips, front_end=front_end)
    for i, clip in enumerate(clips):
        alone = collate([dataclasses.replace(clip, inputs={})], front_end=front_end)
        for ours, theirs in zip(batch[1:], alone[1:], strict=True):
            torch.testing.assert_close(ours[i], theirs[0], rtol=0, atol=1e-6)
        torch.testing.assert_close(batch.sound[i], sound_input(clip.wave, front_end=front_end), rtol=0, atol=1e-6)
    assert batch.swap[1].abs().max() == 0
    assert (batch.mask[3] == -1).all()
    assert (batch.objects[3] == 255).all()


@pytest.mark.parametrize("cache", [False, True])
def test_processes_give_the_same_batches(cache: bool) -> None:
    options: dict[str, Any] = {"batch_size": 5, "front_end": "vggish"}
    alone = list(loader(read(sample()), **options))
    data = read(sample(), cache=cache)
    for _ in range(2):
        for ours, theirs in zip(loader(data, num_workers=2, **options), alone, strict=True):
            assert ours.ids == theirs.ids
            assert all(torch.equal(a, b) for a, b in zip(ours[1:], theirs[1:], strict=True))


def test_the_memory_of_clips_belongs_to_one_process() -> None:
    data = read(sample(), cache=True)
    apart = list(DataLoader(data, batch_size=None, num_workers=1, collate_fn=lambda clip: clip in data._cache.values()))
    assert apart == [False] * len(data)
    assert data[0] is data[0]
    assert read(sample())[0] is not data[0]


def test_masks_of_training_clips_are_first_frames_only() -> None:
    data = read(sample(), "train")
    assert [data[i].mask is not None for i in range(3)] == [True, False, False]
    assert data[1].objects is None


def test_longer_sound_stays_inside() -> None:
    whole = read(sample(), seconds=3.0)
    assert all(len(whole[i].wave) == 48000 for i in range(3))
    start = waveform(sample() / "s4_data/audio_wav/test/star_bell/test_00000.wav")[:48000]
    assert torch.equal(whole[0].wave, start)


def test_other_sizes_are_resized() -> None:
    clip = read(sample(), size=56)[0]
    assert clip.frame.shape == (3, 56, 56)
    assert clip.mask.shape == (56, 56)
    assert clip.mask.dtype == torch.bool
    assert set(clip.objects.unique().tolist()) <= {0, 1, 2, 3}


def test_negatives_are_read() -> None:
    data = read(sample(), "negative")
    assert [data[i].category for i in (0, 3)] == ["off_screen", "silent"]
    assert all(data[i].mask is not None and not data[i].mask.any() for i in range(6))  # type: ignore[union-attr]
    assert data[3].wave.abs().max() < 1e-3


def test_cache_returns_the_same_clip_and_the_same_values() -> None:
    cached, plain = read(sample(), cache=True), read(sample())
    assert cached[2] is cached[2]
    assert plain[2] is not plain[2]
    first, second = collate([cached[2]]), collate([cached[2]])
    assert first.sound is not second.sound
    for a, b, c in zip(first[1:], second[1:], collate([plain[2]])[1:], strict=True):
        assert torch.equal(a, b)
        assert torch.equal(a, c)


def test_data_hash_follows_the_files(tmp_path: Path) -> None:
    root = copy(tmp_path / "set")
    before = read(root).data_hash
    assert before == read(sample()).data_hash != read(root, limit=2).data_hash
    wav = next((root / "s4_data/audio_wav/test").rglob("*.wav"))
    wav.write_bytes(wav.read_bytes() + b"0")
    assert read(root).data_hash != before


def test_bad_clips_are_left_out_and_named(tmp_path: Path) -> None:
    root = copy(tmp_path / "set")
    report = json.loads((root / "report.json").read_text())
    for row in report:
        row["status"] = "bad" if row["name"] == "test_00002" else row["status"]
    (root / "report.json").write_text(json.dumps(report))
    data = read(root)
    assert len(data) == 9
    assert data.missing == ["test_00002"]


# Made on demand


def test_sounding_shapes_makes_what_is_missing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    few = {"train": 2, "val": 1, "test": 1, "workers": 1, "progress": False}
    root = sounding_shapes(tmp_path / "set", **few)
    assert root == tmp_path / "set"
    assert len(read(root, "train")) == 6
    film = next((root / "raw_videos").rglob("*.mp4"))
    film.unlink()  # a complete folder is taken as it is: its films are no longer needed
    assert sounding_shapes(root, **few) == root
    assert not film.exists()
    assert capfd.readouterr() == ("", "")
    (root / "report.json").unlink()
    sounding_shapes(root, **few)
    assert film.exists()
    with pytest.raises(DataError, match=r"was made with seed = 1, not 2; name another folder\."):
        sounding_shapes(root, **few, seed=2)


def test_complete_folder_is_taken() -> None:
    assert sounding_shapes(sample(), **COUNTS, progress=False) == sample()
    assert sounding_shapes(sample(), **{**COUNTS, "train": 4}, progress=False) == sample()


# What is refused


def test_missing_table(tmp_path: Path) -> None:
    says = r"s4_meta_data\.csv` is missing; name the folder that holds it, or make Sounding Shapes there; the folder "
    with pytest.raises(DataError, match=says + r"is empty\."):
        read(tmp_path)
    with pytest.raises(DataError, match=says + r"does not exist\."):
        read(tmp_path / "none")
    for name in "edcba":
        (tmp_path / name).touch()
    with pytest.raises(DataError, match=says + r"holds a, b, c, d and more\."):
        read(tmp_path)


def test_wrong_columns(tmp_path: Path) -> None:
    (tmp_path / "s4_meta_data.csv").write_text("name,split\na,test\n")
    with pytest.raises(DataError, match=r"lacks the column `category`; it has name, split\."):
        read(tmp_path)
    (tmp_path / "s4_meta_data.csv").write_bytes(b"name,category,split\n\xff\xfe,a,test\n")
    with pytest.raises(DataError, match=r"is no table of comma-separated UTF-8 text"):
        read(tmp_path)


@pytest.mark.usefixtures("unchecked")
def test_unknown_split() -> None:
    with pytest.raises(DataError, match=r"lists no clip of the split `tests`\."):
        read(sample(), "tests")
    with pytest.raises(ValueError, match=r"`frames` must be 'all' or 'first'; got 'last'\."):
        read(sample(), frames="last")


@pytest.mark.parametrize("name", ["../../etc/passwd", "..", "a/b", "", "a\\..\\b", "/root"])
def test_names_that_climb_out(name: str, tmp_path: Path) -> None:
    (tmp_path / "s4_meta_data.csv").write_text(f"name,start time,category,split\n{name},0,bell,test\n")
    with pytest.raises(DataError, match="is no plain file name and would lead out of the folder"):
        read(tmp_path)
    (tmp_path / "boxes.json").write_text(json.dumps([{"file": name, "class": "bell", "bbox": []}]))
    (tmp_path / "s4_meta_data.csv").unlink()
    with pytest.raises(DataError, match="is no plain file name"):
        VGGSS(tmp_path, tmp_path / "boxes.json")


def test_missing_and_broken_files(tmp_path: Path) -> None:
    root = copy(tmp_path / "set")
    data = read(root)
    frame = root / "s4_data/visual_frames/test/star_bell/test_00000/test_00000_1.png"
    whole = frame.read_bytes()
    frame.write_bytes(frame.read_bytes()[:200])
    with pytest.raises(DataError, match=r"test_00000_1\.png` cannot be read as a picture\."):
        data[0]
    frame.unlink()
    with pytest.raises(DataError, match=r"test_00000_1\.png` is missing\.") as caught:
        data[0]
    assert caught.value.file == str(frame)
    with pytest.raises(DataError, match=r"test_00000_1\.png` is missing; data_scripts/prepare_avsbench\.py makes it"):
        read(root)
    frame.write_bytes(whole)
    wav = root / "s4_data/audio_wav/test/star_bell/test_00000.wav"
    wav.unlink()
    with pytest.raises(DataError, match=r"test_00000\.wav` is missing; data_scripts/prepare_avsbench\.py makes it"):
        read(root)
    shutil.rmtree(root / "s4_data/visual_frames")
    with pytest.raises(DataError, match=r"test_00000_1\.png` is missing; data_scripts/prepare_avsbench\.py makes it"):
        read(root)


def test_clip_is_frozen() -> None:
    clip = read(sample())[0]
    assert isinstance(clip, Clip)
    with pytest.raises(dataclasses.FrozenInstanceError):
        clip.id = "other"  # type: ignore[misc]
