"""The live figure of Eq. (3): a pixel, and whom it belongs with."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.helpers.live_figures import said, square
from tests.helpers.values import normal, random
from uspl.config import Config
from uspl.viz import live_refinement, quantize


def test_pixel_moves_by_keyboard_mouse_and_touch(opens: Callable[..., Any]) -> None:
    tab = opens("whom", media={"has_touch": True})
    canvas = tab.locator("canvas").first
    words = said(tab)
    assert words.startswith("Pixel in row 5, column 5, on what sounds.")  # three pixels inside, or as deep as there is
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement === document.querySelector('canvas')")
    for key, place in (("ArrowLeft", "5, column 4"), ("Shift+ArrowUp", "0, column 4"), ("ArrowUp", "0, column 4")):
        tab.keyboard.press(key)
        tab.wait_for_function("w => document.querySelector('.readout').textContent.includes(w)", arg=f"row {place}")
    box = canvas.bounding_box()
    at = lambda y, x: (box["x"] + box["width"] * (x + 0.5) / 12, box["y"] + box["height"] * (y + 0.5) / 12)  # noqa: E731
    tab.mouse.click(*at(4, 7))
    tab.wait_for_function("document.querySelector('.readout').textContent.includes('row 4, column 7')")
    tab.touchscreen.tap(*at(10, 2))
    tab.wait_for_function("document.querySelector('.readout').textContent.includes('row 10, column 2, not on')")
    assert "row 10, column 2" in (canvas.get_attribute("aria-label") or "")


@pytest.mark.parametrize("many", [False, True])
def test_whom_says_what_the_library_says(opens: Callable[..., Any], many: bool) -> None:
    """From few channels, and from so many that distances are stored."""
    c = square()
    f = torch.cat([c["f_aff"]] * (40 if many else 1))
    tab = opens("whom", f_aff=f, start=(4, 4))
    seen = ""
    for r, metric in ((3, "euclidean"), (7, "chebyshev")):
        tab.locator("input").fill(str(r))
        tab.locator("select").first.select_option(metric)
        tab.wait_for_function("r => document.querySelector('.readout').textContent.includes(`r = ${r}:`)", arg=r)
        row = quantize.affinity_row(f, (4, 4), r=r, metric=metric)
        near = row > 0
        near[4, 4] = False
        own, other = row[near & c["mask"]], row[near & ~c["mask"]]
        tab.wait_for_function(
            "w => document.querySelector('.readout').textContent.includes(w)",
            arg=f"{len(own) + len(other)} neighbours within r = {r}: mean affinity {own.mean():.2f} to the {len(own)} "
            f"of its own side, {other.mean():.2f} to the {len(other)} of the other.",
        )
        assert said(tab) != seen
        seen = said(tab)


@pytest.mark.usefixtures("no_kernel")
def test_figures_of_the_chapter_are_light() -> None:
    """At the size of the tiny tier: 16 channels on 56 x 56; and with as many channels as the paper's."""
    cfg = Config.tiny()
    mask = torch.zeros(cfg.map_size, cfg.map_size, dtype=torch.bool)
    mask[20:40, 20:40] = True
    for channels, most in ((cfg.aff_dim, 320), (Config.paper().aff_dim, 660)):
        image, f = random(16, 3, cfg.image_size, cfg.image_size), normal(17, channels, cfg.map_size, cfg.map_size)
        page = live_refinement.affinity_from_pixel(image, f, mask, r=cfg.r).data
        assert len(page) < most * 1024, f"{len(page) // 1024} KB"
        stored = json.loads(re.findall(r'class="held">(.*?)</script>', page)[0])["arrays"]
        assert sum(len(x["data"]) for x in stored.values()) < 530_000
