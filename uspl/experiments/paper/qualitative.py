"""Fig. 4: clips chosen by rule, and the map of every method on each of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from uspl import viz
from uspl.config import Config
from uspl.data.batch import video_of
from uspl.data.splits import open_set
from uspl.experiments.methods import METHODS, train_or_load
from uspl.inference.predict import predict
from uspl.metrics import segmentation
from uspl.viz.html_embed import Picture

COLUMNS = ("ez-vsl", "fnac", "uspl")  # of the paper's figure


class Wall(NamedTuple):
    """The figure and what it shows."""

    picture: Picture  # uint8 (H, W, 3)
    ids: list[str]  # a clip per row
    iou: dict[str, list[float]]  # method -> IoU at 0.5 of each clip


def at_quantiles(iou: Float[Tensor, " n"], videos: Sequence[str], k: int) -> list[int]:
    """Indices of k clips, each of another video: those at the quantiles (i + 0.5) / k of the IoU, best first.

    Nobody's eye chooses: the figure shows good, middling and bad clips in equal shares.

    Raises:
        ValueError: fewer videos than clips that are asked for.

    >>> at_quantiles(torch.tensor([0.9, 0.1, 0.5, 0.8]), ["a", "b", "c", "a"], 2)
    [0, 1]
    """
    best: dict[str, int] = {}
    for i in iou.argsort(descending=True, stable=True).tolist():
        best.setdefault(videos[i], i)
    if not 1 <= k <= len(best):
        raise ValueError(f"`rows` must be between 1 and the number of videos, {len(best)}; got {k}.")
    ranked = list(best.values())
    return [ranked[int((i + 0.5) / k * len(ranked))] for i in range(k)]


def wall(models: Mapping[str, nn.Module], clips: Any, *, rows: int = 6) -> Wall:
    """Each method's map on the same clips, those at the quantiles of the last method's IoU.

    Args:
        models: name -> a trained `USPL` or `Peer`; the column of its map "m".
        clips: see `open_set`; those without ground truth are left out.
        rows: clips that are shown.
    """
    maps, masks, ids = {}, [], []
    for name, model in models.items():
        found = list(predict(model, clips, maps=("m",)))  # type: ignore[arg-type]
        maps[name] = torch.cat([by_map["m"].cpu() for _, by_map in found])
        masks = [batch.mask.cpu() for batch, _ in found]
        ids = [id for batch, _ in found for id in batch.ids]
    truth = torch.cat(masks)
    known = (truth >= 0).flatten(1).all(1).nonzero().squeeze(1)
    iou = {name: segmentation.iou(m > 0.5, truth > 0.5) for name, m in maps.items()}
    chosen = at_quantiles(iou[list(models)[-1]][known], [video_of(ids[i]) for i in known], rows)
    shown = known[chosen].tolist()
    drawn = []
    for i in shown:
        frame = clips[i].frame
        panels = {"image": frame, "annotation": viz.overlay(frame, truth[i])}
        panels |= {f"{name}, IoU {iou[name][i]:.2f}": viz.overlay(frame, m[i]) for name, m in maps.items()}
        drawn.append(viz.row(panels, height=150))
    return Wall(np.concatenate(drawn), [ids[i] for i in shown], {k: v[shown].tolist() for k, v in iou.items()})


def figure4(
    cfg: Config,
    data_root: str | Path,
    *,
    rows: int = 6,
    split: str = "test",
    boxes: str | Path | None = None,
    train_list: str | Path | None = None,
    partial: bool = False,
    runs: str | Path | None = None,
) -> Wall:
    """The paper's Fig. 4 on any data: EZ-VSL, FNAC and USPL, trained or loaded from `runs`.

    Args:
        cfg: encoders, recipe and seed.
        data_root: folder in AVSBench-S4's layout, or with `boxes` of VGGSound pairs.
        rows, split: clips that are shown, and where they are from.
        boxes, train_list, partial, runs: see `study`.

    Raises:
        ValueError: more rows than videos, or as `train_or_load`.
        DataError: the data cannot be read.
    """
    opened: dict[str, Any] = {"size": cfg.image_size, "seconds": cfg.seconds, "sound": cfg.sound}
    clips = open_set(data_root, split, boxes=boxes, partial=partial, **opened)
    train: dict[str, Any] = {"train_list": train_list, "partial": partial, "runs": runs}
    models = {
        METHODS[method].name if method in METHODS else "USPL": train_or_load(cfg, data_root, method=method, **train)[0]
        for method in COLUMNS
    }
    return wall(models, clips, rows=rows)
