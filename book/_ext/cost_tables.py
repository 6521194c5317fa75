"""The tables of the page "What it costs", in Markdown."""

from pathlib import Path

from cost_records import FOLDER, value

PATHS = {"coarse": "coarse map", "smr": "SMR", "sps": "SPS"}
_WHOSE = ("table3", "paper")


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
