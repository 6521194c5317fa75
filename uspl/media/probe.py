"""What a film holds, asked once: its pictures, its length, how loud its loudest second is."""

from dataclasses import dataclass, field
from pathlib import Path

from uspl.media.container import duration, opened
from uspl.media.stream import loudest


@dataclass(frozen=True)
class FilmInfo:
    """A film that opens and has pictures and sound."""

    path: Path
    frames: int | None  # that the file promises; None where it does not say
    seconds: float
    size: tuple[int, int]  # width, height, pixels, as coded
    _loud: dict[str, float] = field(default_factory=dict, compare=False, repr=False)

    def loudest(self, *, enough: float = float("inf")) -> float:
        """As `stream.loudest`; the sound is read once, as far as `enough` asks.

        Raises:
            DataError: the sound cannot be read.
        """
        if "all" not in self._loud and self._loud.get("some", float("-inf")) < enough:
            found = loudest(self.path, enough=enough)
            self._loud["some" if found >= enough else "all"] = found
        return self._loud.get("all", self._loud.get("some", float("-inf")))


def probe(path: str | Path) -> FilmInfo:
    """Open a film once and say what it holds; nothing is decoded.

    Raises:
        DataError: the file cannot be opened, or has no pictures or no sound track.
    """
    with opened(path, "video", "audio") as box:
        stream, seconds = box.streams.video[0], duration(box)
        frames = stream.frames or round(seconds * float(stream.average_rate or 0)) or None
        return FilmInfo(Path(path), frames, seconds, (stream.width, stream.height))
