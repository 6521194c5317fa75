"""The sound of a film as a player plays it: tracks, channels, pauses, clipping; streams hear the same."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.helpers.sound_films import Track, channels, film, tone
from tests.helpers.values import shared
from uspl.core.errors import DataError
from uspl.media import clip_at, waveform
from uspl.media.downmix import mono
from uspl.media.stream import open_audio

RMS = 0.3 / 2**0.5
SILENT = np.zeros((2, 48_000), np.float32)


def heard(path: Path, begin: float = 0.2, end: float = 2.8) -> float:
    """RMS of a part of the sound; the stream of the same film hears it too."""
    wave = waveform(path)
    with open_audio(path, 1.0) as window:
        torch.testing.assert_close(window.around(1.5), wave[16_000:32_000], atol=1e-6, rtol=0)
    return float(wave[round(begin * 16_000) : round(end * 16_000)].square().mean().sqrt())


MIXES = {  # layout -> channels that hold the tone, and what is heard of it
    "mono": {"FC": (1, 1)},
    "stereo": {"FL": (1, 1), "FR": (1, 1)},
    "one side": {"FL": (1, 0.5)},
    "opposite phase": {"FL": (1, 1), "FR": (-1, 0)},
    "nearly opposite": {"FL": (1, 1), "FR": (-0.8, 0)},
    "louder on the right": {"FL": (0.5, 0), "FR": (-0.6, 0.6)},
}


@pytest.mark.parametrize("kind", MIXES)
def test_stereo_is_its_mean_and_opposite_phase_the_louder_channel(kind: str, tmp_path: Path) -> None:
    gains = {name: sign for name, (sign, _) in MIXES[kind].items()}
    layout = "mono" if kind == "mono" else "stereo"
    wave = channels(layout, **{name: np.float32(sign) * tone() for name, sign in gains.items()})
    expected = sum(share for _, share in MIXES[kind].values()) * (0.5 if kind == "stereo" else 1)
    if kind == "louder on the right":
        expected = 0.5  # the first that is about as loud as the loudest
    assert heard(film(tmp_path / "a.mkv", Track(wave, layout))) == pytest.approx(RMS * expected, rel=0.02)


def test_the_mean_of_ordinary_stereo_is_exact(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(-9000, 9000, (2, 48_000)).astype(np.float32) / 32768
    wave = waveform(film(tmp_path / "a.mkv", Track(noise)))
    assert torch.equal(wave, torch.from_numpy(noise.mean(axis=0)))


def test_a_film_may_turn_its_phase_on_the_way(tmp_path: Path) -> None:
    wave = channels("stereo", FL=tone(), FR=np.where(np.arange(48_000) < 24_000, 1, -1).astype(np.float32) * tone())
    path = film(tmp_path / "a.mkv", Track(wave))
    assert heard(path, 0.1, 1.4) == pytest.approx(RMS, rel=0.02)
    assert heard(path, 1.6, 2.9) == pytest.approx(RMS, rel=0.02)


@pytest.mark.parametrize("layout", ["3.0", "4.0", "5.0", "5.1", "5.1(side)", "6.1", "7.1", "7.1(wide)"])
def test_the_usual_downmix(layout: str, tmp_path: Path) -> None:
    centre = film(tmp_path / "centre.mov", Track(channels(layout, FC=tone()), layout))
    assert heard(centre) == pytest.approx(RMS, rel=0.02)
    sides = film(tmp_path / "sides.mov", Track(channels(layout, FL=tone(), FR=tone()), layout))
    assert heard(sides) == pytest.approx(RMS, rel=0.02)
    turned = film(tmp_path / "turned.mov", Track(channels(layout, FL=tone(), FR=-tone()), layout))
    assert heard(turned) == pytest.approx(RMS, rel=0.02)
    every = np.tile(tone(), (len(channels(layout, FC=tone())), 1))
    assert heard(film(tmp_path / "every.mov", Track(every, layout))) == pytest.approx(RMS, rel=0.02)


def test_what_is_behind_is_softer_and_the_bass_channel_is_left_out(tmp_path: Path) -> None:
    behind = film(tmp_path / "behind.mkv", Track(channels("5.1", BL=tone(), BR=tone()), "5.1"))
    assert heard(behind) == pytest.approx(RMS * 0.5**0.5, rel=0.02)
    bass = film(tmp_path / "bass.mkv", Track(channels("5.1", LFE=tone(), FC=0.1 * tone(hertz=700)), "5.1"))
    assert heard(bass) == pytest.approx(0.1 * RMS, rel=0.03)


def test_arrays_of_channels_are_mixed_alike() -> None:
    np.testing.assert_allclose(mono(np.stack([tone(), -tone()]), 16_000), tone())
    np.testing.assert_allclose(mono(channels("5.1", FC=tone()), 16_000), tone())
    assert np.array_equal(mono(tone()[None], 16_000), tone())


@pytest.mark.parametrize("codec", ["pcm_s16le", "aac"])
@pytest.mark.parametrize(
    ("tones", "default", "taken"),
    [
        ((0.0, 0.3), None, "number 2, the loudest"),
        ((0.0, 0.3), 0, "number 2, the loudest"),  # marked as default, and silent
        ((0.3, 0.1), 1, "number 2, the default"),
        ((0.1, 0.2, 0.3), None, "number 3, the loudest"),
        ((0.3, 0.0, 0.3), None, "number 1, the loudest"),
    ],
)
def test_the_track_that_is_heard(
    codec: str, tones: tuple[float, ...], default: int | None, taken: str, tmp_path: Path
) -> None:
    form = "fltp" if codec == "aac" else "s16"
    tracks = [
        Track(np.stack([tone(loud=loud)] * 2), codec=codec, format=form, default=n == default)
        for n, loud in enumerate(tones)
    ]
    path, notes = film(tmp_path / "a.mkv", *tracks), list[str]()
    waveform(path, notes=notes)
    assert notes == [f"has {len(tones)} sound tracks; {taken}, is heard"]
    assert heard(path) == pytest.approx(tones[int(taken[7]) - 1] / 2**0.5, rel=0.03)
    picture_notes: list[str] = []
    clip_at(path, 1.5, seconds=1.0, notes=picture_notes)
    assert picture_notes == notes


def test_a_track_of_opposite_phase_is_not_taken_for_silent(tmp_path: Path) -> None:
    soft = Track(np.stack([tone(loud=0.05)] * 2))
    assert heard(film(tmp_path / "a.mkv", soft, Track(np.stack([tone(), -tone()])))) == pytest.approx(RMS, rel=0.02)


OPUS = {"codec": "libopus", "rate": 48_000, "format": "flt"}


@pytest.mark.parametrize(
    ("spans", "told"),
    [
        ([(1.0, 1.6)], "1.01 to 1.61 s"),
        ([(1.0, 1.2)], "1.01 to 1.21 s"),  # shorter than a quarter of a second, too
        ([(-0.1, 1.0)], None),  # the sound begins late
        ([(2.0, 3.1)], "2.01 to 3.00 s"),
        ([(0.5, 1.0), (1.5, 2.0)], "0.51 to 1.01 s, 1.51 to 2.01 s"),
    ],
)
def test_a_pause_that_is_not_stored_is_silence_in_place(
    spans: list[tuple[float, float]], told: str | None, tmp_path: Path
) -> None:
    track = Track(np.stack([tone(rate=48_000)] * 2), **OPUS, unstored=spans)  # type: ignore[arg-type]
    path, notes = film(tmp_path / "a.mkv", track), list[str]()
    wave = waveform(path, notes=notes)
    assert len(wave) == pytest.approx(48_000, abs=600)
    assert notes == ([f"has pauses in its sound that are not stored, silent here: {told}"] if told else [])
    silent = np.zeros(48_000, bool)
    for begin, end in spans:
        silent[max(round(begin * 16_000), 0) : round(end * 16_000)] = True
    power = np.square(wave[:47_000].numpy()).reshape(-1, 1000).mean(1) ** 0.5
    inside, outside = (x[:47_000].reshape(-1, 1000).all(1) for x in (silent, ~silent))
    edge = np.convolve(inside, np.ones(3), "same") % 3 > 0  # a codec needs a moment after a pause
    assert power[inside & ~edge].max() < 0.01
    assert power[outside & ~edge][1:].min() > 0.18


@pytest.mark.parametrize("codec", [OPUS, {"codec": "pcm_s16le", "rate": 16_000}])
@pytest.mark.parametrize("span", [(1.2, 1.8), (0.0, 2.0), (2.0, 3.0)])
def test_what_is_cut_out_of_a_pause_is_silent(
    codec: dict[str, object], span: tuple[float, float], tmp_path: Path
) -> None:
    track = Track(np.stack([tone(rate=codec["rate"])] * 2), **codec, unstored=[span])  # type: ignore[arg-type]
    path, middle = film(tmp_path / "a.mkv", track), sum(span) / 2
    if span[1] == 3.0 and codec is not OPUS:
        with pytest.raises(DataError, match="is truncated: sound ends at 2"):  # PCM stores its silence
            clip_at(path, middle, seconds=0.4)
        return
    _, wave = clip_at(path, middle, seconds=0.4)
    assert len(wave) == 6400
    assert wave.abs().max() < 1e-3


def test_rate_and_channels_may_change_on_the_way(tmp_path: Path) -> None:
    first = film(tmp_path / "1.ts", Track(tone(rate=48_000)[None], "mono", "aac", 48_000, "fltp"))
    second = film(tmp_path / "2.ts", Track(np.stack([tone(rate=32_000)] * 2), "stereo", "aac", 32_000, "fltp"))
    (tmp_path / "a.aac.ts").write_bytes(first.read_bytes() + second.read_bytes())
    wave = waveform(tmp_path / "a.aac.ts")
    assert float(wave[8_000:40_000].square().mean().sqrt()) == pytest.approx(RMS, rel=0.03)
    assert float(wave[-40_000:-8_000].square().mean().sqrt()) == pytest.approx(RMS, rel=0.03)


@pytest.mark.parametrize(
    ("peak", "told"), [(1.2, "37.5% of its sound is above full scale, the peak is 1.20"), (0.99, "")]
)
def test_clipping_is_told(peak: float, told: str, tmp_path: Path) -> None:
    notes: list[str] = []
    wave = np.stack([tone(loud=peak)] * 2)
    waveform(film(tmp_path / "a.mkv", Track(wave, codec="pcm_f32le", format="flt")), notes=notes)
    assert notes == ([f"is clipped: {told}"] if told else [])


CASES = {"anti.mp4": 0.2, "two.mkv": 0.2, "fiveone.mkv": 0.145, "gap.mkv": 0.15}


@pytest.mark.parametrize("name", CASES)
def test_reported_films(name: str) -> None:
    assert CASES[name] < waveform(shared(f"cases/{name}")).square().mean().sqrt() < 0.22
