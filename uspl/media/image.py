"""Picture files: frames and maps of labels."""

import io
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, UInt8
from PIL import Image
from PIL.ExifTags import Base
from torch import Tensor
from torch.nn import functional as F

from uspl.core.errors import DataError
from uspl.media.mask_file import labels

TURNS = {  # EXIF orientation -> what brings the picture upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
NOISE = 2  # grey levels of 255: a smaller difference is no difference


def picture(file: str | Path, size: int, *, content: bytes | None = None) -> UInt8[Tensor, "3 s s"]:
    """A picture file as RGB, upright, resized to (3, size, size) without keeping its aspect.

    A whole JPEG is decoded and resized by torchvision, in half of Pillow's time; the two differ by one grey level
    in about one value of a thousand. All else is Pillow's.

    Args:
        file: any picture Pillow reads; with `content`, the name used in errors.
        size: pixels.
        content: the bytes of the file, where they do not lie in a file of their own.

    Raises:
        DataError: the file is missing or cannot be read.
    """
    try:
        data = Path(file).read_bytes() if content is None else content
    except FileNotFoundError:
        raise DataError(file, "is missing") from None
    except OSError as error:
        raise DataError(file, "cannot be read as a picture") from error
    shown = _jpeg(data)
    if shown is None:
        with _opened(file, data) as image:
            rgb = np.array(_sized(upright(image).convert("RGB"), size, Image.Resampling.BILINEAR))
        return torch.from_numpy(rgb).permute(2, 0, 1).contiguous()
    if shown.shape[1:] != (size, size):
        shown = F.interpolate(shown[None], (size, size), mode="bilinear", antialias=True)[0]
    return shown.contiguous()


def _jpeg(data: bytes) -> UInt8[Tensor, "3 h w"] | None:
    """An RGB or grey JPEG decoded by torchvision; None for what Pillow has to read, or to refuse."""
    if not (data.startswith(b"\xff\xd8") and data.endswith(b"\xff\xd9")):  # torchvision takes half a file for whole
        return None
    from torchvision.io import ImageReadMode, decode_jpeg  # brings all of torchvision: 160 MB that few readers need

    try:
        with Image.open(io.BytesIO(data)) as image:  # reads the header, and refuses sizes that no memory holds
            plain = image.format == "JPEG" and image.mode in ("RGB", "L") and upright(image) is image
        return decode_jpeg(torch.frombuffer(bytearray(data), dtype=torch.uint8), ImageReadMode.RGB) if plain else None
    except (OSError, SyntaxError, RuntimeError, Image.DecompressionBombError):
        return None


def label_map(file: str | Path, size: int) -> UInt8[Tensor, "s s"] | None:
    """A map of labels, (size, size), as `mask_file.labels` reads it; None where the file is not there.

    Raises:
        DataError: the file cannot be read.
    """
    if not Path(file).is_file():
        return None
    with _opened(file, None) as image:
        shown = Image.fromarray(labels(upright(image)))
        return torch.from_numpy(np.array(_sized(shown, size, Image.Resampling.NEAREST)))


def upright(image: Image.Image) -> Image.Image:
    """A picture as its EXIF orientation wants it shown; as it is where it has none, or a damaged one."""
    if image.format == "TIFF":  # Pillow turns it as it loads
        return image
    try:
        turn = TURNS.get(image.getexif().get(Base.Orientation, 1))
    except (SyntaxError, ValueError, KeyError, TypeError, struct.error):
        return image
    return image if turn is None else image.transpose(turn)


def _sized(image: Image.Image, size: int, how: Image.Resampling) -> Image.Image:
    return image if image.size == (size, size) else image.resize((size, size), how)


@contextmanager
def _opened(file: str | Path, content: bytes | None) -> Iterator[Image.Image]:
    try:
        with Image.open(file if content is None else io.BytesIO(content)) as image:
            yield image
    except FileNotFoundError:
        raise DataError(file, "is missing") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(file, "cannot be read as a picture") from error


def thumbnail(picture: Image.Image) -> UInt8[np.ndarray, "32 32 3"]:
    """Mean colours of 32 x 32 cells: what is left of a picture when noise and compression are gone."""
    cells: UInt8[np.ndarray, "32 32 3"] = np.asarray(picture.convert("RGB").resize((32, 32), Image.Resampling.BOX))
    return cells


def flat(cells: UInt8[np.ndarray, "h w 3"]) -> bool:
    """Is a thumbnail one colour, to 2 grey levels?"""
    spread: Bool[np.ndarray, " 3"] = np.ptp(cells.reshape(-1, 3), axis=0) <= NOISE
    return bool(spread.all())


def still(thumbnails: Sequence[UInt8[np.ndarray, "h w 3"]]) -> bool:
    """Do two or more thumbnails show the same picture, to 2 grey levels in every cell?"""
    if len(thumbnails) < 2:
        return False
    return bool(np.ptp(np.stack(thumbnails).astype(np.int16), axis=0).max() <= NOISE)
