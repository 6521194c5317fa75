"""The metadata table of AVSBench-S4, the report of its preparation, and which names they may hold."""

import csv
import io
import json
from pathlib import Path
from typing import NamedTuple

from uspl.core.errors import DataError
from uspl.core.files import present
from uspl.data.layouts.recognise import recognise

TABLE = "s4_meta_data.csv"
COLUMNS = ("name", "category", "split")
V1S_COLUMNS = ("uid", "a_obj", "split", "label")
SEMANTIC = "metadata.csv"  # AVSBench-semantic's table: its subset v1s is the videos of AVSBench-S4
MORE = "\0"  # no column: where fields go for which the first line has no name
LONGEST = 200  # bytes of a name: a file system allows 255, and files made from it add to it


class Line(NamedTuple):
    """One line of the table. `refusal` says why it cannot be used, or is empty."""

    name: str
    category: str
    split: str
    refusal: str = ""


def is_semantic(root: Path) -> bool:
    """Is it AVSBench-semantic with its subset v1s? A folder that holds AVSBench-S4 too is AVSBench-S4."""
    return not (root / TABLE).is_file() and (root / SEMANTIC).is_file() and (root / "v1s").is_dir()


def table_file(root: str | Path) -> Path:
    """The table of a folder, AVSBench-S4's where there is none."""
    return Path(root) / (SEMANTIC if is_semantic(Path(root)) else TABLE)


def listed(root: Path) -> list[Line]:
    """Every line of the table; one that cannot be used says why, and stops no other.

    Raises:
        DataError: the table is missing, no text, separated by something else than commas, or lacks a column.
    """
    table = table_file(root)
    try:
        text = present(table).read_text(encoding="utf-8-sig", errors="surrogateescape")
    except DataError as error:
        if error.reason != "is missing":
            raise
        if says := recognise(root):
            raise DataError(root, says) from None
        wanted = "is missing; name the folder that holds it, or make Sounding Shapes there"
        raise DataError(table, f"{wanted}; the folder {_holds(root)}") from None
    except OSError as error:
        raise DataError(table, f"cannot be opened: {error.strerror}") from None
    lines = csv.DictReader(io.StringIO(text), restkey=MORE, restval="")
    try:
        if table.name == SEMANTIC:
            _columns(table, list(lines.fieldnames or ()), V1S_COLUMNS)
            return [_line(_as_s4(line), lines.line_num) for line in lines if line["label"] == "v1s"]
        _columns(table, list(lines.fieldnames or ()))
        return [_line(line, lines.line_num) for line in lines]
    except csv.Error as error:
        why = f"below line {lines.line_num}: {error}"
        raise DataError(table, f"is no table of comma-separated UTF-8 text {why}") from error


def _holds(root: Path) -> str:
    if not root.is_dir():
        return "does not exist"
    names = sorted(path.name for path in root.iterdir())
    return f"holds {', '.join(names[:4])}{' and more' * (len(names) > 4)}" if names else "is empty"


def _as_s4(line: dict[str, str]) -> dict[str, str]:
    """A line of AVSBench-semantic's table under the names of AVSBench-S4's."""
    return line | {"name": line["uid"], "category": line["a_obj"]}


def _columns(table: Path, has: list[str], wanted: tuple[str, ...] = COLUMNS) -> None:
    if any("\0" in column or not _utf8(column) for column in has):
        raise DataError(table, "is no table of comma-separated UTF-8 text")
    other = next((mark for mark in (";", "\t", "|") if len(has) == 1 and mark in has[0]), None)
    if other is not None:
        raise DataError(table, f"is separated by {other!r}; AVSBench-S4's table is separated by commas")
    lack = [column for column in wanted if column not in has]
    if lack:
        raise DataError(table, f"lacks the column `{lack[0]}`; it has {', '.join(has) or 'none'}")


def _line(line: dict[str, str], number: int) -> Line:
    name, category, split = (line[column] for column in COLUMNS)
    refusals = [refusal(part) for part in (name, category, split)]
    if MORE in line:
        refusals.insert(0, f"has more fields in line {number} than in its first line")
    return Line(name, category, split, next(filter(None, refusals), ""))


def read_table(root: Path) -> list[dict[str, str]]:
    """Rows of AVSBench-S4's metadata table: name, category, split. Raises DataError for a line that is refused."""
    rows: dict[Line, dict[str, str]] = {}
    for line in listed(root):
        if line.refusal:
            text = "" if all(map(_utf8, line)) else "is no table of comma-separated UTF-8 text: it "
            raise DataError(table_file(root), text + line.refusal)
        if line in rows:
            raise DataError(
                table_file(root), f"lists `{line.split}/{line.category}/{line.name}` twice; remove one line"
            )
        rows[line] = {column: getattr(line, column) for column in COLUMNS}
    return list(rows.values())


def refusal(part: str) -> str:
    """Why a name may not become part of a path, or an empty string.

    >>> refusal("../up")
    "names '../up', which is no plain file name and would lead out of the folder"
    """
    named = f"names {part[:60]!r}{'...' * (len(part) > 60)}, which"
    if not _utf8(part) or any(ord(letter) < 32 or ord(letter) == 127 for letter in part):
        return f"{named} holds a control character or is no UTF-8 text"
    if part in ("", ".", "..") or Path(part).name != part or "\\" in part:
        return f"{named} is no plain file name and would lead out of the folder"
    if len(part.encode()) > LONGEST:
        return f"{named} is {len(part.encode())} bytes long; {LONGEST} are the most"
    return ""


def stay(part: str, file: Path) -> None:
    """Refuse a name that would lead out of the folder."""
    if reason := refusal(part):
        raise DataError(file, reason)


def _utf8(text: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def reasons(root: Path) -> dict[tuple[str, str, str], str]:
    """(split, category, name) -> reason, of the clips that `report.json` calls bad; empty without a report."""
    report = root / "report.json"
    if not report.is_file():
        return {}
    try:
        rows = json.loads(report.read_text())
        return {(r["split"], r["category"], r["name"]): r["reason"] for r in rows if r["status"] == "bad"}
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(report, "is no report of prepare_avsbench.py; remove it") from error


def bad_clips(root: Path) -> set[tuple[str, str, str]]:
    """(split, category, name) of the clips that `report.json` calls bad; empty without a report."""
    return set(reasons(root))
