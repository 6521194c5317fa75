"""Encoders and projectors, section 3.1."""

import dataclasses
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import resnet, resnet50

from tests.helpers.values import near, normal, recipe, reference, reference_json
from uspl import encoders
from uspl.config import Config
from uspl.encoders.visual import BasicBlock

PUBLISHED_RESNET = "torchvision resnet50-19c8e357.pth / resnet50-0676ba61.pth"
PUBLISHED_VGGISH = "torchvggish vggish-10086976.pth"


def parameters(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


# Golden values


def test_resnet50_stages_match_torchvision() -> None:
    golden = reference("resnet50_stages")
    state = recipe(resnet50(weights=None).state_dict())
    state = {k: 0.25 * v if k.endswith("bn3.weight") else v for k, v in state.items()}
    net = encoders.ResNet50Stages().eval()
    net.load_state_dict(state)  # the published layout, classifier included
    with torch.no_grad():
        stages = net(golden["input"])
    for stage, key, step in zip(stages, ("layer1", "layer2", "layer3", "layer4_stride1"), (16, 16, 16, 8), strict=True):
        near(stage[:, ::step], golden[f"{key}_every{step}ch"])
        near(torch.stack([stage.abs().mean(), stage.abs().max()]).double(), golden[f"{key}_mean_absmax"])


def test_vggish_matches_torchvggish(vggish: encoders.VGGish) -> None:
    golden = reference("vggish")
    state = vggish.state_dict()
    near(state["features.0.weight"].flatten()[:9], golden["weight_spotcheck_features.0.weight_first9"])
    near(state["embeddings.0.weight"].flatten()[-8:], golden["weight_spotcheck_embeddings.0.weight_last8"])
    with torch.no_grad():
        near(vggish.features(golden["input"]), golden["features_BCTF"])
        near(vggish(golden["input"]), golden["embedding"])


# Layouts and counts


def test_names_and_shapes_are_the_published_ones(vggish: encoders.VGGish) -> None:
    layouts = reference_json("checkpoint_keys")
    with torch.device("meta"):
        resnet = encoders.ResNet50Stages()
    for net, layout in ((resnet, layouts[PUBLISHED_RESNET]), (vggish, layouts[PUBLISHED_VGGISH])):
        expected = {k: v for k, v in layout.items() if not k.startswith("fc.")}
        assert {k: list(v.shape) for k, v in net.state_dict().items()} == expected


def test_counts_of_the_paper(vggish: encoders.VGGish) -> None:
    with torch.device("meta"):
        net, image = encoders.ResNet50Stages(), torch.empty(1, 3, 224, 224)
        projectors = encoders.VisualProjector(2048, 256), encoders.SoundProjector(128, 256)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(image)
    assert parameters(net) == 23_508_032
    assert counter.get_total_flops() / 2 == pytest.approx(6.2066e9, rel=1e-4)
    assert sum(map(parameters, projectors)) == 623_360
    assert parameters(vggish) == 72_141_184


def test_tiny_twins_are_small() -> None:
    cfg = Config.tiny()
    assert parameters(encoders.visual_encoder(cfg)) < 1.6e6
    assert 0.3e6 < parameters(encoders.audio_encoder(cfg)) < 0.5e6


# Shapes


def test_tiny_stages() -> None:
    net = encoders.visual_encoder(Config.tiny())
    assert [tuple(f.shape) for f in net(normal(0, 2, 3, 112, 112))] == [
        (2, 16, 56, 56),
        (2, 32, 28, 28),
        (2, 96, 14, 14),
        (2, 192, 14, 14),
    ]
    assert net.widths == (16, 32, 96, 192)


def test_more_blocks_keep_the_shapes() -> None:
    shapes = [
        [f.shape for f in encoders.TinyResNet((8, 8, 16, 16), blocks)(normal(0, 1, 3, 32, 32))]
        for blocks in ((1, 1, 1, 1), (2, 3, 1, 2))
    ]
    assert shapes[0] == shapes[1]


def test_embedding_is_the_mean_over_patches() -> None:
    net = encoders.audio_encoder(Config.tiny()).eval()
    sound = normal(1, 2, 3, 1, 96, 64)
    expected = torch.stack([net(sound[:, i : i + 1]) for i in range(3)]).mean(0)
    torch.testing.assert_close(net(sound), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("columns", [101, 301])
@pytest.mark.parametrize("size", ["tiny", "vggish"])
def test_spectrogram_front_end(columns: int, size: str) -> None:
    cfg = dataclasses.replace(Config.tiny(), front_end="spectrogram", audio=size, finetune_audio=False)
    net = encoders.audio_encoder(cfg)
    assert net(normal(0, 2, 1, 257, columns)).shape == (2, 128)
    assert not net.frozen


@pytest.mark.parametrize("kind", ["conv", "mlp"])
@pytest.mark.parametrize("norm", [False, True])
def test_projectors(kind: str, norm: bool) -> None:
    visual = encoders.VisualProjector(8, 4, kind=kind, norm=norm)
    sound = encoders.SoundProjector(128, 4, norm=norm)
    v, a = visual(normal(0, 6, 8, 3, 3)), sound(normal(1, 6, 128))
    assert v.shape == (6, 4, 3, 3)
    assert a.shape == (6, 4)
    if norm:
        torch.testing.assert_close(v.mean((0, 2, 3)), torch.zeros(4), rtol=0, atol=1e-5)
        torch.testing.assert_close(a.std(0, correction=0), torch.ones(4), rtol=0, atol=0.02)
        assert not list(visual[-1].parameters())


# Reading 12


def test_frozen_sound_stays_in_eval_mode_without_gradient(vggish: encoders.VGGish) -> None:
    net = nn.Sequential(encoders.AudioEncoder(vggish, frozen=True)).train()
    assert net.training
    assert not vggish.training
    assert not any(p.requires_grad for p in net.parameters())


def test_tuned_sound_trains() -> None:
    net = encoders.audio_encoder(Config.tiny()).train()
    net(normal(0, 2, 1, 1, 96, 64)).sum().backward()
    assert net.net.training
    assert all(p.grad is not None for p in net.parameters())


@pytest.mark.parametrize("stride", [1, 2])
def test_basic_blocks_are_torchvisions_to_the_bit(stride: int) -> None:
    """Parameters, values and gradients: the tiny network is trained with ours, which loads in half the time."""

    def run(block: type[nn.Module]) -> list[torch.Tensor]:
        torch.manual_seed(0)
        short = nn.Conv2d(8, 16, 1, stride=stride, bias=False)
        net = nn.Sequential(block(8, 16, stride, short), block(16, 16))
        y = net(normal(0, 2, 8, 12, 12).requires_grad_())
        y.square().sum().backward()
        return [y, *net.state_dict().values(), *(p.grad for p in net.parameters() if p.grad is not None)]

    ours, theirs = run(BasicBlock), run(resnet.BasicBlock)
    assert len(ours) == len(theirs)
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_a_film_is_marked_without_torchvision() -> None:
    """It takes as long to import as PyTorch, and is needed for ResNet50 and JPEGs alone."""
    code = "import sys, uspl.inference.localizer, uspl.video.overlay; print('torchvision' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
