"""Colours of films as a player shows them, whatever standard, range and depth they are stored in; mirrored films."""

import struct
from pathlib import Path

import av
import numpy as np
import pytest

from tests.helpers.broken_films import make, turned
from uspl.media import frame_at
from uspl.media.colour import HLG, PQ, standard

GREYS = [(level,) * 3 for level in (0, 64, 128, 192, 255)]
PRIMARIES = [(200, 40, 60), (40, 200, 60), (40, 60, 200), (200, 200, 40), (40, 200, 200), (200, 40, 200)]
PATCHES = [*GREYS, *PRIMARIES, (255, 0, 0), (0, 255, 0), (0, 0, 255)]
WIDE = 16  # pixels of a patch
KR_KB = {"601": (0.299, 0.114), "709": (0.2126, 0.0722), "2020": (0.2627, 0.0593)}  # of the standards
TAGS = {"601": (6, 6, 6), "709": (1, 1, 1), "2020": (9, 9, 14), "PQ": (9, 9, PQ), "HLG": (9, 9, HLG)}


def stored(rgb: tuple[int, ...], matrix: str, *, full: bool, bits: int) -> list[int]:
    """Y, Cb and Cr of a colour, as the standard writes them."""
    kr, kb = KR_KB[matrix]
    r, g, b = (level / 255 for level in rgb)
    y = kr * r + (1 - kr - kb) * g + kb * b
    cb, cr = (b - y) / (2 * (1 - kb)), (r - y) / (2 * (1 - kr))
    one, most = 2 ** (bits - 8), 2**bits - 1
    if full:
        return [round(most * y), *(min(round(128 * one + most * c), most) for c in (cb, cr))]
    return [round(one * (16 + 219 * y)), *(round(one * (128 + 224 * c)) for c in (cb, cr))]


def patches(
    path: Path, matrix: str, *, tags: str | None, full: bool = False, bits: int = 8, height: int = 64, width: int = 0
) -> Path:
    """A film of the patches side by side."""
    form, kind = ("yuv420p", np.uint8) if bits == 8 else ("yuv420p10le", np.uint16)
    numbers = np.array([stored(patch, matrix, full=full, bits=bits) for patch in PATCHES], kind)
    with av.open(str(path), "w") as box:
        film = box.add_stream("libx264", rate=10, options={"crf": "1", "preset": "ultrafast"})
        film.width, film.height, film.pix_fmt = WIDE * len(PATCHES), height, form
        if tags:
            codec = film.codec_context
            codec.colorspace, codec.color_primaries, codec.color_trc = TAGS[tags]
            codec.color_range = 2 if full else 1
        for n in range(3):
            frame = av.VideoFrame(film.width, height, form)
            for k, plane in enumerate(frame.planes):
                part = WIDE if k == 0 else WIDE // 2
                rows = np.zeros((plane.height, plane.line_size // kind().itemsize), kind)
                rows[:, : part * len(PATCHES)] = np.repeat(numbers[:, k], part)
                plane.update(rows.tobytes())
            if tags:
                frame.colorspace, frame.color_range = TAGS[tags][0], 2 if full else 1
            frame.pts = n
            box.mux(film.encode(frame))
        box.mux(film.encode(None))
    return path


def shown(path: Path) -> np.ndarray:
    """The mean colour of each patch."""
    picture = frame_at(path, 0.15).numpy()
    parts = [picture[:, 16:48, k * WIDE + 4 : (k + 1) * WIDE - 4] for k in range(len(PATCHES))]
    return np.array([part.reshape(3, -1).mean(1) for part in parts])


@pytest.mark.parametrize("bits", [8, 10])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", KR_KB)
def test_tagged_colours_within_three_levels(matrix: str, full: bool, bits: int, tmp_path: Path) -> None:
    path = patches(tmp_path / "a.mp4", matrix, tags=matrix, full=full, bits=bits)
    assert np.abs(shown(path) - PATCHES).max() <= 3


@pytest.mark.parametrize(("height", "matrix"), [(64, "601"), (576, "601"), (720, "709")])
def test_untagged_colours_are_those_of_the_size(height: int, matrix: str, tmp_path: Path) -> None:
    """Players take a film of no named matrix for BT.601 where it is small and for BT.709 where it is large."""
    assert np.abs(shown(patches(tmp_path / "a.mp4", matrix, tags=None, height=height)) - PATCHES).max() <= 3


def test_light_of_high_dynamic_range() -> None:
    """The codes of BT.2408: white paper (203 cd/m^2) is 58 % of PQ and 75 % of HLG; both are near white here."""
    for code, transfer in ((0.58, PQ), (0.75, HLG)):
        assert 225 < (255 * standard(np.full((1, 3), code), transfer)).mean() < 240
    for transfer in (PQ, HLG):
        greys = standard(np.linspace(0, 1, 50)[:, None].repeat(3, 1), transfer)
        assert np.ptp(greys, axis=1).max() < 0.01
        assert (np.diff(greys[:, 1]) >= -1e-9).all()
        assert (greys[0].max(), round(greys[-1].min(), 2)) == (0, 1)
    dark = standard(np.full((1, 3), 0.4402), PQ)  # 50 cd/m^2, below the knee: light stays
    assert dark.mean() ** 2.4 == pytest.approx(50 / 203, rel=0.01)


@pytest.mark.parametrize("tags", ["PQ", "HLG"])
def test_films_of_high_dynamic_range_are_mapped(tags: str, tmp_path: Path) -> None:
    path = patches(tmp_path / "a.mp4", "2020", tags=tags, bits=10)
    expected = 255 * standard(np.array(PATCHES) / 255, {"PQ": PQ, "HLG": HLG}[tags])
    assert np.abs(shown(path) - expected)[: len(GREYS)].max() < 10
    assert np.abs(shown(path)[: len(GREYS)] - GREYS).max() > 10


@pytest.mark.parametrize(
    ("matrix", "down", "right"),  # which side of the stored picture, bright at the left, is bright on screen
    [
        ((1, 0, 0, 1), 0, -1),
        ((-1, 0, 0, 1), 0, 1),
        ((1, 0, 0, -1), 0, -1),
        ((0, 1, 1, 0), -1, 0),
        ((0, -1, -1, 0), 1, 0),
    ],
)
def test_mirrored_films(matrix: tuple[int, ...], down: int, right: int, tmp_path: Path) -> None:
    path = turned(tmp_path / "a.mp4")
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    a, b, c, d = (n << 16 for n in matrix)
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    picture = frame_at(path, 1.5).float().mean(0)
    assert picture.shape == ((48, 32) if down else (32, 48))
    for side, axis in ((down, 1), (right, 0)):
        step = float(np.diff(picture.mean(axis).numpy()).sum())
        assert (step * side > 20) if side else abs(step) < 5


def test_a_film_that_is_not_turned_stays(tmp_path: Path) -> None:
    assert frame_at(make(tmp_path / "a.mp4", size=(48, 32)), 1.0).shape == (3, 32, 48)
