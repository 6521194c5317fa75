"""The readings page: switches and defaults are read from `uspl/config.py`, effects from `results/readings/`.

A row of the directive says `number | open point | default | other reading`; the fields whose comment begins with
`Reading <number>` become its switches. The build fails when a row has no field, or a field no row.
"""

import json
import re
import typing
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from uspl.core.tables import markdown_table

ROOT = Path(__file__).resolve().parents[2]
HEAD = ("#", "open point", "**default here**, or the other reading", "switch", "measured effect")
log = logging.getLogger(__name__)


def switches(config: Path) -> dict[int, list[str]]:
    """Reading -> names of its `Config` fields, in the order of the file."""
    found: dict[int, list[str]] = {}
    for name, number in re.findall(r"^    (\w+): .*#\s*Reading (\d+)\b", config.read_text(), re.MULTILINE):
        found.setdefault(int(number), []).append(name)
    return found


def effects(folder: Path) -> dict[int, str]:
    """Reading -> what was measured: the sentences `finding` of the records that carry a `reading`."""
    found: dict[int, str] = {}
    for path in sorted(folder.glob("*.json")):
        record = json.loads(path.read_text())
        if "reading" in record and "finding" in record:
            number = int(record["reading"])
            found[number] = " ".join(s for s in (found.get(number, ""), record["finding"]) if s)
    return found


def switch(name: str) -> str:
    """One field as the page shows it: its default in each tier, then what else it takes."""
    from uspl.config import Config

    paper, tiny = getattr(Config.paper(), name), getattr(Config.tiny(), name)
    hint = typing.get_type_hints(Config)[name]
    others = typing.get_args(hint) if typing.get_origin(hint) is typing.Literal else ()
    others = (True, False) if hint is bool else others
    text = f"`{name}` = `{paper!r}`" + (f" (tiny: `{tiny!r}`)" if tiny != paper else "")
    rest = [f"`{o!r}`" for o in others if o != paper]
    return text + (", or " + ", ".join(rest) if rest else "")


class Readings(SphinxDirective):
    """`{readings}`: the table."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        fields, measured = switches(ROOT / "uspl" / "config.py"), effects(ROOT / "results" / "readings")
        self.env.note_reread()
        rows = []
        seen = set()
        for line in filter(str.strip, self.content):
            number, point, default, other = (part.strip() for part in line.split("|"))
            n = int(number)
            seen.add(n)
            if n not in fields:
                log.warning(f"Reading {n} has no field in uspl/config.py.", location=self.get_location())
            shown = "; ".join(map(switch, fields.get(n, [])))
            words = f"**{default}**; or {other}"
            rows.append([n, point, words, shown, measured.get(n, "not measured")])
        for n in sorted(set(fields) - seen):
            log.warning(f"Reading {n} ({', '.join(fields[n])}) has no row.", location=self.get_location())
        box = nodes.container(classes=["wide-table"])
        box += self.parse_text_to_nodes(markdown_table(HEAD, rows))
        return [box]


def setup(app: Any) -> dict[str, Any]:
    """Called by Sphinx."""
    app.add_directive("readings", Readings)
    return {"parallel_read_safe": True}
