"""The maps of a film: those of the model, smoothed over time, painted."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.helpers import broken_films as films
from tests.helpers.overlays import go, model, watch
from uspl.audio import around
from uspl.data.batch import MEAN, STD
from uspl.gate import Gate
from uspl.inference.localizer import MAPS
from uspl.inference.predict import patches
from uspl.maps import resize
from uspl.media import waveform
from uspl.media.stream import pictures
from uspl.video import frame_maps, overlay


@pytest.mark.parametrize("name", MAPS)
def test_maps_are_the_models(name: str, tmp_path: Path) -> None:
    """Frames of the model's own size, so that nothing is resized; the sound is cut from the whole wave."""
    source = films.make(tmp_path / "film.mp4")
    wave = waveform(source)
    moments = list(watch(source, map=name, smooth=0))
    for k in (0, 11, 23):
        image = torch.from_numpy(moments[k].picture).permute(2, 0, 1)[None].float() / 255
        image = (image - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
        sound = patches(model(), around(wave, k / 8, 1.0))[None]
        with torch.no_grad():
            maps = model()(image, sound)
        expected = {"m_crs": maps.m_norm, "m_fine": maps.m_fine, "m": maps.m}[name]
        if name != "m_crs":
            torch.testing.assert_close(moments[k].map, resize(expected, 32)[0], atol=1e-4, rtol=1e-4)
        assert moments[k].cosine == pytest.approx(maps.m_crs.max().item(), abs=1e-4)


def test_smoothing_forgets_with_time_and_begins_anew_behind_silence(tmp_path: Path) -> None:
    source = films.make(tmp_path / "film.mkv", times=films.UNEVEN, heard=1.0, grey=lambda n: 16 * n)
    gate = Gate(loudness=-20.0)
    moments = list(watch(source, map="m", gate=gate, smooth=0.3))
    assert {m.active for m in moments} == {True, False}
    last: tuple[float, torch.Tensor] | None = None
    for moment in moments:
        if not moment.active:
            assert not moment.map.any()
            last = None
            continue
        a = 0.0 if last is None else math.exp(-(moment.time - last[0]) / 0.3)
        expected = moment.single if last is None else a * last[1] + (1 - a) * moment.single
        torch.testing.assert_close(moment.map, expected)
        last = moment.time, moment.map
    plain = list(watch(source, map="m", gate=gate, smooth=0))
    assert all(torch.equal(m.map, m.single) for m in plain)
    assert all(torch.equal(p.single, m.single) for p, m in zip(plain, moments, strict=True))


def test_flicker_is_the_share_of_pixels_that_change(tmp_path: Path) -> None:
    source = films.make(tmp_path / "film.mp4", grey=lambda n: 120 * (n % 2))
    moments = list(watch(source, map="m_crs", smooth=0.5))
    for name in ("map", "single"):
        masks = [getattr(m, name) > 0.5 for m in moments]
        changes = [(a != b).float().mean().item() for a, b in itertools.pairwise(masks)]
        found = go(source, smooth=0.5)[0]["flicker"]["smoothed" if name == "map" else "single"]
        assert found == pytest.approx(np.mean(changes), abs=1e-5)
        (tmp_path / "out/masks").rename(tmp_path / f"masks-{name}")
    assert found > 0
    with pytest.raises(ValueError, match=r"^`map` must be one of m_crs, m_fine, m; got 'm_cos'\.$"):
        next(watch(source, map="m_cos"))


def test_paint_is_grey_in_silence_and_cividis_where_it_sounds() -> None:
    picture = np.full((24, 32, 3), (10, 100, 190), np.uint8)
    m = torch.zeros(8, 8)
    mask = np.zeros((24, 32), bool)
    assert (overlay.paint(picture, m, mask) == 100).all()
    m[:, 4:] = 1
    mask[:, 16:] = True
    painted = overlay.paint(picture, m, mask)
    assert (painted[:, :13] == 100).all()
    assert (painted[:, 16] == 255).all()  # the border of the mask
    np.testing.assert_allclose(painted[12, 26], [0.35 * 100 + 0.65 * c for c in (253, 231, 55)], atol=3)


def test_pictures_are_decoded_as_they_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = films.make(tmp_path / "film.mp4", seconds=30.0)
    made: list[float] = []
    monkeypatch.setattr(frame_maps, "pictures", lambda path: (made.append(p[0]) or p for p in pictures(path)))
    moments = watch(source, map="m_crs")
    next(moments)
    assert len(made) == frame_maps.BATCH
    moments.close()
