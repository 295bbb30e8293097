"""A part of a table, to be trained apart from the others, and what puts the rows in order again."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from jaxopt_course.report.tables import configuration_numbers
from jaxopt_course.studies.joining import own_rows
from jaxopt_course.studies.session import Session
from jaxopt_course.sweeps.patience import WithPatience
from jaxopt_course.sweeps.schedulers import Scheduler, judges_each
from jaxopt_course.tables.replicates import making

if TYPE_CHECKING:
    import xarray as xr

Part = tuple[int, int]  # (rank, of)


def check_part(part: Any, scheduler: Scheduler | None) -> Part | None:
    """The part, checked; None for the whole table.

    Raises:
        TypeError: it is no pair of whole numbers.
        ValueError: there is no such part; or the scheduler compares trials, and parts do not talk.
    """
    if part is None:
        return None
    pair = isinstance(part, list | tuple) and len(part) == 2
    whole = lambda x: isinstance(x, int | np.integer) and not isinstance(x, bool)
    if not pair or not all(map(whole, part)):
        raise TypeError(f"part must be (rank, of), as (0, 4), not {part!r}")
    rank, of = int(part[0]), int(part[1])
    if not 0 <= rank < of:
        raise ValueError(f"part {rank} of {of}: ranks go from 0 to {max(of, 1) - 1}")
    if scheduler is not None and not judges_each(scheduler):
        who = scheduler.scheduler if isinstance(scheduler, WithPatience) else scheduler
        raise ValueError(
            f"{type(who).__name__} compares all trials, and the parts of a table do not talk "
            "to each other: patience= judges each trial alone; or train the whole "
            "table in one sweep, with cluster= on many machines"
        )
    return rank, of


def part_of(session: Session, part: Part) -> Session:
    """The session of one part: every ``of``-th configuration, with all its seeds.

    Its programs are those of the whole table, as a few of the other rows shape them too, so that
    the bits are those of a sweep of it all.

    Raises:
        ValueError: there are fewer configurations than parts; or rows start from weights of their
            own.
    """
    rank, of = part
    table, starts = session.table, session.carried.starts
    names = making(table.hyperparameters, table.replicates)
    numbers = configuration_numbers(table.trials, names).to_numpy()
    if of > (count := int(numbers.max()) + 1):
        raise ValueError(f"{of} parts of a table of {count} configurations: some would be empty")
    if starts is not None and len(starts.sources) > 1:
        raise ValueError("part= takes start= as one for all rows; join parts of each start")
    rows = np.flatnonzero(numbers % of == rank)
    trials = table.trials.iloc[rows].reset_index(drop=True)
    trials["trial"] = np.arange(len(rows))
    place = {int(row): i for i, row in enumerate(rows)}
    trials["duplicate_of"] = trials["duplicate_of"].map(place, na_action="ignore").astype("Int64")
    count = len(table.buckets)
    used = [n for n in range(count) if len(own_rows(trials, session.static(n)))]
    pick = lambda items: tuple(items[number] for number in used)
    return dataclasses.replace(
        session,
        table=dataclasses.replace(table, trials=trials, buckets=pick(table.buckets)),
        lanes=pick(session.lanes),
        plans=pick(session.plans),
        examples=shaping(session, table.trials, used),
        carried=dataclasses.replace(
            session.carried, part={"rank": rank, "of": of, "rows": rows.tolist()}
        ),
    )


def shaping(session: Session, trials: pd.DataFrame, numbers: Sequence[int]) -> pd.DataFrame:
    """Rows that make each program the one that it is, though few of its trials are trained."""
    chosen: set[int] = set()
    for number in numbers:
        own = own_rows(trials, session.static(number))
        kinds = [name for name in ("optimizer", "schedule") if name in own]
        if kinds:
            chosen |= set(own.groupby(kinds, dropna=False, sort=False)["trial"].first())
        filled = [own["trial"][own[name].notna()] for name in own]
        chosen |= {int(rows.iloc[0]) for rows in filled if len(rows)}
    rows = trials[trials["trial"].isin(chosen)].drop(columns=["trial", "id", "duplicate_of"])
    known = [] if session.examples is None else [session.examples]
    return pd.concat([*known, rows], ignore_index=True).astype(dict(rows.dtypes))


def in_order(
    manifests: Sequence[Mapping[str, Any]], whole: pd.DataFrame, curves: "xr.Dataset"
) -> tuple[pd.DataFrame, "xr.Dataset"]:
    """Joined rows in the order of the table that they are parts of; as they are, if of none.

    Args:
        manifests: of the studies.
        whole: their rows, one after the other, with ``_study`` and ``_trial``.
        curves: of these rows.
    """
    parts = [one["part"] for one in manifests if one.get("part") is not None]
    if len(parts) < len(manifests) or len({part["of"] for part in parts}) > 1:
        return whole, curves
    pairs = zip(whole["_study"], whole["_trial"], strict=True)
    order = np.argsort([parts[study]["rows"][trial] for study, trial in pairs], kind="stable")
    return whole.iloc[order].reset_index(drop=True), curves.isel(trial=order)
