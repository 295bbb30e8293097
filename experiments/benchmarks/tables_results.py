"""What the pieces of ``optimizers_on_tables.py`` say together, as small tables.

tables.csv         a row a table: rows, inputs, batch size, steps trained, seconds
trials.csv.gz      a row a trial of the search
fresh.csv.gz       a row a training on a fresh seed
ranks.csv          a row an entrant: mean rank and more, with intervals over tables and seeds
against_adamw.csv  a row an entrant: tables won, tied, lost (paired t-tests over seeds, Holm over
                   the tables, 95%), mean gain with the t-interval over tables
numbers.csv        a row an entrant and number: median and quartiles of the winners, the box, and
                   the share of winners in the lowest and highest 5% of it (of 10% by chance)
default_list.csv   the configurations to train first, and what is lost where no other is
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binom

import jaxopt_course as joc
from experiments.benchmarks.default_list import MEAN, default_list
from jaxopt_course.report.statistics import holm, paired, t_half_width
from jaxopt_course.report.task_statistics import across_tasks, critical_distance, score_array

REFERENCE, EDGE = "adamw", 0.05
JOINED = {"table": "tables.csv", "trials": "trials.csv.gz", "fresh": "fresh.csv.gz"}


def results(out: Path, optimizers: tuple[str, ...]) -> None:
    """Join the pieces, write the tables, print the ranks."""
    tables, trials, fresh = (joined(out, kind) for kind in JOINED)
    if tables.empty:
        print("no table is done yet")
        return
    for kind, table in zip(JOINED, (tables, trials, fresh), strict=True):
        write(table, out / JOINED[kind])
    for kind in ("trials", "fresh", "table"):  # as they are written: what is whole has the last
        for piece in pieces(out, kind):
            piece.unlink()
    ranked = ranks(fresh)
    for name, table in (
        ("ranks", ranked),
        ("against_adamw", against(fresh, tables)),
        ("numbers", numbers(trials, fresh, optimizers)),
        ("default_list", default_list(trials, tables) if len(tables) > 1 else pd.DataFrame()),
    ):
        table.to_csv(out / f"{name}.csv", index=False, float_format="%.6g", lineterminator="\n")
    print(ranked[["optimizer", "mean_rank", "mean_rank_low", "mean_rank_high", "wins"]].to_string())
    distance = critical_distance(len(ranked), len(tables))
    print(f"{len(tables)} tables; mean ranks within {distance:.2f} do not differ (Nemenyi, 95%)")


def pieces(out: Path, kind: str) -> list[Path]:
    """What tables that are done have written of a kind and is not joined yet, in order."""
    done = [file.name.removesuffix(".table.csv") for file in sorted(out.glob("*.table.csv"))]
    return [file for name in done if (file := out / f"{name}.{kind}.csv").is_file()]


def joined(out: Path, kind: str) -> pd.DataFrame:
    """What was joined before and the new pieces, by the names of the tables."""
    before = [file] if (file := out / JOINED[kind]).is_file() else []
    parts = [pd.read_csv(file) for file in [*before, *pieces(out, kind)]]
    if not parts:
        return pd.DataFrame()
    known = set(parts[0]["table"]) if before else set()  # killed before its pieces were removed
    fresh = [part[~part["table"].isin(known)] for part in parts[len(before) :]]
    whole = pd.concat([*parts[: len(before)], *fresh], ignore_index=True)
    return whole.sort_values("table", kind="stable", ignore_index=True)


def write(table: pd.DataFrame, file: Path) -> None:
    """All of it or nothing, the same bytes each time."""
    packed: Any = {"method": "gzip", "mtime": 0} if file.suffix == ".gz" else None
    beside = file.with_suffix(".part")
    table.to_csv(beside, index=False, float_format="%.7g", lineterminator="\n", compression=packed)
    beside.replace(file)


def ranks(fresh: pd.DataFrame) -> pd.DataFrame:
    """A row an entrant, the best mean rank first; a seed without a score is worse than any."""
    table = fresh.rename(columns={"entrant": "optimizer", "table": "task"})
    return across_tasks(score_array(table, "test", "max"), resamples=1000)


def against(fresh: pd.DataFrame, tables: pd.DataFrame) -> pd.DataFrame:
    """A row an entrant: how it does against the reference, the largest mean gain first.

    A seed that diverged makes its table one that is not compared: ``uncompared``.
    """
    examples = tables.set_index("table")["test"].where(tables.set_index("table").metric != "r2")
    parts = []
    for name, own in fresh.groupby("table", sort=False):
        if own.loc[own["entrant"] == REFERENCE, "test"].notna().sum() < 2:
            continue
        behind = None if pd.isna(examples[name]) else int(examples[name])
        how = {"by": "entrant", "reference": REFERENCE, "examples": behind}
        parts.append(paired(own, "test", "max", **how).assign(table=name))
    if not parts:
        return pd.DataFrame()
    found = pd.concat(parts, ignore_index=True)
    seeds = int(fresh.groupby(["table", "entrant"]).size().max())
    rows = []
    for entrant, own in found.groupby("entrant"):
        whole = own[own["n"] == seeds]
        apart = holm(whole["p"].to_numpy(float)) <= 0.05
        gains = -whole["difference"].to_numpy(float)
        half = t_half_width(gains.std(ddof=1), len(gains)) if len(gains) > 1 else np.nan
        rows.append(
            {
                "entrant": entrant,
                "won": int((apart & (gains > 0)).sum()),
                "tied": int((~apart).sum()),
                "lost": int((apart & (gains < 0)).sum()),
                "uncompared": len(own) - len(whole),
                "gain": gains.mean() if len(gains) else np.nan,
                "gain_low": gains.mean() - half if len(gains) else np.nan,
                "gain_high": gains.mean() + half if len(gains) else np.nan,
                "median_gain": np.median(gains) if len(gains) else np.nan,
            }
        )
    return pd.DataFrame(rows).sort_values("gain", ascending=False, kind="stable")


def numbers(trials: pd.DataFrame, fresh: pd.DataFrame, optimizers: tuple[str, ...]) -> pd.DataFrame:
    """A row an entrant and number: what the winners of all tables have."""
    keys = ["table", "optimizer", "place"]
    chosen = fresh.drop_duplicates(["table", "entrant"])[["table", "entrant", "place"]]
    chosen = chosen.assign(optimizer=chosen["entrant"].str.removesuffix(MEAN))
    won = chosen.merge(trials, on=keys)
    space = joc.search_space(*optimizers)
    rows = []
    for entrant, own in won.groupby("entrant"):
        boxes = space[space["optimizer"] == own["optimizer"].iloc[0]].set_index("name")
        for name in [n for n in boxes.index if n in own and own[n].notna().any()]:
            box, values = boxes.loc[name], own[name].dropna().to_numpy(float)
            place = position(values, box["distribution"], box["low"], box["high"])
            q25, median, q75 = np.quantile(values, [0.25, 0.5, 0.75])
            rows.append(
                {"entrant": entrant, "number": name, "tables": len(values)}
                | {"median": median, "q25": q25, "q75": q75, "low": box["low"], "high": box["high"]}
                | {"at_low": (place < EDGE).mean(), "at_high": (place > 1 - EDGE).mean()}
            )
    return pd.DataFrame(rows)


def crowded(numbers: pd.DataFrame) -> pd.DataFrame:
    """Edges at which more winners lie than chance puts there: there the box is too small.

    One-sided binomial tests of :data:`EDGE` of the winners, Holm over all edges, 95%.
    """
    edges = numbers.melt(
        ["entrant", "number", "tables"], ["at_low", "at_high"], var_name="edge", value_name="share"
    )
    there = (edges["share"] * edges["tables"]).round()
    p = holm(binom.sf(there - 1, edges["tables"], EDGE))
    found = edges.assign(p=p)[p <= 0.05].sort_values("share", ascending=False, kind="stable")
    return found.reset_index(drop=True)


def position(values: np.ndarray, distribution: str, low: float, high: float) -> np.ndarray:
    """Where values lie in their box, 0 to 1, on the scale on which it is searched.

    >>> position(np.array([0.1, 1.0]), "log_uniform", 0.01, 1.0).tolist()
    [0.5, 1.0]
    """
    scale = {
        "uniform": lambda x: x,
        "log_uniform": np.log,
        "log_complement": lambda x: -np.log1p(-x),
    }[distribution]
    return (scale(values) - scale(low)) / (scale(high) - scale(low))
