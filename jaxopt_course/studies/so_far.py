"""What a sweep under way has saved, read beside it: no lock is taken, and nothing is written."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import xarray as xr

from jaxopt_course.records import checkpoints, store
from jaxopt_course.records.format import CHECKPOINT
from jaxopt_course.studies.joining import join_curves, join_trials, own_rows
from jaxopt_course.studies.made_with import scheduler_of
from jaxopt_course.studies.results import Scored, assemble
from jaxopt_course.studies.snapshots import unpack
from jaxopt_course.sweeps.lanes import Rhythm
from jaxopt_course.sweeps.patience import patience_of
from jaxopt_course.sweeps.schedulers import ends_early, judges_each


class Part(NamedTuple):
    """What a bucket has so far, as a study has it."""

    trials: pd.DataFrame
    curves: xr.Dataset


def so_far(directory: Path) -> store.Record | None:
    """The study as its last checkpoints have it; None while there is none.

    The numbers are those that the study will have: results of trials that are over, curves of the
    others as far as they were saved.

    Raises:
        FileNotFoundError: no sweep is under way there, or it has just ended.
        ValueError: a file is damaged, or is just being replaced.
    """
    settings, trials = checkpoints.asked(directory)
    parts: list[Any] = []
    for number, entry in enumerate(settings["buckets"]):
        folder = directory / CHECKPOINT / f"{number:04d}"
        if not folder.is_dir():
            continue
        with warnings.catch_warnings():  # whoever goes on with the sweep will say it
            warnings.simplefilter("ignore")
            left = checkpoints.kept(folder)
        part = left and Part(left.trials, left.curves)
        parts += filter(None, [part or _unfinished(folder, settings, entry, trials)])
    if not parts:
        return None
    budgets = [entry["budget"] for entry in settings["buckets"]]
    whole = join_trials(trials, parts)
    return store.Record(settings, whole, join_curves(trials, parts, budgets))


def _unfinished(
    folder: Path, settings: Mapping[str, Any], entry: Mapping[str, Any], trials: pd.DataFrame
) -> Part | None:
    """A bucket under way, from its newest snapshot; None before the first."""
    arrays = checkpoints.look(folder)
    if arrays is None:
        return None
    share, budget = own_rows(trials, entry), entry["budget"]
    rhythm = Rhythm(budget["steps"], budget["record_every"], budget["evaluate_every"])
    results = unpack(arrays, len(share)).results
    return Part(*assemble(share, results, rhythm, entry["task"]["metrics"], _scored(settings)))


def _scored(settings: Mapping[str, Any]) -> Scored | None:
    """Which evaluation of a trial counts, as the sweep will say."""
    try:
        scheduler = scheduler_of(settings.get("scheduler"), None)
    except ValueError:  # of a class of one's own, which only its sweep knows
        scheduler = None
    best = settings.get("score") == "best"
    if not (best or ends_early(scheduler)):
        return None
    patience, each = patience_of(scheduler), judges_each(scheduler)
    return Scored(settings["metric"], settings["direction"], best, patience, each)
