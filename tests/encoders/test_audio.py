"""Front ends of the sound, section 4.1."""

import math
import subprocess
import sys

import librosa
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.values import normal, reference, shared_reference
from uspl import audio


def sine(hertz: float, sr: int, seconds: float) -> torch.Tensor:
    n = torch.arange(round(sr * seconds), dtype=torch.float64)
    return torch.sin(2 * math.pi * hertz * n / sr).float()


# Golden values


@pytest.mark.parametrize("clip", ["chirp16k_3s", "chirp16k_1s"])
def test_log_spectrogram_matches_librosa(clip: str) -> None:
    golden = reference("audio_257x301")
    wave = golden[f"{clip}_wave_f32"].float() / 32768
    got = audio.log_spectrogram(wave, 16_000)
    torch.testing.assert_close(got, golden[f"{clip}_log_power_librosa_zero_pad"], rtol=0, atol=1e-4)


def test_a_short_sound_is_repeated_as_by_the_peers() -> None:
    golden = reference("audio_257x301")
    wave = golden["chirp16k_1s_wave_f32"][:16_000].float() / 32768
    got = audio.log_spectrogram(wave, 16_000)
    torch.testing.assert_close(got, golden["chirp16k_1s_log_power_librosa_zero_pad"], rtol=0, atol=1e-4)


@pytest.mark.parametrize("clip", ["chirp16k_3s", "chirp16k_1s", "chirp22k_2s", "short_0p7s_22k"])
def test_peer_spectrogram_matches_the_peers(clip: str) -> None:
    golden = reference("audio_ezvsl_lvs")
    pcm, sr = golden[f"{clip}_wave_i16"].double(), int(golden[f"{clip}_sr"])
    every = next(k for k in golden if k.startswith(f"{clip}_ezvsl_logspec_everycol"))
    found = audio.peer_spectrogram((pcm / 32767).clamp(-1, 1), sr)
    assert list(found.shape) == golden[f"{clip}_ezvsl_shape"].tolist()
    torch.testing.assert_close(found[:, :: int(every[-1])], golden[every], rtol=0, atol=1e-4)
    if f"{clip}_lvs10s_shape" in golden:
        found = audio.peer_spectrogram(pcm / 32768, sr, seconds=10.0) / 12
        torch.testing.assert_close(found[:, ::8], golden[f"{clip}_lvs10s_div12_everycol8"], rtol=0, atol=1e-4)


@pytest.mark.parametrize("clip", ["chirp16k_3s", "chirp16k_1s", "stereo2s", "five_s"])
def test_vggish_patches_match_torchvggish(clip: str) -> None:
    golden = reference("audio_vggish_logmel")
    wave = golden[f"{clip}_wave_i16"].float() / 32768
    wave = wave.mean(1) if wave.ndim == 2 else wave
    expected = golden["five_s_examples_5x96x64" if clip == "five_s" else f"{clip}_examples"]
    got = audio.vggish_patches(wave, 16_000)
    torch.testing.assert_close(got[:, 0], expected, rtol=0, atol=1e-5)


def test_another_rate_matches_torchvggish_on_average() -> None:
    """Resamplers differ near the upper edge, so single values say little."""
    golden = reference("audio_vggish_logmel")
    got = audio.vggish_patches(golden["chirp22k_2s_wave_i16"].float() / 32768, int(golden["chirp22k_2s_sr"]))
    assert (got[:, 0] - golden["chirp22k_2s_examples"]).abs().mean() <= 0.02


def test_mel_matrix_matches_torchvggish() -> None:
    expected = reference("audio_vggish_logmel")["mel_matrix_257x64"]
    torch.testing.assert_close(audio.mel_matrix(), expected, rtol=0, atol=1e-6)


def test_the_mel_matrix_of_librosa_is_another() -> None:
    """Its triangles are linear in Hz, those of VGGish on the mel axis."""
    theirs = librosa.filters.mel(sr=16_000, n_fft=512, n_mels=64, fmin=125, fmax=7500, htk=True, norm=None)
    assert 0.004 < np.abs(theirs.T - audio.mel_matrix().numpy()).max() < 0.005


