"""How each chapter was run, as `book/execute.py` noted it in its file: a line below its text, and the status page."""

import ast
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from uspl.core.tables import markdown_table

NUMBERS = {"a": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "ten": 10}
HEAD = ("chapter", "ran on", "seconds", "its budget", "peak memory", "code cells", "claims asserted", "changed")
SHOWN = ("torch", "torchvision", "numpy")  # versions below a chapter


@dataclass
class Run:
    """One chapter as it ran."""

    stem: str
    title: str
    budget: str  # the words of its box
    parameters: dict[str, Any]  # those of the parameters cell, with what was given instead
    changed: dict[str, Any]
    cells: int
    claims: int  # asserts
    seconds: float | None
    day: str
    environment: dict[str, Any]

    @classmethod
    def of(cls, path: Path) -> "Run":
        """Read a notebook; what it does not say is empty."""
        notebook = json.loads(path.read_text())
        sources = [("".join(c["source"]), c) for c in notebook["cells"]]
        code = [(source, c) for source, c in sources if c["cell_type"] == "code"]
        opening = sources[0][0] if sources else ""
        title = re.search(r"^# (.+)$", opening, re.MULTILINE)
        budget = re.search(r"\*\*Time and memory:\*\* (.+?)\.?\\?$", opening, re.MULTILINE)
        own = [source for source, c in code if "parameters" in c["metadata"].get("tags", [])]
        ran = notebook["metadata"].get("papermill", {})
        changed = ran.get("parameters", {})
        return cls(
            stem=path.stem,
            title=title[1] if title else path.stem,
            budget=budget[1] if budget else "",
            parameters=_assigned(own[0] if own else "") | changed,
            changed=changed,
            cells=len(code),
            claims=sum(source.count("assert ") for source, _ in code),
            seconds=ran.get("duration"),
            day=str(ran.get("start_time") or "")[:10],
            environment=notebook["metadata"].get("uspl", {}),
        )

    def limit(self) -> float:
        """Seconds that the box allows where models are there; no limit where it names none.

        >>> Run("", "", "under two minutes once a model is there", {}, {}, 0, 0, None, "", {}).limit()
        120
        """
        said = re.match(r"(?:under |about )*(\w+) minutes?\b", self.budget)
        return 60 * NUMBERS[said[1]] if said and said[1] in NUMBERS else float("inf")

    def told(self) -> str:
        """Two sentences; none where nothing is known of the run."""
        if not self.seconds:
            return ""
        given = ", ".join(f"{k} = {v}" for k, v in self.parameters.items())
        names = self.environment.get("versions", {})
        versions = ", ".join(f"{name} {names[name]}" for name in SHOWN if name in names)
        machine = [
            f"{self.environment['peak_mib']:,} MiB at most" if "peak_mib" in self.environment else "",
            f"Python {self.environment['python']}" if "python" in self.environment else "",
            versions,
            f"commit {self.environment['commit']}" if "commit" in self.environment else "",
        ]
        changed = "" if self.changed else ", the default parameters"
        first = f"This chapter ran on {self.day} in {self.seconds:.0f} s with {given or 'no parameters'}{changed}."
        second = ", ".join(part for part in machine if part)
        return first + (f" {second}." if second else "")


def _assigned(source: str) -> dict[str, Any]:
    """The literals that a parameters cell gives to its names, in order."""
    body = ast.parse(source).body
    pairs = [(line.targets[0], line.value) for line in body if isinstance(line, ast.Assign)]
    return {t.id: ast.literal_eval(v) for t, v in pairs if isinstance(t, ast.Name)}


class Status(SphinxDirective):
    """`{status}`: a row per chapter of the book."""

    def run(self) -> list[nodes.Node]:
        rows = []
        for path in sorted((Path(self.env.srcdir) / "notebooks").glob("[0-9][0-9]_*.ipynb")):
            self.env.note_dependency(str(path))
            run = Run.of(path)
            peak = run.environment.get("peak_mib")
            seconds = "not known" if run.seconds is None else f"{run.seconds:.0f}"
            changed = ", ".join(f"{k} = {v}" for k, v in run.changed.items()) or "none"
            memory = f"{peak:,} MiB" if peak else "not known"
            kept = " (not run here: what it needs is missing)" if "kept" in run.environment else ""
            chapter, day = f"{{doc}}`/notebooks/{run.stem}`", (run.day or "not known") + kept
            rows.append([chapter, day, seconds, run.budget, memory, run.cells, run.claims, changed])
        return list(self.parse_text_to_nodes(markdown_table(HEAD, rows)))


def setup(app: Any) -> dict[str, Any]:
    """Called by Sphinx."""
    app.add_directive("status", Status)
    return {"parallel_read_safe": True}
