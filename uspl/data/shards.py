"""Where the clips of VGGSound lie: plain files in two folders, or WebDataset shards read in place."""

import hashlib
import os
import tarfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np

from uspl.core.errors import DataError
from uspl.data.metadata import refusal, stay

KINDS = (".jpg", ".wav")  # frame and sound of a clip, as this library writes them
READ = ((".jpg", ".jpeg", ".png"), (".wav", ".flac"))  # and as shards may hold them, in any case


class File(NamedTuple):
    """A file, or a part of a shard: the name for errors, and the bytes where there is no file of its own."""

    name: str
    content: bytes | None


class Folder:
    """`frames/<id>.jpg` and `audio/<id>.wav`. `ids`: bytes (n,), sorted, of the clips that have both."""

    def __init__(self, root: Path) -> None:
        self.homes = root / "frames", root / "audio"
        for home in self.homes:
            if not home.is_dir():
                raise DataError(home, "is missing; the folder needs `frames` and `audio`, or shards `*.tar`")
        frames, sounds = (_stems(home, kind) for home, kind in zip(self.homes, KINDS, strict=True))
        self.ids = np.intersect1d(frames, sounds)

    def read(self, id: bytes) -> tuple[File, File]:
        """Frame and sound of a clip."""
        frame, sound = self._paths(id)
        return File(str(frame), None), File(str(sound), None)

    def digest(self, ids: np.ndarray) -> str:
        """Twelve hexadecimal digits that name ids and sizes of files."""
        sums = hashlib.sha256()
        for id in ids:
            frame, sound = (path.stat().st_size for path in self._paths(id))
            sums.update(f"{str(id, 'utf-8')} {frame} {sound}\n".encode())
        return sums.hexdigest()[:12]

    def _paths(self, id: bytes) -> tuple[Path, Path]:
        name = str(id, "utf-8")
        return self.homes[0] / f"{name}.jpg", self.homes[1] / f"{name}.wav"


def _stems(home: Path, kind: str) -> np.ndarray:
    with os.scandir(home) as entries:
        return np.array([os.fsencode(e.name.removesuffix(kind)) for e in entries if e.name.endswith(kind)], "S")


class Shards:
    """Tar files of `<id>.jpg` and `<id>.wav`, indexed once and read by their places: nothing is unpacked.

    Other people's shards are read too: frames that end in .jpeg or .png, sounds in .flac, upper case, and members that
    lie in folders, which are not part of the id.

    The format is that of `webdataset`, whose own reader only goes through shards in order; a training draws clips.

    Args:
        files: uncompressed tar files; other members than frames and sounds are passed over.

    `ids`: bytes (n,), sorted, of the clips that have both.

    Raises:
        DataError: a damaged shard, an id that stands twice, a member that is a link, a device, or leads out of the
            folder, or no pair at all; the sentence then says how the members end.
    """

    def __init__(self, files: list[Path]) -> None:
        self.files = files
        tables = [_places(i, file) for i, file in enumerate(files)]
        # A row: shard, start and size of the frame, start and size of the sound.
        names, places, kinds = (np.concatenate([table[k] for table in tables]) for k in range(3))
        if not len(names):
            ends = Counter[str]()
            for table in tables:
                ends += table[3]
            there = ", ".join(f"{end or 'no ending'} ({n})" for end, n in ends.most_common(8)) or "none"
            wanted = " and a sound ".join(f"({', '.join(ends)})" for ends in READ)
            raise DataError(files[0].parent, f"has shards without a frame {wanted} of one clip; members end in {there}")
        order = np.argsort(names, kind="stable")
        self.ids, self.places, self.kinds = names[order], places[order], kinds[order]
        twice = np.flatnonzero(self.ids[1:] == self.ids[:-1])
        if len(twice):
            a, b = (files[self.places[twice[0] + i, 0]] for i in (0, 1))
            raise DataError(b, f"holds the clip {str(self.ids[twice[0]], 'utf-8')!r}, as does `{a.name}`")

    def read(self, id: bytes) -> tuple[File, File]:
        """Frame and sound of a clip."""
        row = np.searchsorted(self.ids, id)
        shard, *places = self.places[row].tolist()
        kinds = [ends[k] for ends, k in zip(READ, self.kinds[row], strict=True)]
        file, name = self.files[shard], str(id, "utf-8")
        found = []
        with file.open("rb") as tar:
            for kind, start, size in zip(kinds, places[::2], places[1::2], strict=True):
                tar.seek(start)
                found.append(File(f"{file}:{name}{kind}", tar.read(size)))
        return found[0], found[1]

    def digest(self, ids: np.ndarray) -> str:
        """Twelve hexadecimal digits that name ids and sizes of files, whichever the layout."""
        sums = hashlib.sha256()
        for id, place in zip(ids, self.places[np.searchsorted(self.ids, ids)], strict=True):
            sums.update(f"{str(id, 'utf-8')} {place[2]} {place[4]}\n".encode())
        return sums.hexdigest()[:12]


def _places(shard: int, file: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, Counter[str]]:
    """Ids (n,), places (n, 5) and endings (n, 2) of the clips of one shard, and how all of its members end."""
    found: dict[str, dict[int, tuple[int, int, int]]] = {}
    ends = Counter[str]()
    try:
        with tarfile.open(file, "r:") as tar:
            for member in tar:
                id, end = _member(member, file)
                ends[end] += member.isfile()
                for part, known in enumerate(READ):
                    if end in known and found.setdefault(id, {}).setdefault(part, (0, 0, 0))[0]:
                        raise DataError(file, f"holds {member.name!r} twice, or beside another of that clip")
                    if end in known:
                        found[id][part] = member.offset_data, member.size, known.index(end)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DataError(file, f"is no whole tar file ({error})") from error
    size = file.stat().st_size
    whole = {id: parts for id, parts in found.items() if len(parts) == len(READ)}
    rows = [(shard, *parts[0][:2], *parts[1][:2]) for parts in whole.values()]
    kinds = np.array([(parts[0][2], parts[1][2]) for parts in whole.values()], np.uint8).reshape(-1, 2)
    if any(max(row[1] + row[2], row[3] + row[4]) > size for row in rows):
        raise DataError(file, "is no whole tar file (it ends inside a clip)")
    return np.array([id.encode() for id in whole], "S"), np.array(rows, np.int64).reshape(-1, 5), kinds, ends


def _member(member: tarfile.TarInfo, file: Path) -> tuple[str, str]:
    """Id and ending of a member; what could lead out of a folder is refused though nothing is unpacked."""
    name = member.name.removeprefix("./")
    plain, dot, end = name.rpartition("/")[2].partition(".")
    if member.isdir() and (name in ("", ".") or not dot):
        return "", ""
    if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
        kind = "link" if member.issym() or member.islnk() else "folder" if member.isdir() else "special file"
        raise DataError(file, f"holds {member.name!r}, a {kind}; a shard holds plain files only")
    if any(refusal(part) for part in name.split("/")):
        stay(name, file)
    return plain, f"{dot}{end}".lower()
