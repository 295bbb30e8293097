"""The parts of a sweep that has a program a bucket: each on disk by itself, and all as one.

checkpoint/buckets/0000/checkpoint/...                      of a bucket under way, its snapshots
checkpoint/buckets/0000/manifest.json, trials.csv, curves.nc   of one that is over, its results,
                                                               and seal.json, their SHA-256
"""

import hashlib
import json
import shutil
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from jaxopt_course.records import checkpoints, store
from jaxopt_course.studies.results import ticks
from jaxopt_course.sweeps.lanes import Rhythm

FOLDER = "buckets"  # beside the question of the whole
SEAL = "seal.json"
SEALED = (store.MANIFEST, store.TRIALS, store.CURVES)


class Part(NamedTuple):
    """What a bucket left."""

    trials: pd.DataFrame
    curves: xr.Dataset
    event: dict[str, Any]
    interrupted: bool = False
    earlier: bool = False  # another run left it


def join_trials(trials: pd.DataFrame, parts: Sequence[Part]) -> pd.DataFrame:
    """The table with the results of all buckets; "unfinished" where one was not reached."""
    found = []
    for part in parts:
        results = part.trials.loc[:, "status":]
        found.append(results.set_index(pd.Index(part.trials["trial"])))
    results = pd.concat(found).reindex(trials["trial"]).reset_index(drop=True)
    results["status"] = results["status"].fillna("unfinished")
    return pd.concat([trials.reset_index(drop=True), results], axis=1)


def join_curves(
    trials: pd.DataFrame, parts: Sequence[Part], budgets: Sequence[Mapping[str, Any]]
) -> xr.Dataset:
    """The curves on the steps of all buckets of the study, NaN where a trial has no such step."""
    rhythms = [Rhythm(b["steps"], b["record_every"], b["evaluate_every"]) for b in budgets]
    union = lambda steps: np.unique(np.concatenate(list(steps)))
    steps = {
        "step": union(ticks(r.record_every, r.steps) for r in rhythms),
        "eval_step": union(ticks(r.evaluate_every, r.steps) for r in rhythms),
    }
    numbers = trials["trial"].to_numpy(np.int64)
    place = pd.Series(np.arange(len(numbers)), numbers)
    arrays = {}
    for name, like in parts[0].curves.data_vars.items():
        axis = str(like.dims[1])
        whole = np.full((len(numbers), len(steps[axis])), np.nan, np.float32)
        for part in parts:
            rows = place[part.curves["trial"].to_numpy()].to_numpy()
            columns = np.searchsorted(steps[axis], part.curves[axis].to_numpy())
            whole[np.ix_(rows, columns)] = part.curves[name].to_numpy()
        arrays[str(name)] = (("trial", axis), whole)
    return xr.Dataset(arrays, coords={"trial": numbers, **steps})


def forget(directory: Path) -> None:
    """Remove what the buckets of a sweep have left in a directory."""
    shutil.rmtree(directory / checkpoints.FOLDER / FOLDER, ignore_errors=True)


def folder_of(directory: Path, number: int) -> Path:
    """Where a bucket keeps its checkpoint; made if it does not exist."""
    folder = directory / checkpoints.FOLDER / FOLDER / f"{number:04d}"
    (folder / checkpoints.FOLDER).mkdir(parents=True, exist_ok=True)
    return folder


def saver(folder: Path) -> Callable[[Any], None]:
    """What saves the snapshots of a bucket."""

    def save(snapshot: Any) -> None:
        try:
            checkpoints.save(folder, snapshot)
        except OSError as error:
            warnings.warn(f"no checkpoint ({error}); training goes on", stacklevel=2)

    return save


def keep(folder: Path, part: Part, manifest: dict[str, Any]) -> None:
    """Keep the results of a bucket that is over, in the place of its checkpoint."""
    try:
        store.write(folder, store.Record(manifest, part.trials, part.curves))
        store.write_events(folder, [part.event])
        seal = json.dumps(_digests(folder)) + "\n"
        store.replace(folder / SEAL, lambda file: file.write_text(seal, encoding="utf-8"))
        shutil.rmtree(folder / checkpoints.FOLDER, ignore_errors=True)
    except OSError as error:
        warnings.warn(f"no checkpoint ({error}); training goes on", stacklevel=2)


def kept(folder: Path) -> Part | None:
    """The results of a bucket that is over, if they are whole and as they were written."""
    try:
        seal = json.loads((folder / SEAL).read_text(encoding="utf-8"))
        if seal != _digests(folder):
            warnings.warn(
                f"{folder} was edited or is damaged; its trials are trained again", stacklevel=2
            )
            return None
        record = store.read(folder)
        (event,) = store.read_events(folder)
    except (FileNotFoundError, ValueError):
        return None
    return Part(record.trials, record.curves, event, earlier=True)


def _digests(folder: Path) -> dict[str, str]:
    """SHA-256, in hex, of each file of a bucket's results."""
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in SEALED}
