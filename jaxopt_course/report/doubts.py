"""What takes weight from a score: undefined values, fewer seeds than others, nothing learned."""

import math
import re

import numpy as np
import pandas as pd

from jaxopt_course.report.findings import Findings
from jaxopt_course.report.tables import DONE, finite
from jaxopt_course.report.words import Words, amount, capital, mapping, replicate, sequence

REASONS = {"auc": "AUC needs both classes in the data that it is measured on"}
CONSTANT = {"r2": 0.0, "auc": 0.5}  # what the best single answer reaches on any data, at most


def undefined(trials: pd.DataFrame, metric: str, words: Words) -> str:
    """In how many finished trials ``metric`` has no finite value, and why; empty if in none."""
    finished = trials[trials["status"].isin(DONE)]
    lost = finished[finite(finished[metric]).isna()]
    if lost.empty:
        return ""
    values = lost[metric].astype("float64")
    what = words.say("infinite") if np.isinf(values).all() else words.say("not a number")
    if np.isinf(values).any() and values.isna().any():
        what = words.say("infinite or not a number")
    name = re.sub("^(best_)?(train|valid)_", "", metric)
    losses = finite(lost["valid_loss"]) if "valid_loss" in lost else pd.Series(np.nan, lost.index)
    if name == "loss" or losses.isna().all():
        why = words.say("the outputs of these networks are beyond what numbers hold")
    elif losses.notna().all():
        finite_loss = "their loss is finite, so it is the metric that is undefined"
        why = words.say(REASONS.get(name, finite_loss))
    else:
        why = words.say("in some of them the validation loss is not finite either")
    return words.say(
        "{metric} is {what} in {n} of the {trials} that finished: {why}",
        metric=words.title(metric), what=what, n=words.whole(len(lost)),
        trials=words.counted(len(finished), "trial"), why=why,
    )  # fmt: skip


def fewer_seeds(findings: Findings, names: dict[str, str]) -> list[str]:
    """Which configurations have fewer seeds than others, and what that means for their rank."""
    said, table, noun = [], findings.configurations, replicate(findings.manifest)
    w, few = findings.words, int((table["seeds"] < table["seeds"].max()).sum())
    if few:
        template = (
            "{n} of {configurations} has fewer than {most}; it ranks after those with all, for a "
            "mean of few {seeds} is luck more easily."
            if few == 1
            else "{n} of {configurations} have fewer than {most}; they rank after those with all, "
            "for a mean of few {seeds} is luck more easily."
        )
        said.append(
            w.say(
                template, n=w.whole(few), configurations=w.counted(len(table), "configuration"),
                most=w.counted(int(table["seeds"].max()), noun), seeds=w.plural(noun),
            )
        )  # fmt: skip
    short = findings.intervals.loc[findings.intervals["missing"] > 0, "optimizer"].unique()
    if findings.confirmed and len(short):
        template = (
            "{names} has fewer fresh seeds than others, and ranks after them."
            if len(short) == 1
            else "{names} have fewer fresh seeds than others, and rank after them."
        )
        said.append(w.say(template, names=w.listed([names[name] for name in short])))
    return said


def dependent(findings: Findings) -> list[str]:
    """That an interval over folds is too narrow; nothing where seeds alone repeat."""
    columns = sequence(findings.manifest, "replicates")
    if not (findings.confirmed and columns):
        return []
    w = findings.words
    template = (
        "Trainings that differ in {columns} may share data, as folds do: their scores depend on "
        "each other, and intervals over them are too narrow."
    )
    return [w.say(template, columns=w.listed(columns))]


def in_units(findings: Findings, names: dict[str, str]) -> list[str]:
    """What the winner's squared error is in units of the target; nothing where none are known."""
    target = mapping(mapping(findings.manifest, "task"), "target")
    scale, first = target.get("scale"), findings.ranking.iloc[0]
    loss = first["fresh_mean" if findings.confirmed else findings.metric]
    if not (isinstance(scale, float) and 0 < scale < float("inf")):
        return []
    if findings.metric.removeprefix("best_") != "valid_loss" or not loss >= 0:
        return []
    w, constant = findings.words, constants(findings).get("loss")
    error = lambda square: _units(scale * math.sqrt(square), w)
    template = "{metric} of {name} is an error of {error} in {target} (root of the mean square)"
    said = w.say(
        template,
        metric=capital(w.title("valid_loss")), name=names[first["optimizer"]],
        error=error(loss), target=str(target.get("name")),
    )  # fmt: skip
    if constant is not None and constant >= 0:
        said += w.say("; one answer for all examples has {error}", error=error(constant))
    found = findings.intervals.set_index(["optimizer", "metric"])["mean"]
    if (key := (first["optimizer"], "valid_r2")) in found.index and not pd.isna(found[key]):
        said += w.say("; {metric} {value}", metric=w.title("valid_r2"), value=w.number(found[key]))
    return [said + "."]


