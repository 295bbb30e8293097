"""What is raised where a sweep ends before its trials are over, and what is said of its bits."""

import warnings
from collections.abc import Mapping
from typing import Any

from jaxopt_course.records import checkpoints


class NotRepeatableWarning(UserWarning):
    """On this machine the same call gave other bits."""


def warn_of_bits(manifest: Mapping[str, Any]) -> None:
    """Say so where a call, made again, gave other bits; of unlike nodes whoever asked knows."""
    if differ := manifest.get("calls_differ_in"):
        warnings.warn(
            "this machine gave other bits for the same call, in "
            f"{', '.join(differ[:3])}: what is resumed or replayed "
            "agrees to rounding, not to the last bit",
            NotRepeatableWarning,
            stacklevel=4,
        )


class SweepInterrupted(KeyboardInterrupt):
    """Ctrl-C, or ``time_limit``, ended a sweep.

    Attributes:
        study: holds the trials that were over, and is saved if asked.
        summary: why and how far, without how to go on.
    """

    def __init__(self, study: Any) -> None:
        over, number = int((study.trials["status"] != "unfinished").sum()), len(study.trials)
        last: dict[str, Any] = study.events[-1] if study.events else {}
        limit = last.get("time_limit")
        said = "stopped" if limit is None else f"the time limit of {limit:g} s is over: stopped"
        said += " while compiling," if last.get("compiling") else ""
        self.summary, self.study = f"{said} with {over} of {number} trials over", study
        text = self.summary
        if study.directory is not None and checkpoints.is_unfinished(study.directory):
            text += f"; it goes on with Study.resume({str(study.directory)!r})"
        super().__init__(text)
