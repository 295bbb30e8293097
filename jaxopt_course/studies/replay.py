"""A trial trained again, and its curves compared with those recorded."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from jaxopt_course.studies.climbing import Scripted
from jaxopt_course.studies.lineage import ancestry, inherited, path_of
from jaxopt_course.studies.meshes import devices_again
from jaxopt_course.studies.results import bare
from jaxopt_course.studies.resume import recall
from jaxopt_course.studies.session import Session
from jaxopt_course.tables.signatures import Optimizer
from jaxopt_course.tables.static import AnyTask

if TYPE_CHECKING:
    import xarray as xr

ROUNDING = 0.05  # of a curve's largest value: rounding grows while a network trains


class Replay(NamedTuple):
    """A trial trained again.

    Attributes:
        state: its last TrialState; None if it diverged.
        curves: as they came out now.
        identical: whether all curves are those recorded, bit for bit.
        different: the curves that are not; where bits cannot be the same, those that differ by more
            than rounding does.
        exact: whether the versions of JAX are the study's and the machine repeats its bits.
        deviations: of each curve the largest difference, as a share of its largest value.
        weights: params and model_state of its score: those of the state, or what its optimizer has
            for evaluation, or of its best evaluation; None if it diverged.
    """

    state: Any
    curves: "xr.Dataset"
    identical: bool
    different: list[str]
    exact: bool = True
    deviations: Mapping[str, float] = {}
    weights: Any = None


def replay(
    trials: pd.DataFrame,
    curves: "xr.Dataset",
    manifest: Mapping[str, Any],
    session: Session | None,
    trial: int,
    task: AnyTask | None,
    optimizer: Optimizer,
    progress: bool,
    start: Any = None,
    mesh: Any = None,
) -> Replay:
    """See ``Study.replay``; without a session it is made again from the manifest.

    Raises:
        ValueError: no such trial, or it never trained; or the program is another one.
    """
    whole = isinstance(trial, int | np.integer) and not isinstance(trial, bool)
    rows = np.flatnonzero(trials["trial"] == trial) if whole else np.empty(0, int)
    if len(rows) != 1:
        raise ValueError(f"there is no trial {trial!r}; trials are 0 to {len(trials) - 1}")
    row = trials.iloc[rows].reset_index(drop=True)
    recorded, scheduler = curves.isel(trial=rows), None
    if lineage := manifest.get("lineage"):  # it was others before
        recorded = inherited(curves, lineage, trial)
        path = path_of(lineage, trials, trial, manifest["hyperparameters"])
        first = ancestry(lineage, trial)[0][1]
        scheduler = Scripted({first: path})
    if row["status"][0] == "unfinished":
        raise ValueError(f"trial {trial} is unfinished; there is nothing to compare with")
    until = recorded.sizes["eval_step"]
    if row["status"][0] == "stopped":
        until = int(recorded["valid_loss"].notnull().sum())
    if row["status"][0] == "converged":  # to its best evaluation, whose state is the trial's
        scored = row["scored_step"][0]
        until = int((recorded["eval_step"] <= scored).sum())
        recorded = recorded.map(lambda x: x.where(x[x.dims[1]] <= scored))
    if session is None:
        one = devices_again(manifest, None, mesh, one=True)  # enough for a trial
        session = recall(manifest, trials, task, optimizer, one, False, start)
    names = session.table.trials.columns
    if scheduler is not None:  # it begins as its first ancestor
        row = trials[trials["trial"] == first].reset_index(drop=True)
    outcome = session.train(
        row[names],
        "replay",
        progress,
        scheduler=scheduler,
        keep_states=True,
        until=np.array([until], np.int32),
    )
    again = outcome.curves.reindex_like(recorded[["step", "eval_step"]])
    pairs = {
        str(name): (again[name].to_numpy(), recorded[name].to_numpy())
        for name in recorded.data_vars
        if name in again  # of several tasks each has metrics of its own
    }
    same = {name: x.tobytes() == y.tobytes() for name, (x, y) in pairs.items()}
    deviations = {name: _deviation(x, y) for name, (x, y) in pairs.items()}
    exact = session.exact and manifest.get("repeatable", True) and not _was_added(manifest, trial)
    exact = exact and manifest.get("continues") is None  # then two programs trained it
    different = [n for n in pairs if not (same[n] if exact else deviations[n] <= ROUNDING)]
    state = outcome.states.get(0)
    weights = outcome.evaluated.get(0, None if state is None else state[:2])
    identical = all(same.values())
    return Replay(state, bare(again), identical, different, exact, deviations, weights)


def _was_added(manifest: Mapping[str, Any], trial: int) -> bool:
    """Whether a trial was added with other versions than the study's."""
    ranges = [one["trials"] for one in manifest.get("added_with", [])]
    return any(first <= trial <= last for first, last in ranges)


def _deviation(x: np.ndarray, y: np.ndarray) -> float:
    """The largest difference of two curves as a share of the largest value; inf where one ends."""
    if not np.array_equal(np.isfinite(x), np.isfinite(y)):
        return float("inf")
    finite = np.isfinite(y)
    if not finite.any():
        return 0.0
    largest = max(np.abs(y[finite]).max(), np.finfo(np.float32).tiny)
    return float(np.abs(x[finite].astype(float) - y[finite]).max() / largest)
