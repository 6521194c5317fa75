"""The page "What it costs": every number, table and figure is read from `results/costs/`, nothing is typed.

`{costs} speed` puts a table there, `{costs} stages` a figure; the role {cost}`training.share %` a single number:
<record>.<keys> <format>, where the format is one of `FORMATS`. The build fails where a record lacks what is asked for.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from docutils import nodes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole

FOLDER = Path(__file__).resolve().parents[2] / "results" / "costs"
log = logging.getLogger(__name__)

FORMATS: dict[str, Callable[[float], str]] = {
    "": lambda v: f"{v:.3g}",
    "%": lambda v: f"{100 * v:.1f} %",
    ".0f": lambda v: f"{v:.0f}",
    ".1f": lambda v: f"{v:.1f}",
    ".2f": lambda v: f"{v:.2f}",
}
PATHS = {"coarse": "coarse map", "smr": "SMR", "sps": "SPS"}
STAGES = ("visual encoder", "projectors, Eq. 1", "PMV-aff", "affinity", "walk", "decoder")
TAKES = {  # stages of each bar
    "coarse": ("visual encoder", "projectors, Eq. 1"),
    "smr": ("visual encoder", "projectors, Eq. 1", "PMV-aff", "affinity", "walk"),
    "sps": ("visual encoder", "projectors, Eq. 1", "decoder"),
}
AXES = {
    "image": "side of the image, pixels",
    "grid": "side of the affinity grid, pixels",
    "radius": "radius r, pixels of the grid",
    "steps": "steps t of the walk",
    "batch": "clips in a batch",
    "clips": "clips of 3 s",
}
WHAT = {
    "image": "image to map",
    "grid": "features to fine map",
    "radius": "features to fine map",
    "steps": "the walk alone",
    "batch": "batch to maps",
    "clips": "films to clips, and clips to scores",
}
_WHOSE = ("table3", "paper")
# Neither light nor dark, so that charts can be inverted, and apart for every eye (Okabe and Ito 2008).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#8a6d00", "#56B4E9")
LINES = {  # name -> (label, colour, dash)
    "coarse": ("coarse map", COLOURS[0], "-"),
    "smr": ("SMR", COLOURS[1], "--"),
    "sps": ("SPS", COLOURS[2], ":"),
    "dense": ("dense matrix", COLOURS[3], ":"),
    "plain": ("neighbours, PyTorch", COLOURS[1], "--"),
    "numba": ("neighbours, numba", COLOURS[0], "-"),
    "prepare": ("make and prepare films", COLOURS[0], "-"),
    "evaluate": ("evaluate", COLOURS[1], "--"),
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


def counts_table(folder: Path = FOLDER) -> str:
    """The counts of Table 3 in Markdown, ours beside the paper's."""
    head = ["", "parameters, M", "paper: parameters, M", "multiply-adds, G", "paper: multiply-adds, G"]
    columns = [(f"{whose}.rows.{{}}.{what}", ".2f") for what in ("parameters", "multiply_adds") for whose in _WHOSE]
    return _rows(head, columns, folder)


def speed_table(folder: Path = FOLDER) -> str:
    """The speed of Table 3 in Markdown, at batch 1 and 8, ours beside the paper's."""
    head = ["", "batch 1: frames/s", "of coarse", "peak MiB", "batch 8: frames/s", "of coarse", "peak MiB"]
    head += ["paper: frames/s", "paper: of coarse"]
    what = (("fps", ".1f"), ("of_coarse", ".2f"), ("peak_mib", ".0f"))
    columns = [(f"table3.rows.{{}}.batch_{n}.{key}", how) for n in (1, 8) for key, how in what]
    columns += [("paper.rows.{}.fps", ".2f"), ("paper.rows.{}.fps/paper.rows.coarse.fps", ".2f")]
    return _rows(head, columns, folder)


