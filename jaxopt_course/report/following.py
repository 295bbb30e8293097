"""What to do next: wider where the best is at an edge, longer where curves fall, more seeds."""

import math
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from jaxopt_course.report import commands, population, tables
from jaxopt_course.report.findings import Findings
from jaxopt_course.report.looks import labels
from jaxopt_course.report.words import mapping, number, replicate

DECADES = 1.0  # by how much a range is widened, beyond its edge
MANY = 200  # seeds, beyond which nobody would tell two apart by more of them
TAIL = 0.25  # of the training, in which a winner that still improves would gain by more


class Step(NamedTuple):
    """A sentence, and the command that does it; None where only Python can."""

    said: str
    command: str | None = None


def steps(findings: Findings) -> list[Step]:
    """What the study itself asks for, the most urgent first; one sentence if nothing does."""
    first = findings.ranking.iloc[0]
    w, column = findings.words, "fresh_mean" if findings.confirmed else findings.metric
    if pd.isna(first[column]):
        return [_unscored(findings)]
    found = [*_edges(findings), *_longer(findings), *_seeds(findings)]
    if not found:
        found = [Step(w.say("Nothing in this study asks for more: use it."))]
    return found


def again(findings: Findings) -> str | None:
    """The command that trains the winner alone, with its numbers, on the same data.

    None where it was not made by ``compare``, or where numbers besides the rate were searched.
    """
    best = findings.ranking.iloc[0]
    rate = best.get("learning_rate", pd.NA)
    if pd.isna(rate) or population.schedule(findings):
        return None
    given: dict[str, list[Any]] = {
        "--optimizers": [best["optimizer"]],
        "--learning-rates": [1],
        "--learning-rate-min": [float(rate)],
        "--learning-rate-max": [float(rate)],
    }
    return _grid(findings, given)


def _unscored(findings: Findings) -> Step:
    w, trials = findings.words, findings.trials
    if trials["status"].eq("diverged").any() and "learning_rate" in findings.tuned:
        lowest = float(trials["learning_rate"].dropna().astype(float).min())
        given: dict[str, list[Any]] = {
            "--learning-rate-min": [_rounded(lowest / 1000)],
            "--learning-rate-max": [_rounded(lowest)],
        }
        said = w.say("No configuration has a score: try learning rates below {rate}.",
                     rate=w.number(lowest, 2))  # fmt: skip
        return Step(said, _grid(findings, given))
    return Step(w.say("No configuration has a score: see below why."))


def _edges(findings: Findings) -> list[Step]:
    """Where the best stands at the end of a range: wider by a decade."""
    w, names = findings.words, labels(findings.optimizers, 48)
    row = findings.ranking.iloc[0]
    found: list[Step] = []
    if population.moves(findings.manifest):  # ends of what they began with, not of what they had
        return found
    for name in findings.tuned:
        own = findings.trials.loc[findings.trials["optimizer"] == row["optimizer"]]
        end = tables.edge(own, row, name)
        if not end:
            continue
        values = own[name].dropna().astype(float)
        upper = "highest" in end
        if not upper and values.min() <= 0:
            continue  # there is nothing below
        reach = beyond(values, upper, name)
        said = w.say(
            "The best {name} of {optimizer} is the highest tried: widen to {reach}."
            if upper
            else "The best {name} of {optimizer} is the lowest tried: widen to {reach}.",
            name=name, optimizer=names[row["optimizer"]], reach=w.number(reach, 2),
        )  # fmt: skip
        command = None
        if name == "learning_rate":
            ends = [float(values.min()), float(values.max())]
            ends[upper] = reach
            given: dict[str, list[Any]] = {
                "--learning-rate-min": [_rounded(ends[0])],
                "--learning-rate-max": [_rounded(ends[1])],
                "--learning-rates": [_as_dense(values, reach)],
            }
            command = _grid(findings, given)
        found.append(Step(said, command))
    return found


def _grid(findings: Findings, given: dict[str, list[Any]]) -> str | None:
    """The command with a grid of these rates; None where other numbers were searched too."""
    if {*findings.tuned} - {"learning_rate"}:
        return None
    command = str(findings.manifest.get("command") or "")
    return commands.changed(command, {"--search": ["grid"]} | given, ("--trials", "--tune"))


