"""Sphinx's formulas as MathML, as the pages of the course have them: no network and no script."""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

from jaxopt_course.course.formulas import mathml


def inline(translator: Any, node: nodes.math) -> None:
    """A formula within a line."""
    translator.body.append(f'<span class="math">{mathml(node.astext())}</span>')
    raise nodes.SkipNode


def block(translator: Any, node: nodes.math_block) -> None:
    """A formula of its own line; it scrolls where it is wider than the page."""
    made = mathml(node.astext(), block=True)
    translator.body.append(f'<div class="math block">{made}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """What Sphinx calls of an extension."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