def _rows(head: list[str], columns: list[tuple[str, str]], folder: Path) -> str:
    lines = ["| " + " | ".join(head) + " |", "|---|" + "--:|" * (len(head) - 1)]
    for row, name in PATHS.items():
        cells = [value(f"{path.format(row)} {how}", folder) for path, how in columns]
        lines.append("| " + " | ".join([name, *cells]) + " |")
    return "\n".join(lines)


def smr_table(folder: Path = FOLDER) -> str:
    """The same equations computed in four ways, in Markdown."""
    names = {
        "smr-dense": "a dense matrix of all pairs, 8 products",
        "smr-plain": "neighbours within r, plain PyTorch",
        "smr": "neighbours within r, numba",
        "smr-labels": "the same, and PAMR and the three-way map that training adds",
    }
    lines = ["| coarse map and SMR, one clip | milliseconds | of coarse | peak MiB |", "|---|--:|--:|--:|"]
    for row, name in names.items():
        at = f"table3.rows.{row}.batch_1"
        keys = (("ms", ".0f"), ("of_coarse", ".2f"), ("peak_mib", ".0f"))
        lines.append(f"| {name} | " + " | ".join(value(f"{at}.{k} {how}", folder) for k, how in keys) + " |")
    paper = value("paper.rows.smr.fps/paper.rows.coarse.fps .2f", folder)
    lines.append(f"| the paper's row, with the decoder | not stated | {paper} | not stated |")
    return "\n".join(lines)


def made(name: str, folder: Path = FOLDER) -> str:
    """How a record was made: command, processor, threads, clock, versions, day."""
    r = read(name, folder)
    try:
        where, threads = r["environment"], r["threads"]
        words = f"{r['processor']}, {threads} thread{'s' if threads > 1 else ''}, {r['clock']} time"
        return f"`{r['command']}` on {words}, torch {where['versions']['torch']}, {where['date']}."
    except KeyError as error:
        raise CostError(f"`results/costs/{name}.json` does not say its {error}.") from None


def stages_figure(folder: Path = FOLDER) -> tuple[Figure, str]:
    """One bar a path, its stages stacked, and the numbers in words."""
    fig, told = _figure(5.6, 2.6), []
    ax = fig.subplots()
    ends = dict.fromkeys(TAKES, 0.0)
    for k, stage in enumerate(STAGES):
        for row, parts in TAKES.items():
            if stage in parts:
                ms = _stage(stage, folder)
                first = row == next(r for r, p in TAKES.items() if stage in p)
                label = stage if first else None
                ax.barh(PATHS[row], ms, left=ends[row], color=COLOURS[k], label=label, edgecolor="white", linewidth=0.6)
                ends[row] += ms
                told.append(f"{PATHS[row]}: {stage} {ms:.0f} ms")
    ax.invert_yaxis()
    ax.set_xlabel("milliseconds a clip, batch 1, one thread")
    fig.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return fig, "Stacked bars. " + "; ".join(told) + "."


def training_figure(folder: Path = FOLDER) -> tuple[Figure, str]:
    """Forward and backward of each stage of a training step, one bar each."""
    stages = read("training", folder).get("seconds_by_stage", {})
    if not stages:
        raise CostError("`results/costs/training.json` has no `seconds_by_stage`.")
    fig = _figure(5.6, 3.0)
    ax = fig.subplots()
    order = sorted(stages, key=lambda s: -sum(stages[s].values()))
    forward, backward = ([stages[s][way] for s in order] for way in ("forward", "backward"))
    ax.barh(order, forward, color=COLOURS[0], label="forward")
    ax.barh(order, backward, left=forward, color=COLOURS[1], label="backward")
    for name, a, b in zip(order, forward, backward, strict=True):
        ax.annotate(f"{a + b:.2g} s", (a + b, name), (4, 0), textcoords="offset points", va="center", fontsize=8)
    ax.invert_yaxis()
    ax.margins(x=0.12)
    ax.set_xlabel("processor seconds")
    ax.legend(frameon=False, loc="lower right")
    words = [f"{s} {a:.2g} s forward and {b:.2g} s backward" for s, a, b in zip(order, forward, backward, strict=True)]
    return fig, "Bars. " + "; ".join(words) + "."


