"""A trained model as a folder: what was saved is loaded, from here or from the hub; anything else is one sentence."""

import hashlib
import json
import shutil
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.helpers.data_sample import sample
from tests.helpers.models import TINY, small, trained
from tests.helpers.values import normal, random
from uspl import gate, pretrained
from uspl.cli import main
from uspl.config import Config
from uspl.experiments import default_model
from uspl.gate import Gate
from uspl.inference.onnx_export import load_onnx
from uspl.model import USPL

ABOUT = {
    "data": "Sounding Shapes",
    "scores": {"m": 0.8127},
    "gate": Gate(-47.5, 0.9614, 600, 0.998, 0.0, 0.001).as_dict(),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model = trained(small(seed=5))
    model.about = dict(ABOUT)
    return model.save_pretrained(tmp_path / "model")


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("the network was asked"))


def same(a: USPL, b: USPL) -> bool:
    image, sound = normal(0, 1, 3, 32, 32), random(1, 1, 1, 1, 96, 64)
    with torch.no_grad():
        return torch.equal(a.eval()(image, sound).m, b(image, sound).m)


def test_what_was_saved_is_loaded(folder: Path, offline: None) -> None:
    assert sorted(p.name for p in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    model = USPL.from_pretrained(folder)
    assert not model.training
    assert model.cfg == small(seed=5)
    assert model.about == ABOUT
    assert same(trained(small(seed=5)), model)
    again = USPL.from_pretrained(model.save_pretrained(folder.parent / "again", push_to_hub=False))
    assert same(model, again)
    assert (folder.parent / "again/config.json").read_bytes() == (folder / "config.json").read_bytes()


def test_the_card_says_data_scores_gate_and_licence(folder: Path) -> None:
    text = " ".join((folder / "README.md").read_text().split())  # however wide the columns are
    for words in ("license: mit", "library_name: uspl", "Sounding Shapes.", "| `m` | 0.813 |", "above 0.9614", "99.8%"):
        assert words in text
    bare = pretrained.card(trained(small()))
    assert bare.count("Not recorded.") == 2
    assert "silence alone is shut" in bare


def test_weights_a_training_began_with_are_not_asked_for(tmp_path: Path, offline: None) -> None:
    model = trained(small(visual="resnet50", visual_weights="none", widths=(256, 512, 1024, 2048)))
    model.cfg = small(visual="resnet50", visual_weights="imagenet", widths=(256, 512, 1024, 2048))
    loaded = USPL.from_pretrained(model.save_pretrained(tmp_path / "m"))
    assert loaded.cfg.visual_weights == "imagenet"
    assert torch.equal(loaded.visual.conv1.weight, model.visual.conv1.weight)


def config(folder: Path, **changes: Any) -> None:
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({k: v for k, v in (values | changes).items() if v is not None}))


def tensors(folder: Path, change: Any) -> None:
    state = load_file(folder / "model.safetensors")
    change(state)
    save_file(state, folder / "model.safetensors")


BROKEN: dict[str, tuple[Any, str]] = {
    "version": (
        lambda f: config(f, format=2),
        "was saved in format 2, this version of uspl reads 1; save the model again",
    ),
    "foreign": (
        lambda f: config(f, library_name="timm"),
        "is not of a model of uspl: `library_name` and `format` do not",
    ),
    "no-format": (lambda f: config(f, format=None), "is not of a model of uspl"),
    "text": (lambda f: (f / "config.json").write_text("{"), "cannot be read as JSON; save the model again."),
    "no-config": (lambda f: (f / "config.json").unlink(), "holds no model: `config.json` is missing."),
    "no-weights": (lambda f: (f / "model.safetensors").unlink(), "holds no model: `model.safetensors` is missing."),
    "noise": (lambda f: (f / "model.safetensors").write_bytes(b"x" * 99), "cannot be read as safetensors ("),
    "lacks": (
        lambda f: tensors(f, lambda s: s.pop("pmv_aff.join.bias")),
        "lacks a tensor, `pmv_aff.join.bias`: it belongs to another model or version.",
    ),
    "more": (
        lambda f: tensors(f, lambda s: s.update(zebra=torch.zeros(1))),
        "holds a foreign tensor, `zebra`: it belongs",
    ),
    "shape": (
        lambda f: tensors(f, lambda s: s.update({"pmv_aff.join.bias": torch.zeros(5)})),
        "holds `pmv_aff.join.bias` of shape (5,), not (8,): it belongs to another model or version.",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_folder_is_one_sentence(name: str, folder: Path) -> None:
    BROKEN[name][0](folder)
    with pytest.raises(ValueError, match=r"^`[^`]*model[^`]*` ") as error:
        USPL.from_pretrained(folder)
    assert BROKEN[name][1] in str(error.value)
    assert str(error.value).endswith(".")
    assert "\n" not in str(error.value)


def test_a_field_of_another_version(folder: Path) -> None:
    config(folder, config=small().as_dict() | {"pitch": 1})
    with pytest.raises(ValueError, match=r"^`Config` has no field `pitch`; "):
        USPL.from_pretrained(folder)


def test_a_model_of_the_hub_is_fetched_file_by_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str, dict[str, Any]]] = []

    def fetch(name: str, file: str, **options: Any) -> str:
        asked.append((name, file, options))
        return str(folder / file)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fetch)
    model = USPL.from_pretrained("somebody/uspl-tiny", revision="v1", local_files_only=True)
    assert same(trained(small(seed=5)), model)
    assert [(name, file) for name, file, _ in asked] == [
        ("somebody/uspl-tiny", "config.json"),
        ("somebody/uspl-tiny", "model.safetensors"),
    ]
    assert asked[0][2]["revision"] == "v1"
    assert asked[0][2]["local_files_only"]
    monkeypatch.setattr(
        huggingface_hub, "hf_hub_download", lambda *_, **__: (_ for _ in ()).throw(OSError("No way\nx"))
    )
    with pytest.raises(
        ValueError, match=r"^`a/b` is no folder that is there, and the Hugging Face hub gives no model: No way\.$"
    ):
        USPL.from_pretrained("a/b")


