"""Before any test: run-time checks of every shape; one thread; the fixtures that rooms share."""

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import jaxtyping
import pytest
import torch
from hypothesis import settings

from tests.helpers.values import ROOT

jaxtyping.install_import_hook("uspl", "tests.helpers.typechecker")

torch.set_num_threads(1)
settings.register_profile("uspl", max_examples=25, deadline=None, derandomize=True)
settings.load_profile("uspl")


@pytest.fixture(scope="module", params=["numba", "plain"])
def either(request: pytest.FixtureRequest) -> Iterator[None]:
    """A file that uses this is run twice: with the kernels of `uspl.kernels.dispatch`, and in plain PyTorch."""
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
    """`javascript("({a, b}) => uspl.maths.f(a, b)", a=[...], b=2)`: what the scripts of `uspl/viz/js` compute."""
    tab = browser.new_page()
    tab.goto("about:blank")
    for path in sorted((ROOT / "uspl" / "viz" / "js").glob("*.js")):  # base, drop, maths, ...
        tab.add_script_tag(content=path.read_text())
    yield lambda expression, **given: tab.evaluate(expression, given)
    tab.close()
