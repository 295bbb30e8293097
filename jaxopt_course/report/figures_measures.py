"""The figures of ``measures``, as plotly's own JSON; None where there is nothing to tell."""

import html
from typing import Any

import numpy as np
import pandas as pd

from jaxopt_course.report import tables
from jaxopt_course.report.figures_html import Brush, Plot, layout, plain, scale
from jaxopt_course.report.findings import Findings
from jaxopt_course.report.looks import log_ticks, time_axis, value_axis
from jaxopt_course.report.measures import basins, budgets, importance, targets, variance
from jaxopt_course.report.words import Words

SHADES = ((0.0, 0.34), (0.5, 0.66), (1.0, 1.0))  # of a cell's colour, by who wins how surely
RESULTS = ((0, "#97a3b6"), (0.6, "#2f8fa3"), (1, "#d1780c"))  # worst to best, on either ground
EVEN = (0.0, 0.25, 0.5, 0.75, 1.0)  # ticks of an axis that has one more for who has no number
MOST = 2000  # points of a map, lines of the parallel axes


def scores(findings: Findings) -> dict[str, np.ndarray]:
    """Optimizer -> the scores of its configurations, best optimizer first."""
    found = findings.configurations.groupby("optimizer", sort=False)[findings.metric]
    return {name: found.get_group(name).to_numpy(float) for name in findings.ranking["optimizer"]}


def best_of_n(findings: Findings) -> Plot | None:
    """The best of n trials against n."""
    table = budgets.best_of_n(scores(findings), findings.manifest["direction"])
    if table["n"].max() < 2 or table["median"].isna().all():
        return None
    w, brush, data = findings.words, Brush(findings.optimizers, findings.words), []
    for name, line in table.groupby("optimizer", sort=False):
        x = line["n"].to_numpy(float)
        data += [
            brush.band(str(name), x, line["low"], line["high"]),
            brush.line(str(name), x, line["median"], "n %{x}: %{y:.4g}"),
        ]
    ticks = budgets.counts(int(table["n"].max()))
    across = {"type": "log", "tickvals": ticks, "ticktext": [str(n) for n in ticks]}
    up = scale(value_axis(findings, findings.metric, table["median"]), w)
    title = w.say("configurations tried of each")
    return {"data": data, "layout": layout(title, w.title(findings.metric), across, up, 400)}


def evaluated(findings: Findings) -> tuple[pd.DataFrame, pd.Series]:
    """Means over seeds by steps, a row a configuration; and whose each is."""
    trials = tables.once(findings.trials)
    number = tables.configuration_numbers(trials, findings.hyperparameters)
    rows = findings.courses.reindex(trials["trial"].to_numpy()).reset_index(drop=True)
    grouped = rows.groupby(number.to_numpy())
    means = grouped.mean().where(grouped.count().eq(grouped.size(), axis=0))
    return means, trials["optimizer"].groupby(number.to_numpy()).first()


def winner_map(findings: Findings) -> Plot | None:
    """Steps against trials: the colour is who wins, its strength how surely."""
    if findings.courses.empty or len(findings.ranking) < 2:
        return None
    means, optimizers = evaluated(findings)
    table = budgets.winner_map(means, optimizers, findings.manifest["direction"])
    if table.empty or table["step"].nunique() < 2 or table["n"].nunique() < 2:
        return None
    w, brush = findings.words, Brush(findings.optimizers, findings.words)
    per, unit = time_axis(findings)
    numbers = sorted(table["n"].unique())
    data = []
    for name, part in table.groupby("optimizer"):
        wide = part.pivot(index="n", columns="step", values="probability")
        wide = wide.reindex(index=numbers, columns=sorted(table["step"].unique()))
        colour = brush.styles[str(name)].colour
        red, green, blue = bytes.fromhex(colour[1:])
        shades = [[at, f"rgba({red},{green},{blue},{alpha})"] for at, alpha in SHADES]
        data.append(
            brush.base(str(name))
            | {
                "type": "heatmap",
                "x": [float(f"{step / per:.4g}") for step in wide.columns],
                "y": [str(n) for n in numbers],
                "z": [plain(row) for row in wide.to_numpy()],
                "zmin": 0.3, "zmax": 1, "colorscale": shades, "showscale": False,
                "xgap": 1, "ygap": 1, "hoverongaps": False,
                "hovertemplate": f"{brush.full[str(name)]}: %{{z:.0%}}<br>%{{x}}, n = %{{y}}"
                "<extra></extra>",
            }
        )  # fmt: skip
    for trace in data:
        del trace["line"]
    up: Plot = {"type": "category", "categoryarray": [str(n) for n in numbers]}
    title = w.say("configurations tried of each")
    return {"data": data, "layout": layout(w.say(unit), title, {}, up, 360)}


