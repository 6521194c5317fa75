"""AVSBench on the official folder, as it is distributed: no preparation, no report, log-mel pickles."""

import pickle
import wave
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from uspl.config import Config
from uspl.core.errors import DataError
from uspl.data import AVSBench, collate, sound_input
from uspl.inference.predict import predict
from uspl.model import USPL

SPLITS = {"train": ["--a_0"], "val": ["bb_10"], "test": ["c-1_20", "dd_30"]}
TEN = torch.arange(5 * 96 * 64, dtype=torch.float32).view(5, 1, 96, 64) / 1e4


def grey(file: Path, level: int, mode: str = "RGB", side: int = 224) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((side, side), level, np.uint8)).convert(mode).save(file)


@pytest.fixture
def official(tmp_path: Path) -> Path:
    """The published layout: columns, folders and formats of FACTS' section on data sets; grey pictures, one tone."""
    rows = ["name,start time,category,split"]
    for split, names in SPLITS.items():
        for name in names:
            rows.append(f"{name},0,dog_barking,{split}")
            home = Path(split, "dog_barking")
            for k in range(1, 6):
                file = home / name / f"{name}_{k}.png"
                grey(tmp_path / "s4_data/visual_frames" / file, 40 * k)
                if k == 1 or split != "train":
                    grey(tmp_path / "s4_data/gt_masks" / file, 255 * (k % 2), "1" if split == "val" else "L")
            wav = tmp_path / "s4_data/audio_wav" / home / f"{name}.wav"
            wav.parent.mkdir(parents=True, exist_ok=True)
            with wave.open(str(wav), "wb") as out:
                out.setparams((1, 2, 16000, 0, "NONE", ""))
                out.writeframes((np.arange(80000) % 30000).astype("<i2").tobytes())
            mel = tmp_path / "s4_data/audio_log_mel" / home / f"{name}.pkl"
            mel.parent.mkdir(parents=True, exist_ok=True)
            mel.write_bytes(pickle.dumps(TEN))
    (tmp_path / "s4_meta_data.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def test_is_read_with_no_preparation(official: Path) -> None:
    data = AVSBench(official, "test", size=224)
    assert data.ids == [f"{name}_{k}" for name in SPLITS["test"] for k in range(1, 6)]
    assert data.missing == []
    assert [(data[i].frame[0, 0, 0].item(), data[i].mask.all().item()) for i in range(5)] == [  # type: ignore[union-attr]
        (40 * k, k % 2 == 1) for k in range(1, 6)
    ]
    assert data[1].wave[0].item() == pytest.approx(16000 / 32768)
    assert data[1].objects is None
    assert data[1].swap is None
    assert [m is not None for m in (c.mask for c in AVSBench(official, "train", size=224))] == [True, *[False] * 4]
    assert AVSBench(official, "val", size=224)[0].mask.all()  # type: ignore[union-attr]


def test_log_mel_blocks_reach_the_batch(official: Path) -> None:
    data = AVSBench(official, "test", size=224, sound="log_mel")
    batch = collate([data[i] for i in range(5)], front_end="log_mel")
    assert torch.equal(batch.sound, TEN.unsqueeze(1))
    assert data.data_hash != AVSBench(official, "test", size=224).data_hash
    computed = collate([data[1]], front_end="vggish").sound
    assert torch.equal(computed[0], sound_input(data[1].wave))


def test_log_mel_needs_no_wav(official: Path) -> None:
    for wav in official.rglob("*.wav"):
        wav.unlink()
    data = AVSBench(official, "test", size=224, sound="log_mel")
    assert torch.equal(collate([data[0]], front_end="log_mel").sound[0], TEN[:1])
    with pytest.raises(ValueError, match=r"`wave` must hold at least one sample"):
        collate([data[0]], front_end="vggish")
    with pytest.raises(DataError, match=r"c-1_20\.wav` is missing"):
        AVSBench(official, "test", size=224)


def test_a_model_reads_log_mel(official: Path) -> None:
    data = AVSBench(official, "val", size=112, sound="log_mel")
    model = USPL(Config.tiny(front_end="log_mel"))
    for sound in ("own", "silence", "noise"):
        _, maps = next(predict(model, data, sound=sound, maps=["m_crs"]))
        assert maps["m_crs"].shape == (5, 112, 112)


@pytest.mark.usefixtures("unchecked")
def test_refused_options(official: Path) -> None:
    read: Any = partial(AVSBench, official, "test")
    with pytest.raises(ValueError, match=r"`sound` must be 'wav' or 'log_mel'; got 'mp3'\."):
        read(sound="mp3")
    with pytest.raises(
        ValueError, match=r"`seconds` must be 1 where `sound` is 'log_mel', a block a second; got 3\.0\."
    ):
        read(sound="log_mel", seconds=3.0)
    with pytest.raises(
        ValueError, match=r"must be 'vggish' for clips read with `sound` = 'wav'; got 'log_mel' for c-1_"
    ):
        collate([read()[0]], front_end="log_mel")


def test_a_bad_pickle_is_named(official: Path) -> None:
    data = AVSBench(official, "test", sound="log_mel")
    file = official / "s4_data/audio_log_mel/test/dog_barking/c-1_20.pkl"
    file.write_bytes(b"cos\nsystem\n(Vtouch x\ntR.")
    with pytest.raises(DataError, match=r"c-1_20\.pkl` is refused, and nothing in it was run: it names 'os\.system'\."):
        data[0]
    file.write_bytes(pickle.dumps(TEN[:2]))
    assert data[1].inputs
    with pytest.raises(DataError, match=r"c-1_20\.pkl` holds 2 blocks; second 3 needs 3\."):
        data[2]


# Half a download


def test_half_a_download_is_refused_unless_asked_for(official: Path) -> None:
    whole = AVSBench(official, "test").data_hash
    (official / "s4_data/visual_frames/test/dog_barking/c-1_20/c-1_20_4.png").unlink()
    with pytest.raises(DataError, match=r"c-1_20_4\.png` is missing; .* `partial` leaves its clip out\."):
        AVSBench(official, "test")
    data = AVSBench(official, "test", partial=True)
    assert len(data) == 9
    assert data.missing == ["c-1_20_4"]
    assert data.data_hash != whole
    (official / "s4_data/audio_wav/test/dog_barking/c-1_20.wav").unlink()
    data = AVSBench(official, "test", partial=True)
    assert data.ids == [f"dd_30_{k}" for k in range(1, 6)]
    assert data.missing == ["c-1_20"]


def test_nothing_at_all_is_refused(official: Path) -> None:
    for wav in official.rglob("*.wav"):
        wav.unlink()
    with pytest.raises(DataError, match=r"c-1_20\.wav` is missing"):
        AVSBench(official, "test", partial=True)
