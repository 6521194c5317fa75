"""Readers: VGGSound for training, VGG-SS for evaluation. Training leaves the test clips of VGG-SS out by default."""

import gzip
import hashlib
import logging
import zlib
from collections.abc import Collection, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from torch.utils.data import Dataset

from uspl.audio import RATE
from uspl.core.errors import DataError
from uspl.data.batch import Clip
from uspl.data.layouts.clip_names import misfit
from uspl.data.metadata import stay
from uspl.data.shards import Folder, Shards
from uspl.media.decode import excerpt
from uspl.media.image import picture

log = logging.getLogger(__name__)
LONGEST = 1 << 26  # bytes of a list once unpacked; the longest of the peers has 2.7 million


class VGGSound(Dataset[Clip]):
    """Training pairs of VGGSound, one frame and the sound around it, without the test clips of VGG-SS.

    Args:
        root: folder with `frames/<id>.jpg` and `audio/<id>.wav`, or with WebDataset shards `*.tar` of
            `<id>.jpg` and `<id>.wav`; both are made by prepare_vggsound.py.
        list_file: ids, one a line, perhaps gzipped: the peers' 10k, 144k or heard list; None takes all that is there.
        split: "val" holds one pair in 50 out, at least two, by a hash of the id; "train" is the rest; "all" is both.
        keep_leaked: keep test clips that the list names, as the peers did.
        test_ids: what must not be trained on; None is the published VGG-SS list of 5,158 ids.
        size: pixels, side of the frames.
        seconds: s of sound, from the middle of the file.

    `ids` lists the pairs, `missing` the ids of the list that are not there, `leaked` counts the test ids that the
    list names, removed or not; `data_hash` names ids and file sizes.

    Raises:
        DataError: a list, shard or file that cannot be read, an id that leads out of the folder, or no pair at all.
    """

    def __init__(
        self,
        root: str | Path,
        list_file: str | Path | None = None,
        *,
        split: Literal["all", "train", "val"] = "all",
        keep_leaked: bool = False,
        test_ids: Collection[str] | None = None,
        size: int = 224,
        seconds: float = 3.0,
    ) -> None:
        if split not in ("all", "train", "val"):
            raise ValueError(f"`split` must be 'all', 'train' or 'val'; got {split!r}.")
        self.root, self.split, self.size, self.seconds, self.keep_leaked = Path(root), split, size, seconds, keep_leaked
        shards = sorted(self.root.glob("*.tar"))
        self._store = Shards(shards) if shards else Folder(self.root)
        named = self._store.ids if list_file is None else _compact(read_ids(list_file))
        leaks = leaked(named, test_ids)
        self.leaked = int(leaks.sum())
        wanted = named if keep_leaked else named[~leaks]
        fate = "kept" if keep_leaked else "removed"
        level = logging.WARNING if self.leaked else logging.INFO
        log.log(level, "%d of %d listed clips are test clips of VGG-SS: %s.", self.leaked, len(named), fate)
        self._ids = np.intersect1d(wanted, self._store.ids)
        self._missing = np.setdiff1d(wanted, self._store.ids)
        if not len(self._ids):
            raise DataError(list_file or root, self._no_clip(named, wanted))
        if split != "all":
            held = np.argsort(_hashes(self._ids))[: max(2, len(self._ids) // 50)]
            self._ids = self._ids[np.sort(held)] if split == "val" else np.delete(self._ids, held)
        if not len(self._ids):
            raise DataError(list_file or root, f"names too few pairs in `{root}`: two are held out for validation")
        self.data_hash = self._store.digest(self._ids)

    def _no_clip(self, named: np.ndarray, wanted: np.ndarray) -> str:
        says = f"names no training clip whose frame and sound are in `{self.root}`"
        if not len(wanted):
            return f"{says}: all {len(named):,} are test clips of VGG-SS" if len(named) else says
        if not len(self._store.ids):
            return f"{says}: it holds no pair"
        return f"{says}: {misfit(*([str(id, 'utf-8') for id in ids] for ids in (wanted, self._store.ids)))}"

    @property
    def ids(self) -> list[str]:
        """Of each pair, made on demand, since only arrays are kept, which worker processes share."""
        return [str(id, "utf-8") for id in self._ids]

    @property
    def missing(self) -> list[str]:
        """Ids of the list that are not there."""
        return [str(id, "utf-8") for id in self._missing]

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, index: int) -> Clip:
        id = str(self._ids[index], "utf-8")
        frame, wav = self._store.read(self._ids[index])
        wave = excerpt(wav.name, None, self.seconds, RATE, content=wav.content)
        return Clip(id, "", picture(frame.name, self.size, content=frame.content), wave, None, None, None)


def read_ids(file: str | Path) -> list[str]:
    """Ids of a list, one a line, in its order and each once; a `.gz` file is unpacked.

    Raises:
        DataError: missing, damaged, empty, no text, or an id that leads out of the folder.
    """
    path = Path(file)
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
            data = lines.read(LONGEST + 1)
        ids = list(dict.fromkeys(line.strip() for line in data.decode().splitlines() if line.strip()))
    except FileNotFoundError:
        raise DataError(path, "is missing") from None
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(path, "is no list of ids, one a line") from error
    if len(data) > LONGEST:
        raise DataError(path, f"unpacks to more than {LONGEST} bytes")
    for id in ids:
        stay(id, path)
    if not ids:
        raise DataError(path, "lists no id")
    return ids


def leaked(ids: Iterable[str | bytes], test_ids: Collection[str] | None = None) -> np.ndarray:
    """Which ids are test clips, bool (n,); None stands for VGG-SS.

    The 5,158 ids of VGG-SS come with the library as 64-bit hashes.

    >>> leaked(["zpWuikVorYg_000032", "a_000000"]).tolist()
    [True, False]
    >>> leaked(["a", "b"], {"b"}).tolist()
    [False, True]
    """
    known = _vggss() if test_ids is None else _hashes(test_ids)
    return np.isin(_hashes(ids), known)


def _hashes(ids: Iterable[str | bytes]) -> np.ndarray:
    plain = (id.encode() if isinstance(id, str) else bytes(id) for id in ids)
    digests = b"".join(hashlib.blake2b(id, digest_size=8).digest() for id in plain)
    return np.frombuffer(digests, "<u8")


@lru_cache(maxsize=1)
def _vggss() -> np.ndarray:
    with np.load(Path(__file__).with_name("vggss_test.npz"), allow_pickle=False) as file:
        hashes: np.ndarray = file["blake2b64"]
        return hashes


def _compact(ids: list[str]) -> np.ndarray:
    """(n,) array of bytes: 18 bytes an id instead of a Python object each."""
    return np.array([id.encode() for id in ids])
