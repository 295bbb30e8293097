"""The page's figures: a card each, with one sentence that says what to see."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from jaxopt_course.report import figures_html, figures_lanes, figures_measures, words
from jaxopt_course.report.findings import Findings
from jaxopt_course.report.looks import labels, looks
from jaxopt_course.report.markup import folded, text

Draw = Callable[[Findings], figures_html.Plot | None]
FOLDED: tuple[tuple[str, str, str, Draw], ...] = (
    (
        "winner_map",
        "Who wins for your budget?",
        "Each cell: training ends at this step, and so many configurations were tried of each "
        "optimizer, drawn anew from those of the search. The colour is who wins most often, its "
        "strength how often. Where the colour changes, the answer depends on the budget. A "
        "schedule of the learning rate is not shortened.",
        figures_measures.winner_map,
    ),
    (
        "best_of_n",
        "How many trials does it take?",
        "The best of n configurations drawn anew: the line is its median, the band from the "
        "quantile 0.1 to 0.9. Who is high at the left needs little tuning; where a line is flat, "
        "more trials would gain nothing.",
        figures_measures.best_of_n,
    ),
    (
        "targets",
        "Who is first at which target?",
        "The time until the mean validation curve of each winner first reaches a target. A line "
        "that ends never reaches what lies beyond; where lines cross, the ranking depends on the "
        "target.",
        figures_measures.target_ranking,
    ),
    (
        "shares",
        "Where does the difference come from?",
        "Shares of the variance of one training's result, with 95% bootstrap intervals over "
        "configurations. Look at which bar is long: there it pays to look first.",
        figures_measures.shares,
    ),
    (
        "basin",
        "How much room is there around the best?",
        "Each mark is a configuration, the larger the better among its optimizer's; the filled "
        "ones are within 5% of the best. Look at how far the filled ones reach: a large basin "
        "forgives a bad guess. Who lacks one of the two numbers is not on the map.",
        figures_measures.basin_map,
    ),
    (
        "importance",
        "Which number mattered?",
        "PED-ANOVA: how much each number tells the best tenth of the configurations from all, "
        "among those that have all these numbers. Of few configurations it is a guess.",
        figures_measures.importances,
    ),
    (
        "parallel",
        "All configurations at once",
        "A line is a configuration, its colour the result; at – it has no such number. Drag along "
        "an axis to keep only what passes there; a click on the axis takes it back.",
        figures_measures.parallel,
    ),
    (
        "lanes",
        "Which lane was at work when?",
        "A row is a lane of a device, a bar a trial that sat there, in the colour of its "
        "optimizer. Gaps are lanes that wait: at the end of a sweep they are its tail, and more "
        "lanes than trials leave whole rows short.",
        figures_lanes.lanes_in_time,
    ),
)

THINNED = ("basin", "importance", "parallel")


def section(findings: Findings, pictures: Sequence[str]) -> str:
    """The legend, and a card a figure: the plot's JSON, a caption, a link to its PNG."""
    w = findings.words
    parts = [f"<section><h2>{text(w.say('Figures'))}</h2>{_legend(findings)}"]
    for draw in (_sensitivity, _curves, _final):
        drawn = draw(findings)
        if drawn:
            parts.append(figure(*drawn, pictures))
    more = [_folded(findings, *figure) for figure in FOLDED]
    if any(more):
        parts.append(f"<h3>{text(w.say('To open'))}</h3>{''.join(more)}")
    return "".join(parts) + "</section>"


def _folded(findings: Findings, name: str, title: str, caption: str, draw: Draw) -> str:
    """A figure that needs a word: closed, its question on the fold."""
    w, drawn = findings.words, draw(findings)
    if drawn is None:
        return ""
    said, most = w.say(caption), figures_measures.MOST
    if name in THINNED and len(findings.configurations) > most:
        said += " " + w.say("Only the best {n} configurations are drawn.", n=w.whole(most))
    return folded(w.say(title), figure(name, plot(name, "", drawn), said, ()))


def _noun(findings: Findings) -> str:
    """What repeats a configuration here, as a key of the nouns."""
    noun = words.replicate(findings.manifest)
    return f"fresh {noun}" if findings.confirmed else noun


