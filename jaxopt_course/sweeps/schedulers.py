"""Who trains on: halving, Hyperband, ASHA, median stopping; with which numbers: PBT; see patience.

A *rung* is a number of steps after which configurations are compared; who is not promoted stops
there.  The unit is the configuration: its seeds climb together and are judged by their mean, and a
diverged seed is never promoted.  Each scheduler makes a judge (see ``judges``), which decides in
the virtual order (rung, place), whoever arrives first.  Places are dealt by a fixed shuffle of the
table: in a grid sorted from bad to good everyone would be the best of those before.

    successive halving   the best 1/η of a rung, once all are there   Jamieson, Talwalkar (2016)
    Hyperband            halvings that start at different rungs       Li et al. (2018)
    ASHA                 the best 1/η of those that came before       Li et al. (2020)
    median stopping      not worse than the median of those before    Golovin et al. (2017), 3.2.1
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from jaxopt_course.sweeps.judges import Asha, Halvings, Judge, Median
from jaxopt_course.sweeps.patience import Patience, is_number, patience_of
from jaxopt_course.sweeps.population import Rules


class Scheduler(Protocol):
    """What ``sweep(scheduler=...)`` takes."""

    def judge(self, configurations: int, intervals: int, evaluate_every: int) -> Judge:
        """A judge for trials of ``intervals`` evaluations, ``evaluate_every`` steps apart.

        Raises:
            ValueError: the rungs do not fit the budget.
        """


@dataclass(frozen=True)
class SuccessiveHalving:
    """All train to the first rung, the best 1/η to the next one, η times higher, and so on.

    Attributes:
        eta: η >= 2, the share that is left behind is 1 - 1/η; the budget of a rung is η times that
            of the one before.
        min_steps: steps of the first rung; the next ones are η, η², … times higher, the last is
            the budget.  Default the budget divided by η, again and again, as long as evaluations
            and the number of configurations allow.  Rungs are rounded up to evaluations.
    """

    eta: float = 3.0
    min_steps: int | None = None

    def __post_init__(self) -> None:
        _check_eta(self)
        _check_whole(self, "min_steps")

    def judge(self, configurations: int, intervals: int, evaluate_every: int) -> Judge:
        """See :class:`Scheduler`."""
        rungs = _ascend(self.eta, self.min_steps, intervals, evaluate_every, configurations)
        return Halvings(self.eta, [(list(range(configurations)), rungs)])


@dataclass(frozen=True)
class Hyperband:
    """Halvings side by side, from many configurations on a short first rung to few on a long one.

    For when nobody knows whether a short training tells anything of a long one.

    Attributes:
        eta: η >= 2, as of :class:`SuccessiveHalving`.
        min_steps: no rung is shorter; default one evaluation.  Rungs are the budget divided by
            1, η, η², …, rounded up to evaluations.
    """

    eta: float = 3.0
    min_steps: int | None = None

    def __post_init__(self) -> None:
        _check_eta(self)
        _check_whole(self, "min_steps")

    def judge(self, configurations: int, intervals: int, evaluate_every: int) -> Judge:
        """See :class:`Scheduler`; who gets into which bracket is dealt."""
        rungs = _descend(self.eta, self.min_steps, intervals, evaluate_every)
        top = len(rungs) - 1
        shares = np.array([(top + 1) / (s + 1) * self.eta**s for s in range(top, -1, -1)])
        ends = np.round(configurations * np.cumsum(shares) / shares.sum()).astype(int)
        dealt = _deal(configurations)
        brackets = [
            (sorted(dealt[begin:end]), rungs[i:])
            for i, (begin, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True))
        ]
        return Halvings(self.eta, brackets)


@dataclass(frozen=True)
class ASHA:
    """Halving without waiting: promoted is who is in the best 1/η of those that came before.

    More are promoted than by :class:`SuccessiveHalving`, and nobody waits for the last one.  Where
    a rung has fewer than η configurations when all have come, its best goes on all the same.

    Attributes:
        eta: η >= 2, as of :class:`SuccessiveHalving`.
        min_steps: steps of the first rung, as of :class:`SuccessiveHalving`.
    """

    eta: float = 3.0
    min_steps: int | None = None

    def __post_init__(self) -> None:
        _check_eta(self)
        _check_whole(self, "min_steps")

    def judge(self, configurations: int, intervals: int, evaluate_every: int) -> Judge:
        """See :class:`Scheduler`."""
        rungs = _ascend(self.eta, self.min_steps, intervals, evaluate_every, configurations)
        return Asha(self.eta, rungs, _deal(configurations))


@dataclass(frozen=True)
class MedianStopping:
    """Stop where the best score so far is worse than the median of the others' running means.

    Attributes:
        min_steps: nobody is judged before; default a tenth of the budget.
        every: steps between judgements; default as ``min_steps``.
        min_configurations: so many must have come before.
    """

    min_steps: int | None = None
    every: int | None = None
    min_configurations: int = 5

    def __post_init__(self) -> None:
        _check_whole(self, "min_steps", "every", "min_configurations")
        if self.min_configurations is None:
            raise ValueError("min_configurations must be a number, not None")

    def judge(self, configurations: int, intervals: int, evaluate_every: int) -> Judge:
        """See :class:`Scheduler`."""
        first = _in_intervals(self.min_steps, evaluate_every, max(1, intervals // 10))
        every = _in_intervals(self.every, evaluate_every, first)
        _check_fits(self.min_steps, first, intervals, evaluate_every)
        rungs = [*range(first, intervals, every), intervals]
        return Median(rungs, _deal(configurations), self.min_configurations)


@dataclass(frozen=True)
class PBT:
    """Population-based training: the worst copy the best, and go on with numbers near to theirs.

    A row of the table is a member, rows of one optimizer are a population.  Every ``every`` steps,
    when all members have come, each of the worst share takes over the state (parameters, optimizer,
    model) of one of the best share, drawn, and trains on with that one's numbers in ``columns``,
    each times one of ``factors``, drawn: of decays (b1, b2, rho, momentum, ...) it is 1 - b that is
    multiplied, whole numbers are rounded.  Its seed, and its other columns, stay its own.  Draws
    depend on (seed, generation, row) alone.  Nobody is stopped; who diverges is out.

    ``study.trials`` has the numbers with which each row began, ``study.lineage`` all others.

    Source: Jaderberg et al., Population Based Training of Neural Networks (2017), with truncation
    selection.

    Attributes:
        every: steps of a generation, rounded up to evaluations.
        columns: hyperparameters that are perturbed.
        seed: of the draws.
        fraction: the share that is replaced, at least one member; in (0, 0.5].
        factors: of which one is drawn for each number.
    """

    every: int
    columns: Sequence[str]
    seed: int = 0
    fraction: float = 0.25
    factors: Sequence[float] = (0.8, 1.2)

    def __post_init__(self) -> None:
        _check_whole(self, "every")
        if self.every is None:
            raise ValueError("every must be a number of steps, not None")
        names = _listed(self.columns)
        if not names or not all(isinstance(n, str) for n in names):
            raise ValueError(f"columns must name hyperparameters, not {self.columns!r}")
        whole = isinstance(self.seed, int | np.integer) and not isinstance(self.seed, bool)
        if not whole or self.seed < 0:
            raise ValueError(f"seed must be a whole number of at least 0, not {self.seed!r}")
        if not is_number(self.fraction) or not 0 < self.fraction <= 0.5:
            raise ValueError(f"fraction must be above 0 and at most 0.5, not {self.fraction!r}")
        factors = _listed(self.factors)
        if not factors or not all(is_number(x) and 0 < x < math.inf for x in factors):
            raise ValueError(f"factors must be positive numbers, not {self.factors!r}")
        plain: dict[str, Any] = {
            "columns": names,
            "factors": [float(x) for x in factors],
        }  # as JSON has them
        plain |= {"seed": int(self.seed), "fraction": float(self.fraction)}
        for name, value in plain.items():
            object.__setattr__(self, name, value)

    def judge(self, configurations: int, intervals: int, evaluate_every: int) -> Judge:
        """See :class:`Scheduler`; nobody is stopped."""
        self.rules(intervals, evaluate_every)
        return Halvings(2.0, [(list(range(configurations)), [intervals])])

    def rules(self, intervals: int, evaluate_every: int) -> Rules:
        """What is decided by, for trials of ``intervals`` evaluations.

        Raises:
            ValueError: no generation ends within the budget.
        """
        every = math.ceil(self.every / evaluate_every)
        if every >= intervals:
            raise ValueError(
                f"a generation of {self.every} steps must be shorter than the budget of at most "
                f"{intervals * evaluate_every}; choose a smaller every, or evaluate more often"
            )
        return Rules(every, tuple(self.columns), self.seed, self.fraction, tuple(self.factors))


Ours = SuccessiveHalving | Hyperband | ASHA | MedianStopping | Patience | PBT
SCHEDULERS: dict[str, type[Ours]] = {
    one.__name__: one for one in (SuccessiveHalving, Hyperband, ASHA, MedianStopping, Patience, PBT)
}


def judges_each(scheduler: Scheduler | None) -> bool:
    """Whether it judges every trial alone, so that others change none of its decisions."""
    return bool(getattr(scheduler, "each_trial", False))


def ends_early(scheduler: Scheduler | None) -> bool:
    """Whether trials may end before their budget and have a score all the same."""
    return judges_each(scheduler) or patience_of(scheduler) is not None


def _listed(several: Any) -> list[Any]:
    """What a list holds; nothing of what is none."""
    listed = isinstance(several, Iterable) and not isinstance(several, str | bytes)
    return list(several) if listed and getattr(several, "ndim", 1) == 1 else []


def _deal(configurations: int) -> list[int]:
    """A place for each configuration, by a shuffle that is always the same."""
    places: list[int] = np.random.default_rng(0).permutation(configurations).tolist()
    return places


def _check_eta(scheduler: Any) -> None:
    eta = scheduler.eta
    if not is_number(eta) or not 2 <= eta < math.inf:
        raise ValueError(f"eta must be a number of at least 2, not {eta!r}: 1/eta of a rung go on")
    if isinstance(eta, np.number):  # of Python: manifests are JSON
        object.__setattr__(scheduler, "eta", eta.item())


def _check_whole(scheduler: Any, *names: str) -> None:
    for name in names:
        value = getattr(scheduler, name)
        whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
        if value is not None and (not whole or value < 1):
            raise ValueError(f"{name} must be a whole number of at least 1, not {value!r}")
        if whole:  # of Python: manifests are JSON
            object.__setattr__(scheduler, name, int(value))


def _in_intervals(steps: int | None, evaluate_every: int, default: int) -> int:
    return default if steps is None else math.ceil(steps / evaluate_every)


def _check_fits(steps: int | None, first: int, intervals: int, evaluate_every: int) -> None:
    if first > intervals:
        raise ValueError(
            f"the first rung, {steps} steps, lies beyond the budget of at most "
            f"{intervals * evaluate_every}; choose a smaller min_steps or a longer budget"
        )


def _descend(eta: float, steps: int | None, intervals: int, evaluate_every: int) -> list[int]:
    """The rungs, in intervals: the budget, divided by η as long as it is at least ``steps``."""
    first = _in_intervals(steps, evaluate_every, 1)
    _check_fits(steps, first, intervals, evaluate_every)
    count = math.floor(math.log(intervals / first, eta) + 1e-9)
    return sorted({math.ceil(intervals / eta**k - 1e-9) for k in range(count + 1)})


def _ascend(
    eta: float, steps: int | None, intervals: int, evaluate_every: int, configurations: int
) -> list[int]:
    """The rungs, in intervals: ``steps`` times η as long as it is below the budget; the budget.

    Without ``steps`` no more than the number of configurations can be divided by η: where one
    would be left, there is nothing to compare.
    """
    if steps is None:
        divided = math.floor(math.log(max(1, configurations), eta) + 1e-9)
        return _descend(eta, steps, intervals, evaluate_every)[-1 - divided :]
    _check_fits(steps, _in_intervals(steps, evaluate_every, 1), intervals, evaluate_every)
    count = math.ceil(math.log(intervals * evaluate_every / steps, eta))
    rungs = {math.ceil(steps * eta**k / evaluate_every - 1e-9) for k in range(count)}
    return sorted({rung for rung in rungs if rung < intervals} | {intervals})
