"""Live figures of chapters 02 and 06: what a chapter has at hand, packed for the scripts of `uspl/js`.

Each also draws itself by the library, for `ipywidgets` and for paper; a script computes the same from what is packed.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32, Shaped
from torch import Tensor

from uspl import align, maps
from uspl.audio import RATE
from uspl.data.batch import Clip, collate, sound_input
from uspl.inference.optimize import for_inference
from uspl.model import USPL
from uspl.viz import draw as viz
from uspl.viz import html_embed, live_figure

NAMES = ("the ground", "the object that sounds here", "the silent object beside it", "another silent object")


def swap(
    model: USPL,
    clip: Clip,
    sounds: Mapping[str, Float32[Tensor, " n"]],
    *,
    alt: str,
    names: Sequence[str] = NAMES,
    caption: str = "One picture, many sounds: Eq. 1 is computed in this page, one dot product per location.",
) -> Any:
    """Live figure: one picture, several sounds, and the map of Eq. (1) that answers.

    Args:
        model: trained.
        clip: whose frame is shown.
        sounds: words -> mono samples (n,) at 16 kHz, in [-1, 1]; the first begins. Silence and noise are added.
        alt: what is to be seen, in words.
        names: what the labels of `Clip.objects` are: the ground, what sounds in the clip, the others.
        caption: below the figure.

    Raises:
        ValueError: fewer than two sounds.
    """
    if len(sounds) < 2:
        raise ValueError(f"`sounds` must hold at least two, to swap one for another; got {len(sounds)}.")
    n = len(next(iter(sounds.values())))
    noise = 0.1 * torch.randn(n, generator=torch.Generator().manual_seed(0))
    waves = {**sounds, "silence": torch.zeros(n), "white noise": noise}
    f_a, f_v = features(model, [clip], list(waves.values()))
    f_a, f_v, heard = f_a.half().float(), f_v[0].half().float(), list(waves)
    objects = labels_on_grid(clip, f_v.shape[1:])

    def draw(sound: str, second: str = heard[0], share: float = 0.0) -> html_embed.Picture:
        a, b = (F.normalize(f_a[heard.index(s)], dim=0) for s in (sound, second))
        m = align.sounding_map(((1 - share) * a + share * b)[None], f_v[None])
        over = viz.overlay(clip.frame, maps.normalise_map(m, "relu_max")[0])
        html_embed.framed(over, int(m.argmax()), m.shape[1:])
        return viz.row({"the picture": clip.frame, f"highest {m.max():.2f}": over}, height=120)

    pictures, listed = {"picture": viz.picture(clip.frame)}, []
    for k, (name, wave) in enumerate(waves.items()):
        x = html_embed.array(wave).astype(np.float32)
        pictures[f"spectrum{k}"] = html_embed.spectrogram(x, RATE, width=112, height=112)
        listed.append({"name": name, "uri": html_embed.sound_uri(x, RATE, bits=8) if x.any() else ""})
    return live_figure.figure(
        "swap",
        arrays={"f_a": f_a.half(), "f_v": f_v.half(), "objects": objects},
        pictures=pictures,
        options={"names": list(names), "heard": listed, "first": 0, "second": 1},
        draw=draw,
        controls={"sound": heard, "second": heard[1:] + heard[:1], "share": [round(0.1 * k, 1) for k in range(11)]},
        frames=[{"sound": s} for s in heard],
        alt=alt,
        caption=caption,
    )


def drop(
    models: Mapping[float, USPL],
    scores: Sequence[float],
    clips: Mapping[str, Clip],
    *,
    names: Sequence[str] = NAMES,
    steps: int = 6,
    seed: int = 0,
    caption: str = "Left, the map of a model trained with this delta; middle, what one step of that training may see.",
) -> Any:
    """Live figure: the maps of models trained with different delta, their scores, and the mask of Eq. (2) at work.

    Args:
        models: delta -> the model trained with it, in rising order.
        scores: of each of them, mIoU in [0, 1].
        clips: words -> clip.
        names: what the labels of `Clip.objects` are.
        steps: how many steps of training, each with a mask of its own, can be looked at.
        seed: of the masks.
        caption: below the figure.

    Raises:
        ValueError: another number of scores than models, or no clip.
    """
    if len(scores) != len(models) or not clips:
        raise ValueError(
            f"`scores` must be one per model, and `clips` at least one; got {len(scores)} scores for {len(models)} "
            f"models and {len(clips)} clips."
        )
    deltas, titles, shown = list(models), list(clips), list(clips.values())
    cosine = torch.stack([align.sounding_map(*features(model, shown)) for model in models.values()]).half()
    side = (cosine.shape[2], cosine.shape[3])
    luck = torch.rand((steps, *side), generator=torch.Generator().manual_seed(seed))
    objects = torch.stack([labels_on_grid(clip, side) for clip in shown])

    def draw(delta: float, clip: str = titles[0], step: int = 1) -> html_embed.Picture:
        d, k = deltas.index(delta), titles.index(clip)
        m = cosine[d, k].float()
        keep = align.mask_locations((steps, *side), delta=delta, generator=torch.Generator().manual_seed(seed))
        kept = keep[step - 1]
        over = viz.overlay(shown[k].frame, maps.normalise_map(m[None], "relu_max")[0])
        hidden = ~html_embed.array(
            torch.nn.functional.interpolate(kept[None, None].float(), over.shape[:2])[0, 0]
        ).astype(bool)
        left = np.where(hidden[..., None], np.uint8(221), over)
        html_embed.framed(over, int(m.argmax()), side)
        html_embed.framed(left, int(m.masked_fill(~kept, -torch.inf).argmax()), side)
        return viz.row({f"mIoU {scores[d]:.2f}": over, f"{100 * hidden.mean():.0f} % hidden": left}, height=120)

    return live_figure.figure(
        "drop",
        arrays={"cosine": cosine, "luck": luck, "objects": objects},
        pictures={f"picture{k}": viz.picture(clip.frame) for k, clip in enumerate(shown)},
        options={
            "deltas": deltas,
            "scores": [round(s, 4) for s in scores],
            "clips": titles,
            "names": list(names),
            "first": len(deltas) // 2,
        },
        draw=draw,
        controls={"delta": deltas, "clip": titles, "step": list(range(1, steps + 1))},
        frames=[{"delta": delta} for delta in deltas],
        alt="The map over a clip, the same with the hidden locations covered, and the score, for each delta",
        caption=caption,
    )


@torch.inference_mode()
def features(
    model: USPL, clips: Sequence[Clip], waves: Sequence[Float32[Tensor, " n"]] | None = None
) -> tuple[Float[Tensor, "s c"], Float[Tensor, "b c h w"]]:
    """F_a of the waves, or of the clips' own sounds, and F_v of the clips, on the CPU.

    Args:
        model: in any mode.
        clips: B of one size.
        waves: S mono sounds at 16 kHz; None: those of the clips, S = B.
    """
    ready, front_end = for_inference(model), model.cfg.front_end
    batch = collate(clips, front_end=front_end).to(next(model.parameters()).device)
    given = batch.sound
    if waves is not None:
        given = torch.stack([sound_input(wave, front_end=front_end) for wave in waves]).to(given)
    return ready.encode_sound(given).float().cpu(), ready.encode_image(batch.image)[1].float().cpu()


def labels_on_grid(clip: Clip, side: Sequence[int]) -> Shaped[Tensor, "h w"]:
    """The label of `Clip.objects` in the middle of each cell of a grid; 255 everywhere where they are not known."""
    h, w = side
    if clip.objects is None:
        return torch.full((h, w), 255, dtype=torch.uint8)
    height, width = clip.objects.shape
    rows, columns = ((torch.arange(k) * 2 + 1) * n // (2 * k) for k, n in ((h, height), (w, width)))
    return clip.objects[rows[:, None], columns]
