"""How the ranking depends on the target: steps until each optimizer reaches it, misses kept."""

import numpy as np
import pandas as pd


def steps_to_target(curves: pd.DataFrame, direction: str, most: int = 25) -> pd.DataFrame:
    """Steps until a curve first reaches a target, for all targets that somebody reaches.

    Args:
        curves: columns ``optimizer``, ``step``, ``mean``.
        direction: "min" or "max".
        most: targets, evenly over the values that curves reach beyond the worst of the first ones;
            on a logarithmic scale where they are to be low and span a decade.

    Returns:
        A row a target (the easiest first) and optimizer: ``steps``, inf where it never does, and
        ``rank`` (equal steps share the better one; who misses has none: NaN).

    Raises:
        ValueError: another direction.
    """
    if direction not in ("min", "max"):
        raise ValueError(f"direction must be 'min' or 'max', not {direction!r}")
    empty = pd.DataFrame(columns=["target", "optimizer", "steps", "rank"])
    sign = 1 if direction == "max" else -1
    curves = curves[np.isfinite(curves["mean"])]
    if curves.empty:
        return empty
    reached = {
        str(name): (part["step"].to_numpy(), np.maximum.accumulate(sign * part["mean"].to_numpy()))
        for name, part in curves.sort_values("step").groupby("optimizer", sort=False)
    }
    low = sign * min(best[0] for _, best in reached.values())
    high = sign * max(best[-1] for _, best in reached.values())
    if low == high:
        return empty
    if sign < 0 < high and low > 10 * high:
        targets = np.geomspace(low, high, most)
    else:
        targets = np.linspace(low, high, most)
    targets[-1] = high  # as it is, unrounded
    rows = []
    for target in targets:
        steps = {}
        for name, (at, best) in reached.items():
            place = int(np.searchsorted(best, sign * target))
            steps[name] = float(at[place]) if place < len(at) else np.inf
        ranks = pd.Series(steps).replace(np.inf, np.nan).rank(method="min")
        rows += [
            {"target": target, "optimizer": name, "steps": n, "rank": ranks[name]}
            for name, n in steps.items()
        ]
    return pd.DataFrame(rows)
