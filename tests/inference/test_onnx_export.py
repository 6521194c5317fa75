"""uspl.inference.onnx_export: the exported maps are the model's, for any batch; another version says so."""

import importlib
import json
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from torch import Tensor

from tests.helpers.models import small, trained
from tests.helpers.values import normal, random
from uspl.gate import Gate
from uspl.inference.onnx_export import FORMAT, OPSET, export_onnx, load_onnx

GATE = Gate(-47.5, 0.9614, 600, 0.998, 0.0, 0.001)


def sound(front_end: str, batch: int, seconds: int) -> Tensor:
    if front_end == "spectrogram":
        return -8 + 8 * random(1, batch, 1, 257, 100 * seconds + 1)
    return random(1, batch, seconds, 1, 96, 64)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"seconds": 3.0},
        {"front_end": "spectrogram"},
        {"fuse_on": "projected", "projector": "mlp"},
        {"aspp_dilations": (3, 6), "map_range": "minmax", "projector_norm": False},
    ],
)
def test_maps_are_the_models(changes: dict[str, Any], tmp_path: Path) -> None:
    model = trained(small(**changes)).eval()
    exported = load_onnx(export_onnx(model, tmp_path / "folder" / "model.onnx"))
    for batch in (1, 2, 5):
        image, heard = normal(0, batch, 3, 32, 32), sound(model.cfg.front_end, batch, round(model.cfg.seconds))
        with torch.no_grad():
            expected = model(image, heard)
        found = exported(image, heard)
        assert set(found) == {"m_crs", "m"}
        for name, m in found.items():
            torch.testing.assert_close(m, getattr(expected, name), atol=1e-4, rtol=0)
        assert found["m"].std() > 1e-3


@pytest.fixture
def file(tmp_path: Path) -> Path:
    model = trained(small())
    model.about = {"data": "Sounding Shapes", "gate": GATE.as_dict()}
    path = export_onnx(model, tmp_path / "model.onnx")
    assert model.training  # as it was
    return path


def test_the_file_tells_what_it_is(file: Path) -> None:
    proto = onnx.load(str(file))
    onnx.checker.check_model(proto)
    assert {o.domain: o.version for o in proto.opset_import}[""] == OPSET
    assert [i.name for i in proto.graph.input] == ["image", "sound"]
    assert [o.name for o in proto.graph.output] == ["m_crs", "m"]
    for value in (*proto.graph.input, *proto.graph.output):
        assert value.type.tensor_type.shape.dim[0].dim_param
    told = {p.key: json.loads(p.value) for p in proto.metadata_props}
    assert told["uspl_format"] == FORMAT
    assert told["uspl_data"] == "Sounding Shapes"
    assert told["uspl_mean"] == [0.485, 0.456, 0.406]
    exported = load_onnx(file)
    assert exported.cfg == small()
    assert exported.gate == GATE
    assert not list(file.parent.glob(".*"))


def changed(file: Path, value: str | None) -> None:
    proto = onnx.load(str(file))
    kept = [(p.key, p.value) for p in proto.metadata_props if p.key != "uspl_format"]
    del proto.metadata_props[:]
    for key, text in [*kept, *([("uspl_format", value)] if value else [])]:
        proto.metadata_props.add(key=key, value=text)
    onnx.save(proto, str(file))


def test_another_version_says_so(file: Path) -> None:
    changed(file, "2")
    with pytest.raises(
        ValueError, match=r"model\.onnx` was exported in format 2, this version of uspl reads 1; export it"
    ):
        load_onnx(file)
    changed(file, None)
    with pytest.raises(ValueError, match=r"model\.onnx` is no model of uspl: its metadata lack `uspl_format`\.$"):
        load_onnx(file)
    file.write_bytes(b"no model")
    with pytest.raises(ValueError, match=r"model\.onnx` cannot be read as ONNX \(\w+\)\.$"):
        load_onnx(file)
    file.unlink()
    with pytest.raises(ValueError, match=r"model\.onnx` is missing; `uspl export --onnx` writes it\.$"):
        load_onnx(file)


def test_what_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(
        RuntimeError, match=r"^ONNX needs the package onnxscript: `pip install 'uspl\[onnx\]'` brings it"
    ):
        export_onnx(trained(small()), tmp_path / "model.onnx")