def _curves(findings: Findings) -> tuple[str, str, str] | None:
    w, plots = findings.words, figures_html.curves(findings)
    if not plots:
        return None
    body = "".join(plot(name, w.title(name), drawn) for name, drawn in plots.items())
    caption = w.say(
        "Course of training of the winners. A line is the mean over the {seeds}, its band "
        "their lowest and highest; both stop where the first one diverges. Look at how "
        "fast a line falls, and whether validation turns back while training goes on.",
        seeds=w.plural(_noun(findings)),
    )
    return "curves", f'<div class="plots">{body}</div>', caption


def _sensitivity(findings: Findings) -> tuple[str, str, str] | None:
    w, drawn = findings.words, figures_html.sensitivity(findings)
    if not drawn:
        return None
    caption = w.say(
        "Result against the learning rate, each point the mean over the {seeds} of the search "
        "with the band from lowest to highest, the other hyperparameters at their best for "
        "that rate; the outlined mark is the best. Look at the width of the plateau: a wide "
        "one forgives a bad guess.",
        seeds=w.plural(words.replicate(findings.manifest)),
    )
    rates = findings.configurations.groupby("optimizer")["learning_rate"].nunique().sum()
    if findings.sensitivity is not None and len(findings.sensitivity) < rates:
        caption += " " + w.say(
            "Where several numbers were drawn together, a rate that one farther from the best "
            "beats is left out: another number had spoiled it."
        )
    if findings.trials["status"].eq("stopped").any():
        caption += " " + w.say(
            "Faint dots are single trainings where they stood when the scheduler stopped them."
        )
    if "yaxis2" in drawn["layout"]:
        caption += " " + w.say("Below, a cross marks a rate at which one of them diverged.")
    return "sensitivity", plot("sensitivity", "", drawn), caption


def _final(findings: Findings) -> tuple[str, str, str] | None:
    w, drawn = findings.words, figures_html.final(findings)
    if not drawn:
        return None
    seeds = w.plural(_noun(findings))
    if findings.confirmed:
        caption = w.say(
            "Final test metric of the winners over the {seeds}: faint dots are single ones, the "
            "mark is their mean with its 95% t-interval. A hollow mark lost some to divergence. "
            "Intervals that overlap do not mean a tie: all trained on the same {seeds}, so it is "
            "their differences that count.",
            seeds=seeds,
        )
    else:
        caption = w.say(
            "Final test metric of the winners over the {seeds}: faint dots are single ones, the "
            "mark is their mean. They also chose the winners: no interval is due.",
            seeds=seeds,
        )
    return "final", plot("final", "", drawn), caption


def _legend(findings: Findings) -> str:
    """A button an optimizer, best first, that shows and hides it in all figures."""
    styles, short = looks(findings.optimizers), labels(findings.optimizers)
    shown = text(findings.words.say("Optimizers shown"))
    buttons = []
    for name in findings.ranking["optimizer"]:
        style, number = styles[name], findings.optimizers.index(name)
        dash = style.plotly_dash.replace("px", "") if style.plotly_dash != "solid" else "none"
        buttons.append(
            f'<button type="button" aria-pressed="true" data-optimizer="{number}" '
            f'title="{text(name)}"><svg width="30" height="8" aria-hidden="true">'
            f'<line x1="0" y1="4" x2="30" y2="4" stroke="{style.colour}" stroke-width="3" '
            f'style="stroke:color-mix(in srgb,{style.colour} var(--pure),white)" '
            f'stroke-dasharray="{dash}"/></svg>{text(short[name])}</button>'
        )
    return f'<div class="legend" role="group" aria-label="{shown}">{"".join(buttons)}</div>'


def plot(name: str, heading: str, drawn: dict[str, Any]) -> str:
    """The place of a plot and its JSON, which nothing in it can end."""
    data = json.dumps(drawn, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    head = f"<h3>{text(heading[:1].upper() + heading[1:])}</h3>" if heading else ""
    return (
        f'<div class="plot">{head}<div id="plot-{text(name)}" class="canvas"></div>'
        f'<script type="application/json" data-for="plot-{text(name)}">{data}</script></div>'
    )


def figure(name: str, body: str, caption: str, pictures: Sequence[str]) -> str:
    """A card: the plot, what to see in it, the link to its picture if there is one."""
    png = f"{name}.png"
    link = f' <a href="figures/{png}">PNG</a>' if png in pictures else ""
    return f"<figure>{body}<figcaption>{text(caption)}{link}</figcaption></figure>"
