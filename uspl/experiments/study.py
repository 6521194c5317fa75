"""The first study: every row of chapter 06's table on Sounding Shapes, several seeds, one record per row and seed."""

import functools
import logging
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from uspl.config import Config, differences
from uspl.core import record
from uspl.core.paths import told
from uspl.data.metadata import read_table
from uspl.data.splits import open_set
from uspl.evaluation import stage_oracles
from uspl.evaluation.evaluate import evaluate
from uspl.evaluation.registry import named
from uspl.evaluation.sound_swap import area
from uspl.experiments import command_line
from uspl.experiments.methods import GUIDED, METHODS, train_or_load

log = logging.getLogger(__name__)


class Variant(NamedTuple):
    """A row or several of the table: fields that differ from the recipe, how far to train, which maps to score."""

    changes: dict[str, Any]
    phase: str = "full"
    maps: tuple[str, ...] = ("m",)
    listen: bool = False
    method: str = "uspl"


VARIANTS: dict[str, Variant] = {
    "delta0": Variant({"delta": 0.0}, "warmup", ("m_crs",)),
    "mmicl": Variant({}, "warmup", ("m_crs",)),
    "mmicl-long": Variant({"lambda2": 0.0, "lambda3": 0.0}, maps=("m_crs",)),
    "sps-without-smr": Variant({"lambda2": 0.0, "teacher": "m_crs"}),
    "smr": Variant({"lambda3": 0.0}, maps=("m_fine",)),
    "full": Variant({}, maps=("m_crs", "m_fine", "m"), listen=True),
    "supervised": Variant({"lambda2": 0.0, "teacher": "mask"}),
    "supervised-2x": Variant({"lambda2": 0.0, "teacher": "mask", "epochs": 10}),
    "supervised-4x": Variant({"lambda2": 0.0, "teacher": "mask", "epochs": 20}),
}

# Beyond the paper's recipe, and the peers of Tables 1 and 2, trained for as long as both phases of USPL.
BEST = {name: there for name, (_, there) in differences(Config.tiny(), Config.best()).items()}
PEERS = {"best": Variant(BEST, maps=("m_crs", "m_fine", "m"), listen=True)} | {
    name: Variant({}, listen=True, method=name) for name in (*METHODS, *(f"{name}+ogl" for name in GUIDED))
}


def study(
    cfg: Config,
    data_root: str | Path,
    out: str | Path,
    *,
    seeds: Iterable[int] = (1, 2, 3),
    variants: Iterable[str] = tuple(VARIANTS),
    split: str = "test",
    test_data: str | Path | None = None,
    boxes: str | Path | None = None,
    protocols: Sequence[str] = (),
    train_list: str | Path | None = None,
    partial: bool = False,
    runs: str | Path | None = None,
    again: bool = False,
    progress: bool | None = None,
) -> list[Path]:
    """Train and evaluate each variant with each seed; a record that is there already is kept.

    Args:
        cfg: the frozen recipe.
        data_root: folder in AVSBench-S4's layout, or with `boxes` of VGGSound pairs.
        out: folder of the records, `<variant>-s<seed>.json`.
        seeds: training seeds.
        variants: names from `VARIANTS` or `PEERS`.
        split: "val" while a recipe is chosen, "test" once it is frozen.
        test_data: another folder whose split is scored, for instance clips that were drawn after all choices; what
            is trained, and what validation chooses, stays that of `data_root`.
        boxes: VGG-SS's box file; its pairs are scored instead of a split.
        protocols: see `evaluation.registry`. When none is named: "avsbench", also with the threshold that validation
            chooses, or with `boxes` "vggss-half" and "vggss-adaptive".
        train_list: ids of the VGGSound pairs to train on.
        partial: train and score on what is there although clips are missing; the record says so.
        runs: where checkpoints live; None is `runs` in the project's folder.
        again: also what has a record; trained weights are used again.
        progress: show progress bars; None shows them where a person looks.

    Returns:
        The paths of the records.

    Raises:
        ValueError: an unknown variant or protocol.
        DataError: the data cannot be read.
    """
    chosen = list(variants)
    rules = tuple(protocols) or (("avsbench", "avsbench(val)") if boxes is None else ("vggss-half", "vggss-adaptive"))
    for rule in rules:
        named(rule.replace("(val)", "(0.5)"))  # a wrong name is told before anything is trained
    for name in chosen:
        if name not in VARIANTS | PEERS:
            raise ValueError(f"`variants` must be among {', '.join(VARIANTS | PEERS)}; got {name!r}.")
    root, paths = Path(data_root), []
    scored = Path(test_data or root)
    opened = functools.partial(open_set, partial=partial, size=cfg.image_size, seconds=cfg.seconds, sound=cfg.sound)
    for seed in seeds:
        for name in chosen:
            path = Path(out) / f"{name}-s{seed}.json"
            if again or not path.is_file():
                variant = (VARIANTS | PEERS)[name]
                asked = Config.from_dict({**cfg.as_dict(), **variant.changes, "seed": seed})
                # Everything is opened before hours are spent on training.
                clips, val = opened(scored, split, boxes=boxes), None
                if any("(val)" in rule for rule in rules):
                    val = opened(root, "val")
                model, trained = train_or_load(
                    asked,
                    root,
                    method=variant.method,
                    train_list=train_list,
                    partial=partial,
                    runs=runs,
                    phase=variant.phase,
                    progress=progress,
                )
                values = evaluate(
                    model,
                    clips,
                    maps=variant.maps,
                    protocols=rules,
                    listen=variant.listen,
                    val_set=val,
                    partial=partial,
                    workers=cfg.workers,
                )
                splits = {row["split"] for row in read_table(scored)} if variant.listen and boxes is None else ()
                if variant.listen and variant.method == "uspl" and boxes is None:
                    values["oracles"] = stage_oracles.replaced(model, clips)
                if "negative" in splits:
                    values["listening"]["negative"] = area(model, opened(scored, "negative"), maps=variant.maps)
                about = _about(asked, trained, variant) | {"variant": name, "data": root.name}
                about["split"] = split if boxes is None else Path(boxes).name
                if test_data:
                    about["test_data"] = scored.name
                more = {
                    "test-data": told(test_data) if test_data else None,
                    "protocol": protocols,
                    "boxes": boxes,
                    "train-list": train_list,
                    "partial": partial,
                }
                words = f"uspl study --data {shlex.quote(told(root))} --variants {name} --seeds {seed} --split {split}"
                about["command"] = words + command_line.flags(cfg, more)
                record.write(path, about | values)
                log.info("%s: %s", path, values.get("scores", ""))
            paths.append(path)
    return paths


def _about(cfg: Config, trained: Mapping[str, Any], variant: Variant) -> dict[str, Any]:
    """What a record says beside the scores."""
    joint = "warmup" in trained
    seconds = {
        "warmup": round((trained["warmup"] if joint else trained)["seconds"], 1),
        "joint": round(trained["seconds"], 1) if joint else 0.0,
    }
    if variant.method != "uspl":
        seconds = {"training": round(trained["seconds"], 1)}
    kept = ("history", "kept", "n_train", "n_val", "n_missing", "leaked", "keep_leaked")
    return {
        "seed": cfg.seed,
        "changes": {k: there for k, (_, there) in differences(Config.tier(command_line.nearest(cfg)), cfg).items()},
        "seconds": seconds,
        "train_hash": trained["data_hash"],
    } | {k: trained[k] for k in kept if k in trained}
