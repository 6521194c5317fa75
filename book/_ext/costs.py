"""The page "What it costs": every number, table and figure is read from `results/costs/`, nothing is typed.

`{costs} speed` puts a table there, `{costs} stages` a figure; the role {cost}`training.share %` a single number:
<record>.<keys> <format>, where the format is one of `FORMATS`. The build fails where a record lacks what is asked for.
"""

from typing import Any

from cost_figures import growth_figure, stages_figure, training_figure
from cost_records import FOLDER, CostError, made, value
from cost_tables import counts_table, smr_table, speed_table
from docutils import nodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole

log = logging.getLogger(__name__)

TABLES = {"counts": counts_table, "speed": speed_table, "smr": smr_table}
FIGURES = {"stages": stages_figure, "training": training_figure}


class Costs(SphinxDirective):
    """`{costs} NAME`: a table; a figure, or those of several axes side by side; or how records were made.

    Each line below it is the caption of one figure.
    """

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True

    def run(self) -> list[nodes.Node]:
        name, *rest = self.arguments[0].split()
        for path in FOLDER.glob("*.json"):
            self.env.note_dependency(str(path))
        self.env.note_reread()
        try:
            if name in TABLES:
                box = nodes.container(classes=["wide-table"])
                box += self.parse_text_to_nodes(TABLES[name]())
                return [box]
            if name == "made":
                return list(self.parse_text_to_nodes("\n\n".join(f"Made by {made(record)}" for record in rest)))
            figures = [growth_figure(axis) for axis in rest] if name == "growth" else [FIGURES[name]()]
        except CostError as error:
            log.warning(str(error), location=self.get_location())
            return []
        from uspl import viz

        pairs = zip(figures, self.content, strict=True)
        pages = [viz.figure(fig, alt=alt, caption=caption).data for (fig, alt), caption in pairs]
        return [nodes.raw("", f'<div class="cost-figures">{"".join(pages)}</div>', format="html")]


class Cost(SphinxRole):
    """{cost}`training.share %`: one number of a record."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        try:
            return [nodes.Text(value(self.text))], []
        except CostError as error:
            log.warning(str(error), location=self.get_location())
            return [], []


def setup(app: Any) -> dict[str, Any]:
    """Called by Sphinx."""
    app.add_directive("costs", Costs)
    app.add_role("cost", Cost())
    return {"parallel_read_safe": True}
