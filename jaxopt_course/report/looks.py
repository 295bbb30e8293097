"""How things look, the same in every figure: each optimizer's colour, dash and marker; the axes."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from jaxopt_course.report.findings import Findings
from jaxopt_course.report.words import mapping, number, short

Dash = tuple[int, tuple[int, ...]]

# Ten hues of middle lightness, found by search so that each stands out on white and on the page's
# dark ground (about 3 : 1) and no two meet for readers who do not see red or green.  Every fourth
# has the same dash: in this order those differ most (the two blues and the two greens are apart).
COLOURS = (
    "#3d61b7", "#d18c0c", "#19724e", "#8d4386", "#9a4902",
    "#b47ebb", "#8f7b11", "#707a8b", "#58ac6d", "#27a0e8",
)  # fmt: skip
# Plotly's name and matplotlib's.
DASHES: tuple[tuple[str, Dash], ...] = (
    ("solid", (0, ())),
    ("7px,3px", (0, (7, 3))),
    ("2px,2px", (0, (2, 2))),
    ("7px,2px,2px,2px", (0, (7, 2, 2, 2))),
)
MARKERS = (
    ("circle", "o"), ("square", "s"), ("triangle-up", "^"), ("diamond", "D"),
    ("triangle-down", "v"), ("pentagon", "p"), ("star", "*"), ("hexagon", "h"),
    ("triangle-left", "<"), ("triangle-right", ">"),
)  # fmt: skip


@dataclass(frozen=True)
class Look:
    """One optimizer's line: dash and marker as plotly says them and as matplotlib does."""

    colour: str
    plotly_dash: str
    matplotlib_dash: Dash
    plotly_marker: str
    matplotlib_marker: str


def looks(names: Iterable[str]) -> dict[str, Look]:
    """A look for each name, by its place alone; 40 differ in colour or dash already."""
    found = {}
    for i, name in enumerate(names):
        turn, hue = divmod(i, len(COLOURS))
        dash, marker = DASHES[(i + turn) % len(DASHES)], MARKERS[i % len(MARKERS)]
        found[name] = Look(COLOURS[hue], *dash, *marker)
    return found


def labels(names: Sequence[str], most: int = 24) -> dict[str, str]:
    """A short label for each name; two names never share one."""
    given: dict[str, str] = {}
    for name in names:
        label, n = short(name, most), 1
        while label in given.values():
            n += 1
            label = f"{short(name, most - 2)}·{n}"
        given[name] = label
    return given


SCORES = ("accuracy", "auc", "f1", "r2")  # of which 1 is the most


@dataclass(frozen=True)
class Axis:
    """Places on an axis that may be logarithmic and then still holds 0, set apart at its left.

    Of ``errors`` it is a score's: 1 less the score is logarithmic and falls upwards, so that 0.98
    and 0.99 lie as far apart as 0.8 and 0.9; its ticks are errors, their texts scores.
    """

    log: bool
    ticks: list[float]  # of a logarithmic axis
    texts: list[str]
    zero: float = 0.0  # where 0 is drawn
    gap: float | None = None  # where the axis is broken, if it holds a 0
    errors: bool = False

    def place(self, values: Iterable[float]) -> np.ndarray:
        """Where on the axis ``values`` lie."""
        values = np.asarray(values, float)
        if not self.log:
            return values
        values = 1 - values if self.errors else values
        least = self.zero if self.errors else 0.0
        return np.where(values > least, values, np.where(np.isnan(values), values, self.zero))


def rate_axis(values: Iterable[float]) -> Axis:
    """A logarithmic axis for non-negative ``values``, such as learning rates."""
    values = np.asarray(values, float)
    positive = values[values > 0]
    low, high = (positive.min(), positive.max()) if len(positive) else (1.0, 1.0)
    ticks = log_ticks(low, high)
    texts = [number(tick) for tick in ticks]
    if len(positive) == len(values):
        return Axis(True, ticks, texts)
    return Axis(True, [low / 10, *ticks], ["0", *texts], low / 10, low / 10**0.5)


def value_axis(findings: Findings, quantity: str, values: Iterable[float]) -> Axis:
    """Logarithmic for what is to be low, if the finite ``values`` are positive, over a decade."""
    given = np.asarray(values, float)
    given = given[np.isfinite(given)]
    if not len(given) or given.min() <= 0 or given.max() <= 10 * given.min():
        return Axis(False, [], [])
    metric = re.sub("^(best_)?(train|valid|test)_", "", quantity)
    directions = mapping(mapping(findings.manifest, "task"), "metrics")
    if directions.get(metric, "min" if metric == "loss" else "max") == "max":
        return Axis(False, [], [])
    ticks = log_ticks(given.min(), given.max())
    return Axis(True, ticks, [number(tick) for tick in ticks])


def score_axis(findings: Findings, quantity: str, values: Iterable[float]) -> Axis:
    """As :func:`value_axis`; of errors for a score of at most 1 whose errors span a decade."""
    metric = re.sub("^(best_)?(train|valid|test)_", "", quantity)
    given = np.asarray(values, float)
    given = 1 - given[np.isfinite(given)]
    if (
        not (metric in SCORES or metric.endswith("_accuracy"))
        or not len(given)
        or given.min() < -1e-6
    ):
        return value_axis(findings, quantity, values)
    positive = given[given > 1e-6]  # float32 rounds a mean of ones
    if not len(positive) or given.max() <= 10 * given.min():
        return value_axis(findings, quantity, values)
    low, whole = float(positive.min()), given.min() <= 1e-6
    ticks = log_ticks(low, float(given.max()))
    texts = [number(1 - tick, 6) for tick in ticks]
    if whole:
        ticks, texts = [low / 3, *ticks], ["1", *texts]
    return Axis(True, ticks, texts, low / 3 if whole else low / 10, errors=True)


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten from ``low`` to ``high``, with 2 and 5 between if these are few."""
    decades = np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1).astype(int)
    steps = (1, 2, 5) if high < 300 * low else (1,)
    every = decades[:: -(-len(decades) // 9)]
    ticks = [float(f"{step}e{decade}") for decade in every for step in steps]
    ticks = [tick for tick in ticks if low / 1.2 <= tick <= high * 1.2]
    return ticks if len(ticks) > 1 else sorted({low, high})


def time_axis(findings: Findings) -> tuple[float, str]:
    """Updates a unit of the axis of training time, and the axis' title."""
    budget = mapping(findings.manifest, "budget")
    if budget.get("epochs") and budget.get("steps_per_epoch"):
        return float(budget["steps_per_epoch"]), "epoch (passes over the training data)"
    return 1.0, "training step (updates)"
