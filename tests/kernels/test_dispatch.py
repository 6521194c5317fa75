"""The twins against the equations: same numbers for any shape and type, and switched off when asked."""

import dataclasses
import logging
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor

from tests.helpers.values import SHAPES, normal, random, trimap
from uspl.affinity import affinity, affinity_loss
from uspl.config import Config
from uspl.kernels import dispatch
from uspl.model import USPL
from uspl.refine import pamr, par
from uspl.walk import random_walk

Function = Callable[..., Tensor]


def of(dtype: torch.dtype, x: Tensor) -> Tensor:
    """The same numbers in another type; drawn in it, they would be others."""
    return x.to(dtype)


def refined(function: Function) -> Function:
    return lambda b, h, w, dtype, **how: function(
        of(dtype, random(0, b, 3, h, w)), of(dtype, random(1, b, 2, h, w)), dilations=(1, 2, 5), **how
    )


def walked(b: int, h: int, w: int, dtype: torch.dtype, **how: bool) -> Tensor:
    a = affinity(of(dtype, normal(1, b, 4, h, w)), r=3, fast=False)
    return random_walk(of(dtype, normal(0, b, h, w)), a, beta=5, t=4, r=3, **how)


FUNCTIONS: dict[str, Function] = {
    "pamr": refined(pamr),
    "par": refined(par),
    "affinity": lambda b, h, w, dtype, **how: affinity(of(dtype, normal(0, b, 5, h, w)), r=3, **how),
    "loss": lambda b, h, w, dtype, **how: affinity_loss(
        of(dtype, normal(0, b, 5, h, w)), trimap(1, b, h, w), r=3, **how
    ),
    "walk": walked,
}


def forbidden(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_of_pairs", "_of_maps"):
        monkeypatch.setattr(dispatch, name, lambda: pytest.fail("a kernel was asked for"))


functions = pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)


