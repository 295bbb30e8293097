"""What a sweep relies on in a scheduler."""

import dataclasses
import json
import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxopt_course.studies.made_with import describe_scheduler
from jaxopt_course.sweeps.schedulers import judges_each
from jaxopt_course.testing.faults import attempting, require

ORDERS = 4  # in which trials arrive


def check_scheduler(
    scheduler: Any,
    *,
    configurations: int = 27,
    intervals: int = 27,
    evaluate_every: int = 10,
) -> None:
    """Check a scheduler by letting it judge made-up curves, which arrive in several orders.

        kind        an object with ``judge``; settings that a manifest can hold
        judge       says for each configuration how far it trains first, and in which order
        news        name configurations that wait, and intervals beyond those behind them
        order       decisions are the same in whatever order trials arrive, and each time anew
        best        who finishes is no worse than the median of all: lower scores are better
        diverged    who has diverged (infinity) never trains on; if all have, nothing fails
        alone       with ``each_trial``, a configuration alone has the end that it has among others

    >>> from jaxopt_course.sweeps.schedulers import ASHA
    >>> check_scheduler(ASHA(eta=3))

    Args:
        scheduler: what ``sweep(scheduler=...)`` takes.
        configurations: how many compete.
        intervals: evaluations of a whole trial.
        evaluate_every: steps between them.

    Raises:
        AssertionError: what is broken, and how to mend it.
    """
    name = scheduler.__name__ if isinstance(scheduler, type) else type(scheduler).__name__
    require(not isinstance(scheduler, type), f"{name} is a class: give one of it, as {name}()")
    require(
        callable(getattr(scheduler, "judge", None)),
        f"{name} has no method judge(configurations, intervals, evaluate_every)",
    )
    _check_settings(scheduler, name)
    run = lambda curves, seed: _climb(scheduler, curves, evaluate_every, seed)
    with attempting(f"{name}.judge for a single configuration"):
        scheduler.judge(1, intervals, evaluate_every)
    curves = _curves(configurations, intervals)
    ends = run(curves, 0)
    require(
        run(curves, 0) == ends,
        f"{name} decides otherwise when it is asked again: each judge begins anew, and what it "
        "draws comes from a seed that is one of the scheduler's settings",
    )
    for seed in range(1, ORDERS):
        other = run(curves, seed)
        apart = [who for who, end in enumerate(ends) if other[who] != end]
        require(
            not apart,
            f"{name} decides by who arrives first: configuration {[*apart, 0][0]} trains for "
            f"{ends[[*apart, 0][0]]} or {other[[*apart, 0][0]]} intervals; decide on a "
            "configuration when all before it in a fixed order have arrived",
        )
    if not judges_each(scheduler):
        _check_best(name, curves[:, -1], ends, intervals)
    lost = curves.copy()
    lost[::3] = math.inf
    first = scheduler.judge(configurations, intervals, evaluate_every).first
    for given in (lost, np.full_like(curves, math.inf)):
        after = run(given, 0)
        for who in range(0, configurations, 3):
            require(
                after[who] == first[who],
                f"{name} lets configuration {who} train on, whose curve is infinite: it has "
                "diverged",
            )
    if judges_each(scheduler):
        for who in range(configurations):
            alone = run(curves[who : who + 1], 0)[0]
            require(
                alone == ends[who],
                f"{name} has each_trial, and configuration {who} trains for {alone} intervals "
                f"alone and for {ends[who]} among others",
            )


def _check_settings(scheduler: Any, name: str) -> None:
    """A manifest is JSON, and a resumed study compares what it says with what it is given."""
    if not dataclasses.is_dataclass(scheduler):
        hidden = sorted(vars(scheduler)) if hasattr(scheduler, "__dict__") else []
        require(
            not hidden,
            f"{name} keeps {', '.join(hidden)} where the manifest does not see it: make it a "
            "frozen dataclass, whose fields are its settings, so that a study resumed with others "
            "is refused",
        )
    settings = describe_scheduler(scheduler) or {}
    for field, value in settings.items():
        with attempting(f"{name}.{field} in JSON", "keep settings as plain numbers and strings"):
            again = json.loads(json.dumps(value, allow_nan=False))
        require(
            again == value and type(again) is type(value),
            f"{name}.{field} is {value!r} and comes back from a manifest as {again!r}, so that a "
            "study could not be resumed: convert it in __post_init__",
        )


def _curves(configurations: int, intervals: int) -> np.ndarray:
    """(configurations, intervals): falling to levels of their own, some early and some late."""
    rng = np.random.default_rng(0)
    level, height = rng.uniform(0, 1, (2, configurations, 1))
    pace = rng.uniform(0.05, 0.5, (configurations, 1)) * intervals
    curves: np.ndarray = level + height * np.exp(-np.arange(1, intervals + 1) / pace)
    return curves


def _climb(scheduler: Any, curves: np.ndarray, evaluate_every: int, seed: int) -> list[int]:
    """How far each configuration has trained when nothing moves any more.

    Those that may train arrive in a drawn order, one at a time.
    """
    configurations, intervals = curves.shape
    name = type(scheduler).__name__
    with attempting(f"{name}.judge"):
        judge = scheduler.judge(configurations, intervals, evaluate_every)
        until = [int(rung) for rung in judge.first]
        order = [int(who) for who in judge.order]
    require(
        len(until) == configurations and all(1 <= rung <= intervals for rung in until),
        f"{name}: judge.first must say for each of {configurations} configurations up to which of "
        f"{intervals} intervals it trains first, and is {until}",
    )
    require(
        sorted(order) == list(range(configurations)),
        f"{name}: judge.order must have each of {configurations} configurations once, and is "
        f"{order}",
    )
    waiting: set[int] = set()  # have arrived, and are neither promoted nor stopped
    stopped: set[int] = set()
    moving = list(range(configurations))
    draw = random.Random(seed)
    while moving:
        who = moving.pop(draw.randrange(len(moving)))
        waiting.add(who)
        with attempting(f"{name}: judge.hear"):
            heard = judge.hear(who, until[who], curves[who, : until[who]].copy())
        require(
            isinstance(heard, Mapping),
            f"{name}: judge.hear must return a mapping from configurations to intervals, and "
            f"returns {heard!r}",
        )
        for other, target in heard.items():
            if target == 0 and other in stopped:
                continue
            _check_news(name, other, target, until, waiting, intervals)
            waiting.discard(other)
            if target == 0:
                stopped.add(other)
            else:
                until[other] = int(target)
                moving.append(other)
    return until


def _check_news(
    name: str, other: Any, target: Any, until: Sequence[int], waiting: set[int], intervals: int
) -> None:
    require(
        other in waiting,
        f"{name}: judge.hear decides on configuration {other}, which does not wait: it is unknown, "
        "still trains, was stopped, or was promoted before",
    )
    require(
        target == 0 or until[other] < target <= intervals,
        f"{name}: judge.hear sends configuration {other} to interval {target}, and it has "
        f"{until[other]} of {intervals} behind it: 0 stops it, a later interval lets it train on",
    )


def _check_best(name: str, last: np.ndarray, ends: Sequence[int], intervals: int) -> None:
    finished = [who for who, end in enumerate(ends) if end == intervals]
    require(
        finished,
        f"{name} lets nobody train to the end: the study would have no best trial; promote the "
        "best of the highest rung that was reached",
    )
    best, middle = last[finished].min(), np.median(last)
    require(
        best <= middle,
        f"{name} keeps the worse ones: of those that finish the best has {best:.3g}, and the "
        f"median of all is {middle:.3g}; scores are such that lower is better",
    )
