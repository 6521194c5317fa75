"""A page that holds a live figure answers to keyboard, mouse and finger, is labelled, can be printed."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.figures import measured, summary
from tests.helpers.live_figures import build, clip, said
from tests.helpers.values import random
from uspl.model import USPL
from uspl.viz import live_alignment, live_protocols


def test_a_figure_answers_to_the_keyboard(opened: Any) -> None:
    before = said(opened)
    opened.locator("input").first.focus()
    opened.keyboard.press("ArrowRight")
    assert said(opened) != before
    opened.keyboard.press("ArrowLeft")
    assert said(opened) == before


def test_a_figure_answers_to_the_mouse(opened: Any) -> None:
    before, first = said(opened), opened.locator("input").first
    if first.get_attribute("type") == "radio":
        opened.locator("fieldset label").nth(1).click()
    else:
        box = first.bounding_box()
        opened.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        opened.mouse.down()
        opened.mouse.move(box["x"] + box["width"] - 4, box["y"] + box["height"] / 2, steps=4)
        opened.mouse.up()
    assert said(opened) != before


@pytest.mark.parametrize("kind", ["swap", "drop", "rule"])
def test_a_figure_answers_to_a_finger(made: dict[str, str], browser: Any, tmp_path: Path, kind: str) -> None:
    page, context = tmp_path / "page.html", browser.new_context(has_touch=True, viewport={"width": 390, "height": 800})
    head = "<!doctype html><title>t</title><meta name='viewport' content='width=device-width'>"
    page.write_text(head + made[kind])
    tab = context.new_page()
    tab.goto(page.as_uri())
    tab.wait_for_selector(".uspl-live.on")
    before, touched = said(tab), tab.locator("input").nth(1 if kind == "swap" else 0)
    box = touched.bounding_box()
    touched.tap(position={"x": box["width"] - 6, "y": box["height"] / 2})
    assert said(tab) != before
    assert tab.evaluate("document.documentElement.scrollWidth") <= 391
    context.close()


def test_a_figure_is_labelled_and_described(opened: Any) -> None:
    for e in opened.locator("input, select").all():
        assert e.evaluate("e => [...e.labels].map((l) => l.textContent).join('')").strip()
    for e in opened.locator("input[type=range]").all():
        assert e.get_attribute("aria-valuetext")
    for e in opened.locator(".stage canvas, .stage svg").all():
        assert e.get_attribute("role") == "img"
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
    assert all(e.is_visible() and len(e.get_attribute("alt")) > 15 for e in strip.all())
    assert strip.count() >= 3


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
    for name, page in made.items():
        (tmp_path / f"{name}.html").write_text(f"<!doctype html><title>t</title>{page}")
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


def test_the_same_figure_gives_the_same_page(
    model: USPL, made: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("USPL_STATIC", "1")
    assert {kind: build(kind, model).data for kind in made} == made


@pytest.mark.parametrize("kind", ["swap", "drop", "rule"])
def test_with_a_kernel_sliders_compute(model: USPL, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.delenv("USPL_STATIC", raising=False)
    monkeypatch.setenv("JPY_SESSION_NAME", "x.ipynb")
    picture, *sliders, _ = build(kind, model).children
    for slider in sliders:
        assert slider.description
        if kind == "swap":  # a second sound is heard when it has a share
            sliders[-1].value = 0.5
        seen = set()
        for _, value in slider.options:
            slider.value = value
            seen.add(bytes(picture.value))
        slider.value = slider.options[1][1]
        assert len(seen) > 1, slider.description


def test_inputs_of_builders_are_refused(model: USPL, unchecked: None) -> None:
    one, gt = random(0, 1, 32, 32), torch.ones(1, 32, 32)
    with pytest.raises(ValueError, match="`sounds` must hold at least two, to swap one for another; got 1"):
        live_alignment.swap(model, clip(0), {"a": torch.zeros(16_000)}, alt="words")
    with pytest.raises(ValueError, match=r"`scores` must be one per model.*; got 2 scores for 1 models and 1 clips"):
        live_alignment.drop({0.0: model}, [0.1, 0.2], {"clip": clip(0)})
    with pytest.raises(ValueError, match="and `clips` at least one; got 1 scores for 1 models and 0 clips"):
        live_alignment.drop({0.0: model}, [0.1], {})
    for maps, truth, clips in ((one, gt, {}), (one[:, 1:], gt, {"a": clip(0)}), (one, gt[:, :, 1:], {"a": clip(0)})):
        with pytest.raises(ValueError, match="`maps`, `truth` and `clips` must be as many, and of one size"):
            live_protocols.rule(maps, truth, clips)
    with pytest.raises(ValueError, match="`truth` must mark something that sounds in each clip; got one without"):
        live_protocols.rule(one, 0 * gt, {"a": clip(0)})
