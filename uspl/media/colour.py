"""Decoded frames as RGB with a player's colours: the matrix of their standard, high dynamic range mapped."""

from functools import lru_cache

import av
import numpy as np
from av.video.reformatter import Colorspace
from jaxtyping import Float, UInt8
from PIL import Image, ImageFilter

UNTOLD = 2  # of a frame whose file does not name its colour matrix
HD = 576  # rows: a higher picture of no named matrix is BT.709, as players guess
PQ, HLG = 16, 18  # transfer characteristics, ITU-T H.273
PEAK, WHITE = 1000.0, 203.0  # cd/m^2: the brightest that is told apart, and white paper (ITU-R BT.2408)
KNEE = 0.6  # of the standard range: below it light stays as it is
TO_709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]])  # BT.2407
GRID = 65  # colours a side of the table


def rgb(frame: av.VideoFrame) -> UInt8[np.ndarray, "h w 3"]:
    """A frame as RGB in [0, 255], as it is stored: not turned upright."""
    untold = frame.colorspace == UNTOLD and frame.height > HD and not frame.format.is_rgb
    # One thread: those that start for so little cost more than the work.
    shown: np.ndarray = frame.to_ndarray(
        format="rgb24", threads=1, src_colorspace=Colorspace.ITU709 if untold else None
    )
    if frame.color_trc in (PQ, HLG):
        shown = np.asarray(Image.fromarray(shown).filter(_table(frame.color_trc)))
    return shown


@lru_cache(maxsize=2)
def _table(transfer: int) -> ImageFilter.Color3DLUT:
    """The standard range's colour of each colour of a grid; Pillow interpolates between them."""
    steps = np.linspace(0, 1, GRID)
    blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")
    return ImageFilter.Color3DLUT(GRID, standard(np.stack([red, green, blue], -1).reshape(-1, 3), transfer).ravel())


def standard(codes: Float[np.ndarray, "n 3"], transfer: int) -> Float[np.ndarray, "n 3"]:
    """Colours of high dynamic range, BT.2020 in [0, 1], as BT.709 codes in [0, 1].

    Light up to `KNEE` of white stays; above it, up to `PEAK`, it is pressed together (extended Reinhard), by the
    same factor in the three colours.
    """
    light = np.minimum(_pq(codes) if transfer == PQ else _hlg(codes), PEAK) / WHITE
    strongest = np.maximum(light.max(axis=1, keepdims=True), 1e-6)
    over, most = (np.maximum(x - KNEE, 0) / (1 - KNEE) for x in (strongest, PEAK / WHITE))
    pressed = np.minimum(strongest, KNEE) + (1 - KNEE) * over * (1 + over / most**2) / (1 + over)
    linear = np.clip((light * pressed / strongest) @ TO_709.T, 0, 1)
    return np.asarray(linear ** (1 / 2.4))  # the display of BT.1886


def _pq(codes: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    """SMPTE ST 2084, in cd/m^2."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 107 / 128, 2413 / 128, 2392 / 128
    power = codes ** (1 / m2)
    return np.asarray(10_000 * (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1))


def _hlg(codes: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    """ARIB STD-B67 on a display of `PEAK`, in cd/m^2."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(codes <= 0.5, codes**2 / 3, (np.exp((codes - c) / a) + b) / 12)
    brightness = scene @ np.array([0.2627, 0.6780, 0.0593])
    return np.asarray(PEAK * scene * np.maximum(brightness, 1e-9)[:, None] ** 0.2)