@pytest.mark.parametrize("name", ["./none", "a/b/c", "/none", "~/model"])
def test_a_path_never_asks_the_hub(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *_, **__: pytest.fail("asked"))
    with pytest.raises(ValueError, match="is no folder that is there, and no id of a model on the Hugging Face hub"):
        USPL.from_pretrained(name)


def test_a_folder_is_pushed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []

    class Api:
        def create_repo(self, name: str, *, exist_ok: bool) -> SimpleNamespace:
            calls.append((name, exist_ok))
            return SimpleNamespace(repo_id=f"me/{name}")

        def upload_folder(self, **given: Any) -> None:
            calls.append((given["repo_id"], given["folder_path"]))

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    trained(small()).save_pretrained(folder, push_to_hub=True)
    trained(small()).save_pretrained(folder, repo_id="other", push_to_hub=True)
    assert calls == [("model", True), ("me/model", folder), ("other", True), ("me/other", folder)]


def test_a_training_is_loaded_with_its_gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cfg = Config.tiny(**TINY)
    model = default_model.trained(cfg, sample(), runs=tmp_path)
    assert model.about["data"] == "Sounding Shapes"
    found = pretrained.gate_of(model)
    assert found.clips == 2
    assert found.kept == 1
    assert set(model.about["scores"]) == {"m_crs", "m_fine", "m"}
    monkeypatch.setattr(default_model, "calibrate", lambda *_: pytest.fail("calibrated again"))
    assert default_model.trained(cfg, sample(), runs=tmp_path).about == model.about
    (run,) = tmp_path.glob("full-*")
    loaded = USPL.from_pretrained(run)
    assert loaded.about == model.about
    assert torch.equal(
        loaded.sps.state_dict()[min(loaded.sps.state_dict())], model.sps.state_dict()[min(model.sps.state_dict())]
    )
    (run / "gate.json").unlink()
    assert pretrained.gate_of(USPL.from_pretrained(run)) == gate.Gate()


def test_export_from_the_shell(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, onnx = tmp_path / "copy", tmp_path / "model.onnx"
    main.main(["export", "--checkpoint", str(folder), "--out", str(out), "--onnx", str(onnx)])
    assert capsys.readouterr().out == f"{out}\n{onnx}\n"
    assert same(USPL.from_pretrained(folder), USPL.from_pretrained(out))
    assert load_onnx(onnx).gate == Gate(-47.5, 0.9614, 600, 0.998, 0.0, 0.001)
    with pytest.raises(SystemExit):
        main.main(["export"])
    assert capsys.readouterr().err == "uspl: `export` needs `--out FOLDER`, `--onnx FILE` or both; got neither.\n"


def test_a_folder_moves_to_another_place(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "elsewhere")
    assert same(USPL.from_pretrained(folder), USPL.from_pretrained(tmp_path / "elsewhere"))


def test_the_model_that_comes_with_the_library() -> None:
    """Its file, its card and what it makes of silence; its encoders are not in it."""
    folder = pretrained.locate("photos")
    file, text = folder / "model.safetensors", (folder / "README.md").read_text()
    assert file.stat().st_size < 6_000_000
    assert hashlib.sha256(file.read_bytes()).hexdigest()[:16] == "0f4ede6818c31af0"
    for words in ("Sounding Photos.", "GPL-2, GPL-3", "200 validation clips"):
        assert words in text
    cfg, about = pretrained.read_config(folder)
    assert cfg == Config.photos(seed=1)
    assert about["map"] == "m_fine"
    assert about["scores"]["m_fine"] > 0.55
    assert not [name for name in load_file(file) if name.startswith(("visual.", "audio."))]
