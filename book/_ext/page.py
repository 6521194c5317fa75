"""Beyond the text of a page: how a chapter was run, and words of docstrings as they stand."""

import html
import re
from pathlib import Path
from typing import Any

import status


def finish_page(app: Any, name: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """The lines below the text of a chapter; no sheet of Thebe."""
    context["css_files"] = [sheet for sheet in context["css_files"] if "thebe" not in str(sheet.filename)]
    path = Path(app.srcdir) / f"{name}.ipynb"
    if path.exists() and (said := status.Run.of(path).told()):
        context["body"] = context.get("body", "") + f'<p class="provenance">{html.escape(said)}</p>'


def plain_words(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Docstrings are plain text: `|STFT|` and `f_` mean themselves, outside math, code and examples."""
    inside = None  # indentation of a math block, or -1 in an example
    for i, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        if line.lstrip().startswith((".. math::", ">>>")):
            inside = -1 if line.lstrip().startswith(">>>") else indent
        elif inside is not None and ((not line.strip() and inside == -1) or (line.strip() and indent <= inside)):
            inside = None
        if inside is None:
            parts = re.split(r"(`+[^`]*`+)", line)
            parts[::2] = [re.sub(r"\||(?<=\w)_(?!\w)", r"\\\g<0>", part) for part in parts[::2]]
            lines[i] = "".join(parts)


def without_words(app: Any, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Fields of a named tuple stand in its signature; Python's word for each, an alias, says nothing."""
    return True if (getattr(obj, "__doc__", None) or "").startswith("Alias for field number") else None


def without_thebe(app: Any, config: Any) -> None:
    """Jupyter Book always loads Thebe, whose scripts point to another host; its listeners are taken out."""
    for listeners in app.events.listeners.values():
        for listener in list(listeners):
            if listener.handler.__module__.startswith("sphinx_thebe"):
                app.disconnect(listener.id)


def setup(app: Any) -> dict[str, Any]:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", plain_words, priority=400)
    app.connect("autodoc-skip-member", without_words)
    app.connect("config-inited", without_thebe, priority=0)
    app.connect("html-page-context", finish_page)
    return {"parallel_read_safe": True}
