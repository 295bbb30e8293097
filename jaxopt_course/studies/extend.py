"""Trials that a study does not know yet, trained and joined with those that it has."""

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from jaxopt_course.records.format import join_sha256
from jaxopt_course.studies.choosing import check_measured, varied_in
from jaxopt_course.studies.joining import REPEATABLE, belong, own_rows, readings_of
from jaxopt_course.studies.made_with import MADE_WITH
from jaxopt_course.studies.results import bare, with_bests
from jaxopt_course.studies.session import Outcome, Session
from jaxopt_course.sweeps.schedulers import Scheduler
from jaxopt_course.tables.replicates import making

if TYPE_CHECKING:
    import xarray as xr


def extended(
    session: Session,
    known: pd.DataFrame,
    curves: "xr.Dataset",
    was: Mapping[str, Any],
    trials: pd.DataFrame,
    progress: bool,
    scheduler: Scheduler | None = None,
) -> tuple[Session, Outcome | None]:
    """Train what is new of ``trials``.

    Args:
        session: of the study.
        known: its table, with results.
        curves: its curves.
        was: its manifest.
        trials: with the columns of its table.
        progress: whether to show a line.
        scheduler: of the study, where it judges each trial alone.

    Returns:
        the session for the longer table, and the whole of what is known now; None where nothing is
        new.

    Raises:
        TypeError, ValueError: the new trials make no sense beside the study's.
    """
    if session.carried.part is not None:
        raise ValueError("a part of a table cannot be extended: extend what joc.join makes of all")
    columns = [*session.table.hyperparameters, "seed"]
    with warnings.catch_warnings():  # to repeat what is known is no mistake here
        warnings.filterwarnings("ignore", r"\d+ trials repeat")
        longer = session.lengthened(known[columns], trials)
    varied = varied_in(
        longer.table.trials, making(longer.table.hyperparameters, longer.table.replicates)
    )
    check_measured(longer.chosen[0], longer.table.measured_with, varied)
    if session.carried.starts is not None:
        starts = session.carried.starts
        longer = dataclasses.replace(longer, table=starts.identified(longer.table))
    table = longer.table.trials
    old, new = table.iloc[: len(known)], table.iloc[len(known) : len(known) + len(trials)]
    new = new[~new["id"].isin(set(old["id"])) & ~new["id"].duplicated()]
    if new.empty:
        return session, None
    new = new.assign(trial=len(known) + np.arange(len(new))).reset_index(drop=True)
    best = session.carried.keep
    outcome = longer.train(new, "sweep", progress, scheduler=scheduler, best=best)
    over = outcome.trials["status"].to_numpy() != "unfinished"  # the others may come again
    over &= _recallable(longer, len(session.table.buckets), outcome.trials, over)
    added = outcome.trials[over].assign(trial=len(known) + np.arange(over.sum()))
    numbers = dict(zip(outcome.trials["trial"][over], added["trial"], strict=True))
    kept = {int(numbers[trial]): x for trial, x in outcome.kept.items() if trial in numbers}
    known = with_bests(known, curves, was["task"]["metrics"])
    whole = pd.concat([known, added], ignore_index=True).astype(added.dtypes)
    fresh = outcome.curves.isel(trial=over).assign_coords(trial=added["trial"].to_numpy())
    import xarray as xr  # late: not needed before a study is there

    joined = xr.concat([bare(curves), fresh], "trial", join="outer")
    longer = _reached(longer, whole)  # Ctrl-C may have come before a new bucket was
    steps = readings_of([bucket.budget.describe() for bucket in longer.table.buckets])
    joined = joined.isel({axis: joined[axis].isin(own) for axis, own in steps.items()})
    manifest = longer.manifest(whole, "sweep", scheduler) | {"command": was["command"]}
    manifest |= {name: was[name] for name in REPEATABLE if name in was}
    manifest |= _mixed(was, manifest, longer, len(known))
    return longer, outcome._replace(trials=whole, curves=joined, manifest=manifest, kept=kept)


def _recallable(session: Session, known: int, trials: pd.DataFrame, over: np.ndarray) -> np.ndarray:
    """(N,), whose programs are known again by the rows that are over.

    A bucket that is new and cut short may lack what shaped its program, as one of its optimizers.
    """
    fine = np.ones(len(trials), bool)
    for number in range(known, len(session.table.buckets)):
        bucket = session.table.buckets[number]
        own = np.asarray(belong(trials, bucket.static), bool)
        names = bucket.columns.hyperparameters
        fine[own] = _shaping(trials[own & over], names) == _shaping(trials[own], names)
    return fine


def _shaping(trials: pd.DataFrame, names: Sequence[str]) -> dict[str, Any]:
    """What of a table shapes a program: texts, and which columns have numbers."""
    is_number = pd.api.types.is_numeric_dtype
    return {
        name: bool(column.notna().any()) if is_number(column) else {*column.dropna().astype(str)}
        for name, column in trials[[*names]].items()
    }


def _reached(session: Session, trials: pd.DataFrame) -> Session:
    """The session without buckets that have neither trials nor examples."""
    numbers = [
        number
        for number in range(len(session.table.buckets))
        if session.examples is not None or len(own_rows(trials, session.static(number)))
    ]
    pick = lambda items: tuple(items[number] for number in numbers)
    programs = session.programs
    made = {n: programs[old] for n, old in enumerate(numbers) if old in programs}
    return dataclasses.replace(
        session,
        table=dataclasses.replace(session.table, buckets=pick(session.table.buckets)),
        lanes=pick(session.lanes),
        plans=pick(session.plans),
        expected=tuple(session.expected[n] for n in numbers if n < len(session.expected)),
        programs=made,
    )


def _mixed(
    was: Mapping[str, Any], now: Mapping[str, Any], session: Session, known: int
) -> dict[str, Any]:
    """What the manifest says of trials that were added with other versions."""
    added = list(was.get("added_with", []))
    if not session.exact:
        with_what = {name: now[name] for name in MADE_WITH}
        added.append({"trials": [known, now["trials"] - 1]} | with_what)
        buckets = [
            new | {"program_sha256": old["program_sha256"]}
            for old, new in zip(was["buckets"], now["buckets"], strict=False)
        ]
        rest = [*buckets, *now["buckets"][len(buckets) :]]
        return {
            "versions": was["versions"],
            "platform": was["platform"],
            "buckets": rest,
            "program_sha256": join_sha256([one["program_sha256"] for one in rest]),
            "added_with": added,
        }
    return {"added_with": added} if added else {}
