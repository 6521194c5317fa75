"""Numbers of `results/costs/` in words: nothing on the page "What it costs" is typed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[2] / "results" / "costs"
FORMATS: dict[str, Callable[[float], str]] = {
    "": lambda v: f"{v:.3g}",
    "%": lambda v: f"{100 * v:.1f} %",
    ".0f": lambda v: f"{v:.0f}",
    ".1f": lambda v: f"{v:.1f}",
    ".2f": lambda v: f"{v:.2f}",
}


class CostError(ValueError):
    """A record that is missing, or that lacks what the page quotes."""


def read(name: str, folder: Path = FOLDER) -> dict[str, Any]:
    """One record of `results/costs/`. Raises CostError with the command that makes it."""
    path = folder / f"{name}.json"
    try:
        values: dict[str, Any] = json.loads(path.read_text())
    except OSError:
        make = f"`python -m benchmarks.costs {name}` makes it"
        raise CostError(f"`results/costs/{name}.json` is missing; {make}.") from None
    except json.JSONDecodeError as error:
        raise CostError(f"`results/costs/{name}.json` is no record: {error}.") from None
    return values


def value(asked: str, folder: Path = FOLDER) -> str:
    """A number as the page shows it: "training.share %" is `share` of training.json as a percentage.

    A path that has a `/` is a ratio of two numbers: "table3.rows.smr.batch_1.fps/table3.rows.sps.batch_1.fps .1f".
    """
    path, _, how = asked.partition(" ")
    if how not in FORMATS:
        raise CostError(f"`{asked}` must end in one of {', '.join(f for f in FORMATS if f)}; got {how!r}.")
    top, *below = (_number(part, folder) for part in path.split("/"))
    return FORMATS[how](top / below[0] if below else top)


def _number(path: str, folder: Path) -> float:
    name, *keys = path.split(".")
    found: Any = read(name, folder)
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise CostError(f"`results/costs/{name}.json` has no number at `{'.'.join(keys)}`.")
    return float(found)


def made(name: str, folder: Path = FOLDER) -> str:
    """How a record was made: command, processor, threads, clock, versions, day."""
    r = read(name, folder)
    try:
        where, threads = r["environment"], r["threads"]
        words = f"{r['processor']}, {threads} thread{'s' if threads > 1 else ''}, {r['clock']} time"
        return f"`{r['command']}` on {words}, torch {where['versions']['torch']}, {where['date']}."
    except KeyError as error:
        raise CostError(f"`results/costs/{name}.json` does not say its {error}.") from None
