"""The first study: every row of chapter 06's table on Sounding Shapes, several seeds, one record per row and seed."""

import logging
import statistics
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from uspl import record
from uspl.config import Config
from uspl.data import AVSBench
from uspl.evaluate import area, evaluate
from uspl.table import read_table
from uspl.train import train_or_load

log = logging.getLogger(__name__)


class Variant(NamedTuple):
    """A row or several of the table: fields that differ from the recipe, how far to train, which maps to score."""

    changes: dict[str, Any]
    phase: str = "full"
    maps: tuple[str, ...] = ("m",)
    listen: bool = False


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

# Rows of the table, in its order: what it is, which variants (the best on validation counts), which map.
ROWS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("MMICL without hiding (delta = 0), M_crs", ("delta0",), "m_crs"),
    ("MMICL, M_crs", ("mmicl",), "m_crs"),
    ("MMICL of equal length, M_crs", ("mmicl-long",), "m_crs"),
    ("SPS without SMR", ("sps-without-smr",), "m"),
    ("SMR alone, M_fine", ("smr",), "m_fine"),
    ("full method, M_crs", ("full",), "m_crs"),
    ("full method, M_fine", ("full",), "m_fine"),
    ("full method, SPS", ("full",), "m"),
    ("supervised bound, SPS", ("supervised", "supervised-2x", "supervised-4x"), "m"),
)
FLOORS = {
    "whole_image": "whole image",
    "centre_box": "best centre box",
    "every_object": "every object, an oracle that does not hear",
    "largest_object": "largest object, an oracle that does not hear",
}


class Row(NamedTuple):
    """One line of the table: mIoU and F-score of each seed."""

    name: str
    miou: list[float]
    fscore: list[float]


def study(
    cfg: Config,
    data_root: str | Path,
    out: str | Path,
    *,
    seeds: Iterable[int] = (1, 2, 3),
    variants: Iterable[str] = tuple(VARIANTS),
    split: str = "test",
    runs: str | Path = "runs",
    progress: bool | None = None,
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
        progress: show progress bars; None shows them where a person looks.

    Returns:
        The paths of the records.

    Raises:
        ValueError: an unknown variant.
    """
    chosen = list(variants)
    for name in chosen:
        if name not in VARIANTS:
            raise ValueError(f"`variants` must be among {', '.join(VARIANTS)}; got {name!r}.")
    paths = []
    for seed in seeds:
        for name in chosen:
            path = Path(out) / f"{name}-s{seed}.json"
            if not path.is_file():
                variant = VARIANTS[name]
                asked = Config.from_dict({**cfg.as_dict(), **variant.changes, "seed": seed})
                model, trained = train_or_load(asked, data_root, runs=runs, phase=variant.phase, progress=progress)
                read = partial(AVSBench, data_root, size=cfg.image_size, seconds=cfg.seconds, cache=True)
                values = evaluate(model, read(split), maps=variant.maps, listen=variant.listen)
                if variant.listen and any(row["split"] == "negative" for row in read_table(Path(data_root))):
                    values["listening"]["negative"] = area(model, read("negative"), maps=variant.maps)
                record.write(path, _about(name, split, data_root, cfg, asked, trained) | values)
                log.info("%s: %s", path, values["scores"])
            paths.append(path)
    return paths


def _about(
    name: str, split: str, data_root: str | Path, recipe: Config, cfg: Config, trained: Mapping[str, Any]
) -> dict[str, Any]:
    """What a record says beside the scores."""
    tier = Config.tiny().as_dict()
    chosen = {k: v for k, v in recipe.as_dict().items() if v != tier[k] and k != "seed"}
    flags = "".join(f" --{k.replace('_', '-')} {v}" for k, v in chosen.items())
    joint = "warmup" in trained
    return {
        "variant": name,
        "split": split,
        "data": Path(data_root).name,
        "seed": cfg.seed,
        "changes": {k: v for k, v in cfg.as_dict().items() if v != tier[k]},
        "command": f"uspl study --data {data_root} --variants {name} --seeds {cfg.seed} --split {split}{flags}",
        "seconds": {
            "warmup": round((trained["warmup"] if joint else trained)["seconds"], 1),
            "joint": round(trained["seconds"], 1) if joint else 0.0,
        },
        "history": trained["history"],
        "n_train": trained["n_train"],
        "train_hash": trained["data_hash"],
    }


def table(folder: str | Path) -> list[Row]:
    """The table that the records of a folder make: floors first, then `ROWS`; a row without a record is empty."""
    records = [record.read(p) for p in sorted(Path(folder).glob("*-s*.json"))]
    rows = []
    for key, name in FLOORS.items():
        values = sorted({round(r["floors"][key], 6) for r in records if key in r["floors"]})
        rows.append(Row(name, values, []))
    for name, variants, m in ROWS:
        best: dict[int, dict[str, Any]] = {}
        for r in (r for r in records if r["variant"] in variants):
            rival = best.get(r["seed"])
            if rival is None or r["history"][-1].get(f"val_{m}", 0) > rival["history"][-1].get(f"val_{m}", 0):
                best[r["seed"]] = r
        scores = [best[seed]["scores"][m] for seed in sorted(best)]
        rows.append(Row(name, [s["miou"] for s in scores], [s["fscore"] for s in scores]))
    return rows


def markdown(folder: str | Path) -> str:
    """`table` as a Markdown table: mean, half of the range (not for one seed), and share of the bound."""
    rows = table(folder)
    bound = statistics.mean(rows[-1].miou) if rows[-1].miou else None
    lines = ["| Sounding Shapes | mIoU | seeds | F-score | share of the bound |", "|---|---|---|---|---|"]
    for name, miou, fscore in rows:
        if not miou:
            lines.append(f"| {name} | not run | | | |")
            continue
        mean = statistics.mean(miou)
        spread = f" ± {(max(miou) - min(miou)) / 2:.3f}" if len(miou) > 1 else ""
        each = " ".join(f"{v:.3f}" for v in miou) if fscore else ""
        f = f"{statistics.mean(fscore):.3f}" if fscore else ""
        share = f"{mean / bound:.0%}" if bound else ""
        lines.append(f"| {name} | {mean:.3f}{spread} | {each} | {f} | {share} |")
    return "\n".join(lines)


SHARES = {
    "own": "on its own object",
    "swap": "moves with the other sound",
    "silence": "area in silence",
    "noise": "area in noise",
    "negative": "area when the sound is off screen or absent",
}


def listening(folder: str | Path) -> str:
    """Does the full method listen? Markdown table of each seed: the maximum's place, the area when nothing sounds."""
    records = [record.read(path) for path in sorted(Path(folder).glob("full-s*.json"))]
    asked = [name for name in SHARES if all(name in r["listening"] for r in records)] if records else list(SHARES)
    lines = ["| seed | map | " + " | ".join(SHARES[name] for name in asked) + " |", "|---" * (2 + len(asked)) + "|"]
    for r in records:
        for m in ("m_crs", "m_fine", "m"):
            shares = " | ".join(f"{r['listening'][name][m]:.3f}" for name in asked)
            lines.append(f"| {r['seed']} | {m} | {shares} |")
    return "\n".join(lines)
