"""The same figures for the page, as plotly's own JSON: plain dictionaries, quick to make.

Titles, captions and the legend are the page's, not plotly's. ``meta`` of a trace is its
optimizer's place in ``Findings.optimizers``, by which the page's legend shows and hides it.
"""

import html
from typing import Any

import numpy as np
import pandas as pd

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
from jaxopt_course.report.measures.stopped import stopped
from jaxopt_course.report.verdict import estimate
from jaxopt_course.report.words import Words

LINEAR = Axis(False, [], [])
Plot = dict[str, Any]  # {"data": [...], "layout": {...}}


def curves(findings: Findings) -> dict[str, Plot]:
    """A plot of the winners' curves for each quantity, such as ``train_loss``."""
    w, brush = findings.words, Brush(findings.optimizers, findings.words)
    per, unit = time_axis(findings)
    moment = w.say(unit).split(" (")[0]
    plots = {}
    for quantity, part in findings.curves.groupby("quantity", sort=False):
        axis = score_axis(findings, str(quantity), part["mean"])
        floor = part["mean"].min() / 3 if axis.log and not axis.errors else None
        data = []
        for name, line in part.groupby("optimizer", sort=False):
            x = line["step"].to_numpy() / per
            data += [
                brush.band(str(name), x, line["low"].clip(lower=floor), line["high"], axis),
                brush.line(str(name), x, line["mean"], f"{moment} %{{x}}: %{{y:.4g}}", axis),
            ]
        whole = layout(w.say(unit), w.title(str(quantity)), {}, scale(axis, w))
        plots[str(quantity)] = {"data": data, "layout": whole}
    return plots


def sensitivity(findings: Findings) -> Plot | None:
    """The result against the learning rate, and under it where it diverged."""
    table = findings.sensitivity
    if table is None:
        return None
    brush, axis = Brush(findings.optimizers, findings.words), rate_axis(table["learning_rate"])
    data: list[Plot] = []
    left = stopped(findings.trials, findings.courses)
    reached = pd.concat([table["mean"], left["value"]])
    up = score_axis(findings, findings.metric, reached)
    for name, own in left.groupby("optimizer", sort=False):
        data.append(brush.left(str(name), axis.place(own["learning_rate"]), own, up))
    for name, line in table.groupby("optimizer", sort=False):
        x = axis.place(line["learning_rate"])
        data += [
            brush.band(str(name), x, line["low"], line["high"], up),
            brush.line(str(name), x, line["mean"], "learning rate %{text}: %{y:.4g}", up)
            | {"text": [f"{rate:.4g}" for rate in line["learning_rate"]]},
        ]
    for _, best in findings.ranking.iterrows():
        if not pd.isna(best["learning_rate"]) and not pd.isna(best[findings.metric]):
            x = axis.place([best["learning_rate"]])
            data.append(brush.ring(best["optimizer"], x, up.place([best[findings.metric]])))
    top = ceiling(findings, reached)
    broken = table[table["mean"] > top] if top is not None else table.head(0)
    for name, own in broken.groupby("optimizer", sort=False):
        data.append(brush.above(str(name), axis.place(own["learning_rate"]), top, own["mean"]))
    lost = table[table["diverged"] > 0]
    rows = [name for name in findings.ranking["optimizer"] if (lost["optimizer"] == name).any()]
    data += [brush.crosses(name, lost[lost["optimizer"] == name], axis.place) for name in rows]
    strip = 17 * len(rows) + 8
    share = strip / (strip + 400) if rows else 0.0
    w = findings.words
    y = scale(up, w) | {"domain": [share + 0.09 if rows else 0, 1]}
    if top is not None:
        y |= {"range": np.log10([table["mean"].min() / 1.3, 1.15 * top]).tolist()}
    x_title = w.say("learning rate")
    whole = layout(x_title, w.title(findings.metric), scale(axis, w), y, 470 + strip)
    whole["annotations"] = []
    if top is not None:
        whole["annotations"].append(_note(w.say(ABOVE, value=w.number(top, 2)), 0, 1))
    if table["mean"].isna().all():
        whole["annotations"].append(_note(w.say("no configuration has a score"), 0.5, 0.7))
        whole["yaxis"]["showticklabels"] = False
    if rows:
        whole["xaxis"]["anchor"] = "y2"
        whole["yaxis2"] = _names([brush.shown[name] for name in rows]) | {"domain": [0, share]}
        whole["annotations"].append(
            _note(w.say("diverged (× : at least one seed)"), 0, share + 0.005)
        )
    if axis.gap:
        across = {"type": "line", "x0": axis.gap, "x1": axis.gap, "y0": 0, "y1": 1}
        whole["shapes"] = [across | {"yref": "paper", "line": {"dash": "dot", "width": 1}}]
    return {"data": data, "layout": whole}


def final(findings: Findings) -> Plot | None:
    """The final test metric of each winner: every seed, the mean and its 95% interval."""
    metric, table = findings.test_metric, findings.intervals
    table = table[table["metric"] == metric].set_index("optimizer")
    if metric is None or table["mean"].isna().all():
        return None
    brush = Brush(findings.optimizers, findings.words)
    names = [name for name in findings.ranking["optimizer"] if name in table.index]
    data: list[Plot] = []
    for name in names:
        finals = findings.finals.loc[findings.finals["optimizer"] == name, metric]
        data += [brush.seeds(name, finals), brush.interval(name, table.loc[name])]
    y, x = (
        _names([brush.shown[name] for name in names]),
        scale(value_axis(findings, metric, table["mean"]), findings.words),
    )
    return {
        "data": data,
        "layout": layout(findings.words.title(metric), "", x, y, 110 + 32 * len(names)),
    }


class Brush:
    """Traces that look like their optimizer. Plotly reads HTML in texts: names are escaped."""

    def __init__(self, names: list[str], words: Words) -> None:
        self.words, self.names = words, names
        self.styles: dict[str, Look] = looks(self.names)
        short = labels(self.names)
        self.shown = {name: html.escape(short[name]) for name in self.names}
        self.full = {name: html.escape(name) for name in self.names}

    def base(self, name: str) -> Plot:
        """What every trace of the optimizer has."""
        return {
            "type": "scatter",
            "name": self.full[name],
            "meta": self.names.index(name),
            "line": {"color": self.styles[name].colour},
        }

    def symbol(self, name: str, open: bool = False) -> str:
        """Its mark, hollow if ``open``."""
        return self.styles[name].plotly_marker + ("-open" if open else "")

    def line(self, name: str, x: Any, y: Any, hover: str, axis: Axis = LINEAR) -> Plot:
        """A line with marks; what ``hover`` says of y are the values, wherever they lie."""
        style, told = self.styles[name], {}
        if axis.errors:
            hover, told = hover.replace("%{y", "%{customdata"), {"customdata": plain(y)}
        return (
            self.base(name)
            | told
            | {
                "x": plain(x),
                "y": plain(axis.place(y)),
                "mode": "lines+markers",
                "line": {"color": style.colour, "dash": style.plotly_dash, "width": 2},
                "marker": {"symbol": self.symbol(name), "size": 6, "maxdisplayed": 16},
                "hovertemplate": f"{self.full[name]}<br>{hover}<extra></extra>",
            }
        )

    def band(self, name: str, x: Any, low: Any, high: Any, axis: Axis = LINEAR) -> Plot:
        """An area a run of points that have a value."""
        x, low, high = np.asarray(x, float), axis.place(low), axis.place(high)
        around: list[list[float]] = [[], []]
        for run in np.ma.clump_unmasked(np.ma.masked_invalid(low)):
            gap = [np.nan] if around[0] else []
            around[0] += [*gap, *x[run], *x[run][::-1]]
            around[1] += [*gap, *high[run], *low[run][::-1]]
        red, green, blue = bytes.fromhex(self.styles[name].colour[1:])
        return self.base(name) | {
            "x": plain(around[0]),
            "y": plain(around[1]),
            "fill": "toself",
            "fillcolor": f"rgba({red},{green},{blue},0.12)",
            "line": {"width": 0},
            "mode": "lines",
            "hoverinfo": "skip",
        }

    def ring(self, name: str, x: Any, y: Any) -> Plot:
        """A hollow mark around a point."""
        marker = {"symbol": self.symbol(name, open=True), "size": 14}
        return self.base(name) | {
            "x": plain(x),
            "y": plain(y),
            "mode": "markers",
            "marker": marker | {"color": self.styles[name].colour, "line": {"width": 2.5}},
            "hoverinfo": "skip",
        }

    def crosses(self, name: str, lost: pd.DataFrame, place: Any) -> Plot:
        """A cross at each rate of ``lost``, in the row of the optimizer."""
        return self.base(name) | {
            "x": plain(place(lost["learning_rate"])),
            "y": [self.shown[name]] * len(lost),
            "yaxis": "y2",
            "mode": "markers",
            "marker": {"symbol": "x-thin", "size": 8}
            | {"line": {"width": 2, "color": self.styles[name].colour}},
            "text": [
                self.words.say(
                    "learning rate {rate}: {share} of {n} seeds diverged",
                    rate=self.words.number(rate),
                    share=self.words.share(share),
                    n=n,
                )
                for rate, share, n in zip(
                    lost["learning_rate"], lost["diverged"], lost["seeds"], strict=True
                )
            ],
            "hovertemplate": f"{self.full[name]}<br>%{{text}}<extra></extra>",
        }

    def seeds(self, name: str, values: pd.Series) -> Plot:
        """Faint dots in the row of the optimizer."""
        values, one = values.astype("float64").dropna(), self.words.say("a seed")
        return self.base(name) | {
            "x": plain(values),
            "y": [self.shown[name]] * len(values),
            "mode": "markers",
            "marker": {"size": 6, "opacity": 0.45, "color": self.styles[name].colour},
            "hovertemplate": f"{self.full[name]}<br>{one}: %{{x:.4g}}<extra></extra>",
        }

    def left(self, name: str, x: Any, own: pd.DataFrame, axis: Axis = LINEAR) -> Plot:
        """Faint dots where trials stood when they were stopped."""
        moment = self.words.say("stopped at step {n}", n="%{text}")
        return self.base(name) | {
            "x": plain(x),
            "y": plain(axis.place(own["value"])),
            "customdata": plain(own["value"]),
            "mode": "markers",
            "marker": {"size": 5, "opacity": 0.4, "color": self.styles[name].colour},
            "text": [self.words.whole(step) for step in own["step"]],
            "hovertemplate": f"{self.full[name]}<br>{moment}: %{{customdata:.4g}}<extra></extra>",
        }

    def above(self, name: str, x: Any, top: float | None, values: pd.Series) -> Plot:
        """Arrows up at the end of the axis, for values beyond it."""
        return self.base(name) | {
            "x": plain(x),
            "y": plain(np.full(len(values), top)),
            "mode": "markers",
            "marker": {"size": 9, "symbol": "triangle-up", "color": self.styles[name].colour},
            "text": [self.words.number(value) for value in values],
            "hovertemplate": f"{self.full[name]}<br>%{{text}}<extra></extra>",
        }

    def interval(self, name: str, row: pd.Series) -> Plot:
        """The mean with its interval, in the row of the optimizer."""
        said = estimate(row, self.words)
        marker = {"size": 11, "symbol": self.symbol(name, open=row["diverged"] > 0)}
        bar = {"type": "data", "array": plain([row["half_width"]]), "thickness": 2.5, "width": 0}
        return self.base(name) | {
            "x": plain([row["mean"]]),
            "y": [self.shown[name]],
            "mode": "markers",
            "marker": marker | {"color": self.styles[name].colour},
            "error_x": bar,
            "hovertemplate": f"{self.full[name]}<br>{said}<extra></extra>",
        }


