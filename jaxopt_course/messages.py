"""How messages are said: names that are not known, and text that comes from elsewhere."""

import difflib
import unicodedata
from collections.abc import Iterable

MOST = 200  # names that a message lists


def unknown(kind: str, name: object, options: Iterable[str]) -> str:
    """A sentence that names the thing, the nearest known name and all of them.

    >>> unknown("optimizer", "adm", ["adam", "sgd"])
    "unknown optimizer 'adm'; did you mean 'adam'? (known: adam, sgd)"
    """
    known = list(options)
    near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    # a table may have tens of thousands of names, and a stranger's may hold anything
    more = f" and {len(known) - MOST:,} more" if len(known) > MOST else ""
    return f"unknown {kind} {name!r}{hint} (known: {printable(', '.join(known[:MOST]))}{more})"


# What a terminal obeys or does not show: controls, directions of writing, halves of characters.
OBEYED = {"Cc", "Cf", "Cs", "Zl", "Zp"}
JOINERS = "\u200c\u200d"  # of Persian, Hindi, emoji: formats that are part of the spelling


def printable(text: object, keep: str = "") -> str:
    r"""``text`` as it may go to a terminal: what a terminal obeys comes out as its escape.

    Names in a study or a table may be a stranger's.  Raw, they could clear the screen, set the
    title or the clipboard, or turn the line round; left out, two names could become one.

    Args:
        text: anything; its ``str`` is taken.
        keep: control characters that stay, such as the newlines of a message of several lines.

    >>> print(printable("sgd\x1b[2J\n"), printable("two\nlines", keep="\n"))
    sgd\x1b[2J\n two
    lines
    """
    return "".join(
        c.encode("unicode_escape").decode()
        if unicodedata.category(c) in OBEYED and c not in JOINERS and c not in keep
        else c
        for c in str(text)
    )
