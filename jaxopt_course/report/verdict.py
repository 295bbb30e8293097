"""What a study means: the sentence that names the winner, what to mind, and the table behind it."""

import math
import re
from typing import NamedTuple

import numpy as np
import pandas as pd

from jaxopt_course.report import clocks, doubts, population, ranges, separation
from jaxopt_course.report.findings import Findings
from jaxopt_course.report.looks import labels
from jaxopt_course.report.tables import DONE, ROUNDING
from jaxopt_course.report.words import Words, capital, mapping, replicate, settings

ENGLISH = Words()
POPULATION = (
    "Numbers changed while trainings ran: the tables and the figures have those that each began "
    "with, study.lineage has all others."
)


def headline(findings: Findings) -> str:
    """Who wins, by how much, on how many seeds; and whether these seeds tell it from the others."""
    return f"{winner(findings)} {sureness(findings)}".strip()


def sureness(findings: Findings) -> str:
    """Whether the seeds tell the winner from the others; nothing where nobody has a score."""
    scored = _scored(findings)
    return "" if scored.empty else separation.sentences(findings, scored, _names(findings))


def _scored(findings: Findings) -> pd.DataFrame:
    ranking = findings.ranking
    return ranking[ranking["fresh_mean" if findings.confirmed else findings.metric].notna()]


def winner(findings: Findings) -> str:
    """Who wins, with which numbers, by how much, on how many seeds."""
    w, names, scored = findings.words, _names(findings), _scored(findings)
    column = "fresh_mean" if findings.confirmed else findings.metric
    if scored.empty:
        return _no_winner(findings)
    done, asked = _seeds(findings, scored)
    noun = _noun(findings)
    first, half, n = scored.iloc[0], math.nan, int(done.iloc[0])
    if findings.confirmed:
        half = first["fresh_half_width"]
    everything = w.counted(asked, noun)
    seeds = everything if n == asked else w.say("{n} of {seeds}", n=n, seeds=everything)
    value = w.plus_minus(first[column], half)
    same = half == 0  # seeds that agree have a value, and no interval
    result = w.say(
        "{metric} {value} with each of {seeds}" if same else "{metric} {value}, mean of {seeds}",
        metric=w.title(findings.metric), value=value, seeds=seeds,
    )  # fmt: skip
    given, name = settings(first, findings.tuned), names[first["optimizer"]]
    if population.schedule(findings):
        given = w.say("numbers that changed on the way")
    best = w.say("{name} with {numbers}", name=name, numbers=given) if given else name
    equals = scored[done.ge(asked) == (n >= asked)]  # whoever has fewer seeds ranks after all these
    tied = equals.loc[_ties(equals, column), "optimizer"].map(names)
    if len(scored) == 1 == len(findings.ranking):
        said = w.say("{winner} reaches {result}.", winner=best, result=result)
    elif len(scored) == 1:
        said = w.say("{winner} alone has a score: {result}.", winner=best, result=result)
    elif len(tied) > 1:
        said = w.say("{names} tie: {result}.", names=w.listed(list(tied)), result=result)
    elif len(equals) == 1:
        said = w.say(
            "{winner} alone has a score on all {seeds}: {result}.",
            winner=best, seeds=everything, result=result,
        )  # fmt: skip
    else:
        second = equals.iloc[1]
        ahead = w.number(abs(first[column] - second[column]), 2)
        template = (
            "{winner} wins: {result}, {ahead} better than {second}."
            if findings.confirmed
            else "{winner} leads the search: {result}, {ahead} better than {second}."
        )
        behind = names[second["optimizer"]]
        said = w.say(template, winner=best, result=result, ahead=ahead, second=behind)
    sign = 1 if findings.manifest["direction"] == "max" else -1
    for place, row in scored.drop(equals.index).iterrows():
        if sign * (row[column] - first[column]) > 0:
            said += " " + w.say(
                "{name} has {value}, but on {n} of {seeds}: it ranks after.",
                name=names[row["optimizer"]], value=w.number(row[column]), n=done[place],
                seeds=everything,
            )  # fmt: skip
    if first["optimizer"] in doubts.has_learned_nothing(findings):
        template = "{name} has learned nothing: one answer for all examples does as well."
        said += " " + w.say(template, name=name)
    return said


def _noun(findings: Findings) -> str:
    """What repeats a configuration, as a key of the nouns."""
    return ("fresh " if findings.confirmed else "") + replicate(findings.manifest)


def _seeds(findings: Findings, scored: pd.DataFrame) -> tuple[pd.Series, int]:
    """Of each scored winner how many seeds are in its mean, and how many there may be."""
    if findings.confirmed:
        return scored["fresh_n"].astype(int), int(findings.intervals["seeds"].max())
    done = scored["seeds"] - scored["stopped"] - scored["unfinished"]
    return done.astype(int), int(findings.configurations["seeds"].max())


def _ties(ranked: pd.DataFrame, column: str) -> np.ndarray:
    """Which rows have the score of the first, but for rounding; the first is one of them."""
    apart = (ranked[column] - ranked[column].iloc[0]).abs()
    size = ranked[column].abs().clip(lower=abs(ranked[column].iloc[0]))
    return (apart <= ROUNDING * size).to_numpy()


