"""Archives of films as the hub's mirror of VGGSound packs them: read to their end, nothing unpacked."""

import gzip
import tarfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from uspl.core.archives import entries
from uspl.core.errors import DataError
from uspl.core.files import present
from uspl.data.layouts.recognise import PART

FILMS = (".mp4", ".mkv", ".webm")
PIECE = 1 << 24  # bytes read at a time


def parts(home: Path) -> list[Path]:
    """The mirror's archives in a folder."""
    return sorted(path for path in home.glob("vggsound_*.tar*") if PART.fullmatch(path.name))


def films(part: Path) -> int:
    """Films in an archive, which is read to its end.

    Raises:
        DataError: a cut or damaged archive, with the number of films before; one that holds a path that leads out, a
            link that does, a device, or a bomb.
    """
    found = 0
    file = present(part)
    try:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as plain:
            with tarfile.open(fileobj=plain, mode="r|") as box:
                for member in entries(box, part, file.stat().st_size, lambda name: True):
                    found += member.isfile() and member.name.endswith(FILMS)
            while plain.read(PIECE):  # the checksum is at the end
                pass
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise DataError(part, f"is cut off or damaged after {found:,} films ({error}); fetch it again") from None
    return found


def told(archives: Sequence[Path], *, progress: bool = False) -> str:
    """How many films the archives hold, and which of them are damaged or refused."""
    found, faults = 0, []
    for part in tqdm(archives, desc="reading archives", unit="part", disable=not progress):
        try:
            found += films(part)
        except DataError as error:
            faults.append(f"`{part.name}` {error.reason}")
    return "; ".join([f"{found:,} films in those that are whole", *faults])
