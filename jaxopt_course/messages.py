"""How messages are said: names that are not known, and text that comes from elsewhere."""

import difflib
import html
import unicodedata
from collections.abc import Iterable, Sequence

MOST = 200  # names that a message lists


def unknown(kind: str, name: object, options: Iterable[str]) -> str:
    """A sentence that names the thing, the nearest known name and all of them.

    >>> unknown("optimizer", "adm", ["adam", "sgd"])
    "unknown optimizer 'adm'; did you mean 'adam'? (known: adam, sgd)"
    """
    known = list(options)
    begins = [
        one for one in known if str(name) and one.startswith(str(name))
    ]  # or much is left out
    near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.6) or begins
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


# No colour of its own: a notebook's page is light or dark.
CELL = "padding:.2em .7em;border-bottom:1px solid rgba(128,128,128,.35);vertical-align:top"


def html_table(
    header: Sequence[object],
    rows: Iterable[Sequence[object]],
    caption: str = "",
    strong: Iterable[int] = (),
) -> str:
    """A table for a notebook, everything in it escaped.

    Args:
        header: names of the columns; none where there are none to name.
        rows: cells as they are to be read.
        caption: a line above the table.
        strong: numbers of the rows that are set in bold.

    >>> html_table(["a"], [["<b>"]]).partition("<tbody>")[2].partition(">&")[2]
    'lt;b&gt;</td></tr></tbody></table>'
    """
    bold = set(strong)
    shown = lambda cell: html.escape(printable(cell))
    cells = lambda row, kind, more="": "".join(
        f'<{kind} style="{CELL};text-align:left{more}">{shown(cell)}</{kind}>' for cell in row
    )
    head = f"<thead><tr>{cells(header, 'th')}</tr></thead>" if header else ""
    body = "".join(
        f"<tr>{cells(row, 'td', ';font-weight:bold' if i in bold else '')}</tr>"
        for i, row in enumerate(rows)
    )
    said = f"<p>{shown(caption)}</p>" if caption else ""
    table = f'<table style="border-collapse:collapse">{head}<tbody>{body}</tbody></table>'
    return f"{said}{table}"
