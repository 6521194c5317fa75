"""Formulas become MathML while the book is built: a page needs no script for them, and screen readers read them."""

import html
import re
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.util import logging

TAG = re.compile(r"\\tag\{([^}]*)\}")
FUNCTION = re.compile(r"(<mi>(?:log|ln|exp|max|min|cos)</mi>)(?=<m[infs])")  # before a letter, number or fraction
log = logging.getLogger(__name__)


def mathml(latex: str, *, block: bool) -> str:
    r"""One formula; its LaTeX stays as `alttext`, and a `\tag{n}` as the number beside it.

    >>> mathml("x", block=False)
    '<math xmlns="http://www.w3.org/1998/Math/MathML" display="inline" alttext="x"><mrow><mi>x</mi></mrow></math>'
    """
    number = TAG.search(latex)
    source = TAG.sub("", latex).strip()
    shown = convert(source, display="block" if block else "inline")
    shown = FUNCTION.sub(r'\1<mspace width="0.17em"/>', shown)
    shown = shown.replace("<math ", "<math ", 1).replace(">", f' alttext="{html.escape(source)}">', 1)
    return shown + (f'<span class="eqno">({html.escape(number[1])})</span>' if number else "")


def visit(self: Any, node: nodes.Element, *, block: bool) -> None:
    """Write one node; a formula that cannot be read is a warning, which ends the build."""
    try:
        shown = mathml(node.astext(), block=block)
    except Exception as error:
        log.warning("the formula %r cannot be read: %s", node.astext(), error, location=node)
        shown = f"<code>{html.escape(node.astext())}</code>"
    tag = "div" if block else "span"
    self.body.append(self.starttag(node, tag, "", CLASS="math notranslate nohighlight"))
    if block and node.get("number"):
        self.body.append(f'<span class="eqno">({node["number"]})</span>')
    self.body.append(f"{shown}</{tag}>" + ("\n" if block else ""))
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, Any]:
    """Called by Sphinx."""
    inline, block = (
        (lambda self, node: visit(self, node, block=False)),
        (lambda self, node: visit(self, node, block=True)),
    )
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True}
