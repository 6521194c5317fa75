"""Masks as people write them: what a picture file says of each pixel, by index or by value."""

import numpy as np
from jaxtyping import Shaped, UInt8
from PIL import Image


def labels(image: Image.Image) -> UInt8[np.ndarray, "h w"]:
    """The label of each pixel of a mask, 0 where nothing is marked; labels above 255 become 255.

    Black-and-white and grey pictures of 8, 16 and 32 bits hold the labels themselves. Of a palette the index is the
    label, but where black stands elsewhere than first it is the background, and the others are their grey levels. In
    colour all but black is marked; what is transparent is not, and where only the opacity differs it is the mask. In
    a JPEG less than half of the highest level is noise.
    """
    if image.mode == "P" and "transparency" not in image.info and _by_index(image):
        return np.array(image)
    if image.mode in ("1", "L") or image.mode.startswith(("I", "F")):
        found = _whole(np.asarray(image))
    elif image.has_transparency_data:
        found = _opaque(np.asarray(image.convert("RGBA")))
    else:
        found = _levels(np.asarray(image.convert("RGB")))
    if image.format == "JPEG":
        found[found < found.max() / 2] = 0
    return found


def _by_index(image: Image.Image) -> bool:
    """Whether the index of a palette is the label: black comes first, or nowhere."""
    numbers = image.getpalette("RGB") or [0, 0, 0]
    colours = list(zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True))
    return colours[0] == (0, 0, 0) or (0, 0, 0) not in colours


def _whole(values: Shaped[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w"]:
    """Numbers of any type as labels; a part of 1 is marked."""
    found: UInt8[np.ndarray, "h w"] = np.ceil(np.clip(np.nan_to_num(values.astype(np.float64)), 0, 255)).astype(
        np.uint8
    )
    return found


def _levels(rgb: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w"]:
    """Grey levels, at least 1 where the colour is not black."""
    grey = np.asarray(Image.fromarray(rgb).convert("L"))
    found: UInt8[np.ndarray, "h w"] = np.maximum(grey, rgb.any(axis=2))
    return found


def _opaque(rgba: UInt8[np.ndarray, "h w 4"]) -> UInt8[np.ndarray, "h w"]:
    seen = _levels(np.ascontiguousarray(rgba[..., :3])) * (rgba[..., 3] > 0)
    return seen if seen.any() or not np.ptp(rgba[..., 3]) else rgba[..., 3].copy()
