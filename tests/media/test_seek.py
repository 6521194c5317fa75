"""The picture on screen at any time, whatever the container and however far apart its key frames."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from torch import Tensor

from tests.helpers.values import shared
from uspl.core.errors import DataError
from uspl.media import frame_at, frames_at
from uspl.media.stream import pictures

FPS, SECONDS = 25, 6
TIMES = [0.31, 1.05, 1.81, 2.69, 3.33, 4.03, 5.29, 5.87]  # none where a picture begins
KINDS = {  # name -> extension, container, codec, options of the container, pictures out of order
    "ts": ("ts", "mpegts", "libx264", {}, 2),
    "m2ts": ("m2ts", "mpegts", "libx264", {"mpegts_m2ts_mode": "1"}, 0),
    "ts mpeg2": ("ts", "mpegts", "mpeg2video", {}, 2),
    "flv": ("flv", "flv", "libx264", {}, 0),
    "avi": ("avi", "avi", "mpeg4", {}, 0),
    "avi out of order": ("avi", "avi", "libx264", {}, 2),
    "mkv without cues": ("mkv", "matroska", "libx264", {"live": "1"}, 2),
    "mp4 in fragments": ("mp4", "mp4", "libx264", {"movflags": "frag_keyframe+empty_moov"}, 2),
    "mpg": ("mpg", "mpeg", "mpeg2video", {}, 2),
    "raw": ("264", "h264", "libx264", {}, 2),
}


def numbered(path: Path, kind: str, gop: int, **codec: str) -> Path:
    """A film whose picture n shows n: nine blocks, white where a bit is set."""
    _, container, name, options, ahead = KINDS[kind]
    with av.open(str(path), "w", format=container, options=options) as box:
        film = box.add_stream(name, rate=FPS)
        film.width, film.height, film.pix_fmt = 48, 48, "yuv420p"
        film.options = {"g": str(gop), "bf": str(ahead)} | codec
        if name == "libx264":
            film.options |= {"keyint_min": str(gop), "sc_threshold": "0", "preset": "ultrafast"}
        for n in range(FPS * SECONDS):
            bits = np.array([n >> k & 1 for k in range(9)], np.uint8).reshape(3, 3) * 255
            frame = av.VideoFrame.from_ndarray(np.repeat(bits.repeat(16, 0).repeat(16, 1)[..., None], 3, 2), "rgb24")
            frame.pts, frame.time_base = n, Fraction(1, FPS)
            box.mux(film.encode(frame))
        box.mux(film.encode(None))
    return path


def number(picture: Tensor) -> int:
    blocks = picture.float().mean(0).reshape(3, 16, 3, 16)[:, 4:12, :, 4:12].mean((1, 3)).flatten()
    return sum(1 << k for k in range(9) if blocks[k] > 128)


@pytest.mark.parametrize("gop", [13, 50, 100, 250])
@pytest.mark.parametrize("kind", KINDS)
def test_the_picture_on_screen_within_one_frame(kind: str, gop: int, tmp_path: Path) -> None:
    path = numbered(tmp_path / f"a.{KINDS[kind][0]}", kind, gop)
    begin, _ = next(pictures(path))
    assert begin < 0.1
    expected = [int((time - begin) * FPS) for time in TIMES]
    for time, wanted in zip(TIMES, expected, strict=True):
        assert abs(number(frame_at(path, time)) - wanted) <= 1
    for got, wanted in zip(map(number, frames_at(path, TIMES[2:])), expected[2:], strict=True):
        assert abs(got - wanted) <= 1


def test_pictures_that_are_never_whole_at_once(tmp_path: Path) -> None:
    """Intra refresh: one key frame in all, the rest is renewed column by column."""
    path = numbered(tmp_path / "a.ts", "ts", 50, **{"intra-refresh": "1"})
    begin, _ = next(pictures(path))
    for time in TIMES:
        assert abs(number(frame_at(path, time)) - int((time - begin) * FPS)) <= 1


def test_a_recording_that_begins_between_key_frames(tmp_path: Path) -> None:
    content = numbered(tmp_path / "whole.ts", "ts", 50).read_bytes()
    packets = len(content) // 188
    (tmp_path / "a.ts").write_bytes(content[188 * (packets // 6) :])
    shown = [
        (time, number(torch.from_numpy(picture.transpose(2, 0, 1)))) for time, picture in pictures(tmp_path / "a.ts")
    ]
    assert shown[0][1] == 50
    for time in (1.81, 3.33):
        wanted = [n for begin, n in shown if begin <= time][-1]
        assert abs(number(frame_at(tmp_path / "a.ts", time)) - wanted) <= 1
    with pytest.raises(DataError, match=r"has no picture at 0\.05 s: pictures begin at"):
        frame_at(tmp_path / "a.ts", 0.05)


def test_the_end_is_told_after_a_search_too(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is truncated: pictures end at 6\.0\d s, 9\.00 s are needed"):
        frame_at(numbered(tmp_path / "a.ts", "ts", 50), 9.0)


@pytest.mark.parametrize("name", ["ts.ts", "g50.ts"])
def test_reported_films(name: str) -> None:
    path = shared(f"cases/{name}")
    shown = list(pictures(path))
    for time in (1.5, 2.6, 3.5):
        wanted = [picture for begin, picture in shown if begin <= time][-1]
        assert torch.equal(frame_at(path, time), torch.from_numpy(wanted.transpose(2, 0, 1)))
