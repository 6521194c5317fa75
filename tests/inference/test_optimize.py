"""uspl.inference.optimize: the copy that runs gives the maps of the model that was trained, which stays as it is."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.helpers.data_sample import sample
from tests.helpers.models import NORMS, small, trained
from tests.helpers.values import normal, random
from uspl import encoders
from uspl.data import AVSBench
from uspl.inference import optimize, predict
from uspl.inference.optimize import for_inference
from uspl.model import USPL, Maps


def maps(model: USPL) -> Maps:
    cfg = model.cfg
    sound = random(1, 2, 1, 257, 101) if cfg.front_end == "spectrogram" else random(1, 2, 1, 1, 96, 64)
    with torch.no_grad():
        return model(normal(0, 2, 3, cfg.image_size, cfg.image_size), sound)


def same(a: Maps, b: Maps, *, atol: float) -> None:
    for name in set(Maps._fields) - {"y_tri"}:
        x, y = getattr(a, name).float(), getattr(b, name).float()
        torch.testing.assert_close(x, y, atol=atol, rtol=atol, msg=lambda said, name=name: f"{name}: {said}")


def norms(model: nn.Module) -> int:
    return sum(isinstance(m, NORMS) for m in model.modules())


CHANGES = [{}, {"projector": "mlp"}, {"projector_norm": False}, {"front_end": "spectrogram"}, {"fuse_on": "projected"}]


@pytest.mark.parametrize(("changes", "narrow"), [*((changes, False) for changes in CHANGES), ({}, True)])
def test_folded_maps_are_the_models(changes: dict[str, object], narrow: bool) -> None:
    """`narrow`: bottlenecks and their shortcuts are folded too."""
    model = trained(small(**changes), narrow=narrow)
    ready = for_inference(model)
    assert norms(model)
    assert not norms(ready)
    same(maps(ready), maps(model.eval()), atol=1e-5)


def test_resnet50_is_folded() -> None:
    torch.manual_seed(0)
    net = encoders.ResNet50Stages().eval()
    for seed, layer in enumerate(m for m in net.modules() if isinstance(m, NORMS)):
        layer.running_mean.copy_(0.1 * normal(seed, layer.num_features))
        layer.running_var.copy_(0.5 + random(seed, layer.num_features))
    image = normal(0, 1, 3, 32, 32)
    model = trained(small())
    model.visual = net
    ready = for_inference(model).visual
    assert not norms(ready)
    with torch.no_grad():
        for ours, theirs in zip(ready(image), net(image), strict=True):
            assert (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max()


def test_the_model_stays_as_it_is() -> None:
    model = trained(small()).train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    ready = for_inference(model)
    maps(ready)
    after = model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[k], v) for k, v in before.items())
    assert model.training
    assert all(p.requires_grad for p in model.parameters())
    assert not ready.training
    assert not any(p.requires_grad for p in ready.parameters())
    assert model.visual.stages[0][0].conv1.weight.data_ptr() != ready.visual.stages[0][0].conv1.weight.data_ptr()
    assert {m.dilation for m in model.project_v if isinstance(m, nn.Conv2d)} == {(1, 1)}


def test_bf16_is_close_and_finite(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimize, "has_bf16", lambda _: True)
    model = trained(small())
    half = for_inference(model, precision="bf16")
    assert {p.dtype for p in half.sps.parameters()} == {torch.bfloat16}
    found, exact = maps(half), maps(model.eval())
    assert found.m_crs.dtype == found.m_fine.dtype == found.m.dtype == torch.float32
    assert all(torch.isfinite(m.float()).all() for m in found)
    assert not torch.equal(found.m, exact.m)
    assert (found.m - exact.m).abs().max() <= 0.02
    assert (found.m_crs - exact.m_crs).abs().max() <= 0.02


def test_a_wide_dilation_is_finite_in_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimize, "has_bf16", lambda _: True)
    model = trained(small(aspp_dilations=(3, 6, 12, 18)))
    found = maps(for_inference(model, precision="bf16"))
    assert torch.isfinite(found.logits).all()


def test_compilation_is_offered_and_freezes_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch._inductor import config

    seen: list[bool] = []

    def stand_in(forward: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *inputs: (seen.append(config.freezing), forward(*inputs))[1]

    monkeypatch.setattr(torch, "compile", stand_in)
    model = trained(small())
    ready = for_inference(model, compile=True)
    assert not seen
    same(maps(ready), maps(model.eval()), atol=1e-5)
    assert seen == [True] * 6  # two encoders, a projector, PMV-aff; ASPP and the rest of SPS
    assert not config.freezing


def test_refusals(monkeypatch: pytest.MonkeyPatch) -> None:
    model = trained(small())
    with pytest.raises(ValueError, match=r"^`precision` must be 'fp32' or 'bf16'; got 'fp16'\.$"):
        for_inference(model, precision="fp16")
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True}, raising=False)
    with pytest.raises(
        ValueError, match=r"^`precision` is 'bf16', but this cpu does not compute with it; take 'fp32'\.$"
    ):
        for_inference(model, precision="bf16")
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(ValueError, match=r"^`compile` is True, but no C\+\+ compiler is on the path; .*\.$"):
        for_inference(model, compile=True)


def test_what_is_judged_is_in_bf16_where_that_is_asked_for_and_there(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    model, clips = trained(small()), AVSBench(sample(), "val", size=32)

    def judged(precision: str, *, able: bool) -> Tensor:
        monkeypatch.setattr(optimize, "has_bf16", lambda _: able)
        monkeypatch.setattr(predict, "has_bf16", lambda _: able)
        model.cfg = small(precision=precision)
        return next(predict.predict(model, clips, maps=("m",), batch_size=2))[1]["m"]

    exact = judged("fp32", able=True)
    assert torch.equal(judged("auto", able=True), exact)
    assert not caplog.records
    assert torch.equal(judged("bf16", able=False), exact)
    assert "`precision` is 'bf16', which this cpu does not compute with" in caplog.text
    assert not torch.equal(judged("bf16", able=True), exact)
