"""What the buckets of a study left, joined: its table, its curves, its event."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from jaxopt_course.studies.compiled import Trained
from jaxopt_course.studies.mixed import join_mixed
from jaxopt_course.studies.results import ticks

if TYPE_CHECKING:
    import xarray as xr

REPEATABLE = ("calls_compared", "repeatable", "calls_differ_in", "mixed")  # of a manifest


def belong(trials: pd.DataFrame, static: Mapping[str, Any]) -> np.ndarray:
    """(N,), bool: which trials have these static values."""
    mask = np.ones(len(trials), bool)
    for name, value in static.items():
        mask &= trials[name].eq(value).fillna(False).to_numpy(bool)
    return mask


def own_rows(trials: pd.DataFrame, entry: Mapping[str, Any]) -> pd.DataFrame:
    """A bucket's share of these trials, in the dtypes of its own table."""
    own = trials[belong(trials, entry["static"])] if entry["static"] else trials
    own = own.reset_index(drop=True)
    dtypes = entry["bucket_dtypes"]
    return own.astype({name: x for name, x in dtypes.items() if str(own[name].dtype) != x})


def examples_of(examples: pd.DataFrame | None, static: Mapping[str, Any]) -> dict[str, Any]:
    """A bucket's share of the examples, for JSON; nothing where there are none."""
    if examples is None:
        return {}
    own = own_rows(examples, static)
    names = [*static["bucket_dtypes"], "seed"]
    rows = own[names].astype(object).where(own[names].notna(), None).to_dict("records")
    return {"examples": rows}


def by_place(rows: np.ndarray, found: Mapping[int, Any]) -> dict[int, Any]:
    """What was found by row of a bucket, by the place of that row in the whole table."""
    return {int(rows[row]): one for row, one in found.items()}


def join_trials(trials: pd.DataFrame, parts: Sequence[Trained]) -> pd.DataFrame:
    """The table with the results of all buckets; "unfinished" where one was not reached."""
    if len(parts) == 1 and {*trials} <= {*parts[0].trials} and len(parts[0].trials) == len(trials):
        return parts[0].trials
    found = []
    for part in parts:
        results = part.trials.loc[:, "status":]
        found.append(results.set_index(pd.Index(part.trials["trial"])))
    results = pd.concat(found).reindex(trials["trial"]).reset_index(drop=True)
    results["status"] = results["status"].fillna("unfinished")
    return pd.concat([trials.reset_index(drop=True), results], axis=1)


def readings_of(budgets: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """The steps of all buckets, by axis of the curves."""
    return {
        axis: np.unique(np.concatenate([ticks(b[every], b["steps"]) for b in budgets]))
        for axis, every in (("step", "record_every"), ("eval_step", "evaluate_every"))
    }


def join_curves(
    trials: pd.DataFrame, parts: Sequence[Trained], budgets: Sequence[Mapping[str, Any]]
) -> "xr.Dataset":
    """The curves on the steps of all buckets of the study, NaN where a trial has no such step."""
    if len(budgets) == 1 and len(parts[0].trials) == len(trials):
        return parts[0].curves
    readings = readings_of(budgets)
    numbers = trials["trial"].to_numpy(np.int64)
    place = pd.Series(np.arange(len(numbers)), numbers)
    arrays = {}
    # a bucket in which nobody averages has no curves of the trained weights apart
    named = {name: one for part in parts for name, one in part.curves.data_vars.items()}
    for name, like in named.items():
        axis = str(like.dims[1])
        whole = np.full((len(numbers), len(readings[axis])), np.nan, np.float32)
        for part in [part for part in parts if name in part.curves]:
            rows = place[part.curves["trial"].to_numpy()].to_numpy()
            columns = np.searchsorted(readings[axis], part.curves[axis].to_numpy())
            whole[np.ix_(rows, columns)] = part.curves[name].to_numpy()
        arrays[str(name)] = (("trial", axis), whole)
    import xarray as xr  # late: not needed before a study is there

    return xr.Dataset(arrays, coords={"trial": numbers, **readings})


def join_events(parts: Sequence[Trained]) -> dict[str, Any]:
    """The event of the whole: sums over the buckets that this process trained, if it did any."""
    here = [part.event for part in parts if not part.earlier]
    there = [part.event for part in parts if part.earlier]
    events, past = (here, there) if here else (there, [])
    total = lambda name: sum(event[name] for event in events)
    before = sum(event["trial_steps"] for event in past)
    before += sum(event.get("trial_steps_before", 0) for event in [*past, *events])
    if len(events) == 1:
        return events[0] | {"trial_steps_before": before}
    occupied = sum(event["occupancy"] * event["trial_steps"] for event in events)
    begins = np.cumsum([0.0, *(event["seconds"] for event in events)])  # one after another
    sittings = [
        [*where, round(begin + since, 3), round(end + since, 3)]
        for event, since in zip(events, begins.tolist(), strict=False)
        for *where, begin, end in event.get("sittings", [])
    ]
    return events[-1] | {
        "seconds": total("seconds"),
        "compile_seconds": total("compile_seconds"),
        "lowerings": total("lowerings"),
        "trial_steps": total("trial_steps"),
        "trial_steps_before": before,
        "trial_steps_per_second": total("trial_steps") / total("seconds"),
        "calls": total("calls"),
        "occupancy": occupied / max(1, total("trial_steps")),  # of the steps' mean
        "sittings": sittings,
        "buckets": [{k: x for k, x in event.items() if k != "sittings"} for event in events],
    }


def join_found(parts: Sequence[Trained]) -> dict[str, Any]:
    """What a training found out, for the manifest: who copied whom, whether bits are repeated."""
    lineage = [part.event["lineage"] for part in parts if "lineage" in part.event]
    found = {"lineage": [entry for one in lineage for entry in one]} if lineage else {}
    mixed = join_mixed(part.event.get("mixed", ()) for part in parts)
    return join_repeatable(parts) | mixed | found


def join_repeatable(parts: Sequence[Trained]) -> dict[str, Any]:
    """Whether calls made twice gave the same bits, for the manifest; nothing where none was."""
    compared = sum(part.event.get("calls_compared", 0) for part in parts)
    if not compared:
        return {}
    differ = sorted({name for part in parts for name in part.event.get("calls_differ_in", ())})
    said = {"calls_compared": compared, "repeatable": not differ}
    return said | ({"calls_differ_in": differ} if differ else {})
