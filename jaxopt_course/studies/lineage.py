"""Who took over whose state, when, and with which numbers: the past of a member of a population."""

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from jaxopt_course.studies.climbing import Scripted
from jaxopt_course.studies.made_with import alone
from jaxopt_course.sweeps.population import Move
from jaxopt_course.sweeps.schedulers import Scheduler

if TYPE_CHECKING:
    import xarray as xr


def entries_of(
    moves: Sequence[Move], numbers: np.ndarray, evaluate_every: int
) -> list[dict[str, Any]]:
    """Moves between rows as a manifest has them; in the order of steps and rows."""
    return [
        {
            "trial": int(numbers[move.row]),
            "from_step": move.rung * evaluate_every,
            "parent": int(numbers[move.parent]),
            "numbers": dict(move.numbers),
        }
        for move in sorted(moves, key=lambda move: (move.rung, move.row))
    ]


def table_of(lineage: Sequence[Mapping[str, Any]], trials: pd.DataFrame) -> pd.DataFrame:
    """The lineage as a table: (trial, from_step, parent, numbers), the beginnings too."""
    names = list(dict.fromkeys(name for entry in lineage for name in entry["numbers"]))
    begin = trials[["trial", *names]].assign(from_step=0, parent=pd.NA)
    moved = pd.DataFrame(
        [
            {k: entry[k] for k in ("trial", "from_step", "parent")} | entry["numbers"]
            for entry in lineage
        ]
    )
    whole = pd.concat([begin, moved], ignore_index=True) if lineage else begin
    whole = whole[["trial", "from_step", "parent", *names]].astype(
        {"trial": "int64", "from_step": "int64", "parent": "Int64"}
        | {name: trials[name].dtype for name in names}
    )
    whole = whole.drop_duplicates(["trial", "from_step"], keep="last")
    return whole.sort_values(["trial", "from_step"]).reset_index(drop=True)


def ancestry(
    lineage: Sequence[Mapping[str, Any]], trial: int
) -> list[tuple[int, int, dict[str, Any]]]:
    """(from step, trial, its numbers then) of all that a trial's state has been, from step 0.

    The numbers of a beginning are those of its row, and left out.
    """
    found: list[tuple[int, int, dict[str, Any]]] = []
    before = float("inf")
    while True:
        own = [e for e in lineage if e["trial"] == trial and e["from_step"] < before]
        if not own:
            found.append((0, trial, {}))
            return found[::-1]
        last = max(own, key=lambda entry: entry["from_step"])
        before = last["from_step"]
        found.append((before, trial, dict(last["numbers"])))
        trial = last["parent"]


def path_of(
    lineage: Sequence[Mapping[str, Any]],
    trials: pd.DataFrame,
    trial: int,
    columns: Sequence[str],
    seed: int | None = None,
) -> list[tuple[int, dict[str, Any]]]:
    """The cells that hold from each step on, along a trial's ancestry.

    Args:
        lineage: of the study.
        trials: its table.
        trial: whose.
        columns: hyperparameters.
        seed: for all of it; default those of the ancestors.
    """
    rows = trials.set_index("trial")
    path = []
    for step, one, numbers in ancestry(lineage, trial):
        cells = {name: rows[name][one] for name in columns} | numbers
        path.append((step, cells | {"seed": int(rows["seed"][one]) if seed is None else seed}))
    return path


def inherited(
    curves: "xr.Dataset", lineage: Sequence[Mapping[str, Any]], trial: int
) -> "xr.Dataset":
    """The curves along a trial's ancestry, as those of one trial."""
    path = ancestry(lineage, trial)
    whole = curves.sel(trial=[trial]).copy(deep=True)
    for (begin, one, _), (end, *_) in itertools.pairwise(path):
        for name, curve in curves.data_vars.items():
            steps = curve[curve.dims[1]].to_numpy()
            inside = (steps > begin) & (steps <= end)
            whole[name].values[0, inside] = curve.sel(trial=one).to_numpy()[inside]
    return whole


def course_of(
    manifest: Mapping[str, Any], trials: pd.DataFrame, fresh: pd.DataFrame
) -> tuple[Scheduler | None, dict[str, Any]]:
    """How winners train again from fresh seeds, and what the manifest says of it.

    Of a population with the schedules of numbers that they had; else by the study's own scheduler,
    where that judges each trial alone.

    Args:
        manifest: of the study in which they won.
        trials: its table.
        fresh: rows with the winners' hyperparameters.
    """
    lineage, metric, direction = (manifest.get(n) for n in ("lineage", "metric", "direction"))
    if lineage is None:
        return alone(manifest.get("scheduler")), {}
    columns = list(manifest["hyperparameters"])
    paths, entries = {}, []
    for _, row in fresh.iterrows():
        mine = trials[_equal(trials, row, columns) & (trials["status"] == "finished")]
        place = mine[metric].idxmax() if direction == "max" else mine[metric].idxmin()
        path = path_of(lineage, trials, int(mine["trial"][place]), columns, int(row["seed"]))
        number = int(row["trial"])
        paths[number] = path
        changed = [n for n in columns if any(not _same(cells[n], row[n]) for _, cells in path)]
        entries += [
            {
                "trial": number,
                "from_step": step,
                "parent": number,
                "numbers": {n: plain(cells[n]) for n in changed if not pd.isna(cells[n])},
            }
            for step, cells in path
        ]
    return Scripted(paths), {"lineage": entries}


def plain(cell: Any) -> Any:
    """A cell as JSON has it."""
    return cell.item() if isinstance(cell, np.generic) else cell


def _same(x: Any, y: Any) -> bool:
    return bool(pd.isna(x) and pd.isna(y)) or bool(not pd.isna(x) and not pd.isna(y) and x == y)


def _equal(trials: pd.DataFrame, row: pd.Series, columns: Sequence[str]) -> np.ndarray:
    return np.array([all(_same(one[n], row[n]) for n in columns) for _, one in trials.iterrows()])
