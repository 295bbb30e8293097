"""The figures of several tasks, as plotly's own JSON, and the section of the page with them."""

import html

from jaxopt_course.report.cards import figure, plot
from jaxopt_course.report.figures_html import Brush, Plot, layout, plain
from jaxopt_course.report.markup import folded, text
from jaxopt_course.report.measures import across
from jaxopt_course.report.task_statistics import Scores
from jaxopt_course.report.words import Words


def rank_diagram(scores: Scores, words: Words) -> Plot:
    """Mean ranks, the best left; a bar joins those nearer than the critical distance."""
    brush, table = Brush(scores.optimizers, words), across.ranks(scores)
    data: list[Plot] = []
    for place, (name, rank) in enumerate(table.itertuples(index=False)):
        mark = {"symbol": brush.symbol(name), "size": 12, "color": brush.styles[name].colour}
        data.append(
            brush.base(name)
            | {
                "x": plain([rank]),
                "y": [place],
                "mode": "markers+text",
                "marker": mark,
                "text": [brush.shown[name]],
                "textposition": "middle right",
                "hovertemplate": f"{brush.full[name]}: %{{x:.3g}}<extra></extra>",
            }
        )
    shapes = [
        {
            "type": "line", "x0": float(table["mean_rank"][bar.first]),
            "x1": float(table["mean_rank"][bar.last]), "y0": bar.last + 0.42, "y1": bar.last + 0.42,
            "line": {"width": 5},
        }
        for bar in across.bars(scores).itertuples()
    ]  # fmt: skip
    count = len(table)
    across_axis = {"range": [0.8, count + 0.9], "dtick": 1}
    up = {"visible": False, "range": [count - 0.2, -0.8]}
    whole = layout(words.say("mean rank over the tasks"), "", across_axis, up, 90 + 34 * count)
    return {"data": data, "layout": whole | {"shapes": shapes}}


def heat_map(scores: Scores, words: Words) -> Plot:
    """Score of each optimizer on each task, on the common scale."""
    table = across.heat(scores)
    shown = Brush(scores.optimizers, words).shown
    trace = {
        "type": "heatmap",
        "x": [html.escape(str(task)) for task in table.columns],
        "y": [shown[name] for name in table.index],
        "z": [plain(row) for row in table.to_numpy()],
        "zmin": 0, "zmax": 1, "colorscale": "Cividis", "xgap": 1, "ygap": 1,
        "hovertemplate": "%{y}, %{x}: %{z:.2f}<extra></extra>",
    }  # fmt: skip
    up = {"type": "category", "autorange": "reversed"}
    sides = {"type": "category", "tickangle": -40}
    return {"data": [trace], "layout": layout("", "", sides, up, 150 + 26 * len(table))}


def profiles(scores: Scores, words: Words) -> Plot:
    """Share of trainings beyond each score."""
    brush, data = Brush(scores.optimizers, words), []
    for name, part in across.profile(scores).groupby("optimizer", sort=False):
        hover = "%{x:.2f}: %{y:.0%}"
        data.append(brush.line(str(name), part["threshold"], part["share"], hover))
    up = {"tickformat": ".0%", "range": [0, 1.02]}
    title = words.say("score (1: the best optimizer of a task, 0: the worst)")
    return {"data": data, "layout": layout(title, words.say("share of trainings"), {}, up, 380)}


FIGURES = (
    (
        "ranks",
        "Who is ahead over all tasks?",
        "Mean rank over the tasks, 1 is first. Under a bar stand optimizers that these tasks do "
        "not tell apart: their ranks differ by less than the critical distance (Nemenyi, 95%).",
        rank_diagram,
    ),
    (
        "heat",
        "On which tasks?",
        "Each task has its own scale: 1 is its best optimizer, 0 its worst. Look for rows that are "
        "bright everywhere, and for tasks that turn the order round.",
        heat_map,
    ),
    (
        "profile",
        "How often is it how good?",
        "The share of an optimizer's trainings, over all tasks, whose score is beyond a value. A "
        "line above another is better at any demand; where lines cross it depends on the demand.",
        profiles,
    ),
)


def section(scores: Scores, words: Words) -> str:
    """The figures of several tasks as HTML: the ranks open, the others folded.

    Needs plotly and ``page.js`` in the page, as :func:`page.document` has them.
    """
    parts = []
    for place, (name, title, caption, draw) in enumerate(FIGURES):
        body = figure(name, plot(name, "", draw(scores, words)), words.say(caption), ())
        parts.append(folded(words.say(title), body, shown=place == 0))
    return f"<section><h2>{text(words.say('Over all tasks'))}</h2>{''.join(parts)}</section>"
