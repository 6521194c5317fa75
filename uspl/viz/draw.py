"""Everything the book shows: overlays, rows of maps, players, sweeps, source code. The only module that plots.

Functions that end in a picture of their own return HTML that needs no kernel and no network. In a live notebook
`live` and `sweep` return an `ipywidgets` control instead; `USPL_STATIC=1` asks for the HTML there too.
"""

import ast
import inspect
import os
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from IPython.display import HTML, Markdown, display
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from uspl.core import paths, progress
from uspl.viz import html_embed
from uspl.viz.html_embed import TAGS, Picture, array, to_bytes

_MEAN, _STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])  # ImageNet
_UNSURE = (128, 128, 128)  # colour of 255 in a three-way map


def picture(image: Any) -> Picture:
    """Any image as a picture to look at.

    Args:
        image: (3, H, W) or (H, W, 3), or a map (H, W); uint8, bool, or float in [0, 1]. A float image with a value
            outside [0, 1] is taken to be ImageNet-normalised.

    Returns:
        uint8 (H, W, 3).

    Raises:
        ValueError: another shape.

    >>> picture(np.ones((3, 2, 4), dtype=np.float32)).shape
    (2, 4, 3)
    """
    x = array(image)
    if x.ndim == 2:
        return heat(x)
    if x.ndim != 3 or 3 not in (x.shape[0], x.shape[-1]):
        raise ValueError(f"`image` must be (3, H, W), (H, W, 3) or (H, W); got {x.shape}.")
    x = x if x.shape[-1] == 3 else x.transpose(1, 2, 0)
    if x.dtype == np.uint8:
        return np.ascontiguousarray(x)
    if x.min() < 0 or x.max() > 1:
        x = x * _STD + _MEAN
    return to_bytes(x)


def heat(m: Any) -> Picture:
    """A map in the colours of cividis, dark blue at 0 and yellow at 1; 255 in a uint8 three-way map is grey.

    >>> heat(np.array([[0, 255]], dtype=np.uint8))[0, 1].tolist()
    [128, 128, 128]
    """
    x = array(m)
    coloured = to_bytes(colormaps["cividis"](np.clip(x.astype(float), 0, 1))[..., :3])
    if x.dtype == np.uint8:
        coloured[x == 255] = _UNSURE
    return coloured


def overlay(image: Any, m: Any) -> Picture:
    """The image in grey where the map is silent, and in the colours of cividis where it sounds.

    Args:
        image: as for `picture`, of H x W pixels.
        m: map (h, w) in [0, 1], resized to (H, W) bilinearly.

    Returns:
        uint8 (H, W, 3).

    >>> overlay(np.zeros((3, 4, 4), dtype=np.uint8), np.ones((2, 2)))[0, 0].tolist()  # 0.65 of yellow
    [165, 151, 36]
    """
    base = picture(image).astype(float)
    size = (base.shape[1], base.shape[0])
    m = np.clip(array(m).astype(np.float32), 0, 1)
    m = np.clip(np.asarray(Image.fromarray(m).resize(size, Image.Resampling.BILINEAR)), 0, 1)[..., None]
    grey = base.mean(-1, keepdims=True)
    weight = 0.65 * m
    return to_bytes(((1 - weight) * grey + weight * heat(m[..., 0])) / 255)


def row(panels: Mapping[str, Any], *, height: int = 170) -> Picture:
    """Pictures and maps side by side, each under its title; small maps are enlarged without smoothing.

    Args:
        panels: title -> image or map, as for `picture`.
        height: pixels of each panel, titles not counted.

    Returns:
        uint8 (H, W, 3), with a white ground.
    """
    if not panels:
        raise ValueError("`panels` must hold at least one picture; got none.")
    pictures = [picture(p) for p in panels.values()]
    ratios = [p.shape[1] / p.shape[0] for p in pictures]
    size = (sum(ratios) * height + 8 * len(ratios)) / 100, (height + 26) / 100
    fig = Figure(figsize=size, dpi=100, layout="constrained")
    axes = fig.subplots(1, len(ratios), squeeze=False, width_ratios=ratios)[0]
    for ax, title, p in zip(axes, panels, pictures, strict=True):
        ax.imshow(p, interpolation="nearest")
        ax.set_title(title, fontsize=9)
        ax.set_axis_off()
    return render(fig)


def render(fig: Figure) -> Picture:
    """A matplotlib figure as a picture, uint8 (H, W, 3): what `sweep` and `live` take."""
    canvas = FigureCanvasAgg(fig)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def figure(shown: Figure | Any, *, alt: str, caption: str = "") -> HTML:
    """A picture or a matplotlib figure on the page, with its description and its caption.

    Args:
        shown: figure, image or map.
        alt: what is to be seen, in words, for those who do not see it.
        caption: plain text below the picture.
    """
    return HTML(TAGS.figure(_kind(shown), [html_embed.img(_drawn(shown), alt)], caption))


