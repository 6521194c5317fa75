"""A training that is stopped or killed at any step goes on as if nothing had been, with any number of processes."""

import json
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.helpers.data_sample import sample
from tests.helpers.models import brief, equal
from tests.helpers.ranks import stopped_then_shared, together
from uspl import train
from uspl.model import USPL
from uspl.train import checkpoint
from uspl.train.step import Step

STEPS = 10  # of each phase: two epochs of five


def cfg() -> Any:
    return brief(batch_size=2, keep="best")


def run(runs: Path, **how: Any) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    model, values = train.train_or_load(cfg(), sample(), runs=runs, progress=False, **how)
    return {k: v.clone() for k, v in model.state_dict().items()}, values


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, torch.Tensor], dict[str, Any], list[str]]:
    """Weights, record and log of a run that nothing interrupts."""
    weights, values = run(tmp_path_factory.mktemp("whole"))
    return weights, values, log_of(values)


def log_of(values: dict[str, Any]) -> list[str]:
    return (Path(values["folder"]) / "log.jsonl").read_text().splitlines()


def after(monkeypatch: pytest.MonkeyPatch, step: int, act: Any) -> None:
    """Let `act()` happen while the given step of the training, from 1, is made."""
    real, count = Step.__call__, iter(range(1, 1000))

    def counted(self: Step, batch: Any) -> Any:
        if next(count) == step:
            act()
        return real(self, batch)

    monkeypatch.setattr(Step, "__call__", counted)


def send(name: str) -> Any:
    return lambda: os.kill(os.getpid(), getattr(signal, name))


@pytest.mark.parametrize("step", [3, 12, 2 * STEPS])
def test_sigterm_saves_and_stops_and_the_rest_is_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: Any, step: int
) -> None:
    after(monkeypatch, step, send("SIGTERM"))
    with pytest.raises(train.TrainingStopped, match="stopped by SIGTERM after step") as error:
        run(tmp_path)
    assert f"after step {(step - 1) % STEPS + 1} of {STEPS} of " in str(error.value)
    assert error.value.exit_code == 143
    weights, values = run(tmp_path)
    assert equal(whole[0], weights)
    assert values["history"] == whole[1]["history"]
    assert log_of(values) == whole[2]  # each step is told once
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_sigusr1_saves_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: Any) -> None:
    saved: list[int] = []
    real = checkpoint.save_resume
    monkeypatch.setattr(checkpoint, "save_resume", lambda *a: (saved.append(a[3]["step"]), real(*a))[1])
    after(monkeypatch, 2, send("SIGUSR1"))
    weights, _ = run(tmp_path)
    assert saved == [2, 0, 0, 0, 0]  # and after each epoch
    assert equal(whole[0], weights)


def test_save_every_so_many_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: Any) -> None:
    saved: list[int] = []
    real = checkpoint.save_resume
    monkeypatch.setattr(checkpoint, "save_resume", lambda *a: (saved.append(a[3]["step"]), real(*a))[1])

    def cut() -> None:
        raise KeyboardInterrupt

    after(monkeypatch, 10, cut)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, save_every=2)
    assert saved == [2, 4, 0, 2, 4]
    weights, _ = run(tmp_path, save_every=2)
    assert equal(whole[0], weights)
    with pytest.raises(ValueError, match="`save_every` must be at least 0 steps; got -1"):
        run(tmp_path, save_every=-1)


def test_a_checkpoint_is_old_or_new_never_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: Any) -> None:
    """The process ends while a file is written: the one before it is left, and what was written of it goes away."""
    real, count = Path.write_bytes, iter(range(1000))

    def cut(self: Path, data: Any) -> int:
        if self.name.startswith(".resume") and next(count) == 3:
            real(self, data[: len(data) // 2])
            raise KeyboardInterrupt
        return real(self, data)

    monkeypatch.setattr(Path, "write_bytes", cut)
    monkeypatch.setattr(Path, "unlink", lambda self, **_: None)  # as after SIGKILL, nothing is cleaned up
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, save_every=1)
    monkeypatch.undo()
    assert list(tmp_path.rglob(".*.part"))
    weights, _ = run(tmp_path)
    assert equal(whole[0], weights)
    assert not list(tmp_path.rglob(".*.part"))


def test_a_line_that_a_kill_cut_off_is_dropped(tmp_path: Path) -> None:
    lines = [json.dumps({"step": i}) for i in range(1, 5)]
    (tmp_path / "log.jsonl").write_text("\n".join(lines) + '\n{"step": 1')
    checkpoint.cut_log(tmp_path, 3)
    assert (tmp_path / "log.jsonl").read_text().splitlines() == lines[:3]


def test_another_thread_trains_without_signals(tmp_path: Path, whole: Any) -> None:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(run(tmp_path)))
    thread.start()
    thread.join()
    assert equal(whole[0], found[0][0])


def test_a_resume_file_is_at_most_three_times_what_learns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights and both moments of Adam, and little else."""
    after(monkeypatch, 2 * STEPS, send("SIGTERM"))
    with pytest.raises(train.TrainingStopped):
        run(tmp_path)
    (file,) = tmp_path.glob("full-*/resume.safetensors")
    learns = sum(4 * p.numel() for p in USPL(cfg()).parameters())
    assert 2.5 * learns < file.stat().st_size < 3 * learns + 60_000  # names, states of the draws, BatchNorm


def test_the_rest_may_be_done_by_another_number_of_processes(tmp_path: Path) -> None:
    """Stopped in the middle of an epoch alone, ended by two: as one alone in float64, to rounding."""
    first, second = together(2, stopped_then_shared, sample(), tmp_path)
    assert first["together"] == pytest.approx(first["alone"], abs=1e-6)
    assert first == second