def beyond(values: pd.Series, upper: bool, name: str = "") -> float:
    """Where a range is to reach: a decade beyond its end, of a decay a decade nearer to 1.

    What lies from 0.5 to 1 and is no learning rate is a decay, as momentum: 0.9 -> 0.99, and below
    its lower end as much again as it spans.  So does a range that holds 0 or less at both ends.

    >>> [beyond(pd.Series([0.1, 0.9]), True, name) for name in ("learning_rate", "momentum")]
    [9.0, 0.99]
    """
    edge, span = float(values.max() if upper else values.min()), float(values.max() - values.min())
    decay = name != "learning_rate" and 0.5 < edge < 1 and values.between(0, 1).all()
    if decay and upper:
        return float(f"{1 - (1 - edge) / 10:.6g}")
    if decay or values.min() <= 0:
        return edge + (span if upper else -span)
    return float(f"{edge * 10.0 ** (DECADES if upper else -DECADES):.2g}")


def _as_dense(values: pd.Series, reach: float) -> int:
    """So many values that the wider range has as many a decade as the narrower one."""
    values = values[values > 0]
    low, high = float(values.min()), float(values.max())
    density = (values.nunique() - 1) / max(math.log(high / low), 1e-9)
    return round(density * math.log(max(high, reach) / min(low, reach))) + 1


def _rounded(value: float) -> str:
    return number(float(f"{value:.3g}"), 3)


def _longer(findings: Findings) -> list[Step]:
    """Whether the winner's validation still improves in its last quarter, by more than noise."""
    found = still_improves(findings)
    if found is None or not found:
        return []
    w, budget = findings.words, mapping(findings.manifest, "budget")
    epochs = budget.get("epochs")
    command = None
    if isinstance(epochs, int):
        command = commands.changed(
            str(findings.manifest.get("command") or ""), {"--epochs": [2 * epochs]}
        )
    return [Step(w.say("The winner still improves when training ends: train longer."), command)]


def still_improves(findings: Findings) -> bool | None:
    """Whether the winner's metric is better at its end than before the last quarter, by 1%.

    By one hundredth of what it gained in all, and its best evaluation is in that quarter; None
    where there are fewer than eight evaluations.
    """
    metric = findings.metric.removeprefix("best_")
    curves = findings.curves
    name = findings.ranking["optimizer"].iloc[0]
    mine = curves[(curves["quantity"] == metric) & (curves["optimizer"] == name)]
    values = mine["mean"].to_numpy(float)
    if len(values) < 8:
        return None
    sign = 1 if findings.manifest["direction"] == "max" else -1
    cut = len(values) - max(1, round(TAIL * len(values)))
    gained = sign * (values.max() if sign > 0 else values.min()) - sign * values[0]
    tail = sign * values[cut:].mean() - sign * values[cut - (len(values) - cut) : cut].mean()
    best_at = int(np.argmax(sign * values))
    return bool(best_at >= cut and gained > 0 and tail > 0.01 * gained)


def _seeds(findings: Findings) -> list[Step]:
    """Fresh seeds where there are none, or as many as would tell the nearest from the winner."""
    w, command = findings.words, str(findings.manifest.get("command") or "")
    if not findings.confirmed:
        said = w.say("Nothing was trained on fresh seeds: confirm the winners on eight.")
        return [Step(said, commands.changed(command, {"--confirm": [8]}))]
    close = findings.comparisons
    close = close[~close["separated"] & ~close["tied"] & close["seeds_needed"].notna()]
    if close.empty:
        return []
    row = close.iloc[0]
    needed, name = int(row["seeds_needed"]), labels(findings.optimizers, 48)[row["optimizer"]]
    seeds = w.counted(needed, f"fresh {replicate(findings.manifest)}")
    if needed > MANY:
        template = "{name} is as good for all that {seeds} could tell: take whichever you like."
        return [Step(w.say(template, name=name, seeds=w.counted(MANY, "seed")))]
    said = w.say("{seeds} would tell the winner from {name}.", seeds=seeds, name=name)
    return [Step(said, commands.changed(command, {"--confirm": [needed]}))]
