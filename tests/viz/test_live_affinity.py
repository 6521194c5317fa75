"""The live figures of chapters 03 and 04: their scripts compute what the library computes, and answer to a reader."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.helpers.values import SHAPES, normal, random
from uspl import affinity, maps, metrics, refine, walk
from uspl.config import Config
from uspl.kernels import affinity_autograd
from uspl.maps import resize
from uspl.viz import live_refinement, quantize
from uspl.viz.live_figure import pack

Js = Callable[..., Any]
METRICS = ("euclidean", "chebyshev")
HELD = """
const distances = (held, o, offs) => uspl.maths.heldDistances(
  Object.fromEntries(Object.entries(held).map(([k, v]) => [k, uspl.unpack(v)])), o, offs);
"""


@pytest.fixture(autouse=True)
def no_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USPL_STATIC", "1")


def flat(x: torch.Tensor) -> list[float]:
    """Numbers for a script; infinity, which JSON lacks, does not occur in what is given."""
    return [float(v) for v in x.flatten().tolist()]


def floats(found: list[float]) -> torch.Tensor:
    """What a script answers; a list of whole numbers too."""
    return torch.tensor(found, dtype=torch.float32)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("r", range(1, 9))
def test_offsets(javascript: Js, r: int, metric: str) -> None:
    found = javascript("({r, metric}) => uspl.maths.offsets(r, metric)", r=r, metric=metric)
    assert found == affinity.offsets(r, metric=metric).tolist()


@pytest.mark.parametrize("reduce", ["mean", "sum"])
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("shape", SHAPES)
def test_eq_3_distances(javascript: Js, shape: tuple[int, int], metric: str, reduce: str) -> None:
    """Also on a pixel, a row and a column, where the radius is larger than the map."""
    h, w = shape
    f = normal(3, 1, 5, h, w)
    go = """({f, h, w, r, metric, reduce}) => {
      const d = uspl.maths.distances(f, 5, h, w, uspl.maths.offsets(r, metric), reduce);
      return Array.from(d, (v) => isFinite(v) ? v : -1);
    }"""
    for r in (1, 3):
        found = floats(javascript(go, f=flat(f), h=h, w=w, r=r, metric=metric, reduce=reduce))
        expected = affinity_autograd.distance(f, affinity.offsets(r, metric=metric), reduce=reduce).flatten()
        torch.testing.assert_close(found, expected.where(expected.isfinite(), -1), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("shape", [*SHAPES, (6, 7)])
def test_eq_3_row_of_each_pixel(javascript: Js, shape: tuple[int, int], metric: str) -> None:
    h, w = shape
    f = normal(4, 1, 3, h, w)
    dense = affinity.to_dense(affinity.affinity(f, r=3, metric=metric), r=3, metric=metric)[0] ** 2.5
    go = """({f, h, w, metric, pixel}) => {
      const offs = uspl.maths.offsets(3, metric), d = uspl.maths.distances(f, 3, h, w, offs);
      return Array.from(uspl.maths.affinityRow(d, offs, h, w, pixel, 2.5));
    }"""
    for pixel in range(h * w):
        found = floats(javascript(go, f=flat(f), h=h, w=w, metric=metric, pixel=pixel))
        torch.testing.assert_close(found, dense[pixel], atol=1e-6, rtol=1e-5)
        row = quantize.affinity_row(f[0], (pixel // w, pixel % w), r=3, metric=metric)
        torch.testing.assert_close(row.flatten() ** 2.5, dense[pixel])


@pytest.mark.parametrize(("low", "high"), [(0.2, 0.4), (0.4, 0.55), (0.0, 1.0), (0.29, 0.3), (0.57, 0.58)])
def test_eq_5_in_levels_is_the_trimap(javascript: Js, low: float, high: float) -> None:
    """Thresholds on steps of .01 lose nothing by the levels, not even for values that lie on them."""
    m = torch.cat([random(5, 1, 40, 25).flatten(), torch.arange(101) / 100]).view(1, 1, -1)
    given = {"m": quantize.levels(m).flatten().tolist(), "low": round(100 * low), "high": round(100 * high)}
    found = javascript("({m, low, high}) => Array.from(uspl.maths.trimap(m, low, high))", **given)
    assert found == refine.trimap(m, beta_l=low, beta_h=high).flatten().tolist()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("shape", [*SHAPES, (9, 8)])
def test_eq_6_counts_of_pairs(javascript: Js, shape: tuple[int, int], metric: str) -> None:
    y = torch.tensor([0, 1, 255], dtype=torch.uint8)[(3 * random(6, 1, *shape)).long()]
    for r in (1, 4):
        label = affinity.affinity_labels(y, r=r, metric=metric)
        inside = int(affinity_autograd.inside(affinity.offsets(r, metric=metric), *shape).sum())
        alike, unlike = int((label == 1).sum()), int((label == 0).sum())
        given = {"y": y.flatten().tolist(), "h": shape[0], "w": shape[1], "r": r, "metric": metric}
        go = "({y, h, w, r, metric}) => uspl.maths.pairCounts(y, h, w, uspl.maths.offsets(r, metric))"
        assert javascript(go, **given) == [alike, unlike, inside - alike - unlike]


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0, 7.0, 20.0])
@pytest.mark.parametrize("shape", [*SHAPES, (8, 9)])
def test_eq_7_transition(javascript: Js, shape: tuple[int, int], beta: float) -> None:
    h, w = shape
    f = normal(7, 1, 4, h, w)
    for metric in METRICS:
        go = """({f, h, w, beta, metric}) => {
          const M = uspl.maths, offs = M.offsets(3, metric);
          const T = M.transition(M.distances(f, 4, h, w, offs), offs, h, w, beta);
          return [T.weights, T.degree, M.step(T, new Float32Array(h * w).fill(1))].map((x) => Array.from(x));
        }"""
        weights, degree, sums = javascript(go, f=flat(f), h=h, w=w, beta=beta, metric=metric)
        rows = walk.transition(affinity.affinity(f, r=3, metric=metric), beta=beta, r=3, metric=metric)[0]
        k = len(affinity.offsets(3, metric=metric))
        degree = floats(degree).view(h, w)
        torch.testing.assert_close(1 / degree, rows[0])
        torch.testing.assert_close(floats(weights).view(k, h, w) / degree, rows[1 : 1 + k], atol=1e-6, rtol=1e-4)
        np.testing.assert_allclose(sums, 1, atol=1e-6)  # each row is a probability


@pytest.mark.parametrize(
    ("reading", "t"), [("power", 0), ("power", 1), ("power", 8), ("squarings", 0), ("squarings", 4)]
)
@pytest.mark.parametrize("shape", [*SHAPES, (12, 10)])
def test_eq_8_walk(javascript: Js, shape: tuple[int, int], reading: str, t: int) -> None:
    h, w = shape
    f, m = normal(8, 1, 4, h, w), random(9, 1, h, w)
    a = affinity.affinity(f, r=4)
    expected = walk.random_walk(m, a, beta=3, t=t, r=4, reading=reading)
    go = """({f, m, h, w, t, reading}) => {
      const M = uspl.maths, offs = M.offsets(4, "euclidean");
      return Array.from(M.walk(M.transition(M.distances(f, 4, h, w, offs), offs, h, w, 3), m, t, reading));
    }"""
    found = floats(javascript(go, f=flat(f), m=flat(m), h=h, w=w, t=t, reading=reading)).view(1, h, w)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)
    assert m.min() - 1e-6 <= found.min()
    assert found.max() <= m.max() + 1e-6
    if t == 0 and reading == "power":
        assert torch.equal(found, m)


@pytest.mark.parametrize("how", ["relu_max", "minmax", "raw"])
def test_range_of_a_map(javascript: Js, how: str) -> None:
    for m in (normal(10, 1, 3, 4), torch.full((1, 2, 2), 0.5), torch.full((1, 2, 2), -0.5), torch.zeros(1, 1, 1)):
        found = javascript("({m, how}) => Array.from(uspl.maths.ranged(m, how))", m=flat(m), how=how)
        torch.testing.assert_close(floats(found), maps.normalise_map(m, how).flatten())


@pytest.mark.parametrize("empty", [False, True])
@pytest.mark.parametrize(("side", "size"), [(1, 4), (7, 7), (7, 16), (56, 112)])
def test_iou_of_a_map(javascript: Js, side: int, size: int, empty: bool) -> None:
    m, mask = random(11, 1, side, side), random(12, 1, size, size) > (2 if empty else 0.5)
    given = {"m": flat(m), "n": side, "mask": mask.flatten().int().tolist(), "size": size}
    found = javascript("({m, n, mask, size}) => uspl.maths.iouOfMap(m, n, n, mask, size, size)", **given)
    assert found == pytest.approx(metrics.iou(resize(m, size) > 0.5, mask).item(), abs=1e-6)


def test_outline(javascript: Js) -> None:
    go = "({mask}) => uspl.maths.outline(mask, 2, 3)"
    assert javascript(go, mask=[0, 0, 0, 0, 0, 0]) == []
    sides = javascript(go, mask=[0, 1, 0, 0, 0, 0])
    assert sorted(sides) == [[1, 0, 1, 1], [1, 0, 2, 0], [1, 1, 2, 1], [2, 0, 2, 1]]


@pytest.mark.parametrize("channels", [4, 60])
def test_distances_travel(javascript: Js, channels: int) -> None:
    """Few channels travel as float16 features; of many, the distances as bytes, each at most half a step off."""
    f = normal(13, channels, 9, 8)
    arrays, how = quantize.distances_for_page(f, r=3, metric="chebyshev", reduce="mean")
    assert set(arrays) == ({"features"} if channels == 4 else {"distances"})
    go = f"""({{held, how, r, metric}}) => {{{HELD}
      return Array.from(distances(held, how, uspl.maths.offsets(r, metric)), (v) => isFinite(v) ? v : -1);
    }}"""
    packed, atol = {k: pack(x) for k, x in arrays.items()}, how["step"] / 2 + 1e-6 if channels == 60 else 2e-3
    for r, metric in ((3, "chebyshev"), (3, "euclidean"), (1, "chebyshev")):
        found = floats(javascript(go, held=packed, how=how, r=r, metric=metric))
        expected = affinity_autograd.distance(f[None], affinity.offsets(r, metric=metric)).flatten()
        torch.testing.assert_close(found, expected.where(expected.isfinite(), -1), atol=atol, rtol=0)


def clip(side: int = 12) -> dict[str, Any]:
    """A square that sounds on a plain ground, features that know its edge, a map that is a blob."""
    mask = torch.zeros(side, side, dtype=torch.bool)
    mask[3:9, 3:9] = True
    f = torch.stack([mask.float() * 2, 0.05 * random(14, side, side)])
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    m = torch.exp(-((y - 5.5) ** 2 + (x - 4.5) ** 2) / 12.0)
    return {"image": random(15, 3, 2 * side, 2 * side), "mask": mask, "f_aff": f, "m": m / m.max()}


def built(kind: str, **changes: Any) -> Any:
    c = clip()
    if kind == "trust":
        given = {"m": torch.stack([c["m"], 1 - c["m"]]), "mask": torch.stack([c["mask"]] * 2)}
        given |= {"beta_l": 0.3, "beta_h": 0.6, "r": 3}
    elif kind == "whom":
        given = {"f_aff": c["f_aff"], "mask": c["mask"], "r": 3}
    else:
        large = c["mask"].repeat_interleave(2, 0).repeat_interleave(2, 1)
        given = {"m": c["m"], "f_aff": c["f_aff"], "mask": large, "beta": 5.0, "t": 4, "r": 3}
    return getattr(live_refinement, kind)(c["image"], **(given | changes))


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """`opened("walk")`: a page that holds the figure, and nothing else; noise of the console fails the test."""
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


def said(tab: Any, before: str | None = None) -> str:
    """The line that is read out; with `before`, once it says something else."""
    if before is not None:
        tab.wait_for_function("old => document.querySelector('.readout').textContent !== old", arg=before)
    return str(tab.locator(".readout").inner_text())


@pytest.mark.parametrize("kind", ["trust", "whom", "walk"])
def test_figure_is_named_labelled_and_printed(opened: Callable[..., Any], kind: str) -> None:
    tab = opened(kind)
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
def test_figure_fits_a_phone(opened: Callable[..., Any], kind: str) -> None:
    tab = opened(kind, media={"viewport": {"width": 390, "height": 800}, "color_scheme": "dark"})
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390


def sliders(tab: Any) -> list[int]:
    return [int(e.input_value()) for e in tab.locator("input").all()]


def test_handles_push_each_other(opened: Callable[..., Any]) -> None:
    tab = opened("trust")
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


def test_handles_are_dragged_on_the_histogram(opened: Callable[..., Any]) -> None:
    tab = opened("trust")
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


def test_trust_says_what_the_library_says(opened: Callable[..., Any]) -> None:
    tab, c = opened("trust"), clip()
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


def test_pixel_moves_by_keyboard_mouse_and_touch(opened: Callable[..., Any]) -> None:
    tab = opened("whom", media={"has_touch": True})
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
def test_whom_says_what_the_library_says(opened: Callable[..., Any], many: bool) -> None:
    """From few channels, and from so many that distances are stored."""
    c = clip()
    f = torch.cat([c["f_aff"]] * (40 if many else 1))
    tab = opened("whom", f_aff=f, start=(4, 4))
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


def iou(beta: float, t: int, reading: str) -> str:
    c = clip()
    a = affinity.affinity(c["f_aff"][None], r=3)
    fine = maps.normalise_map(walk.random_walk(c["m"][None], a, beta=beta, t=t, r=3, reading=reading), "relu_max")
    large = c["mask"].repeat_interleave(2, 0).repeat_interleave(2, 1)
    return f"IoU {metrics.iou(resize(fine, 24) > 0.5, large[None]).item():.2f} after"


def test_walk_says_what_the_library_says(opened: Callable[..., Any]) -> None:
    tab = opened("walk")
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


def test_walk_is_played_and_stopped(opened: Callable[..., Any]) -> None:
    tab, button = opened("walk"), lambda: tab.locator("button")
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


def test_walk_keeps_still_where_motion_is_unwelcome(opened: Callable[..., Any]) -> None:
    tab = opened("walk", media={"reduced_motion": "reduce"})
    assert tab.locator("button").inner_text() == "One step on"
    tab.locator("button").click()
    tab.wait_for_timeout(300)
    assert tab.locator("input").nth(1).input_value() == "5"


@pytest.mark.parametrize("script", ["trust", "whom", "walk"])
def test_scripts_are_short(script: str) -> None:
    text = (Path(live_refinement.__file__).parent / "js" / f"{script}.js").read_text()
    assert len(text.splitlines()) < 200


def test_figures_of_the_chapter_are_light() -> None:
    """At the size of the tiny tier: 16 channels on 56 x 56; and with as many channels as the paper's."""
    cfg = Config.tiny()
    mask = torch.zeros(cfg.map_size, cfg.map_size, dtype=torch.bool)
    mask[20:40, 20:40] = True
    for channels, most in ((cfg.aff_dim, 320), (Config.paper().aff_dim, 660)):
        image, f = random(16, 3, cfg.image_size, cfg.image_size), normal(17, channels, cfg.map_size, cfg.map_size)
        page = live_refinement.whom(image, f, mask, r=cfg.r).data
        assert len(page) < most * 1024, f"{len(page) // 1024} KB"
        stored = json.loads(re.findall(r'class="held">(.*?)</script>', page)[0])["arrays"]
        assert sum(len(x["data"]) for x in stored.values()) < 530_000


@pytest.mark.parametrize(
    ("kind", "control", "value"),
    [("trust", "beta_h", 0.9), ("whom", "r", 1), ("whom", "power", 20.0), ("walk", "t", 0), ("walk", "beta", 0.5)],
)
def test_controls_where_a_kernel_lives(monkeypatch: pytest.MonkeyPatch, kind: str, control: str, value: Any) -> None:
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
def test_refused(unchecked: None, kind: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        built(kind, **changes)
