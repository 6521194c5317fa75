"""uspl.media.stream: pictures as they are asked for, and the sound around each."""

import math
from pathlib import Path

import pytest
import torch

from tests.helpers import broken_films as films
from uspl.audio import around
from uspl.media import waveform
from uspl.media.stream import loudest, open_audio

RATE = 16_000
TIMES = [0.0, 0.05, 0.4, 0.5, 0.9, 1.3, 1.31, 2.2, 2.49, 2.5, 2.9, 3.0]


@pytest.mark.parametrize("seconds", [0.5, 1.0, 2.0, 5.0])
def test_the_sound_around_a_frame_is_that_of_the_whole_wave(seconds: float, tmp_path: Path) -> None:
    source = films.make(tmp_path / "film.mkv", rate=44100, layout="stereo", late=0.3, heard=2.7)
    wave = waveform(source)
    with open_audio(source, seconds) as window:
        for time in TIMES:
            if time * RATE <= len(wave):
                torch.testing.assert_close(window.around(time), around(wave, time, seconds), atol=1e-6, rtol=0)


def test_a_frame_after_the_end_of_the_sound_hears_zeros(tmp_path: Path) -> None:
    source = films.make(tmp_path / "film.mkv", heard=1.0)
    with open_audio(source, 1.0) as window:
        end = len(waveform(source)) / RATE
        heard = window.around(end + 0.25)
        assert heard[: RATE * 3 // 4 - 1].abs().max() > 0.1
        assert not heard[RATE * 3 // 4 + 1 :].any()
        assert not window.around(end + 1.1).any()


def test_no_more_sound_is_kept_than_is_needed(tmp_path: Path) -> None:
    source = films.make(tmp_path / "film.mkv", seconds=40.0, fps=2)
    with open_audio(source, 1.0) as window:
        for time in range(39):
            window.around(float(time))
            assert len(window._held) < 3 * RATE


def test_the_loudest_second_is_found_early(tmp_path: Path) -> None:
    source = films.make(tmp_path / "film.mkv", loud=0.2)
    assert loudest(source) == pytest.approx(20 * math.log10(0.2 / math.sqrt(2)), abs=0.2)
    assert loudest(source, enough=-90) == pytest.approx(loudest(source), abs=0.5)
    assert loudest(films.make(tmp_path / "silent.mkv", loud=0)) == -100
