"""The live figures of chapters 03 and 04: labelled, printed, on a phone, with a kernel; what is refused."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.helpers.refinement_figures import built


@pytest.mark.parametrize("kind", ["trust", "whom", "walk"])
def test_figure_is_named_labelled_and_printed(opens: Callable[..., Any], kind: str) -> None:
    tab = opens(kind)
    for control in tab.locator("input, select").all():
        assert tab.locator(f"label[for={control.get_attribute('id')}]").inner_text().strip()
    for shown in tab.locator("canvas, svg").all():
        assert shown.get_attribute("role") in {"img", "application"}
        assert len(shown.get_attribute("aria-label") or "") > 15
    assert len(tab.locator(".stage").get_attribute("aria-label") or "") > 15
    assert tab.locator(".stage").is_visible()
    assert not tab.locator(".strip").is_visible()
    tab.emulate_media(media="print")
    assert not tab.locator(".stage").is_visible()
    assert tab.locator(".strip img:visible").count() == 3
    texts = [img.get_attribute("alt") for img in tab.locator(".strip img").all()]
    assert len(set(texts)) == 3, "Each picture of the strip says its values."


@pytest.mark.parametrize("kind", ["trust", "whom", "walk"])
def test_figure_fits_a_phone(opens: Callable[..., Any], kind: str) -> None:
    tab = opens(kind, media={"viewport": {"width": 390, "height": 800}, "color_scheme": "dark"})
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize(
    ("kind", "control", "value"),
    [("trust", "beta_h", 0.9), ("whom", "r", 1), ("whom", "power", 20.0), ("walk", "t", 0), ("walk", "beta", 0.5)],
)
def test_controls_where_a_kernel_lives(
    no_kernel: None, monkeypatch: pytest.MonkeyPatch, kind: str, control: str, value: Any
) -> None:
    monkeypatch.delenv("USPL_STATIC")
    monkeypatch.setenv("JPY_SESSION_NAME", "chapter.ipynb")
    shown, *sliders, _ = built(kind).children
    before, slider = shown.value, {s.description: s for s in sliders}[control]
    slider.value = value
    assert shown.value != before


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("trust", {"beta_l": 0.6, "beta_h": 0.55}, "`beta_l` must be below `beta_h`; got 0.6 and 0.55."),
        ("trust", {"beta_l": 0.551, "beta_h": 0.554}, "`beta_l` must be below `beta_h`; got 0.55 and 0.55."),
        ("trust", {"beta_h": 1.2}, "`beta_l` and `beta_h` must lie in [0, 1]; got 0.3 and 1.2."),
        ("trust", {"which": 2}, "`which` must be the index of one of 2 maps; got 2."),
        ("trust", {"r": 0}, "`r` must be an integer of at least 1; got 0."),
        ("trust", {"mask": torch.ones(2, 3, 3, dtype=torch.bool)}, "`m` and what it is judged by must be of one size"),
        ("whom", {"r": 8}, "`r` must be an integer from 1 to 7; got 8."),
        ("whom", {"power": -1.0}, "`power` must be at least 0; got -1.0."),
        ("whom", {"metric": "manhattan"}, "`metric` must be 'euclidean' or 'chebyshev'; got 'manhattan'."),
        ("whom", {"reduce": "max"}, "`reduce` must be 'mean' or 'sum'; got 'max'."),
        ("whom", {"start": (12, 0)}, "`start` must be a pixel of the 12 x 12 map; got (12, 0)."),
        ("walk", {"t": -1}, "`t` must be an integer of at least 0; got -1."),
        ("walk", {"beta": -1.0}, "`beta` must be at least 0; got -1.0."),
        ("walk", {"reading": "cubes"}, "`reading` must be 'power' or 'squarings'; got 'cubes'."),
        ("walk", {"t": 11, "reading": "squarings"}, "`t` must give at most 1024 steps in a page; got 11 with"),
        ("walk", {"t": 1025}, "`t` must give at most 1024 steps in a page; got 1025 with reading 'power'."),
        ("walk", {"m": torch.rand(3, 3)}, "`f_aff` and what it is judged by must be of one size"),
    ],
)
def test_refused(no_kernel: None, unchecked: None, kind: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        built(kind, **changes)
