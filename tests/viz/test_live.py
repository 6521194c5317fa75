"""Live figures: the scripts compute what the library computes, and a page that holds one answers and can be printed."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.figures import measured, summary
from tests.helpers.values import ROOT, normal, random
from uspl import align, metrics, viz
from uspl.config import Config
from uspl.data import Clip
from uspl.evaluation.registry import named
from uspl.maps import normalise_map
from uspl.metrics import localization
from uspl.model import USPL
from uspl.viz import html_embed, live_alignment, live_figure, live_protocols

Run = Callable[..., Any]


def flat(x: Tensor) -> list[float]:
    return x.flatten().tolist()


def near(found: list[float], expected: Tensor, tolerance: float = 1e-6) -> None:
    assert torch.allclose(torch.tensor(found, dtype=torch.float64), expected.double().flatten(), atol=tolerance, rtol=0)


# What travels


@pytest.mark.parametrize("dtype", live_figure.TYPES)
def test_arrays_arrive_as_they_left(javascript: Run, dtype: str) -> None:
    info = np.finfo(dtype) if dtype.startswith("float") else np.iinfo(dtype)
    x = np.array([[0, 1, 3], [info.max, info.min, info.max]], dtype=dtype)
    shape, values = javascript(
        "({x}) => { const y = uspl.unpack(x); return [y.shape, [...y.values]]; }", x=live_figure.pack(x)
    )
    assert shape == [2, 3]
    assert np.array_equal(np.array(values, dtype=dtype), x.ravel())


def test_half_floats_arrive_to_the_last_bit(javascript: Run) -> None:
    every = np.arange(2**16, dtype=np.uint16).view(np.float16)
    values = javascript("({x}) => [...uspl.unpack(x).values].map(String)", x=live_figure.pack(every))
    found = np.array([float(v.replace("Infinity", "inf")) for v in values], dtype=np.float16)
    assert np.array_equal(found, every, equal_nan=True)


def test_pack_takes_tensors_and_makes_wide_types_narrow() -> None:
    names = {
        k: live_figure.pack(torch.zeros(2, 3, dtype=k))["dtype"] for k in (torch.float16, torch.float64, torch.bool)
    }
    assert list(names.values()) == ["float16", "float32", "uint8"]
    assert live_figure.pack(torch.zeros(2, 3))["shape"] == [2, 3]


def test_a_type_without_a_reader_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`x` must be one of float16, .*; got complex64"):
        live_figure.pack(np.zeros(2, dtype=np.complex64))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [({"kind": "sing"}, "`kind` must be one of .*; got 'sing'"), ({"frames": []}, "`frames` must hold")],
)
def test_a_figure_that_cannot_be_is_refused(change: dict[str, Any], sentence: str) -> None:
    given: dict[str, Any] = {"kind": "swap", "arrays": {}, "options": {}, "draw": len, "controls": {}, "frames": [{}]}
    with pytest.raises(ValueError, match=sentence):
        live_figure.figure(**given | change, alt="words", caption="words")


# Equations


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 1, 4), (8, 5, 6)])
def test_eq01(javascript: Run, shape: tuple[int, int, int]) -> None:
    f_a, f_v = normal(0, shape[0]), normal(1, *shape)
    found = javascript("({a, v}) => [...uspl.maths.cosine(a, v)]", a=flat(f_a), v=flat(f_v))
    near(found, align.sounding_map(f_a[None], f_v[None]))


def test_eq01_of_nothing_is_nothing(javascript: Run) -> None:
    f_v = torch.cat([torch.zeros(3, 1, 1), torch.ones(3, 1, 1)], 1)
    for f_a in (torch.zeros(3), torch.ones(3)):
        found = javascript("({a, v}) => [...uspl.maths.cosine(a, v)]", a=flat(f_a), v=flat(f_v))
        near(found, align.sounding_map(f_a[None], f_v[None]))


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_two_sounds_are_mixed_by_their_directions(javascript: Run, share: float) -> None:
    a, b = normal(0, 2, 16)
    expected = (1 - share) * a / a.norm() + share * b / b.norm()
    near(javascript("({a, b, s}) => [...uspl.maths.mix(a, b, s)]", a=flat(a), b=flat(b), s=share), expected)


@pytest.mark.parametrize("m", [normal(0, 4, 5), -random(1, 2, 2), torch.zeros(2, 3), torch.ones(1, 1)])
def test_reading_2(javascript: Run, m: Tensor) -> None:
    near(javascript("({m}) => [...uspl.maths.reluMax(m)]", m=flat(m)), normalise_map(m[None], "relu_max"))


@pytest.mark.parametrize("delta", [0.0, 0.4, 0.5, 0.9, 0.999])
def test_the_mask_of_eq02(javascript: Run, delta: float) -> None:
    luck = torch.rand(3, 4, 5, generator=torch.Generator().manual_seed(0))
    keep = align.mask_locations((3, 4, 5), delta=delta, generator=torch.Generator().manual_seed(0))
    for one, kept in zip(luck, keep, strict=True):
        assert (
            javascript("({u, d}) => [...uspl.maths.kept(u, d)]", u=flat(one), d=delta) == kept.int().flatten().tolist()
        )
        assert kept.any()


def test_the_maximum_is_the_first_of_what_is_kept(javascript: Run) -> None:
    assert javascript("({m}) => uspl.maths.peak(m)", m=[0.1, 0.7, 0.7]) == 1
    assert javascript("({m, kept}) => uspl.maths.peak(m, kept)", m=[0.1, 0.9, 0.7], kept=[1, 0, 1]) == 2
    assert javascript("({m, kept}) => uspl.maths.peak(m, kept)", m=[-0.5, 0.9], kept=[1, 0]) == 0


# Rules

MAPS = {
    "random": random(0, 6, 7),
    "ties": random(1, 6, 7).mul(4).round() / 4,
    "zeros on most": (random(2, 6, 7) - 0.7).clamp_min(0),
    "constant": torch.full((6, 7), 0.5),
    "two pixels": torch.tensor([[0.2, 1.0]]),
}
MARKS = {
    "avsbench(0.25)": "maths.above(m, 0.25)",
    "avsbench": "maths.above(m, 0.5)",
    "vggss-absolute(0.3)": "maths.reaching(m, 0.3)",
    "vggss-absolute(0.5)": "maths.reaching(m, 0.5)",
    "vggss-minmax": "maths.reaching(maths.toUnit(m), 0.5)",
    "vggss-half": "maths.half(m)",
    "vggss-half-strict": "maths.half(m, true)",
    "vggss-adaptive": "maths.adaptive(m, gt)",
}


@pytest.mark.parametrize("name", MARKS)
@pytest.mark.parametrize("kind", MAPS)
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_rules_mark_and_score_as_the_library_does(javascript: Run, name: str, kind: str, share: float) -> None:
    m, protocol = MAPS[kind], named(name)
    gt = random(9, *m.shape) < share
    script = (
        "({m, gt}) => { const { maths } = uspl; m = Float32Array.from(m);"
        f"const marked = {MARKS[name]}, c = maths.counts(marked, gt);"
        "return [[...marked], maths.iou(c), maths.ciou(c)]; }"
    )
    marked, iou, ciou = javascript(script, m=flat(m), gt=gt.int().flatten().tolist())
    expected = protocol.mark(m[None], gt[None])
    assert marked == expected.int().flatten().tolist()
    assert iou == pytest.approx(metrics.iou(expected, gt[None]).item(), abs=1e-6)
    assert ciou == pytest.approx(localization.ciou_of_marks(expected, gt[None]).item(), abs=1e-9)


def test_levels_of_the_f_measure(javascript: Run) -> None:
    near(javascript("() => [...uspl.maths.levels]"), torch.linspace(0, 1 - 1e-10, 255), 6e-8)  # one bit of processors


@pytest.mark.parametrize("kind", MAPS)
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_f_measure(javascript: Run, kind: str, share: float) -> None:
    m = MAPS[kind]
    gt = random(9, *m.shape) < share
    script = (
        "({m, gt}) => { const { maths } = uspl; m = Float32Array.from(m);"
        "const at = (k) => maths.counts(maths.reaching(m, maths.levels[k]), gt);"
        "return [maths.bestF(m, gt), [0, 64, 127, 254].map((k) => maths.fscore(at(k)))]; }"
    )
    best, some = javascript(script, m=flat(m), gt=gt.int().flatten().tolist())
    curve, _ = metrics.f_curves_of_scores(m[None], gt[None])
    near(some, curve[0, [0, 64, 127, 254]])
    assert best["score"] == pytest.approx(curve.max().item(), abs=1e-6)
    at = torch.linspace(0, 1 - 1e-10, 255).tolist().index(best["level"])
    assert curve[0, at].item() == pytest.approx(curve.max().item(), abs=1e-6)


@pytest.mark.parametrize("sigma", [0.1, 0.25])
def test_the_blind_guess(javascript: Run, sigma: float) -> None:
    near(javascript("({s}) => [...uspl.maths.gaussian(6, 9, s)]", s=sigma), localization.centre_gaussian(6, 9, sigma))


# Pictures


def test_colours_are_those_of_the_library(javascript: Run) -> None:
    values = [-1.0, 0.0, 0.2, 0.5, 0.77, 1.0, 2.0]
    found = np.array(javascript("({values}) => values.map((v) => uspl.colour(v))", values=values))
    assert np.abs(found - viz.heat(np.array([values]))[0]).max() < 8  # eight stops stand for 256


def test_an_overlay_is_that_of_the_library(javascript: Run) -> None:
    picture, m = random(0, 12, 16, 3).mul(255).byte().numpy(), random(1, 3, 4)
    script = (
        "({x, m}) => { const canvas = document.createElement('canvas'); uspl.overlay(canvas, uspl.unpack(x), m, 3, 4);"
        "return [...canvas.getContext('2d').getImageData(0, 0, 16, 12).data]; }"
    )
    found = np.array(javascript(script, x=live_figure.pack(picture), m=flat(m))).reshape(12, 16, 4)[..., :3]
    assert np.abs(found - viz.overlay(picture, m).astype(float)).max() < 8


def test_a_frame_goes_around_one_cell() -> None:
    p = np.zeros((8, 12, 3), dtype=np.uint8)
    html_embed.framed(p, 4, (2, 3))  # second row, second column: rows 4 to 7, columns 4 to 7
    expected = np.zeros((8, 12), dtype=np.uint8)
    expected[4:8, 4:8] = 255
    expected[5:7, 5:7] = 0
    assert (p == expected[..., None]).all()


def test_silence_is_dark_and_a_tone_is_not() -> None:
    tone = np.sin(np.arange(16_000, dtype=np.float32) * 0.5) * 0.5
    dark, shown = (html_embed.spectrogram(x, 16_000, width=32, height=32) for x in (0 * tone, tone))
    assert (dark == dark[0, 0]).all()
    assert dark[0, 0].tolist() == [68, 1, 84]  # the foot of viridis
    assert shown.max() > dark.max() + 40


def test_a_sound_of_eight_bits_is_half_as_long() -> None:
    x = np.linspace(-1, 1, 1000, dtype=np.float32)
    short, long = (html_embed.sound_uri(x, 16_000, bits=bits) for bits in (8, 16))
    assert len(short) < 0.6 * len(long)
    with pytest.raises(ValueError, match="`bits` must be 8 or 16; got 12"):
        html_embed.sound_uri(x, 16_000, bits=12)


# Pages


def clip(seed: int, *, objects: bool = True) -> Clip:
    labels = torch.zeros(32, 32, dtype=torch.uint8)
    labels[4:16, 4:16], labels[18:30, 16:28] = 1, 2
    frame = random(seed, 3, 32, 32).mul(255).byte()
    return Clip(f"c_{seed}", "bell", frame, 0.1 * normal(seed, 16_000), labels == 1, labels if objects else None, None)


@pytest.fixture(scope="module")
def model() -> USPL:
    torch.manual_seed(0)
    return USPL(Config.tiny(widths=(8, 8, 8, 8), dim=8, aff_dim=8, decoder_dim=8, image_size=32, map_size=16)).eval()


def build(kind: str, model: USPL) -> Any:
    """A figure of two clips and a model that knows nothing."""
    clips = {f"clip {k}": clip(k) for k in range(2)}
    if kind == "swap":
        sounds = {f"sound {k}": 0.1 * normal(k, 16_000) for k in range(3)}
        return live_alignment.swap(model, clip(0), sounds, alt="A picture and its map")
    if kind == "drop":
        return live_alignment.drop({0.0: model, 0.5: model, 0.9: model}, [0.2, 0.4, 0.1], clips)
    truth = torch.stack([c.mask for c in clips.values() if c.mask is not None])
    return live_protocols.rule(random(5, 2, 32, 32), truth, clips)


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


def said(tab: Any) -> str:
    tab.evaluate("() => new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))")
    return tab.locator(".readout").inner_text()


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


@pytest.mark.parametrize("opened", ["swap"], indirect=True)
def test_swap_says_what_eq01_says(opened: Any, model: USPL) -> None:
    sounds = [0.1 * normal(k, 16_000) for k in range(3)]
    f_a, f_v = live_alignment.features(model, [clip(0)], sounds)
    for k in range(3):
        opened.locator("fieldset input").nth(k).check()
        m = align.sounding_map(f_a[k : k + 1].half().float(), f_v.half().float())[0]
        label = live_alignment.labels_on_grid(clip(0), m.shape).flatten()[m.argmax()]
        assert said(opened) == f"sound {k}: the highest cosine is {m.max():.2f}, on {live_alignment.NAMES[label]}."
        assert opened.locator("audio").get_attribute("src").startswith("data:audio/wav")
    opened.get_by_label("silence", exact=True).check()
    assert "silence" in said(opened)
    assert not opened.locator("audio").is_visible()


@pytest.mark.parametrize("opened", ["rule"], indirect=True)
def test_the_table_says_what_the_protocols_say(opened: Any) -> None:
    m = random(5, 2, 32, 32)[:1].half().float()
    gt = clip(0).mask[None]
    slider = opened.get_by_label("Threshold t", exact=True)
    for t in (0.04, 0.5, 0.98):
        slider.fill(str(t))
        said(opened)
        rows = opened.locator("tbody tr").evaluate_all(
            "all => all.map((r) => [...r.children].map((c) => c.textContent))"
        )
        assert len(rows) == 8
        names = [f"avsbench({t})", None, None, f"vggss-absolute({t})", f"vggss-minmax({t})", "vggss-half"]
        for name, row in zip([*names, "vggss-half-strict", "vggss-adaptive"], rows, strict=True):
            assert len(row) == 6
            if name is None:
                continue
            protocol = named(name)
            silent, score = torch.tensor([False]), "iou" if name.startswith("avsbench") else "ciou"
            blob = localization.centre_gaussian(32, 32)[None]
            marks = protocol.mark(m, gt), torch.ones_like(gt), protocol.mark(blob, gt)
            given = m, torch.ones_like(m), blob
            found = [protocol.values(x, y, gt, silent)[score][0] for x, y in zip(given, marks, strict=True)]
            found.append(protocol.oracle(gt, silent)[score][0])
            assert row[1] == f"{100 * marks[0].double().mean().item():.0f} %"
            for cell, value in zip(row[2:], found, strict=True):
                assert abs(float(cell.split()[0]) - value) < 0.00501
                assert score == "iou" or cell.split()[1] == ("found" if value >= 0.5 else "missed")
        curve, _ = metrics.f_curves_of_scores(m, gt)
        assert abs(float(rows[2][2]) - curve.max().item()) < 0.00501


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


def test_clips_without_objects_are_shown(model: USPL, made: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USPL_STATIC", "1")
    assert live_alignment.labels_on_grid(clip(0, objects=False), (2, 2)).tolist() == [[255, 255], [255, 255]]
    page = live_alignment.drop({0.0: model, 0.9: model}, [0.2, 0.1], {"clip": clip(0, objects=False)}).data
    assert page.count("<img") == 2


def test_chapters_hold_the_scripts_as_they_are() -> None:
    kinds = []
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        outputs = [o for cell in json.loads(path.read_text())["cells"] for o in cell.get("outputs", [])]
        for page in ["".join(o.get("data", {}).get("text/html", "")) for o in outputs]:
            for kind in re.findall(r'data-kind="(\w+)"', page):
                kinds.append(kind)
                for part in ("base", live_figure.KINDS[kind], kind):
                    script = (live_figure.SCRIPTS / f"{part}.js").read_text()
                    assert script in page, f"{path.name} holds an older {part}.js; run it again."
    assert {"swap", "drop", "rule"} <= set(kinds)


def test_scripts_are_short() -> None:
    for path in live_figure.SCRIPTS.glob("*.js"):
        assert len(path.read_text().splitlines()) <= 200, path.name


# What is refused


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
