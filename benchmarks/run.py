"""The table of ratios: `make bench`, or `python -m benchmarks.run --row walk`."""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.machine import about
from benchmarks.ratios import card, memory, timing
from benchmarks.ratios.row import Disagreement, Row, check
from benchmarks.ratios.rows import chosen
from uspl.core import paths, record

HEAD = (
    f"{'row':22s} {'variant':8s} {'naive ms':>9s} {'ours ms':>9s} {'ratio':>8s} {'range':>15s} "
    f"{'goal':>7s} {'reached':8s} {'peak MiB':>13s}"
)


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("--row", nargs="+", default=[], metavar="NAME", help="some rows only; nothing is recorded")
    parser.add_argument("--threads", type=int, default=1, help="of PyTorch; with several, set OMP_WAIT_POLICY=passive")
    parser.add_argument("--wall", action="store_true", help="wall clock instead of processor time")
    parser.add_argument("--pairs", type=int, default=7, help="how often each side is timed")
    parser.add_argument("--name", default="ratios", help="of the record")
    parser.add_argument("--out", type=Path, default=paths.results_folder(below="bench"), help="folder of the record")
    return parser.parse_args(arguments)


def measured(row: Row, *, device: torch.device, measure: timing.Measure, pairs: int, threads: int) -> dict[str, Any]:
    """One row of the record: every variant, agreement first.

    Raises:
        Disagreement: a variant's result is not the reference's; nothing was timed.
    """
    sides, known = row.make(device), dict[int, object]()
    on_cpu = device.type == "cpu"
    if not on_cpu:
        sides = {variant: side for variant, side in sides.items() if variant == "plain"}  # numba is for the CPU
    differences = {variant: check(row, variant, side, known) for variant, side in sides.items()}
    known.clear()
    peaks = memory.peaks(row.name, threads=threads) if row.peak is not None and on_cpu else None
    found = {}
    for variant, side in sides.items():
        times = timing.paired(side.base, side.ours, measure=measure, pairs=pairs)
        base_mib, ours_mib = peaks[variant] if peaks else (None, None)
        found[variant] = {
            **{k: float(f"{v:.4g}") for k, v in times._asdict().items()},
            "difference": differences[variant],
            "goal": row.goals.get(variant),
            "reached": row.reached(variant, times.ratio),
            "base_mib": base_mib,
            "ours_mib": ours_mib,
            "gb_s": None if on_cpu else float(f"{1e-6 * row.traffic / times.ours_ms:.4g}"),
            "peak_reached": base_mib / max(ours_mib, 0.1) >= row.peak if peaks and row.peak else None,
        }
    about = {"what": row.what, "sizes": row.sizes, "tolerance": row.tolerance, "at_most": row.at_most}
    return {**about, "peak_goal": row.peak or None, "variants": found}


def lines(name: str, values: dict[str, Any]) -> list[str]:
    """One row of the table as text, a line per variant."""
    found = []
    for variant, v in values["variants"].items():
        sign = "<=" if values["at_most"] else ">="
        goal = f"{sign} {v['goal']:g}" if v["goal"] is not None else ""
        reached = {True: "yes", False: "no", None: ""}[v["reached"]]
        peak = f"{v['base_mib']:.0f} / {v['ours_mib']:.1f}" if v["base_mib"] is not None else ""
        spread = f"({v['low']:.3g} .. {v['high']:.3g})"
        found.append(
            f"{name:22s} {variant:8s} {v['base_ms']:9.4g} {v['ours_ms']:9.4g} {v['ratio']:8.3g} {spread:>15s} "
            f"{goal:>7s} {reached:8s} {peak:>13s}{'' if v['peak_reached'] in (True, None) else ' over'}"
        )
        name = ""
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; write the record when all rows were asked for."""
    asked = options(arguments)
    try:
        rows = chosen(asked.row)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    torch.set_num_threads(asked.threads)
    machine = about(threads=asked.threads, wall=asked.wall, pairs=asked.pairs)
    print(", ".join(f"{k} {v}" for k, v in machine.items()), HEAD, sep="\n", flush=True)
    runs = [("cpu", timing.by_clock(time.perf_counter if asked.wall else time.process_time), rows)]
    if torch.cuda.is_available():
        runs.append(("cuda", timing.by_events, [row for row in rows if row.traffic]))
        machine["ceilings"] = card.ceilings()
    found: dict[str, dict[str, Any]] = {}
    try:
        for device, measure, some in runs:
            found[device] = {}
            for row in some:
                values = measured(
                    row, device=torch.device(device), measure=measure, pairs=asked.pairs, threads=asked.threads
                )
                found[device][row.name] = values
                print(*lines(row.name, values), sep="\n", flush=True)
    except Disagreement as error:
        print(error, file=sys.stderr)
        return 1
    if not asked.row:
        command = " ".join(["python -m benchmarks.run", *(arguments if arguments is not None else sys.argv[1:])])
        path = record.write(asked.out / f"{asked.name}.json", {**machine, "command": command, "rows": found})
        print(f"The record: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
