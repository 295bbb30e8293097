"""A trial trained again, and trials that a study does not know yet."""

import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
import pandas as pd
import xarray as xr

from jaxopt_course.studies.joint import Joint, recall_joint
from jaxopt_course.studies.recall import recall
from jaxopt_course.studies.results import bare
from jaxopt_course.studies.session import Session
from jaxopt_course.tables.signatures import Optimizer
from jaxopt_course.tables.static import AnyTask


class Replay(NamedTuple):
    """A trial trained again."""

    state: Any  # its last TrialState; None if it diverged
    curves: xr.Dataset
    identical: bool  # whether all curves are those recorded, bit for bit
    different: list[str]  # the curves that are not


def replay(
    trials: pd.DataFrame,
    curves: xr.Dataset,
    manifest: Mapping[str, Any],
    session: Session | Joint | None,
    trial: int,
    task: AnyTask | None,
    optimizer: Optimizer,
    progress: bool,
) -> Replay:
    """See ``Study.replay``; without a session it is made again from the manifest.

    Raises:
        ValueError: no such trial, or it never trained; or the program is another one.
    """
    rows = np.flatnonzero(trials["trial"] == trial)
    if len(rows) != 1:
        raise ValueError(f"there is no trial {trial!r}; trials are 0 to {len(trials) - 1}")
    row = trials.iloc[rows].reset_index(drop=True)
    recorded = curves.isel(trial=rows)
    if row["status"][0] == "unfinished":
        raise ValueError(f"trial {trial} is unfinished; there is nothing to compare with")
    until = recorded.sizes["eval_step"]
    if row["status"][0] == "stopped":
        until = int(recorded["valid_loss"].notnull().sum())
    one = jax.local_devices()[:1]  # enough for a trial
    session = session or recall_study(manifest, trials, task, optimizer, one)
    names = session.columns.trials.columns
    outcome = session.train(
        row[names], "replay", progress, keep_states=True, until=np.array([until], np.int32)
    )
    again = {name: outcome.curves[name].to_numpy() for name in recorded.data_vars}
    different = [str(n) for n, x in again.items() if x.tobytes() != recorded[n].values.tobytes()]
    return Replay(outcome.states.get(0), bare(outcome.curves), not different, different)


def recall_study(manifest: Mapping[str, Any], *arguments: Any) -> Session | Joint:
    """The session of a study again, or those of its buckets."""
    return (recall_joint if "buckets" in manifest else recall)(manifest, *arguments)


def new_trials(session: Session, known: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """Those of ``trials``, complete, that the study does not know, numbered on."""
    with warnings.catch_warnings():  # to repeat what is known is no mistake here
        warnings.filterwarnings("ignore", r"\d+ trials repeat")
        table = session.check(pd.concat([known, trials], ignore_index=True)).trials
    old, new = table.iloc[: len(known)], table.iloc[len(known) :]
    new = new[~new["id"].isin(set(old["id"])) & ~new["id"].duplicated()]
    return new.assign(trial=len(known) + np.arange(len(new))).reset_index(drop=True)
