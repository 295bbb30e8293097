"""Cells as a file of lines, a table in Markdown and CSV, and a figure."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from experiments.benchmarks.side_by_side.race import Cell
from experiments.benchmarks.side_by_side.ways import WAYS, lines
from experiments.benchmarks.side_by_side.workloads import TITLES, WORKLOADS

Key = tuple[str, int, str]
WANTED = (  # workload, trials, ways of which the best counts, how many times as fast we are to be
    ("mlp", 256, ("fused", "foreach"), 15.0),
    ("mlp", 256, ("keras",), 10.0),
    ("cnn", 256, ("fused", "foreach"), 1.3),
    ("cnn", 256, ("scan",), 10.0),
    ("transformer", 256, tuple(way for way in WAYS if way != "ours"), 1.0),
    ("control", 256, tuple(way for way in WAYS if way != "ours"), 1.0),
    *((workload, 1, ("scan", "step"), 0.95) for workload in WORKLOADS),
)


def load(file: Path) -> dict[Key, Cell]:
    """What earlier runs measured."""
    cells = {}
    if file.exists():
        for line in file.read_text(encoding="utf-8").splitlines():
            held = Cell(**json.loads(line))
            cell = held._replace(walls=tuple(held.walls), cpus=tuple(held.cpus))
            cells[cell.workload, cell.trials, cell.way] = cell
    return cells


def store(file: Path, cells: Iterable[Cell]) -> None:
    """Write all of them."""
    text = "".join(json.dumps(cell._asdict()) + "\n" for cell in cells)
    file.write_text(text, encoding="utf-8")


def frame(cells: Iterable[Cell]) -> pd.DataFrame:
    """A row a cell; rates in trial-steps a second."""
    rows = []
    for cell in cells:
        row = {
            "workload": cell.workload, "trials": cell.trials, "way": WAYS[cell.way].title,
            "steps": cell.steps, "timed_trials": cell.timed, "problem": cell.problem,
            "repeats": len(cell.walls), "lines": lines(WAYS[cell.way]),
        }  # fmt: skip
        if cell.walls:
            row |= _spread("rate", cell.rates) | _spread("rate_of_cpu", cell.rates_of_cpu)
            row |= {"cold_seconds": cell.cold, "peak_mib": cell.peak / 2**20}
        rows.append(row)
    return pd.DataFrame(rows)


def _spread(name: str, values: np.ndarray) -> dict[str, float]:
    middle, low, high = np.median(values), values.min(), values.max()
    return {name: float(middle), f"{name}_least": float(low), f"{name}_most": float(high)}


def in_order(cells: dict[Key, Cell]) -> list[Cell]:
    """By workload, number of trials and way."""
    workloads, ways = list(WORKLOADS), list(WAYS)
    place = lambda c: (workloads.index(c.workload), c.trials, ways.index(c.way))
    return sorted(cells.values(), key=place)


def markdown(cells: Sequence[Cell]) -> str:
    """A table a workload: trial-steps a second at each N, then cold seconds, memory, lines."""
    blocks = []
    known = [cell for cell in cells if cell.walls or cell.problem]
    for workload in dict.fromkeys(cell.workload for cell in known):
        mine = [cell for cell in known if cell.workload == workload]
        counts = sorted({cell.trials for cell in mine})
        heads = ["way", *(f"N = {n}" for n in counts), "cold", "MiB", "lines"]
        rows = [f"| {' | '.join(heads)} |", "| --- " + "| ---: " * (len(heads) - 1) + "|"]
        for way in (way for way in WAYS if any(cell.way == way for cell in mine)):
            own = {cell.trials: cell for cell in mine if cell.way == way}
            texts = [_rate(own.get(n), _best(mine, n)) for n in counts]
            last = own[max(own)]
            texts += [_cold(last), f"{last.peak / 2**20:,.0f}" if last.walls else ""]
            rows.append(f"| {WAYS[way].title} | {' | '.join(texts)} | {lines(WAYS[way])} |")
        blocks.append("\n".join([f"**{TITLES[workload]}**", "", *rows]))
    return "\n\n".join(blocks) + "\n"


def _best(cells: Sequence[Cell], trials: int) -> float:
    rates = [np.median(cell.rates) for cell in cells if cell.trials == trials and cell.walls]
    return float(max(rates, default=0.0))


def _rate(cell: Cell | None, best: float) -> str:
    if cell is None:
        return ""
    if not cell.walls:
        return cell.problem
    low, middle, high = (_short(f(cell.rates)) for f in (np.min, np.median, np.max))
    middle = f"**{middle}**" if np.median(cell.rates) == best else middle
    return f"{middle} ({low} to {high})" if len(cell.walls) > 1 else middle


def _short(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"


def _cold(cell: Cell) -> str:
    if cell.cold is None:
        return ""
    return f"{'≈ ' if cell.timed < cell.trials else ''}{cell.cold:,.1f} s"


def verdicts(cells: dict[Key, Cell]) -> list[str]:
    """What was to be reached, and what was."""
    told = []
    for workload, trials, ways, least in WANTED:
        others = [cells.get((workload, trials, way)) for way in ways]
        others = [cell for cell in others if cell is not None and cell.walls]
        mine = cells.get((workload, trials, "ours"))
        if mine is None or not mine.walls or not others:
            continue
        seen = [one for one in others if one.way != "ray"]  # whose workers' time nobody counts
        clock = np.median(mine.rates) / max(np.median(one.rates) for one in others)
        busy = np.median(mine.rates_of_cpu) / max(np.median(one.rates_of_cpu) for one in seen)
        best = max(others, key=lambda one: np.median(one.rates))
        told.append(
            f"{workload}, N = {trials}: {clock:.2f}x {WAYS[best.way].title} (wanted: {least:g}x); "
            f"{busy:.2f}x by processors' time"
        )
    return told


def figure(cells: Sequence[Cell], file: Path) -> None:
    """Trial-steps a second against the number of trials, a panel a workload."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    names = list(dict.fromkeys(cell.workload for cell in cells))
    size = (4.2 * len(names) + 2.2, 4.2)
    fig, axes = plt.subplots(1, len(names), figsize=size, squeeze=False, layout="constrained")
    colors = plt.get_cmap("tab20")(np.arange(len(WAYS)))
    for ax, workload in zip(axes[0], names, strict=True):
        for color, way in zip(colors, WAYS, strict=True):
            own = [c for c in cells if (c.workload, c.way) == (workload, way) and c.walls]
            if not own:
                continue
            x, y = [c.trials for c in own], np.array([np.median(c.rates) for c in own])
            spread = [y - [c.rates.min() for c in own], [c.rates.max() for c in own] - y]
            style = {"color": "black", "lw": 2.5} if way == "ours" else {"color": color, "lw": 1}
            ax.errorbar(x, y, spread, marker="o", ms=3, label=WAYS[way].title, **style)
        ax.set(xscale="log", yscale="log", xlabel="trials", title=workload)
        ticks = sorted({c.trials for c in cells})
        ax.set_xticks(ticks, [str(n) for n in ticks])
        ax.minorticks_off()
    axes[0][0].set_ylabel("trial-steps a second, warm")
    handles: dict[str, object] = {}
    for ax in axes[0]:
        handles |= dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    fig.legend(handles.values(), handles.keys(), loc="outside right center", frameon=False)
    fig.savefig(file, dpi=80)
    plt.close(fig)


def grid_of(rows: Sequence[dict]) -> str:
    """Dictionaries as a table in Markdown, a column a key."""
    names = list(dict.fromkeys(key for row in rows for key in row))
    text = lambda value: (
        "" if value is None else f"{value:,.3g}" if isinstance(value, float) else str(value)
    )
    lines = [names, ["---"] * len(names), *([text(row.get(k)) for k in names] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