def _no_winner(findings: Findings) -> str:
    w, trials = findings.words, findings.finals if findings.confirmed else findings.trials
    why = doubts.undefined(trials, findings.metric, w)
    if not why:
        why = w.say(
            "no optimizer has a configuration that finished on all its {seeds}",
            seeds=w.plural(_noun(findings)),
        )
    return w.say("No winner: {why}.", why=why)


STATUSES = {
    "diverged": "{n} of {trials} diverged; a configuration with a diverged seed has no score and "
    "ranks last.",
    "stopped": "{n} of {trials} were stopped early by {scheduler}; they have no score and cannot "
    "win.",
    "converged": "{n} of {trials} converged before their budget was used up; they score with their "
    "best evaluation.",
    "unfinished": "{n} of {trials} did not finish; scores are means of the seeds that did, and "
    "configurations with all seeds finished rank first.",
}


def remarks(findings: Findings) -> list[str]:
    """What a reader must know before trusting the table, one sentence each."""
    said, w, trials, ranking = [], findings.words, findings.trials, findings.ranking
    names = _names(findings)
    if findings.confirmed and not pd.isna(ranking["fresh_mean"].iloc[0]):
        searched = ranking.sort_values("search_rank")
        before = searched["optimizer"].iloc[0]
        first = searched.loc[_ties(searched, findings.metric), "optimizer"]
        if ranking["optimizer"].iloc[0] not in set(first):
            said.append(w.say("The search itself had put {name} first.", name=names[before]))
    status = trials["status"]
    status = status.where(status.isin([*DONE, "diverged", "stopped"]), "unfinished")
    scheduler = mapping(findings.manifest, "scheduler").get("name", w.say("the scheduler"))
    for which, template in STATUSES.items():
        if n := int(status.eq(which).sum()):
            counted = w.counted(len(trials), "trial")
            said.append(w.say(template, n=w.whole(n), trials=counted, scheduler=scheduler))
    if population.moves(findings.manifest):
        said.append(w.say(POPULATION))
    said += doubts.in_units(findings, names)
    said += doubts.fewer_seeds(findings, names) + doubts.dependent(findings)
    if why := doubts.undefined(trials, findings.metric, w):
        template = "{why}; a configuration with such a trial has no score."
        said.append(w.say(template, why=capital(why)))
    if findings.confirmed and (why := doubts.undefined(findings.finals, findings.metric, w)):
        template = "On fresh seeds {why}; an optimizer with such a trial has no score."
        said.append(w.say(template, why=why))
    if findings.confirmed and ranking["fresh_diverged"].gt(0).any():
        lost = list(ranking.loc[ranking["fresh_diverged"] > 0, "optimizer"].map(names))
        template = (
            "On fresh seeds {names} diverged at least once: the mean given there is of the "
            "finished seeds only."
        )
        said.append(w.say(template, names=w.listed(lost)))
    short = int((~findings.finals["status"].isin([*DONE, "diverged"])).sum())
    if findings.confirmed and short:
        template = "{trials} on fresh seeds did not finish."
        said.append(w.say(template, trials=w.counted(short, "trial")))
    said += doubts.not_learned(findings, names) + doubts.wasted(findings)
    edges = ranking[ranking["at_edge"] != ""]
    if len(edges):
        ends = [
            f"{names[row['optimizer']]}: {edges_said(row['at_edge'], w)}"
            for _, row in edges.iterrows()
        ]
        template = "Best at the edge of the range tried, so that a wider one may do better: {ends}."
        said.append(w.say(template, ends=w.listed(ends)))
    return said + clocks.sentences(findings, names) + ranges.remarks(findings, names)


def edges_said(at_edge: str, words: Words) -> str:
    """``learning_rate (highest)`` with its word said."""
    return re.sub(r"\((lowest|highest)\)", lambda end: f"({words.say(end[1])})", at_edge)


class Column(NamedTuple):
    """A column of the table of winners: its name, a shorter one for terminals, whether numeric."""

    name: str
    short: str
    numeric: bool


