"""The page's figures: a card each, with one sentence that says what to see."""

import json
from collections.abc import Sequence
from typing import Any

from jaxopt_course.report import figures_html, words
from jaxopt_course.report.findings import Findings
from jaxopt_course.report.looks import labels, looks
from jaxopt_course.report.markup import text


def section(findings: Findings, pictures: Sequence[str]) -> str:
    """The legend, and a card a figure: the plot's JSON, a caption, a link to its PNG."""
    w = findings.words
    parts = [f"<section><h2>{text(w.say('Figures'))}</h2>{_legend(findings)}"]
    for draw in (_sensitivity, _curves, _final):
        drawn = draw(findings)
        if drawn:
            parts.append(_figure(*drawn, pictures))
    return "".join(parts) + "</section>"


def _noun(findings: Findings) -> str:
    """What repeats a configuration here, as a key of the nouns."""
    noun = words.replicate(findings.manifest)
    return f"fresh {noun}" if findings.confirmed else noun


def _curves(findings: Findings) -> tuple[str, str, str] | None:
    w, plots = findings.words, figures_html.curves(findings)
    if not plots:
        return None
    body = "".join(_plot(name, w.title(name), plot) for name, plot in plots.items())
    caption = w.say(
        "Course of training of the winners. A line is the mean over the {seeds}, its band "
        "their lowest and highest; both stop where the first one diverges. Look at how "
        "fast a line falls, and whether validation turns back while training goes on.",
        seeds=w.plural(_noun(findings)),
    )
    return "curves", f'<div class="plots">{body}</div>', caption


def _sensitivity(findings: Findings) -> tuple[str, str, str] | None:
    w, plot = findings.words, figures_html.sensitivity(findings)
    if not plot:
        return None
    caption = w.say(
        "Result against the learning rate, each point the mean over the {seeds} of the search "
        "with the band from lowest to highest, the other hyperparameters at their best for "
        "that rate; the outlined mark is the best. Look at the width of the plateau: a wide "
        "one forgives a bad guess.",
        seeds=w.plural(words.replicate(findings.manifest)),
    )
    if "yaxis2" in plot["layout"]:
        caption += " " + w.say("Below, a cross marks a rate at which one of them diverged.")
    return "sensitivity", _plot("sensitivity", "", plot), caption


def _final(findings: Findings) -> tuple[str, str, str] | None:
    w, plot = findings.words, figures_html.final(findings)
    if not plot:
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
    return "final", _plot("final", "", plot), caption


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


def _plot(name: str, heading: str, plot: dict[str, Any]) -> str:
    data = json.dumps(plot, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    head = f"<h3>{text(heading[:1].upper() + heading[1:])}</h3>" if heading else ""
    return (
        f'<div class="plot">{head}<div id="plot-{text(name)}" class="canvas"></div>'
        f'<script type="application/json" data-for="plot-{text(name)}">{data}</script></div>'
    )


def _figure(name: str, body: str, caption: str, pictures: Sequence[str]) -> str:
    png = f"{name}.png"
    link = f' <a href="figures/{png}">PNG</a>' if png in pictures else ""
    return f"<figure>{body}<figcaption>{text(caption)}{link}</figcaption></figure>"
