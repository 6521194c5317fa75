"""How pictures and sounds travel inside a page: data URIs, sliders without a kernel, sliders with one."""

import base64
import hashlib
import io
import itertools
import json
import wave as wav
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup
from matplotlib import colormaps
from PIL import Image

Picture = npt.NDArray[np.uint8]  # (H, W, 3), values in [0, 255]
Draw = Callable[..., Picture]
Controls = Mapping[str, Sequence[Any]]
TEMPLATES = Path(__file__).with_name("templates")


def _escaped(value: Any) -> Any:
    """Text as `html.escape` writes it; markupsafe has other names for quotes than the notebooks' kept outputs."""
    return value if hasattr(value, "__html__") else Markup(escape(str(value)))


def _template(name: str) -> str:
    """A template without the line breaks and indents that are for its reader."""
    return "".join(line.strip() for line in (TEMPLATES / name).read_text().splitlines())


PAGES = Environment(autoescape=True, finalize=_escaped, loader=FunctionLoader(_template), undefined=StrictUndefined)
TAGS: Any = PAGES.get_template("tags.html.j2").module  # its macros, each a function that returns HTML


def array(x: Any) -> npt.NDArray[Any]:
    """Tensor, array or nested list as an array, wherever the tensor lives and whatever its precision."""
    if hasattr(x, "detach"):
        x = x.detach().cpu()
        x = (x.float() if x.is_floating_point() else x).numpy()
    return np.asarray(x)


def to_bytes(x: npt.NDArray[Any]) -> Picture:
    """Values in [0, 1] as uint8 in [0, 255]."""
    return np.asarray(np.clip(x * 255 + 0.5, 0, 255), dtype=np.uint8)


def img(p: Picture, alt: str) -> Markup:
    """An `<img>` that carries its picture as WebP."""
    tag: Markup = TAGS.img(alt, p.shape[1], p.shape[0], picture_uri(p))
    return tag


def picture_uri(p: Picture) -> str:
    """A picture as the data URI of a WebP file."""
    return "data:image/webp;base64," + base64.b64encode(encoded(p, "WEBP")).decode()


def film(data: bytes, first: Picture, description: str, width: int) -> Markup:
    """A `<video>` that carries an MP4 file and shows its first frame: nothing of it is loaded before it is played."""
    small = Image.fromarray(first)
    small.thumbnail((2 * width, 2 * width))
    source = f"data:video/mp4;base64,{base64.b64encode(data).decode()}"
    tag: Markup = TAGS.video(description, width, picture_uri(np.asarray(small)), source)
    return tag


def spectrogram(wave: npt.NDArray[np.float32], sr: int, *, width: int = 480, height: int = 128) -> Picture:
    """Loudness over time (to the right) and 0 to 8 kHz (upwards), in the colours of viridis.

    Args:
        wave: mono samples (n,) in [-1, 1].
        sr: samples per second.
        width, height: of the picture, pixels.
    """
    from uspl.audio import log_spectrogram

    spectrum = log_spectrogram(wave, sr, seconds=len(wave) / sr).numpy()[::-1]
    top = max(spectrum.max(), 14 + np.log(1e-7))  # so that silence is dark
    loud = np.clip((spectrum - top) / 14 + 1, 0, 1)  # 14 nats, 61 dB, below the loudest
    p = to_bytes(colormaps["viridis"](loud)[..., :3])
    return np.asarray(Image.fromarray(p).resize((width, height), Image.Resampling.BILINEAR))


def sound_uri(wave: npt.NDArray[np.float32], sr: int, *, bits: int = 16) -> str:
    """Mono samples (n,) in [-1, 1] as the data URI of a WAV file of 16 bits, or of 8 in half the bytes.

    Raises:
        ValueError: another number of `bits`.
    """
    if bits not in (8, 16):
        raise ValueError(f"`bits` must be 8 or 16; got {bits}.")
    x, out = np.clip(wave, -1, 1), io.BytesIO()
    with wav.open(out, "wb") as f:
        f.setnchannels(1)
        f.setsampwidth(bits // 8)
        f.setframerate(sr)
        f.writeframes(((x * 32767).astype("<i2") if bits == 16 else (x * 127 + 128).astype("u1")).tobytes())
    return "data:audio/wav;base64," + base64.b64encode(out.getvalue()).decode()


def framed(p: Picture, place: int, side: Sequence[int]) -> None:
    """Draw a white frame around one cell of a grid that lies over the picture.

    Args:
        p: changed.
        place: of the cell, counted along the rows.
        side: rows and columns of the grid.
    """
    height, width = p.shape[0] // side[0], p.shape[1] // side[1]
    y, x = (place // side[1]) * height, (place % side[1]) * width
    p[y : y + height, [x, x + width - 1]] = p[[y, y + height - 1], x : x + width] = 255


def static(
    draw: Draw, controls: Controls, first: Mapping[str, Any], alt: str, caption: str, *, kind: str = "uspl"
) -> str:
    """Every picture drawn beforehand, behind one `<input type="range">` per control.

    Without scripts, and on paper, the pictures stand side by side. The id comes from the content, so that the same
    pictures give the same page.
    """
    pictures = []
    for combination in itertools.product(*controls.values()):
        choice = dict(zip(controls, combination, strict=True))
        said = ", ".join(f"{name} {value}" for name, value in choice.items())
        pictures.append(img(draw(**choice), f"{alt} ({said})"))
    name = "sweep-" + hashlib.sha256("".join((*pictures, *controls)).encode()).hexdigest()[:8]
    words = {label: json.dumps([str(v) for v in values]) for label, values in controls.items()}
    given = {"kind": kind, "name": name, "pictures": pictures, "first": first, "words": words, "caption": caption}
    return PAGES.get_template("sweep.html.j2").render(given, controls={k: list(v) for k, v in controls.items()})


def control(draw: Draw, controls: Controls, first: Mapping[str, Any], alt: str, caption: str) -> Any:
    """The same sliders as `ipywidgets`: each picture is computed when it is asked for."""
    import ipywidgets as w

    wide = {"style": {"description_width": "initial"}, "layout": w.Layout(width="30rem")}
    sliders = {
        name: w.SelectionSlider(options=[(str(v), v) for v in values], value=first[name], description=name, **wide)
        for name, values in controls.items()
    }
    shown = w.Image(format="png", layout=w.Layout(max_width="100%"))

    def update(_: Any = None) -> None:
        choice = {name: slider.value for name, slider in sliders.items()}
        p = draw(**choice)
        shown.value, shown.width, shown.height = encoded(p, "PNG"), p.shape[1], p.shape[0]

    for slider in sliders.values():
        slider.observe(update, names="value")
    update()
    words = w.HTML(f"<em>{escape(caption or alt)}</em>")
    return w.VBox([shown, *sliders.values(), words])


def encoded(p: Picture, form: str = "PNG") -> bytes:
    """A picture as the bytes of a file."""
    out = io.BytesIO()
    Image.fromarray(p).save(out, form, quality=90)
    return out.getvalue()
