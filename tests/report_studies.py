"""Small made-up studies, written with the store as the engine writes them."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from jaxopt_course.records import ownership, store
from jaxopt_course.records.format import OWN, table_sha256

INTEGERS = ("duplicate_of", "first_bad_step", "steps", "best_step")


def trial(
    optimizer: str = "adam",
    learning_rate: float = 0.1,
    seed: int = 0,
    score: float = 0.9,
    status: str = "finished",
    loss: float = 0.5,
    **more: Any,
) -> dict[str, Any]:
    """A row of trials.csv; ``score`` is the validation accuracy, the test's is 0.01 lower."""
    row = {"optimizer": optimizer, "learning_rate": learning_rate, "seed": seed, "status": status}
    row |= {"valid_accuracy": score, "valid_loss": loss, "test_accuracy": score - 0.01}
    if status != "finished":
        row |= dict.fromkeys(["valid_accuracy", "valid_loss", "test_accuracy"], np.nan)
    return row | more


def table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Rows as the store reads them back: numbered, with nullable columns."""
    numbers = range(len(rows))
    trials = pd.DataFrame({"trial": numbers, "id": [f"{i:016x}" for i in numbers]})
    trials = trials.join(pd.DataFrame(rows))
    for name in INTEGERS:
        given = trials[name] if name in trials else pd.Series(pd.NA, index=trials.index)
        trials[name] = given.astype("Int64")
    if "stopped_step" in trials:
        trials = trials.astype({"stopped_step": "Int64"})
    if "learning_rate" in trials and trials["learning_rate"].dtype != object:
        trials["learning_rate"] = trials["learning_rate"].astype("Float64")
    return trials


def courses(trials: pd.DataFrame, points: int = 4, every: int = 10) -> xr.Dataset:
    """Curves of a known form: a diverged trial has its first record, an unfinished one half."""
    steps = every * np.arange(1, points + 1)
    rank, seed = np.arange(len(trials))[:, None], trials["seed"].to_numpy(float)[:, None]
    loss = (1 + 0.1 * rank + 0.01 * seed) * 10.0 ** -(np.arange(points) / 2)
    kept = trials["status"].map({"finished": points, "diverged": 1}).fillna(points // 2)
    loss = np.where(np.arange(points) < kept.to_numpy()[:, None], loss, np.nan)
    coordinates = {"trial": trials["trial"].to_numpy(), "step": steps, "eval_step": steps}
    at_evaluation = {
        "valid_loss": (("trial", "eval_step"), (loss * 1.5).astype("float32")),
        "valid_accuracy": (("trial", "eval_step"), (1 / (1 + loss)).astype("float32")),
    }
    return xr.Dataset(
        {"train_loss": (("trial", "step"), loss.astype("float32")), **at_evaluation}, coordinates
    )


def write(
    directory: Path,
    rows: list[dict[str, Any]],
    fresh: list[dict[str, Any]] | None = None,
    points: int = 4,
    **manifest: Any,
) -> Path:
    """Write a study, and ``fresh`` as its confirmation; returns its directory."""
    directory.mkdir(parents=True, exist_ok=True)
    if not (directory / ownership.LIST).is_file():
        ownership.write_list(directory, OWN)
    store.write(directory, record(rows, points, manifest))
    if fresh is not None:
        manifest = {"hyperparameters": store.read(directory).manifest["hyperparameters"]} | manifest
        store.write(directory, record(fresh, points, manifest | {"kind": "confirmation"}), True)
    return directory


def record(rows: list[dict[str, Any]], points: int, manifest: dict[str, Any]) -> store.Record:
    """What :func:`write` writes: a study of one bucket."""
    trials = table(rows)
    names = [name for name in ("optimizer", "learning_rate", "b1") if name in trials]
    own = ["mine"]
    known = {
        "kind": "sweep",
        "task": {"name": "digits", "metrics": {"accuracy": "max", "loss": "min"}},
        "budget": {"steps": 10 * points, "epochs": points, "batch_size": 8, "steps_per_epoch": 10},
        "hyperparameters": names,
        "searched": names,
        "static": [],
        "metric": "valid_accuracy",
        "direction": "max",
        "optimizers": list(trials["optimizer"].unique()) if "optimizer" in trials else own,
        "lanes": 4,
        "seeds": sorted(map(int, trials["seed"].unique())),
        "trials": len(trials),
        "versions": {"python": "3.11", "jax": "0.10"},
        "platform": {"backend": "cpu", "device_kind": "cpu"},
        "command": "jaxopt-course compare",
        "program_sha256": "0" * 64,
    } | manifest
    bucket = {name: known[name] for name in ("hyperparameters", "searched", "optimizers", "lanes")}
    bucket |= {"static": {}, "bucket_dtypes": {}, "program_sha256": "0" * 64}
    bucket |= {"task": {"name": "digits", "metrics": {}}}
    every = {"batch_size": 8, "record_every": 10, "evaluate_every": 10}
    known["buckets"] = [bucket | {"budget": {"steps": 10 * points} | every}]
    known["trials_sha256"] = table_sha256(trials, known["hyperparameters"])
    return store.Record(known, trials, courses(trials, points))
