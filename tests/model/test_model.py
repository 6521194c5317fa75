"""The whole method, Fig. 2: shapes, counts of Table 3, what carries a gradient."""

from functools import lru_cache

import pytest
import torch
from torch import Tensor

from benchmarks.costs import counts
from tests.helpers.models import small
from tests.helpers.values import random
from uspl.config import Config
from uspl.maps import normalise_map, resize
from uspl.model import USPL, Maps
from uspl.segment import ASPPFPNDecoder


@lru_cache(maxsize=1)
def default_maps() -> Maps:
    return maps(small())


def maps(cfg: Config) -> Maps:
    """From a random start; in training mode, so that batch statistics spread the cosines over both signs."""
    torch.manual_seed(0)
    return USPL(cfg).train()(random(0, 2, 3, 32, 32), random(1, 2, 1, 1, 96, 64))


# Table 3


def test_the_paper_sized_model_has_the_papers_counts() -> None:
    """The sound network is not counted; the visual projector runs twice; batch norm adds .05 G to the encoder."""
    found = counts.counts()
    for name, millions, billions in (("coarse", 24.13, 6.46), ("sps", 68.12, 38.60), ("smr", 69.63, 40.71)):
        assert found[name]["parameters"] == pytest.approx(millions, abs=0.01)
        assert found[name]["multiply_adds"] == pytest.approx(billions, abs=0.01)
    assert found["smr-alone"]["multiply_adds"] == pytest.approx(40.71 - 38.60 + 6.46, abs=0.01)
    assert found["vggish"]["parameters"] == pytest.approx(72.14, abs=0.01)


# Every map


def test_shapes_and_ranges() -> None:
    out = default_maps()
    assert {k: tuple(v.shape) for k, v in out._asdict().items()} == {
        "f_a": (2, 8),
        "f_v": (2, 8, 4, 4),
        "m_crs": (2, 4, 4),
        "m_norm": (2, 16, 16),
        "m_rf": (2, 16, 16),
        "y_tri": (2, 16, 16),
        "f_aff": (2, 8, 16, 16),
        "m_fine": (2, 16, 16),
        "logits": (2, 32, 32),
        "m": (2, 32, 32),
    }
    assert out.m_crs.abs().max() <= 1
    torch.testing.assert_close(out.m_norm, resize(normalise_map(out.m_crs, "relu_max"), 16))
    assert set(out.y_tri.unique().tolist()) <= {0, 1, 255}
    for m in (out.m_norm, out.m_rf, out.m_fine, out.m):
        assert 0 <= m.min() <= m.max() <= 1 + 1e-5


@pytest.mark.parametrize(
    "changes",
    [
        {"refine": "par"},
        {"refine_size": 32},
        {"map_range": "minmax"},
        {"metric": "chebyshev"},
        {"reduce": "sum"},
        {"reading": "squarings"},
        {"aff_block": "concat"},
        {"fuse_on": "projected"},
        {"rcu_inplace": True},
        {"projector": "mlp"},
        {"projector_norm": False},
    ],
)
def test_every_other_reading_runs_and_changes_the_maps(changes: dict[str, object]) -> None:
    default, other = default_maps(), maps(small(**changes))
    assert all(torch.isfinite(m.float()).all() for m in other)
    assert any(a.shape == b.shape and not torch.equal(a, b) for a, b in zip(default, other, strict=True))


WIDTHS = (256, 512, 1024, 2048)


def test_the_printed_dims_do_not_fit_table_3() -> None:
    """Section 4.1 prints [256, 512, 1024, 2048] for F_1..F_4; Table 3 counts 68.12 M (Reading 25)."""
    counts = {}
    for dims in ("shared", "printed"):
        with torch.device("meta"):
            net = ASPPFPNDecoder(widths=WIDTHS, dims=WIDTHS if dims == "printed" else None)
            sides = [conv(torch.empty(1, c, 4, 4)) for conv, c in zip((net.conv1, net.conv4), WIDTHS[::3], strict=True)]
        assert [side.shape[1] for side in sides] == [256, 256]  # the FPN gets the same from both
        counts[dims] = sum(p.numel() for p in net.parameters()) / 1e6
    assert counts["shared"] + 24.13 == pytest.approx(68.12, abs=0.01)
    assert counts["printed"] > 200
    narrowed = {name.split(".")[1] for name in USPL(small(decoder_dims="printed", decoder_dim=16)).sps.state_dict()}
    assert narrowed >= {"0", "1"}


def test_clips_do_not_look_at_each_other() -> None:
    torch.manual_seed(0)
    model = USPL(small()).eval()
    image, sound = random(0, 3, 3, 32, 32), random(1, 3, 1, 1, 96, 64)
    for whole, alone in zip(model(image, sound), model(image[1:2], sound[1:2]), strict=True):
        torch.testing.assert_close(whole[1:2], alone, rtol=1e-4, atol=1e-4)


def test_another_sound_moves_the_map() -> None:
    torch.manual_seed(0)
    model = USPL(small()).eval()
    image = random(0, 1, 3, 32, 32).expand(2, -1, -1, -1)
    out = model(image, random(1, 2, 1, 1, 96, 64))
    torch.testing.assert_close(out.f_v[0], out.f_v[1])
    assert not torch.equal(out.m_crs[0], out.m_crs[1])


def test_the_spectrogram_front_end() -> None:
    model = USPL(small(front_end="spectrogram")).eval()
    assert model(random(0, 2, 3, 32, 32), random(1, 2, 1, 257, 101)).m.shape == (2, 32, 32)


def test_every_part_can_learn() -> None:
    torch.manual_seed(0)
    model = USPL(small())
    out = model(random(0, 2, 3, 32, 32), random(1, 2, 1, 1, 96, 64))
    total: Tensor = out.logits.sum() + out.f_aff.sum() + out.m_crs.sum()
    total.backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []
