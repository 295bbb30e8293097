"""One process of one way: ``python -m experiments.benchmarks.side_by_side.worker JSON``.

Prints a line of JSON for each run: the first, whose losses are compared with the reference, and
then one for each line that it reads.
"""

import contextlib
import importlib
import json
import os
import sys
import time
from pathlib import Path

from experiments.benchmarks.side_by_side import workloads
from experiments.benchmarks.side_by_side.ways import WAYS


def main(job: dict) -> None:
    """Train, report, and again for as long as somebody asks."""
    if job["core"] is not None:
        os.sched_setaffinity(0, [job["core"]])  # before any library starts its threads
    answers = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        case = workloads.read(job["workload"], Path(job["folder"]), job["trials"], job["steps"])
        file, function = WAYS[job["way"]].make.split(".")
        way = importlib.import_module(f"experiments.benchmarks.side_by_side.{file}")
        run = getattr(way, function)(case)
        curves = run()
        tell(answers, problem=case.difference(curves))
        if hasattr(run, "prepare"):
            run.prepare()
        for _ in sys.stdin:
            wall, cpu = time.perf_counter(), time.process_time()
            run()
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            tell(answers, wall=wall, cpu=cpu)


def tell(answers, **facts) -> None:
    """Write a line."""
    print(json.dumps(facts | {"peak": peak()}), file=answers, flush=True)


def peak() -> int:
    """Bytes: the most that this process held, and those that it started and that still run."""
    below = {os.getpid()}
    parents = {int(p.name): p for p in Path("/proc").iterdir() if p.name.isdigit()}
    held = {number: status(path) for number, path in parents.items()}
    grown = True
    while grown:
        more = {n for n, (parent, _) in held.items() if parent in below} - below
        below |= more
        grown = bool(more)
    return sum(held[number][1] for number in below if number in held)


def status(folder: Path) -> tuple[int, int]:
    """A process's parent and its peak of resident memory, in bytes; zeros if it is gone."""
    with contextlib.suppress(OSError):
        lines = (folder / "status").read_text().splitlines()
        found = dict(line.split(":", 1) for line in lines if ":" in line)
        return int(found["PPid"]), int(found.get("VmHWM", "0 kB").split()[0]) * 1024
    return 0, 0


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
