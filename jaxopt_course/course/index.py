"""The first page of the course: the table of lessons in its README as cards, with pictures."""

import re
from collections.abc import Callable
from html import escape

from jaxopt_course.course import formulas

ROW = re.compile(r"^\| \[(?P<title>[^\]]+)\]\((?P<file>\d\d_\w+\.py)\) \| (?P<words>.*) \|$")
HEAD = re.compile(r"^\| Lección \| .* \|\n\| --- \| --- \|\n", re.M)


def carded(text: str, card: Callable[[re.Match[str]], str]) -> str:
    r"""Markdown whose rows on lessons are cards.

    Args:
        text: the README.
        card: what a row becomes; a row of which nothing is left is dropped.

    >>> carded("| Lección | De qué |\n| --- | --- |\n| [1. A](01_a.py) | uno |\n\nFin",
    ...        lambda row: row["title"])
    '<div class="cards">1. A</div>\n\nFin'
    """
    made: list[str] = []
    cards: list[str] = []
    for line in [*HEAD.sub("", text).splitlines(), ""]:
        if row := ROW.match(line):
            cards.append(card(row))
            continue
        if cards:
            made.append(f'<div class="cards">{"".join(cards)}</div>\n' if any(cards) else "")
            cards = []
            if not line:
                continue
        made.append(line)
    return "\n".join(made).rstrip("\n")


def html(row: re.Match[str], page: str | None, picture: str | None, minutes: int | None) -> str:
    """A lesson as a card.

    Args:
        row: of the README.
        page: where it is; none of a lesson that has not been built.
        picture: where one of its figures is.
        minutes: it takes to read.
    """
    title = escape(row["title"])
    shown = f'<img src="{picture}" alt="" loading="lazy">' if picture else ""
    led = f'<a href="{page}">{title}</a>' if page else title
    time = f'<p class="minutes">{minutes} min</p>' if minutes else ""
    words = formulas.html(row["words"]).strip()
    return f'<article class="card">{shown}<h3>{led}</h3>{words}{time}</article>'
