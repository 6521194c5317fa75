"""Pages that hold a live figure."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.helpers.live_figures import build
from tests.helpers.refinement_figures import built
from uspl.config import Config
from uspl.model import USPL


@pytest.fixture(scope="module")
def model() -> USPL:
    torch.manual_seed(0)
    return USPL(Config.tiny(widths=(8, 8, 8, 8), dim=8, aff_dim=8, decoder_dim=8, image_size=32, map_size=16)).eval()


@pytest.fixture(scope="module")
def made(model: USPL) -> dict[str, str]:
    """Each figure as HTML."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("USPL_STATIC", "1")
        return {kind: build(kind, model).data for kind in ("swap", "drop", "rule")}


@pytest.fixture(params=["swap", "drop", "rule"])
def opened(request: pytest.FixtureRequest, made: dict[str, str], browser: Any, tmp_path: Path) -> Iterator[Any]:
    """A page that holds one figure, begun, and quiet to the end."""
    page, noise, tab = tmp_path / "page.html", [], browser.new_page()
    page.write_text(
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>t</title>{made[request.param]}</html>"
    )
    tab.on("console", lambda m: noise.append(m.text))
    tab.on("pageerror", lambda e: noise.append(str(e)))
    tab.on("request", lambda r: None if r.url.startswith(("file:", "data:", "blob:")) else noise.append(r.url))
    tab.goto(page.as_uri())
    tab.wait_for_selector(".uspl-live.on")
    yield tab
    assert not noise, noise
    tab.close()


@pytest.fixture
def no_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USPL_STATIC", "1")


@pytest.fixture
def opens(no_kernel: None, browser: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """`opens("walk")`: a page that holds the figure, and nothing else; noise of the console fails the test."""
    tabs, noise = [], []

    def go(kind: str, *, media: dict[str, str] | None = None, **changes: Any) -> Any:
        path = tmp_path / f"{kind}.html"
        head = '<!doctype html><html lang="en"><meta charset="utf-8"><title>x</title>'
        path.write_text(head + built(kind, **changes).data)
        tab = browser.new_page(**(media or {}))
        tab.on("console", lambda m: noise.append(m.text) if m.type in {"error", "warning"} else None)
        tab.on("pageerror", lambda e: noise.append(str(e)))
        tab.on("request", lambda r: None if r.url == path.as_uri() or r.url[:5] == "data:" else noise.append(r.url))
        tab.goto(path.as_uri())
        tab.wait_for_selector(".uspl-live.on .readout:not(:empty)")
        tabs.append(tab)
        return tab

    yield go
    for tab in tabs:
        tab.close()
    assert not noise
