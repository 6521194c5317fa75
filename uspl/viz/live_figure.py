"""Figures that compute in the page: a few stored arrays and one small script, no kernel, no network, no framework.

`uspl/js/base.js` unpacks arrays, draws maps and makes labelled controls; `maths.js` and `neighbours.js` hold the
equations, which tests compare with PyTorch in a browser; each other script is one figure.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from html import escape
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
_STYLE = (
    ".uspl-live .strip{display:flex;flex-wrap:wrap;gap:.3rem .6rem;font-size:.8rem}"
    ".uspl-live .strip>div{max-width:100%}"
    ".uspl-live .strip img{display:block;max-width:100%;height:auto}"
    ".uspl-live .stage{display:none}"
    "@media screen{.uspl-live.on .strip{display:none}.uspl-live.on .stage{display:block}}"
    ".uspl-live .maps{display:flex;flex-wrap:wrap;gap:.6rem}.uspl-live .maps>div{flex:1 1 10rem;max-width:16rem}"
    ".uspl-live canvas{width:100%;image-rendering:pixelated;border-radius:4px;touch-action:manipulation;display:block}"
    ".uspl-live canvas:focus-visible,.uspl-live input:focus-visible,.uspl-live select:focus-visible"
    "{outline:3px solid #b35900;outline-offset:2px}"
    ".uspl-live .control{display:flex;flex-wrap:wrap;gap:.2rem .6rem;align-items:center;margin:.4rem 0}"
    ".uspl-live .control>label[for]{min-width:8rem}.uspl-live .control input[type=range]{flex:1;max-width:24rem}"
    ".uspl-live fieldset{border:0;padding:0;min-width:0}.uspl-live legend{float:none;font-size:inherit;margin:0}"
    ".uspl-live table{border-collapse:collapse}.uspl-live :is(th,td){padding:.15rem .4rem;text-align:left}"
    ".uspl-live td{white-space:nowrap}.uspl-live :is(output,td){font-variant-numeric:tabular-nums}"
    ".uspl-live .title{font-size:.85rem}"
)


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
    strip = "".join(f"<div>{img}{escape(s)}</div>" for img, s in zip(drawn, said, strict=True))
    shown = {name: html_embed.picture_uri(p) for name, p in pictures.items()}
    held = {"arrays": {name: pack(x) for name, x in arrays.items()}, "pictures": shown, "options": dict(options)}
    stored = json.dumps(held, sort_keys=True).replace("<", "\\u003c")
    name = f"live-{kind}-" + hashlib.sha256(stored.encode()).hexdigest()[:8]
    script = "\n".join((SCRIPTS / f"{part}.js").read_text() for part in ("base", KINDS[kind], kind))
    return HTML(
        f'<figure class="uspl uspl-live" id="{name}" data-kind="{kind}"><style>{_STYLE}</style>'
        f'<div class="strip">{strip}</div>'
        f'<div class="stage" role="group" aria-label="{escape(alt)}"></div>'
        f"<figcaption>{escape(caption)}</figcaption>"
        f'<script type="application/json" class="held">{stored}</script>'
        f"<script>{script}\nuspl.start({json.dumps(name)});</script></figure>"
    )