def _units(value: float, words: Words) -> str:
    """``17,058``, ``0.4211``: as people write amounts."""
    return words.whole(round(value)) if 1e3 <= value < 1e12 else words.number(value)


def unlearned(findings: Findings) -> dict[str, list[str]]:
    """Metric -> the optimizers whose winner is no better in it than one answer for all examples.

    What such an answer reaches on the validation part is ``task.baselines`` of the manifest (metric
    -> number; the commonest class, the mean); of R² and AUC it is known without.
    """
    found: dict[str, list[str]] = {}
    directions = _directions(findings)
    for name, constant in constants(findings).items():
        rows = findings.intervals[findings.intervals["metric"] == f"valid_{name}"]
        sign = {"max": 1, "min": -1}.get(str(directions.get(name)))
        if sign is None or rows.empty:
            continue
        ahead = sign * (rows["mean"] - constant)
        behind = ahead <= 1e-6 * max(1.0, abs(constant))  # a float32's rounding is not learning
        found[name] = rows.loc[behind, "optimizer"].tolist()
    return found


def constants(findings: Findings) -> dict[str, float]:
    """Metric -> what one answer for all examples reaches, where it is known."""
    directions = _directions(findings)
    known = {name: x for name, x in CONSTANT.items() if directions.get(name) == "max"}
    given = mapping(mapping(findings.manifest, "task"), "baselines")
    return known | {name: float(x) for name, x in given.items() if amount(x, "{}")}


ABOVE = "▲: above {value}, three times what one answer for all examples has"


def ceiling(findings: Findings, values: pd.Series) -> float | None:
    """Where an axis of the study's metric may end, so that what broke does not flatten the rest.

    Three times what one answer for all examples reaches; None if it is not known, if higher is
    better, or if nothing lies far above it.
    """
    name = findings.metric.removeprefix("best_").removeprefix("valid_")
    constant, known = constants(findings).get(name), finite(values).dropna()
    if findings.manifest["direction"] == "max" or constant is None or known.empty:
        return None
    top = 3 * constant
    return top if top > 0 and known.min() < top and known.max() > 10 * top else None


def _directions(findings: Findings) -> dict[str, str]:
    return dict.fromkeys(CONSTANT, "max") | mapping(mapping(findings.manifest, "task"), "metrics")


def wasted(findings: Findings) -> list[str]:
    """How many trials that count as no divergence are no better than one answer for all."""
    w, name = findings.words, findings.metric.removeprefix("best_").removeprefix("valid_")
    constant, trials = constants(findings).get(name), findings.trials
    values = finite(trials.loc[trials["status"].isin(DONE), findings.metric]).dropna()
    if constant is None or values.empty:
        return []
    sign = 1 if findings.manifest["direction"] == "max" else -1
    n = int((sign * (values - constant) <= 1e-6 * max(1.0, abs(constant))).sum())
    template = (
        "{n} of {trials} did not diverge and are no better than one answer for all examples "
        "({metric} {value})."
    )
    one = (
        "{n} of {trials} did not diverge and is no better than one answer for all examples "
        "({metric} {value})."
    )
    said = w.say(
        one if n == 1 else template, n=w.whole(n), trials=w.counted(len(trials), "trial"),
        metric=w.title(findings.metric), value=w.number(constant),
    )  # fmt: skip
    return [said] if n else []


def has_learned_nothing(findings: Findings) -> set[str]:
    """The optimizers that are behind in every metric for which it is known."""
    lists = [set(names) for names in unlearned(findings).values()]
    return set.intersection(*lists) if lists else set()


def not_learned(findings: Findings, names: dict[str, str]) -> list[str]:
    """A sentence a metric in which some are no better than one answer for all examples."""
    known, w = constants(findings), findings.words
    ranked = findings.ranking["optimizer"]
    template = (
        "{metric} of {names} is no better than that of one answer for all examples ({value})."
    )
    return [
        w.say(
            template,
            metric=capital(w.title(f"valid_{metric}")),
            names=w.listed([names[name] for name in ranked if name in behind]),
            value=w.number(known[metric]),
        )
        for metric, behind in unlearned(findings).items()
        if behind
    ]
