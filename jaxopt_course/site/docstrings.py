"""Our docstrings as Sphinx reads them: what is indented under a sentence is shown as it stands."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

CODE = re.compile(r"(``.*?``|`[^`]*`)")
MARKS = re.compile(r"([|*])")
BEFORE_GOOGLE = 400  # below the priority of napoleon, which sees the sections afterwards


def indented_is_literal(lines: Sequence[str]) -> list[str]:
    """Formulas and tables of plain text, indented after a blank line, become literal blocks.

    >>> indented_is_literal(["The sum:", "", "    m = β m + g", "", "Args:", "    x: a number."])
    ['The sum:', '', '::', '', '    m = β m + g', '', 'Args:', '    x: a number.']
    """
    made: list[str] = []
    depth, literal = 0, None  # of the last line with words; of the block, where one is open
    for line in lines:
        words = line.strip()
        indent = len(line) - len(line.lstrip())
        if words:
            if literal is not None and indent < literal:
                literal = None
            opens = made and not made[-1].strip() and indent > depth and literal is None
            if opens and not words.startswith((">>>", "-", "..")):
                made += [" " * depth + "::", ""]
                literal = indent
            depth = indent
        prose = literal is None and not words.startswith(">>>")
        made.append(marked(line) if prose else line)
    return made


def marked(line: str) -> str:
    r"""A line whose bars and asterisks are no marks: \|g\| is a modulus, not a substitution.

    >>> print(marked("the norm |g|, ``a * b`` and b*c"))
    the norm \|g\|, ``a * b`` and b\*c
    """
    parts = CODE.split(line)
    return "".join(part if i % 2 else MARKS.sub(r"\\\1", part) for i, part in enumerate(parts))


def process(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """What autodoc calls for each docstring."""
    lines[:] = indented_is_literal(lines)


def setup(app: "Sphinx") -> dict[str, bool]:
    """What Sphinx calls of an extension."""
    app.connect("autodoc-process-docstring", process, priority=BEFORE_GOOGLE)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