def growth_figure(name: str, folder: Path = FOLDER) -> tuple[Figure, str]:
    """Log-log lines along one axis, and their ends in words."""
    fig, told = _figure(4.6, 3.4), []
    ax = fig.subplots()
    curves, unit = _curves(name, folder), "seconds" if name == "clips" else "milliseconds"
    for line, points in curves.items():
        label, colour, dash = LINES[line]
        x, y = [int(p) for p in points], list(points.values())
        ax.loglog(x, y, dash, marker="o", markersize=4, color=colour, label=label)
        told.append(f"{label}, {name} {x[0]} to {x[-1]}: {y[0]:.3g} to {y[-1]:.3g} {unit}")
    ticks = sorted({int(p) for points in curves.values() for p in points})
    ax.set_xticks(ticks, [str(t) for t in ticks])
    ax.yaxis.set_major_formatter(lambda v, _: f"{v:g}")
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel(AXES[name])
    ax.set_title(f"{WHAT[name]}, {unit}", fontsize=10)
    ax.grid(True, alpha=0.3)
    ax.legend(frameon=False, fontsize=9)
    return fig, "Lines on logarithmic axes. " + "; ".join(told) + "."


def _curves(name: str, folder: Path) -> dict[str, dict[str, float]]:
    try:
        if name == "clips":
            by_clips = read("clips", folder)["seconds_by_clips"]
            curves = {k: {n: v[k] for n, v in by_clips.items()} for k in ("prepare", "evaluate")}
        else:
            curves = read("growth", folder)["ms"][name]
    except KeyError as error:
        raise CostError(f"The records of growth have no {error}.") from None
    # JSON sorts its keys as words; 9 comes before 16 here.
    return {k: dict(sorted(points.items(), key=lambda p: int(p[0]))) for k, points in curves.items()}


def _stage(name: str, folder: Path) -> float:
    try:
        return float(read("stages", folder)["ms"]["batch_1"][name])
    except KeyError as error:
        raise CostError(f"`results/costs/stages.json` has no {error}.") from None


def _figure(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), dpi=140, layout="constrained")


TABLES = {"counts": counts_table, "speed": speed_table, "smr": smr_table}
FIGURES = {"stages": stages_figure, "training": training_figure}


class Costs(SphinxDirective):
    """`{costs} NAME`: a table; a figure, or those of several axes side by side; or how records were made.

    Each line below it is the caption of one figure.
    """

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True

    def run(self) -> list[nodes.Node]:
        name, *rest = self.arguments[0].split()
        for path in FOLDER.glob("*.json"):
            self.env.note_dependency(str(path))
        self.env.note_reread()
        try:
            if name in TABLES:
                box = nodes.container(classes=["wide-table"])
                box += self.parse_text_to_nodes(TABLES[name]())
                return [box]
            if name == "made":
                return list(self.parse_text_to_nodes("\n\n".join(f"Made by {made(record)}" for record in rest)))
            figures = [growth_figure(axis) for axis in rest] if name == "growth" else [FIGURES[name]()]
        except CostError as error:
            log.warning(str(error), location=self.get_location())
            return []
        from uspl import viz

        pairs = zip(figures, self.content, strict=True)
        pages = [viz.figure(fig, alt=alt, caption=caption).data for (fig, alt), caption in pairs]
        return [nodes.raw("", f'<div class="cost-figures">{"".join(pages)}</div>', format="html")]


class Cost(SphinxRole):
    """{cost}`training.share %`: one number of a record."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        try:
            return [nodes.Text(value(self.text))], []
        except CostError as error:
            log.warning(str(error), location=self.get_location())
            return [], []


def setup(app: Any) -> dict[str, Any]:
    """Called by Sphinx."""
    app.add_directive("costs", Costs)
    app.add_role("cost", Cost())
    return {"parallel_read_safe": True}
