"""The live figure of chapter 06: one map under every published rule."""

from collections.abc import Mapping
from typing import Any

from jaxtyping import Float, Shaped
from torch import Tensor

from uspl.data.batch import Clip
from uspl.evaluation.protocols.registry import named
from uspl.viz import draw as viz
from uspl.viz import html_embed, live_figure

RULES = {  # panel of the strip -> protocol; {t} is the threshold
    "IoU": "avsbench({t})",
    "cIoU": "vggss-absolute({t})",
    "min-max": "vggss-minmax({t})",
    "half": "vggss-half",
    "own area": "vggss-adaptive",
}


def rule(
    maps: Float[Tensor, "n h w"],
    truth: Shaped[Tensor, "n h w"],
    clips: Mapping[str, Clip],
    *,
    threshold: float = 0.5,
    caption: str = "One map by every published rule, with blind guesses and the best map beside it. Two protocols, "
    "avsbench-batch and slavc-extended, judge many clips together and have no number for one.",
) -> Any:
    """Live figure: one map, a threshold, and what each published rule (`uspl.evaluation.protocols`) says of it.

    Args:
        maps (N, H, W): in [0, 1], of N clips.
        truth (N, H, W): positive where the pixel sounds, somewhere in each.
        clips: words -> clip, in the order of `maps`.
        threshold: first value of the slider, in (0, 1).
        caption: below the figure.

    Raises:
        ValueError: maps, truth and clips of different number or size; a clip in which nothing sounds.
    """
    sizes = {clip.frame.shape[1:] for clip in clips.values()} | {maps.shape[1:], truth.shape[1:]}
    if not len(maps) == len(truth) == len(clips) > 0 or len(sizes) > 1:
        raise ValueError(
            f"`maps`, `truth` and `clips` must be as many, and of one size; got {tuple(maps.shape)}, "
            f"{tuple(truth.shape)} and {len(clips)} clips."
        )
    gt, titles = truth > 0, list(clips)
    if not gt.flatten(1).any(1).all():
        raise ValueError("`truth` must mark something that sounds in each clip; got one without.")
    maps = maps.half().float()

    def draw(threshold: float, clip: str = titles[0]) -> html_embed.Picture:
        k = titles.index(clip)
        m, true, panels = maps[k : k + 1], gt[k : k + 1], {}
        for title, name in RULES.items():
            protocol = named(name.format(t=threshold))
            marked = protocol.mark(m, true)
            values = protocol.values(m, marked, true, ~true.flatten(1).any(1))
            score = values["iou" if title == "IoU" else "ciou"][0]
            panels[f"{title} {score:.2f}"] = viz.overlay(clips[clip].frame, marked[0].float())
        return viz.row(panels, height=100)

    protocols = {}
    for name in (
        "avsbench",
        "vggss-absolute(0.5)",
        "vggss-minmax",
        "vggss-half",
        "vggss-half-strict",
        "vggss-adaptive",
    ):
        protocol = named(name)
        protocols[name.partition("(")[0]] = {"name": name, "rule": protocol.rule, "source": protocol.source}
    arrays = {f"m{k}": m.half() for k, m in enumerate(maps)} | {f"truth{k}": x for k, x in enumerate(gt)}
    return live_figure.figure(
        "rule",
        arrays=arrays,
        pictures={f"picture{k}": viz.picture(clip.frame) for k, clip in enumerate(clips.values())},
        options={"clips": titles, "protocols": protocols, "threshold": threshold},
        draw=draw,
        controls={"threshold": [0.1, 0.3, 0.5, 0.7, 0.9], "clip": titles},
        frames=[{"threshold": t} for t in (0.5, 0.1, 0.9)],
        alt="What each rule marks of one map, and the score it gives",
        caption=caption,
    )
