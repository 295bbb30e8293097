"""What a study means: the sentence that names the winner, what to mind, and the table behind it."""

import math
import re
from typing import NamedTuple

import numpy as np
import pandas as pd

from jaxopt_course.report import doubts, ranges, separation
from jaxopt_course.report.findings import Findings
from jaxopt_course.report.looks import labels
from jaxopt_course.report.tables import DONE, ROUNDING
from jaxopt_course.report.words import (
    capital,
    counted,
    listed,
    mapping,
    number,
    plus_minus,
    replicate,
    settings,
    title,
)


def headline(findings: Findings) -> str:
    """Who wins, by how much, on how many seeds; and whether these seeds tell it from the others."""
    ranking, metric, names = findings.ranking, title(findings.metric), _names(findings)
    column, fresh = ("fresh_mean", "fresh ") if findings.confirmed else (findings.metric, "")
    scored = ranking[ranking[column].notna()]
    if scored.empty:
        return _no_winner(findings)
    done, asked = _seeds(findings, scored)
    noun = fresh + replicate(findings.manifest)
    first, half, n = scored.iloc[0], math.nan, int(done.iloc[0])
    if findings.confirmed:
        half = first["fresh_half_width"]
    seeds = counted(n, noun) if n == asked else f"{n} of {counted(asked, noun)}"
    result = f"{metric} {plus_minus(first[column], half)}, mean of {seeds}"
    given = settings(first, findings.tuned)
    winner = names[first["optimizer"]] + (f" with {given}" if given else "")
    equals = scored[done.ge(asked) == (n >= asked)]  # whoever has fewer seeds ranks after all these
    tied = equals.loc[_ties(equals, column), "optimizer"].map(names)
    if len(scored) == 1:
        verb = "reaches" if len(ranking) == 1 else "alone has a score:"
        said = f"{winner} {verb} {result}."
    elif len(tied) > 1:
        said = f"{listed(list(tied))} tie: {result}."
    elif len(equals) == 1:
        said = f"{winner} alone has a score on all {counted(asked, noun)}: {result}."
    else:
        second = equals.iloc[1]
        ahead = number(abs(first[column] - second[column]), 2)
        verb = "wins" if findings.confirmed else "leads the search"
        said = f"{winner} {verb}: {result}, {ahead} better than {names[second['optimizer']]}."
    sign = 1 if findings.manifest["direction"] == "max" else -1
    for place, row in scored.drop(equals.index).iterrows():
        if sign * (row[column] - first[column]) > 0:
            said += (
                f" {names[row['optimizer']]} has {number(row[column])}, but on {done[place]} of "
                f"{counted(asked, noun)}: it ranks after."
            )
    if first["optimizer"] in doubts.has_learned_nothing(findings):
        name = names[first["optimizer"]]
        said += f" {name} has learned nothing: one answer for all examples does as well."
    return f"{said} {separation.sentences(findings, scored, names)}".strip()


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
    trials = findings.finals if findings.confirmed else findings.trials
    why = doubts.undefined(trials, findings.metric)
    noun = ("fresh " if findings.confirmed else "") + replicate(findings.manifest)
    why = why or f"no optimizer has a configuration that finished on all its {noun}s"
    return f"No winner: {why}."


def remarks(findings: Findings) -> list[str]:
    """What a reader must know before trusting the table, one sentence each."""
    said, trials, ranking, names = [], findings.trials, findings.ranking, _names(findings)
    if findings.confirmed and not pd.isna(ranking["fresh_mean"].iloc[0]):
        before = ranking.sort_values("search_rank")["optimizer"].iloc[0]
        if before != ranking["optimizer"].iloc[0]:
            said.append(f"The search itself had put {names[before]} first.")
    diverged = int(trials["status"].eq("diverged").sum())
    if diverged:
        said.append(
            f"{diverged:,} of {counted(len(trials), 'trial')} diverged; a configuration with a "
            f"diverged seed has no score and ranks last."
        )
    stopped = int(trials["status"].eq("stopped").sum())
    if stopped:
        scheduler = mapping(findings.manifest, "scheduler").get("name", "the scheduler")
        said.append(
            f"{stopped:,} of {counted(len(trials), 'trial')} were stopped early by {scheduler}; "
            "they have no score and cannot win."
        )
    converged = int(trials["status"].eq("converged").sum())
    if converged:
        said.append(
            f"{converged:,} of {counted(len(trials), 'trial')} converged before their budget was "
            "used up; they score with their best evaluation."
        )
    unfinished = int((~trials["status"].isin([*DONE, "diverged", "stopped"])).sum())
    if unfinished:
        said.append(
            f"{unfinished:,} of {counted(len(trials), 'trial')} did not finish; scores are means "
            "of the seeds that did, and configurations with all seeds finished rank first."
        )
    said += doubts.fewer_seeds(findings, names) + doubts.dependent(findings)
    if why := doubts.undefined(trials, findings.metric):
        said.append(f"{capital(why)}; a configuration with such a trial has no score.")
    if findings.confirmed and (why := doubts.undefined(findings.finals, findings.metric)):
        said.append(f"On fresh seeds {why}; an optimizer with such a trial has no score.")
    if findings.confirmed and ranking["fresh_diverged"].gt(0).any():
        lost = list(ranking.loc[ranking["fresh_diverged"] > 0, "optimizer"].map(names))
        said.append(
            f"On fresh seeds {listed(lost)} diverged at least once: the mean given there is of "
            "the finished seeds only."
        )
    short = int((~findings.finals["status"].isin([*DONE, "diverged"])).sum())
    if findings.confirmed and short:
        said.append(f"{counted(short, 'trial')} on fresh seeds did not finish.")
    said += doubts.not_learned(findings, names)
    edges = ranking[ranking["at_edge"] != ""]
    if len(edges):
        ends = [f"{names[row['optimizer']]}: {row['at_edge']}" for _, row in edges.iterrows()]
        said.append(
            f"Best at the edge of the range tried, so that a wider one may do better: "
            f"{listed(ends)}."
        )
    return said + ranges.remarks(findings, names)


