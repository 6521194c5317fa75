"""How pictures and sounds travel inside a page: data URIs, sliders without a kernel, sliders with one."""

import base64
import hashlib
import io
import itertools
import json
import wave as wav
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from PIL import Image

Picture = npt.NDArray[np.uint8]  # (H, W, 3), values in [0, 255]
Draw = Callable[..., Picture]
Controls = Mapping[str, Sequence[Any]]
_STYLE = (
    ".uspl-sweep img{max-width:100%;margin:0 .3rem .3rem 0}"
    ".uspl-sweep .control{display:none;gap:.6rem;align-items:center;margin:.3rem 0}"
    ".uspl-sweep input{flex:1;max-width:24rem}"
    "@media screen{.uspl-sweep.on img{display:none}.uspl-sweep.on img.now{display:block}"
    ".uspl-sweep.on .control{display:flex}}"
    "@media print{.uspl-sweep img{width:30%}}"
)
_SCRIPT = (
    "(()=>{const s=document.getElementById('ID');if(!s)return;"
    "const p=[...s.querySelectorAll('img')],c=[...s.querySelectorAll('input')];"
    "const go=()=>{let k=0;for(const e of c){k=k*(+e.max+1)+ +e.value;"
    "const v=JSON.parse(e.dataset.values)[e.value];e.setAttribute('aria-valuetext',v);"
    "e.nextElementSibling.textContent=v}p.forEach((e,i)=>e.classList.toggle('now',i===k))};"
    "c.forEach(e=>e.addEventListener('input',go));s.classList.add('on');go()})()"
)


def array(x: Any) -> npt.NDArray[Any]:
    """Tensor, array or nested list as an array, wherever the tensor lives and whatever its precision."""
    if hasattr(x, "detach"):
        x = x.detach().cpu()
        x = (x.float() if x.is_floating_point() else x).numpy()
    return np.asarray(x)


def to_bytes(x: npt.NDArray[Any]) -> Picture:
    """Values in [0, 1] as uint8 in [0, 255]."""
    return np.asarray(np.clip(x * 255 + 0.5, 0, 255), dtype=np.uint8)


def img(p: Picture, alt: str) -> str:
    """An `<img>` that carries its picture as WebP."""
    size = f'width="{p.shape[1]}" height="{p.shape[0]}"'
    return f'<img alt="{escape(alt)}" {size} src="{picture_uri(p)}">'


def picture_uri(p: Picture) -> str:
    """A picture as the data URI of a WebP file."""
    return "data:image/webp;base64," + base64.b64encode(_encoded(p, "WEBP")).decode()


def film(data: bytes, first: Picture, description: str, width: int) -> str:
    """A `<video>` that carries an MP4 file and shows its first frame: nothing of it is loaded before it is played."""
    small = Image.fromarray(first)
    small.thumbnail((2 * width, 2 * width))
    tag = f'<video controls preload="none" width="{width}" aria-label="{escape(description)}"'
    source = f'src="data:video/mp4;base64,{base64.b64encode(data).decode()}"'
    return f'{tag} poster="{picture_uri(np.asarray(small))}" {source}></video>'


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
    inputs = []
    for k, (label, values) in enumerate(controls.items()):
        words = escape(json.dumps([str(v) for v in values]))
        at = list(values).index(first[label])
        inputs.append(
            f'<div class="control"><label for="{name}-{k}">{escape(label)}</label>'
            f'<input id="{name}-{k}" type="range" min="0" max="{len(values) - 1}" value="{at}" data-values="{words}">'
            f'<output for="{name}-{k}">{escape(str(values[at]))}</output></div>'
        )
    below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return (
        f'<figure class="{kind} uspl-sweep" id="{name}"><style>{_STYLE}</style>{"".join(pictures)}{"".join(inputs)}'
        f"{below}<script>{_SCRIPT.replace('ID', name)}</script></figure>"
    )


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
        shown.value, shown.width, shown.height = _encoded(p, "PNG"), p.shape[1], p.shape[0]

    for slider in sliders.values():
        slider.observe(update, names="value")
    update()
    words = w.HTML(f"<em>{escape(caption or alt)}</em>")
    return w.VBox([shown, *sliders.values(), words])


def _encoded(p: Picture, form: str) -> bytes:
    out = io.BytesIO()
    Image.fromarray(p).save(out, form, quality=90)
    return out.getvalue()
