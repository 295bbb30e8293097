"""Schedulers that can stop nobody: all trials train to their end, and who asked should know."""

from typing import Any

from jaxopt_course.sweeps.judges import Halvings, Judge
from jaxopt_course.sweeps.patience import Patience, WithPatience
from jaxopt_course.sweeps.schedulers import (
    ASHA,
    PBT,
    MedianStopping,
    Scheduler,
    SuccessiveHalving,
)


def idle(
    scheduler: Scheduler, configurations: int, intervals: int, evaluate_every: int
) -> dict[str, str]:
    """The schedulers that can stop nobody before the last step, by name, and why.

    Who diverges ends anyway.  PBT is none of them, as it stops nobody on purpose.

    Args:
        scheduler: one of ours, or anybody's, which is asked for its first rungs only.
        configurations: of one program.
        intervals: evaluations of a trial.
        evaluate_every: steps between them.

    >>> idle(Patience(5), 8, intervals=6, evaluate_every=10)
    {'Patience': 'the last of 6 evaluations is the first that could follow 5 without improvement'}
    >>> idle(ASHA(), 9, intervals=9, evaluate_every=10)
    {}
    """
    if isinstance(scheduler, PBT):
        return {}
    if isinstance(scheduler, WithPatience):
        both = scheduler.scheduler, scheduler.patience
        found = [idle(one, configurations, intervals, evaluate_every) for one in both]
        return found[0] | found[1]
    judge = scheduler.judge(configurations, intervals, evaluate_every)
    why = _why(scheduler, judge, configurations, intervals, intervals * evaluate_every)
    return {type(scheduler).__name__: why} if why else {}


def _why(scheduler: Any, judge: Judge, configurations: int, intervals: int, budget: int) -> str:
    """The first reason that holds, "" where there is none."""
    if intervals == 1:
        return "trials are evaluated once, at their end: evaluate more often (evaluate_every=)"
    if isinstance(scheduler, Patience):
        after = scheduler.evaluations
        return (
            f"the last of {intervals} evaluations is the first that could follow {after} without "
            "improvement"
            if after + 1 >= intervals
            else ""
        )
    if configurations == 1:
        return "there is one configuration, and nothing to compare it with"
    if min(judge.first) >= intervals:
        return _late(scheduler, configurations, intervals, budget)
    if isinstance(scheduler, MedianStopping) and configurations <= scheduler.min_configurations:
        return (
            f"there are {configurations} configurations, and the first "
            f"{scheduler.min_configurations} are not judged (min_configurations=)"
        )
    if isinstance(judge, Halvings) and not judge.compares:
        return f"none of its brackets has two of the {configurations} configurations"
    return ""


def _late(scheduler: Any, configurations: int, intervals: int, budget: int) -> str:
    """Why the first rung is the last step."""
    by_eta = getattr(scheduler, "min_steps", budget) is None
    if by_eta and intervals < getattr(scheduler, "eta", 0):
        return (
            f"1/{scheduler.eta:g} of {intervals} evaluations is less than one: evaluate more often "
            "(evaluate_every=), or take a smaller eta"
        )
    if (
        by_eta
        and isinstance(scheduler, SuccessiveHalving | ASHA)
        and configurations < scheduler.eta
    ):
        return (
            f"1/{scheduler.eta:g} of {configurations} configurations is less than one: say with "
            "min_steps= where they are compared, or take a smaller eta"
        )
    way = ": give a smaller min_steps=" if hasattr(scheduler, "min_steps") else ""
    return f"its first rung is the last step, {budget:,}{way}"
