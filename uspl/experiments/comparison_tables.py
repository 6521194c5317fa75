"""Tables 1 and 2 on Sounding Shapes: every method on the same clips, from the records of `study`, beside its limits."""

import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from uspl.core import record
from uspl.core.tables import markdown_table
from uspl.experiments.methods import GUIDED, METHODS, marked, simplifications
from uspl.experiments.tables import mean_and_half_range

FOLDER = "peers/sounding-shapes"
FRESH = "fresh/sounding-shapes"  # scored on clips that were drawn after every choice
HARD = "fresh/sounding-shapes-hard"


class Line(NamedTuple):
    """A line of the tables."""

    name: str
    learns: str  # from what, beside videos
    variant: str  # of `study`
    map: str = "m"


def _baselines(*learns: str) -> Iterator[Line]:
    for key, method in METHODS.items():
        if method.learns in learns:
            yield Line(method.name, method.learns, key)
            if key in GUIDED:
                yield Line(f"{method.name} + OGL", method.learns, f"{key}+ogl")


USPL_LINES = (
    Line("USPL, M_crs", "nothing", "full", "m_crs"),
    Line("USPL, M_fine", "nothing", "full", "m_fine"),
    Line("USPL, SPS", "nothing", "full"),
    Line("USPL beyond the paper, M_fine", "nothing", "best", "m_fine"),
    Line("USPL beyond the paper, SPS", "nothing", "best"),
)
BOUND = Line("supervised bound, SPS", "masks", "supervised-4x")
LINES: tuple[Line, ...] = (*_baselines("nothing"), *USPL_LINES, *_baselines("labels", "masks"), BOUND)
OWN: tuple[Line, ...] = (*USPL_LINES, BOUND)
BEYOND = tuple(line for line in OWN if line.variant != "full")
LISTENING = {
    "own": "maximum on its own object",
    "swap": "moves with the other sound",
    "silence": "area in silence",
    "noise": "area in noise",
}


def records(folder: str | Path, method: Line) -> list[dict[str, Any]]:
    """Those of one method, a seed each, in the order of the seeds.

    Raises:
        ValueError: a record that was edited.
    """
    found = [record.read(path, sealed=True) for path in Path(folder).glob(f"{method.variant}-s*.json")]
    return sorted(found, key=lambda told: told["seed"])


def scores(folder: str | Path, method: Line, protocol: str, score: str) -> list[float]:
    """One score of each seed; `protocol` is as the record names it, "(val)" for the threshold of the method's map."""
    name = _named(protocol, method)
    found = [told["protocols"][name]["scores"][method.map][score] for told in records(folder, method)]
    return [one["value"] for one in found]


def _named(protocol: str, method: Line) -> str:
    return f"{protocol} for {method.map}" if protocol.endswith("(val)") else protocol


def markdown(
    folder: str | Path, protocol: str, titles: Sequence[str], keys: Sequence[str], methods: Sequence[Line] = LINES
) -> str:
    """A table: floors and ceiling of the protocol, then every method, with its share of the supervised bound.

    Args:
        folder: of the records.
        protocol: see `protocols.names`.
        titles: of the scores.
        keys: of the scores in the record; the first one is what the share is of.
        methods: the lines.
    """
    rows: list[list[object]] = []
    some = [(method, told) for method in methods for told in records(folder, method)[:1]]
    if some:
        method, first = some[0]
        plain = first["protocols"][_named(protocol, method)]
        for name, limits in {**plain["floors"], "the best any map can get": plain["ceiling"]}.items():
            rows.append([f"*{name.replace('_', ' ')}*", "", *(f"{limits[k]:.3f}" for k in keys), "", ""])
        if "every_object" in first["floors"] and protocol == "avsbench":
            alone = [f"{first['floors']['every_object']:.3f}", *[""] * (len(keys) - 1)]
            rows.append(["*every object, an oracle that does not hear*", "", *alone, "", ""])
    bound = scores(folder, BOUND, protocol, keys[0])
    for method in methods:
        each = [scores(folder, method, protocol, key) for key in keys]
        share = f"{statistics.mean(each[0]) / statistics.mean(bound):.0%}" if bound and each[0] else ""
        rows.append(
            [
                marked(method.name, method.variant),
                method.learns,
                *map(mean_and_half_range, each),
                share,
                len(each[0]) or "",
            ]
        )
    head = ["method", "learns from", *(f"{title} [{protocol}]" for title in titles), "of the bound", "seeds"]
    return markdown_table(head, rows) + simplifications(method.variant for method in methods)


def sensitivity_table(folder: str | Path) -> str:
    """A table: does the map follow the sound? Means over seeds."""
    rows = []
    for method in LINES:
        found = [told["listening"] for told in records(folder, method) if told["listening"]]
        if found:
            means = [statistics.mean(one[key][method.map] for one in found) for key in LISTENING]
            rows.append([method.name, *(f"{v:.3f}" for v in means)])
    return markdown_table(["method", *LISTENING.values()], rows)


def commands() -> str:
    """The command that makes every record of the tables."""
    return _command("--out results/peers", LINES)


def fresh_commands(level: Literal["standard", "hard"] = "standard") -> str:
    """Those that draw clips to learn from and new ones, and score the method on these: nothing was chosen with them."""
    root, tier, methods = {
        "standard": ("data/sounding-shapes", "", OWN),
        "hard": ("data/sounding-shapes-hard", " --tier best", BEYOND),
    }[level]
    lines = []
    for drawn, seed in ((root, 1), (f"{root}-fresh", 3)):
        lines += [
            f"python data_scripts/make_sounding_shapes.py {drawn} --level {level} --seed {seed}",
            f"python data_scripts/prepare_avsbench.py {drawn}",
        ]
    options = f"--data {root} --test-data {root}-fresh --out results/fresh{tier}"
    return "\n".join([*lines, _command(options, methods)])


def _command(options: str, methods: Sequence[Line]) -> str:
    rules = "avsbench 'avsbench(val)' vggss-half vggss-adaptive"
    names = " ".join(dict.fromkeys(method.variant for method in methods))
    return f"uspl study {options} --protocol {rules} \\\n    --variants {names}"
