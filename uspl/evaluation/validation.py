"""What a training looks at after each epoch."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Subset

from uspl.core.ranks import ALONE, Ranks
from uspl.data.batch import Batch
from uspl.inference.predict import MAPS, MapModel, loader, predict
from uspl.metrics import segmentation


def miou(
    model: MapModel, dataset: Any, *, maps: Sequence[str] = MAPS, batch_size: int = 50, ranks: Ranks = ALONE
) -> dict[str, float]:
    """mIoU at 0.5 of each map: what the training loop shows after each epoch. Several processes share the clips."""
    device = next(model.parameters()).device
    total = torch.zeros(len(maps), dtype=torch.float64, device=device)
    ours = _share(dataset, batch_size, ranks)
    how: dict[str, Any] = {"batch_size": batch_size, "workers": model.cfg.workers}
    for batch, found in predict(model, ours, maps=maps, **how):
        total += torch.stack([segmentation.iou(found[k] > 0.5, batch.mask > 0.5).sum().double() for k in maps])
    return dict(zip(maps, (ranks.sum(total) / len(dataset)).tolist(), strict=True))


def validate(
    model: MapModel,
    dataset: Any,
    *,
    maps: Sequence[str],
    loss: Callable[[Batch], Tensor],
    batch_size: int = 50,
    ranks: Ranks = ALONE,
) -> dict[str, float]:
    """What is known of a model after an epoch: "val_<map>", the mIoU at 0.5 of each map, where clips have masks;
    otherwise "val_loss", the mean of `loss` over batches. Several processes share the batches."""
    if dataset[0].mask is not None:
        found = miou(model, dataset, maps=maps, batch_size=batch_size, ranks=ranks)
        return {f"val_{k}": v for k, v in found.items()}
    cfg, device = model.cfg, next(model.parameters()).device
    model.eval()
    with torch.inference_mode():
        ours = _share(dataset, cfg.batch_size, ranks)
        batches = loader(ours, batch_size=cfg.batch_size, front_end=cfg.front_end, num_workers=cfg.workers)
        total = torch.zeros((), dtype=torch.float64, device=device)
        for batch in batches:
            total += loss(batch.to(device))
    return {"val_loss": ranks.sum(total).item() / math.ceil(len(dataset) / cfg.batch_size)}


def _share(dataset: Any, batch_size: int, ranks: Ranks) -> Any:
    """The clips of every so many-th batch: batches are the same for any number of processes."""
    if ranks.world == 1:
        return dataset
    return Subset(dataset, [i for i in range(len(dataset)) if i // batch_size % ranks.world == ranks.rank])
