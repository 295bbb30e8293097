"""The best trials of a study trained on: the same trials, from their last states, for longer."""

import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np
import pandas as pd

from jaxopt_course.records import store
from jaxopt_course.studies.compiled import best_of
from jaxopt_course.studies.first_states import shapes_of
from jaxopt_course.studies.joining import own_rows
from jaxopt_course.studies.keeping import best_trials
from jaxopt_course.studies.part import shaping
from jaxopt_course.studies.recorded import RecordedStudy
from jaxopt_course.studies.results import with_bests
from jaxopt_course.studies.session import Session
from jaxopt_course.studies.states import restore, unpack
from jaxopt_course.sweeps.lanes import Rhythm
from jaxopt_course.sweeps.progress import ProgressLine
from jaxopt_course.sweeps.snapshot import Snapshot, Waiting, no_results
from jaxopt_course.tables.buckets import Bucket
from jaxopt_course.tables.budgets import budgets_of
from jaxopt_course.tables.cells import identify
from jaxopt_course.tables.stretch import stretched
from jaxopt_course.train import Budget, budget_of

if TYPE_CHECKING:
    import xarray as xr


class Longer(NamedTuple):
    """What it takes to train on."""

    session: Session
    begin: dict[int, Snapshot]  # by bucket


def prepared(
    session: Session,
    study: RecordedStudy,
    held: Callable[[int], bytes | None],
    top: int,
    lengths: Mapping[str, Any],
    stretch: bool,
    keep: int,
    progress: bool,
) -> Longer:
    """The session of the longer study, and the states with which it begins.

    Args:
        session: of the study.
        study: with its results.
        held: what is kept of a trial.
        top: how many configurations, the best ones, train on.
        lengths: epochs or steps, in all; record_every, evaluate_every, where they change.
        stretch: whether horizons of schedules that nobody wrote are those of the longer budget.
        keep: as for ``sweep``.
        progress: whether to show a line.

    Raises:
        ValueError: see ``Study.train_on``.
    """
    if isinstance(top, bool) or not isinstance(top, int | np.integer) or top < 1:
        raise ValueError(f"top must be a number of configurations, at least 1, not {top!r}")
    trials, curves = study.trials, study.curves
    names, replicates = session.table.hyperparameters, session.table.replicates
    scored = with_bests(trials, curves, study.manifest["task"]["metrics"])
    best = best_trials(scored, names, session.chosen, int(top), replicates)
    if not best:
        raise ValueError("no configuration finished on all of its seeds; nothing to train on")
    rows = trials[trials["trial"].isin(best)].reset_index(drop=True)
    if (early := rows["status"].ne("finished")).any():
        raise ValueError(
            f"trial {rows['trial'][early.idxmax()]} ended before its budget, as it no longer "
            "improved (Patience); only trials that came to its end can train on"
        )
    parents = rows["trial"].tolist()
    columns_of = list(session.table.trials.columns)
    whole = rows[columns_of].assign(trial=np.arange(len(rows)))
    shares = {
        number: share
        for number in range(len(session.table.buckets))
        if len(share := own_rows(whole, session.static(number)))
    }
    buckets: list[Bucket] = []
    columns: set[str] = set()
    steps: dict[int, int] = {}
    for number, share in shares.items():
        bucket = session.table.buckets[number]
        budget = _budget(bucket, session, lengths)
        share = share[bucket.columns.trials.columns]
        if stretch:
            share, changed = stretched(
                share, bucket.columns.searched, bucket.budget.steps, budget.steps
            )
            columns |= changed
            for name in changed:
                whole.loc[share["trial"], name] = share[name].to_numpy()
        steps |= dict.fromkeys(share["trial"].tolist(), bucket.budget.steps)
        own = dataclasses.replace(bucket.columns, trials=share)
        rows_of = share["trial"].to_numpy()
        buckets.append(dataclasses.replace(bucket, rows=rows_of, budget=budget, columns=own))
    if columns:
        whole, buckets = _renamed(whole, buckets, rows["id"], steps, session.table.hyperparameters)
    states = _states(session, rows, columns_of, held, progress)
    begin = {}
    tested = [str(n).removeprefix("test_") for n in trials if str(n).startswith("test_")]
    for place, (number, share) in enumerate(shares.items()):
        old = session.table.buckets[number]
        mine = [parents[i] for i in share["trial"].tolist()]
        rows_of = np.flatnonzero(np.isin(trials["trial"].to_numpy(), mine))
        begun = curves.isel(trial=rows_of)
        like = shapes_of(old, best_of(session.chosen, session.carried.score))
        begin[place] = _begin(old, buckets[place], begun, tested, mine, states, like)
    continues = {
        "study": store.identity(study.manifest),
        "trials": parents,
        "steps": [steps[i] for i in range(len(parents))],
        "stretched": sorted(columns),
    }
    pick = lambda items: tuple(items[number] for number in shares)
    asked = dict(session.lengths) | dict(lengths) if session.lengths is not None else None
    table = dataclasses.replace(session.table, trials=whole, buckets=tuple(buckets))
    longer = dataclasses.replace(
        session,
        table=table,
        lanes=pick([_width(session, number) for number in range(len(session.table.buckets))]),
        plans=(None,) * len(buckets),
        lengths=asked,
        expected=(),
        exact=True,
        examples=shaping(session, trials[columns_of], list(shares)),
        programs={},
        carried=dataclasses.replace(session.carried, keep=keep, continues=continues, part=None),
    )
    return Longer(longer, begin)


