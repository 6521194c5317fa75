"""Figures that compute in the page: a few stored arrays and one small script, no kernel, no network, no framework.

`uspl/viz/js/base.js` unpacks arrays, draws maps and makes labelled controls; `maths.js` and `neighbours.js` hold the
equations, which tests compare with PyTorch in a browser; each other script is one figure.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from IPython.display import HTML

from uspl.core import progress
from uspl.viz import html_embed
from uspl.viz.html_embed import array

SCRIPTS = Path(__file__).with_name("js")
KINDS = {  # the figures, each with the equations it needs
    "swap": "maths",
    "drop": "maths",
    "rule": "maths",
    "trust": "neighbours",
    "whom": "neighbours",
    "walk": "neighbours",
}
TYPES = ("float16", "float32", "uint8", "int16", "int32")


def pack(x: Any) -> dict[str, Any]:
    """An array as JSON: {"dtype", "shape", "data": base64 of its little-endian bytes}.

    Args:
        x: tensor or array of one of `TYPES`; bool becomes uint8, float64 float32, int64 int32.

    Raises:
        ValueError: another type.
    """
    half = str(getattr(x, "dtype", "")) == "torch.float16"
    values = array(x).astype("float16") if half else array(x)
    smaller = {"bool": "uint8", "float64": "float32", "int64": "int32"}
    values = values.astype(smaller.get(values.dtype.name, values.dtype.name))
    if values.dtype.name not in TYPES:
        raise ValueError(f"`x` must be one of {', '.join(TYPES)}; got {values.dtype.name}.")
    little = values.astype(values.dtype.newbyteorder("<"))
    data = base64.b64encode(little.tobytes()).decode()
    return {"dtype": values.dtype.name, "shape": list(values.shape), "data": data}


def figure(
    kind: str,
    *,
    arrays: Mapping[str, Any],
    options: Mapping[str, Any],
    pictures: Mapping[str, html_embed.Picture] = MappingProxyType({}),
    draw: Callable[..., html_embed.Picture],
    controls: Mapping[str, Sequence[Any]],
    frames: Sequence[Mapping[str, Any]],
    alt: str,
    caption: str,
) -> Any:
    """One figure: `ipywidgets` where a kernel lives, else arrays and scripts in the page.

    Args:
        kind: one of `KINDS`.
        arrays: name -> tensor, what the script computes from.
        options: what else it needs, as JSON: words, first values.
        pictures: name -> picture, for the script another array (H, W, 3); it travels as WebP, a tenth of its bytes.
        draw: the same picture by Python, one keyword per control: for `ipywidgets`, and for the strip.
        controls: name -> its values, for `ipywidgets`.
        frames: the choices of controls whose pictures stand side by side on paper and without scripts; the first is
            what `ipywidgets` begin with, the first value of a control where it says nothing.
        alt: what is to be seen, in words; values are added to it.
        caption: plain text below.

    Raises:
        ValueError: no figure of that name, or no frame.
    """
    if kind not in KINDS:
        raise ValueError(f"`kind` must be one of {', '.join(KINDS)}; got {kind!r}.")
    if not frames:
        raise ValueError("`frames` must hold at least one choice of controls; got none.")
    if progress.has_kernel():
        return html_embed.control(
            draw, controls, {k: v[0] for k, v in controls.items()} | dict(frames[0]), alt, caption
        )
    said = [", ".join(f"{name}: {value}" for name, value in choice.items()) for choice in frames]
    drawn = [html_embed.img(draw(**c), f"{alt} ({s})") for c, s in zip(frames, said, strict=True)]
    shown = {name: html_embed.picture_uri(p) for name, p in pictures.items()}
    held = {"arrays": {name: pack(x) for name, x in arrays.items()}, "pictures": shown, "options": dict(options)}
    stored = json.dumps(held, sort_keys=True).replace("<", "\\u003c")
    name = f"live-{kind}-" + hashlib.sha256(stored.encode()).hexdigest()[:8]
    script = "\n".join((SCRIPTS / f"{part}.js").read_text() for part in ("base", KINDS[kind], kind))
    script += f"\nuspl.start({json.dumps(name)});"
    given = {"kind": kind, "name": name, "stored": stored, "script": script, "alt": alt, "caption": caption}
    strip = zip(drawn, said, strict=True)
    return HTML(html_embed.PAGES.get_template("live.html.j2").render(given, strip=strip))
