"""The figures of ``optimizers_on_tables.py``, in English and Spanish: numbers from its files alone.

``tables_page.py`` puts them beside the guides.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from experiments.benchmarks.default_list import MEAN, shares
from jaxopt_course.report.measures.budgets import counts

Say = Callable[[str, str], str]  # (English, Spanish) -> the one that is wanted
RESAMPLES = 300
BLUE, RED, GREY = "#3d61b7", "#b4512d", "#8a8f98"


class Found(NamedTuple):
    """The tables that the benchmark wrote."""

    tables: pd.DataFrame
    trials: pd.DataFrame
    fresh: pd.DataFrame
    ranks: pd.DataFrame
    against: pd.DataFrame
    numbers: pd.DataFrame
    default_list: pd.DataFrame
    seconds: pd.DataFrame


def at_budget(trials: pd.DataFrame, steps: int | None) -> pd.DataFrame:
    """The trials as if they had ended after so many steps; None: as they are."""
    if steps is None:
        return trials
    return trials.assign(
        score=trials[f"score_at_{steps}"], mean=trials.get(f"mean_at_{steps}", np.nan)
    )


def budgets(trials: pd.DataFrame, whole: int) -> dict[int, int | None]:
    """Steps -> what :func:`at_budget` takes; the whole training last."""
    known = sorted(
        int(name.removeprefix("score_at_")) for name in trials if name.startswith("score_at_")
    )
    return {**dict(zip(known, known, strict=True)), whole: None}


def learned(found: Found, steps: int | None) -> pd.DataFrame:
    """(entrant and place, tables): share of what any configuration learns in whole trainings."""
    best = shares(found.trials, found.tables)
    if steps is None:
        return best
    base = found.tables.set_index("table")["baseline"].fillna(0.0)
    both = pd.concat(
        [
            found.trials.assign(entrant=found.trials["optimizer"] + end, value=found.trials[name])
            for name, end in (("score", ""), ("mean", MEAN))
        ]
    )
    top = both.groupby("table")["value"].max()
    early = at_budget(found.trials, steps)
    both = pd.concat(
        [
            early.assign(entrant=early["optimizer"] + end, value=early[name])
            for name, end in (("score", ""), ("mean", MEAN))
        ]
    )
    wide = both.pivot(index=["entrant", "place"], columns="table", values="value")
    wide = wide.reindex(index=best.index, columns=best.columns)
    scaled = (wide - base[best.columns]) / (top - base)[best.columns]
    return scaled.clip(lower=0.0).fillna(0.0)


def expected_best(values: np.ndarray, n: int) -> np.ndarray:
    """Mean of the best of n configurations drawn with replacement, along the first axis.

    Of N sorted values the best is at most the k-th with probability (k/N)^n.

    >>> expected_best(np.array([0.0, 1.0]), 2).item()
    0.75
    """
    ordered = np.sort(values, axis=0)
    reached = (np.arange(len(values) + 1) / len(values)) ** n
    return np.tensordot(np.diff(reached), ordered, axes=1)


def worth(found: Found, steps: int | None, n: int) -> pd.DataFrame:
    """(entrants, tables): what the best of n configurations is worth there."""
    whole = learned(found, steps)
    return pd.DataFrame(
        {
            entrant: expected_best(own.to_numpy(), n)
            for entrant, own in whole.groupby(level="entrant", sort=False)
        },
        index=whole.columns,
    ).T


def winner_map(found: Found, whole: int) -> pd.DataFrame:
    """A row a budget of steps and trials: who is worth most, and how often it stays the winner.

    ``sure`` is the share of bootstrap samples of the tables in which it wins too.
    """
    random = np.random.default_rng(0)
    rows = []
    most = int(found.trials.groupby(["table", "optimizer"]).size().max())
    for steps, key in budgets(found.trials, whole).items():
        for n in counts(most):
            values = worth(found, key, n)
            array = values.to_numpy()
            first = int(array.mean(1).argmax())
            drawn = random.integers(array.shape[1], size=(RESAMPLES, array.shape[1]))
            again = array[:, drawn].mean(2).argmax(0)
            rows.append(
                {"steps": steps, "n": n, "entrant": values.index[first]}
                | {"worth": array[first].mean(), "sure": (again == first).mean()}
            )
    return pd.DataFrame(rows)


def two_clocks(found: Found, whole: int) -> pd.DataFrame:
    """A row an entrant: mean rank over tables after as many steps, and after as many seconds.

    The budget in seconds is what the reference's whole training takes; who is slower ends at the
    largest written budget that fits (the whole training where he is faster: longer ones were not
    trained).
    """
    second = found.seconds.set_index("optimizer")["seconds_per_step"]
    allowed = budgets(found.trials, whole)
    most = int(found.trials.groupby(["table", "optimizer"]).size().max())
    by = {steps: worth(found, key, most) for steps, key in allowed.items()}
    steps = by[whole]
    seconds = steps.copy()
    limit = whole * float(second["adamw"])
    for entrant in steps.index:
        own = limit / float(second[entrant.removesuffix(MEAN)])
        fits = [budget for budget in allowed if budget <= own]
        seconds.loc[entrant] = by[max(fits)].loc[entrant] if fits else 0.0
    both = pd.DataFrame(
        {
            "by_steps": steps.rank(ascending=False).mean(axis=1),
            "by_seconds": seconds.rank(ascending=False).mean(axis=1),
        }
    )
    both["relative_step"] = [
        float(second[name.removesuffix(MEAN)] / second["adamw"]) for name in both.index
    ]
    return both.sort_values("by_steps", kind="stable")


def variance(found: Found) -> pd.DataFrame:
    """A row a source: its mean share of a table's variance, and the quartiles over tables.

    Of the searched configurations of a table: between optimizers, and within them, which is their
    numbers. ``seed`` is the variance of the winners over fresh seeds, on the test part, of which
    it is the mean; it is not part of the other two.
    """
    rows = []
    values = shares(found.trials, found.tables)
    base = found.tables.set_index("table")["baseline"].fillna(0.0)
    top = pd.concat([found.trials["score"], found.trials["mean"]], axis=1).max(axis=1)
    top = top.groupby(found.trials["table"]).max()
    for table in values.columns:
        own = values[table].groupby(level="entrant")
        means, within = own.mean(), own.var(ddof=0)
        scale = (top - base)[table]
        fresh = found.fresh[found.fresh["table"] == table]
        seed = (fresh["test"] / scale).groupby(fresh["entrant"]).var().mean()
        parts = {"optimizer": means.var(ddof=0), "numbers": within.mean(), "seed": seed}
        total = sum(parts.values())
        rows.append({name: part / total for name, part in parts.items()})
    whole = pd.DataFrame(rows)
    return pd.DataFrame(
        {
            "share": whole.mean(),
            "low": whole.quantile(0.25),
            "high": whole.quantile(0.75),
        }
    )


def ranks_figure(found: Found, say: Say, most: int = 30) -> Any:
    """Mean ranks with their intervals, the best first."""
    import matplotlib.pyplot as plt

    table = found.ranks.head(most)
    figure, axes = plt.subplots(figsize=(7, 0.24 * len(table) + 1.1), layout="constrained")
    y = np.arange(len(table))
    wide = np.abs(table[["mean_rank_low", "mean_rank_high"]].T - table["mean_rank"].to_numpy())
    axes.errorbar(table["mean_rank"], y, xerr=wide, fmt="o", color=BLUE, ms=4, lw=1.2)
    axes.set_yticks(y, table["optimizer"])
    axes.invert_yaxis()
    tables, of = len(found.tables), len(found.ranks)
    axes.set_xlabel(
        say(
            f"mean rank over {tables} tables, of {of} entrants (95 %)",
            f"rango medio en {tables} tablas, de {of} participantes (95 %)",
        )
    )
    axes.grid(axis="x", alpha=0.3)
    return figure


def against_figure(found: Found, say: Say) -> Any:
    """Tables won, tied and lost against the reference; the median gain beside it."""
    import matplotlib.pyplot as plt

    table = found.against.sort_values("won", ascending=False, kind="stable")
    balance = (table["won"] - table["lost"]).to_numpy()
    table = table.iloc[np.argsort(-balance, kind="stable")].head(30)
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(9, 0.24 * len(table) + 1.1), layout="constrained", sharey=True
    )
    y = np.arange(len(table))
    left.barh(y, table["won"], color=BLUE, label=say("won", "ganadas"))
    left.barh(y, -table["lost"], color=RED, label=say("lost", "perdidas"))
    left.set_yticks(y, table["entrant"])
    left.invert_yaxis()
    left.axvline(0, color="black", lw=0.8)
    left.xaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
    left.set_xlabel(say("tables (paired t-test, Holm, 95 %)", "tablas (t pareada, Holm, 95 %)"))
    left.legend(loc="lower right", frameon=False)
    wide = np.abs(table[["gain_low", "gain_high"]].T - table["gain"].to_numpy())
    right.errorbar(table["gain"], y, xerr=wide, fmt="o", color=BLUE, ms=3, lw=1)
    right.plot(table["median_gain"], y, "|", color="black", ms=8)
    right.axvline(0, color="black", lw=0.8)
    right.set_xlabel(
        say(
            "gain over adamw: mean, 95 %; stroke: median",
            "ganancia sobre adamw: media, 95 %; raya: mediana",
        )
    )
    for axes in (left, right):
        axes.grid(axis="x", alpha=0.3)
    return figure


def map_figure(table: pd.DataFrame, say: Say) -> Any:
    """Steps by trials: who is worth most; the paler, the less sure."""
    import matplotlib.pyplot as plt
    from matplotlib.colors import to_rgb

    from jaxopt_course.report.looks import COLOURS

    steps, numbers = sorted(table["steps"].unique()), sorted(table["n"].unique())
    names = list(table["entrant"].value_counts().index)
    colour = {name: to_rgb(COLOURS[i % len(COLOURS)]) for i, name in enumerate(names)}
    picture = np.ones((len(numbers), len(steps), 3))
    figure, axes = plt.subplots(figsize=(8, 4.6), layout="constrained")
    for row in table.itertuples():
        place = numbers.index(row.n), steps.index(row.steps)
        strength = 0.25 + 0.75 * row.sure
        picture[place] = 1 - strength * (1 - np.array(colour[row.entrant]))
        axes.text(
            place[1], place[0], f"{row.entrant}\n{row.sure:.0%}", ha="center", va="center",
            fontsize=6.5, color="white" if strength > 0.8 else "black",
        )  # fmt: skip
    axes.imshow(picture, aspect="auto", origin="lower")
    axes.set_xticks(range(len(steps)), [str(n) for n in steps])
    axes.set_yticks(range(len(numbers)), [str(n) for n in numbers])
    axes.set_xlabel(say("steps of a training", "pasos de un entrenamiento"))
    axes.set_ylabel(say("trainings to tune", "entrenamientos para ajustar"))
    return figure


def spread(places: np.ndarray, least: float) -> np.ndarray:
    """The places in their order, at least so far from each other: labels do not overlap.

    >>> spread(np.array([1.0, 0.0, 1.0]), 0.5).tolist()
    [1.0, 0.0, 1.5]
    """
    order = np.argsort(places, kind="stable")
    steps = least * np.arange(len(places))
    moved = np.empty(len(places))
    moved[order] = np.maximum.accumulate(places[order] - steps) + steps
    return moved


def clocks_figure(table: pd.DataFrame, say: Say, most: int = 25) -> Any:
    """A line an entrant from its rank by steps to that by seconds."""
    import matplotlib.pyplot as plt

    table = table.head(most)
    both = table[["by_steps", "by_seconds"]].to_numpy()
    places = dict(zip(table.index, spread(both[:, 1], np.ptp(both) / 40), strict=True))
    figure, axes = plt.subplots(figsize=(7, 6.5), layout="constrained")
    for name, row in table.iterrows():
        slower = row["by_seconds"] > row["by_steps"] + 1
        colour = RED if slower else GREY
        axes.plot([0, 1], [row["by_steps"], row["by_seconds"]], color=colour, lw=1)
        axes.plot([1, 1.04], [row["by_seconds"], places[name]], color=colour, lw=0.5)
        axes.text(1.05, places[name], f"{name} ({row['relative_step']:.2f})", va="center",
                  fontsize=7)  # fmt: skip
    axes.set_xticks([0, 1], [say("by steps", "por pasos"), say("by seconds", "por segundos")])
    axes.set_xlim(-0.1, 1.6)
    axes.invert_yaxis()
    axes.set_ylabel(say("mean rank", "rango medio"))
    return figure


def regret_figure(found: Found, say: Say) -> Any:
    """How far the first k configurations of the list stay behind the best of all."""
    import matplotlib.pyplot as plt

    table = found.default_list
    figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
    k = np.arange(1, 1 + len(table))
    unseen = say("on a table that it has not seen", "en una tabla que no ha visto")
    seen = say("on the tables that made it", "en las tablas que la hicieron")
    axes.plot(k, table["regret_left_out"], "o-", color=BLUE, label=unseen)
    axes.plot(k, table["regret"], "s--", color=GREY, label=seen)
    axes.set_xticks(k)
    axes.set_ylim(0)
    axes.set_xlabel(say("configurations trained", "configuraciones entrenadas"))
    axes.set_ylabel(say("share of the best that is missing", "parte de lo mejor que falta"))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.legend(frameon=False)
    axes.grid(alpha=0.3)
    return figure
