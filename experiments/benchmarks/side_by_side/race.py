"""Ways side by side: each in processes of its own, compared first, then timed turn about."""

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from experiments.benchmarks.side_by_side.ways import WAYS, Way
from experiments.benchmarks.side_by_side.workloads import WORKLOADS

ROOT = Path(__file__).parents[3]
FEW = 16  # trials that tell the speed of a way that trains one after another


class Cell(NamedTuple):
    """What was measured of a way on a workload of N trials."""

    workload: str
    trials: int
    way: str
    steps: int = 0  # of a trial
    timed: int = 0  # trials that were timed; fewer than N where one trains after another
    first: float | None = None  # seconds from the start of its process to the last trial timed
    walls: tuple[float, ...] = ()  # seconds of the runs
    cpus: tuple[float, ...] = ()  # of processors
    peak: int = 0  # bytes
    problem: str = ""

    @property
    def cold(self) -> float | None:
        """Seconds from the start of its process to the last of N trials; None before a run more."""
        if self.first is None or not self.walls:
            return None
        return self.first + (self.trials / self.timed - 1) * float(np.median(self.walls))

    @property
    def rates(self) -> np.ndarray:
        """Trial-steps a second of each run."""
        return self.timed * self.steps / np.array(self.walls)

    @property
    def rates_of_cpu(self) -> np.ndarray:
        """Trial-steps a second of processors, of each run."""
        return self.timed * self.steps / np.maximum(self.cpus, 1e-9)


class Racer:
    """The processes of one way."""

    def __init__(self, cell: Cell, folder: Path, limit: float):
        way = WAYS[cell.way]
        self.limit, self.errors = limit, tempfile.TemporaryFile("w+")  # noqa: SIM115 (till close)
        shares = shares_of(way, cell.timed)
        cores = sorted(os.sched_getaffinity(0))
        self.answers: list[queue.Queue] = []
        self.processes = []
        for share in range(shares):
            job = {
                "workload": cell.workload,
                "way": cell.way,
                "folder": str(folder),
                "trials": list(range(share, cell.timed, shares)),
                "steps": cell.steps,
                "core": cores[share] if shares > 1 else None,
            }
            module = "experiments.benchmarks.side_by_side.worker"
            process = subprocess.Popen(
                [sys.executable, "-m", module, json.dumps(job)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.errors,
                text=True,
                cwd=ROOT,
            )
            self.processes.append(process)
            lines: queue.Queue = queue.Queue()
            threading.Thread(target=self._listen, args=(process, lines), daemon=True).start()
            self.answers.append(lines)

    @staticmethod
    def _listen(process: subprocess.Popen, lines: queue.Queue) -> None:
        for line in process.stdout or ():
            lines.put(line)
        lines.put(None)

    def wait(self) -> list[dict[str, Any]]:
        """The next answer of each process.

        Raises:
            RuntimeError: one ended, or took too long; with the last thing that it said.
        """
        end = time.perf_counter() + self.limit
        found = []
        for lines in self.answers:
            try:
                line = lines.get(timeout=max(0.0, end - time.perf_counter()))
            except queue.Empty:
                raise RuntimeError(f"more than {self.limit:.0f} s") from None
            if line is None:
                raise RuntimeError(self._last_words())
            found.append(json.loads(line))
        return found

    def go(self) -> tuple[float, float, int]:
        """One run: seconds by the slowest's clock, seconds of processors, peak bytes."""
        for process in self.processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        found = self.wait()
        wall = max(one["wall"] for one in found)
        return wall, sum(one["cpu"] for one in found), sum(one["peak"] for one in found)

    def _last_words(self) -> str:
        self.errors.seek(0)
        said = [line.strip() for line in self.errors if line.strip()]
        return said[-1][:120] if said else "ended without a word"

    def kill(self) -> None:
        """End them, whatever they do: first as Ctrl-C would, so that what they started ends too."""
        for process in self.processes:
            process.send_signal(signal.SIGINT)
        self.close()

    def close(self) -> None:
        """End them."""
        for process in self.processes:
            process.stdin.close()
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.errors.close()


def shares_of(way: Way, trials: int) -> int:
    """Processes of a way."""
    return min(len(os.sched_getaffinity(0)), trials) if way.processes else 1


def race(
    workload: str,
    trials: int,
    ways: Sequence[str],
    folder: Path,
    *,
    repeats: int,
    limit: float,
    seconds: float,
) -> Iterator[Cell]:
    """Cells of the ways, for one workload and number of trials; each again when it knows more.

    Args:
        workload: its name.
        trials: N.
        ways: their names.
        folder: where the reference is.
        repeats: runs that are timed.
        limit: seconds that one run may take.
        seconds: after so many of all runs of a way together no further one is started.
    """
    steps = WORKLOADS[workload].steps(trials)
    cells: dict[str, Cell] = {}
    racers: dict[str, Racer] = {}
    try:
        for name in ways:
            timed = min(trials, FEW) if WAYS[name].serial else trials
            cell = Cell(workload, trials, name, steps, timed)
            start = time.perf_counter()
            racers[name] = Racer(cell, folder, limit)
            cells[name] = _first(cell, racers[name], start)
            if cells[name].problem:
                racers.pop(name).kill()  # who took too long would go on beside the others
            yield cells[name]
        for turn in range(repeats):
            for name in list(ways) if turn % 2 else list(reversed(ways)):
                if not cells[name].problem and sum(cells[name].walls) < seconds:
                    cells[name] = _again(cells[name], racers[name])
                    if cells[name].problem:
                        racers.pop(name).kill()
                    yield cells[name]
    finally:
        for racer in racers.values():
            racer.close()


def _first(cell: Cell, racer: Racer, start: float) -> Cell:
    """The run that is compared with the reference."""
    try:
        found = racer.wait()
    except RuntimeError as error:
        return cell._replace(problem=str(error))
    problem = next((one["problem"] for one in found if one["problem"]), "")
    first = None if problem else time.perf_counter() - start
    return cell._replace(first=first, peak=sum(one["peak"] for one in found), problem=problem)


def _again(cell: Cell, racer: Racer) -> Cell:
    try:
        wall, cpu, peak = racer.go()
    except RuntimeError as error:
        return cell._replace(problem=str(error), first=None, walls=(), cpus=())
    return cell._replace(
        walls=(*cell.walls, wall), cpus=(*cell.cpus, cpu), peak=max(cell.peak, peak)
    )
