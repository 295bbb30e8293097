"""Marks between cells that pandas does not take: of several letters, or none of ASCII."""

import re

from jaxopt_course.problems.csv.layout import MARK_NAMES, MARKS, is_mark, reads_as
from jaxopt_course.problems.csv.quotes import BLANKS

STANDS = "\x01"  # for such a mark; Hive writes it itself
OTHERS = ("::", "||", "^", "~", STANDS, "\x1f", "¦", "§", "¬", ":")
LONGEST = 8  # letters of a mark


def told(text: str, sep: str | None) -> tuple[str, str | None]:
    """The text and its mark; one that pandas does not take is replaced in both.

    Args:
        text: the whole file.
        sep: as the user says it; None where it is to be found, which is left to others unless no
            usual mark is in the first line.

    Raises:
        ValueError: it can be no mark.
    """
    if sep is None:
        found = _unusual(text)
        return (text, None) if found is None else told(text, found)
    if sep not in MARK_NAMES:
        sep = {"tab": "\t", "\\t": "\t", "blank": BLANKS, " ": BLANKS}.get(sep, sep)
    if is_mark(sep):
        return text, sep
    if not 0 < len(sep) <= LONGEST or sep.isalnum() or set(sep) & set('"\r\n\0'):
        raise ValueError(
            f"sep must be a mark, as ';' or '::', 'tab' or 'blank', not {sep!r}: "
            f"at most {LONGEST} letters, and no quotes or line breaks"
        )
    if sep.strip(" ") == "":
        return text, BLANKS
    if sep.strip(" ") != sep and is_mark(sep.strip(" ")):
        return text, sep.strip(" ")  # blanks around cells do not count
    if STANDS in text:
        raise ValueError(f"sep={sep!r}: the file has the sign \\x01 in its cells; take it out")
    parts = text.split('"')
    parts[::2] = [part.replace(sep, STANDS) for part in parts[::2]]
    return '"'.join(parts), STANDS


def _unusual(text: str) -> str | None:
    """A mark of :data:`OTHERS` that splits all of the first lines, where no usual one is there."""
    lines = [line for line in text[: 1 << 16].split("\n")[:50] if line.strip()]
    if len(lines) < 2 or any(mark in lines[0] for mark in MARKS):
        return None
    # "\x1f", which separates units in ASCII, is a blank for Python
    shown = [line.replace("\x1f", STANDS) for line in lines]
    found = next((mark for mark in OTHERS if reads_as(shown, mark)), None)
    return "\x1f" if found == STANDS and STANDS not in lines[0] else found


def uncommented(text: str) -> str:
    r"""Without the "#" before names that blanks split, as NumPy and gnuplot write them.

    >>> uncommented("# a b\n1 2\n")
    'a b\n1 2\n'
    """
    first, _, rest = text.partition("\n") if text.startswith("#") else ("", "", "")
    second = rest.partition("\n")[0]
    if not re.match(r"#[ ]+[^\W\d]", first) or second.startswith("#") or "," in first:
        return text
    return text[1:].lstrip(" ") if len(first.split()) == len(second.split()) + 1 else text