def test_a_recording_matches_torchvggish_and_librosa() -> None:
    golden = shared_reference("testwav_audio_vggish_logmel")
    patches = audio.vggish_patches(golden["testwav_wave_i16"].float() / 32768, 16_000)
    torch.testing.assert_close(patches[:, 0], golden["testwav_examples"], rtol=0, atol=1e-5)
    golden = shared_reference("testwav_audio_257x301")
    spectrogram = audio.log_spectrogram(golden["testwav_wave_f32"].float() / 32768, 16_000)
    torch.testing.assert_close(spectrogram, golden["testwav_log_power_librosa_zero_pad"], rtol=0, atol=1e-4)


# The formula, slowly


def test_one_column_by_the_fourier_sum() -> None:
    wave, column = normal(0, 48_000).clamp(-1, 1), 17
    centre = column * 160
    n = np.arange(512)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * n / 512)
    frame = wave.double().numpy()[centre - 256 : centre + 256] * hann
    power = [abs(np.sum(frame * np.exp(-2j * np.pi * k * n / 512))) ** 2 for k in range(257)]
    got = audio.log_spectrogram(wave, 16_000)[:, column]
    np.testing.assert_allclose(got.numpy(), np.log(np.array(power) + 1e-7), atol=1e-4)


def test_one_frame_of_a_patch_by_the_sums() -> None:
    wave, row = normal(1, 16_000) * 0.1, 40
    n = np.arange(400)
    frame = wave.double().numpy()[row * 160 : row * 160 + 400] * (0.5 - 0.5 * np.cos(2 * np.pi * n / 400))
    magnitude = [abs(np.sum(frame * np.exp(-2j * np.pi * k * n / 512))) for k in range(257)]
    edges = np.linspace(*(1127 * np.log(1 + np.array([125, 7500]) / 700)), 66)
    expected = []
    for band in range(64):
        left, centre, right = edges[band : band + 3]
        total = 0.0
        for k in range(1, 257):
            mel = 1127 * np.log(1 + k * 16_000 / 512 / 700)
            total += magnitude[k] * max(0.0, min((mel - left) / (centre - left), (right - mel) / (right - centre)))
        expected.append(np.log(total + 0.01))
    np.testing.assert_allclose(audio.vggish_patches(wave, 16_000)[0, 0, row].numpy(), expected, atol=1e-4)


# By hand


def test_a_tone_lights_its_own_row() -> None:
    """1 kHz is bin 1000 / (16000 / 512) = 32."""
    assert (audio.log_spectrogram(sine(1000, 16_000, 3), 16_000)[:, 5:-5].argmax(0) == 32).all()


def test_silence_is_the_floor() -> None:
    assert audio.log_spectrogram(torch.zeros(16_000), 16_000).unique().tolist() == pytest.approx([math.log(1e-7)])
    assert audio.vggish_patches(torch.zeros(16_000), 16_000).unique().tolist() == pytest.approx([math.log(0.01)])


def test_a_long_sound_is_cut_around_its_middle() -> None:
    wave = normal(2, 80_000)
    torch.testing.assert_close(
        audio.log_spectrogram(wave, 16_000), audio.log_spectrogram(wave[16_000:64_000], 16_000), rtol=0, atol=0
    )


@pytest.mark.parametrize("sr", [8_000, 11_025, 22_050, 44_100, 48_000])
def test_resampling_keeps_a_tone(sr: int) -> None:
    got = audio.resample(sine(1000, sr, 2), sr)
    assert len(got) == 32_000
    torch.testing.assert_close(got[1000:-1000], sine(1000, 16_000, 2)[1000:-1000], rtol=0, atol=1e-5)


def test_resampling_removes_what_the_lower_rate_cannot_hold() -> None:
    """12 kHz would fold to 4 kHz."""
    assert audio.resample(sine(12_000, 48_000, 1), 48_000)[1000:-1000].abs().max() < 1e-4


