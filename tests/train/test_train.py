"""Section 3.4: one run trains, a second loads, a broken one goes on where it stopped; every refusal is a sentence."""

import ctypes
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.helpers.data_sample import sample
from tests.helpers.models import brief, equal
from uspl import train
from uspl.config import Config
from uspl.core import device, progress
from uspl.data import AVSBench
from uspl.inference.predict import loader
from uspl.model import USPL
from uspl.train import accelerator, checkpoint, phase, schedule
from uspl.train.losses import Objective, align


def run(tmp_path: Path, cfg: Config, phase: str = "full") -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    model, values = train.train_or_load(cfg, sample(), runs=tmp_path, phase=phase, progress=False)
    return {k: v.clone() for k, v in model.state_dict().items()}, values


def test_trains_then_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights, values = run(tmp_path, brief())
    assert [sorted(h) for h in values["history"]] == [
        ["aff", "loss", "mmicl", "seg", "val_m", "val_m_crs", "val_m_fine"]
    ] * 2
    assert len(values["warmup"]["history"]) == 2
    assert len(checkpoint.snapshots(values["folder"])) == 2
    files = sorted(p.name for p in Path(values["folder"]).iterdir())
    assert files == [
        "config.json",
        "log.jsonl",
        "model.safetensors",
        "record.json",
        "snapshots",
    ]
    monkeypatch.setattr(phase, "run_epoch", lambda *_, **__: pytest.fail("trained again"))
    again, loaded = run(tmp_path, brief())
    assert equal(weights, again)
    assert loaded["history"] == values["history"]


def test_the_global_generator_is_left_alone(tmp_path: Path) -> None:
    state = torch.get_rng_state()
    run(tmp_path, brief(warmup_epochs=1), phase="warmup")
    assert torch.equal(torch.get_rng_state(), state)


def test_same_seed_same_weights_another_seed_others(tmp_path: Path) -> None:
    cfg = brief(warmup_epochs=1)
    first, _ = run(tmp_path / "a", cfg, phase="warmup")
    second, _ = run(tmp_path / "b", cfg, phase="warmup")
    other, _ = run(tmp_path / "c", brief(warmup_epochs=1, seed=7), phase="warmup")
    assert equal(first, second)
    assert not equal(first, other)


@pytest.mark.parametrize("stop", [1, 3])
def test_a_stopped_run_goes_on_as_if_nothing_had_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    whole, _ = run(tmp_path / "whole", brief())
    real, calls = phase.run_epoch, iter(range(100))

    def interrupted(*given: Any, **named: Any) -> None:
        if next(calls) == stop:
            raise KeyboardInterrupt
        real(*given, **named)

    monkeypatch.setattr(phase, "run_epoch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts", brief())
    assert not list((tmp_path / "parts").rglob("*.part"))
    resumed, values = run(tmp_path / "parts", brief())
    assert equal(whole, resumed)
    assert len(values["history"]) == 2


def test_a_loss_that_is_not_finite_stops_with_step_and_clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_ok = brief(warmup_epochs=1)
    run(tmp_path, run_ok, phase="warmup")
    cfg, calls, real = brief(warmup_epochs=3), iter(range(100)), align.mmicl_loss

    def spoiled(*given: Any, **named: Any) -> torch.Tensor:
        return real(*given, **named) * (float("nan") if next(calls) == 3 else 1)

    monkeypatch.setattr(align, "mmicl_loss", spoiled)
    with pytest.raises(train.TrainingError, match=r"the loss is nan at step 3 on the clips train_\d+_\d.*is kept"):
        run(tmp_path, cfg, phase="warmup")
    kept = list(tmp_path.glob("*/resume.safetensors"))
    assert len(kept) == 1  # of epoch 1, two steps each


def test_one_process_may_train_in_both_precisions(tmp_path: Path) -> None:
    for precision in ("fp32", "bf16", "fp32"):
        _, values = run(tmp_path / precision, brief(warmup_epochs=1, precision=precision), phase="warmup")
        assert values["config"]["precision"] == precision


def test_a_tracker_is_refused_before_anything_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="`log_with` must be 'tensorboard' or 'wandb', or empty; got 'mlflow'"):
        train.train_or_load(brief(), "/nowhere", log_with="mlflow")
    monkeypatch.setitem(accelerator.TRACKERS, "wandb", lambda: False)
    with pytest.raises(ValueError, match="`log_with` is 'wandb', which is not installed: `pip install wandb` brings"):
        train.train_or_load(brief(), "/nowhere", log_with="wandb")


def test_the_log_has_a_line_for_each_step_and_each_epoch(tmp_path: Path) -> None:
    _, values = run(tmp_path, brief())
    lines = [json.loads(line) for line in (Path(values["folder"]) / "log.jsonl").open()]
    steps = [line for line in lines if "lr" in line]
    assert [line["step"] for line in steps] == [1, 2, 3, 4]  # two epochs of two
    epochs = [{k: v for k, v in line.items() if k not in ("step", "epoch")} for line in lines if "lr" not in line]
    assert epochs == values["history"]
    for i, epoch in enumerate(epochs):
        assert sum(line["loss"] for line in steps[2 * i : 2 * i + 2]) / 2 == pytest.approx(epoch["loss"], abs=1e-6)


def test_the_warm_up_is_shared(tmp_path: Path) -> None:
    run(tmp_path, brief())
    run(tmp_path, brief(beta=2.0, lambda2=0.1))
    assert len(list(tmp_path.glob("warmup-*"))) == 1
    assert len(list(tmp_path.glob("full-*"))) == 2


