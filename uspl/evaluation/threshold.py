"""A threshold chosen on validation, never on what is tested."""

from typing import Any

import torch
from torch.utils.data import Dataset

from uspl.data.batch import Clip
from uspl.evaluation.protocols.base import Threshold
from uspl.evaluation.protocols.registry import named
from uspl.inference.predict import MapModel, predict

LEVELS = [k / 100 for k in range(1, 100)]  # thresholds that are tried


def choose_threshold(
    model: MapModel,
    val_set: Dataset[Clip],
    *,
    protocol: str = "vggss-absolute",
    map: str = "m",
    batch_size: int = 32,
    workers: int = 0,
) -> Threshold:
    """The threshold among 0.01, 0.02, ..., 0.99 with the best headline score on validation; the lowest of equal ones.

    Args:
        model: in any mode.
        val_set: the split "val" of a data set, whose `split` says so.
        protocol: one with a threshold, without its argument; where the headline score ties, the mean decides.
        map: which of "m_crs", "m_fine", "m".
        batch_size, workers: no effect on the value.

    Raises:
        ValueError: another split, or a protocol without a threshold.
    """
    clips: Any = val_set
    split = getattr(clips, "split", None)
    if split != "val":
        rule = "must be the split 'val': a threshold is never chosen on what is tested"
        raise ValueError(f"`val_set` {rule}; got {split!r}.")
    scored = named(f"{protocol}(0.5)")
    sweep, headline_of = scored.sweep, scored.headline
    if sweep is None or headline_of is None:
        raise ValueError(f"`protocol` must have a threshold to choose; got {protocol!r}.")
    rows = []
    for batch, found in predict(model, val_set, maps=(map,), batch_size=batch_size, workers=workers, exact=True):
        known = (batch.mask >= 0).flatten(1).all(1)
        m = found[map][known]
        rows.append(sweep(m, batch.mask[known], m.new_tensor(LEVELS)).cpu())
    curve = torch.cat(rows).double().numpy()
    means, headline = curve.mean(0), headline_of(curve)
    best = max(range(len(LEVELS)), key=lambda k: (headline[k], means[k], -k))
    return Threshold(LEVELS[best], split, len(curve), clips.data_hash, float(headline[best]))
