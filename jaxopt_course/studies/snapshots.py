"""Snapshots of the engine as named arrays, as ``records`` keeps them, and back."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from jaxopt_course.records import checkpoints
from jaxopt_course.studies.compiled import Trained
from jaxopt_course.sweeps.snapshot import Results, Snapshot, Waiting

COUNTS = ("trial_steps", "calls", "lane_intervals", "trial_intervals")
TABLES = ("recorded", "valid", "test")


def pack(snapshot: Snapshot) -> dict[str, np.ndarray]:
    """All of a snapshot that belongs to the sweep, not to one run of it."""
    results, waiting = snapshot
    arrays = {"rows": waiting.rows, "waited": waiting.progress}
    for part in fields(Results):
        value = getattr(results, part.name)
        if part.name in TABLES:
            arrays |= {f"{part.name}/{name}": x for name, x in value.items()}
        elif part.name in COUNTS or isinstance(value, np.ndarray):
            arrays[part.name] = np.asarray(value)
    # bfloat16 and its kin have no name in npz: their bytes travel, and the dtype is in the program
    arrays |= {
        f"leaf/{i}": x if x.dtype.isbuiltin == 1 else x.view(np.uint8)
        for i, x in enumerate(waiting.leaves)
    }
    return arrays


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
        leaves = [arrays[f"leaf/{i}"] for i in range(sum(n.startswith("leaf/") for n in arrays))]
        rows, waited = arrays["rows"], arrays["waited"]
    except (KeyError, TypeError) as error:
        raise ValueError(f"no snapshot of a sweep: {error}") from None
    by_trial = [results.loss_sums, results.first_bad, results.finished, results.progress]
    by_trial += [results.until, results.stopped]
    by_trial += [x for name in TABLES for x in getattr(results, name).values()]
    uneven = any(len(x) % max(1, len(rows)) for x in leaves)  # bytes are several a number
    if {len(x) for x in by_trial} != {trials} or len(waited) != len(rows) or uneven:
        raise ValueError(f"a snapshot of another table than this one of {trials} trials")
    if len(rows) and not 0 <= rows.min() <= rows.max() < trials:
        raise ValueError("a snapshot of trials that the table does not have")
    return Snapshot(results, Waiting(rows, waited, leaves))


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


def keep(folder: Path, part: Trained, question: str) -> None:
    """Keep what a bucket left, in the place of its checkpoint."""
    try:
        left = checkpoints.Left(part.trials, part.curves, part.event)
        checkpoints.keep(folder, left, question)
    except OSError as error:
        warnings.warn(f"no checkpoint ({error}); training goes on", stacklevel=2)
