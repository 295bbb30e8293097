"""Which trials' weights a study keeps: those of its k best configurations, all their seeds."""

import shutil
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from jaxopt_course.records import weights
from jaxopt_course.report import tables
from jaxopt_course.studies.results import with_bests
from jaxopt_course.sweeps.memory import in_bytes
from jaxopt_course.tables.replicates import making

if TYPE_CHECKING:
    import xarray as xr

CLOSE = 0.05  # rounding grows while a network trains


def check_keep(keep: Any) -> int:
    """How many configurations to keep.

    Raises:
        ValueError: no whole number of at least 0.
    """
    whole = isinstance(keep, int | np.integer) and not isinstance(keep, bool)
    if not whole or keep < 0:
        raise ValueError(
            f"keep must be a number of configurations, from 0 (no weights stay), not {keep!r}"
        )
    return int(keep)


def best_trials(
    trials: pd.DataFrame,
    hyperparameters: Sequence[str],
    chosen: tuple[str, str],
    count: int,
    replicates: Sequence[str] = (),
) -> list[int]:
    """The trials of the ``count`` best configurations, best first, all their seeds."""
    whole = tables.once(trials)
    metric, direction = chosen
    hyperparameters = making(hyperparameters, replicates)
    ranked = tables.configurations(whole, hyperparameters, metric, direction, replicates)
    ranked = ranked[ranked[metric].notna()].head(count)
    names = [name for name in hyperparameters if name in ranked]
    if ranked.empty:
        return []
    together = pd.concat([ranked[names], whole[names].astype(dict(ranked[names].dtypes))])
    numbers = tables.configuration_numbers(together.reset_index(drop=True), names).to_numpy()
    first, own = numbers[: len(ranked)].tolist(), numbers[len(ranked) :]
    ended = whole["status"].isin(["finished", "converged"]).to_numpy(bool)
    found = []
    for number in first:
        found += whole["trial"].to_numpy()[(own == number) & ended].tolist()
    return found


def said_beforehand(count: int, state_bytes: int, trials: pd.DataFrame, names: list[str]) -> str:
    """What keeping will take, in words."""
    total = bytes_beforehand(count, state_bytes, trials, names)
    return f"keeps the weights of {count} configurations, at most {in_bytes(total)} of arrays"


def bytes_beforehand(count: int, state_bytes: int, trials: pd.DataFrame, names: list[str]) -> int:
    """How many bytes the states of the best ones take at most: those with the most seeds."""
    numbers = tables.configuration_numbers(trials, names)
    return int(state_bytes * numbers.value_counts().head(count).sum())


def check_room(directory: Path | None, total: int) -> None:
    """Refuse to begin what the disk cannot hold in the end.

    Raises:
        OSError: it has too little room.
    """
    if directory is None:
        return
    free = shutil.disk_usage(directory).free
    if total > free:
        raise OSError(
            f"keep= needs {in_bytes(total)} in {directory}, and {in_bytes(free)} are free there; "
            "keep fewer configurations, or choose another directory"
        )


class Settled(NamedTuple):
    """What is kept in the end."""

    entry: dict[str, Any]  # of the manifest
    contents: dict[int, bytes]  # by trial


def settled(
    count: int,
    chosen: list[int],
    held: Callable[[int], bytes | None],
    again: Callable[[list[int]], Mapping[int, bytes]],
    steps: Mapping[int, int],
    interrupted: bool,
    score: str = "last",
) -> Settled:
    """The weights of the best, now that it is known who they are.

    Args:
        count: of configurations.
        chosen: the trials whose weights are to be kept.
        held: what is there of a trial.
        again: trains trials again, where their states are needed after all.
        steps: of whose weights the score of each trial is.
        interrupted: whether Ctrl-C ended the sweep; then nothing is trained again.
        score: of which evaluation the scores are, the "last" or the "best".
    """
    contents = {trial: content for trial in chosen if (content := held(trial)) is not None}
    missing = [trial for trial in chosen if trial not in contents]
    if missing and not interrupted:
        contents |= again(missing)
        missing = [trial for trial in missing if trial not in contents]
    if missing and not interrupted:
        warnings.warn(f"the weights of the trials {missing} could not be kept", stacklevel=4)
    entries = [
        weights.entry_of(trial, contents[trial]) | {"step": int(steps[trial])}
        for trial in chosen
        if trial in contents
    ]
    entry = {"configurations": count, "score": score, "trials": entries}
    return Settled(entry, contents)


