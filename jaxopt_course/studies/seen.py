"""What a sweep shows while it runs, and when it must end."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jaxopt_course.inspection.watched import check_watch
from jaxopt_course.studies.readings import OnReading
from jaxopt_course.sweeps.patience import is_number


@dataclass(frozen=True)
class Seen:
    """What is recorded, who hears of it, how long.

    Attributes:
        watch: what steps record beside the loss; part of the program.
        raw: whether the trained weights are measured too, where others are evaluated; likewise.
        on_reading: hears what is new.
        time_limit: seconds from the start; None for no limit.
        deadline: when that is, by ``time.perf_counter``.
    """

    watch: tuple[str, ...] = ()
    on_reading: OnReading | None = None
    time_limit: float | None = None
    deadline: float | None = None
    raw: bool = True

    @property
    def manifest(self) -> dict[str, Any]:
        """What of it makes the study, for JSON; nothing where nothing was asked."""
        watch = {"watch": list(self.watch)} if self.watch else {}
        return watch | ({} if self.raw else {"raw": False})

    @property
    def is_late(self) -> bool:
        """Whether the time is over."""
        return self.deadline is not None and time.perf_counter() >= self.deadline

    def check_time(self, begun: bool) -> None:
        """End what has begun, if the time is over; something is always made.

        Raises:
            KeyboardInterrupt: as Ctrl-C does.
        """
        if begun and self.is_late:
            raise KeyboardInterrupt

    def silent(self) -> "Seen":
        """The same program, for a training that nobody hears of and that may take its time."""
        return Seen(self.watch, raw=self.raw)


def make_seen(
    watch: Any = None,
    on_reading: Callable[..., Any] | None = None,
    time_limit: float | None = None,
    raw: bool = True,
) -> Seen:
    """Checked; the time limit begins now.

    Raises:
        TypeError, ValueError: see ``check_watch``; ``on_reading`` is no function, ``raw`` not
            True or False, or ``time_limit`` no positive number of seconds.
    """
    if not isinstance(raw, bool):
        raise TypeError(f"raw must be True or False, not {raw!r}")
    if on_reading is not None and not callable(on_reading):
        raise TypeError(f"on_reading must be a function of readings, not {on_reading!r}")
    deadline = None
    if time_limit is not None:
        if not is_number(time_limit) or not 0 < time_limit < float("inf"):
            raise ValueError(f"time_limit must be a positive number of seconds, not {time_limit!r}")
        time_limit = float(time_limit)
        deadline = time.perf_counter() + time_limit
    return Seen(check_watch(watch), on_reading, time_limit, deadline, raw)


def seen_of(
    manifest: Mapping[str, Any],
    on_reading: Callable[..., Any] | None = None,
    time_limit: float | None = None,
) -> Seen:
    """What a study on disk recorded, heard by whoever hears now."""
    return make_seen(manifest.get("watch"), on_reading, time_limit, manifest.get("raw", True))
