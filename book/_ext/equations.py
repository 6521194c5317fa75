"""The equations page: one row per equation of the paper, gathered from docstrings, test names and notebooks.

A function belongs to Eq. n when its docstring begins with `Eq. (n):`; a test when its file is `test_eqNN_*.py`; a
chapter when one of its Markdown cells carries the number as `\\tag{n}`. The build fails, with a sentence that names the
equation, when one of the eleven lacks any of the three.
"""

import ast
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from uspl.core.tables import markdown_table

NUMBERS = range(1, 12)
ROOT = Path(__file__).resolve().parents[2]
log = logging.getLogger(__name__)


@dataclass
class Equation:
    """What is known of one equation."""

    number: int
    says: str = ""  # first line of the docstring, after the number
    formula: str = ""  # LaTeX of its math block
    function: str = ""  # dotted name
    tests: tuple[str, ...] = ()  # file names
    chapters: tuple[str, ...] = ()  # stems of notebooks

    def lacks(self) -> list[str]:
        """What is missing, in words."""
        needed = {"function": self.function, "formula": self.formula, "test": self.tests, "chapter": self.chapters}
        return [word for word, found in needed.items() if not found]


def gather(library: Path, tests: Path, notebooks: Path) -> list[Equation]:
    """Read all eleven equations; nothing is imported, nothing is run."""
    found = {n: Equation(n) for n in NUMBERS}
    for path in sorted(library.rglob("*.py")):
        for node in ast.parse(path.read_text()).body:
            doc = ast.get_docstring(node) if isinstance(node, ast.FunctionDef) else None
            match = re.match(r"Eq\. \((\d+)\): (.+)", doc or "")
            if doc and match and int(match[1]) in found and not found[int(match[1])].function:
                equation = found[int(match[1])]
                equation.says = match[2]
                place = path.relative_to(library.parent).with_suffix("")
                equation.function = ".".join((*place.parts, node.name))
                math = re.search(r"^\.\. math::(.*(?:\n(?:[ ]+\S.*|[ ]*$))*)", doc, re.MULTILINE)
                equation.formula = "\n".join(line.strip() for line in math[1].splitlines()).strip() if math else ""
    for n, equation in found.items():
        equation.tests = tuple(p.name for p in sorted(tests.glob(f"test_eq{n:02}_*.py")))
    for path in sorted(notebooks.glob("[0-9][0-9]_*.ipynb")):
        cells = json.loads(path.read_text())["cells"]
        text = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
        for n in {int(k) for k in re.findall(r"\\tag\{(\d+)\}", text)} & set(found):
            found[n].chapters += (path.stem,)
    return list(found.values())


class Equations(SphinxDirective):
    """`{equations}`: the table."""

    def run(self) -> list[nodes.Node]:
        source = Path(self.env.srcdir)
        rows = gather(ROOT / "uspl", ROOT / "tests" / "equations", source / "notebooks")
        say = log.info if os.environ.get("USPL_DRAFT") == "1" else log.warning
        for row in rows:
            for word in row.lacks():
                say(f"Eq. ({row.number}) has no {word}.", location=self.get_location())
        self.env.note_reread()
        lines = []
        for row in rows:
            tests = ", ".join(f"`{name}`" for name in row.tests) or "none"
            chapters = ", ".join(f"{{doc}}`/notebooks/{stem}`" for stem in row.chapters) or "none"
            function = f"{{py:func}}`{row.function}`" if row.function else "none"
            lines += [
                f"(eq-{row.number})=",
                f"## Eq. ({row.number}): {row.says.rstrip('.')}",
                "",
                *(["```{math}", row.formula, "```", ""] if row.formula else []),
                markdown_table(["function", "test", "chapter"], [[function, tests, chapters]]),
                "",
            ]
        return list(self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True))


def setup(app: Any) -> dict[str, Any]:
    """Called by Sphinx."""
    app.add_directive("equations", Equations)
    return {"parallel_read_safe": True}
