"""The live figures of Eqs. (1) and (2): their scripts compute what the library computes, and say it."""

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.helpers.live_figures import Run, clip, flat, model, near, said
from tests.helpers.values import normal, random
from uspl import align
from uspl.maps import normalise_map
from uspl.viz import live_alignment


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


@pytest.mark.parametrize("opened", ["swap"], indirect=True)
def test_swap_says_what_eq01_says(opened: Any) -> None:
    sounds = [0.1 * normal(k, 16_000) for k in range(3)]
    f_a, f_v = live_alignment.features(model(), [clip(0)], sounds)
    for k in range(3):
        opened.locator("fieldset input").nth(k).check()
        m = align.sounding_map(f_a[k : k + 1].half().float(), f_v.half().float())[0]
        label = live_alignment.labels_on_grid(clip(0), m.shape).flatten()[m.argmax()]
        assert said(opened) == f"sound {k}: the highest cosine is {m.max():.2f}, on {live_alignment.NAMES[label]}."
        assert opened.locator("audio").get_attribute("src").startswith("data:audio/wav")
    opened.get_by_label("silence", exact=True).check()
    assert "silence" in said(opened)
    assert not opened.locator("audio").is_visible()


def test_clips_without_objects_are_shown(no_kernel: None) -> None:
    assert live_alignment.labels_on_grid(clip(0, objects=False), (2, 2)).tolist() == [[255, 255], [255, 255]]
    page = live_alignment.drop({0.0: model(), 0.9: model()}, [0.2, 0.1], {"clip": clip(0, objects=False)}).data
    assert page.count("<img") == 2
