"""What the tests of live figures share: two clips, a model that knows nothing, the line that a figure reads out."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from tests.helpers.values import normal, random
from uspl.data import Clip
from uspl.model import USPL
from uspl.viz import live_alignment, live_protocols

Run = Callable[..., Any]


def flat(x: Tensor) -> list[float]:
    return x.flatten().tolist()


def near(found: list[float], expected: Tensor, tolerance: float = 1e-6) -> None:
    assert torch.allclose(torch.tensor(found, dtype=torch.float64), expected.double().flatten(), atol=tolerance, rtol=0)


def clip(seed: int, *, objects: bool = True) -> Clip:
    labels = torch.zeros(32, 32, dtype=torch.uint8)
    labels[4:16, 4:16], labels[18:30, 16:28] = 1, 2
    frame = random(seed, 3, 32, 32).mul(255).byte()
    return Clip(f"c_{seed}", "bell", frame, 0.1 * normal(seed, 16_000), labels == 1, labels if objects else None, None)


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


def said(tab: Any) -> str:
    tab.evaluate("() => new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))")
    return tab.locator(".readout").inner_text()
