"""Eq. (9): fusion of features and coarse map, and the decoder it feeds."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.helpers.values import near, normal, random, recipe, reference, seeds
from uspl.segment import ASPP, ASPPFPNDecoder, FusionBlock, ResidualUnit, fuse


def filled(net: nn.Module) -> nn.Module:
    net.load_state_dict(recipe(net.state_dict()))
    return net


def slow(f_v: Tensor, m: Tensor) -> Tensor:
    out = torch.zeros_like(f_v)
    for b in range(len(m)):
        low, high = min(m[b].flatten().tolist()), max(m[b].flatten().tolist())
        for c in range(f_v.shape[1]):
            for y in range(m.shape[1]):
                for x in range(m.shape[2]):
                    value = f_v[b, c, y, x].item()
                    out[b, c, y, x] = value + value * (m[b, y, x].item() - low) / (high - low)
    return out


@given(seeds)
def test_is_the_loop(seed: int) -> None:
    f_v, m = normal(seed, 2, 3, 2, 4, dtype=torch.float64), normal(seed + 1, 2, 2, 4, dtype=torch.float64)
    torch.testing.assert_close(fuse(f_v, m), slow(f_v, m))


def test_by_hand() -> None:
    """AudioVisualEncoder are doubled where the map is highest and unchanged where it is lowest."""
    f_v = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    m = torch.tensor([[[-0.5, 0.0], [0.25, 0.5]]])
    assert fuse(f_v, m).flatten().tolist() == pytest.approx([1.0, 3.0, 5.25, 8.0])


def test_gradient() -> None:
    f_v = normal(0, 2, 3, 2, 2, dtype=torch.float64).requires_grad_()
    m = normal(1, 2, 2, 2, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(fuse, (f_v, m))


@given(seeds, st.floats(0.1, 9), st.floats(-5, 5))
def test_range_of_the_map_does_not_matter(seed: int, scale: float, shift: float) -> None:
    f_v, m = normal(seed, 1, 3, 4, 4, dtype=torch.float64), normal(seed + 1, 1, 4, 4, dtype=torch.float64)
    torch.testing.assert_close(fuse(f_v, scale * m + shift), fuse(f_v, m))


@given(seeds)
def test_strengthens_at_most_twice_and_keeps_the_sign(seed: int) -> None:
    f_v, m = normal(seed, 2, 3, 4, 4), random(seed + 1, 2, 4, 4)
    f_av = fuse(f_v, m)
    assert (f_av.abs() >= f_v.abs()).all()
    assert (f_av.abs() <= 2 * f_v.abs() + 1e-6).all()
    assert torch.equal(f_av.sign(), f_v.sign())


def test_a_constant_map_says_nothing() -> None:
    f_v = normal(0, 1, 3, 4, 4)
    assert torch.equal(fuse(f_v, torch.full((1, 4, 4), 0.3)), f_v)


# The decoder, golden values


def test_aspp_matches_avsbench() -> None:
    golden = reference("decoder_blocks")
    net = filled(ASPP(12, 8))
    assert [f"{k} {tuple(v.shape)}" for k, v in net.state_dict().items()] == golden["aspp_keys"].tolist()
    near(net(golden["aspp_input"]), golden["aspp_output"])


@pytest.mark.parametrize(("inplace", "key"), [(True, "rcu_out"), (False, "rcu_textbook_out")])
def test_residual_unit_in_both_readings(inplace: bool, key: str) -> None:
    golden = reference("decoder_blocks")
    x = golden["ffb_x0"].clone()
    near(filled(ResidualUnit(8, inplace=inplace))(x), golden[key])
    assert torch.equal(x, golden["ffb_x0"])  # the caller's tensor is left alone in either reading


def test_fusion_block_matches_avsbench() -> None:
    golden = reference("decoder_blocks")
    block = filled(FusionBlock(8, inplace=True))
    assert [f"{k} {tuple(v.shape)}" for k, v in block.state_dict().items()] == golden["ffb_keys"].tolist()
    near(block(golden["ffb_x0"], golden["ffb_x1"]), golden["ffb_out_two_inputs"])
    near(block(golden["ffb_x0"]), golden["ffb_out_one_input"])


def test_first_fusion_block_has_no_unused_unit() -> None:
    golden = reference("decoder_blocks")
    state = {k: v for k, v in recipe(FusionBlock(8).state_dict()).items() if k.startswith("resConfUnit2")}
    block = FusionBlock(8, skip=False, inplace=True)
    block.load_state_dict(state)
    near(block(golden["ffb_x0"]), golden["ffb_out_one_input"])


def test_head_matches_avsbench() -> None:
    golden = reference("decoder_blocks")
    head = ASPPFPNDecoder(widths=(1, 1, 1, 1), dim=256).output_conv
    head[0] = nn.Conv2d(8, 128, 3, padding=1)  # the stored head reads 8 channels
    near(filled(head)(golden["head_input"]), golden["head_output"])


def test_decoder_reaches_the_image() -> None:
    stages = [normal(i, 2, c, s, s) for i, (c, s) in enumerate(((4, 16), (6, 8), (8, 4), (10, 4)))]
    for last, side in ((True, 64), (False, 32)):
        net = ASPPFPNDecoder(widths=(4, 6, 8, 10), dim=8, last_upsample=last)
        assert net(stages).shape == (2, side, side)


def test_decoder_has_the_published_names_and_size() -> None:
    """43,986,625 parameters are executed at 256 channels, path4's unused unit (1,180,160) left out."""
    with torch.device("meta"):
        net = ASPPFPNDecoder(widths=(256, 512, 1024, 2048))
    assert sum(p.numel() for p in net.parameters()) == 43_986_625
    names = set(net.state_dict())
    for name in ("conv1.conv2d_list.0.weight", "path1.resConfUnit2.conv1.bias", "output_conv.4.weight"):
        assert name in names
