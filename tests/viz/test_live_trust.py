"""The live figure of Eq. (5): two handles, and what they leave unsure."""

from collections.abc import Callable
from typing import Any

import torch

from tests.helpers.live_figures import said, sliders, square
from uspl import affinity, refine


def test_handles_push_each_other(opens: Callable[..., Any]) -> None:
    tab = opens("trust")
    low, high = tab.locator("input").all()
    assert sliders(tab) == [30, 60]
    before = said(tab)
    low.focus()
    tab.keyboard.press("End")
    assert sliders(tab) == [99, 100]
    assert said(tab, before) != before
    high.focus()
    tab.keyboard.press("Home")
    assert sliders(tab) == [0, 1]
    for _ in range(3):
        tab.keyboard.press("ArrowRight")
    assert sliders(tab) == [0, 4]


def test_handles_are_dragged_on_the_histogram(opens: Callable[..., Any]) -> None:
    tab = opens("trust")
    box, before = tab.locator("svg").bounding_box(), said(tab)
    at = lambda v: (box["x"] + box["width"] * (6 + 2 * v) / 212, box["y"] + box["height"] / 2)  # noqa: E731
    tab.mouse.move(*at(58))
    tab.mouse.down()
    tab.mouse.move(*at(10), steps=8)
    tab.mouse.up()
    assert sliders(tab) == [9, 10]
    tab.mouse.move(*at(80))  # not held any more
    assert sliders(tab) == [9, 10]
    tab.mouse.click(*at(80))
    assert sliders(tab) == [9, 80]
    assert said(tab, before) != before


def test_trust_says_what_the_library_says(opens: Callable[..., Any]) -> None:
    tab, c = opens("trust"), square()
    y = refine.trimap(torch.stack([c["m"], 1 - c["m"]]), beta_l=0.3, beta_h=0.6)
    sure, truth = y != 255, torch.stack([c["mask"]] * 2)
    label = affinity.affinity_labels(y[:1], r=3)
    words = said(tab)
    assert f"{int((label == 1).sum()):,} alike, {int((label == 0).sum()):,} unlike" in words
    right = ((y == 1) == truth)[sure].float().mean().item()
    share = 100 * sure.float().mean().item()
    assert f"all 2 clips: {share:.1f}\u00a0% of the pixels are sure, {100 * right:.1f}\u00a0% of" in words
    on = y[0] == 1
    cells = tab.locator("td").all_inner_texts()
    assert cells[0] == f"{100 * on.float().mean().item():.1f}\u00a0%"
    assert cells[3] == f"{100 * c['mask'][on].float().mean().item():.1f}\u00a0%"