def plain(values: Any) -> list[float | None]:
    """Floats to six digits, as JSON has them: ``None`` where there is no number."""
    values = np.asarray(values, float)
    return [float(f"{value:.6g}") if np.isfinite(value) else None for value in values]


def scale(axis: Axis, words: Words) -> Plot:
    """What plotly wants to know of an axis."""
    texts = [words.mark(text) for text in axis.texts]
    if not axis.log:
        return {}
    way = {"autorange": "reversed"} if axis.errors else {}
    return {"type": "log", "tickvals": axis.ticks, "ticktext": texts} | way


def _names(names: list[str]) -> Plot:
    """An axis of names, the first on top."""
    ends = {"range": [-0.6, len(names) - 0.4], "tickfont": {"size": 11}, "automargin": True}
    return {"type": "category", "categoryorder": "array", "categoryarray": names[::-1]} | ends


def _note(text: str, x: float, y: float) -> Plot:
    anchors = {"xanchor": "left" if x == 0 else "center", "yanchor": "bottom", "showarrow": False}
    return {"text": text, "x": x, "y": y, "xref": "paper", "yref": "paper"} | anchors


def layout(x_title: str, y_title: str, x: Plot, y: Plot, height: int = 340) -> Plot:
    """A plot without a title or a legend: the page has them."""
    return {
        "height": height,
        "showlegend": False,
        "hovermode": "closest",
        "margin": {"l": 56, "r": 12, "t": 12, "b": 48},
        "xaxis": {"title": {"text": html.escape(x_title)}, "automargin": True} | x,
        "yaxis": {"title": {"text": html.escape(y_title)}, "automargin": True} | y,
    }
