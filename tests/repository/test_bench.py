"""The benchmark: its clock is fair, its references are the equations, and it times nothing that disagrees."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import run
from benchmarks.ratios import memory, naive, naive_media, timing
from benchmarks.ratios.row import Disagreement, Row, Side, check, share
from benchmarks.ratios.rows import ROWS, chosen
from benchmarks.ratios.rows_data import pictures, tones
from tests.helpers.values import ROOT, normal, random
from uspl import affinity, audio, metrics, refine, walk

sides = st.integers(2, 7)
CPU = torch.device("cpu")


class Clock:
    """Time that passes only when a call says so, and what was called."""

    def __init__(self) -> None:
        self.now, self.calls = 0.0, ""

    def __call__(self) -> float:
        return self.now

    def call(self, name: str, *seconds: float):
        """A call that lasts `seconds`, one after the other, the last one from then on."""
        left = list(seconds)

        def run() -> None:
            self.now += left.pop(0) if len(left) > 1 else left[0]
            self.calls += name

        return run


def test_pairs_alternate_after_both_are_warm() -> None:
    clock = Clock()
    times = timing.paired(clock.call("a", 2.0), clock.call("b", 1.0), measure=timing.by_clock(clock), pairs=3)
    assert clock.calls == "ab" + "ab" + "ba" + "ab"
    assert times == (2000, 1000, 2, 2, 2)


def test_ratio_is_the_median_of_pairs_with_its_range() -> None:
    clock = Clock()
    base, ours = clock.call("a", 9.0, 2.0, 8.0, 3.0), clock.call("b", 9.0, 2.0, 2.0, 1.0)
    times = timing.paired(base, ours, measure=timing.by_clock(clock), pairs=3)
    assert (times.ratio, times.low, times.high) == (3, 1, 4)
    assert (times.base_ms, times.ours_ms) == (3000, 2000)


@pytest.mark.parametrize(("seconds", "most"), [(0.001, 60), (0.03, 2), (0.06, 1), (5.0, 1)])
def test_short_calls_are_repeated(seconds: float, most: int) -> None:
    clock = Clock()
    times = timing.repeats(clock.call("a", seconds), timing.by_clock(clock))
    assert times <= most
    assert times * seconds >= timing.LEAST - 1e-9


def test_no_pairs_are_refused() -> None:
    with pytest.raises(ValueError, match="`pairs` must be at least 1; got 0"):
        timing.paired(list, list, measure=timing.by_clock(), pairs=0)


@given(st.integers(0, 99), sides, sides, st.sampled_from(["pamr", "par"]))
def test_refinement_by_unfold(seed: int, h: int, w: int, kind: str) -> None:
    image, m = random(seed, 2, 3, h, w), random(seed + 1, 2, 1, h, w)
    options = {"iterations": 3, "dilations": (1, 2, 4)}
    expected = getattr(naive, kind)(image, m, **options)
    torch.testing.assert_close(getattr(refine, kind)(image, m, **options), expected, atol=1e-5, rtol=0)


@given(st.integers(0, 99), sides, sides, st.integers(1, 4), st.sampled_from(["chebyshev", "euclidean"]))
def test_affinity_walk_and_loss_by_matrices(seed: int, h: int, w: int, r: int, metric: str) -> None:
    f, m = normal(seed, 2, 3, h, w).requires_grad_(), random(seed + 1, 2, h, w)
    y, close = refine.trimap(m, beta_l=0.4, beta_h=0.6), naive.near(h, w, r, metric)
    a, dense = affinity.affinity(f, r=r, metric=metric), naive.affinity(f, close)
    torch.testing.assert_close(affinity.to_dense(a, r=r, metric=metric), dense)
    options = {"beta": 2.0, "t": 3, "r": r, "metric": metric}
    fine = naive.walk(m, dense, beta=2.0, t=3)
    torch.testing.assert_close(walk.random_walk(m, a, **options), fine, atol=1e-6, rtol=0)
    power = naive.walk_by_power(m, naive.transition(dense, 2.0), t=3)
    torch.testing.assert_close(power, fine, atol=1e-6, rtol=0)
    labels = naive.labels(y, close)
    ours = affinity.affinity_labels(y, r=r, metric=metric)
    assert all(int((labels == kind).sum()) == 2 * int((ours == kind).sum()) for kind in (0, 1))
    if (labels == 0).any() and (labels == 1).any():
        got, expected = affinity.affinity_loss(f, y, r=r, metric=metric), naive.affinity_loss(f, y, close)
        torch.testing.assert_close(got, expected)
        for x, e in zip(torch.autograd.grad(got, f), torch.autograd.grad(expected, f), strict=True):
            torch.testing.assert_close(x, e, atol=1e-5, rtol=1e-4)


@given(st.integers(0, 99), st.integers(1, 5), sides)
def test_scores_by_loops(seed: int, n: int, side: int) -> None:
    m, truth = random(seed, n, side, side), random(seed + 1, n, side, side) > 0.5
    curves = torch.stack([naive.f_curve(a, b) for a, b in zip(m, truth, strict=True)])
    torch.testing.assert_close(metrics.f_curves_of_scores(m, truth)[0], curves)
    truth[:, 0, 0] = True  # the loops divide by the area
    gt, levels = truth * (1 + random(seed + 2, n, 1, 1).round()) / 2, torch.tensor([0.2, 0.5, 0.9])
    found = torch.tensor([naive.ciou_half(a, b) for a, b in zip(m, gt, strict=True)])
    torch.testing.assert_close(metrics.ciou(m, gt), found)
    at = torch.stack([naive.ciou_curve(a, b, levels) for a, b in zip(m, gt, strict=True)])
    torch.testing.assert_close(metrics.ciou_curve(m, gt, levels), at)
    assert metrics.auc(found) == pytest.approx(naive.auc(found.double()))


@pytest.mark.parametrize(("sr", "how", "tolerance"), [(16_000, "soxr_hq", 1e-4), (44_100, "kaiser_best", 1e-2)])
def test_sound_by_librosa(sr: int, how: str, tolerance: float) -> None:
    wave = tones(3, 2, sr)
    expected = naive_media.vggish_patches(wave, sr, how=how)
    assert expected.shape == (2, 1, 96, 64)
    torch.testing.assert_close(audio.vggish_patches(torch.from_numpy(wave), sr), expected, atol=tolerance, rtol=0)


def test_sound_by_scipy_and_pictures_by_pillow() -> None:
    for row in (ROWS["wav-scipy"], Row("small", "", "", pictures(97, 61), 1.01)):
        check(row, "plain", row.make(CPU)["plain"])


def test_the_mel_matrix_is_the_librarys() -> None:
    np.testing.assert_allclose(naive_media.mel_matrix(), audio.mel_matrix().numpy(), atol=1e-6)


def test_an_unknown_row_is_refused_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["--row", "nonsense"]) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith("`row` must be one of pamr-b1, ")
    assert shown.err.endswith("; got nonsense.\n")
    assert not shown.out


def test_a_peak_is_what_a_call_holds_at_once() -> None:
    code = (
        "import torch; from benchmarks.ratios.memory import peak; one = lambda: torch.ones(2**22);"
        "print(peak(one), peak(lambda: one() + one()), peak(lambda: [one().sum() for _ in range(9)]))"
    )
    environment = {**os.environ, **memory.ENVIRONMENT, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert [float(word) for word in done.stdout.split()] == pytest.approx([16, 48, 16], abs=2)  # MiB


def test_no_name_is_every_row() -> None:
    assert [row.name for row in chosen([])] == list(ROWS)
    assert all(row.name == name and row.what and row.sizes for name, row in ROWS.items())


def small(tolerance: float = 0.0, ours: float = 1.0, **options: float) -> Row:
    one = lambda: torch.tensor([1.0])  # noqa: E731
    return Row("small", "one", "1", lambda _: {"plain": Side(one, lambda: torch.tensor([ours]))}, tolerance, **options)


@pytest.mark.parametrize("value", [1.1, float("nan"), float("inf")])
def test_a_row_that_disagrees_is_not_timed(
    value: float, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "chosen", lambda _: [small(0.05, value)])
    monkeypatch.setattr(timing, "paired", lambda *_, **__: pytest.fail("timed"))
    assert run.main(["--row", "small"]) == 1
    assert "Row `small`, plain: the results must agree within 0.05; they differ by" in capsys.readouterr().err


def test_other_shapes_disagree() -> None:
    with pytest.raises(Disagreement, match=r"the shapes differ: \(2,\) and \(3,\)"):
        share(torch.ones(2), torch.ones(3))
    assert share((torch.ones(2), torch.tensor([2.0, 4.0])), (torch.ones(2), torch.tensor([2.0, 3.0]))) == 0.25


def test_goals_may_be_least_or_most() -> None:
    least = Row("a", "", "", lambda _: {}, 0, {"plain": 5})
    most = Row("a", "", "", lambda _: {}, 0, {"plain": 0.1}, at_most=True)
    assert (least.reached("plain", 5.0), least.reached("plain", 4.9), least.reached("numba", 1.0)) == (
        True,
        False,
        None,
    )
    assert (most.reached("plain", 0.1), most.reached("plain", 0.2)) == (True, False)


def test_the_record_says_what_was_measured_and_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    row = small(goals={"plain": 3}, peak=2.0)
    monkeypatch.setattr(run, "chosen", lambda names: [row])
    monkeypatch.setattr(memory, "peaks", lambda *_, **__: {"plain": (30.0, 10.0)})
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(timing, "paired", lambda *_, **__: timing.Timing(4.0, 2.0, 2.0, 1.5, 2.5))
    arguments = ["--out", str(tmp_path), "--threads", "1"]
    assert run.main([*arguments, "--row", "small"]) == 0
    assert not list(tmp_path.iterdir())  # a part does not replace the whole
    assert run.main(arguments) == 0
    written = json.loads((tmp_path / "ratios.json").read_text())
    assert {"processor", "cores", "threads", "load", "clock", "pairs", "command", "rows"} <= set(written)
    assert {"commit", "versions", "python"} <= set(written["environment"])
    found = written["rows"]["cpu"]["small"]["variants"]["plain"]
    assert found["ratio"] == 2
    assert (found["goal"], found["reached"], found["base_mib"], found["peak_reached"]) == (3, False, 30, True)
    shown = capsys.readouterr().out
    assert "small" in shown
    assert "(1.5 .. 2.5)" in shown