def _drawn(shown: Figure | Any) -> Picture:
    return render(shown) if isinstance(shown, Figure) else picture(shown)


def _kind(shown: Figure | Any) -> str:
    """Its class on the page: lines and bars change with the theme, what has a picture or a map in it does not."""
    return "uspl chart" if isinstance(shown, Figure) and not any(ax.images for ax in shown.axes) else "uspl"


def maps_figure(image: Any, maps: Mapping[str, Any], *, alt: str, caption: str = "", height: int = 170) -> HTML:
    """The image and its maps in one row: `maps` is title -> map (h, w) in [0, 1], or uint8 in {0, 1, 255}."""
    return figure(row({"image": image, **maps}, height=height), alt=alt, caption=caption)


def player(wave: Any, sr: int, description: str) -> HTML:
    """A sound to play, its spectrogram and a sentence that says what is heard.

    Args:
        wave: mono samples (n,) in [-1, 1].
        sr: samples per second.
        description: what is heard, in words.
    """
    x = array(wave).astype(np.float32)
    if x.ndim != 1 or not len(x):
        raise ValueError(f"`wave` must be mono samples (n,), at least one; got shape {x.shape}.")
    alt = f"Spectrogram, time to the right and 0 to 8 kHz upwards, of: {description}"
    parts = [
        html_embed.img(html_embed.spectrogram(x, sr), alt),
        TAGS.audio(description, html_embed.sound_uri(x, sr)),
    ]
    return HTML(TAGS.figure("uspl", parts, description))


def video(path: str | Path, description: str, *, width: int = 224) -> HTML:
    """A video to play, carried inside the page, with a sentence that says what is seen and heard.

    Raises:
        DataError: not a video.
    """
    from uspl.media.decode import frame_at

    shown = html_embed.film(Path(path).read_bytes(), picture(frame_at(path, 0.0)), description, width)
    return HTML(TAGS.figure("uspl", [shown], description))


def sweep(
    frames: Sequence[Any], values: Sequence[Any], *, label: str, alt: str, caption: str = "", start: int = 0
) -> Any:
    """Pictures behind one slider.

    Args:
        frames: pictures or matplotlib figures, one per value.
        values: what the slider shows, in order.
        label: name of the slider, for instance "t, steps of the walk".
        alt: what the pictures show; the value is added to each.
        start: index of the first picture shown.

    Returns:
        An `ipywidgets` control where a kernel lives, else HTML.
    """
    if not len(frames) == len(values) > 0:
        raise ValueError(f"`frames` and `values` must have one length above 0; got {len(frames)} and {len(values)}.")
    index = {v: k for k, v in enumerate(values)}
    chosen = {label: values[start]}
    return live(lambda **c: frames[index[c[label]]], {label: values}, alt=alt, caption=caption, start=chosen)


def live(
    draw: Callable[..., Any],
    controls: Mapping[str, Sequence[Any]],
    *,
    alt: str,
    caption: str = "",
    start: Mapping[str, Any] | None = None,
) -> Any:
    """A picture that answers its sliders: computed on the spot where a kernel lives, else drawn beforehand.

    Args:
        draw: called with one keyword per control; returns a picture or a matplotlib figure.
        controls: name -> its values. The page carries one picture for each combination: keep them few.
        alt: what the picture shows; the values are added to it.
        start: the values shown first; the first of each where it says nothing.

    Returns:
        An `ipywidgets` control where a kernel lives, else HTML with labelled `<input type="range">`.
    """
    first = {name: values[0] for name, values in controls.items()} | dict(start or {})

    shown = draw(**first)

    def drawn(**choice: Any) -> Picture:
        return _drawn(shown if choice == first else draw(**choice))

    if progress.has_kernel():
        return html_embed.control(drawn, controls, first, alt, caption)
    return HTML(html_embed.static(drawn, controls, first, alt, caption, kind=_kind(shown)))


def show(fn: Callable[..., Any], *, docstring: bool = False) -> Markdown:
    """The library's own source of a function or class, the docstring left out unless asked for."""
    fn = inspect.unwrap(fn)
    source = textwrap.dedent(inspect.getsource(fn))
    node = ast.parse(source).body[0]
    if not docstring and isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node):
        lines, doc = source.splitlines(), node.body[0]
        source = "\n".join(lines[: doc.lineno - 1] + lines[doc.end_lineno :])
    place = fn.__module__.replace(".", "/")
    return Markdown(f"```python\n# {place}.py\n{source.rstrip()}\n```")


@contextmanager
def refused(*kinds: type[Exception]) -> Iterator[None]:
    """Shows the sentence with which the library refuses what is done inside; fails when nothing is refused.

    Args:
        kinds: the exceptions expected, ValueError unless said.
    """
    expected = kinds or (ValueError,)
    try:
        yield
    except expected as error:
        display(Markdown(f"**Refused:** {str(error).replace(f'{paths.home()}{os.sep}', '')}"))
    else:
        raise AssertionError("Nothing was refused.")