def _budget(bucket: Bucket, session: Session, lengths: Mapping[str, Any]) -> Budget:
    """The longer budget of a bucket; its readings go on in the same rhythm, if none is given."""
    old, train = bucket.budget, bucket.task.train
    every = {
        name: lengths[name] or getattr(old, name) for name in ("record_every", "evaluate_every")
    }
    total = {name: lengths[name] for name in ("epochs", "steps")}
    if session.equal is None or session.lengths is None:
        whole = budget_of(train, batch_size=old.batch_size, **total, **every)
    else:
        meant = session.lengths.get("batch_size", 64)
        (whole,) = budgets_of([bucket.task], [old.batch_size], meant, equal=session.equal, **total)
    new = budget_of(train, batch_size=old.batch_size, steps=whole.steps, **every)._replace(
        epochs=whole.epochs,
        diverges_above=old.diverges_above,
        diverges_times=old.diverges_times,
    )
    if new.steps <= old.steps:
        raise ValueError(
            f"the trials have trained {old.steps} steps already, and the longer budget is "
            f"{new.steps}, counted from their beginning; give more"
        )
    for name in ("evaluate_every", "record_every"):
        if old.steps % getattr(new, name):
            raise ValueError(
                f"the trials ended after {old.steps} steps, in the middle of an interval of "
                f"{name}={getattr(new, name)}; give {name}= that divides {old.steps}"
            )
    return new


def _width(session: Session, number: int) -> int | None:
    """The lanes that the study's trials had, so that theirs is the same arithmetic."""
    if number in session.programs:
        return session.programs[number].program.lanes
    return session.expected[number]["lanes"] if number < len(session.expected) else None


def _renamed(
    whole: pd.DataFrame,
    buckets: Sequence[Bucket],
    parents: pd.Series,
    steps: Mapping[int, int],
    hyperparameters: Sequence[str],
) -> tuple[pd.DataFrame, list[Bucket]]:
    """Ids that tell these trials from those that had the longer schedules from the start."""
    fresh = identify(whole[[*hyperparameters, "seed"]], hyperparameters)["id"]
    ids = [
        hashlib.sha256(f"{own} continues {parent} at {steps[i]}".encode()).hexdigest()[:16]
        for i, (own, parent) in enumerate(zip(fresh, parents, strict=True))
    ]
    whole = whole.assign(id=pd.array(ids, dtype="string"))
    made = []
    for bucket in buckets:
        own = whole["id"].iloc[bucket.rows].to_numpy()
        trials = bucket.columns.trials.assign(id=pd.array(own, dtype="string"))
        columns = dataclasses.replace(bucket.columns, trials=trials)
        made.append(dataclasses.replace(bucket, columns=columns))
    return whole, made


