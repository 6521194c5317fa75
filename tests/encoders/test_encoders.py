"""Encoders and projectors, section 3.1; their published weights."""

import dataclasses
import hashlib
import http.server
import os
import pickle
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import resnet50

from tests.helpers.values import normal, recipe, reference, reference_json
from uspl import encoders
from uspl.config import Config
from uspl.encoders import weights

PUBLISHED_RESNET = "torchvision resnet50-19c8e357.pth / resnet50-0676ba61.pth"
PUBLISHED_VGGISH = "torchvggish vggish-10086976.pth"


def parameters(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def near(got: torch.Tensor, expected: torch.Tensor) -> None:
    """Within 1e-4 of the largest value."""
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-4 * expected.abs().max().item())


@pytest.fixture(scope="module")
def vggish() -> encoders.VGGish:
    with torch.device("meta"):
        net = encoders.VGGish()
    net.load_state_dict(recipe(net.state_dict()), assign=True)
    return net.eval()


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
    assert net(normal(0, 2, 1, 257, columns)).shape == (2, net.dim) == (2, 128)
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


# Weights from a path


@pytest.fixture(scope="module")
def sound_file(vggish: encoders.VGGish, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "copy.pth"
    torch.save(vggish.state_dict(), path)
    return path


def test_a_local_file_is_loaded(vggish: encoders.VGGish, sound_file: Path) -> None:
    cfg = dataclasses.replace(Config.paper(), audio_weights=str(sound_file))
    net = encoders.audio_encoder(cfg)
    assert net.frozen
    assert torch.equal(net.net.embeddings[4].weight, vggish.embeddings[4].weight)
    sound_file.unlink()


@pytest.mark.parametrize("field", ["visual_weights", "audio_weights"])
def test_a_missing_file_says_where_to_get_it(field: str, tmp_path: Path) -> None:
    cfg = dataclasses.replace(Config.paper(), **{field: str(tmp_path / "gone.pth")})
    make = encoders.visual_encoder if field == "visual_weights" else encoders.audio_encoder
    with pytest.raises(
        FileNotFoundError, match=rf"`{field}` must name .*gone\.pth' is not there: get it from https://"
    ):
        make(cfg)


def test_another_networks_file_is_refused(tmp_path: Path) -> None:
    torch.save({"conv.weight": torch.zeros(3)}, tmp_path / "other.pth")
    cfg = dataclasses.replace(Config.paper(), visual_weights=str(tmp_path / "other.pth"))
    with pytest.raises(ValueError, match="`visual_weights` must name a file with the parameters of resnet50"):
        encoders.visual_encoder(cfg)


def test_nothing_but_tensors_is_unpickled(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(tmp_path / "sprung"),)

    (tmp_path / "trap.pth").write_bytes(pickle.dumps({"a": Trap()}, protocol=2))
    with pytest.raises(ValueError, match=r"'trap\.pth' must be a PyTorch file of tensors"):
        weights.load_weights(tmp_path / "trap.pth", "vggish")
    assert not (tmp_path / "sprung").exists()


def test_a_file_without_a_state_dict_is_refused(tmp_path: Path) -> None:
    torch.save([torch.zeros(3)], tmp_path / "list.pth")
    with pytest.raises(ValueError, match="must hold a state dict, name -> tensor; got list"):
        weights.load_weights(tmp_path / "list.pth", "vggish")


def test_weights_of_the_other_network() -> None:
    with pytest.raises(ValueError, match=r"`visual_weights` must be 'imagenet'.*got 'audioset'"):
        weights.load_weights("audioset", "resnet50")


@pytest.mark.parametrize("field", ["visual_weights", "audio_weights"])
def test_tiny_networks_have_no_published_weights(field: str) -> None:
    cfg = dataclasses.replace(Config.tiny(), **{field: "imagenet"})
    make = encoders.visual_encoder if field == "visual_weights" else encoders.audio_encoder
    with pytest.raises(ValueError, match=f"`{field}` must be 'none'"):
        make(cfg)


# Weights by download, from this machine


class Shop(http.server.BaseHTTPRequestHandler):
    """Serves `goods` by name; a name that begins with "cut" is promised longer than it is."""

    goods: dict[str, bytes] = {}  # noqa: RUF012
    asked: list[str] = []  # noqa: RUF012

    def do_GET(self) -> None:
        name = self.path.strip("/")
        self.asked.append(name)
        body = self.goods.get(name)
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"") + 100 * name.startswith("cut")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def shop() -> Iterator[str]:
    Shop.goods, Shop.asked = {}, []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def stock(body: bytes, prefix: str = "net") -> str:
    name = f"{prefix}-{hashlib.sha256(body).hexdigest()[:8]}.pth"
    Shop.goods[name] = body
    return name


def test_download_once(shop: str, tmp_path: Path) -> None:
    name = stock(b"numbers" * 1000)
    for _ in range(2):
        path = weights.download(f"{shop}/{name}", folder=tmp_path, progress=False)
        assert path.read_bytes() == b"numbers" * 1000
    assert Shop.asked == [name]
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_published_weights_come_through_the_cache(shop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({"a": torch.arange(3)}, tmp_path / "made.pth")
    name = stock((tmp_path / "made.pth").read_bytes())
    monkeypatch.setitem(weights.PUBLISHED, "vggish", f"{shop}/{name}")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    for _ in range(2):
        state = weights.load_weights("audioset", "vggish")
        assert state is not None
        assert state["a"].tolist() == [0, 1, 2]
    assert (tmp_path / "home" / "hub" / "checkpoints" / name).is_file()
    assert Shop.asked == [name]


def test_a_wrong_checksum_keeps_nothing(shop: str, tmp_path: Path) -> None:
    Shop.goods["net-00000000.pth"] = b"tampered"
    with pytest.raises(ValueError, match=r"'net-00000000\.pth' must have a SHA-256 that begins with 00000000; got "):
        weights.download(f"{shop}/net-00000000.pth", folder=tmp_path, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_a_given_checksum_counts(shop: str, tmp_path: Path) -> None:
    Shop.goods["plain.pth"] = b"plain"
    digest = hashlib.sha256(b"plain").hexdigest()
    with pytest.raises(ValueError, match="must have a SHA-256"):
        weights.download(f"{shop}/plain.pth", sha256="f" * 64, folder=tmp_path, progress=False)
    assert weights.download(f"{shop}/plain.pth", sha256=digest, folder=tmp_path, progress=False).is_file()


@pytest.mark.parametrize("name", ["gone-01234567.pth", "cut", "cut.pth"])
def test_a_download_that_fails_says_where_to_get_the_file(shop: str, tmp_path: Path, name: str) -> None:
    if name == "cut":
        name = stock(b"numbers", "cut")
    Shop.goods.setdefault("cut.pth", b"numbers")
    with pytest.raises(FileNotFoundError, match=rf"'{name}' could not be downloaded .*: get it from {shop}/{name}"):
        weights.download(f"{shop}/{name}", folder=tmp_path, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_a_download_without_a_network_says_where_to_get_the_file(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/net.pth"
    with pytest.raises(
        FileNotFoundError, match=r"could not be downloaded \(ConnectionError\): get it from http"
    ) as told:
        weights.download(url, folder=tmp_path, progress=False)
    assert "\n" not in str(told.value)
    assert list(tmp_path.iterdir()) == []
