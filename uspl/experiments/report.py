"""Results in words: one table per protocol, with what stands beside each score; no column holds two protocols."""

from collections.abc import Mapping
from typing import Any

from uspl.core.tables import markdown_table
from uspl.evaluation.protocols.registry import named

SCORES = {
    "miou": "mIoU",
    "fscore": "F-score",
    "ciou": "cIoU@0.5",
    "auc": "AUC",
    "mean_ciou": "mean cIoU",
    "ap": "AP",
    "max_f1": "max-F1",
    "loc_acc": "LocAcc",
}
SHOWN = 5  # missing ids named in a report


def markdown(values: Mapping[str, Any]) -> str:
    """What `uspl.evaluation.evaluate.evaluate` found, as Markdown."""
    lines = [_clips(values)]
    for name, result in values["protocols"].items():
        lines += ["", f"### {name}", "", f"{result['rule']} Source: {result['source']}.", "", *_table(result)]
    if values.get("listening"):
        lines += ["", "### Audio sensitivity", "", sensitivity_table(values["listening"])]
    return "\n".join(lines)


def compare(records: Mapping[str, Mapping[str, Any]], *, map: str = "m") -> str:
    """Several records side by side: a row per record, a column per protocol and score; "not run" where there is none.

    Args:
        records: name of the row -> what `evaluate` found.
        map: which map.
    """
    columns = {
        (p, s): None for r in records.values() for p, v in r["protocols"].items() for s in v["scores"].get(map, {})
    }
    rows = []
    for name, r in records.items():
        cells = []
        for p, s in columns:
            score = r["protocols"].get(p, {}).get("scores", {}).get(map, {}).get(s)
            cells.append(
                "not run" if score is None else f"{score['value']:.3f} ({score['low']:.3f}-{score['high']:.3f})"
            )
        rows.append([name, r["n"], *cells])
    return markdown_table(["", "N", *(f"{SCORES[s]} [{p}]" for p, s in columns)], rows)


def _clips(values: Mapping[str, Any]) -> str:
    missing = values["missing"]
    words = f"N = {values['n']} pairs, data {values['data_hash']}."
    if missing:
        more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
        words += f" Missing: {len(missing)} ({', '.join(missing[:SHOWN])}{more})."
    if values.get("partial"):
        words += " Partial: not comparable with scores of the whole set."
    return words


def _table(result: Mapping[str, Any]) -> list[str]:
    """Rows are map and score; the columns are the same for each protocol, and each protocol has its own table."""
    interval, sides = result["interval"], " x ".join(str(n) for n in result["pixels"])
    lines = [
        f"N = {result['n']} pairs of {result['videos']} videos at {sides} pixels; "
        f"{interval['level']:.0%} interval over {interval['over']} from {interval['resamples']} draws."
    ]
    side = named(result["protocol"].replace("(val)", "(0.5)")).side
    if side and result["pixels"] != [side, side]:
        lines[0] += f" Published scores are at {side} x {side} pixels."
    if result["threshold"]:
        t = result["threshold"]
        lines[0] += f" Threshold {t['value']:g}, chosen on {t['n']} pairs of the split '{t['split']}'."
    rows = []
    for m, scores in result["scores"].items():
        for name, s in scores.items():
            share = "" if s["share"] is None else f"{s['share']:.0%}"
            floor = f"{s['floor']:.3f} ({s['floor_is'].replace('_', ' ')})"
            interval = f"{s['low']:.3f}-{s['high']:.3f}"
            rows.append([m, SCORES[name], f"{s['value']:.3f}", interval, floor, f"{s['ceiling']:.3f}", share])
    head = ["map", "score", "value", "interval", "floor", "ceiling", "floor to ceiling"]
    return [*lines, "", markdown_table(head, rows)]


def sensitivity_table(heard: Mapping[str, Any]) -> str:
    """What `evaluation.sound_swap` found: a row per map and sound; the score is one protocol's."""
    headline = next(iter(next(iter(heard["scores"]["own"].values()))))
    title = f"{SCORES[headline]} [{heard['protocol']}]"
    rows = []
    for m in heard["scores"]["own"]:
        for sound in ("own", "swap", "shuffled", "other", "silence", "noise"):
            if m not in heard["area"].get(sound, {}):
                continue
            score = heard["scores"].get(sound, {}).get(m, {}).get(headline)
            value = "" if score is None else f"{score['value']:.3f}"
            moved = "" if sound == "own" else f"{heard['moved'][sound][m]:.3f}"
            right = f"{heard[sound][m]:.3f}" if sound in ("own", "swap") and sound in heard else ""
            rows.append([m, sound, value, f"{heard['area'][sound][m]:.3f}", moved, right])
    return f"{heard['rule']}\n\n" + markdown_table(
        ["map", "sound", title, "area", "moved", "on the right object"], rows
    )