def test_a_checkpoint_of_another_configuration_names_the_field(tmp_path: Path) -> None:
    _, values = run(tmp_path, brief(warmup_epochs=1), phase="warmup")
    other = brief(warmup_epochs=1, tau=0.2)
    with pytest.raises(ValueError, match=r"was trained with `tau` = 0.15, not 0.2"):
        checkpoint.load_model(Path(values["folder"]), USPL(other), other)
    with pytest.raises(ValueError, match=r"holds no checkpoint: `model.safetensors` is missing"):
        checkpoint.load_model(tmp_path / "nowhere", USPL(other), other)


def test_unknown_phase_and_device_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="`phase` must be 'warmup' or 'full'; got 'half'"):
        train.train_or_load(brief(), sample(), runs=tmp_path, phase="half")
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="`device` is 'cuda', but PyTorch finds no GPU"):
            device.choose_device("cuda")
    assert device.choose_device("cpu").type == "cpu"


@pytest.mark.parametrize(("seconds", "n"), [("all", 6), ("one", 2), ("first", 2)])
def test_draw(seconds: str, n: int) -> None:
    ids = ["a_1", "a_2", "a_3", "b_1", "b_2", "b_3"]
    generator = torch.Generator().manual_seed(0)
    sampler = schedule.Draw(ids, seconds=seconds, generator=generator)
    epochs = [[ids[i] for i in sampler] for _ in range(20)]
    assert all(len(e) == len(set(e)) == len(sampler) == n for e in epochs)
    seen = {i for e in epochs for i in e}
    assert seen == ({"a_1", "b_1"} if seconds == "first" else set(ids))
    assert all({i[0] for i in e} == {"a", "b"} for e in epochs)


@pytest.mark.parametrize(
    "changes",
    [
        {"teacher": "m_crs", "lambda2": 0.0},
        {"teacher": "mask", "lambda2": 0.0},
        {"lambda3": 0.0},
        {"detach": False},
        {"seg_target": "soft", "seg_loss": "as_printed"},
        {"precision": "bf16"},
    ],
)
def test_every_kind_of_step_is_finite_and_reaches_the_encoders(changes: dict[str, Any]) -> None:
    cfg = brief(**changes)
    torch.manual_seed(0)
    model = USPL(cfg).train()
    data = AVSBench(sample(), "train", frames="first", size=cfg.image_size)
    batch = next(iter(loader(data, batch_size=4, front_end=cfg.front_end)))
    with torch.autocast("cpu", enabled=cfg.precision == "bf16"):
        moment = progress.TrainingProgress(True, cfg.delta, 0.0)
        losses = Objective(model)(batch, torch.Generator().manual_seed(0), moment)
    assert all(torch.isfinite(v) for v in losses.values())
    losses["loss"].backward()
    grads = [p.grad for p in (*model.visual.parameters(), *model.audio.parameters())]
    assert all(g is not None and torch.isfinite(g).all() for g in grads)
    if cfg.lambda2 == 0:
        assert losses["aff"] == 0


def test_the_schedule_ramps_and_falls() -> None:
    factor = schedule.factor(brief(schedule="cosine", ramp_steps=4), 100)
    assert [factor(0), factor(3)] == pytest.approx([0.25, 1], abs=0.01)
    assert factor(100) == pytest.approx(0.02)
    assert schedule.factor(brief(schedule="constant", ramp_steps=0), 100)(50) == 1


def test_the_warm_up_may_be_slower_than_the_rest() -> None:
    cfg = brief(schedule="cosine", ramp_steps=4, warmup_lr=0.5)
    joint, warmup = schedule.factor(cfg, 100), schedule.factor(cfg, 100, joint=False)
    assert [warmup(i) for i in (0, 3, 50, 100)] == [joint(i) / 2 for i in (0, 3, 50, 100)]


@pytest.mark.parametrize(
    ("changes", "scores", "merit"),
    [
        ({}, {"val_m_crs": 0.1, "val_m_fine": 0.2, "val_m": 0.3}, 0.3),
        ({"lambda3": 0.0}, {"val_m_crs": 0.1, "val_m_fine": 0.2}, 0.2),
        ({"lambda3": 0.0, "lambda2": 0.0}, {"val_m": 0.4, "val_loss": 7.0}, 0.4),  # a peer has one map
        ({}, {"val_loss": 2.0}, -2.0),  # without masks: the loss that is trained
    ],
)
def test_the_best_epoch_is_that_of_the_map_in_question(
    changes: dict[str, float], scores: dict[str, float], merit: float
) -> None:
    assert schedule.selection_score(Config.tiny(**changes), scores) == merit


def test_delta_rises_in_the_warm_up_alone() -> None:
    cfg = brief(delta=0.6, delta_ramp=0.5, warmup_epochs=8)
    assert [round(schedule.delta(cfg, False, e), 2) for e in range(6)] == [0, 0.15, 0.3, 0.45, 0.6, 0.6]
    assert schedule.delta(cfg, True, 0) == schedule.delta(brief(delta=0.6, delta_ramp=0.0), False, 0) == 0.6


def test_training_needs_no_particular_c_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def missing(name: str) -> None:
        asked.append(name)
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    run(tmp_path, brief(epochs=0), phase="warmup")
    assert "libc.so.6" in asked
