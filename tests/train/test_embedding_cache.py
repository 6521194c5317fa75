"""A frozen sound encoder hears each sound once, and training goes as if it heard it every time."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.helpers.data_sample import copy, sample
from tests.helpers.models import TINY, equal
from uspl import train
from uspl.config import Config
from uspl.core.errors import DataError
from uspl.data import AVSBench
from uspl.data.batch import collate
from uspl.encoders import AudioEncoder, TinySound, VGGish, audio_encoder
from uspl.train import embedding_cache


def frozen(**changes: Any) -> Config:
    return Config.tiny(**{**TINY, "finetune_audio": False, **changes})


def trained(cfg: Config, runs: Path) -> dict[str, torch.Tensor]:
    model, _ = train.train_or_load(cfg, sample(), runs=runs, progress=False)
    return model.state_dict()


def counted(monkeypatch: pytest.MonkeyPatch, kind: type[torch.nn.Module]) -> list[int]:
    """How many patches each call of the network was given."""
    calls: list[int] = []
    forward = kind.forward
    monkeypatch.setattr(kind, "forward", lambda self, x: (calls.append(len(x)), forward(self, x))[1])
    return calls


def test_training_goes_as_if_every_sound_was_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Losses, not weights: Adam makes a step of any gradient, however small the difference."""
    _, ours = train.train_or_load(frozen(), sample(), runs=tmp_path / "a", phase="warmup", progress=False)
    monkeypatch.setattr(embedding_cache, "cache_embeddings", lambda clips, *_, **__: clips)
    _, theirs = train.train_or_load(frozen(), sample(), runs=tmp_path / "b", phase="warmup", progress=False)
    assert ours["history"][0] == pytest.approx(theirs["history"][0], abs=1e-5)
    assert ours["history"][-1] == pytest.approx(theirs["history"][-1], abs=1e-3)


def test_a_second_training_does_not_hear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = counted(monkeypatch, TinySound)
    first = trained(frozen(), tmp_path)
    assert sum(calls) == len(AVSBench(sample(), "train")) + len(AVSBench(sample(), "val", frames="first"))
    calls.clear()
    for folder in [p for p in tmp_path.iterdir() if p.is_dir()]:
        shutil.rmtree(folder)
    assert equal(first, trained(frozen(), tmp_path))
    trained(frozen(lr=1e-3), tmp_path)
    assert calls == []


def test_a_network_that_learns_hears_every_time(tmp_path: Path) -> None:
    cfg = frozen(finetune_audio=True)
    data = AVSBench(sample(), "val", size=32)
    assert embedding_cache.cache_embeddings(data, audio_encoder(cfg), cfg, tmp_path) is data
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def vggish() -> AudioEncoder:
    torch.manual_seed(0)
    return AudioEncoder(VGGish(), frozen=True)


def test_embeddings_are_vggishs(vggish: AudioEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cfg = dataclasses.replace(frozen(), audio="vggish", seconds=2.0)
    data = AVSBench(sample(), "val", size=32, seconds=2.0)
    heard = embedding_cache.cache_embeddings(data, vggish, cfg, tmp_path)
    clips = [data[i] for i in range(len(data))]
    batch = collate([heard[i] for i in range(len(heard))])
    with torch.no_grad():
        expected = vggish(collate(clips).sound)
    assert batch.sound.shape == (len(data), 128)
    torch.testing.assert_close(batch.sound, expected, rtol=0, atol=1e-6)
    assert torch.equal(vggish(batch.sound), batch.sound)
    assert heard.ids == data.ids
    calls = counted(monkeypatch, VGGish)
    again = embedding_cache.cache_embeddings(data, vggish, cfg, tmp_path)
    assert torch.equal(collate([again[i] for i in range(len(again))]).sound, batch.sound)
    assert calls == []


def test_log_mel_blocks_are_heard(vggish: AudioEncoder, tmp_path: Path) -> None:
    """The blocks that came with the clips, not their waves."""
    data = AVSBench(sample(), "val", size=32, limit=1)
    block = torch.rand(1, 1, 96, 64)
    clips = [dataclasses.replace(data[i], inputs={"wave/log_mel": block + i}) for i in range(len(data))]

    class Blocks:
        ids, data_hash = data.ids, "blocks"

        def __len__(self) -> int:
            return len(clips)

        def __getitem__(self, index: int) -> Any:
            return clips[index]

    cfg = frozen(audio="vggish", front_end="log_mel")
    heard = embedding_cache.cache_embeddings(Blocks(), vggish, cfg, tmp_path)
    with torch.no_grad():
        expected = vggish(torch.stack([block + i for i in range(len(clips))]))
    found = collate([heard[i] for i in range(len(heard))], front_end="log_mel").sound
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_other_weights_have_a_file_of_their_own(tmp_path: Path) -> None:
    cfg, data = frozen(), AVSBench(sample(), "val", size=32)
    for _ in range(2):
        embedding_cache.cache_embeddings(data, audio_encoder(cfg), cfg, tmp_path)
    assert len(list(tmp_path.glob("sounds-*.bin"))) == 2


@pytest.mark.parametrize("harm", [b"", b"no embeddings", None, 100])
def test_a_damaged_file_is_made_again(harm: bytes | int | None, tmp_path: Path) -> None:
    cfg, data = frozen(), AVSBench(sample(), "val", size=32)
    encoder = audio_encoder(cfg)
    expected = embedding_cache.cache_embeddings(data, encoder, cfg, tmp_path)[0].inputs["wave/vggish"]
    (file,) = tmp_path.iterdir()
    content = bytearray(file.read_bytes())
    if isinstance(harm, bytes):
        content = bytearray(harm)
    elif harm is None:
        content = content[:-7]
    else:
        content[harm] ^= 1
    file.write_bytes(content)
    assert torch.equal(
        embedding_cache.cache_embeddings(data, encoder, cfg, tmp_path)[0].inputs["wave/vggish"], expected
    )
    assert [p.name for p in tmp_path.iterdir()] == [file.name]


def test_a_sound_that_changed_is_refused(tmp_path: Path) -> None:
    root = copy(tmp_path / "set")
    cfg, data = frozen(), AVSBench(root, "val", size=32)
    heard = embedding_cache.cache_embeddings(data, audio_encoder(cfg), cfg, tmp_path / "runs")
    for wav in root.rglob("*.wav"):
        content = bytearray(wav.read_bytes())
        content[20_000] ^= 64
        wav.write_bytes(content)
    with pytest.raises(DataError, match=r"sounds-\w+\.bin` knows another sound of val_00000_1; remove it, and it is"):
        heard[0]
