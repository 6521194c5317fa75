"""uspl.gate: what is shut and what stays open."""

import math

import pytest
import torch
from torch import Tensor

from tests.helpers.data_sample import sample
from tests.helpers.models import small, trained
from tests.helpers.values import normal
from uspl import audio
from uspl.data import AVSBench
from uspl.gate import Gate
from uspl.video import gate_calibration
from uspl.video.gate_calibration import NOISE


def cosines(own: Tensor, silence: Tensor, noise: Tensor, loud: Tensor) -> dict[str, Tensor]:
    return {"own": own, "silence": silence, "loudness": loud, **dict.fromkeys(NOISE, noise)}


def chosen(monkeypatch: pytest.MonkeyPatch, found: dict[str, Tensor], keep: float = 0.99) -> Gate:
    monkeypatch.setattr(gate_calibration, "cosines", lambda *_, **__: dict(found))
    return gate_calibration.calibrate(trained(small()), AVSBench(sample(), "val", size=32), keep=keep)


def test_where_noise_lies_below_the_cosine_is_halfway(monkeypatch: pytest.MonkeyPatch) -> None:
    own, low = torch.linspace(0.8, 0.9, 200), torch.linspace(-1, 0.4, 200)
    found = chosen(monkeypatch, cosines(own, low - 0.2, low, torch.linspace(-30, -10, 200)))
    assert found.cosine == pytest.approx((own[2].item() + 0.4) / 2, abs=1e-4)
    assert found.loudness == pytest.approx(-29.8 - 20, abs=0.05)
    assert (found.clips, found.kept, found.silence, found.noise) == (200, 1.0, 0.0, 0.0)


@pytest.mark.parametrize("keep", [0.9, 0.99])
def test_where_they_overlap_the_clips_come_first(keep: float, monkeypatch: pytest.MonkeyPatch) -> None:
    own, noise = torch.linspace(0.0, 1.0, 1000), torch.linspace(-0.5, 0.5, 1000)
    found = chosen(monkeypatch, cosines(own, torch.full((1000,), 0.6), noise, torch.full((1000,), -20.0)), keep)
    assert keep <= found.kept <= keep + 0.002
    assert found.silence == 0  # too soft, whatever it agrees with
    assert found.noise == pytest.approx((noise > found.cosine).float().mean().item(), abs=1e-4)
    assert found.noise > 0.3


def test_a_calibrated_model_keeps_its_clips_and_shuts_silence() -> None:
    model, clips = trained(small()), AVSBench(sample(), "val", size=32)
    found = gate_calibration.calibrate(model, clips, batch_size=4)
    assert found.clips == len(clips)
    assert found.kept >= 0.99
    assert found.silence == 0
    assert found == gate_calibration.calibrate(model, clips, batch_size=3)
    assert Gate.from_dict(found.as_dict()) == found


def test_cosines_are_the_greatest_of_the_coarse_map() -> None:
    model, clips = trained(small()).eval(), AVSBench(sample(), "val", size=32)
    found = gate_calibration.cosines(model, clips)
    assert set(found) == {"own", "silence", "loudness", *NOISE}
    assert {tuple(x.shape) for x in found.values()} == {(len(clips),)}
    from uspl.data import collate

    batch = collate([clips[0], clips[1]])
    with torch.no_grad():
        expected = model(batch.image, batch.sound).m_crs.amax((1, 2))
    torch.testing.assert_close(found["own"][:2], expected, atol=1e-4, rtol=1e-4)
    assert found["loudness"][0].item() == pytest.approx(20 * math.log10(clips[0].wave.square().mean().sqrt()), abs=1e-3)


def test_noise_is_as_loud_and_as_coloured_as_it_says() -> None:
    generator = torch.Generator().manual_seed(0)
    white, pink = (gate_calibration._noise(1 << 16, power, -20, generator) for power in (0, 1))
    for wave in (white, pink):
        assert audio.loudness(wave).item() == pytest.approx(-20, abs=0.01)
    power = torch.fft.rfft(pink).abs().square()
    low, high = power[1000:2000].mean(), power[10_000:20_000].mean()
    assert low / high == pytest.approx(10, rel=0.1)
    flat = torch.fft.rfft(white).abs().square()
    assert flat[1000:2000].mean() / flat[10_000:20_000].mean() == pytest.approx(1, rel=0.15)


def test_loudness_of_many_sounds() -> None:
    waves = normal(0, 3, 16_000) * torch.tensor([[1.0], [0.1], [0.0]])
    found = audio.loudness(waves)
    torch.testing.assert_close(found[:2], torch.tensor([0.0, -20.0]), atol=0.2, rtol=0)
    assert found[2] == -100


def test_refusals() -> None:
    with pytest.raises(ValueError, match=r"^`keep` must be in \(0, 1\); got 1\.$"):
        gate_calibration.calibrate(trained(small()), AVSBench(sample(), "val", size=32), keep=1)
    with pytest.raises(ValueError, match=r"^`gate` has no field `pitch`; it was written by another version of uspl\.$"):
        Gate.from_dict({"pitch": 1})
