"""Decimal commas in what lessons print, as pages show it; code stays Python.

A lesson prints with ``print``, so that its script and its notebook say what Python says; the page
around it is in Spanish, and so are its numbers.  What is code in a line is left: calls, lists,
arguments, versions, numbers of lessons.
"""

import re

from jaxopt_course.course.figures import POWER, commas, powers

CODE = re.compile(
    r"(`[^`]*`"  # quoted
    r"|[A-Za-z_][\w.]*\((?:[^()\n]|\([^()\n]*\))*\)"  # a call
    r"|[\[({][^\[\](){}\n]*\d\.\d[^\[\](){}\n]*, [^\[\](){}\n]*[\])}]"  # a list
    r"|\b[A-Za-z_]\w*=\S+"  # an argument
    r"|(?i:lecci[oó]n|lecciones|parte|figura|python) \d[\d.]*)"
)
IN_PROSE = re.compile(rf"(?<=[^\W\d_] |[=≈] ){POWER.pattern}")  # after a word, in a table too


def printed(text: str, *, columns: bool = False) -> str:
    r"""What a cell has printed, with the numbers of Spanish.

    Args:
        text: of one or more lines.
        columns: whether what stands below each other must stay so: every number keeps its width.

    >>> printed("pérdida 0.25 con Adam(0.1), b1=0.9; difieren en 1e-12 y 2.5e-03 (lección 7.3)")
    'pérdida 0,25 con Adam(0.1), b1=0.9; difieren en 10⁻¹² y 2,5·10⁻³ (lección 7.3)'
    >>> printed("a  0.25  2e-16\nb apenas 2e-16", columns=True), printed("[0.1, 0.2] y [0.1 0.2]")
    ('a  0,25  2e-16\nb apenas 2·10⁻¹⁶', '[0.1, 0.2] y [0,1 0,2]')
    """
    parts = CODE.split(text)
    return "".join(part if at % 2 else spanish(part, columns) for at, part in enumerate(parts))


def spanish(text: str, columns: bool) -> str:
    """Text without code."""
    text = re.sub(r"(?<![\w.])inf(?![\w.])", "  ∞" if columns else "∞", text)
    return powers(commas(text), IN_PROSE if columns else POWER)
