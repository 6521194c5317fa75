"""The peers: each loss is the published one, each method trains, is judged and loaded as USPL is."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.helpers.data_sample import sample
from tests.helpers.models import brief
from tests.helpers.values import reference
from uspl import align
from uspl.baselines import ez_vsl, fnac, lvs, ogl, slavc
from uspl.data import AVSBench
from uspl.data.splits import open_set
from uspl.evaluation import evaluate
from uspl.experiments import methods
from uspl.inference import predict
from uspl.train import phase


def golden(*names: str) -> tuple[Any, list[Tensor]]:
    """The stored values, and those of `names` ready for a gradient."""
    held = reference("contrastive_losses")
    return held, [held[name].clone().requires_grad_() for name in names]


def assert_is_published(loss: Tensor, value: Tensor, inputs: list[Tensor], gradients: list[Tensor]) -> None:
    """A loss and its gradients are the stored ones."""
    torch.testing.assert_close(loss.double(), value, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(torch.autograd.grad(loss, inputs), tuple(gradients), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("tau", [0.03, 0.07])
def test_ez_vsl_is_published(tau: float) -> None:
    held, (img, aud) = golden("img", "aud")
    name = f"ezvsl_tau{tau}"
    gradients = [held[f"{name}_grad_img"], held[f"{name}_grad_aud"]]
    assert_is_published(ez_vsl.loss(aud, img, tau=tau), held[f"{name}_loss"], [img, aud], gradients)


def test_lvs_is_published() -> None:
    held, (img, aud) = golden("img", "aud")
    m = align.sounding_map(aud, img)
    torch.testing.assert_close(m, held["lvs_A"][:, 0], rtol=0, atol=1e-5)
    sounds, silent = lvs.regions(m.flatten(1))
    torch.testing.assert_close(sounds.exp(), held["lvs_Pos"].flatten(1), rtol=0, atol=1e-5)
    torch.testing.assert_close(silent.exp(), held["lvs_Neg"].flatten(1), rtol=0, atol=1e-5)
    torch.testing.assert_close(lvs.logits(aud, img), held["lvs_logits"], rtol=0, atol=3e-4)
    gradients = [held["lvs_grad_img"], held["lvs_grad_aud"]]
    assert_is_published(lvs.loss(aud, img), held["lvs_ce_class0"], [img, aud], gradients)


def test_slavc_is_published() -> None:
    held, inputs = golden("aud", "img", "slavc_aud2", "slavc_img2")
    names = ("slavc_aud1_target", "slavc_img1_target", "slavc_aud2_target", "slavc_img2_target")
    target = slavc.Projected(*(held[name] for name in names))
    gradients = [held[f"slavc_grad_{name}"] for name in ("aud1", "img1", "aud2", "img2")]
    found = slavc.loss(slavc.Projected(*inputs), target)
    assert_is_published(found, held["slavc_loss"], inputs, gradients)
    torch.testing.assert_close(slavc.sounding_map(target), held["slavc_Savl_momentum_eval"] * 0.03, rtol=0, atol=1e-6)


def test_fnac_is_published() -> None:
    held, (img, aud) = golden("img", "aud")
    torch.testing.assert_close(fnac.terms(aud, img).double(), held["fnac_losses"], rtol=0, atol=1e-5)
    gradients = [held["fnac_grad_img"], held["fnac_grad_aud"]]
    assert_is_published(fnac.loss(aud, img), held["fnac_total_w100"], [img, aud], gradients)


def test_ogl_is_published() -> None:
    held, _ = golden()
    torch.testing.assert_close(ogl.objectness(held["ogl_obj_features"]), held["ogl_obj_map7"][:, 0], rtol=0, atol=1e-6)
    fused = ogl.guided(held["ogl_av_map7"][:, 0], held["ogl_obj_map7"][:, 0], size=224, alpha=float(held["ogl_alpha"]))
    torch.testing.assert_close(fused[:, ::4, ::4], held["ogl_fused_224_stride4"], rtol=0, atol=1e-5)
    assert fused.mean().item() == pytest.approx(float(held["ogl_fused_mean"]), abs=1e-6)
    with pytest.raises(ValueError, match=r"`alpha` must be in \[0, 1\]; got 2"):
        ogl.guided(held["ogl_av_map7"][:, 0], held["ogl_obj_map7"][:, 0], size=8, alpha=2)


@pytest.mark.parametrize("method", [*methods.METHODS, "ez-vsl+ogl"])
def test_trains_is_judged_and_loads(tmp_path: Path, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cfg = brief(warmup_epochs=1, epochs=1)
    model, values = methods.train_or_load(cfg, sample(), method=method, runs=tmp_path, progress=False)
    assert len(values["history"]) == 2
    assert "val_m" in values["history"][0]
    start = methods.build(method.partition("+")[0], cfg).state_dict()
    moved = [k for k, v in model.state_dict().items() if k in start and not torch.equal(v, start[k])]
    assert moved, "Training changed nothing."
    clips = open_set(sample(), "val", size=cfg.image_size)
    scores = evaluate.evaluate(model, clips, maps=("m",), audio_sensitivity=True)
    assert 0 <= scores["scores"]["m"]["miou"] <= 1
    _, found = next(predict.predict(model, clips, maps=("m",)))
    assert found["m"].shape[1:] == (cfg.image_size,) * 2
    assert 0 <= found["m"].min() <= found["m"].max() <= 1
    monkeypatch.setattr(phase, "run_epoch", lambda *_, **__: pytest.fail("trained again"))
    again, _ = methods.train_or_load(cfg, sample(), method=method, runs=tmp_path, progress=False)
    assert all(torch.equal(v, model.state_dict()[k]) for k, v in again.state_dict().items())


def test_starts_as_uspl_does() -> None:
    from uspl.model import USPL

    cfg = brief()
    torch.manual_seed(cfg.seed)
    ours = USPL(cfg).state_dict()
    torch.manual_seed(cfg.seed)
    theirs = methods.build("ez-vsl", cfg).state_dict()
    for name, value in theirs.items():
        assert torch.equal(value, ours[name.removeprefix("features.")])


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match=r"`method` must be 'uspl' or one of attention10k.*; got 'ezvsl'"):
        methods.build("ezvsl", brief())
    with pytest.raises(ValueError, match=r"ends in '\+ogl' or in nothing; got 'ogi'"):
        methods.add("ogi", methods.build("ez-vsl", brief()))
    with pytest.raises(ValueError, match="`maps` must be among m and m_cos; got 'm_fine'"):
        next(predict.predict(methods.build("ez-vsl", brief()), AVSBench(sample(), "val", size=32), maps=("m_fine",)))