@pytest.mark.parametrize("sr", [7, 8_000, 11_025, 44_100, 96_000])
@pytest.mark.parametrize("n", [1, 2, 7])
def test_resampling_takes_the_shortest_sound(n: int, sr: int) -> None:
    assert len(audio.resample(torch.ones(n), sr)) == math.ceil(n * 16_000 / sr)


def test_librosa_is_imported_late_and_leaves_the_threads_alone() -> None:
    code = (
        "import sys, torch, uspl, uspl.cli.main; from uspl import audio; torch.set_num_threads(2);"
        "late = {'librosa', 'scipy.signal', 'scipy.stats', 'pandas', 'jinja2'} & set(sys.modules);"
        "audio.resample(torch.ones(9), 8_000); audio.peer_spectrogram(torch.ones(999), 999);"
        "print(sorted(late), 'librosa' in sys.modules, torch.get_num_threads())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[] True 2\n"


# Properties


@given(st.integers(1, 4), st.integers(0, 9))
def test_columns_follow_the_seconds(seconds: int, seed: int) -> None:
    assert audio.log_spectrogram(normal(seed, 4_000), 16_000, seconds=seconds).shape == (257, 1 + 100 * seconds)


@given(st.integers(15_600, 64_000))
def test_patches_are_the_whole_blocks(n: int) -> None:
    frames = 1 + (n - 400) // 160
    assert audio.vggish_patches(torch.zeros(n), 16_000).shape == (frames // 96, 1, 96, 64)


@given(st.integers(0, 99))
def test_louder_is_never_less(seed: int) -> None:
    wave = normal(seed, 16_000) * 0.1
    assert (audio.log_spectrogram(2 * wave, 16_000) >= audio.log_spectrogram(wave, 16_000)).all()


def test_numpy_and_torch_agree() -> None:
    wave = normal(3, 16_000)
    torch.testing.assert_close(audio.vggish_patches(wave.numpy(), 16_000), audio.vggish_patches(wave, 16_000))
    assert audio.log_spectrogram(wave.double().numpy(), 16_000).dtype == torch.float32


def test_sounds_side_by_side_are_the_same_as_one_by_one() -> None:
    waves = torch.stack([normal(i, 48_000) * 10.0**-i for i in range(7)])
    singly = torch.stack([audio.vggish_patches(wave, 16_000) for wave in waves])
    torch.testing.assert_close(audio.vggish_batch(waves), singly, rtol=0, atol=1e-6)
    assert audio.vggish_batch(waves[:0]).shape == (0, 3, 1, 96, 64)


# Refused


def test_too_short_for_a_patch() -> None:
    with pytest.raises(ValueError, match=r"`wave` must last at least 0\.975 s .* got 0\.500 s\."):
        audio.vggish_patches(torch.zeros(8_000), 16_000)
    assert len(audio.vggish_patches(torch.zeros(44_100), 44_100)) == 1


def test_empty_sound() -> None:
    with pytest.raises(ValueError, match="`wave` must hold at least one sample"):
        audio.log_spectrogram(torch.zeros(0), 16_000)


@pytest.mark.parametrize("sr", [0, -16_000])
def test_wrong_rate(sr: int) -> None:
    with pytest.raises(ValueError, match="`sr` must be a positive number of samples per second"):
        audio.vggish_patches(torch.zeros(16_000), sr)


def test_peer_spectrogram_refuses_what_has_no_frame() -> None:
    with pytest.raises(ValueError, match=r"at least 512 samples; got 10 samples, 0\.01 s at 16000 Hz"):
        audio.peer_spectrogram(torch.zeros(10), 16_000, seconds=0.01)


def test_wrong_length() -> None:
    with pytest.raises(ValueError, match="`seconds` must be above 0; got 0"):
        audio.log_spectrogram(torch.zeros(16_000), 16_000, seconds=0.0)
