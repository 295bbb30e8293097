"""One table against every other way to train the same trials.

Question  Adam on N networks that differ in learning rate and seed: how many training steps a
          second, how long from a cold start, how much memory, how many lines, against optax by
          hand, PyTorch, Keras, Optuna, Ray Tune and hyperoptax?
Method    Each way in processes of its own, as users start it.  Its first run is timed from the
          start of the process, and its losses of four trials are compared with ours; where they
          differ nothing is timed.  Then all ways take turns.  The other ways get weights, and the
          order of the examples, from a file and evaluate nothing; ours draws, shuffles and
          evaluates.  Of a way that trains one trial after another 16 are timed, and its cold time
          is reckoned from them (≈).  Memory is the processes' peak, that of Ray's workers is not
          in it, nor is their time in its processors'.
Needs     pip install -e '.[bench]' (what is missing is skipped, and said)
Run       python -m experiments.benchmarks
          python -m experiments.benchmarks --quick   (two minutes: MLP, N = 4 and 64, four ways)
          python -m experiments.benchmarks --workloads mlp cnn --trials 256 --ways ours fused
Result    printed; runs/benchmarks/table.md, table.csv and figure.png, of these cells and of those
          of earlier runs (--fresh: without them).  --publish puts them into the guide on speed.
"""

import argparse
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from experiments.benchmarks.side_by_side import table, workloads
from experiments.benchmarks.side_by_side.race import ROOT, Cell, race
from experiments.benchmarks.side_by_side.ways import WAYS, is_missing

TRIALS = (1, 4, 16, 64, 256)
QUICK = {"workloads": ["mlp"], "trials": [4, 64], "ways": ["ours", "scan", "chunks", "fused"]}
OUT = ROOT / "runs" / "benchmarks"
GUIDE = ROOT / "experiments" / "guides" / "speed.md"
PICTURE = ROOT / "experiments" / "pictures" / "side_by_side.png"
NUMBERS = ROOT / "experiments" / "benchmarks" / "side_by_side.csv"
MARKS = "<!-- python -m experiments.benchmarks -->\n", "<!-- end -->\n"


def main(arguments: argparse.Namespace) -> None:
    """Measure, print, write."""
    if arguments.quick:
        for name, value in QUICK.items():
            setattr(arguments, name, value)
        arguments.repeats = min(arguments.repeats, 2)
    arguments.out.mkdir(parents=True, exist_ok=True)
    file = arguments.out / "cells.jsonl"
    if arguments.fresh:
        file.unlink(missing_ok=True)
    cells = table.load(file)
    ways = []
    for name in arguments.ways:
        if is_missing(WAYS[name]):
            print(f"{WAYS[name].title}: {WAYS[name].needs} is not installed, skipped")
        else:
            ways.append(name)
    for workload in arguments.workloads if arguments.repeats else []:
        print(f"\n{workloads.TITLES[workload]}", flush=True)
        longest = max(workloads.WORKLOADS[workload].steps(n) for n in arguments.trials)
        write_reference(workload, arguments.out, longest)
        for trials in arguments.trials:
            measured = race(
                workload,
                trials,
                ways,
                arguments.out,
                repeats=arguments.repeats,
                limit=arguments.limit,
                seconds=arguments.seconds,
            )
            for cell in measured:
                cells[workload, trials, cell.way] = cell
                table.store(file, table.in_order(cells))  # whoever stops it keeps what is known
            for cell in table.in_order(cells):
                if (cell.workload, cell.trials) == (workload, trials) and cell.way in ways:
                    print(line(cell), flush=True)
    write(cells, arguments.out)
    if arguments.publish:
        publish(arguments.out)


def write_reference(workload: str, folder: Path, longest: int) -> None:
    """In a process of its own, since ours takes all cores for JAX."""
    code = (
        "from pathlib import Path; from experiments.benchmarks.side_by_side import workloads; "
        f"workloads.write({workload!r}, Path({str(folder)!r}), {longest})"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def line(cell: Cell) -> str:
    """A cell, for the screen."""
    start = f"  N = {cell.trials:<4d} {WAYS[cell.way].title:34s}"
    if not cell.walls:
        return f"{start} {cell.problem}"
    rates, busy = sorted(cell.rates), sorted(cell.rates_of_cpu)
    middle = len(rates) // 2
    return (
        f"{start} {rates[middle]:10,.0f} trial-steps/s ({rates[0]:,.0f} to {rates[-1]:,.0f}), "
        f"{busy[middle]:10,.0f} a second of processors; cold {cell.cold:6.1f} s, "
        f"{cell.peak / 2**20:6,.0f} MiB"
    )


def write(cells: dict, folder: Path) -> None:
    """The table, the numbers, the figure."""
    ordered = table.in_order(cells)
    told = "\n".join(f"- {one}" for one in table.verdicts(cells))
    text = f"{machine()}\n\n{table.markdown(ordered)}"
    (folder / "table.md").write_text(f"{text}\n{told}\n" if told else text, encoding="utf-8")
    table.frame(ordered).to_csv(folder / "table.csv", index=False, float_format="%.6g")
    table.figure(ordered, folder / "figure.png")
    print(f"\n{told}\n{folder / 'table.md'}")


def machine() -> str:
    """What it ran on."""
    from importlib.metadata import PackageNotFoundError, version

    held = []
    for name in ("jax", "torch", "keras", "optuna", "ray", "hyperoptax"):
        try:
            held.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    cores = len(os.sched_getaffinity(0))
    return (
        f"{cores} cores, Python {platform.python_version()}, {', '.join(held)}. Trial-steps a "
        "second, median (least to most), the best of a column bold; cold and MiB at the largest N."
    )


def publish(folder: Path) -> None:
    """Into the guide, between its marks."""
    shutil.copyfile(folder / "figure.png", PICTURE)
    shutil.copyfile(folder / "table.csv", NUMBERS)
    before, rest = GUIDE.read_text(encoding="utf-8").split(MARKS[0])
    _, after = rest.split(MARKS[1])
    shown = (folder / "table.md").read_text(encoding="utf-8")
    GUIDE.write_text(f"{before}{MARKS[0]}{shown}{MARKS[1]}{after}", encoding="utf-8")


def options() -> argparse.Namespace:
    """From the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = list(workloads.WORKLOADS)
    parser.add_argument("--workloads", nargs="+", default=names, choices=names)
    parser.add_argument("--trials", nargs="+", type=int, default=list(TRIALS), metavar="N")
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--repeats", type=int, default=5, help="0: only write the table again")
    parser.add_argument("--limit", type=float, default=180.0, help="seconds of one run, at most")
    parser.add_argument("--seconds", type=float, default=60.0, help="of all runs of a cell, about")
    parser.add_argument("--quick", action="store_true", help="a short form, of two minutes")
    parser.add_argument("--fresh", action="store_true", help="forget earlier runs")
    parser.add_argument("--publish", action="store_true", help="into the guide on speed")
    parser.add_argument("--out", type=Path, default=OUT)
    return parser.parse_args()


if __name__ == "__main__":
    main(options())