def _intervals(curves: "xr.Dataset", steps: np.ndarray) -> np.ndarray:
    """(N,), evaluations of each trial up to a step; buckets have rhythms of their own."""
    early = curves["eval_step"].to_numpy() <= steps[:, None]
    return (curves["valid_loss"].notnull().to_numpy() & early).sum(axis=1).astype(np.int32)


def _steps(trials: pd.DataFrame, curves: "xr.Dataset") -> tuple[np.ndarray, np.ndarray]:
    """(N,) each: the step of whose weights a trial's score is, and up to which it is trained again.

    Of one that has converged both are that of its score.
    """
    ticks = curves["eval_step"].to_numpy()  # of all buckets, whose rhythms differ
    evaluated = curves["valid_loss"].notnull().to_numpy()
    last = np.where(evaluated, ticks, ticks[:1]).max(axis=1)
    if "scored_step" not in trials:
        return last, last
    scored = trials["scored_step"].fillna(0).to_numpy(np.int64)
    converged = trials["status"].eq("converged").to_numpy(bool)
    return np.where(scored > 0, scored, last), np.where(converged, scored, last)


def settle(session: Any, outcome: Any, earlier: Callable[[int], bytes | None] | None = None) -> Any:
    """What came out of a sweep, with the weights of its best configurations and no others.

    Args:
        session: of the study.
        outcome: of its training.
        earlier: what is kept of trials that were there before.
    """
    keep = session.carried.keep
    if not keep:
        return outcome
    trials, curves = outcome.trials, outcome.curves

    def held(trial: int) -> bytes | None:
        content = outcome.kept.get(trial)
        return earlier(trial) if content is None and earlier is not None else content

    scored, ended = _steps(trials, curves)

    def again(missing: list[int]) -> Mapping[int, bytes]:
        mask = trials["trial"].isin(missing).to_numpy(bool)
        rows = trials[mask][[*session.table.trials.columns]].reset_index(drop=True)
        until = _intervals(curves.isel(trial=mask), ended[mask])
        keeping = {"keep_states": True, "best": len(rows), "until": until}
        try:
            found = session.train(rows, "replay", False, **keeping)
        except ValueError:  # they went on from a state that is gone
            return {}
        recorded = curves["valid_loss"].isel(trial=mask)
        now = found.curves["valid_loss"].reindex(eval_step=recorded["eval_step"]).to_numpy()
        early = recorded["eval_step"].to_numpy() <= ended[mask][:, None]
        was = np.where(early, recorded.to_numpy(), np.nan)
        # whose numbers changed on the way, as a population's do, would come out as another trial
        same = [np.allclose(a, b, CLOSE, equal_nan=True) for a, b in zip(now, was, strict=True)]
        right = set(rows["trial"][same])
        return {trial: content for trial, content in found.kept.items() if trial in right}

    table = session.table
    best = with_bests(trials, curves, table.buckets[0].task.metrics)
    chosen = best_trials(best, table.hyperparameters, session.chosen, keep, table.replicates)
    steps = dict(zip(trials["trial"].tolist(), scored.tolist(), strict=True))
    found = settled(keep, chosen, held, again, steps, outcome.interrupted, session.carried.score)
    manifest = outcome.manifest | {"weights": found.entry}
    return outcome._replace(manifest=manifest, kept=found.contents)
