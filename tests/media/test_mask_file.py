"""One mask in every encoding that people write: the same pixels are marked."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from uspl.media import label_map

MARKED = np.zeros((24, 24), bool)
MARKED[3:11, 5:20] = MARKED[15:20, 2:6] = True
ANY = MARKED.astype(np.uint8)


def palette(index: np.ndarray, *colours: tuple[int, int, int], **info: object) -> Image.Image:
    image = Image.fromarray(index.astype(np.uint8), "P")
    image.putpalette([level for colour in colours for level in colour])
    image.info |= info
    return image


def rgba(seen: tuple[int, int, int, int], rest: tuple[int, int, int, int]) -> Image.Image:
    return Image.fromarray(np.where(MARKED[..., None], np.uint8(seen), np.uint8(rest)), "RGBA")


BLACK, WHITE, RED = (0, 0, 0), (255, 255, 255), (128, 0, 0)
ENCODINGS: dict[str, Callable[[], Image.Image]] = {
    "0 and 255": lambda: Image.fromarray(ANY * 255),
    "0 and 1": lambda: Image.fromarray(ANY),
    "1 bit": lambda: Image.fromarray(MARKED),
    "16 bit, 0 and 65535": lambda: Image.fromarray(ANY.astype(np.uint16) * 65535),
    "16 bit, 0 and 1": lambda: Image.fromarray(ANY.astype(np.uint16)),
    "16 bit, 0 and 256": lambda: Image.fromarray(ANY.astype(np.uint16) * 256),
    "RGB white": lambda: Image.fromarray(np.repeat(ANY[..., None] * 255, 3, 2)),
    "RGB 0 and 1": lambda: Image.fromarray(np.repeat(ANY[..., None], 3, 2)),
    "RGB, the first channel": lambda: Image.fromarray(np.dstack([ANY, 0 * ANY, 0 * ANY])),
    "RGB, the last channel": lambda: Image.fromarray(np.dstack([0 * ANY, 0 * ANY, ANY])),
    "RGBA opaque": lambda: rgba((255, 255, 255, 255), (0, 0, 0, 255)),
    "RGBA, black below": lambda: rgba((255, 0, 0, 255), (0, 0, 0, 0)),
    "RGBA, white below": lambda: rgba((255, 255, 255, 255), (255, 255, 255, 0)),
    "RGBA, opacity alone": lambda: rgba((0, 0, 0, 255), (0, 0, 0, 0)),
    "grey and opacity": lambda: rgba((255, 255, 255, 255), (0, 0, 0, 255)).convert("LA"),
    "palette by index": lambda: palette(ANY, BLACK, RED),
    "palette by value, turned round": lambda: palette(1 - ANY, WHITE, BLACK),
    "palette by value, black in the middle": lambda: palette(1 + ANY, RED, BLACK, WHITE),
    "palette all black": lambda: palette(ANY, BLACK, BLACK),
    "palette without black": lambda: palette(ANY, (68, 1, 84), (253, 231, 37)),
    "palette with a transparent colour": lambda: palette(ANY, WHITE, RED, transparency=0),
}


@pytest.mark.parametrize("name", ENCODINGS)
def test_every_encoding_marks_the_same_pixels(name: str, tmp_path: Path) -> None:
    ENCODINGS[name]().save(tmp_path / "mask.png", **ENCODINGS[name]().info)
    found = label_map(tmp_path / "mask.png", 24)
    assert found is not None
    assert np.array_equal(found.numpy() > 0, MARKED)


@pytest.mark.parametrize("kind", ["bmp", "tiff", "gif", "webp"])
def test_other_files(kind: str, tmp_path: Path) -> None:
    Image.fromarray(ANY * 255).save(tmp_path / f"mask.{kind}", lossless=True)
    found = label_map(tmp_path / f"mask.{kind}", 24)
    assert found is not None
    assert np.array_equal(found.numpy() > 0, MARKED)


def test_the_noise_of_a_jpeg_is_not_marked(tmp_path: Path) -> None:
    Image.fromarray(ANY * 255).save(tmp_path / "mask.jpg", quality=75)
    found = label_map(tmp_path / "mask.jpg", 24)
    assert found is not None
    assert np.array_equal(found.numpy() > 0, MARKED)


def test_labels_are_kept(tmp_path: Path) -> None:
    numbers = np.arange(256, dtype=np.uint8).reshape(16, 16)
    grey, indexed = Image.fromarray(numbers), palette(numbers, BLACK, *((k, 255 - k, 7) for k in range(255)))
    for name, image in (("grey", grey), ("wide", Image.fromarray(numbers.astype(np.uint16))), ("indexed", indexed)):
        image.save(tmp_path / f"{name}.png")
        found = label_map(tmp_path / f"{name}.png", 16)
        assert found is not None
        assert np.array_equal(found.numpy(), numbers)
