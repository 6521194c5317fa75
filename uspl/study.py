"""The first study: every row of chapter 06's table on Sounding Shapes, several seeds, one record per row and seed."""

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from uspl import record
from uspl.config import Config
from uspl.data import AVSBench
from uspl.evaluate import evaluate
from uspl.train import train_or_load

log = logging.getLogger(__name__)

# name -> (fields that differ from the tier, phase). The maps of one model fill several rows of the table.
VARIANTS: dict[str, tuple[dict[str, Any], str]] = {
    "delta0": ({"delta": 0.0}, "warmup"),
    "mmicl": ({}, "warmup"),
    "mmicl-long": ({"lambda2": 0.0, "lambda3": 0.0}, "full"),
    "sps-without-smr": ({"lambda2": 0.0, "teacher": "m_crs"}, "full"),
    "full": ({}, "full"),
    "supervised": ({"lambda2": 0.0, "teacher": "mask"}, "full"),
    "supervised-2x": ({"lambda2": 0.0, "teacher": "mask", "epochs": 8}, "full"),
    "supervised-4x": ({"lambda2": 0.0, "teacher": "mask", "epochs": 16}, "full"),
}


def study(
    cfg: Config,
    data_root: str | Path,
    out: str | Path,
    *,
    seeds: Iterable[int] = (1, 2, 3),
    variants: Iterable[str] = tuple(VARIANTS),
    split: str = "test",
    runs: str | Path = "runs",
    progress: bool = True,
) -> list[Path]:
    """Train and evaluate each variant with each seed; a record that is there already is kept.

    Args:
        cfg: the frozen recipe.
        data_root: folder in AVSBench-S4's layout.
        out: folder of the records, `<variant>-s<seed>.json`.
        seeds: training seeds.
        variants: names from `VARIANTS`.
        split: "val" while a recipe is chosen, "test" once it is frozen.
        runs: where checkpoints live.
        progress: show progress bars.

    Returns:
        The paths of the records.

    Raises:
        ValueError: an unknown variant.
    """
    paths = []
    for seed in seeds:
        for name in variants:
            if name not in VARIANTS:
                raise ValueError(f"`variants` must be among {', '.join(VARIANTS)}; got {name!r}.")
            path = Path(out) / f"{name}-s{seed}.json"
            if not path.is_file():
                changes, phase = VARIANTS[name]
                model, trained = train_or_load(
                    Config.from_dict({**cfg.as_dict(), **changes, "seed": seed}),
                    data_root,
                    runs=runs,
                    phase=phase,
                    progress=progress,
                )
                values = evaluate(model, AVSBench(data_root, split, size=cfg.image_size, seconds=cfg.seconds))
                record.write(path, _values(cfg, name, seed, split, data_root, trained, values))
                log.info("%s: %s", path, values["scores"])
            paths.append(path)
    return paths


def _values(
    cfg: Config,
    name: str,
    seed: int,
    split: str,
    data_root: str | Path,
    trained: dict[str, Any],
    values: dict[str, Any],
) -> dict[str, Any]:
    tier = Config.tiny().as_dict()
    changes = {k: v for k, v in trained["config"].items() if v != tier[k]}
    return {
        "variant": name,
        "seed": seed,
        "split": split,
        "data": Path(data_root).name,
        "changes": changes,
        "command": f"uspl study --data {data_root} --variants {name} --seeds {seed}",
        "seconds": {
            "warmup": trained.get("warmup", trained)["seconds"],
            "joint": trained["seconds"] if "warmup" in trained else 0.0,
        },
        "history": trained["history"],
        "n_train": trained["n_train"],
        **values,
    }
