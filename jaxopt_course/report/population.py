"""Trials whose numbers changed while they trained (PBT): what the winner had, and from when."""

import math
from typing import Any

import pandas as pd

from jaxopt_course.report import tables
from jaxopt_course.report.findings import Findings

Piece = tuple[int, dict[str, Any]]  # from this step on, these numbers


def moves(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """Who took over whose state, when, with which numbers; anybody may have written there."""
    written = manifest.get("lineage")
    return [entry for entry in written if _is_move(entry)] if isinstance(written, list) else []


def schedule(findings: Findings) -> list[Piece]:
    """The numbers of the winner's best trial by steps, those of its ancestors first.

    Empty where they are those of its row from beginning to end.
    """
    entries, trials = moves(findings.manifest), tables.once(findings.trials)
    if not entries or findings.ranking.empty:
        return []
    own = trials[tables.same(trials, findings.ranking.iloc[0], findings.hyperparameters)]
    scores = tables.finite(own[findings.metric]).dropna()
    if scores.empty:
        return []
    place = scores.idxmin() if findings.manifest["direction"] == "min" else scores.idxmax()
    trial, before, found = int(own.loc[place, "trial"]), math.inf, []
    while own := [e for e in entries if e["trial"] == trial and e["from_step"] < before]:
        last = max(own, key=lambda entry: entry["from_step"])
        found.append((int(last["from_step"]), dict(last["numbers"])))
        trial, before = last["parent"], last["from_step"]
    if not found:
        return []
    begun = trials[trials["trial"] == trial]
    names = [name for name in found[-1][1] if name in begun]
    first = {name: begun[name].iloc[0] for name in names if len(begun)}
    return [(0, {name: x for name, x in first.items() if not pd.isna(x)}), *found[::-1]]


def told(pieces: list[Piece]) -> str:
    """One line a piece, to copy.

    >>> print(told([(0, {"learning_rate": 0.1}), (20, {"learning_rate": 0.08})]))
    step 0: learning_rate=0.1
    step 20: learning_rate=0.08
    """
    lines = []
    for step, numbers in pieces:
        words = [f"{name}={x:.6g}" if isinstance(x, float) else f"{name}={x}"
                 for name, x in numbers.items()]  # fmt: skip
        lines.append(f"step {step}: {', '.join(words)}")
    return "\n".join(lines)


def _is_move(entry: Any) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("numbers"), dict):
        return False
    whole = (entry.get(name) for name in ("trial", "from_step", "parent"))
    plain = all(isinstance(x, int) and not isinstance(x, bool) for x in whole)
    return plain and all(isinstance(x, int | float) for x in entry["numbers"].values())
