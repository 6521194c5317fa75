"""The live figure of protocols: its script marks and scores as the library does, and its table says so."""

from typing import Any

import pytest
import torch

from tests.helpers.live_figures import Run, clip, flat, near, said
from tests.helpers.values import random
from uspl import metrics
from uspl.evaluation.protocols.registry import named
from uspl.metrics import localization

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
