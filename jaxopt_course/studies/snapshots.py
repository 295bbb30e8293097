"""Snapshots of the engine as named arrays, as ``records`` keeps them, and back."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from jaxopt_course.records import checkpoints
from jaxopt_course.studies.compiled import Trained
from jaxopt_course.sweeps.snapshot import Results, Snapshot, Waiting

COUNTS = ("trial_steps", "calls", "lane_intervals", "trial_intervals")
TABLES = ("recorded", "valid", "test", "nodes")


def pack(snapshot: Snapshot) -> dict[str, np.ndarray]:
    """All of a snapshot that belongs to the sweep, not to one run of it."""
    results, waiting, kept = snapshot
    arrays = {"rows": waiting.rows, "waited": waiting.progress}
    for part in fields(Results):
        value = getattr(results, part.name)
        if part.name in TABLES:
            arrays |= {f"{part.name}/{name}": x for name, x in value.items()}
        elif part.name in COUNTS or isinstance(value, np.ndarray):
            arrays[part.name] = np.asarray(value)
    arrays |= _named("leaf", waiting.leaves)
    if kept is not None:
        arrays |= {"kept": kept.rows} | _named("kept_leaf", kept.leaves)
    return arrays


def _named(name: str, leaves: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Leaves by number; bfloat16 and its kin travel as bytes, their dtype is in the program."""
    return {
        f"{name}/{i}": x if x.dtype.isbuiltin == 1 else x.view(np.uint8)
        for i, x in enumerate(leaves)
    }


def _leaves(name: str, arrays: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    return [arrays[f"{name}/{i}"] for i in range(sum(n.startswith(f"{name}/") for n in arrays))]


def unpack(arrays: Mapping[str, np.ndarray], trials: int) -> Snapshot:
    """The snapshot that :func:`pack` made arrays of.

    Args:
        arrays: as they were packed.
        trials: of the table that they are of.

    Raises:
        ValueError: they are of another table, or not those of a snapshot.
    """
    own: dict[str, Any] = {}
    try:
        for part in fields(Results):
            if part.name in TABLES:
                own[part.name] = {
                    name.removeprefix(f"{part.name}/"): x
                    for name, x in arrays.items()
                    if name.startswith(f"{part.name}/")
                }
            elif part.name in COUNTS:
                own[part.name] = int(arrays[part.name])
            elif part.name in arrays:
                own[part.name] = arrays[part.name]
        results = Results(**own)
        leaves, held = _leaves("leaf", arrays), _leaves("kept_leaf", arrays)
        rows, waited = arrays["rows"], arrays["waited"]
    except (KeyError, TypeError) as error:
        raise ValueError(f"no snapshot of a sweep: {error}") from None
    by_trial = [results.loss_sums, results.first_bad, results.finished, results.progress]
    by_trial += [results.until, results.stopped]
    by_trial += [x for name in TABLES for x in getattr(results, name).values()]
    kept = arrays.get("kept", np.zeros(0, np.int64))
    uneven = any(len(x) % max(1, len(rows)) for x in leaves)  # bytes are several a number
    uneven = uneven or any(len(x) % max(1, len(kept)) for x in held)
    if {len(x) for x in by_trial} != {trials} or len(waited) != len(rows) or uneven:
        raise ValueError(f"a snapshot of another table than this one of {trials} trials")
    if any(len(one) and not 0 <= one.min() <= one.max() < trials for one in (rows, kept)):
        raise ValueError("a snapshot of trials that the table does not have")
    whole = Waiting(kept, np.zeros(len(kept), np.int32), held) if "kept" in arrays else None
    return Snapshot(results, Waiting(rows, waited, leaves), whole)


def newest(folder: Path, trials: int) -> Snapshot | None:
    """Where a bucket of so many trials was; None where it begins."""
    arrays = checkpoints.newest(folder)
    return None if arrays is None else unpack(arrays, trials)


def saver(folder: Path, question: str) -> Callable[[Snapshot], None]:
    """What saves the snapshots of a bucket."""

    def save(snapshot: Snapshot) -> None:
        try:
            checkpoints.save(folder, pack(snapshot), question)
        except OSError as error:
            warnings.warn(f"no checkpoint ({error}); training goes on", stacklevel=2)

    return save


def keep(folder: Path, part: Trained, question: str, kept: Mapping[int, bytes]) -> None:
    """Keep what a bucket left, and its best states, in the place of its checkpoint."""
    try:
        left = checkpoints.Left(part.trials, part.curves, part.event, kept)
        checkpoints.keep(folder, left, question)
    except OSError as error:
        warnings.warn(f"no checkpoint ({error}); training goes on", stacklevel=2)
