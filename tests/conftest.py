"""What the tests share: run-time checks of every shape, the golden values, one source of randomness."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import jaxtyping
import numpy as np
import pytest
import torch
from beartype import BeartypeConf, beartype
from hypothesis import settings
from torch import Tensor

# Shapes and types of the library are checked while the tests run; an int may stand for a float.
typechecker = beartype(conf=BeartypeConf(is_pep484_tower=True))
jaxtyping.install_import_hook("uspl", "conftest.typechecker")

torch.set_num_threads(1)
settings.register_profile("uspl", max_examples=25, deadline=None, derandomize=True)
settings.load_profile("uspl")

ROOT = Path(__file__).resolve().parents[1]
SHAPES = [(1, 1), (1, 5), (4, 1), (3, 4), (2, 6)]  # of a map: also a pixel, a row, a column, less than a radius


@lru_cache(maxsize=2)
def reference(name: str) -> dict[str, Any]:
    """Golden values of tests/reference/<name>.npz: numbers as tensors, words as arrays."""
    return _load(ROOT / "tests" / "reference" / f"{name}.npz")


def reference_json(name: str) -> Any:
    """A JSON file of tests/reference."""
    return json.loads((ROOT / "tests" / "reference" / f"{name}.json").read_text())


def shared(name: str) -> Path:
    """A file that lies beside the repository and is not part of it, such as "reference/metrics_vsl.npz".

    The folder is ../shared, or USPL_SHARED. Without the folder the test is skipped, except where CI is set.
    """
    folder = Path(os.environ.get("USPL_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir() and not os.environ.get("CI"):
        pytest.skip("needs the shared folder beside the repository")
    return folder / name


def shared_reference(name: str) -> dict[str, Any]:
    """Golden values that are not copied into the repository."""
    return _load(shared(f"reference/{name}.npz"))


def random(seed: int, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Uniform numbers in [0, 1)."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def normal(seed: int, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Standard normal numbers."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def recipe(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights every implementation can make: an integer hash of (place in the state dict, flat index)."""
    return {key: _hashed(i, key, value) for i, (key, value) in enumerate(state.items())}


@pytest.fixture(scope="module", params=["numba", "plain"])
def either(request: pytest.FixtureRequest) -> Iterator[None]:
    """A file that uses this is run twice: with the kernels of `uspl.fast`, and in plain PyTorch."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("USPL_FAST", "1" if request.param == "numba" else "0")
        yield


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a user meets, for whom shapes and types are not checked at run time: the library's own sentences."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _load(path: Path) -> dict[str, Any]:
    with np.load(path, allow_pickle=False) as file:
        return {k: torch.from_numpy(v) if v.dtype.kind in "biuf" else v for k, v in file.items()}


def _hashed(i: int, key: str, value: Tensor) -> Tensor:
    if key.endswith("num_batches_tracked"):
        return value
    pieces = [_unit(i, start, min(value.numel(), start + (1 << 22))) for start in range(0, value.numel(), 1 << 22)]
    u = np.concatenate(pieces)
    s = 2 * u - 1
    if value.ndim >= 2:
        numbers = s * np.sqrt(6 / (value.numel() / value.shape[0]))
    elif key.endswith("running_var"):
        numbers = 1 + 0.5 * u
    elif key.endswith("running_mean"):
        numbers = 0.1 * s
    else:
        numbers = 1 + 0.2 * s if key.endswith("weight") else 0.05 * s
    return torch.from_numpy(numbers.astype(np.float32)).view(value.shape)


def _unit(i: int, start: int, stop: int) -> np.ndarray:
    z = np.arange(start, stop, dtype=np.uint64) + np.uint64(i * 0x9E3779B97F4A7C15 % 2**64)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return (z >> np.uint64(11)).astype(np.float64) * 2.0**-53


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert chromium, "`chromium` is not on the path; `.ci/run` installs it."
    quiet = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    with sync_playwright() as p:
        shown = p.chromium.launch(executable_path=chromium, args=[*quiet, "--disable-sync", "--no-first-run"])
        yield shown
        shown.close()


@pytest.fixture(scope="module")
def javascript(browser: Any) -> Iterator[Callable[..., Any]]:
    """`javascript("({a, b}) => uspl.maths.f(a, b)", a=[...], b=2)`: what the scripts of `uspl/js` compute."""
    tab = browser.new_page()
    tab.goto("about:blank")
    for path in sorted((Path(__file__).parents[1] / "uspl" / "js").glob("*.js")):  # base, drop, maths, ...
        tab.add_script_tag(content=path.read_text())
    yield lambda expression, **given: tab.evaluate(expression, given)
    tab.close()
