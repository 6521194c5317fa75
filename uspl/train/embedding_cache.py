"""Reading 12: what a frozen sound encoder says of each sound, computed once and kept in a file."""

import dataclasses
import hashlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm.auto import tqdm

from uspl.config import Config
from uspl.core.errors import DataError
from uspl.core.files import write_bytes
from uspl.data.batch import Clip, sounds
from uspl.encoders.sound import AudioEncoder, sound_dim

FORMAT = 1  # changes when a front end computes something else
SEAL = 32  # bytes: SHA-256 of the rows, at the head of the file


class CachedEmbeddings(Dataset[Clip]):
    """Clips with the embedding of their sound in `inputs`, so that `collate` makes a batch (B, 128) of them.

    Args:
        clips: a reader.
        file: of `heard`.
        front_end: of the configuration.
        dim: numbers of an embedding.

    Raises:
        DataError: a sound is not the one that was heard.
    """

    def __init__(self, clips: Any, file: Path, front_end: str, dim: int = 128) -> None:
        self.clips, self.file, self.front_end = clips, file, front_end
        self.rows = np.memmap(file, row_type(dim), "r", SEAL)  # processes that load clips share its pages
        self.names = self.rows["sound"].copy()

    @property
    def ids(self) -> list[str]:
        """As the reader's."""
        return list(self.clips.ids)

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> Clip:
        clip: Clip = self.clips[index]
        name = np.uint64(_name(clip, self.front_end))
        at = int(np.searchsorted(self.names, name))
        if at == len(self.names) or self.names[at] != name:
            raise DataError(self.file, f"knows another sound of {clip.id}; remove it, and it is made again")
        embedding = torch.from_numpy(self.rows["embedding"][at].copy())
        return dataclasses.replace(clip, swap=None, inputs={f"wave/{self.front_end}": embedding})


def cache_embeddings(clips: Any, encoder: AudioEncoder, cfg: Config, home: Path, *, progress: bool = False) -> Any:
    """The clips with embeddings in place of sounds where the encoder is frozen; else the clips as they are.

    The embeddings are float32, before the projector. They are kept in `home`, in a file named after the encoder's
    weights, the front end and the clips; a file that is damaged is made again.

    Args:
        clips: a reader with `ids` and `data_hash`.
        encoder: the sound encoder, on the device where it is to run.
        cfg: `front_end`, `seconds`, `batch_size`, `workers`.
        home: folder of the runs.
        progress: show a progress bar.
    """
    if not encoder.frozen:
        return clips
    about = f"{FORMAT} {cfg.front_end} {cfg.seconds} {clips.data_hash} {_weights(encoder)}"
    file = home / f"sounds-{hashlib.sha256(about.encode()).hexdigest()[:10]}.bin"
    if not _whole(file, sound_dim(cfg)):
        rows = _listen(clips, encoder, cfg, progress).tobytes()
        write_bytes(file, hashlib.sha256(rows).digest() + rows)
    return CachedEmbeddings(clips, file, cfg.front_end, sound_dim(cfg))


def row_type(dim: int) -> np.dtype[Any]:
    """A sound's name and its embedding."""
    return np.dtype([("sound", "<u8"), ("embedding", "<f4", dim)])


def _listen(clips: Any, encoder: AudioEncoder, cfg: Config, progress: bool) -> np.ndarray:
    """A row for each sound, in the order of their names."""
    device = next(encoder.parameters()).device
    join = partial(_join, front_end=cfg.front_end)
    options: dict[str, Any] = {"batch_size": cfg.batch_size, "num_workers": cfg.workers, "collate_fn": join}
    parts = []
    load: Any = DataLoader(clips, generator=torch.Generator(), **options)
    with torch.inference_mode():
        for names, batch in tqdm(load, desc="hearing clips", disable=not progress):
            rows = np.empty(len(names), row_type(sound_dim(cfg)))
            rows["sound"], rows["embedding"] = names, encoder(batch.to(device)).float().cpu().numpy()
            parts.append(rows)
    rows = np.concatenate(parts)
    return rows[np.unique(rows["sound"], return_index=True)[1]]


def _join(clips: Sequence[Clip], *, front_end: str) -> tuple[list[int], Tensor]:
    fresh = [dataclasses.replace(clip, inputs=dict(clip.inputs)) for clip in clips]  # patches are not remembered
    return [_name(clip, front_end) for clip in clips], sounds(fresh, front_end=front_end)


def _name(clip: Clip, front_end: str) -> int:
    """64 bits of the hash of what is heard: the wave, or the block that came with the clip."""
    content = clip.inputs["wave/log_mel"] if front_end == "log_mel" else clip.wave
    return int.from_bytes(hashlib.blake2b(content.numpy().tobytes(), digest_size=8).digest(), "little")


def _weights(encoder: AudioEncoder) -> str:
    digest = hashlib.sha256()
    for name, value in (*encoder.net.named_parameters(), *encoder.net.named_buffers()):
        digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _whole(file: Path, dim: int) -> bool:
    """Is the file there, and as it was written?"""
    if not file.is_file():
        return False
    content = file.read_bytes()
    seal, rows = content[:SEAL], content[SEAL:]
    return len(rows) > 0 and len(rows) % row_type(dim).itemsize == 0 and hashlib.sha256(rows).digest() == seal