class Column(NamedTuple):
    """A column of the table of winners: its name, a shorter one for terminals, whether numeric."""

    name: str
    short: str
    numeric: bool


def ranking_table(findings: Findings, edge: str = " ({})") -> tuple[list[Column], list[list[str]]]:
    """The table of winners as text: its columns and, a row an optimizer, its cells.

    The hyperparameters are those searched; ``edge`` is what follows a value that is the ``lowest``
    or ``highest`` tried. The search's metric is the mean over its seeds; what fresh seeds gave is
    the mean ± the half width of its 95% interval.
    """
    metric, test = findings.metric, findings.test_metric
    estimated = [test] if test else []
    of = ""
    if findings.confirmed:
        estimated, of = [metric, *estimated], "fresh seeds: "
    header = [Column("rank", "#", True), Column("optimizer", "optimizer", False)]
    header += [Column(name, name.replace("_", " "), True) for name in findings.tuned]
    header += [Column(f"search: {title(metric)}", "search", True)]
    header += [
        Column(of + title(name), "fresh seeds" if name == metric else "test", True)
        for name in estimated
    ]
    header += [Column("trials diverged", "diverged", True)]
    found = findings.intervals.set_index(["optimizer", "metric"])
    names, rows, constant = _names(findings), [], doubts.has_learned_nothing(findings)
    for _, row in findings.ranking.iterrows():
        cells = [str(row["rank"]), names[row["optimizer"]]]
        for name in findings.tuned:
            end = re.search(rf"(?:^|, ){re.escape(name)} \((\w+)\)", row["at_edge"])
            value = "" if pd.isna(row[name]) else number(row[name], 3)  # none of its own
            cells.append(value + (edge.format(end[1]) if end else ""))
        more = ["has learned nothing"] if row["optimizer"] in constant else []
        cells.append(number(row[metric]) + _trouble(row, metric, more))
        for key in [(row["optimizer"], name) for name in estimated]:
            cells.append(estimate(found.loc[key]) if key in found.index else "not re-trained")
        cells.append(f"{row['trials_diverged'] / row['trials']:.0%}")
        rows.append(cells)
    return header, rows


def legend(findings: Findings) -> str:
    """What the short names of the columns mean."""
    metric, test = title(findings.metric), findings.test_metric
    all_of = f"mean over the {replicate(findings.manifest)}s"
    if findings.confirmed:
        said = f"search, fresh seeds: {metric}, {all_of} (± half of the 95% interval)"
        said += f"; test: {title(test)} on the fresh seeds" if test else ""
    else:
        said = f"search: {metric}, {all_of}"
        said += f"; test: {title(test)}" if test else ""
    said += "; diverged: share of the optimizer's trials"
    edges = findings.ranking["at_edge"].ne("").any()
    return f"{said}{'; *: at the edge of the range tried' if edges else ''}."


def estimate(row: pd.Series) -> str:
    """``0.9781 ± 0.0046 (1 of 5 diverged)`` of a row of :func:`bands.intervals`."""
    seeds, undefined = int(row["seeds"]), int(row["undefined"])
    lost = round(row["diverged"] * seeds)
    troubles = {
        "diverged": lost,
        "unfinished": seeds - int(row["n"]) - lost - undefined,
        "undefined": undefined,
    }
    return plus_minus(row["mean"], row["half_width"]) + _brackets(
        _few(row) + [f"{n} of {seeds} {what}" for what, n in troubles.items() if n]
    )


def _names(findings: Findings) -> dict[str, str]:
    return labels(findings.optimizers, 48)


def _trouble(row: pd.Series, metric: str, more: list[str]) -> str:
    """What befell the seeds of a configuration, in brackets."""
    if row["stopped"] == row["seeds"] and not pd.isna(row["stopped_step"]):
        return f" (stopped at step {row['stopped_step']:,})"
    counts = {what: row[what] for what in ("diverged", "stopped", "unfinished")}
    counts["undefined"] = row[f"{metric}_undefined"]
    said = [f"{n} of {row['seeds']} {what}" for what, n in counts.items() if n]
    return _brackets(_few(row) + said + more)


def _few(row: pd.Series) -> list[str]:
    seeds, missing = int(row["seeds"]), int(row["missing"])
    return [f"{seeds} of {seeds + missing} {row['noun']}s"] if missing else []


def _brackets(said: list[str]) -> str:
    return f" ({', '.join(said)})" if said else ""
