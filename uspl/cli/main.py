"""`uspl train / evaluate / study / readings / ...`: the library from the shell; options are made from `Config`."""

from __future__ import annotations

import argparse
import functools
import logging
import os
import sys
from collections.abc import Callable
from json import dumps
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

import uspl
from uspl import presets
from uspl.cli.arguments import Data, Listed, Runs, in_project, named_or_trained, refusal
from uspl.cli.data import bounds, check
from uspl.cli.sweep import figure, sweep
from uspl.cli.video import export, run
from uspl.cli.weights import weights
from uspl.config import Config
from uspl.core import paths

Fields = Annotated[Config, tyro.conf.arg(name="")]
Tier = Annotated[
    Literal["tiny", "best", "photos", "paper"],
    tyro.conf.arg(
        help='defaults of every choice: "tiny" for Sounding Shapes on a CPU, "best" the same with what validation '
        'found better than the recipe, "photos" for photographs on a CPU, "paper" for section 4.1'
    ),
]
Clips = Annotated[
    Path | None, in_project("folder in AVSBench-S4's layout, or with `boxes` of VGG-SS pairs", "data/sounding-shapes")
]
Boxes = Annotated[Path | None, tyro.conf.arg(help="VGG-SS's box file; its pairs are scored instead of a split")]
Protocols = Annotated[
    tuple[str, ...],
    tyro.conf.arg(
        help="avsbench, vggss-half, ...; a wrong name lists them; avsbench by default, vggss-half with boxes"
    ),
]
Study = Annotated[Path | None, in_project("where the records go, in a folder named as `data`", "results/first_light")]
Readings = Annotated[Path | None, in_project("folder of the records", "results/readings")]
TINY = Config.tiny()
RENAMED = {"evaluate": {"--listen": "--audio-sensitivity"}}  # command -> old option -> its name today


def train(
    cfg: Fields = TINY,
    tier: Tier = "tiny",
    data: Data = None,
    runs: Runs = None,
    train_list: Listed = None,
    partial: bool = False,
    phase: Literal["warmup", "full"] = "full",
    save_every: int = 0,
    log_with: Literal["", "tensorboard", "wandb"] = "",
) -> None:
    """Train one configuration, or load it if it is there; prints the last validation mIoU.

    Under `torchrun` the processes share each batch. SIGUSR1 saves a checkpoint; SIGTERM saves one and stops.

    Args:
        partial: train on the clips that are there although others are missing.
        phase: "warmup" stops after MMICL.
        save_every: steps after which a checkpoint is written; 0 writes one after each epoch only.
        log_with: a tracker for what `log.jsonl` in the run's folder tells anyway; none by default.
    """
    from uspl.train.loop import train_or_load

    how: dict[str, Any] = {"train_list": train_list, "partial": partial, "phase": phase}
    how |= {"save_every": save_every, "log_with": log_with}
    _, values = train_or_load(cfg, paths.data_folder(data), runs=runs, **how)
    if os.environ.get("RANK", "0") != "0":
        return
    print(dumps(values["history"][-1] if values["history"] else {}))


def evaluate(
    cfg: Fields = TINY,
    tier: Tier = "tiny",
    data: Clips = None,
    split: str = "val",
    boxes: Boxes = None,
    silent: str | None = None,
    protocol: Protocols = (),
    maps: tuple[str, ...] = ("m_crs", "m_fine", "m"),
    val: Path | None = None,
    audio_sensitivity: bool = False,
    partial: bool = False,
    checkpoint: Path | None = None,
    published: Path | None = None,
    momentum: bool = False,
    runs: Runs = None,
    out: Path | None = None,
    json: bool = False,
) -> None:
    """Score a configuration under named protocols, with floor, ceiling and interval beside each number.

    Args:
        split: "val" or "test".
        silent: pairs in which nothing sounds: a split of `data`, or SLAVC's CSV; for slavc-extended.
        maps: m_crs, m_fine, m, or m_cos: Eq. 1 as (cos + 1) / 2, what SLAVC's confidence was made for.
        val: folder whose split "val" chooses the threshold of a protocol such as "vggss-absolute(val)"; default `data`.
        audio_sensitivity: also other sounds, silence and noise: does the map follow?
        partial: score the clips that are there although others are missing; the record says so.
        checkpoint: folder of a trained model, with its own configuration; otherwise it is looked up in `runs`.
        published: a model file of EZ-VSL, FNAC, SLAVC or LVS as its authors published it, scored in place of USPL.
        momentum: of SLAVC's file the momentum copy, which its authors score.
        out: also write the record to this file.
        json: print the record instead of the tables.
    """
    from uspl.baselines.published import load
    from uspl.core import record
    from uspl.core.device import choose_device
    from uspl.data.splits import open_set
    from uspl.evaluation.evaluate import evaluate as run
    from uspl.evaluation.protocols.registry import named
    from uspl.experiments import report
    from uspl.train.checkpoint import stored
    from uspl.train.loop import train_or_load

    data = paths.data_folder(data)
    names = protocol or (("avsbench",) if boxes is None else ("vggss-half",))
    for name in names:
        named(name.replace("(val)", "(0.5)"))  # a wrong name is told before anything is loaded
    if published is not None and checkpoint is not None:
        raise ValueError(f"`published` and `checkpoint` name two models; got `{published}` and `{checkpoint}`.")
    peer = None if published is None else load(published, momentum=momentum).to(choose_device(cfg.device))
    if peer is not None:
        cfg, maps = peer.cfg, tuple(m for m in maps if m in peer.MAPS)
    elif checkpoint is not None:
        cfg = stored(checkpoint, cfg)
    given: dict[str, Any] = {"partial": partial, "size": cfg.image_size, "seconds": cfg.seconds, "sound": cfg.sound}
    clips = open_set(data, split, boxes=boxes, silent=silent, **given)
    val_set = open_set(val or data, "val", **given) if any("(val)" in name for name in names) else None
    trained = functools.partial(train_or_load, cfg, data, runs=runs)
    model: Any = peer or named_or_trained(checkpoint, data, lambda: trained()[0], device=cfg.device)
    model.cfg = cfg
    how: dict[str, Any] = {"audio_sensitivity": audio_sensitivity, "partial": partial, "workers": cfg.workers}
    values = run(model, clips, maps=maps, protocols=names, val_set=val_set, **how)
    about = {"config": cfg.as_dict(), "data": data.name, "seed": cfg.seed}
    about["split"] = split if boxes is None else boxes.name
    print(dumps(about | values, indent=1) if json else report.markdown(values))
    if out is not None:
        record.write(out, about | values)


