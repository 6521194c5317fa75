"""The published weights of the encoders: from a path, and by download."""

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

from uspl import encoders
from uspl.config import Config
from uspl.encoders import weights

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
    with pytest.raises(ValueError, match=r"'trap\.pth' must be a file of tensors, of PyTorch or safetensors"):
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
