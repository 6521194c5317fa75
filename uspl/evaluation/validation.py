"""What a training looks at after each epoch."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from uspl.data.batch import Batch, Clip
from uspl.inference.predict import MAPS, MapModel, loader, predict
from uspl.metrics import segmentation


def miou(
    model: MapModel, dataset: Dataset[Clip], *, maps: Sequence[str] = MAPS, batch_size: int = 50
) -> dict[str, float]:
    """mIoU at 0.5 of each map: what the training loop shows after each epoch."""
    total = dict.fromkeys(maps, 0.0)
    n = 0
    for batch, found in predict(model, dataset, maps=maps, batch_size=batch_size):
        n += len(batch.ids)
        for name, m in found.items():
            total[name] += float(segmentation.iou(m > 0.5, batch.mask > 0.5).sum())
    return {name: value / n for name, value in total.items()}


def validate(
    model: MapModel,
    dataset: Any,
    *,
    maps: Sequence[str],
    loss: Callable[[Batch], Tensor],
    batch_size: int = 50,
) -> dict[str, float]:
    """What is known of a model after an epoch: "val_<map>", the mIoU at 0.5 of each map, where clips have masks;
    otherwise "val_loss", the mean of `loss` over batches."""
    if dataset[0].mask is not None:
        return {f"val_{k}": v for k, v in miou(model, dataset, maps=maps, batch_size=batch_size).items()}
    cfg, device = model.cfg, next(model.parameters()).device
    model.eval()
    with torch.inference_mode():
        batches = loader(dataset, batch_size=cfg.batch_size, front_end=cfg.front_end, num_workers=cfg.workers)
        losses = [loss(batch.to(device)).item() for batch in batches]
    return {"val_loss": sum(losses) / len(losses)}
