"""What each other reading of the paper costs or gains: one change at a time, on the validation split."""

import functools
import logging
import shlex
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from uspl.config import Config
from uspl.core import record
from uspl.core.paths import told
from uspl.data.avsbench import AVSBench
from uspl.evaluation.evaluate import score
from uspl.inference.predict import MAPS
from uspl.train.loop import train_or_load

log = logging.getLogger(__name__)
NAMES = {"m_crs": "M_crs", "m_fine": "M_fine", "m": "SPS"}


class Reading(NamedTuple):
    """One other reading: its row on the readings page, the fields that change, and which run shows it.

    `run` is "joint" (train Eq. 11 again), "warmup" (train MMICL again), or "none" (judge the default's model again).
    """

    number: int
    name: str
    changes: dict[str, Any]
    run: str = "joint"


READINGS = (
    Reading(1, "PAR", {"refine": "par"}),
    Reading(2, "min-max", {"map_range": "minmax"}),
    Reading(3, "image at 112", {"refine_size": 112}),
    Reading(4, "Chebyshev", {"metric": "chebyshev"}),
    Reading(5, "sum", {"reduce": "sum"}),
    Reading(6, "plain mean", {"balanced": False}),
    Reading(7, "T^8", {"t": 8}, "none"),
    Reading(7, "T^(2^8)", {"t": 8, "reading": "squarings"}, "none"),
    Reading(8, "gradients through the targets", {"detach": False}),
    Reading(9, "sound to image alone", {"symmetric": False}, "warmup"),
    Reading(9, "masked denominator", {"masked_denominator": True}, "warmup"),
    Reading(10, "dropped locations count as 0", {"dropped": "zero"}, "warmup"),
    Reading(13, "projected features", {"fuse_on": "projected"}),
    Reading(14, "ReLU in place", {"rcu_inplace": True}),
    Reading(15, "soft targets", {"seg_target": "soft"}),
    Reading(15, "as printed", {"seg_loss": "as_printed"}),
    Reading(16, "first frame alone", {"train_frames": "first"}, "warmup"),
    Reading(17, "half of the image", {"binarise": "half_image"}, "none"),
    Reading(17, "adaptive", {"binarise": "minmax"}, "none"),
    Reading(18, "F-score per batch", {"fscore_per": "batch"}, "none"),
    Reading(20, "two convolutions on F_v", {"projector": "mlp"}, "warmup"),
    Reading(21, "literal concatenation", {"aff_block": "concat"}),
    Reading(22, "best on validation", {"keep": "best"}),
    Reading(23, "no flips", {"flip": False}, "warmup"),
    Reading(24, "bf16", {"precision": "bf16"}),
    Reading(25, "dims as printed", {"decoder_dims": "printed"}),
)


def readings(
    cfg: Config,
    data_root: str | Path,
    out: str | Path,
    *,
    only: Iterable[int] = (),
    runs: str | Path | None = None,
    progress: bool | None = None,
) -> list[Path]:
    """Train and judge each other reading beside the default; a record that is there already is kept.

    Args:
        cfg: the default; its seed is the seed of every run.
        data_root: folder in AVSBench-S4's layout; its validation split is scored.
        out: folder of the records, one per reading, which the readings page quotes.
        only: numbers of readings; all by default.
        runs: where checkpoints live; None is `runs` in the project's folder.
        progress: show progress bars; None shows them where a person looks.

    Returns:
        The paths of the records.

    Raises:
        ValueError: a number without a reading that the tiny tier can show.
    """
    known = sorted({r.number for r in READINGS})
    for number in only:
        if number not in known:
            raise ValueError(f"`only` must be among {', '.join(map(str, known))}; got {number}.")
    clips = AVSBench(data_root, "val", size=cfg.image_size, seconds=cfg.seconds, cache=True)

    @functools.cache
    def judged(asked: Config, run: str) -> dict[str, dict[str, float]]:
        """Scores of each map: the default is judged once for all readings."""
        trains = cfg if run == "none" else asked
        phase = "warmup" if run == "warmup" else "full"
        model, _ = train_or_load(trains, data_root, runs=runs, phase=phase, progress=progress)
        model.cfg = asked
        return score(model, clips, maps=("m_crs",) if run == "warmup" else MAPS)

    paths = []
    for number in tuple(only) or known:
        path = Path(out) / f"reading-{number:02d}.json"
        if not path.is_file():
            values, start = [], time.perf_counter()
            for r in (r for r in READINGS if r.number == number):
                other = Config.from_dict({**cfg.as_dict(), **r.changes})
                default = judged(cfg, "warmup" if r.run == "warmup" else "joint")
                values.append({"name": r.name, "changes": r.changes, "default": default, "other": judged(other, r.run)})
            finding = " ".join(_finding(number, v) for v in values)
            about = {"reading": number, "data": Path(data_root).name, "split": "val", "seed": cfg.seed}
            about["command"] = f"uspl readings --data {shlex.quote(told(data_root))} --only {number} --seed {cfg.seed}"
            about["seconds"] = round(time.perf_counter() - start, 1)
            record.write(path, about | {"finding": finding, "compared": values})
            log.info("%s: %s", path, finding)
        paths.append(path)
    return paths


def _finding(number: int, v: dict[str, Any]) -> str:
    """The sentence of one comparison: each map's score, the default's in brackets."""
    kind = "fscore" if number == 18 else "miou"
    pairs = [f"{NAMES[m]} {v['other'][m][kind]:.3f} ({v['default'][m][kind]:.3f})" for m in v["other"]]
    return f"{v['name']}: {', '.join(pairs)}."
