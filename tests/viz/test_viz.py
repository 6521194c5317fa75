"""uspl.viz and uspl.viz.html_embed: what is shown, what is said to those who do not see it, what is refused."""

import base64
import io
import re
import wave as wav

import numpy as np
import pytest
import torch
from IPython.display import HTML, Markdown
from matplotlib.figure import Figure
from PIL import Image

from tests.helpers.data_sample import sample
from uspl import viz
from uspl.core import progress
from uspl.core.errors import DataError
from uspl.viz import draw

pytestmark = pytest.mark.usefixtures("no_kernel")


def pictures(page: str) -> list[np.ndarray]:
    """Every picture a page carries."""
    data = re.findall(r"data:image/webp;base64,([^\"]+)", page)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(d)))) for d in data]


def test_picture_takes_every_layout() -> None:
    grey = np.full((4, 6, 3), 128, dtype=np.uint8)
    assert (viz.picture(grey) == 128).all()
    assert viz.picture(torch.zeros(3, 4, 6)).shape == (4, 6, 3)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    normalised = ((0.5 - mean) / std)[:, None, None].repeat(1, 4, 6)
    normalised[:, 0, 0] = -1.5  # a pixel outside [0, 1] says which scale this is
    assert (np.abs(viz.picture(normalised)[1:].astype(int) - 128) <= 1).all()


def test_heat_is_dark_at_0_and_light_at_1() -> None:
    p = viz.heat(torch.tensor([[0.0, 0.5, 1.0]])).astype(int).sum(-1)[0]
    assert p[0] < p[1] < p[2]
    assert viz.heat(np.array([[0, 1, 255]], dtype=np.uint8))[0].tolist() == [[0, 34, 78], [254, 232, 56], [128] * 3]


def test_overlay_keeps_grey_where_silent() -> None:
    image = np.zeros((3, 8, 8), dtype=np.uint8)
    image[0] = 90
    assert (viz.overlay(image, torch.zeros(2, 2)) == 30).all()
    assert viz.overlay(image, torch.ones(2, 2, dtype=torch.bfloat16)).shape == (8, 8, 3)


def test_row_and_figure_hold_title_alt_and_caption() -> None:
    page = viz.maps_figure(
        torch.rand(3, 16, 16), {"M": torch.rand(4, 4)}, alt='a "square" <here>', caption="One & two."
    ).data
    assert 'alt="a &quot;square&quot; &lt;here&gt;"' in page
    assert "<figcaption>One &amp; two.</figcaption>" in page
    assert pictures(page)[0].shape[0] == 196
    with pytest.raises(ValueError, match="`panels` must hold at least one picture"):
        viz.row({})


def test_words_are_escaped_and_never_a_template() -> None:
    page = viz.figure(np.zeros((2, 2)), alt="it's {{ 1 + 1 }}", caption="<b>{% x %}</b>").data
    assert 'alt="it&#x27;s {{ 1 + 1 }}"' in page
    assert "<figcaption>&lt;b&gt;{% x %}&lt;/b&gt;</figcaption></figure>" in page
    assert "\n" not in page


def test_figure_takes_matplotlib() -> None:
    fig = Figure(figsize=(2, 1), dpi=50)
    fig.subplots().plot([0, 1])
    assert pictures(viz.figure(fig, alt="a line").data)[0].shape == (50, 100, 3)


def test_charts_change_with_the_theme_and_maps_do_not() -> None:
    chart, shown = Figure(figsize=(2, 1), dpi=50), Figure(figsize=(2, 1), dpi=50)
    chart.subplots().plot([0, 1])
    shown.subplots().imshow(np.eye(3))
    assert 'class="uspl chart"' in viz.figure(chart, alt="a line").data
    assert 'class="uspl chart uspl-sweep"' in viz.sweep([chart], [1], label="k", alt="a line").data
    for page in (viz.figure(shown, alt="a map"), viz.sweep([shown], [1], label="k", alt="a map")):
        assert "chart" not in page.data


def test_player_carries_the_samples_and_the_sentence() -> None:
    x = np.sin(np.arange(16_000) * 0.2).astype(np.float32)
    page = viz.player(torch.from_numpy(x), 16_000, "a steady tone").data
    data = re.search(r"data:audio/wav;base64,([^\"]+)", page)
    with wav.open(io.BytesIO(base64.b64decode(data[1]))) as f:
        back = np.frombuffer(f.readframes(f.getnframes()), "<i2") / 32767
        assert f.getframerate() == 16_000
    np.testing.assert_allclose(back, x, atol=1e-4)
    assert page.count("a steady tone") == 3  # for the picture, for the player, for all
    assert pictures(page)[0].shape == (128, 480, 3)


