"""A film to try a model on: one object sounds, then nothing, then another object, and the masks are known."""

from pathlib import Path

import av
import numpy as np
import torch
from jaxtyping import Bool, Float32, UInt8
from torch import Tensor
from torch.nn import functional as F

from uspl.audio import RATE
from uspl.core.errors import DataError
from uspl.data.metadata import read_table
from uspl.media import image
from uspl.media.decode import waveform
from uspl.media.image import label_map
from uspl.media.stream import pictures


def write_demo_film(
    root: str | Path, out: str | Path, *, split: str = "val", index: int = 0, size: int = 112
) -> dict[int, Bool[Tensor, "s s"]]:
    """Join a clip to a film in three acts, in which the pictures run forth, back and forth again.

    In the first act the clip has its own sound, in the second none. In the third it has that of its first silent
    object, in Sounding Shapes; elsewhere, where no such sound is there, that of the next clip, which is not in sight.

    Args:
        root: folder of Sounding Shapes, or another one in AVSBench's layout.
        out: MP4 file that is written.
        split, index: which of its clips; of Sounding Shapes, of those that have a sound for another object.
        size: pixels, side of the film.

    Returns:
        Number of a frame, from 0 -> mask of what sounds there, at the size of the film; one for each second, without
        those of the second act in which half a second of sound can be heard.

    Raises:
        DataError: no such clip.
    """
    home = Path(root)
    rows = [row for row in read_table(home) if row["split"] == split]
    places = [Path(split) / row["category"] / row["name"] for row in rows]
    voiced = [place for place in places if (home / "raw_sounds" / place).with_suffix(".m4a").is_file()]
    places = voiced or [place for place in places if _wav(home, place).is_file()]
    if not 0 <= index < len(places):
        raise DataError(home, f"has {len(places)} such clips in the split `{split}`; got number {index}")
    place, following = places[index], places[(index + 1) % len(places)]
    shown, rate, own, other = _drawn(home, place) if voiced else _cut(home, place, following, size)
    shown, seconds = [_resized(picture, size) for picture in shown], len(shown) // rate
    n = len(shown) * RATE // rate
    wave = torch.cat([_fitted(own, n), torch.zeros(n), _fitted(other, n)])
    _write(Path(out), [*shown, *shown[::-1], *shown], rate, wave)
    truth: dict[int, Bool[Tensor, "s s"]] = {}
    for k in range(seconds):
        file = home / "s4_data" / ("objects" if voiced else "gt_masks") / place / f"{place.name}_{k + 1}.png"
        objects = label_map(file, size)
        if objects is None:
            raise DataError(file, "is missing")
        sounds = objects == 1 if voiced else objects > 0
        frame = int((k + 15 / 16) * rate)  # the picture that was cut out of this second
        truth[frame] = sounds
        silent = 2 * len(shown) - 1 - frame
        if min(silent - len(shown), frame + 1) * 2 >= rate:  # half a second from the next sound
            truth[silent] = torch.zeros_like(sounds)
        truth[2 * len(shown) + frame] = objects == 2 if voiced else torch.zeros_like(sounds)
    return dict(sorted(truth.items()))


Acts = tuple[list[UInt8[np.ndarray, "h w 3"]], int, Float32[Tensor, " n"], Float32[Tensor, " m"]]


def _drawn(home: Path, place: Path) -> Acts:
    """Pictures, their rate, the clip's sound and that of its first silent object, from the film that was drawn."""
    film = (home / "raw_videos" / place).with_suffix(".mp4")
    with av.open(str(film)) as box:
        rate = round(box.streams.video[0].average_rate or 8)
    shown = [picture for _, picture in pictures(film)]
    return shown, rate, waveform(film), waveform((home / "raw_sounds" / place).with_suffix(".m4a"))


def _cut(home: Path, place: Path, following: Path, size: int) -> Acts:
    """The same from what was cut out of a film: a picture a second, shown eight times, and another clip's sound."""
    rate = 8
    files = sorted((home / "s4_data/visual_frames" / place).glob(f"{place.name}_*.png"))
    shown = [image.picture(file, size).permute(1, 2, 0).numpy() for file in files for _ in range(rate)]
    return shown, rate, waveform(_wav(home, place)), waveform(_wav(home, following))


def _wav(home: Path, place: Path) -> Path:
    return (home / "s4_data/audio_wav" / place).with_suffix(".wav")


def _resized(picture: UInt8[np.ndarray, "h w 3"], size: int) -> UInt8[np.ndarray, "s s 3"]:
    planes = torch.from_numpy(picture).permute(2, 0, 1)[None]
    larger: UInt8[np.ndarray, "s s 3"] = (
        F.interpolate(planes, (size, size), mode="bilinear")[0].permute(1, 2, 0).numpy()
    )
    return larger


def _fitted(wave: Float32[Tensor, " m"], n: int) -> Float32[Tensor, " n"]:
    return F.pad(wave[:n], (0, max(n - len(wave), 0)))


def _write(out: Path, shown: list[UInt8[np.ndarray, "s s 3"]], rate: int, wave: Float32[Tensor, " n"]) -> None:
    with av.open(str(out), "w", format="mp4") as box:
        film = box.add_stream("libx264", rate=rate, options={"crf": "23", "preset": "veryfast", "bf": "0"})
        film.height, film.width = shown[0].shape[:2]
        film.pix_fmt = "yuv420p"
        voice = box.add_stream("aac", rate=RATE, layout="mono")
        for picture in shown:
            box.mux(film.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")))
        box.mux(film.encode(None))
        samples = av.AudioFrame.from_ndarray(wave[None].numpy(), format="fltp", layout="mono")
        samples.sample_rate, samples.pts = RATE, 0
        box.mux(voice.encode(samples))
        box.mux(voice.encode(None))
