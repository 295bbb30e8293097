"""What axes of lessons share: names at the ends of lines, ticks that do not collide."""

import itertools
import math
import re
import textwrap
from typing import Any

import numpy as np

CONTRAST = 4.5  # of letters on white, as WCAG asks
LINE = 1.3  # of letters, from one to the next below
NAMED = "name of a line"  # the mark of what name_lines writes
OWN = (1, 2, 3, 5)  # first digits that a short logarithmic axis shows


def name_lines(axes: Any, letters: float = 10.0) -> None:
    """Write the label of every line at its right end, in place of a legend.

    Names that would lie on each other are moved apart, up and down.

    Args:
        axes: with its limits as they shall be.
        letters: their size in points.
    """
    axes.autoscale_view()
    lines = [line for line in axes.get_lines() if not line.get_label().startswith("_")]
    ends = []
    for line in lines:
        x, y = (np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float))
        last = np.flatnonzero(np.isfinite(x) & np.isfinite(y))[-1]
        ends.append(
            axes.transAxes.inverted().transform(axes.transData.transform((x[last], y[last])))
        )
    height = axes.get_window_extent().height / axes.figure.dpi * 72
    heights = apart([min(max(end[1], 0.0), 1.0) for end in ends], LINE * letters / height)
    for line, height in zip(lines, heights, strict=True):
        axes.annotate(
            line.get_label(),
            (1, height),
            (5, 0),
            xycoords="axes fraction",
            textcoords="offset points",
            va="center",
            color=ink(line.get_color()),
            annotation_clip=False,
            gid=NAMED,
        )


def apart(places: list[float], gap: float) -> list[float]:
    """Places moved as little as keeps a gap between neighbours, their mean kept.

    >>> [round(place, 3) for place in apart([0.5, 0.5, 0.9], 0.1)]
    [0.45, 0.55, 0.9]
    """
    order = np.argsort(places, kind="stable")
    groups: list[tuple[float, list[int]]] = []  # of neighbours that touch: their middle
    for at in map(int, order):
        middle, members = places[at], [at]
        while groups and middle - groups[-1][0] < gap * (len(members) + len(groups[-1][1])) / 2:
            before, others = groups.pop()
            whole = len(others) + len(members)
            middle = (before * len(others) + middle * len(members)) / whole
            members = others + members
        groups.append((middle, members))
    moved = [0.0] * len(places)
    for middle, members in groups:
        for k, at in enumerate(members):
            moved[at] = middle + gap * (k - (len(members) - 1) / 2)
    return moved


def ink(colour: Any) -> Any:
    """A colour, as dark as letters on white must be.

    >>> ink("black"), sum(ink("#E69F00")) < sum((0.902, 0.624, 0.0))
    ((0.0, 0.0, 0.0), True)
    """
    from matplotlib.colors import to_rgb

    rgb = np.array(to_rgb(colour))
    while 1.05 / (luminance(rgb) + 0.05) < CONTRAST:
        rgb = 0.95 * rgb
    return tuple(map(float, rgb))


def is_coloured(colour: Any) -> bool:
    """Whether it is none of the greys, which stand on all grounds.

    >>> is_coloured("#E69F00"), is_coloured("white"), is_coloured("0.5")
    (True, False, False)
    """
    from matplotlib.colors import to_rgb

    rgb = to_rgb(colour)
    return max(rgb) - min(rgb) > 0.1


def luminance(rgb: np.ndarray) -> float:
    """How light a colour is, from 0 to 1, as WCAG has it."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def wrapped(figure: Any) -> None:
    """Break titles and labels at spaces: those wider than the figure, or taller than their axes.

    Args:
        figure: laid out as it shall be; a label with a formula that has spaces stays.
    """
    figure.draw_without_rendering()
    for axes in figure.axes:
        across = [axes.title, axes.xaxis.label]
        for text, along in [*((text, 0) for text in across), (axes.yaxis.label, 1)]:
            words = text.get_text()
            if re.search(r"\$[^$]* [^$]*\$", words) or "\n" in words:
                continue
            box, within = text.get_window_extent(), axes.bbox.expanded(1.1, 1.1)
            start, end = (within.y0, within.y1) if along else (0.0, figure.bbox.width)
            low, high = box.min[along], box.max[along]
            if words and (low < start or high > end):
                middle = (low + high) / 2
                free = 2 * min(middle - start, end - middle)  # it stays centred
                text.set_text(textwrap.fill(words, max(12, int(len(words) * free / (high - low)))))


def collide(figure: Any) -> bool:
    """Whether words within axes lie on each other."""
    for axes in figure.axes:
        shown = [text for text in axes.texts if text.get_visible() and text.get_text().strip()]
        boxes = [text.get_window_extent().padded(-1) for text in shown]
        if any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2)):
            return True
    return False


def legible(axis: Any) -> None:
    """Let no ticks collide, and none be half an epoch.

    A logarithmic axis of about a decade has 1, 2, 3, 5 and no powers of ten between them; a longer
    one in which there is but one power of ten has 1, 2, 5, as one number tells no scale.
    """
    from matplotlib.ticker import (
        AutoLocator,
        FuncFormatter,
        LogFormatterSciNotation,
        MaxNLocator,
        NullFormatter,
    )

    if axis.get_label_text().startswith("época") and type(axis.get_major_locator()) is AutoLocator:
        axis.set_major_locator(MaxNLocator(integer=True))
    given = {type(axis.get_major_formatter()), type(axis.get_minor_formatter())}
    if axis.get_scale() != "log" or given != {LogFormatterSciNotation}:
        return
    low, high = sorted(axis.get_view_interval())
    alone = math.floor(math.log10(high)) <= math.ceil(math.log10(low))
    digits = OWN if high < 25 * low else (1, 2, 5)
    plain = FuncFormatter(lambda x, _: f"{x:g}" if first_digit(x) in digits else "")
    if (high < 25 * low or alone) and low >= 1e-4 and high < 1e5:
        axis.set_major_formatter(plain)
        axis.set_minor_formatter(plain)
    else:
        axis.set_minor_formatter(NullFormatter())


def first_digit(x: float) -> int:
    """Of a number in powers of ten.

    >>> first_digit(0.03), first_digit(500), first_digit(1.0)
    (3, 5, 1)
    """
    return round(x / 10 ** math.floor(math.log10(x) + 1e-9))
