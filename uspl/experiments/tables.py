"""Chapter 06's tables, made from the records of a study: each row's seeds, mean, spread and share of the bound."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from uspl.core import record
from uspl.core.tables import markdown_table
from uspl.evaluation.stage_oracles import STAGES


def oracle_means(folder: str | Path, variant: str = "full") -> dict[str, dict[str, float]]:
    """What `replaced` found, mean over the seeds of a study; empty without records.

    Raises:
        ValueError: a record that was edited.
    """
    told = [record.read(path, sealed=True) for path in sorted(Path(folder).glob(f"{variant}-s*.json"))]
    found = [one["oracles"] for one in told if "oracles" in one]
    return {
        name: {m: statistics.fmean(one[name][m] for one in found) for m in by}
        for name, by in (found[0] if found else {}).items()
    }


def oracle_markdown(folder: str | Path, variant: str = "full") -> str:
    """`oracle_means` as a table, a row for each replaced stage."""
    found = oracle_means(folder, variant)
    maps = ("m_crs", "m_fine", "m")
    rows = [[words, *(f"{found[k][m]:.3f}" if found else "not run" for m in maps)] for k, words in STAGES.items()]
    return markdown_table(["replaced", "M_crs", "M_fine", "SPS"], rows)


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
            if rival is None or _on_val(r, m) > _on_val(rival, m):
                best[r["seed"]] = r
        scores = [best[seed]["scores"][m] for seed in sorted(best)]
        rows.append(Row(name, [s["miou"] for s in scores], [s["fscore"] for s in scores]))
    return rows


def _on_val(r: Mapping[str, Any], m: str) -> float:
    """Validation score of the epoch that was kept."""
    score: float = r["history"][r.get("kept", 0) - 1].get(f"val_{m}", 0.0)
    return score


def markdown(folder: str | Path) -> str:
    """`table` as a Markdown table: mean, half of the range (not for one seed), and share of the bound.

    A supervised row that another row passes is no bound: it was not trained for long enough, and its name says so.
    """
    rows = table(folder)
    bound = statistics.mean(rows[-1].miou) if rows[-1].miou else None
    if bound is not None and bound < max(statistics.mean(r.miou) for r in rows if r.miou):
        bound, rows[-1] = None, rows[-1]._replace(name="supervised, SPS, stopped too early to be a bound")
    lines = []
    for name, miou, fscore in rows:
        each = " ".join(f"{v:.3f}" for v in miou) if fscore else ""
        f = f"{statistics.mean(fscore):.3f}" if fscore else ""
        share = f"{statistics.mean(miou) / bound:.0%}" if bound and miou else ""
        lines.append([name, mean_and_half_range(miou), each, f, share])
    return markdown_table(["Sounding Shapes", "mIoU", "seeds", "F-score", "share of the bound"], lines)


def mean_and_half_range(values: Sequence[float]) -> str:
    """Mean and half of the range: `0.730 ± 0.025`.

    >>> mean_and_half_range([0.70, 0.74, 0.75]), mean_and_half_range([0.5]), mean_and_half_range([])
    ('0.730 ± 0.025', '0.500', 'not run')
    """
    if not values:
        return "not run"
    spread = f" ± {(max(values) - min(values)) / 2:.3f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3f}{spread}"


SHARES = {
    "own": "on its own object",
    "swap": "moves with the other sound",
    "silence": "area in silence",
    "noise": "area in noise",
    "negative": "area when the sound is off screen or absent",
}


def sensitivity_table(folder: str | Path) -> str:
    """Audio sensitivity of the full method: a table of each seed, the maximum's place, the area when nothing sounds."""
    records = [record.read(path) for path in sorted(Path(folder).glob("full-s*.json"))]
    asked = [name for name in SHARES if all(name in r["listening"] for r in records)] if records else list(SHARES)
    rows = [
        [r["seed"], m, *(f"{r['listening'][name][m]:.3f}" for name in asked)]
        for r in records
        for m in ("m_crs", "m_fine", "m")
    ]
    return markdown_table(["seed", "map", *(SHARES[name] for name in asked)], rows)


def published(file: str | Path, *, extra: Mapping[str, Mapping[str, Sequence[float] | None]] | None = None) -> str:
    """Published numbers as a Markdown table: a column per protocol, so that no two share one.

    Args:
        file: of `results/published`.
        extra: rows that were measured here, above the published ones: name -> protocol -> values, None for "not run".
    """
    values = record.read(file)
    rows = [(name, "", by) for name, by in (extra or {}).items()]
    rows += [(r["method"], r["supervision"], {r["protocol"]: r["values"]}) for r in values["rows"]]
    columns = list(dict.fromkeys(p for _, _, by in rows for p in by))
    head = " / ".join(values["scores"])
    lines = [[name, learns, *(_cell(by[c]) if c in by else "" for c in columns)] for name, learns, by in rows]
    lines.append(["this library", "none", *(_cell(None) for _ in columns)])
    return markdown_table(["", "learns from", *(f"{head} [{c}]" for c in columns)], lines)


def _cell(values: Sequence[float] | None) -> str:
    return "not run here" if values is None else " / ".join(f"{v:.3f}" for v in values)
