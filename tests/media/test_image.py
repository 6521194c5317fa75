"""A JPEG within one grey level of Pillow, all else exactly as Pillow, a sentence for a broken file."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from uspl.core.errors import DataError
from uspl.media.image import picture


def photo(width: int, height: int, seed: int = 0) -> Image.Image:
    """Blobs of all sizes, as in a photograph."""
    rng = np.random.default_rng(seed)
    layers = [Image.fromarray(rng.integers(0, 256, (n, n, 3), np.uint8)).resize((width, height)) for n in (4, 16, 64)]
    return Image.fromarray(np.mean([np.asarray(layer) for layer in layers], axis=0).astype(np.uint8))


def pillow(file: Path, size: int) -> Tensor:
    with Image.open(file) as image:
        shown = image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(shown)).permute(2, 0, 1)


@pytest.mark.parametrize("sides", [(1280, 720), (480, 360), (224, 224), (97, 61), (16, 9)])
@pytest.mark.parametrize("options", [{"quality": 95, "subsampling": 0}, {"quality": 75}, {"progressive": True}])
def test_jpeg_is_within_one_grey_level_of_pillow(
    sides: tuple[int, int], options: dict[str, int], tmp_path: Path
) -> None:
    photo(*sides).save(tmp_path / "a.jpg", **options)
    ours, theirs = picture(tmp_path / "a.jpg", 112).int(), pillow(tmp_path / "a.jpg", 112).int()
    assert ours.shape == (3, 112, 112)
    assert (ours - theirs).abs().max() <= 1
    assert (ours != theirs).float().mean() < 0.02


def test_layout_is_plain(tmp_path: Path) -> None:
    photo(64, 48).save(tmp_path / "a.jpg")
    assert picture(tmp_path / "a.jpg", 32).is_contiguous()
    assert picture(tmp_path / "a.jpg", 32).dtype == torch.uint8


@pytest.mark.parametrize("mode", ["L", "CMYK", "1"])
def test_other_jpegs_are_pillows(mode: str, tmp_path: Path) -> None:
    photo(64, 48).convert(mode).save(tmp_path / "a.jpg", "jpeg")
    assert (picture(tmp_path / "a.jpg", 64).int() - pillow(tmp_path / "a.jpg", 64).int()).abs().max() <= (mode == "L")


@pytest.mark.parametrize(
    ("mode", "kind"), [("RGB", "png"), ("RGBA", "png"), ("P", "gif"), ("I;16", "png"), ("RGB", "webp")]
)
def test_other_formats_are_exactly_pillows(mode: str, kind: str, tmp_path: Path) -> None:
    file = tmp_path / f"a.{kind}"
    photo(60, 40).convert("L" if mode == "I;16" else mode).convert(mode).save(file)
    assert torch.equal(picture(file, 32), pillow(file, 32))


def test_bytes_are_read_as_the_file(tmp_path: Path) -> None:
    photo(60, 40).save(tmp_path / "a.jpg")
    content = (tmp_path / "a.jpg").read_bytes()
    assert torch.equal(picture("nowhere", 32, content=content), picture(tmp_path / "a.jpg", 32))


def test_bytes_after_the_end_do_no_harm(tmp_path: Path) -> None:
    photo(60, 40).save(tmp_path / "a.jpg")
    with (tmp_path / "a.jpg").open("ab") as file:
        file.write(b"\0\0")
    assert torch.equal(picture(tmp_path / "a.jpg", 32), pillow(tmp_path / "a.jpg", 32))


def jpeg() -> bytes:
    buffer = io.BytesIO()
    photo(300, 200).save(buffer, "jpeg")
    return buffer.getvalue()


def vast() -> bytes:
    """A JPEG whose header asks for 65,500 x 65,500 pixels."""
    data = bytearray(jpeg())
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = (65500).to_bytes(2, "big") * 2
    return bytes(data)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no picture",
        jpeg()[:2000],
        jpeg()[:-2],
        b"\xff\xd8\xff\xd9",
        jpeg()[:300] + b"\xff\xd9",
        vast(),
    ],
)
def test_broken_pictures(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.jpg` cannot be read as a picture\."):
        picture(tmp_path / "a.jpg", 32)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.jpg` is missing\."):
        picture(tmp_path / "a.jpg", 32)
    with pytest.raises(DataError, match=r"cannot be read as a picture\."):
        picture(tmp_path, 32)


def turned(file: Path, orientation: int, kind: str) -> Path:
    """A picture as a telephone stores it: the pixels as the sensor has them, a note on how it was held."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo(60, 40).save(file, kind, exif=exif, quality=95)
    return file


# What the standard says that stands at row 0 and at column 0 of the stored pixels, as steps that undo it.
UPRIGHT = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.transpose(1, 0, 2),
    6: lambda x: x[::-1].transpose(1, 0, 2),
    7: lambda x: x[::-1, ::-1].transpose(1, 0, 2),
    8: lambda x: x[:, ::-1].transpose(1, 0, 2),
}


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "tiff"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_a_picture_is_shown_as_it_was_held(orientation: int, kind: str, tmp_path: Path) -> None:
    with Image.open(turned(tmp_path / "plain", 1, kind)) as image:
        stored = np.asarray(image.convert("RGB"))
    expected = Image.fromarray(np.ascontiguousarray(UPRIGHT[orientation](stored)))
    expected = expected.resize((32, 32), Image.Resampling.BILINEAR)
    ours = picture(turned(tmp_path / "a", orientation, kind), 32).permute(1, 2, 0).int()
    assert (ours - torch.from_numpy(np.array(expected)).int()).abs().max() <= 1


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_says_nothing(orientation: int, tmp_path: Path) -> None:
    plain = picture(turned(tmp_path / "plain.jpg", 1, "jpeg"), 32)
    assert torch.equal(picture(turned(tmp_path / "a.jpg", orientation, "jpeg"), 32), plain)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_exif_does_no_harm(tmp_path: Path) -> None:
    turned(tmp_path / "a.jpg", 6, "jpeg")
    data = (tmp_path / "a.jpg").read_bytes()
    at = data.index(b"Exif\0\0") + 6
    for hurt in (b"\xff" * 8, b"II*\0\xff\xff\xff\x7f", b"MM\0*\0\0\0\x01"):
        (tmp_path / "b.jpg").write_bytes(data[:at] + hurt + data[at + 8 :])
        assert picture(tmp_path / "b.jpg", 32).shape == (3, 32, 32)