def target_ranking(findings: Findings) -> Plot | None:
    """Steps to a target against the target, a line an optimizer."""
    metric = findings.metric.removeprefix("best_")
    curves = findings.curves[findings.curves["quantity"] == metric]
    table = targets.steps_to_target(curves, findings.manifest["direction"])
    if table.empty:
        return None
    w, brush, data = findings.words, Brush(findings.optimizers, findings.words), []
    per, unit = time_axis(findings)
    for name, line in table.groupby("optimizer", sort=False):
        reached = line[np.isfinite(line["steps"])]
        hover = "%{x:.4g}: %{y:.4g}"
        y = reached["steps"] / per
        trace = brush.line(str(name), reached["target"], y, hover)
        trace["line"]["shape"] = "hv"
        data.append(trace)
    across = scale(value_axis(findings, metric, table["target"]), w)
    title = w.say("target: {metric}", metric=w.title(metric))
    up = w.say("{unit} until it is reached", unit=w.say(unit).split(" (")[0])
    return {"data": data, "layout": layout(title, up, across, {"rangemode": "tozero"}, 380)}


def shares(findings: Findings) -> Plot | None:
    """Where the variance comes from: bars with intervals."""
    each = findings.configurations[findings.configurations[findings.metric].notna()]
    if len(each) < len(findings.configurations) and each["optimizer"].is_unique:
        return None  # a scheduler left one of each: what the others' numbers do was not seen
    w, trials = findings.words, tables.once(findings.trials)
    number = tables.configuration_numbers(trials, findings.hyperparameters)
    values = tables.finite(trials[findings.metric])
    if value_axis(findings, findings.metric, values.dropna()).log:
        values = np.log10(values)
    trials = trials.assign(configuration=number, value=values)
    table = variance.variance_shares(trials[["optimizer", "configuration", "value"]], "value")
    if table.empty:
        return None
    names = [w.say(source) for source in table["source"]]
    said = [
        f"{w.share(row.share)} ({w.share(row.low)} … {w.share(row.high)})"
        for row in table.itertuples()
    ]
    bar = {
        "type": "bar", "orientation": "h", "y": names, "x": plain(table["share"]),
        "marker": {"color": "#3d61b7"}, "text": said, "textposition": "none",
        "hovertemplate": "%{y}: %{text}<extra></extra>",
        "error_x": {
            "type": "data", "symmetric": False, "thickness": 2, "width": 5,
            "array": plain(table["high"] - table["share"]),
            "arrayminus": plain(table["share"] - table["low"]),
        },
    }  # fmt: skip
    across = {"range": [0, 1.02], "tickformat": ".0%"}
    up = {"type": "category", "autorange": "reversed"}
    return {"data": [bar], "layout": layout(w.say("share of the variance"), "", across, up, 220)}


def numbers(findings: Findings) -> list[str]:
    """The searched columns that are numbers and vary, among the configurations with a score."""
    table = findings.configurations
    table = table[table[findings.metric].notna()]
    return [
        name
        for name in findings.tuned
        if pd.api.types.is_numeric_dtype(table[name])
        and not pd.api.types.is_bool_dtype(table[name])
        and table[name].nunique() > 1
    ]


def basin_map(findings: Findings) -> Plot | None:
    """The result against two numbers, as the marks' sizes; filled are those near the best.

    Sizes are by rank among the optimizer's own, of which 5% of the best result are near.
    """
    columns = numbers(findings)[:2]
    if len(columns) < 2 or columns[0] != "learning_rate":
        return None
    table = basins.basin(
        findings.configurations, columns, findings.metric, findings.manifest["direction"]
    ).dropna(subset=["score"])
    if table.empty or table[columns].le(0).any(axis=None):
        return None
    w, brush, data = findings.words, Brush(findings.optimizers, findings.words), []
    ascending = findings.manifest["direction"] == "max"
    rank = table.groupby("optimizer")["score"].rank(pct=True, ascending=ascending)
    table = table.assign(size=(4 + 11 * rank).round(1))
    for name, part in table.head(MOST).groupby("optimizer", sort=False):
        for inside, some in part.groupby("inside"):
            mark: Plot = {
                "symbol": brush.symbol(str(name), open=not inside),
                "size": plain(some["size"]),
            }
            mark |= {"color": brush.styles[str(name)].colour, "opacity": 1 if inside else 0.55}
            data.append(
                brush.base(str(name))
                | {
                    "x": plain(some[columns[0]]),
                    "y": plain(some[columns[1]]),
                    "mode": "markers",
                    "marker": mark,
                    "text": [w.number(score) for score in some["score"]],
                    "hovertemplate": f"{brush.full[str(name)]}: %{{text}}<extra></extra>",
                }
            )
    across, up = (logged(table[name], findings) for name in columns)
    return {"data": data, "layout": layout(columns[0], columns[1], across, up, 440)}


