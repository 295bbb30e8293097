"""Pieces of HTML: text that is no markup, tables that sort, code that copies itself."""

import html
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from jaxopt_course.messages import printable
from jaxopt_course.report.words import Words

NARROW = "\u00a0±\u00a0"
FIRST = ' class="first"'


class Head(NamedTuple):
    """A column of a table: its name, and whether it holds numbers."""

    name: str
    numeric: bool = False


class Cell(NamedTuple):
    """What a cell shows, and the number that it sorts by."""

    shown: str
    value: Any = None


def text(said: Any) -> str:
    """Text that no browser takes for markup."""
    return html.escape(printable(said, keep="\n"))


def listed(sentences: Sequence[str], kind: str = "") -> str:
    """A list; nothing of none."""
    items = "".join(f"<li>{text(sentence)}</li>" for sentence in sentences)
    return f'<ul class="{kind}">{items}</ul>' if items else ""


def copyable(code: str, words: Words, label: str) -> str:
    """Code with a button that copies it; ``label`` says to whom cannot see it what it is."""
    button = f'<button type="button" data-copy>{text(words.say("Copy"))}</button>'
    return (
        f'<div class="command"><pre tabindex="0" role="region" aria-label="{text(label)}">'
        f"<code>{_whole_options(text(code))}</code></pre>{button}</div>"
    )


def _whole_options(escaped: str) -> str:
    """A command whose options are not broken at their hyphens; code of several lines as it is."""
    if "\n" in escaped.strip():
        return escaped
    return re.sub(r"(?<!\S)--\S+", r"<span>\g<0></span>", escaped)


def folded(summary: str, body: str, *, shown: bool = False, group: str = "") -> str:
    """What can be opened; of a ``group`` one at a time."""
    name = f' name="{text(group)}"' if group else ""
    opened = " open" if shown else ""
    return f"<details{name}{opened}><summary>{text(summary)}</summary>{body}</details>"


def table(
    header: Sequence[Head],
    rows: Iterable[Sequence[Cell]],
    caption: str,
    kind: str = "",
    sorts: bool = True,
) -> str:
    """A table in a frame that scrolls by itself; the heads of one that ``sorts`` are buttons.

    Args:
        header: without a name in it there is no head.
        rows: a cell a column.
        caption: said to whom cannot see it.
        kind: of the stylesheet: "cards" become cards on a phone.
        sorts: whether it can be sorted.
    """
    named = any(column.name for column in header)
    cards = "cards" in kind
    body = "".join(
        f"<tr{FIRST if cards and not place else ''}>"
        + "".join(_cell(cell, column, cards) for cell, column in zip(row, header, strict=True))
        + "</tr>"
        for place, row in enumerate(rows)
    )
    head = "".join(_head(column, sorts) for column in header)
    head = f"<thead><tr>{head}</tr></thead>" if named else ""
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{text(caption)}">'
        f'<table class="{kind}"><caption>{text(caption)}</caption>'
        f"{head}<tbody>{body}</tbody></table></div>"
    )


def _head(column: Head, sorts: bool) -> str:
    name, side = text(column.name), ' class="number"' if column.numeric else ""
    if not sorts or not column.name:
        return f'<th scope="col"{side}>{name}</th>'
    return f'<th scope="col"{side}><button type="button" data-sort>{name}</button></th>'


def _cell(cell: Cell, column: Head, cards: bool) -> str:
    side = ' class="number"' if column.numeric else ""
    label = f' data-label="{text(column.name)}"' if cards and column.name else ""
    value = "" if cell.value is None else f' data-value="{text(cell.value)}"'
    return f"<td{side}{label}{value}>{text(cell.shown).replace(' ± ', NARROW)}</td>"
