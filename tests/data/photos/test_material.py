"""Material from folders and from VOC 2012 with ESC-50; what is refused, each in one sentence."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.photo_material import CLASSES, cutout, folders, material, put, tone, view
from uspl.cli import make_sounding_photos
from uspl.core.errors import DataError
from uspl.data.photos.folders import from_folders
from uspl.data.photos.material import NEVER, Material, pools
from uspl.data.photos.material import cutout as read_cutout
from uspl.data.photos.voc_esc import from_voc_and_esc


def test_folders_become_material() -> None:
    m = material()
    assert m.classes == CLASSES
    pairs = [(k, h) for k in range(5) for h in (False, True)]
    assert sorted((p.owner, p.held) for p in m.photos) == [(NEVER, False), *pairs]
    assert [(r.owner, r.held) for r in m.recordings] == pairs
    assert [b.pool for b in m.backgrounds] == ["train"] * 5 + ["val", "test", "new_background"]
    assert all(p.pixels.shape[2] == 4 and (p.pixels[0, :, 3] >= 128).any() for p in m.photos)  # cut to what is seen


def test_saved_and_loaded(tmp_path: Path) -> None:
    material().save(tmp_path / "m.npz")
    again = Material.load(tmp_path / "m.npz")
    for mine, theirs in zip(material().photos + material().recordings, again.photos + again.recordings, strict=True):
        assert mine[0] == theirs[0]
        assert mine.source == theirs.source
        assert np.array_equal(mine[1], theirs[1])
    put(tmp_path / "m.npz", b"PK")
    with pytest.raises(DataError, match="cannot be read; remove the folder or name another"):
        Material.load(tmp_path / "m.npz")


@pytest.mark.parametrize("number", range(4, 60, 7))
def test_every_pool_has_a_background(number: int) -> None:
    assert {"train", "val", "test", "new_background"} == set(pools(number))
    assert len(pools(number)) == number


@pytest.mark.parametrize(
    ("file", "data", "says"),
    [
        ("cutouts/dog/0.png", cutout(1, mode="RGB"), "has no alpha channel; a cut-out needs one, for it is the mask"),
        ("cutouts/dog/0.png", b"no picture", "cannot be read as a picture"),
        ("recordings/dog/0.wav", tone(300, level=0), "is silent"),
        ("recordings/dog/0.wav", b"RIFF", "cannot be"),
        ("recordings/duck/0.wav", tone(300), "has no cut-out with alpha"),
    ],
)
def test_bad_pieces_are_named(tmp_path: Path, file: str, data: bytes, says: str) -> None:
    places = folders(tmp_path)
    put(tmp_path / file, data)
    with pytest.raises(DataError, match=says) as refused:
        from_folders(*places)
    assert str(Path(file).parent) in str(refused.value)


def test_opaque_and_invisible_cutouts() -> None:
    for alpha, says in ((255, "it is opaque everywhere"), (0, "nothing can be seen of it")):
        image = Image.new("RGBA", (20, 20), (9, 9, 9, alpha))
        buffer = io.BytesIO()
        image.save(buffer, "png")
        with pytest.raises(DataError, match=says):
            read_cutout("x.png", buffer.getvalue())


def test_too_little(tmp_path: Path) -> None:
    cutouts, recordings, backgrounds = folders(tmp_path)
    for name in CLASSES[1:]:
        for file in (recordings / name).iterdir():
            file.unlink()
    with pytest.raises(DataError, match="holds 1 classes with cut-outs and recordings; 2 are needed"):
        from_folders(cutouts, recordings, backgrounds)
    put(recordings / "dog" / "0.wav", tone(300))
    for k in range(3, 8):
        (backgrounds / f"{k}.png").unlink()
    with pytest.raises(DataError, match="has 3 backgrounds; 4 or more are needed"):
        from_folders(cutouts, recordings, backgrounds)
    with pytest.raises(DataError, match="is no folder; it should hold the cut-outs, one sub-folder per class"):
        from_folders(tmp_path / "nowhere", recordings, backgrounds)


def test_a_classifier_that_disagrees_is_believed(tmp_path: Path) -> None:
    places = folders(tmp_path)

    def hears(wave: np.ndarray) -> dict[str, float]:
        return {"Dog": 0.03, "Rooster": 0.9, "Speech": 0.1}

    says = r"0.wav` does not sound like `dog`: YAMNet hears Rooster \(0.90\), and Dog with 0.03; remove it"
    with pytest.raises(DataError, match=says):
        from_folders(*places, classify=hears)
    assert from_folders(*places, classify=lambda wave: {"Dog": 0.5, "Rooster": 0.9}).classes == CLASSES


def test_nothing_half_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cutouts, recordings, backgrounds = folders(tmp_path / "material")
    put(cutouts / "dog" / "0.png", cutout(1, mode="RGB"))
    given = ["--cutouts", str(cutouts), "--recordings", str(recordings), "--backgrounds", str(backgrounds)]
    assert make_sounding_photos.main([str(tmp_path / "set"), *given]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "set").exists()
    assert make_sounding_photos.main([str(tmp_path / "set"), *given[:2]]) == 2
    said = "`--recordings` is missing: --cutouts, --recordings, --backgrounds go together.\n"
    assert capsys.readouterr().err == said
    assert not (tmp_path / "set").exists()


# VOC 2012 and ESC-50


def shaped(home: Path) -> tuple[Path, Path]:
    """Folders shaped as VOC 2012 and ESC-50: a cat and a cut-off dog on one picture, a dog, and chairs alone."""
    voc, esc = home / "VOC2012", home / "ESC-50"
    cat, chair, dog = 8, 9, 12
    scenes = {
        "1": [(cat, (20, 20, 80, 90)), (dog, (100, 60, 200, 120))],
        "2": [(dog, (40, 30, 120, 100))],
        **{f"v{k}": [(chair, (10, 10, 60, 60))] for k in range(4)},
    }
    for name, objects in scenes.items():
        masks = np.zeros((2, 130, 200), np.uint8)
        for k, (kind, (x0, y0, x1, y1)) in enumerate(objects, 1):
            masks[:, y0:y1, x0:x1] = 255
            masks[:, y0 + 2 : y1 - 2, x0 + 2 : x1 - 2 if x1 < 200 else 200] = np.array([kind, k], np.uint8)[
                :, None, None
            ]
        for folder, mask in zip(("SegmentationClass", "SegmentationObject"), masks, strict=True):
            (voc / folder).mkdir(parents=True, exist_ok=True)
            image = Image.fromarray(mask, "P")
            image.putpalette(list(range(256)) * 3)
            image.save(voc / folder / f"{name}.png")
        (voc / "JPEGImages").mkdir(exist_ok=True)
        Image.fromarray(np.full((130, 200, 3), 60 + len(name) * 20, np.uint8)).save(voc / "JPEGImages" / f"{name}.jpg")
    rows = ["filename,fold,target,category,esc10,src_file,take"]
    for k, kind in enumerate(("cat", "dog", "dog", "rain")):
        rows.append(f"{k}.wav,1,{k},{kind},False,1,A")
        put(esc / "audio" / f"{k}.wav", tone(200 + 50 * k, seconds=5))
    put(esc / "meta" / "esc50.csv", "\n".join(rows).encode())
    return voc, esc


def test_voc_and_esc(tmp_path: Path) -> None:
    m = from_voc_and_esc(*shaped(tmp_path))
    assert m.classes == ("cat", "dog")
    assert [p.source.file for p in m.photos] == ["1.jpg", "2.jpg"]  # the dog at the edge is left out
    assert m.photos[0].pixels.shape == (66, 56, 4)
    assert (m.photos[0].pixels[..., 3] == 255).all()
    assert [r.source.file for r in m.recordings] == ["0.wav", "1.wav", "2.wav"]
    assert [b.source.file for b in m.backgrounds] == [f"v{k}.jpg" for k in range(4)]


def test_voc_and_esc_that_are_none(tmp_path: Path) -> None:
    voc, esc = shaped(tmp_path)
    with pytest.raises(DataError, match=r"esc50\.csv` is missing"):
        from_voc_and_esc(voc, tmp_path)
    with pytest.raises(DataError, match="SegmentationObject` is missing; the folder of VOC 2012 holds it"):
        from_voc_and_esc(tmp_path, esc)
    put(esc / "meta" / "esc50.csv", b"name,kind\n1.wav,dog\n")
    with pytest.raises(DataError, match="is no table of ESC-50: it needs the columns filename and category"):
        from_voc_and_esc(voc, esc)
    put(voc / "JPEGImages" / "1.jpg", view(1))
    (voc / "JPEGImages" / "2.jpg").unlink()
    with pytest.raises(DataError, match="is no table"):
        from_voc_and_esc(voc, esc)