@pytest.mark.parametrize("numba", ["1", "0"])
@functions
@pytest.mark.parametrize("shape", [*SHAPES, (17, 23)])
@pytest.mark.parametrize("b", [0, 1, 3])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_a_twin_gives_what_the_equation_gives(
    function: Function,
    shape: tuple[int, int],
    b: int,
    dtype: torch.dtype,
    tolerance: float,
    numba: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Numba and the PyTorch that keeps little, against the plain lines that the book shows."""
    monkeypatch.setenv("USPL_FAST", numba)
    got, plain = function(b, *shape, dtype), function(b, *shape, dtype, fast=False)
    assert got.dtype == plain.dtype == dtype
    torch.testing.assert_close(got, plain, atol=tolerance, rtol=tolerance)


@functions
def test_bfloat16_takes_the_plain_path(function: Function) -> None:
    """Three digits: a percent of float32's numbers."""
    got, exact = function(2, 5, 6, torch.bfloat16), function(2, 5, 6, torch.float32)
    assert got.dtype == torch.bfloat16
    torch.testing.assert_close(got.float(), exact, atol=0.1, rtol=0.1)


@pytest.mark.parametrize("on", [True, False])
def test_any_memory_layout(on: bool) -> None:
    f, y, m = normal(0, 2, 5, 6, 7), trimap(1, 2, 6, 7), random(2, 2, 6, 7)
    a, image = affinity(f, r=3), random(3, 2, 3, 6, 7)
    odd = [x.transpose(-1, -2).contiguous().transpose(-1, -2) for x in (f, y, m, a, image)]
    f2, y2, m2, a2, image2 = odd
    assert not any(x.is_contiguous() for x in odd)
    last = f.to(memory_format=torch.channels_last)
    for g in (f2, last):
        torch.testing.assert_close(affinity(g, r=3, fast=on), affinity(f, r=3, fast=on))
        torch.testing.assert_close(affinity_loss(g, y2, r=3, fast=on), affinity_loss(f, y, r=3, fast=on))
    how: dict = {"beta": 5, "t": 3, "r": 3, "fast": on}
    torch.testing.assert_close(random_walk(m2, a2, **how), random_walk(m, a, **how))
    torch.testing.assert_close(pamr(image2, m2[:, None], fast=on), pamr(image, m[:, None], fast=on))


@pytest.mark.parametrize("reading", ["power", "squarings"])
@pytest.mark.parametrize("on", [True, False])
def test_gradients_of_the_walk(reading: str, on: bool) -> None:
    m = normal(0, 2, 3, 4, dtype=torch.float64).requires_grad_()
    a = random(1, 2, 4, 3, 4, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda m, a: random_walk(m, a, beta=2.5, t=3, r=2, reading=reading, fast=on), (m, a), atol=1e-6
    )


@pytest.mark.parametrize("on", [True, False])
def test_gradients_of_affinity_and_loss(on: bool) -> None:
    f, y = normal(0, 2, 3, 3, 4, dtype=torch.float64).requires_grad_(), trimap(1, 2, 3, 4)
    assert torch.autograd.gradcheck(lambda f: affinity(f, r=3, fast=on), (f,))
    for balanced in (True, False):
        assert torch.autograd.gradcheck(lambda f, b=balanced: affinity_loss(f, y, r=3, balanced=b, fast=on), (f,))


def test_gradients_agree_in_float32() -> None:
    f, y, m = normal(0, 3, 8, 9, 11), trimap(1, 3, 9, 11), random(2, 3, 9, 11)
    found = []
    for on in (True, False):
        x = f.clone().requires_grad_()
        loss = affinity_loss(x, y, r=4, fast=on)
        walk = random_walk(m, affinity(x, r=4, fast=on), beta=5, t=6, r=4, fast=on)
        found.append(torch.autograd.grad(loss + walk.square().sum(), x)[0])
    torch.testing.assert_close(*found, atol=1e-5, rtol=1e-4)


@functions
def test_a_number_that_is_none_stays_visible(function: Function, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fast mathematics must not hide a loss that has left the numbers: training stops on it."""
    whole = torch.randn
    monkeypatch.setattr(torch, "randn", lambda *args, **options: whole(*args, **options) * torch.nan)
    drawn = torch.rand
    monkeypatch.setattr(torch, "rand", lambda *args, **options: drawn(*args, **options) * torch.nan)
    monkeypatch.setitem(globals(), "trimap", lambda seed, *shape: torch.ones(shape, dtype=torch.uint8))
    for on in (True, False):
        assert function(1, 3, 4, torch.float32, fast=on).isnan().any()


def values(on: bool) -> tuple[Tensor, list[Tensor]]:
    f = normal(0, 1, 2, 3, 3).requires_grad_()
    y, m = trimap(1, 1, 3, 3), random(1, 1, 3, 3)
    walk = random_walk(m, affinity(f, r=2, fast=on), beta=1, t=2, r=2, fast=on)
    return f, [affinity(f, r=2, fast=on).sum(), affinity_loss(f, y, r=2, fast=on), walk.square().sum()]


@pytest.mark.parametrize("numba", ["1", "0"])
def test_gradients_are_those_of_the_equation(numba: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USPL_FAST", numba)
    for got, plain in zip(values(True)[1], values(False)[1], strict=True):
        torch.testing.assert_close(got, plain)
    (f, twins), (g, plains) = values(True), values(False)
    for got, plain in zip(twins, plains, strict=True):
        torch.testing.assert_close(torch.autograd.grad(got, f)[0], torch.autograd.grad(plain, g)[0])


def test_a_second_derivative_is_refused_by_the_twins_alone() -> None:
    f, plain = values(False)
    assert all(torch.autograd.grad(value, f, create_graph=True)[0].requires_grad for value in plain[1:])
    f, twins = values(True)
    for value in twins:
        with pytest.raises(RuntimeError, match="has no second derivative; take its gradient without `create_graph`"):
            torch.autograd.grad(value, f, create_graph=True)


def test_functional_transforms_are_refused_by_the_twins_alone() -> None:
    f = normal(0, 1, 2, 3, 3)
    with pytest.raises(RuntimeError, match="functorch transforms"):
        torch.func.grad(lambda f: affinity(f, r=2).sum())(f)
    assert torch.func.grad(lambda f: affinity(f, r=2, fast=False).sum())(f).isfinite().all()


def test_the_refinement_works_under_functional_transforms() -> None:
    image, m = random(0, 1, 3, 4, 4), random(1, 1, 1, 4, 4)
    tangent = torch.func.grad(lambda m: pamr(image, m, iterations=1, dilations=(1,)).sum())(m)
    torch.testing.assert_close(tangent.sum(), torch.tensor(16.0))


# When the kernels are taken


def test_the_environment_and_the_argument_switch_them_off(monkeypatch: pytest.MonkeyPatch) -> None:
    assert dispatch.usable(torch.zeros(1))
    assert not dispatch.usable(torch.zeros(1, dtype=torch.bfloat16))
    assert not dispatch.usable(torch.zeros(1, device="meta"))
    assert not dispatch.usable(torch.zeros(1), torch.zeros(1, dtype=torch.float64))
    forbidden(monkeypatch)
    for function in FUNCTIONS.values():
        function(1, 3, 4, torch.float32, fast=False)
    monkeypatch.setenv("USPL_FAST", "0")
    assert not dispatch.usable(torch.zeros(1))
    for function in FUNCTIONS.values():
        function(1, 3, 4, torch.float32)


def test_the_configuration_switches_them_off(monkeypatch: pytest.MonkeyPatch) -> None:
    cfg = Config.tiny(widths=(8, 8, 8, 8), dim=8, aff_dim=8, decoder_dim=8, image_size=32, map_size=16, r=3)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = USPL(cfg).eval()
    image, sound = random(0, 2, 3, 32, 32), random(1, 2, 1, 1, 96, 64)
    with torch.inference_mode():
        quick = model(image, sound)
        forbidden(monkeypatch)
        model.cfg = dataclasses.replace(cfg, fast=False)
        plain = model(image, sound)
    torch.testing.assert_close(quick.m_fine, plain.m_fine, atol=1e-5, rtol=0)
    torch.testing.assert_close(quick.m_rf, plain.m_rf, atol=1e-5, rtol=0)


def test_without_numba_everything_works(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = FUNCTIONS["walk"](1, 3, 4, torch.float32)
    monkeypatch.setattr(dispatch, "_there", lambda: False)
    monkeypatch.setitem(sys.modules, "numba", None)
    forbidden(monkeypatch)
    torch.testing.assert_close(FUNCTIONS["walk"](1, 3, 4, torch.float32), expected, atol=1e-5, rtol=0)


def test_threads_share_nothing() -> None:
    """Several callers at once, each of whose images are spread over threads again."""
    expected = {name: f(5, 9, 8, torch.float32) for name, f in FUNCTIONS.items()}
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with ThreadPoolExecutor(4) as pool:
            jobs = [(name, pool.submit(f, 5, 9, 8, torch.float32)) for name, f in FUNCTIONS.items() for _ in range(8)]
            assert all(torch.equal(job.result(), expected[name]) for name, job in jobs)
    finally:
        torch.set_num_threads(threads)


def test_compilation_is_announced_once_and_kept(tmp_path: object) -> None:
    """In a process of its own with an empty cache: one line; with the filled cache: none."""
    program = (
        "import logging, torch; logging.basicConfig(level=logging.INFO); from uspl.affinity import affinity;"
        "affinity(torch.ones(1, 2, 3, 3), r=2); affinity(torch.ones(1, 2, 3, 3).double(), r=2)"
    )
    said = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={"NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        )
        said.append(done.stderr.count("Compiling the CPU kernels"))
    assert said == [1, 0]


def test_commands_say_that_they_compile(capsys: pytest.CaptureFixture[str]) -> None:
    """What is logged as information reaches whoever runs `uspl`, though the rest of the log is for warnings."""
    from uspl.cli.main import main

    with pytest.raises(SystemExit):
        main(["check", "--help"])
    assert logging.getLogger("uspl.kernels").isEnabledFor(logging.INFO)
