"""A page that holds a live figure answers to keyboard, mouse and finger, is labelled, can be printed."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.figures import measured, summary
from tests.helpers.live_figures import build, clip, lever, model, said
from tests.helpers.values import random
from uspl.viz import live_alignment, live_protocols
from uspl.viz.live_figure import KINDS


def test_a_figure_answers_to_the_keyboard(opened: Any) -> None:
    before = said(opened)
    lever(opened).focus()
    steps = next(k for k in range(1, 20) if opened.keyboard.press("ArrowRight") or said(opened) != before)
    for _ in range(steps):
        opened.keyboard.press("ArrowLeft")
    assert said(opened) == before


def test_a_figure_answers_to_the_mouse(opened: Any) -> None:
    before, first = said(opened), lever(opened)
    if first.get_attribute("type") == "radio":
        opened.locator("fieldset label").nth(1).click()
    else:
        box = first.bounding_box()
        opened.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        opened.mouse.down()
        opened.mouse.move(box["x"] + box["width"] - 4, box["y"] + box["height"] / 2, steps=4)
        opened.mouse.up()
    assert said(opened) != before


@pytest.mark.parametrize("kind", KINDS)
def test_a_figure_fits_a_phone_and_answers_to_a_finger(opens: Callable[..., Any], kind: str) -> None:
    phone = {"has_touch": True, "viewport": {"width": 390, "height": 800}, "color_scheme": "dark"}
    tab = opens(kind, media=phone)
    before, touched = said(tab), tab.locator("input").nth(1) if kind == "swap" else lever(tab)
    box = touched.bounding_box()
    touched.tap(position={"x": box["width"] - 6, "y": box["height"] / 2})
    assert said(tab, before) != before
    assert tab.evaluate("document.documentElement.scrollWidth") <= 391


def test_a_figure_is_labelled_and_described(opened: Any) -> None:
    for e in opened.locator("input, select").all():
        assert e.evaluate("e => [...e.labels].map((l) => l.textContent).join('')").strip()
    for e in opened.locator("input[type=range]").all():
        assert e.get_attribute("aria-valuetext")
    for e in opened.locator(".stage canvas, .stage svg").all():
        assert e.get_attribute("role") in ("img", "application")
        assert len(e.get_attribute("aria-label")) > 15
    assert opened.locator(".readout").get_attribute("aria-live") == "polite"
    for e in opened.locator("audio").all():
        assert (e.get_attribute("preload"), bool(e.get_attribute("aria-label"))) == ("none", True)
    assert len(opened.locator(".stage").get_attribute("aria-label")) > 15


def test_on_paper_a_strip_of_pictures_stands_for_it(opened: Any) -> None:
    strip, stage = opened.locator(".strip img"), opened.locator(".stage")
    assert stage.is_visible()
    assert not strip.first.is_visible()
    opened.emulate_media(media="print")
    assert not stage.is_visible()
    texts = [e.get_attribute("alt") for e in strip.all() if e.is_visible()]
    assert min(map(len, texts)) > 15
    assert len(set(texts)) == strip.count() >= 3, "Each picture of the strip says its values."


def test_every_choice_can_be_taken(opened: Any) -> None:
    for select in opened.locator("select").all():
        opened.evaluate("document.querySelectorAll('details').forEach((d) => (d.open = true))")
        for value in select.locator("option").evaluate_all("all => all.map((o) => o.value)"):
            select.select_option(value)
            assert "NaN" not in said(opened)
            assert "undefined" not in opened.locator(".stage").inner_text()


def test_what_fails_leaves_the_pictures(made: dict[str, str], browser: Any, tmp_path: Path) -> None:
    held = re.search(r'class="held">(.*?)</script>', made["drop"], re.DOTALL)
    assert held
    broken = json.loads(held[1])
    del broken["arrays"]["cosine"]
    page, tab = tmp_path / "page.html", browser.new_page()
    page.write_text("<!doctype html><title>t</title>" + made["drop"].replace(held[1], json.dumps(broken)))
    with tab.expect_event("pageerror"):
        tab.goto(page.as_uri())
    assert tab.locator(".strip img").first.is_visible()
    tab.close()


def test_the_bench_moves_every_control(made: dict[str, str], browser: Any, tmp_path: Path) -> None:
    for name in ("swap", "drop", "rule"):
        (tmp_path / f"{name}.html").write_text(f"<!doctype html><title>t</title>{made[name]}")
    (tmp_path / "none.html").write_text("<!doctype html><title>t</title>")
    found = measured(tmp_path, browser)
    assert {k: list(v) for k, v in found.items()} == {
        "drop 1 drop": ["Clip", "delta, share hidden", "Step of training"],
        "rule 1 rule": ["Clip", "Pixels marked by", "Threshold t"],
        "swap 1 swap": ["Sound", "Second sound", "Its share"],
    }
    assert found["rule 1 rule"]["Threshold t"]["steps"] >= 3 * 49
    assert summary([1.0, 5.0, 2.0]) == {"steps": 3, "median_ms": 2.0, "max_ms": 5.0}
    (tmp_path / "swap.html").write_text(
        made["swap"].replace("uspl.figures.swap =", "throw new Error('no'); window.x =")
    )
    with pytest.raises(RuntimeError, match="swap: "):
        measured(tmp_path, browser)


def test_the_same_figure_gives_the_same_page(no_kernel: None, made: dict[str, str]) -> None:
    assert {kind: build(kind).data for kind in made} == made


@pytest.mark.parametrize("kind", KINDS)
def test_with_a_kernel_sliders_compute(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.delenv("USPL_STATIC", raising=False)
    monkeypatch.setenv("JPY_SESSION_NAME", "x.ipynb")
    picture, *sliders, _ = build(kind).children
    for slider in sliders:
        assert slider.description
        if kind == "swap":  # a second sound is heard when it has a share
            sliders[-1].value = 0.5
        seen = set()
        for _, value in slider.options[:: len(slider.options) // 10 + 1]:
            slider.value = value
            seen.add(bytes(picture.value))
        slider.value = slider.options[1][1]
        assert len(seen) > 1, slider.description


def test_inputs_of_builders_are_refused(unchecked: None) -> None:
    one, gt = random(0, 1, 32, 32), torch.ones(1, 32, 32)
    with pytest.raises(ValueError, match="`sounds` must hold at least two, to swap one for another; got 1"):
        live_alignment.swap(model, clip(0), {"a": torch.zeros(16_000)}, alt="words")
    with pytest.raises(ValueError, match=r"`scores` must be one per model.*; got 2 scores for 1 models and 1 clips"):
        live_alignment.drop({0.0: model()}, [0.1, 0.2], {"clip": clip(0)})
    with pytest.raises(ValueError, match="and `clips` at least one; got 1 scores for 1 models and 0 clips"):
        live_alignment.drop({0.0: model()}, [0.1], {})
    for maps, truth, clips in ((one, gt, {}), (one[:, 1:], gt, {"a": clip(0)}), (one, gt[:, :, 1:], {"a": clip(0)})):
        with pytest.raises(ValueError, match="`maps`, `truth` and `clips` must be as many, and of one size"):
            live_protocols.rule(maps, truth, clips)
    with pytest.raises(ValueError, match="`truth` must mark something that sounds in each clip; got one without"):
        live_protocols.rule(one, 0 * gt, {"a": clip(0)})


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
@pytest.mark.usefixtures("no_kernel", "unchecked")
def test_settings_of_builders_are_refused(kind: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        build(kind, **changes)