def ranking_table(
    findings: Findings, edge: str = " ({})", clock: bool = True
) -> tuple[list[Column], list[list[str]]]:
    """The table of winners as text: its columns and, a row an optimizer, its cells.

    The hyperparameters are those searched; ``edge`` is what follows a value that is the ``lowest``
    or ``highest`` tried. The search's metric is the mean over its seeds; what fresh seeds gave is
    the mean ± the half width of its 95% interval. ``clock``: whether what steps take stands there
    too, if it was measured.
    """
    metric, test, w = findings.metric, findings.test_metric, findings.words
    estimated = [test] if test else []
    heading = "{metric}"
    if findings.confirmed:
        estimated, heading = [metric, *estimated], "fresh seeds: {metric}"
    header = [Column(w.say("rank"), "#", True), Column(name := w.say("optimizer"), name, False)]
    header += [Column(name, name.replace("_", " "), True) for name in findings.tuned]
    searched = w.say("search: {metric}", metric=w.title(metric))
    header += [Column(searched, w.say("search"), True)]
    for name in estimated:
        short = w.say("fresh seeds") if name == metric else w.say("test")
        header += [Column(w.say(heading, metric=w.title(name)), short, True)]
    header += [Column(w.say("trials diverged"), w.say("diverged"), True)]
    timed = clocks.two_clocks(findings).set_index("optimizer")
    if clock and len(timed):
        header += [Column(w.say("time of a step"), w.say("step"), True)]
        header += [Column(w.say("rank by time"), w.say("by time"), True)]
    found = findings.intervals.set_index(["optimizer", "metric"])
    names, rows, constant = _names(findings), [], doubts.has_learned_nothing(findings)
    for _, row in findings.ranking.iterrows():
        cells = [str(row["rank"]), names[row["optimizer"]]]
        for name in findings.tuned:
            end = re.search(rf"(?:^|, ){re.escape(name)} \((\w+)\)", row["at_edge"])
            value = "" if pd.isna(row[name]) else w.number(row[name], 3)  # none of its own
            cells.append(value + (edge.format(w.say(end[1])) if end else ""))
        more = [w.say("has learned nothing")] if row["optimizer"] in constant else []
        cells.append(w.number(row[metric]) + _trouble(row, metric, more, w))
        for key in [(row["optimizer"], name) for name in estimated]:
            known = key in found.index
            cells.append(estimate(found.loc[key], w) if known else w.say("not re-trained"))
        cells.append(w.share(row["trials_diverged"] / row["trials"]))
        if clock and len(timed):
            cells += _by_seconds(timed, row["optimizer"], w)
        rows.append(cells)
    return header, rows


def legend(findings: Findings, clock: bool = True) -> str:
    """What the short names of the columns mean."""
    test, w = findings.test_metric, findings.words
    said = w.say(
        "search, fresh seeds: {metric}, mean over the {seeds} (± half of the 95% interval)"
        if findings.confirmed
        else "search: {metric}, mean over the {seeds}",
        metric=w.title(findings.metric),
        seeds=w.plural(replicate(findings.manifest)),
    )
    if test:
        template = (
            "; test: {metric} on the fresh seeds" if findings.confirmed else "; test: {metric}"
        )
        said += w.say(template, metric=w.title(test))
    said += w.say("; diverged: share of the optimizer's trials")
    if clock and len(clocks.two_clocks(findings)):
        said += w.say("; step: its time, the quickest's is 1; by time: rank if all train as long")
    if findings.ranking["at_edge"].ne("").any():
        said += w.say("; *: at the edge of the range tried")
    return f"{said}."


def estimate(row: pd.Series, words: Words = ENGLISH) -> str:
    """``0.9781 ± 0.0046 (1 of 5 diverged)`` of a row of :func:`bands.intervals`."""
    seeds, undefined = int(row["seeds"]), int(row["undefined"])
    lost = round(row["diverged"] * seeds)
    troubles = {
        "diverged": lost,
        "unfinished": seeds - int(row["n"]) - lost - undefined,
        "undefined": undefined,
    }
    agree = row["half_width"] == 0 and int(row["n"]) == seeds  # which is no interval
    same = [words.say("with each seed")] if agree else []
    return words.plus_minus(row["mean"], row["half_width"]) + _brackets(
        _few(row, words) + _troubles(troubles, seeds, words) + same
    )


def _by_seconds(timed: pd.DataFrame, name: str, w: Words) -> list[str]:
    """``1.31x``, ``2``: a step's time against the quickest's, and the rank in the same time."""
    if name not in timed.index:
        return ["–", "–"]
    row = timed.loc[name]
    return [w.mark(f"{row['relative']:.2f}x"), w.number(row["rank_by_seconds"])]


def _names(findings: Findings) -> dict[str, str]:
    return labels(findings.optimizers, 48)


def _troubles(counts: dict[str, int], seeds: int, words: Words) -> list[str]:
    return [
        words.say("{n} of {seeds} {what}", n=n, seeds=seeds, what=words.say(what))
        for what, n in counts.items()
        if n
    ]


def _trouble(row: pd.Series, metric: str, more: list[str], words: Words) -> str:
    """What befell the seeds of a configuration, in brackets."""
    if row["stopped"] == row["seeds"] and not pd.isna(row["stopped_step"]):
        return words.say(" (stopped at step {step})", step=words.whole(int(row["stopped_step"])))
    counts = {what: row[what] for what in ("diverged", "stopped", "unfinished")}
    counts["undefined"] = row[f"{metric}_undefined"]
    return _brackets(_few(row, words) + _troubles(counts, row["seeds"], words) + more)


def _few(row: pd.Series, words: Words) -> list[str]:
    seeds, missing = int(row["seeds"]), int(row["missing"])
    if not missing:
        return []
    nouns = words.plural(str(row["noun"]))
    return [words.say("{n} of {seeds} {what}", n=seeds, seeds=seeds + missing, what=nouns)]


def _brackets(said: list[str]) -> str:
    return f" ({', '.join(said)})" if said else ""
