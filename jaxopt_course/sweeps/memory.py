"""How many lanes fit: a line through what the program needs at widths 1 and 2, and what is free."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxopt_course.sweeps.mesh import members
from jaxopt_course.sweeps.probes import Probe

SHARE = {"cpu": 0.5}  # of the free memory that lanes may take ...
SHARE_ELSEWHERE = 0.9  # ... on devices whose memory nobody else uses


class Memory(NamedTuple):
    """What W lanes need on a device: base + each · W bytes, of at most ``limit``."""

    base: int
    each: int
    limit: int

    def bytes(self, lanes: int) -> int:
        """Predicted for a width."""
        return self.base + self.each * lanes

    @property
    def lanes(self) -> int:
        """The widest that fits; 0 if none does."""
        return max(0, (self.limit - self.base) // max(1, self.each))


def fit_memory(one: Probe, two: Probe, limit: int) -> Memory:
    """The line through widths 1 and 2.

    Raises:
        ValueError: not even one lane fits.
    """
    each = max(0, two.bytes - one.bytes)
    memory = Memory(one.bytes - each, each, limit)
    if one.bytes > limit:
        raise ValueError(
            f"one trial needs {in_bytes(one.bytes)} and a device has {in_bytes(limit)} to use; "
            "take a smaller batch_size or network, or fewer CPU devices"
        )
    return memory


def check_width(lanes: int, state_bytes: int, limit: int) -> None:
    """Refuse what cannot fit, before it is compiled.

    Raises:
        ValueError: the states of the lanes alone take more than ``limit`` bytes.
    """
    if lanes * state_bytes > limit:
        raise ValueError(
            f"{lanes} lanes take {in_bytes(lanes * state_bytes)} for their states alone, and a "
            f"device has {in_bytes(limit)} to use, which is {limit // state_bytes} lanes; take "
            "fewer lanes, a smaller network, or fewer CPU devices"
        )


def check_readings(rows: int, record: int, evaluated: int, names: int, recorded: int) -> None:
    """Refuse curves that this machine cannot hold, before anything trains.

    Args:
        rows: of the table.
        record: readings of the loss, and of what else a step records, of each.
        evaluated: evaluations of each.
        names: metrics of an evaluation.
        recorded: what a step records beside the loss.

    Raises:
        ValueError: they take more than half of the memory that is free.
    """
    needed = 4 * rows * (record * (1 + recorded) + evaluated * names)
    free = available_bytes()
    if needed > free // 2:
        raise ValueError(
            f"the curves of {rows} trials take {in_bytes(needed)}, with {record:,} records of the "
            f"loss and {evaluated:,} evaluations each, and {in_bytes(free)} are free; look at the "
            "trials less often (record_every=, evaluate_every=), or train fewer or shorter ones"
        )


def memory_limit(devices: Sequence[Any]) -> int:
    """Bytes that lanes may take on each of these devices."""
    stats = devices[0].memory_stats() or {}
    share = SHARE.get(devices[0].platform, SHARE_ELSEWHERE)
    if "bytes_limit" in stats:
        return int(share * (stats["bytes_limit"] - stats.get("bytes_in_use", 0)))
    return int(share * available_bytes() / len(members(devices)))


def available_bytes() -> int:
    """Memory that this process may still take; all of the machine's where nobody says."""
    if not hasattr(os, "sysconf"):  # Windows: nothing is known, and nothing is refused
        return sys.maxsize
    free = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemAvailable:"):
            free.append(int(line.split()[1]) * 1024)
    group = Path("/sys/fs/cgroup")  # a container's own limit
    for most, now in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        most_lines, now_lines = _lines(group / most), _lines(group / now)
        if most_lines and now_lines and most_lines[0].isdecimal():
            free.append(int(most_lines[0]) - int(now_lines[0]))
    return max(0, min(free))


def _lines(path: str | Path) -> list[str]:
    try:
        return Path(path).read_text(encoding="ascii").splitlines()
    except OSError:
        return []


def in_bytes(number: int) -> str:
    """1.5 MiB, 2.0 GiB."""
    size = float(number)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
