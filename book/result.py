"""The picture at the head of the README: test clips, the maps of the trained tiny model, and the truth.

python book/result.py   # -> book/_static/result.png; seed 1, trained where `runs` does not hold it
"""

import io
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image

from uspl import AVSBench, Config, train_or_load, viz
from uspl.data import collate, sounding_shapes
from uspl.maps import normalise_map, resize

CLIPS = range(0, 900, 180)  # every so many pairs of the test split: nobody chose them
ROWS = ("frame", "$M_{crs}$", "$M_{fine}$", "SPS", "truth")


def main() -> None:
    root, cfg = sounding_shapes(), Config.tiny(seed=1)
    model, _ = train_or_load(cfg, root)
    clips = AVSBench(root, "test", size=cfg.image_size, seconds=cfg.seconds)
    batch = collate([clips[k] for k in CLIPS])
    with torch.inference_mode():
        maps = model(batch.image, batch.sound)
    coarse = normalise_map(maps.m_crs, cfg.map_range)
    shown = [resize(m, cfg.image_size).numpy() for m in (coarse, maps.m_fine, maps.m, batch.mask)]
    fig = Figure(figsize=(6.4, 6.4), layout="constrained")
    axes = fig.subplots(len(ROWS), len(CLIPS))
    for column, k in enumerate(CLIPS):
        frame = clips[k].frame.permute(1, 2, 0).numpy()
        pictures = [frame, *(viz.overlay(frame, np.asarray(m[column])) for m in shown)]
        for row, picture in enumerate(pictures):
            axes[row, column].imshow(picture)
            axes[row, column].set(xticks=[], yticks=[])
            if not column:
                axes[row, column].set_ylabel(ROWS[row])
    buffer = io.BytesIO()
    fig.savefig(buffer, dpi=90)
    few = Image.open(buffer).convert("RGB").quantize(128, dither=Image.Dither.NONE)
    few.save(Path(__file__).parent / "_static" / "result.png", optimize=True)


if __name__ == "__main__":
    main()
