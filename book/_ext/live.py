"""`{live} 02_mmicl_training swap`: a live figure of a chapter on another page, as the chapter computed it.

The figure is taken from the notebook that this build renders, so what is shown is what was run. The build fails where
the notebook does not hold it.
"""

import json
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

log = logging.getLogger(__name__)


class LiveError(Exception):
    """A figure is asked for that no output holds."""


def figure(notebook: Path, kind: str) -> str:
    """The HTML of the first live figure of a kind among the outputs of a notebook.

    Raises:
        LiveError: no such notebook, or no such figure in it.
    """
    try:
        cells = json.loads(notebook.read_text())["cells"]
    except OSError as error:
        raise LiveError(f"`{notebook.name}`, which should hold the live figure `{kind}`, cannot be read.") from error
    for cell in cells:
        for output in cell.get("outputs", []):
            page = "".join(output.get("data", {}).get("text/html", ""))
            if f'data-kind="{kind}"' in page:
                return page
    raise LiveError(f"`{notebook.name}` holds no live figure `{kind}`; run it, or name another.")


class Live(SphinxDirective):
    """`{live} CHAPTER KIND`."""

    required_arguments = 2

    def run(self) -> list[nodes.Node]:
        chapter, kind = self.arguments
        notebook = Path(self.env.srcdir) / "notebooks" / f"{chapter}.ipynb"
        self.env.note_dependency(str(notebook))
        try:
            return [nodes.raw("", figure(notebook, kind), format="html")]
        except LiveError as error:
            log.warning(str(error), location=self.get_location())
            return []


def setup(app: Any) -> dict[str, Any]:
    """Called by Sphinx."""
    app.add_directive("live", Live)
    return {"parallel_read_safe": True}
