"""What the tests of live figures share: clips, a figure of each kind, the line that it reads out."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from tests.helpers.models import small
from tests.helpers.values import normal, random
from uspl.data import Clip
from uspl.model import USPL
from uspl.viz import live_alignment, live_protocols, live_refinement

Run = Callable[..., Any]


def flat(x: Tensor) -> list[float]:
    return x.flatten().tolist()


def floats(found: list[float]) -> Tensor:
    """What a script answers; a list of whole numbers too."""
    return torch.tensor(found, dtype=torch.float32)


def near(found: list[float], expected: Tensor, tolerance: float = 1e-6) -> None:
    assert torch.allclose(torch.tensor(found, dtype=torch.float64), expected.double().flatten(), atol=tolerance, rtol=0)


def clip(seed: int, *, objects: bool = True) -> Clip:
    labels = torch.zeros(32, 32, dtype=torch.uint8)
    labels[4:16, 4:16], labels[18:30, 16:28] = 1, 2
    frame = random(seed, 3, 32, 32).mul(255).byte()
    return Clip(f"c_{seed}", "bell", frame, 0.1 * normal(seed, 16_000), labels == 1, labels if objects else None, None)


def square(side: int = 12) -> dict[str, Any]:
    """A square that sounds on a plain ground, features that know its edge, a map that is a blob."""
    mask = torch.zeros(side, side, dtype=torch.bool)
    mask[3:9, 3:9] = True
    f = torch.stack([mask.float() * 2, 0.05 * random(14, side, side)])
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    m = torch.exp(-((y - 5.5) ** 2 + (x - 4.5) ** 2) / 12.0)
    return {"image": random(15, 3, 2 * side, 2 * side), "mask": mask, "f_aff": f, "m": m / m.max()}


def build(kind: str, **changes: Any) -> Any:
    """A figure: of two clips and a model that knows nothing, or of a square."""
    return _of_clips(kind) if kind in ("swap", "drop", "rule") else _of_square(kind, changes)


@lru_cache(maxsize=1)
def model() -> USPL:
    torch.manual_seed(0)
    return USPL(small()).eval()


def _of_clips(kind: str) -> Any:
    clips = {f"clip {k}": clip(k) for k in range(2)}
    if kind == "swap":
        sounds = {f"sound {k}": 0.1 * normal(k, 16_000) for k in range(3)}
        return live_alignment.swap(model(), clip(0), sounds, alt="A picture and its map")
    if kind == "drop":
        return live_alignment.drop({0.0: model(), 0.5: model(), 0.9: model()}, [0.2, 0.4, 0.1], clips)
    truth = torch.stack([c.mask for c in clips.values() if c.mask is not None])
    return live_protocols.rule(random(5, 2, 32, 32), truth, clips)


def _of_square(kind: str, changes: dict[str, Any]) -> Any:
    c = square()
    if kind == "trust":
        given = {"m": torch.stack([c["m"], 1 - c["m"]]), "mask": torch.stack([c["mask"]] * 2)}
        given |= {"beta_l": 0.3, "beta_h": 0.6, "r": 3}
    elif kind == "whom":
        given = {"f_aff": c["f_aff"], "mask": c["mask"], "r": 3}
    else:
        large = c["mask"].repeat_interleave(2, 0).repeat_interleave(2, 1)
        given = {"m": c["m"], "f_aff": c["f_aff"], "mask": large, "beta": 5.0, "t": 4, "r": 3}
    function: dict[str, Run] = {"trust": live_refinement.trimap_thresholds, "whom": live_refinement.affinity_from_pixel}
    return (function | {"walk": live_refinement.walk})[kind](c["image"], **(given | changes))


def said(tab: Any, before: str | None = None) -> str:
    """The line that is read out; with `before`, once it says something else."""
    tab.evaluate("() => new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))")
    if before is not None:
        tab.wait_for_function("old => document.querySelector('.readout').textContent !== old", arg=before)
    return str(tab.locator(".readout").inner_text())


def lever(tab: Any) -> Any:
    """The control whose every move the line tells: of the walk its steps, of the others the first."""
    return tab.locator("input").nth(tab.locator("[data-kind=walk]").count())


def sliders(tab: Any) -> list[int]:
    return [int(e.input_value()) for e in tab.locator("input").all()]