def test_player_takes_silence_and_refuses_stereo() -> None:
    viz.player(np.zeros(16_000, dtype=np.float32), 16_000, "silence")
    with pytest.raises(ValueError, match=r"`wave` must be mono samples \(n,\), at least one; got shape \(2, 8\)."):
        viz.player(np.zeros((2, 8)), 16_000, "two channels")


def test_sweep_is_labelled_and_the_same_each_time() -> None:
    frames = [np.full((8, 8, 3), v, dtype=np.uint8) for v in (0, 100, 200)]

    def make() -> str:
        shown = viz.sweep(frames, [1, 2, 4], label="t, steps", alt="the walk", caption="Drag.", start=1)
        assert isinstance(shown, HTML)
        return str(shown.data)

    page = make()
    assert page == make()
    name = re.search(r'id="(sweep-[0-9a-f]{8})"', page)
    assert f'<label for="{name[1]}-0">t, steps</label><input id="{name[1]}-0" type="range"' in page
    assert 'max="2" value="1"' in page
    assert re.findall(r'alt="([^"]+)"', page) == [f"the walk (t, steps {v})" for v in (1, 2, 4)]
    assert [int(p.mean()) for p in pictures(page)] == pytest.approx([0, 100, 200], abs=2)
    assert "http" not in page


def test_live_draws_every_combination_once() -> None:
    asked = []

    def draw(beta: float, t: int) -> np.ndarray:
        asked.append((beta, t))
        return np.zeros((4, 4, 3), dtype=np.uint8)

    page = viz.live(draw, {"beta": [1.0, 5.0], "t": [0, 8]}, alt="map", start={"t": 8}).data
    assert sorted(asked) == [(1.0, 0), (1.0, 8), (5.0, 0), (5.0, 8)]
    assert page.count("<input") == 2


def test_live_is_a_widget_where_a_kernel_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("USPL_STATIC")
    monkeypatch.setenv("JPY_SESSION_NAME", "chapter.ipynb")
    asked = []

    def draw(t: int) -> np.ndarray:
        asked.append(t)
        return np.zeros((4, 4, 3), dtype=np.uint8)

    box = viz.live(draw, {"t": [0, 8, 16]}, alt="map")
    assert asked == [0]  # the others wait until they are asked for
    image, slider = box.children[:2]
    slider.value = 16
    assert asked == [0, 16]
    assert Image.open(io.BytesIO(image.value)).size == (4, 4)


def test_sweep_refuses_lists_of_two_lengths() -> None:
    with pytest.raises(ValueError, match="must have one length above 0; got 1 and 2"):
        viz.sweep([np.zeros((2, 2))], [1, 2], label="t", alt="x")


def test_show_is_the_source_without_the_docstring() -> None:
    text = viz.show(viz.render).data
    assert text.startswith("```python\n# uspl/viz/draw.py\ndef render(fig: Figure) -> Picture:\n    canvas")
    assert '"""A matplotlib figure' in viz.show(viz.render, docstring=True).data


def test_refused_shows_the_sentence_and_insists(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Markdown] = []
    monkeypatch.setattr(draw, "display", shown.append)
    with viz.refused():
        raise ValueError("`t` must be at least 0; got -1.")
    assert shown[0].data == "**Refused:** `t` must be at least 0; got -1."
    with pytest.raises(AssertionError, match="Nothing was refused"), viz.refused():
        pass
    with pytest.raises(KeyError), viz.refused():
        raise KeyError("another kind of error is not swallowed")


def test_video_travels_inside_the_page(tmp_path) -> None:
    film = next(sample().rglob("*.mp4"))
    page = viz.video(film, "a film").data
    assert "data:video/mp4;base64," + base64.b64encode(film.read_bytes()).decode() in page
    assert 'aria-label="a film"' in page
    assert 'preload="none"' in page
    assert 'poster="data:image/webp;base64,' in page
    (tmp_path / "a.mp4").write_bytes(b"film")
    with pytest.raises(DataError, match=r"a.mp4"):
        viz.video(tmp_path / "a.mp4", "no film")


def test_has_kernel_needs_somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("USPL_STATIC")
    for name in ("JPY_SESSION_NAME", "VSCODE_PID", "COLAB_RELEASE_TAG"):
        monkeypatch.delenv(name, raising=False)
    assert not progress.has_kernel()
    monkeypatch.setenv("VSCODE_PID", "1")
    assert progress.has_kernel()
