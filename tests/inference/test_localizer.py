"""One picture and one sound in: the map, its mask, its score, and one sentence for what cannot be taken."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.helpers.data_sample import sample
from tests.helpers.models import small, trained
from tests.helpers.values import normal
from uspl import Localizer
from uspl.data import AVSBench, collate
from uspl.gate import Gate
from uspl.maps import resize
from uspl.media import frame_at, waveform

RATE = 16_000


@pytest.fixture(scope="module")
def localizer() -> Localizer:
    return Localizer(trained(small()), map="m_crs")


def picture(height: int = 40, width: int = 56) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def tone(seconds: float = 1.0, rate: int = RATE, hz: float = 440.0) -> np.ndarray:
    return 0.3 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)


@pytest.mark.parametrize("size", [(8, 8), (40, 56), (101, 33)])
def test_maps_have_the_size_of_the_picture(localizer: Localizer, size: tuple[int, int]) -> None:
    found = localizer(picture(*size), tone(), RATE)
    assert found.map.shape == found.mask.shape == size
    assert found.map.dtype == np.float32
    assert found.mask.dtype == bool
    assert 0 <= found.map.min() <= found.map.max() <= 1
    assert found.sounding
    assert np.array_equal(found.mask, found.map > 0.5)
    assert -1 <= found.score <= 1


def test_silence_is_an_empty_mask(localizer: Localizer) -> None:
    found = localizer(picture(), np.zeros(RATE), RATE)
    assert not found.sounding
    assert not found.mask.any()
    assert not found.map.any()
    assert found.loudness == -100


def test_a_gate_shuts_what_agrees_with_no_place() -> None:
    shut = Localizer(trained(small()), gate=Gate(cosine=1.0), map="m_crs")(picture(), tone(), RATE)
    assert not shut.sounding
    assert not shut.mask.any()


@pytest.mark.parametrize("map", ["m", "m_fine", "m_crs"])
def test_it_gives_the_maps_of_the_reader(map: str) -> None:
    """A clip through the data reader, and its frame and sound as arrays."""
    model = trained(small(image_size=32)).eval()
    data = AVSBench(sample(), "test", size=32)
    batch = collate([data[0]])
    with torch.no_grad():
        expected = model.predict_maps(batch.image, {"own": batch.sound}, (map,))["own"][map]
    film = next((sample() / "raw_videos").rglob("test_00000.mp4"))
    image = data[0].frame.permute(1, 2, 0).numpy()
    found = Localizer(model, gate=Gate(loudness=-200.0), map=map)(image, data[0].wave, RATE)
    torch.testing.assert_close(torch.from_numpy(found.map), resize(expected, 32)[0], atol=2e-3, rtol=1e-3)
    assert frame_at(film, 0.5).shape[0] == 3
    assert len(waveform(film)) > RATE


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000, 96_000])
def test_a_sound_may_come_at_any_rate(localizer: Localizer, rate: int) -> None:
    ours, theirs = (localizer(picture(), tone(rate=r), r) for r in (RATE, rate))
    assert abs(ours.score - theirs.score) < 0.02
    assert abs(ours.map - theirs.map).max() < 0.1


def test_channels_are_averaged_and_types_do_not_matter(localizer: Localizer) -> None:
    mono = localizer(picture(), tone(), RATE)
    for wave in (np.stack([tone(), tone()]), torch.from_numpy(tone()), tone().astype(np.float32)):
        found = localizer(picture(), wave, RATE)
        np.testing.assert_allclose(found.map, mono.map, atol=1e-5)


def test_views_of_arrays_are_taken(localizer: Localizer) -> None:
    """Turned round, and read only."""
    image, wave = picture(), tone()
    turned = localizer(image[:, ::-1], wave[::-1], RATE)
    expected = localizer(image[:, ::-1].copy(), wave[::-1].copy(), RATE)
    assert np.array_equal(turned.map, expected.map)
    image.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert localizer(image, wave, RATE).map.shape == (40, 56)


def test_the_middle_of_a_long_sound_is_heard(localizer: Localizer) -> None:
    noise = 0.2 * normal(0, 2 * RATE).numpy()
    long = np.concatenate([noise, tone(), noise])
    np.testing.assert_allclose(localizer(picture(), long, RATE).map, localizer(picture(), tone(), RATE).map, atol=1e-5)


def test_a_short_sound_is_heard_too(localizer: Localizer) -> None:
    assert localizer(picture(), tone(0.1), RATE).sounding
    assert localizer(picture(), np.full(1, 0.5), RATE).map.shape == (40, 56)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a float picture": ({"image": picture() / 255.0}, "`image` must be an array (H, W, 3) of uint8"),
    "a grey picture": ({"image": picture()[..., 0]}, "got uint8 of shape (40, 56)."),
    "channels first": ({"image": picture().transpose(2, 0, 1)}, "got uint8 of shape (3, 40, 56)."),
    "no picture": ({"image": None}, "got NoneType of shape None."),
    "a tiny picture": ({"image": picture(4, 9)}, "`image` must have at least 8 x 8 pixels; got 9 x 4."),
    "integers": ({"wave": np.ones(9, np.int16)}, "`wave` must be float in [-1, 1]; got torch.int16"),
    "no sample": ({"wave": np.zeros(0)}, "at least one sample; got shape (0,)."),
    "samples first": (
        {"wave": np.zeros((RATE, 2))},
        "(channels, n), at least one sample; got shape (16000, 2).",
    ),
    "no number": ({"wave": np.array([np.nan])}, "`wave` must be finite; got NaN or infinity."),
    "no rate": ({"sample_rate": 0}, "`sample_rate` must be an integer of at least 1 Hz; got 0."),
    "half a rate": ({"sample_rate": 44.1}, "`sample_rate` must be an integer of at least 1 Hz; got 44.1."),
}


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(("changes", "says"), REFUSED.values(), ids=REFUSED)
def test_refusals(localizer: Localizer, changes: dict[str, Any], says: str) -> None:
    given = {"image": picture(), "wave": tone(), "sample_rate": RATE} | changes
    with pytest.raises(ValueError) as refused:  # noqa: PT011
        localizer(**given)
    assert says in str(refused.value)
    assert str(refused.value).count("\n") == 0


def test_an_unknown_map_and_an_unknown_model() -> None:
    with pytest.raises(ValueError, match="`map` must be one of m_crs, m_fine, m; got 'm_cos'"):
        Localizer(trained(small()), map="m_cos")
    with pytest.raises(ValueError, match="is no folder that is there"):
        Localizer.from_pretrained("no model")


def test_from_a_folder_with_its_gate(tmp_path: Path) -> None:
    model = trained(small())
    model.about = {"gate": Gate(loudness=-30.0, clips=5, kept=0.9, silence=0.0, noise=0.1).as_dict()}
    found = Localizer.from_pretrained(model.save_pretrained(tmp_path / "m"), map="m_crs", device="cpu")
    assert found.gate.loudness == -30
    assert not found(picture(), 0.01 * tone(), RATE).sounding
    np.testing.assert_allclose(
        found(picture(), tone(), RATE).map, Localizer(model, map="m_crs")(picture(), tone(), RATE).map, atol=1e-6
    )
