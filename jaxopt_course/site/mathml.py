"""Sphinx's formulas as MathML, as the pages of the course have them: no network and no script."""

import re
from typing import TYPE_CHECKING, Any

from jaxopt_course.course.formulas import boxed, display, held, mathml

if TYPE_CHECKING:
    from docutils.nodes import math, math_block
    from sphinx.application import Sphinx


def inline(translator: Any, node: "math") -> None:
    """A formula within a line."""
    from docutils import nodes

    translator.body.append(f'<span class="math">{mathml(node.astext())}</span>')
    raise nodes.SkipNode


def block(translator: Any, node: "math_block") -> None:
    """A formula of its own line; it scrolls where it is wider than the page."""
    from docutils import nodes

    translator.body.append(f'<div class="math block">{display(node.astext())}</div>')
    raise nodes.SkipNode


def hold(app: "Sphinx", page: str, template: str, context: dict[str, Any], tree: Any) -> None:
    """Keep punctuation on the line of the formula before it, and tables of lessons in boxes."""
    if "body" in context:
        body = held(context["body"])
        written = r'<div class="pst-scrollable-table-container">(<table.*?</table>)\s*</div>'
        box = lambda found: boxed(found[1])
        context["body"] = (
            re.sub(written, box, body, flags=re.S) if app.config.language == "es" else body
        )


def setup(app: "Sphinx") -> dict[str, bool]:
    """What Sphinx calls of an extension."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    app.connect("html-page-context", hold)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
