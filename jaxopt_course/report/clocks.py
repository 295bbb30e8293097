"""Two clocks: who is first after as many steps, and who after as many seconds."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from jaxopt_course.report.findings import Findings
from jaxopt_course.report.tables import levels

COLUMNS = (
    "optimizer", "rank_by_steps", "score_by_steps", "seconds_per_step", "relative", "seconds",
    "steps", "score_by_seconds", "rank_by_seconds",
)  # fmt: skip


def two_clocks(findings: Findings) -> pd.DataFrame:
    """The winners by steps and by seconds: a row an optimizer, as the ranking has them.

    By steps all have trained the same number.  By seconds each has the time that the quickest takes
    for its training, and counts with its last evaluation before: with the best one so far, where
    that is what the study ranks by.  The curve is that of the whole training, so that a schedule is
    not at its end there.

    Returns:
        ``optimizer``, ``rank_by_steps``, ``score_by_steps``, ``seconds_per_step``, ``relative`` (to
        the quickest), ``seconds`` (the time that all have), ``steps`` (that fit), and of these
        ``score_by_seconds`` and ``rank_by_seconds``; equals share the better rank, and who has no
        score has none.  No row where :meth:`Study.seconds_per_step` was never called.
    """
    clock = findings.clock
    known = dict(clock.itertuples(index=False))
    ranking = findings.ranking[findings.ranking["optimizer"].isin(known)]
    if ranking.empty:
        return pd.DataFrame(columns=list(COLUMNS))
    by_steps = "fresh_mean" if findings.confirmed else findings.metric
    table = pd.DataFrame(
        {
            "optimizer": ranking["optimizer"],
            "rank_by_steps": ranking["rank"],
            "score_by_steps": ranking[by_steps],
            "seconds_per_step": ranking["optimizer"].map(known).astype(float),
        }
    ).reset_index(drop=True)
    table["relative"] = table["seconds_per_step"] / table["seconds_per_step"].min()
    curves = [_curve(findings, name) for name in table["optimizer"]]
    ends = [
        seconds * curve["step"].iloc[-1]
        for seconds, curve, score in zip(
            table["seconds_per_step"], curves, table["score_by_steps"], strict=True
        )
        if len(curve) and not pd.isna(score)
    ]
    table["seconds"] = min(ends, default=np.nan)
    table["steps"] = (table["seconds"] / table["seconds_per_step"] * (1 + 1e-9)) // 1
    scores = [
        _score_at(curve, steps) if not pd.isna(score) else np.nan
        for curve, steps, score in zip(curves, table["steps"], table["score_by_steps"], strict=True)
    ]
    table["score_by_seconds"] = np.array(scores, float)
    sign = -1 if findings.manifest["direction"] == "max" else 1
    place = levels(sign * table["score_by_seconds"])
    ahead = (place[None] < place[:, None]).sum(1)
    table["rank_by_seconds"] = pd.array(1 + ahead, "Int64")
    table.loc[table["score_by_seconds"].isna(), "rank_by_seconds"] = pd.NA
    return table.astype({"steps": "Int64"})[list(COLUMNS)]


def _curve(findings: Findings, name: str) -> pd.DataFrame:
    """The mean over seeds of what the study ranks by, over steps."""
    metric = findings.metric.removeprefix("best_")
    curves = findings.curves
    mine = curves[(curves["optimizer"] == name) & (curves["quantity"] == metric)]
    mine = mine[["step", "mean"]].reset_index(drop=True)
    if findings.metric.startswith("best_"):
        best = mine["mean"].cummax() if findings.manifest["direction"] == "max" else None
        mine["mean"] = mine["mean"].cummin() if best is None else best
    return mine


def _score_at(curve: pd.DataFrame, steps: float) -> float:
    reached = curve.loc[curve["step"] <= steps, "mean"]
    return float(reached.iloc[-1]) if len(reached) else float("nan")


def sentences(findings: Findings, names: Mapping[str, str]) -> list[str]:
    """What a step costs, and who is first where all have the same time; nothing without a clock."""
    table = two_clocks(findings)
    if len(table) < 2:
        return []
    w, name = findings.words, lambda row: names[table["optimizer"][row]]
    quick, slow = table["relative"].idxmin(), table["relative"].idxmax()
    said = [
        w.say(
            "A step of {slow} takes {times} times as long as one of {quick}, the quickest.",
            slow=name(slow),
            times=w.number(float(table["relative"][slow]), 3),
            quick=name(quick),
        )
    ]
    ranked = table[table["rank_by_seconds"].notna()]
    if len(ranked) < 2:
        return said
    by_time = ranked.sort_values(["rank_by_seconds", "rank_by_steps"])
    first, moved = by_time.index[0], int((by_time.index != ranked.index).sum())
    template = "Given the seconds that {quick} takes, {first} is first; {n} of {all} change place."
    same = "Given the seconds that {quick} takes, {first} is first, too; {n} of {all} change place."
    more = {"quick": name(quick), "first": name(first), "all": len(ranked)}
    chosen = same if first == ranked.index[0] else template
    said.append(w.say(chosen, n=moved or w.say("none"), **more))
    return said