def _states(
    session: Session,
    rows: pd.DataFrame,
    names: list[str],
    held: Callable[[int], bytes | None],
    progress: bool,
) -> dict[int, bytes]:
    """The last states of the trials; those that nobody kept are trained again first."""
    states = {trial: held(trial) for trial in rows["trial"].tolist()}
    found = {trial: content for trial, content in states.items() if content is not None}
    if missing := [trial for trial in states if trial not in found]:
        with ProgressLine(session.table.buckets[0].task.name, show=progress) as line:
            line.note(
                f"{len(missing)} trials are trained again first, as their states were not kept "
                "(sweep(keep=) keeps them)"
            )
        again = rows[rows["trial"].isin(missing)][names].reset_index(drop=True)
        found |= session.train(again, "replay", progress, best=len(again)).kept
        if gone := [trial for trial in missing if trial not in found]:
            raise ValueError(f"the trials {gone} did not finish when they were trained again")
    return found


def _begin(
    old: Bucket,
    new: Bucket,
    curves: "xr.Dataset",
    tested: list[str],
    parents: list[int],
    states: Mapping[int, bytes],
    like: Any,
) -> Snapshot:
    """Where a bucket begins: what its trials have behind them."""
    budget, done = new.budget, old.budget.steps
    rhythm = Rhythm(budget.steps, budget.record_every, budget.evaluate_every)
    valid = [n for n in map(str, curves.data_vars) if "eval_step" in curves[n].dims]
    recorded = [n for n in map(str, curves.data_vars) if "step" in curves[n].dims]
    recorded.remove("train_loss")
    count = len(parents)
    names = [n.removeprefix("valid_") for n in valid]
    results = no_results(count, rhythm, names, recorded, tested)
    behind = done // rhythm.evaluate_every
    ticks = rhythm.evaluate_every * np.arange(1, behind + 1)
    there = np.isin(ticks, curves["eval_step"].to_numpy())
    for name in valid:
        early = curves[name].sel(eval_step=ticks[there]).to_numpy()
        results.valid[name.removeprefix("valid_")][:, : len(ticks)][:, there] = early
    if new.budget.record_every == old.budget.record_every:
        # sums in float64, so that the means that are made of them are the recorded ones to the bit
        results.loss_sums = _sums(results.loss_sums, curves["train_loss"], rhythm, done)
        results.recorded = {
            name: _sums(x, curves[name], rhythm, done) for name, x in results.recorded.items()
        }
    results.progress[:] = behind
    found = [
        jax.tree.leaves(restore(unpack(states[p], f"trial {p}"), like, f"trial {p}"))
        for p in parents
    ]
    leaves = [np.stack([np.asarray(x) for x in column]) for column in zip(*found, strict=True)]
    rows, progress = np.arange(count, dtype=np.int64), np.full(count, behind, np.int32)
    return Snapshot(results, Waiting(rows, progress, leaves))


def _sums(empty: np.ndarray, means: "xr.DataArray", rhythm: Any, done: int) -> np.ndarray:
    """Sums over units whose means between records are those recorded."""
    sums = empty.astype(np.float64)
    ticks = np.arange(rhythm.record_every, done + 1, rhythm.record_every)
    units = rhythm.record_every // rhythm.unit
    early = means.sel(step=ticks).to_numpy().astype(np.float64) * rhythm.unit
    sums[:, : len(ticks) * units] = np.repeat(early, units, axis=1)
    return sums
