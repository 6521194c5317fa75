"""`uspl train / evaluate / study / readings / check`: the library from the shell; options are made from `Config`."""

import argparse
import functools
import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import tyro

from uspl.config import Config

Fields = Annotated[Config, tyro.conf.arg(name="")]
Tier = Annotated[
    Literal["tiny", "paper"],
    tyro.conf.arg(help='defaults of every choice: "tiny" for Sounding Shapes on a CPU, "paper" for section 4.1'),
]
Data = Annotated[Path, tyro.conf.arg(help="folder in AVSBench-S4's layout")]
Runs = Annotated[Path, tyro.conf.arg(help="where checkpoints live")]
TINY = Config.tiny()


def train(
    cfg: Fields = TINY,
    tier: Tier = "tiny",
    data: Data = Path("data/sounding-shapes"),
    runs: Runs = Path("runs"),
    phase: Literal["warmup", "full"] = "full",
) -> None:
    """Train one configuration, or load it if it is there; prints the last validation mIoU.

    Args:
        phase: "warmup" stops after MMICL.
    """
    from uspl.train import train_or_load

    _, values = train_or_load(cfg, data, runs=runs, phase=phase)
    print(json.dumps(values["history"][-1] if values["history"] else {}))


def evaluate(
    cfg: Fields = TINY,
    tier: Tier = "tiny",
    data: Data = Path("data/sounding-shapes"),
    split: str = "val",
    runs: Runs = Path("runs"),
    out: Path | None = None,
) -> None:
    """Score a configuration on a split: mIoU, F-score, listening, floors.

    Args:
        split: "val" or "test".
        out: also write the record to this file.
    """
    from uspl import record
    from uspl.data import AVSBench
    from uspl.evaluate import evaluate as run
    from uspl.train import train_or_load

    model, _ = train_or_load(cfg, data, runs=runs)
    values = run(model, AVSBench(data, split, size=cfg.image_size, seconds=cfg.seconds))
    print(json.dumps(values, indent=1))
    if out is not None:
        record.write(out, {"config": cfg.as_dict(), "split": split, **values})


def study(
    cfg: Fields = TINY,
    tier: Tier = "tiny",
    data: Data = Path("data/sounding-shapes"),
    out: Path = Path("results/first_light"),
    seeds: tuple[int, ...] = (1, 2, 3),
    variants: tuple[str, ...] = (),
    split: str = "test",
    runs: Runs = Path("runs"),
) -> None:
    """Every row of chapter 06's table: train, evaluate, one record per row and seed; resumable.

    Args:
        out: where the records go, in a folder named as `data`.
        seeds: training seeds.
        variants: rows of the table; all by default.
        split: "test", or "val" while a recipe is chosen.
    """
    from uspl.study import VARIANTS
    from uspl.study import study as run

    for path in run(
        cfg, data, out / data.name, seeds=seeds, variants=variants or tuple(VARIANTS), split=split, runs=runs
    ):
        print(path)


def readings(
    cfg: Fields = TINY,
    tier: Tier = "tiny",
    data: Data = Path("data/sounding-shapes"),
    out: Path = Path("results/readings"),
    only: tuple[int, ...] = (),
    runs: Runs = Path("runs"),
) -> None:
    """What each open reading of the paper costs or gains on the validation split; resumable.

    Args:
        out: folder of the records.
        only: numbers of readings; all that one run can show by default.
    """
    from uspl.readings import readings as run

    for path in run(cfg, data, out, only=only, runs=runs):
        print(path)


def check(
    root: tyro.conf.Positional[Path],
    strict: bool = False,
    all: bool = False,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
    out: Path | None = None,
    boxes: Path | None = None,
    checksums: Path | None = None,
    write_checksums: Path | None = None,
) -> None:
    """What a data folder holds, lacks and hides, and whether scores on it compare with published ones.

    Args:
        root: folder in AVSBench-S4's layout, or with `frames` and `audio` as VGGSound's.
        strict: exit with 1 when something is wrong.
        all: name every clip in trouble, not only the first.
        as_json: print the findings as JSON.
        out: also write the findings as JSON to this file.
        boxes: the file that names VGG-SS's test clips; `vggss.json` in the folder by default.
        checksums: compare with this list of SHA-256.
        write_checksums: write such a list; `sha256sum -c` reads it too.
    """
    from uspl import doctor, record
    from uspl.checksums import listing

    found = doctor.examine(root, boxes=boxes, written=checksums, progress=sys.stderr.isatty())
    text = json.dumps(found.as_dict(), indent=1)
    if out is not None:
        record.write_text(out, text + "\n")
    if write_checksums is not None:
        record.write_text(write_checksums, listing(found.files))
    print(text if as_json else doctor.report(found, shown=None if all else doctor.SHOWN))
    if strict and not found.healthy:
        raise SystemExit(1)


def main(args: list[str] | None = None) -> None:
    """Entry point of the `uspl` command: a user's mistake ends in one sentence and exit code 2."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    args = sys.argv[1:] if args is None else args
    try:
        cfg = _defaults(args)
        commands: dict[str, Callable[..., None]] = {
            f.__name__: functools.partial(f, cfg=cfg) for f in (train, evaluate, study, readings)
        } | {"check": check}
        tyro.extras.subcommand_cli_from_dict(commands, args=args, prog="uspl", description=__doc__)
    except (ValueError, OSError, RuntimeError) as error:
        print(f"uspl: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("uspl: stopped; the same command goes on from the last finished epoch.", file=sys.stderr)
        raise SystemExit(130) from None


def _defaults(args: list[str]) -> Config:
    """The tier's `Config`, read before the other options: those then change single fields of it."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--tier", nargs="?", default="tiny", const="tiny")
    return Config.tier(parser.parse_known_args(args)[0].tier)
