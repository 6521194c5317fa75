"""The metadata table of AVSBench-S4, the report of its preparation, and which names they may hold."""

import csv
import json
from pathlib import Path

from uspl.media import DataError

TABLE = "s4_meta_data.csv"


def read_table(root: Path) -> list[dict[str, str]]:
    """Rows of AVSBench-S4's metadata table: name, category, split."""
    table = root / TABLE
    if not table.is_file():
        wanted = "is missing; name the folder that holds it, or make Sounding Shapes there"
        raise DataError(table, f"{wanted}; the folder {_holds(root)}")
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            lines = csv.DictReader(file)
            lack = {"name", "category", "split"} - set(lines.fieldnames or ())
            if lack:
                has = ", ".join(lines.fieldnames or ["none"])
                raise DataError(table, f"lacks the column `{min(lack)}`; it has {has}")
            rows = [{k: line[k] or "" for k in ("name", "category", "split")} for line in lines]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(table, f"is no table of comma-separated UTF-8 text: {error}") from None
    for row in rows:
        for part in row.values():
            stay(part, table)
    return rows


def _holds(root: Path) -> str:
    if not root.is_dir():
        return "does not exist"
    names = sorted(p.name for p in root.iterdir())
    return f"holds {', '.join(names[:4])}{' and more' * (len(names) > 4)}" if names else "is empty"


def stay(part: str, file: Path) -> None:
    """Refuse a name that would lead out of the folder."""
    if part in ("", ".", "..") or Path(part).name != part or "\\" in part:
        raise DataError(file, f"names {part!r}, which is no plain file name and would lead out of the folder")


def bad_clips(root: Path) -> set[tuple[str, str, str]]:
    """(split, category, name) of the clips that `report.json` calls bad; empty without a report."""
    report = root / "report.json"
    rows = json.loads(report.read_text()) if report.is_file() else []
    return {(r["split"], r["category"], r["name"]) for r in rows if r["status"] == "bad"}
