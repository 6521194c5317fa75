"""What tests of the live figures of chapters 03 and 04 share: one clip, a figure of it, the line that is read out."""

from collections.abc import Callable
from typing import Any

import torch

from tests.helpers.values import random
from uspl.viz import live_refinement

Js = Callable[..., Any]


def floats(found: list[float]) -> torch.Tensor:
    """What a script answers; a list of whole numbers too."""
    return torch.tensor(found, dtype=torch.float32)


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
    function = {"trust": live_refinement.trimap_thresholds, "whom": live_refinement.affinity_from_pixel}
    return function.get(kind, live_refinement.walk)(c["image"], **(given | changes))


def said(tab: Any, before: str | None = None) -> str:
    """The line that is read out; with `before`, once it says something else."""
    if before is not None:
        tab.wait_for_function("old => document.querySelector('.readout').textContent !== old", arg=before)
    return str(tab.locator(".readout").inner_text())


def sliders(tab: Any) -> list[int]:
    return [int(e.input_value()) for e in tab.locator("input").all()]
