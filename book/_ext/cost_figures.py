"""The figures of the page "What it costs", each with what it shows in words."""

from pathlib import Path

from cost_records import FOLDER, CostError, read
from cost_tables import PATHS
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator

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
