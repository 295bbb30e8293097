"""Optimizers whose boxes have been widened, trained again: what takes the place of what.

A winner at the edge of its box says that the box was too small, so that the optimizer is better
than it was shown.  The box is widened, its optimizer trains again on every table (the others need
not: a trial does not depend on its company), and its rows are exchanged for the new ones.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from experiments.benchmarks.default_list import MEAN
from experiments.benchmarks.tables_results import JOINED, joined, write

Boxes = dict[str, dict[str, list]]  # optimizer -> number -> [distribution, low, high]


def boxes_of(space: pd.DataFrame, tune: Sequence[str]) -> Boxes:
    """The boxes of the numbers to tune, as a manifest says them."""
    rows = space[space["name"].isin(list(tune))]
    return {
        optimizer: {
            name: [distribution, float(low), float(high)]
            for name, distribution, low, high in own[
                ["name", "distribution", "low", "high"]
            ].itertuples(index=False)
        }
        for optimizer, own in rows.groupby("optimizer", sort=False)
    }


def changed(was: Boxes, now: Boxes) -> list[str]:
    """The optimizers that have other boxes now.

    >>> changed({"sgd": {}, "adam": {"b1": ["log_complement", 0.5, 0.98]}}, {"sgd": {}, "adam": {}})
    ['adam']
    """
    return [name for name in now if now[name] != was.get(name)]


def exchange(out: Path, again: Path, names: Sequence[str]) -> None:
    """Put the new rows of these optimizers in the place of the old ones, in their order.

    Steps and seconds of a table are those of all that was trained there, the old rows too.
    """
    olds = {kind: joined(out, kind) for kind in JOINED}
    news = {kind: joined(again, kind) for kind in JOINED}
    spent = news["table"].set_index("table")[["trial_steps", "seconds"]]
    tables = olds["table"].set_index("table")
    data = news["table"].set_index("table")["data"].reindex(tables.index)
    if other := [*tables.index[tables["data"] != data]]:
        raise SystemExit(f"other data than before: {', '.join(other)}; nothing was exchanged")
    for column in spent:
        tables[column] = (tables[column] + spent[column].reindex(tables.index)).round(1)
    changes = {"table": tables.reset_index()}
    for kind, column in (("trials", "optimizer"), ("fresh", "entrant")):
        old, new = olds[kind], news[kind]
        keys = [*old[column].unique()]
        keys += [key for key in new[column].unique() if key not in keys]
        stays = old[~old[column].str.removesuffix(MEAN).isin(list(names))]
        both = pd.concat([stays, new], ignore_index=True)
        order = both.assign(at=both[column].map(keys.index)).sort_values(
            ["table", "at"], kind="stable"
        )
        changes[kind] = order[old.columns].reset_index(drop=True)
    for kind, table in changes.items():
        write(table, out / JOINED[kind])
