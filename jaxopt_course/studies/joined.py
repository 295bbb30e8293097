"""Several studies of one program as one, as those of the parts of a table on several machines."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from jaxopt_course.records import store, weights
from jaxopt_course.records.format import join_sha256, table_sha256
from jaxopt_course.studies import results
from jaxopt_course.studies.joining import REPEATABLE, own_rows
from jaxopt_course.studies.keeping import best_trials
from jaxopt_course.studies.made_with import MADE_WITH, agreed, command, common_name, made_by
from jaxopt_course.studies.mixed import join_mixed, numbers_of, ranges
from jaxopt_course.studies.part import in_order
from jaxopt_course.studies.study import Study

if TYPE_CHECKING:
    import xarray as xr

SAME = ["static", "hyperparameters", "metric", "direction", "scheduler", "platform", "start"]
SAME += ["replicates", "score", "raw"]
APART = ("weights", "added_with", "part", *REPEATABLE)  # of one of them, not of the whole
OF_BUCKET = ("optimizers", "hyperparameters", "lanes", "budget", "bucket_dtypes", "task")


def join(studies: Sequence[Study]) -> Study:
    """Put studies of one program together: their tables and curves, one after the other.

    As of a table whose rows were shared out among machines, ``sweep(part=(rank, machines))``: rows
    are in the order of that table then, else one study's after the other's.  What is joined is a
    study: it is reported, confirmed, saved as any other.  Trials are numbered anew.

    Args:
        studies: two or more, whose trials were trained by the same programs (``program_sha256`` of
            the manifest; with static columns, that of each bucket that both have).  A trial that
            several have counts once, if its results are the same to the bit; of one that is
            unfinished somewhere, the finished one counts.

    Raises:
        TypeError: something else than studies.
        ValueError: they are of different programs, or were asked differently; or a trial has
            different results; the message names what differs.
    """
    found = list(studies) if isinstance(studies, list | tuple) else []
    if len(found) < 2 or not all(isinstance(one, Study) for one in found):
        raise TypeError(f"join takes a list of two studies or more, not {studies!r}")
    for number, other in enumerate(found[1:], 1):
        _check(found[0].manifest, other.manifest, number)
    names = list(found[0].manifest["hyperparameters"])
    parts = _numbered(found)
    whole = pd.concat([trials for trials, _ in parts], ignore_index=True)
    import xarray as xr  # late: not needed before a study is there

    curves = xr.concat([curves for _, curves in parts], "trial", join="outer")
    whole, curves = in_order([one.manifest for one in found], whole, curves)
    keep = _once(whole, curves)
    sources = whole.loc[keep, ["_study", "_trial"]].reset_index(drop=True)
    whole = whole.loc[keep].drop(columns=["_study", "_trial"]).reset_index(drop=True)
    whole["trial"] = np.arange(len(whole))
    curves = curves.isel(trial=keep).assign_coords(trial=whole["trial"].to_numpy())
    manifest = _manifest(found, whole, sources)
    entries, contents = _kept(found, whole, sources, names, manifest)
    if entries is not None:
        manifest["weights"] = entries
    events = tuple(event for one in found for event in one.events)
    return Study(whole, results.join(curves, whole, names), manifest, None, events, None, contents)


def _check(first: Mapping[str, Any], other: Mapping[str, Any], number: int) -> None:
    """Refuse a study that another program has trained."""
    for one in (first, other):
        if (one.get("continues") or {}).get("stretched"):
            raise ValueError(
                "a study that trained on with longer schedules cannot be joined: its trials are "
                "not those of its program from their first step"
            )
    for name in SAME:
        if first.get(name) != other.get(name):
            theirs, ours = _apart(other.get(name), first.get(name))
            raise ValueError(
                f"study {number} differs from the first in {name}: {theirs}, not {ours}; only "
                "studies of one program can be joined"
            )
    known = {_key(bucket): bucket for bucket in first["buckets"]}
    for bucket in other["buckets"]:
        was = known.get(_key(bucket), bucket)
        if was["program_sha256"] == bucket["program_sha256"]:
            continue
        what = [name for name in OF_BUCKET if was.get(name) != bucket.get(name)]
        both = [(name, *_apart(bucket.get(name), was.get(name))) for name in what]
        said = ", ".join(f"{name} {theirs} for {ours}" for name, theirs, ours in both)
        raise ValueError(
            f"study {number} was trained by another program than the first "
            f"({said or 'the code of the task or of the optimizer'}); only studies of one program "
            "can be joined: the same task, optimizers, columns, budget and lanes"
        )


def _apart(theirs: Any, ours: Any) -> tuple[str, str]:
    """What is not the same in two entries of manifests, each in a few words.

    >>> _apart({"steps": 10, "batch_size": 5}, {"steps": 20, "batch_size": 5})
    ('steps 10', 'steps 20')
    """
    if isinstance(theirs, Mapping) and isinstance(ours, Mapping):
        names = [name for name in {**ours, **theirs} if theirs.get(name) != ours.get(name)]
        said = [", ".join(f"{name} {one.get(name)}" for name in names) for one in (theirs, ours)]
    else:
        said = [str(theirs), str(ours)]
    first, second = (textwrap.shorten(one, 100, placeholder=" …") for one in said)
    return first, second


def _key(bucket: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(bucket["static"].items())


def _numbered(found: Sequence[Study]) -> list[tuple[pd.DataFrame, "xr.Dataset"]]:
    """Tables and curves, numbered through, each row with its study and its number there."""
    parts, start = [], 0
    like = found[0].trials.dtypes
    for number, study in enumerate(found):
        names = [*found[0].manifest["hyperparameters"], "seed"]
        for name in names:
            if study.trials[name].dtype != like[name]:
                raise ValueError(
                    f"column {name!r} holds {study.trials[name].dtype} in study {number}, "
                    f"{like[name]} in the first"
                )
        trials = study.trials.assign(_study=number, _trial=study.trials["trial"])
        trials["trial"] = start + np.arange(len(trials))
        curves = results.bare(study.curves).assign_coords(trial=trials["trial"].to_numpy())
        parts.append((trials, curves))
        start += len(trials)
    return parts


def _once(whole: pd.DataFrame, curves: "xr.Dataset") -> np.ndarray:
    """Positions of the rows that count; ``duplicate_of`` tells of those within a study."""
    keep: list[int] = []
    first: dict[str, int] = {}
    finished = whole["status"].ne("unfinished").to_numpy(bool)
    for row, name in enumerate(whole["id"]):
        if name not in first or whole["_study"][first[name]] == whole["_study"][row]:
            first.setdefault(name, row)
            keep.append(row)
        elif not finished[row]:
            continue
        elif not finished[first[name]]:
            keep[keep.index(first[name])] = row
            first[name] = row
        elif not _same(whole, curves, first[name], row):
            raise ValueError(
                f"trial {whole['_trial'][row]} of study {whole['_study'][row]} is trial "
                f"{whole['_trial'][first[name]]} of study {whole['_study'][first[name]]} (id "
                f"{name}), with other results; one program gives one result, so one of the "
                "studies was made elsewhere: leave it out"
            )
    whole.loc[keep, "duplicate_of"] = _duplicates(whole["id"].iloc[keep])
    return np.array(keep)


def _duplicates(ids: pd.Series) -> Any:
    places = {name: place for place, name in reversed(list(enumerate(ids)))}
    again = [places[name] if places[name] != place else pd.NA for place, name in enumerate(ids)]
    return pd.array(again, dtype="Int64")


def _same(whole: pd.DataFrame, curves: "xr.Dataset", a: int, b: int) -> bool:
    """Whether two rows have the same results, bit for bit."""
    table = whole.loc[[a, b], "status":].drop(columns=["_study", "_trial"])
    one, other = (table.iloc[[i]].reset_index(drop=True) for i in (0, 1))
    pairs = (x.to_numpy() for x in curves.data_vars.values())
    return bool(one.equals(other) and all(x[a].tobytes() == x[b].tobytes() for x in pairs))


def _manifest(found: Sequence[Study], whole: pd.DataFrame, sources: pd.DataFrame) -> dict[str, Any]:
    """What all have in common, and what the whole is."""
    first = found[0].manifest
    known: dict[tuple[Any, ...], dict[str, Any]] = {}
    for study in found:
        for bucket in study.manifest["buckets"]:
            known.setdefault(_key(bucket), dict(bucket))
    entries = []
    for bucket in known.values():
        own = own_rows(whole, bucket)
        names = bucket["hyperparameters"]
        facts = {"trials": len(own), "trials_sha256": table_sha256(own, names)}
        entries.append(bucket | facts)
    lanes = [entry["lanes"] for entry in entries]
    tasks = list(dict.fromkeys(entry["task"]["name"] for entry in entries))
    searched = {name for one in found for name in one.manifest["searched"]}
    manifest = {k: v for k, v in first.items() if k not in APART}
    manifest |= {
        "task": agreed([entry["task"] for entry in entries])
        | {"name": tasks[0] if len(tasks) == 1 else common_name(tasks)},
        "budget": agreed([entry["budget"] for entry in entries]),
        "searched": [name for name in first["hyperparameters"] if name in searched],
        "optimizers": list(dict.fromkeys(n for one in entries for n in one["optimizers"])),
        "lanes": lanes[0] if len(set(lanes)) == 1 else lanes,
        "seeds": sorted({int(seed) for seed in whole["seed"]}),
        "trials": len(whole),
        "command": command(),
        "buckets": entries,
        "program_sha256": join_sha256([entry["program_sha256"] for entry in entries]),
        "trials_sha256": table_sha256(whole, first["hyperparameters"]),
        "joined": [store.identity(one.manifest) for one in found],
    }
    if any("repeatable" in one.manifest for one in found):
        manifest["repeatable"] = all(one.manifest.get("repeatable", True) for one in found)
        manifest["calls_compared"] = sum(one.manifest.get("calls_compared", 0) for one in found)
    manifest |= join_mixed(_mixed(found, sources))
    if added := _added(found, sources):
        manifest["added_with"] = added
    return manifest


def _mixed(found: Sequence[Study], sources: pd.DataFrame) -> list[list[dict[str, Any]]]:
    """Of each study the nodes that trained it, where they may be unlike, with the new numbers."""
    new = {key: n for n, key in enumerate(sources.itertuples(index=False, name=None))}
    renumbered = lambda study, entry: ranges(
        new[study, trial] for trial in numbers_of(entry) if (study, trial) in new
    )
    return [
        [entry | {"trials": renumbered(n, entry)} for entry in one.manifest.get("mixed", ())]
        for n, one in enumerate(found)
    ]


def _added(found: Sequence[Study], sources: pd.DataFrame) -> list[dict[str, Any]]:
    """The trials that were made by another compiler, or on another CPU, than the first study's."""
    first = made_by(found[0].manifest)
    added = []
    for new, (number, trial) in enumerate(sources.itertuples(index=False, name=None)):
        manifest = found[number].manifest
        own = {name: manifest[name] for name in MADE_WITH}
        for one in manifest.get("added_with", ()):
            low, high = one["trials"]
            own |= {name: one.get(name, x) for name, x in own.items() if low <= trial <= high}
        if made_by(own) != first:
            added.append({"trials": [new, new]} | own)
    return added


def _kept(
    found: Sequence[Study],
    whole: pd.DataFrame,
    sources: pd.DataFrame,
    names: list[str],
    manifest: Mapping[str, Any],
) -> tuple[dict[str, Any] | None, dict[int, bytes]]:
    """The weights of the best of all, as far as the studies kept them."""
    keep = int(manifest.get("keep") or 0)
    if not keep:
        return None, {}
    chosen, replicates = (manifest["metric"], manifest["direction"]), manifest.get("replicates", ())
    entries, contents = [], {}
    for trial in best_trials(whole, names, chosen, keep, replicates):
        study, number = found[sources["_study"][trial]], int(sources["_trial"][trial])
        content = study._content(number)
        if content is not None:
            (own,) = [e for e in weights.entries(study.manifest) if e["trial"] == number]
            contents[trial] = content
            entries.append(weights.entry_of(trial, content) | {"step": own["step"]})
    return {"configurations": keep, "score": "last", "trials": entries}, contents