def logged(values: pd.Series, findings: Findings) -> Plot:
    """A logarithmic axis over positive values."""
    ticks = log_ticks(float(values.min()), float(values.max()))
    return {
        "type": "log",
        "tickvals": ticks,
        "ticktext": [findings.words.number(tick) for tick in ticks],
    }


def parallel(findings: Findings) -> Plot | None:
    """A line a configuration over the columns that vary; drag along an axis to choose."""
    columns, metric = numbers(findings), findings.metric
    table = findings.configurations[findings.configurations[metric].notna()].head(MOST)
    if not columns or len(table) < 3:
        return None
    w, brush = findings.words, Brush(findings.optimizers, findings.words)
    names = [name for name in findings.ranking["optimizer"] if (table["optimizer"] == name).any()]
    axes: list[dict[str, Any]] = []
    if len(names) > 1:
        place = {name: len(names) - 1 - i for i, name in enumerate(names)}
        axes.append(
            {
                "label": w.say("optimizer"),
                "values": [place[name] for name in table["optimizer"]],
                "tickvals": list(range(len(names))),
                "ticktext": [brush.shown[name] for name in names[::-1]],
            }
        )
    for name in [*columns, metric]:
        label = w.title(metric) if name == metric else name
        values = table[name].astype("float64")
        positive = values.min() > 0 and values.max() > 10 * values.min()
        if name == metric:
            positive = value_axis(findings, metric, values).log
        axes.append({"label": html.escape(label)} | _placed(values, positive, w))
    if len(axes) < 3:
        return None
    line: Plot = {
        "color": axes[-1]["values"],
        "colorscale": [list(stop) for stop in RESULTS],
        "reversescale": findings.manifest["direction"] == "min",
    }
    trace = {"type": "parcoords", "dimensions": axes, "line": line}
    margins = {"margin": {"l": 90, "r": 80, "t": 50, "b": 24}}
    return {"data": [trace], "layout": layout("", "", {}, {}, 420) | margins}


def _placed(values: pd.Series, log: bool, w: Words) -> dict[str, Any]:
    """Where lines cross an axis; who has no such number does so below all, at a tick of its own."""
    shown = np.log10(values) if log else values
    low, high = float(shown.min()), float(shown.max())
    lacking = shown.isna()
    if not (log or lacking.any()):
        return {"values": plain(shown)}
    ticks = log_ticks(float(values.min()), float(values.max())) if log else list(EVEN)
    at = np.log10(ticks) if log else low + (high - low) * np.array(EVEN)
    texts = [w.number(tick) for tick in (ticks if log else at)]
    if lacking.any():
        none = low - 0.12 * (high - low)
        shown, at, texts = shown.fillna(none), np.append(none, at), ["–", *texts]
    return {"values": plain(shown), "tickvals": plain(at), "ticktext": texts}


def importances(findings: Findings) -> Plot | None:
    """PED-ANOVA's importances over all optimizers' configurations that have the numbers."""
    columns = numbers(findings)
    if len(columns) < 2 or not importance.available():
        return None
    w, metric = findings.words, findings.metric
    table = importance.importances(
        findings.configurations.head(MOST), columns, metric, findings.manifest["direction"]
    )
    if table.empty:
        return None
    bar = {
        "type": "bar", "orientation": "h", "y": [html.escape(name) for name in table["column"]],
        "x": plain(table["importance"]), "marker": {"color": "#3d61b7"},
        "hovertemplate": "%{y}: %{x:.0%}<extra></extra>",
    }  # fmt: skip
    across, up = (
        {"tickformat": ".0%", "range": [0, 1]},
        {"type": "category", "autorange": "reversed"},
    )
    height = 110 + 30 * len(table)
    return {"data": [bar], "layout": layout(w.say("importance"), "", across, up, height)}
