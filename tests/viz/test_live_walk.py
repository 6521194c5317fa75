"""The live figure of Eqs. (7) and (8): the walk, step by step."""

import re
from collections.abc import Callable
from typing import Any

from tests.helpers.live_figures import said, square
from uspl import affinity, maps, metrics, walk
from uspl.maps import resize


def iou(beta: float, t: int, reading: str) -> str:
    c = square()
    a = affinity.affinity(c["f_aff"][None], r=3)
    fine = maps.normalise_map(walk.random_walk(c["m"][None], a, beta=beta, t=t, r=3, reading=reading), "relu_max")
    large = c["mask"].repeat_interleave(2, 0).repeat_interleave(2, 1)
    return f"IoU {metrics.iou(resize(fine, 24) > 0.5, large[None]).item():.2f} after"


def test_walk_says_what_the_library_says(opens: Callable[..., Any]) -> None:
    tab = opens("walk")
    assert said(tab).startswith(f"{iou(5, 4, 'power')} 4 steps")
    proof = tab.locator(".stage p.title").last.inner_text()
    assert "Row sums of T: 1.000000 to 1.000000." in proof
    first, last, least, most = map(float, re.findall(r"\d\.\d{3}\b", proof))
    assert first <= least <= most <= last
    beta, t = tab.locator("input").all()
    for b, steps, reading in ((5, 64, "power"), (0.5, 64, "power"), (0.5, 3, "power"), (5, 8, "squarings")):
        tab.locator("select").select_option(reading)
        beta.fill(str(b))
        t.fill(str(steps))
        expected = f"{iou(b, steps, reading)} {steps if reading == 'power' else 2**steps} steps"
        tab.wait_for_function("w => document.querySelector('.readout').textContent.startsWith(w)", arg=expected)
    assert t.get_attribute("max") == "8"
    assert t.get_attribute("aria-valuetext") == "8: 256 steps"


def test_walk_is_played_and_stopped(opens: Callable[..., Any]) -> None:
    tab, button = opens("walk"), lambda: tab.locator("button")
    t = tab.locator("input").nth(1)
    assert button().inner_text() == "Play the walk"
    button().focus()
    tab.keyboard.press("Enter")
    assert button().inner_text() == "Stop"
    tab.wait_for_function("+document.querySelectorAll('input')[1].value >= 6")
    tab.keyboard.press("Enter")
    at = t.input_value()
    assert button().inner_text() == "Play the walk"
    tab.wait_for_timeout(300)
    assert t.input_value() == at
    t.fill("63")
    tab.keyboard.press("Tab")
    button().click()
    tab.wait_for_function("document.querySelector('button').textContent === 'Play the walk'")  # stops at the end
    assert t.input_value() == "64"


def test_walk_keeps_still_where_motion_is_unwelcome(opens: Callable[..., Any]) -> None:
    tab = opens("walk", media={"reduced_motion": "reduce"})
    assert tab.locator("button").inner_text() == "One step on"
    tab.locator("button").click()
    tab.wait_for_timeout(300)
    assert tab.locator("input").nth(1).input_value() == "5"