def study(
    cfg: Fields = TINY,
    tier: Tier = "tiny",
    data: Clips = None,
    out: Study = None,
    seeds: tuple[int, ...] = (1, 2, 3),
    variants: tuple[str, ...] = (),
    split: str = "test",
    test_data: Path | None = None,
    boxes: Boxes = None,
    protocol: Protocols = (),
    train_list: Listed = None,
    partial: bool = False,
    runs: Runs = None,
) -> None:
    """Every row of a study: train, evaluate, one record per row and seed; resumable.

    Args:
        seeds: training seeds.
        variants: rows of the table; all by default.
        split: "test", or "val" while a recipe is chosen.
        test_data: another folder whose split is scored, for instance clips drawn after all choices.
        partial: train and score on the clips that are there although others are missing; the record says so.
    """
    from uspl.experiments.study import VARIANTS
    from uspl.experiments.study import study as run

    data, out = paths.data_folder(data), paths.results_folder(out, "first_light")
    options: dict[str, Any] = {"boxes": boxes, "protocols": protocol, "train_list": train_list, "partial": partial}
    options["test_data"] = test_data
    rows = variants or tuple(VARIANTS)
    for path in run(cfg, data, out / data.name, seeds=seeds, variants=rows, split=split, runs=runs, **options):
        print(path)


def readings(
    cfg: Fields = TINY,
    tier: Tier = "tiny",
    data: Data = None,
    out: Readings = None,
    only: tuple[int, ...] = (),
    runs: Runs = None,
) -> None:
    """What each open reading of the paper costs or gains on the validation split; resumable.

    Args:
        only: numbers of readings; all that one run can show by default.
    """
    from uspl.experiments.readings import readings as run

    for path in run(cfg, paths.data_folder(data), paths.results_folder(out, "readings"), only=only, runs=runs):
        print(path)


def main(args: list[str] | None = None) -> None:
    """Entry point of the `uspl` command: a user's mistake ends in one sentence and exit code 2."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("uspl.kernels").setLevel(logging.INFO)  # a first run compiles for some seconds
    args = sys.argv[1:] if args is None else args
    if args == ["--version"]:
        print(f"uspl {uspl.__version__}")
        return
    try:
        cfg = _defaults(args)
        commands: dict[str, Callable[..., None]] = {
            f.__name__: functools.partial(f, cfg=cfg) for f in (train, evaluate, study, readings, sweep, figure)
        }
        commands |= {"check": check, "bounds": bounds, "run": run, "export": export, "weights": weights}
        if says := refusal(args, commands, RENAMED):
            raise ValueError(says)
        tyro.extras.subcommand_cli_from_dict(commands, args=args, prog="uspl", description=__doc__)
    except (ValueError, OSError, RuntimeError) as error:
        print(f"uspl: {error}", file=sys.stderr)
        raise SystemExit(getattr(error, "exit_code", 2)) from None
    except KeyboardInterrupt:
        print("uspl: stopped; the same command goes on from the last checkpoint.", file=sys.stderr)
        raise SystemExit(130) from None


def _defaults(args: list[str]) -> Config:
    """The tier's `Config`, read before the other options: those then change single fields of it.

    On VGGSound pairs `presets.VGGSOUND` comes on top: 3 s of sound, and the last epoch is kept.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--tier", nargs="?", default="tiny", const="tiny")
    parser.add_argument("--data", nargs="?", default="", const="")
    known = parser.parse_known_args(args)[0]
    changes: dict[str, Any] = {}
    if known.data and not (Path(known.data) / "s4_meta_data.csv").is_file():
        from uspl.data.splits import is_pairs

        changes = presets.VGGSOUND if is_pairs(known.data) else {}
    return Config.tier(known.tier, **changes)
