"""The figures as PNG files, drawn by matplotlib from the tidy tables.

matplotlib's objects are used directly: no pyplot, so no global state and no display.
"""

import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from jaxopt_course.records import files
from jaxopt_course.report.doubts import ABOVE, ceiling
from jaxopt_course.report.findings import Findings
from jaxopt_course.report.looks import (
    Axis,
    Look,
    labels,
    looks,
    rate_axis,
    score_axis,
    time_axis,
    value_axis,
)
from jaxopt_course.report.verdict import estimate
from jaxopt_course.report.words import Words, sequence

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, FAINT, GRID = "#22262b", "#6b7280", "#e3e6ea"


def save(findings: Findings, directory: Path) -> list[Path]:
    """Write ``curves.png``, ``sensitivity.png`` and ``final.png`` into ``directory``.

    A figure that has nothing to show (no learning rate, no test metric) is left out, and the file
    of that name from an earlier report removed.

    Returns:
        The files written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    directory.mkdir(exist_ok=True)
    written = []
    for name, draw in FIGURES.items():
        path = directory / f"{name}.png"
        figure = Figure(layout="constrained", facecolor="white", dpi=120)
        canvas = FigureCanvasAgg(figure)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing from font")
            if draw(findings, figure):
                drawn = io.BytesIO()
                canvas.print_png(drawn, pil_kwargs={"compress_level": 4})  # draws once
                files.replace_bytes(path, drawn.getvalue())
                written.append(path)
            else:
                path.unlink(missing_ok=True)
    return written


def curves(findings: Findings, figure: "Figure") -> bool:
    """Training and validation of the winners: a line a mean, a band from lowest to highest seed."""
    from matplotlib.ticker import MaxNLocator

    table = findings.curves
    quantities = list(table["quantity"].unique())
    if not quantities:
        return False
    figure.set_size_inches(4.4 * len(quantities) + 2, 4.4)
    w = findings.words
    per, unit = time_axis(findings)
    styles = looks(findings.optimizers)
    panels = figure.subplots(1, len(quantities), squeeze=False)[0]
    for axes, quantity in zip(panels, quantities, strict=True):
        part = table[table["quantity"] == quantity]
        axis = score_axis(findings, quantity, part["mean"])
        _dress(axes, w.say(unit), w.title(quantity))
        _scale(axes, "y", axis, w)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
        floor = part["mean"].min() / 3 if axis.log and not axis.errors else None
        for place, (name, line) in enumerate(part.groupby("optimizer", sort=False)):
            style, x = styles[str(name)], line["step"] / per
            _band(axes, style, x, line["low"].clip(lower=floor), line["high"])
            every = max(1, len(line) // 6)
            axes.plot(x, line["mean"], **_line(style), markevery=(place % every, every))
    _legend(figure, findings, styles)
    template = "Course of training, each optimizer at its best: mean and range of {seeds}"
    figure.suptitle(w.say(template, seeds=_seeds(findings)))
    return True


def sensitivity(findings: Findings, figure: "Figure") -> bool:
    """The result against the learning rate; below it, where it diverged."""
    table = findings.sensitivity
    if table is None:
        return False
    styles, axis = looks(findings.optimizers), rate_axis(table["learning_rate"])
    diverged = table[table["diverged"] > 0]
    rows = [name for name in findings.ranking["optimizer"] if (diverged["optimizer"] == name).any()]
    height = 0.19 * len(rows) + 0.15
    figure.set_size_inches(10, 5.2 + (height if rows else 0))
    panels = figure.subplots(
        1 + bool(rows), 1, sharex=True, squeeze=False,
        height_ratios=[4.4, height] if rows else [1],
    )[:, 0]  # fmt: skip
    main = panels[0]
    w, metric = findings.words, findings.words.title(findings.metric)
    _dress(main, "", w.say("{metric} (mean over seeds)", metric=metric))
    _scale(main, "y", score_axis(findings, findings.metric, table["mean"]), w)
    for name, line in table.groupby("optimizer", sort=False):
        style, x = styles[str(name)], axis.place(line["learning_rate"])
        _band(main, style, x, line["low"], line["high"])
        main.plot(x, line["mean"], **_line(style))
    top = ceiling(findings, table["mean"])
    if top is not None:
        main.set_ylim(table["mean"].min() / 1.3, 1.15 * top)
        for name, line in table[table["mean"] > top].groupby("optimizer", sort=False):
            x, look = axis.place(line["learning_rate"]), styles[str(name)]
            main.plot(x, np.full(len(x), top), "^", color=look.colour, markersize=7)
        main.set_title(w.say(ABOVE, value=w.number(top, 2)), loc="left", fontsize=9, color=FAINT)
    for _, best in findings.ranking.iterrows():
        if not pd.isna(best["learning_rate"]):
            x, y = axis.place([best["learning_rate"]]), [best[findings.metric]]
            main.plot(x, y, **_mark(styles[best["optimizer"]], 11, filled=False))
    if table["mean"].isna().all():
        main.text(
            0.5, 0.5, w.say("no configuration has a score"),
            transform=main.transAxes, ha="center", color=FAINT,
        )  # fmt: skip
        main.set_yticks([])
    if rows:
        _strip(panels[1], diverged, rows, findings, axis)
    _scale(panels[-1], "x", axis, w)
    panels[-1].set_xlabel(w.say("learning rate"), color=INK)
    if axis.gap:
        for axes in panels:
            axes.axvline(axis.gap, color=FAINT, linestyle=":", linewidth=1)
    _legend(figure, findings, styles)
    template = "{metric} against the learning rate; outlined: the best"
    figure.suptitle(w.say(template, metric=metric.capitalize()))
    return True


def final(findings: Findings, figure: "Figure") -> bool:
    """The final test metric of each winner: every seed, the mean, its 95% interval."""
    metric, table = findings.test_metric, findings.intervals
    table = table[table["metric"] == metric].set_index("optimizer")
    if metric is None or table["mean"].isna().all():
        return False
    names = [name for name in findings.ranking["optimizer"] if name in table.index]
    figure.set_size_inches(9, 1.7 + 0.36 * len(names))
    axes = figure.subplots()
    w = findings.words
    _dress(axes, w.title(metric), "")
    axes.grid(axis="y", visible=False)
    _scale(axes, "x", value_axis(findings, metric, table["mean"]), w)
    styles, short = looks(findings.optimizers), labels(findings.optimizers)
    for y, name in enumerate(names):
        row, style = table.loc[name], styles[name]
        seeds = findings.finals.loc[findings.finals["optimizer"] == name, metric].astype("float64")
        at = np.full(len(seeds), y)
        axes.plot(seeds, at, "o", markersize=4, color=style.colour, alpha=0.45, markeredgewidth=0)
        axes.plot([row["low"], row["high"]], [y, y], color=style.colour, linewidth=2)
        axes.plot([row["mean"]], [y], **_mark(style, 8, filled=not row["diverged"]))
    _names(axes, [short[name] for name in names])
    right = axes.secondary_yaxis("right")
    right.set_yticks(
        range(len(names)), [estimate(table.loc[name], w) for name in names], fontsize=9
    )
    right.tick_params(length=0, colors=INK)
    right.spines["right"].set_visible(False)
    template = (
        "{metric} of each winner: mean and 95% interval of {seeds}"
        if findings.confirmed
        else "{metric} of each winner: mean of {seeds}"
    )
    name = w.title(metric).capitalize()
    figure.suptitle(w.say(template, metric=name, seeds=_seeds(findings)))
    return True


FIGURES: dict[str, Callable[[Findings, Any], bool]] = {
    "curves": curves,
    "sensitivity": sensitivity,
    "final": final,
}


def _strip(
    axes: "Axes", diverged: pd.DataFrame, rows: list[str], findings: Findings, axis: Axis
) -> None:
    """A row an optimizer, a cross at each learning rate at which a seed diverged."""
    styles, short = looks(findings.optimizers), labels(findings.optimizers)
    _dress(axes, "", "")
    for y, name in enumerate(rows):
        part = diverged[diverged["optimizer"] == name]
        axes.plot(
            axis.place(part["learning_rate"]), np.full(len(part), y), "x",
            markersize=6, markeredgewidth=1.8, color=styles[name].colour,
        )  # fmt: skip
    _names(axes, [short[name] for name in rows], fontsize=8)
    axes.set_facecolor("#f6f7f9")
    said = findings.words.say("diverged (× : at least one seed)")
    axes.set_title(said, loc="left", fontsize=9, color=FAINT, pad=3)


def _line(style: Look) -> dict[str, Any]:
    return {
        "color": style.colour,
        "linestyle": style.matplotlib_dash,
        "linewidth": 1.6,
        "marker": style.matplotlib_marker,
        "markersize": 4,
    }


def _mark(style: Look, size: float, filled: bool) -> dict[str, Any]:
    return {
        "linestyle": "none",
        "marker": style.matplotlib_marker,
        "markersize": size,
        "markerfacecolor": style.colour if filled else "none",
        "markeredgecolor": style.colour,
        "markeredgewidth": 2,
    }


def _band(axes: "Axes", style: Look, x: Any, low: Any, high: Any) -> None:
    axes.fill_between(x, low, high, color=style.colour, alpha=0.12, linewidth=0)


def _dress(axes: "Axes", x: str, y: str) -> None:
    axes.set_xlabel(x, color=INK)
    axes.set_ylabel(y, color=INK)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(colors=INK, which="both")


def _scale(axes: "Axes", which: str, axis: Axis, words: Words) -> None:
    side = axes.xaxis if which == "x" else axes.yaxis
    if axis.errors:  # the data stay scores
        there, back = lambda y: -np.log10(axis.place(y)), lambda z: 1 - 10.0**-z
        getattr(axes, f"set_{which}scale")("function", functions=(there, back))
        side.set_ticks(1 - np.array(axis.ticks), [words.mark(text) for text in axis.texts])
    elif axis.log:
        axes.set(**{f"{which}scale": "log"})
        side.set_ticks(axis.ticks, [words.mark(text) for text in axis.texts])
        side.set_ticks([], minor=True)
    elif words.spanish:
        side.set_major_formatter(lambda x, _: words.mark(f"{x:.6g}"))


def _names(axes: "Axes", names: list[str], fontsize: float = 10) -> None:
    """Names down the left side, the first on top; a ``$`` in one is no formula."""
    axes.set_yticks(range(len(names)), names, fontsize=fontsize, parse_math=False)
    axes.set_ylim(len(names) - 0.4, -0.6)


def _legend(figure: "Figure", findings: Findings, styles: dict[str, Look]) -> None:
    """Outside the axes, best first; texts are set last, as a name may hold ``$`` or begin ``_``."""
    from matplotlib.lines import Line2D

    names, short = list(findings.ranking["optimizer"]), labels(findings.optimizers)
    handles = [Line2D([], [], **_line(styles[name])) for name in names]
    legend = figure.legend(
        handles, ["x"] * len(names), loc="outside right upper", frameon=False, handlelength=3.2
    )
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set_parse_math(False)
        text.set_text(short[name])


def _seeds(findings: Findings) -> str:
    w, noun = findings.words, "fresh seed" if findings.confirmed else "search seed"
    said = w.counted(findings.finals["seed"].nunique(), noun)
    columns = sequence(findings.manifest, "replicates")
    if columns:
        said += w.say(" and all values of {columns}", columns=w.listed(columns))
    return said
