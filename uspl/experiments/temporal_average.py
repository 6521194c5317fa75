"""A temporal average of maps, scored on films: a table of chapter 09; `python -m benchmarks.temporal` records it."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import torch

from uspl import metrics
from uspl.config import Config
from uspl.core.errors import DataError
from uspl.data import AVSBench
from uspl.inference.localizer import Localizer
from uspl.model import USPL
from uspl.train.loop import train_or_load
from uspl.video.frame_maps import frame_maps

SMOOTH = (0.0, 0.1, 0.2, 0.5)  # s


def scored(model: USPL, clips: AVSBench, smooth: float, map: str = "m") -> dict[str, float]:
    """The masks of `clips` against those that `frame_maps` draws over their films with this time constant.

    Args:
        model: a trained model.
        clips: frames of videos that lie whole in `raw_videos`; the frame of second k is the last that begins in it.
        smooth: s; 0 averages nothing.
        map: which one, see `frame_maps`.

    Returns:
        `miou`: mean over the frames of `metrics.iou`; `flicker`: share of the pixels whose mask changes from one
        picture of a film to the next, mean over pictures, then over films.

    Raises:
        DataError: a frame without ground truth.
    """
    films: dict[str, list[int]] = defaultdict(list)
    for index, (name, category) in enumerate(zip(clips.ids, clips.categories, strict=True)):
        films[f"{clips.split}/{category}/{name.rpartition('_')[0]}"].append(index)
    ious, flicker, localizer = [], [], Localizer(model, map=map)
    for film, found in films.items():
        moments = list(frame_maps(localizer, clips.root / "raw_videos" / f"{film}.mp4", smooth=smooth))
        times = torch.tensor([moment.time for moment in moments])
        masks = torch.stack([moment.map > 0.5 for moment in moments])
        for index in found:
            truth, second = clips[index].mask, int(clips.ids[index].rpartition("_")[2])
            if truth is None:
                raise DataError(clips.ids[index], "has no ground truth to score its film by")
            shown = (times < second).sum() - 1
            ious.append(metrics.iou(masks[shown][None], truth[None] > 0.5).item())
        flicker.append((masks[1:] != masks[:-1]).float().mean().item())
    return {"miou": sum(ious) / len(ious), "flicker": sum(flicker) / len(flicker)}


def measured(root: Path, seeds: Sequence[int], runs: str | Path | None = None, split: str = "val") -> dict[str, object]:
    """`scored` for the paper's recipe, each seed and each time constant, in the order of the seeds."""
    values: dict[str, dict[str, list[float]]] = {str(s): {"miou": [], "flicker": []} for s in SMOOTH}
    for seed in seeds:
        cfg = Config.tiny(seed=seed)
        model, trained = train_or_load(cfg, root, runs=runs)
        clips = AVSBench(root, split, size=cfg.image_size)
        for s in SMOOTH:
            for score, value in scored(model, clips, s).items():
                values[str(s)][score].append(value)
    about = {"split": split, "n": len(clips), "data_hash": clips.data_hash, "train_hash": trained["data_hash"]}
    return about | {"smooth": values}
