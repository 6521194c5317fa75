"""Pages that hold a live figure."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.live_figures import build
from uspl.viz.live_figure import KINDS


@pytest.fixture
def no_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USPL_STATIC", "1")


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    """Each figure as HTML."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("USPL_STATIC", "1")
        return {kind: build(kind).data for kind in KINDS}


@pytest.fixture
def opens(no_kernel: None, made: dict[str, str], browser: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """`opens("walk")`: a page that holds the figure, begun, and quiet to the end."""
    tabs, noise = [], []

    def go(kind: str, *, media: dict[str, Any] | None = None, **changes: Any) -> Any:
        page, tab = tmp_path / f"{kind}.html", browser.new_page(**(media or {}))
        head = "<title>t</title><meta name='viewport' content='width=device-width'>"
        figure = build(kind, **changes).data if changes else made[kind]
        page.write_text(f"<!doctype html><html lang='en'><meta charset='utf-8'>{head}{figure}")
        tab.on("console", lambda m: noise.append(m.text))
        tab.on("pageerror", lambda e: noise.append(str(e)))
        tab.on("request", lambda r: None if r.url.startswith(("file:", "data:", "blob:")) else noise.append(r.url))
        tab.goto(page.as_uri())
        tab.wait_for_selector(".uspl-live.on .readout:not(:empty)")
        tabs.append(tab)
        return tab

    yield go
    for tab in tabs:
        tab.close()
    assert not noise, noise


@pytest.fixture(params=KINDS)
def opened(request: pytest.FixtureRequest, opens: Callable[..., Any]) -> Any:
    """A page that holds one figure."""
    return opens(request.param)
