"""What every live figure stands on: arrays that travel, pictures, sounds, and scripts as chapters hold them."""

import json
import re
from typing import Any

import numpy as np
import pytest
import torch

from tests.helpers.live_figures import Run, flat
from tests.helpers.values import ROOT, random
from uspl import viz
from uspl.viz import html_embed, live_figure


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
        assert len(path.read_text().splitlines()) < 200, path.name
