"""The findings on a data folder: counts per split, what is wrong with which clip, as a table, a report and JSON."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from uspl.audit import checksums
from uspl.audit.clip_report import KINDS
from uspl.audit.comparability import Comparability
from uspl.data.metadata import SEMANTIC, TABLE

SHOWN = 40  # clips in trouble that a report names; the rest are counted
COUNTS = ("videos", "frames", "masks", "sounds")
ALWAYS = ("missing", "unreadable")  # faults that have a column even where there is none


@dataclass
class Split:
    """Counts of one split, and what is wrong with which clip."""

    name: str
    official: int | None = None  # clips of the published set
    clips: int = 0
    complete: int = 0  # clips of which every file can be read
    counts: Counter[str] = field(default_factory=Counter)  # videos, frames, masks, sounds
    faults: list[tuple[str, str, str]] = field(default_factory=list)  # kind, clip, reason

    def of(self, kind: str) -> int:
        """Clips with a fault of this kind."""
        return len({name for k, name, _ in self.faults if k == kind})

    @property
    def trouble(self) -> list[tuple[str, str]]:
        """(clip, reason) to look at. An empty mask is a note; in the split `negative` silence is meant."""
        fine = {"empty", "silent"} if self.name == "negative" else {"empty"}
        ranked = sorted(self.faults, key=lambda fault: list(KINDS).index(fault[0]))
        return [(name, reason) for kind, name, reason in ranked if kind not in fine]


@dataclass
class FolderReport:
    """The findings on one folder. `files` names each file read, with its SHA-256; `changed` those not as written."""

    set: str
    splits: list[Split]
    verdict: Comparability
    files: dict[str, str]
    changed: list[tuple[str, str]] = field(default_factory=list)

    @property
    def healthy(self) -> bool:
        """Is there nothing that a person should look at?"""
        return not self.changed and not any(split.trouble for split in self.splits)

    def as_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {
            "set": self.set,
            **self.verdict._asdict(),
            "splits": [
                {
                    "name": s.name,
                    "clips": s.clips,
                    "official": s.official,
                    "complete": s.complete,
                    **{count: s.counts[count] for count in COUNTS},
                    **{kind: s.of(kind) for kind in KINDS},
                    "faults": [{"kind": k, "clip": name, "reason": reason} for k, name, reason in s.faults],
                }
                for s in self.splits
            ],
            "sha256": {
                "table": self.files.get(TABLE, self.files.get(SEMANTIC)),
                "tree": checksums.tree(self.files),
                "files": len(self.files),
            },
            "changed": [{"file": file, "what": what} for file, what in self.changed],
        }


def table(found: FolderReport) -> str:
    """The counts as text, one line per split; kinds of fault that nobody has are left out.

    >>> lost = Split("val", clips=2, complete=1, counts=Counter(videos=2, frames=6, masks=6, sounds=1))
    >>> lost.faults.append(("missing", "a", "no sound"))
    >>> print(table(FolderReport("another set", [lost], Comparability(False, 0, 0, ""), {})))
    split     clips  complete  videos  frames   masks  sounds  missing  unreadable
    val           2         1       2       6       6       1        1           0
    """
    kinds = [kind for kind in KINDS if kind in ALWAYS or any(split.of(kind) for split in found.splits)]
    official = any(split.official is not None for split in found.splits)
    columns = ["clips", *(["official"] if official else []), "complete", *COUNTS, *kinds]
    rows = ["split    " + "".join(f"{column:>{_width(column)}}" for column in columns)]
    for split in found.splits:
        own = {"clips": split.clips, "official": split.official, "complete": split.complete, **split.counts}
        cells = {column: split.of(column) if column in KINDS else own.get(column, 0) for column in columns}
        rows.append(f"{split.name:<9}" + "".join(f"{'-' if n is None else n:>{_width(c)}}" for c, n in cells.items()))
    return "\n".join(rows)


def _width(column: str) -> int:
    return max(len(column), 4) + 2


def report(found: FolderReport, *, shown: int | None = SHOWN) -> str:
    """`table`, the verdict, then the clips in trouble by name and reason: the first `shown`, or all of them at None."""
    trouble = [f"  {split.name}/{name}: {reason}" for split in found.splits for name, reason in split.trouble]
    trouble += [f"  {file} {what}" for file, what in found.changed]
    trouble = [line if line.isprintable() else ascii(line)[1:-1] for line in trouble]
    lines = [table(found), found.verdict.sentence, *(trouble[:shown] or ["Nothing is wrong."])]
    if shown is not None and len(trouble) > shown:
        lines.append(f"  and {len(trouble) - shown} more; --all names them.")
    return "\n".join(lines)
