"""Beyond the text of a page: how a chapter was run, and the modules of the library in the paper's order."""

import html
import re
from pathlib import Path
from typing import Any

import status
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

LIBRARY = Path(__file__).resolve().parents[2] / "uspl"
GROUPS = {
    "method": ["align", "refine", "affinity", "walk", "segment", "model", "encoders", "audio", "config", "train"],
    "judging": ["evaluate", "metrics", "protocols", "rules", "vsl", "slavc", "tally", "listen", "predict", "verdict"],
    "data": ["data", "vggsound", "sets", "shapes", "media", "container", "picture", "logmel", "table", "doctor"],
    "speed": ["fast", "pairs", "kernels", "kernels_maps", "deploy", "kept", "machine", "schedule", "patient"],
    "video": ["run", "stream", "watch", "writer", "gate", "acts", "pretrained", "onnx"],
    "book": ["viz", "html", "inpage", "figures", "figures_affinity", "held", "failures", "report"],
    "peers": ["baselines", *(f"baselines.{p.stem}" for p in sorted((LIBRARY / "baselines").glob("[!_]*.py")))],
    "tables": ["study", "tables", "standing", "oracles", "sweeps", "cells", "record", "command"],
}


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


class Library(SphinxDirective):
    """`{library} group`: the modules of a group with their public names; `rest` are those of no group."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        named = [stem for group in GROUPS.values() for stem in group]
        there = [p.stem for p in sorted(LIBRARY.glob("*.py")) if not p.stem.startswith("_")]
        stems = GROUPS.get(self.arguments[0]) or [stem for stem in there if stem not in named]
        self.env.note_dependency(__file__)  # a module that moves to another page leaves this one
        lines = []
        for stem in stems:
            file = LIBRARY / f"{stem.replace('.', '/')}.py"
            self.env.note_dependency(str(file if file.is_file() else LIBRARY / stem / "__init__.py"))
            lines += [
                f"## uspl.{stem}",
                "",
                "```{eval-rst}",
                f".. automodule:: uspl.{stem}",
                "   :members:",
                "   :ignore-module-all:",
                "```",
                "",
            ]
        return list(self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True))


def setup(app: Any) -> dict[str, Any]:
    """Called by Sphinx."""
    app.add_directive("library", Library)
    app.connect("autodoc-process-docstring", plain_words, priority=400)
    app.connect("autodoc-skip-member", without_words)
    app.connect("config-inited", without_thebe, priority=0)
    app.connect("html-page-context", finish_page)
    return {"parallel_read_safe": True}
