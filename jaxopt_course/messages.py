"""How messages are said: names that are not known, and text that comes from elsewhere."""

import ast
import difflib
import html
import re
import shlex
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

MOST = 200  # names that a message lists


def unknown(kind: str, name: object, options: Iterable[str]) -> str:
    """A sentence that names the thing, the nearest known name and all of them.

    >>> unknown("optimizer", "adm", ["adam", "sgd"])
    "unknown optimizer 'adm'; did you mean 'adam'? (known: adam, sgd)"
    >>> unknown("optimizer", "AdamW ", ["adam", "adamw"])
    "unknown optimizer 'AdamW '; did you mean 'adamw'? (known: adam, adamw)"
    """
    known = list(options)
    asked, plain = _plain(name), [_plain(one) for one in known]
    same = [one for one in plain if one == asked]  # "adamW" is nearer to "adam", and means "adamw"
    begins = [one for one in plain if asked and one.startswith(asked)]  # or much is left out
    close = same or difflib.get_close_matches(asked, plain, n=1, cutoff=0.6) or begins
    near = [known[plain.index(one)] for one in close]
    hint = f"; did you mean {near[0]!r}?" if near else ""
    # a table may have tens of thousands of names, and a stranger's may hold anything
    more = f" and {len(known) - MOST:,} more" if len(known) > MOST else ""
    return f"unknown {kind} {name!r}{hint} (known: {printable(', '.join(known[:MOST]))}{more})"


def _plain(name: object) -> str:
    """How a name is compared: capitals, blanks at its ends and hyphens are slips, not names."""
    return str(name).strip().casefold().replace("-", "_").replace(" ", "_")


_ARGUMENT = re.compile(r"(?<![\w.\"'-])([a-z_]+)=(?![=>])")
_BARE = re.compile(r"(?:True|False|[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?)(?!\w)")
_LISTED = re.compile(r" \(([a-z_]+=(?:, [a-z_]+=)+)\)")


def in_options(text: str, options: Mapping[str, str]) -> str:
    """A message of Python's arguments in the words of a command line.

    Of ways that are listed, as ``(record_every=, evaluate_every=)``, those that the command lacks
    are left out.

    Args:
        text: as Python's readers have it, arguments as ``name=`` or ``name=value``.
        options: argument -> option of the command; others stay as they are.

    >>> in_options("leave it out, drop=['a b', 'c'], or header=False",
    ...            {"drop": "--drop", "header": "--header"})
    "leave it out, --drop 'a b' c, or --header no"
    """

    def ways(match: re.Match[str]) -> str:
        names = match[1].replace("=", "").split(", ")
        known = [f"{name}=" for name in names if name in options]
        return f" ({', '.join(known)})" if known else match[0]

    text = _LISTED.sub(ways, text)
    said, end = [], 0
    for match in _ARGUMENT.finditer(text):
        if match.start() < end or match[1] not in options:
            continue
        stop, words = _value_at(text, match.end())
        # a name may hold anything: what a terminal would obey is shown, not sent
        shown = [shlex.quote(word) if word.isprintable() else repr(word) for word in words]
        mark = "=" if len(words) == 1 and shown[0].startswith("-") else " "  # else it is an option
        said += [
            text[end : match.start()],
            mark.join([options[match[1]], *[" ".join(shown)][: len(words)]]),
        ]
        end = stop
    return "".join([*said, text[end:]])


def _value_at(text: str, begin: int) -> tuple[int, list[str]]:
    """Where a value ends that begins there, and its words; none where there is no value."""
    if text.startswith("…", begin):
        return begin + 1, []
    bare = _BARE.match(text, begin)
    ends = [bare.end()] if bare else []
    if text[begin : begin + 1] in {"[", "{", "(", "'", '"'}:
        closing = {"[": "]", "{": "}", "(": ")"}.get(text[begin], text[begin])
        ends = [place + 1 for place in range(begin + 1, len(text)) if text[place] == closing]
    for end in ends:  # the first that is whole: a bracket may stand in a name
        try:
            value = ast.literal_eval(text[begin:end])
        except (SyntaxError, ValueError):
            continue
        if isinstance(value, bool):
            return end, ["yes" if value else "no"]
        if isinstance(value, Mapping):
            return end, [f"{name}={way}" for name, way in value.items()]
        return end, list(map(str, value)) if isinstance(value, list | tuple) else [str(value)]
    return begin, []


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
