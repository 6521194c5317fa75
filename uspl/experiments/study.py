"""The first study: which part does what on Sounding Shapes, several seeds, one record per row and seed."""

import logging
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from uspl.config import Config, differences
from uspl.core import record
from uspl.core.paths import told
from uspl.data.metadata import read_table
from uspl.data.splits import open_set
from uspl.encoders.frozen import remembered
from uspl.evaluation import stage_oracles
from uspl.evaluation.evaluate import evaluate
from uspl.evaluation.protocols.registry import named
from uspl.evaluation.sound_swap import area
from uspl.experiments import command_line
from uspl.experiments.methods import GUIDED, METHODS, train_or_load

log = logging.getLogger(__name__)


class Variant(NamedTuple):
    """A row or several of the table: fields that differ from the recipe, how far to train, which maps to score."""

    changes: dict[str, Any]
    phase: str = "full"
    maps: tuple[str, ...] = ("m",)
    audio_sensitivity: bool = False
    method: str = "uspl"
    times: int = 1  # how many times as many epochs of Eq. 11 as the recipe has


VARIANTS: dict[str, Variant] = {
    "delta0": Variant({"delta": 0.0}, "warmup", ("m_crs",)),
    "micl": Variant({"delta": 0.0, "symmetric": True, "lambda2": 0.0, "lambda3": 0.0}, maps=("m_crs",)),
    "mmicl": Variant({}, "warmup", ("m_crs",)),
    "mmicl-long": Variant({"lambda2": 0.0, "lambda3": 0.0}, maps=("m_crs",)),
    "sps-without-smr": Variant({"lambda2": 0.0, "teacher": "m_crs"}),
    "smr": Variant({"lambda3": 0.0}, maps=("m_fine",)),
    "full": Variant({}, maps=("m_crs", "m_fine", "m"), audio_sensitivity=True),
    "supervised": Variant({"lambda2": 0.0, "teacher": "mask"}),
    "supervised-2x": Variant({"lambda2": 0.0, "teacher": "mask"}, times=2),
    "supervised-4x": Variant({"lambda2": 0.0, "teacher": "mask"}, times=4),
}

# Beyond the paper's recipe, and the peers of Tables 1 and 2, trained for as long as both phases of USPL.
BEST = {name: there for name, (_, there) in differences(Config.tiny(), Config.best()).items()}
PEERS = {"best": Variant(BEST, maps=("m_crs", "m_fine", "m"), audio_sensitivity=True)} | {
    name: Variant({}, audio_sensitivity=True, method=name) for name in (*METHODS, *(f"{name}+ogl" for name in GUIDED))
}


def changed(cfg: Config, variant: Variant) -> Config:
    """What a variant trains where `cfg` is the recipe."""
    return Config.from_dict({**cfg.as_dict(), "epochs": cfg.epochs * variant.times, **variant.changes})


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
        protocols: see `evaluation.protocols`. When none is named: "avsbench", also with the threshold that validation
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
        if name == "best" and cfg.visual != "tiny":
            raise ValueError(f"`variants`: 'best' was chosen for the encoders of `tiny`; got visual={cfg.visual!r}.")
    options: dict[str, Any] = {
        "test-data": told(test_data) if test_data else None,
        "protocol": protocols,
        "boxes": boxes,
    }
    options |= {"train-list": train_list, "partial": partial}
    clips = _Clips(Path(data_root), Path(test_data or data_root), split, boxes, partial, cfg)
    paths = [(seed, name, Path(out) / f"{name}-s{seed}.json") for seed in seeds for name in chosen]
    with remembered():
        for seed, name, path in paths:
            if again or not path.is_file():
                variant = (VARIANTS | PEERS)[name]
                asked = changed(replace(cfg, seed=seed), variant)
                train = {"train_list": train_list, "partial": partial, "runs": runs, "progress": progress}
                values = _measured(asked, variant, clips, rules, train)
                root = shlex.quote(told(clips.root))
                words = f"uspl study --data {root} --variants {name} --seeds {seed} --split {split}"
                about = {"variant": name, "command": words + command_line.flags(cfg, options)}
                record.write(path, values | about)
                log.info("%s: %s", path, values.get("scores", ""))
    return [path for _, _, path in paths]


class _Clips(NamedTuple):
    """What is trained on and what is scored."""

    root: Path
    scored: Path
    split: str
    boxes: str | Path | None
    partial: bool
    cfg: Config

    def opened(self, root: Path, split: str, boxes: str | Path | None = None) -> Any:
        """Clips of a folder, as `open_set` gives them."""
        cfg = self.cfg
        given: dict[str, Any] = {"size": cfg.image_size, "seconds": cfg.seconds, "sound": cfg.sound}
        return open_set(root, split, boxes=boxes, partial=self.partial, **given)


def _measured(
    cfg: Config, variant: Variant, clips: _Clips, rules: Sequence[str], train: dict[str, Any]
) -> dict[str, Any]:
    """One row and seed: trained or loaded, and scored."""
    # Everything is opened before hours are spent on training.
    scored = clips.opened(clips.scored, clips.split, clips.boxes)
    val = clips.opened(clips.root, "val") if any("(val)" in rule for rule in rules) else None
    model, trained = train_or_load(cfg, clips.root, method=variant.method, phase=variant.phase, **train)
    values = evaluate(
        model,
        scored,
        maps=variant.maps,
        protocols=rules,
        audio_sensitivity=variant.audio_sensitivity,
        val_set=val,
        partial=clips.partial,
        workers=cfg.workers,
    )
    if variant.audio_sensitivity and clips.boxes is None:
        if variant.method == "uspl":
            values["oracles"] = stage_oracles.replaced(model, scored)
        if "negative" in {row["split"] for row in read_table(clips.scored)}:
            negative = clips.opened(clips.scored, "negative")
            values["listening"]["negative"] = area(model, negative, maps=variant.maps)
    about = _about(cfg, trained, variant) | {"data": clips.root.name}
    about["split"] = clips.split
    if clips.boxes is not None:
        about["split"] = about["boxes"] = Path(clips.boxes).name
    if clips.scored != clips.root:
        about["test_data"] = clips.scored.name
    return about | values


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
    tier = command_line.nearest(cfg)
    return {
        "seed": cfg.seed,
        "tier": tier,
        "config": cfg.as_dict(),
        "changes": {k: there for k, (_, there) in differences(Config.tier(tier), cfg).items()},
        "seconds": seconds,
        "warmup_run": trained["warmup"]["run"] if joint else None,  # equal in all records that share one
        "train_hash": trained["data_hash"],
    } | {k: trained[k] for k in kept if k in trained}
