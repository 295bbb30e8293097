"""The compiled programs: W lanes of one device, seated anew and advanced together by a segment.

A lane is a slot, a trial is a guest.

    lanes           = seat(lanes, seats, fresh)                       where fresh, a new guest
    lanes, readings = segment(lanes, seats, data, intervals, ends)    all guests train on

A segment is a number of evaluation intervals.  An interval is a scan over its steps, each a
``vmap`` over the lanes, and one evaluation on the validation part at its end.  The number of
intervals is data, so the host may ask for shorter segments near a trial's end without a second
compilation.  ``seat`` stands apart because networks' initialisers take long to compile and nothing
to run.

Three things are left out on purpose.  No lane is frozen after a bad step: a NaN lane does not touch
its neighbours, and a ``where`` over all states costs 10%.  No evaluation stands inside the scan
over steps: ``lax.cond`` under ``vmap`` runs for every lane.  Nothing calls back to the host.

Hyperparameters named in ``shared`` are one scalar for all lanes of a call; with the optimizer's
index among them, ``lax.switch`` stays a true conditional under ``vmap``.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_course.sweeps import runs
from jaxopt_course.sweeps.steps import each, make_steps

Tree = Any
MAX_INTERVALS = 64  # of one call, at most ...
MAX_SHARE = 8  # of a stream at most an eighth of a trial


class Trial(Protocol):
    """The pure functions of one trial; see ``jaxopt_course.train``."""

    @property
    def init(self) -> Callable[..., Any]:
        """(hyperparameters, seed) -> state; the state has a field ``step``."""

    @property
    def step(self) -> Callable[..., Any]:
        """(hyperparameters, state, seed, data, rows=None) -> (state, loss, recorded).

        ``recorded`` is a dict of scalars, by the names of their curves; the means between records
        are kept.  ``data`` is the whole :class:`Data`; ``rows`` the examples of its batch, where
        they are known already.
        """

    @property
    def rows(self) -> Callable[..., Any] | None:
        """(seed, step, train part) -> (B,), int32, the examples of a step; None of a stream."""

    @property
    def evaluate(self) -> Callable[..., Any]:
        """(hyperparameters, state, part of the data, shared) -> metrics, with a "loss".

        Where it has ``after`` and ``test`` too, see ``best``.
        """


class Data(NamedTuple):
    """The three parts of the data, and what all read; they enter the program as arguments."""

    train: Tree
    valid: Tree
    test: Tree
    shared: Tree = ()  # arrays of any shape that loss and metrics read, one copy a device
    validations: Mapping[str, Tree] = {}  # further sets, measured as valid is


class Rhythm(NamedTuple):
    """When a trial is recorded, evaluated and over; in steps."""

    steps: int
    record_every: int
    evaluate_every: int
    diverges_above: float | None = None  # a loss, beyond which a trial is bad; None is infinity
    by_first_loss: bool = False  # whether the state has the limit, see ``first_loss``
    diverges_after: int | None = None  # bad losses in a row that make a trial bad
    skips: bool = False  # whether an optimizer leaves out bad steps, so that good ones may follow
    fits: int = 0  # batches of a stream that a call may hold; 0: the data are on the device

    @property
    def intervals(self) -> int:
        """Evaluations of a whole trial; the last interval may be shorter than the others."""
        return math.ceil(self.steps / self.evaluate_every)

    @property
    def unit(self) -> int:
        """Steps whose losses are summed on the device; it divides records and evaluations."""
        return math.gcd(self.record_every, self.evaluate_every)

    @property
    def units(self) -> int:
        """Units in an interval."""
        return self.evaluate_every // self.unit

    @property
    def whole(self) -> bool:
        """Whether a trial ends exactly at the end of an interval."""
        return self.steps % self.evaluate_every == 0


class Lanes(NamedTuple):
    """What the lanes of a device carry from call to call; all leaves lead with the lane axis W."""

    state: Any
    first_bad: Any  # (W,), int32: updates done before the first bad loss, -1 while none; ``runs``


class Seats(NamedTuple):
    """Who sits where."""

    shared: Mapping[str, Any]  # scalars, the same for all lanes
    hyperparameters: Mapping[str, Any]  # leaves (W,)
    seeds: jax.Array  # (W,), uint32


class Readings(NamedTuple):
    """What a call reports; S = room for intervals, K = units an interval."""

    loss_sums: jax.Array  # (S, K, W): sums of the training losses of a unit's steps
    recorded: dict[str, jax.Array]  # (S, K, W): such sums of what else a step records
    valid: dict[str, jax.Array]  # (S, W)
    test: dict[str, jax.Array]  # (W,), where a trial ended in this call, else 0
    first_bad: jax.Array  # (W,)


def room(rhythm: Rhythm) -> int:
    """S, how many intervals one call can report."""
    share = MAX_SHARE if rhythm.fits else 1
    return min(math.ceil(rhythm.intervals / share), MAX_INTERVALS)


def make_seat(trial: Trial) -> Callable[[Lanes, Seats, jax.Array], Lanes]:
    """The program ``seat(lanes, seats, fresh)``; ``fresh``: (W,), bool, who starts anew."""

    def seat(lanes: Lanes, seats: Seats, fresh: jax.Array) -> Lanes:
        new = Lanes(_init(trial, seats), jnp.full(fresh.shape, -1, jnp.int32))

        def choose(new: jax.Array, old: jax.Array) -> jax.Array:
            return jnp.where(fresh.reshape((-1,) + (1,) * (old.ndim - 1)), new, old)

        return jax.tree.map(choose, new, lanes)

    return seat


def _init(trial: Trial, seats: Seats) -> Any:
    """The first states of all lanes."""

    def one(shared: Any, own: Any, seed: Any) -> Any:
        return trial.init({**shared, **own}, seed)

    return each(one, (None, 0, 0), len(seats.seeds))(
        seats.shared, seats.hyperparameters, seats.seeds
    )


def make_segment(
    trial: Trial,
    rhythm: Rhythm,
    recorded: Sequence[str],
    of_stream: Callable[..., Any] | None = None,
    known: tuple[Sequence[str], Sequence[str]] | None = None,
) -> Callable[..., tuple[Lanes, Readings]]:
    """The program ``segment(lanes, seats, data, intervals, ends)`` of the module's docstring.

    ``recorded`` are the names of what a step records; ``of_stream`` makes the segment of a stream
    instead, of the same steps and evaluations.  ``known`` are the names of what an evaluation and
    the test measure; to trace them for that takes as long again.

    ``intervals``: (), int32, in [1, S].  ``ends``: (), bool, whether any trial ends in this call,
    and so the test part is to be evaluated.
    """
    least = rhythm.diverges_after
    patient = rhythm.skips or least is not None

    def is_bad(loss: jax.Array, lanes: Lanes) -> jax.Array:
        if rhythm.by_first_loss and patient:  # a first loss that was left out limits nothing
            limit = jnp.nan_to_num(lanes.state.limit, nan=jnp.inf)
            return ~(jnp.isfinite(loss) & (jnp.abs(loss) <= limit))
        if rhythm.by_first_loss:
            return ~(jnp.isfinite(loss) & (jnp.abs(loss) <= lanes.state.limit))
        if rhythm.diverges_above is None:
            return ~jnp.isfinite(loss)
        return ~(jnp.abs(loss) <= rhythm.diverges_above)

    # a stream's batch comes once for each lane: products of one with all are slower on a CPU
    along = None if of_stream is None else Data(0, None, None, None, None)  # type: ignore[arg-type]

    def advance(
        lanes: Lanes, seats: Seats, data: Data, rows: jax.Array | None = None
    ) -> tuple[Lanes, Any]:
        """One step of every lane, on the examples ``rows``, (W, B)."""

        def one(
            shared: Any, own: Any, state: Any, seed: Any, data: Any, rows: Any
        ) -> tuple[Any, Any]:
            new, *measured = trial.step({**shared, **own}, state, seed, data, rows)
            if rhythm.whole or rhythm.fits:  # a stream's calls end where trials do
                return new, measured
            active = state.step < rhythm.steps
            keep = lambda new, old: jnp.where(active, new, old)
            zero = lambda x: jnp.where(active, x, 0.0)
            return jax.tree.map(keep, new, state), jax.tree.map(zero, measured)

        steps = lanes.state.step
        state, (loss, beside) = each(one, (None, 0, 0, 0, along, 0), len(steps))(
            seats.shared, seats.hyperparameters, lanes.state, seats.seeds, data, rows
        )
        if patient:
            now = is_bad(loss, lanes._replace(state=state))
            run = runs.after_step(lanes.first_bad, steps, now, least)
            run = jnp.where(steps < rhythm.steps, run, lanes.first_bad)
            return Lanes(state, run), [loss, beside]
        bad = is_bad(loss, lanes._replace(state=state)) & (lanes.first_bad < 0)
        return Lanes(state, jnp.where(bad, steps, lanes.first_bad)), [loss, beside]

    measured = [0.0, dict.fromkeys(recorded, 0.0)]  # as ``advance`` has it: loss, and the rest
    steps = make_steps(advance, trial.rows, rhythm.unit, rhythm.units, measured)

    def interval(lanes: Lanes, seats: Seats, data: Data) -> tuple[Lanes, Any, Any]:
        lanes, sums = steps(lanes, seats, data)
        metrics = evaluate_all(lanes, seats, data)
        lanes = looked_at(lanes, seats, metrics)
        return Lanes(lanes.state, judged(lanes, metrics)), sums, metrics

    def looked_at(lanes: Lanes, seats: Seats, metrics: dict[str, jax.Array]) -> Lanes:
        """What a trial makes of its evaluation, as of the best one so far."""
        if (after := getattr(trial, "after", None)) is None:
            return lanes

        def one(shared: Any, own: Any, state: Any, metrics: Any) -> Any:
            return after({**shared, **own}, state, metrics)

        mapped = each(one, (None, 0, 0, 0), len(seats.seeds))
        found = mapped(seats.shared, seats.hyperparameters, lanes.state, metrics)
        return lanes._replace(state=found)

    def judged(lanes: Lanes, metrics: dict[str, jax.Array]) -> jax.Array:
        """``first_bad`` at the end of an interval."""
        bad = is_bad(metrics["loss"], lanes)
        if patient:
            return runs.after_interval(lanes.first_bad, lanes.state, bad, least)
        return jnp.where(bad & (lanes.first_bad < 0), lanes.state.step, lanes.first_bad)

    def evaluate(
        lanes: Lanes, seats: Seats, part: Tree, all_read: Tree, how: Any = trial.evaluate
    ) -> dict[str, jax.Array]:
        def one(shared: Any, own: Any, state: Any, part: Any, all_read: Any) -> Any:
            return how({**shared, **own}, state, part, all_read)

        metrics = each(one, (None, 0, 0, None, None), len(seats.seeds))(
            seats.shared, seats.hyperparameters, lanes.state, part, all_read
        )
        return {name: x.astype(jnp.float32) for name, x in metrics.items()}

    def evaluate_all(lanes: Lanes, seats: Seats, data: Data) -> dict[str, jax.Array]:
        measure = lambda part: evaluate(lanes, seats, part, data.shared)
        return measure(data.valid) | on_further_sets(measure, data)

    def test_of(lanes: Lanes, seats: Seats, data: Data) -> dict[str, jax.Array]:
        return evaluate(lanes, seats, data.test, data.shared, test_by(trial))

    if of_stream is not None:
        return of_stream(rhythm, advance, evaluate_all, test_of, judged, looked_at)

    def segment(
        lanes: Lanes, seats: Seats, data: Data, intervals: jax.Array, ends: jax.Array
    ) -> tuple[Lanes, Readings]:
        width, size = lanes.first_bad.shape[0], room(rhythm)
        shapes = lambda how: jax.eval_shape(how, lanes, seats, data)
        names, tested = known or (shapes(evaluate_all), shapes(test_of))
        start = jnp.zeros((size, rhythm.units, width), jnp.float32)
        sums = jax.tree.map(lambda _: start, measured)
        valid = {name: jnp.zeros((size, width), jnp.float32) for name in names}

        def body(i: jax.Array, carry: Any) -> Any:
            lanes, sums, valid = carry
            lanes, new, metrics = interval(lanes, seats, data)
            put = jax.lax.dynamic_update_index_in_dim
            valid = {name: put(valid[name], metrics[name], i, 0) for name in names}
            return lanes, jax.tree.map(lambda x, one: put(x, one, i, 0), sums, new), valid

        lanes, (losses, recorded), valid = jax.lax.fori_loop(
            0, intervals, body, (lanes, sums, valid)
        )
        test = jax.lax.cond(
            ends,
            lambda lanes: test_of(lanes, seats, data),
            lambda lanes: {name: jnp.zeros((width,), jnp.float32) for name in tested},
            lanes,
        )
        return lanes, Readings(losses, recorded, valid, test, lanes.first_bad)

    return segment


def test_by(trial: Trial) -> Callable[..., Any]:
    """How a trial is measured on the test part: as on others, or at its best evaluation."""
    how: Callable[..., Any] = getattr(trial, "test", None) or trial.evaluate
    return how


def empty_lanes(trial: Trial, seats: Seats) -> Lanes:
    """Lanes on which nobody has sat yet: zeros, as NumPy arrays; one trial is traced, not all."""
    one = lambda x: jax.ShapeDtypeStruct(np.shape(x)[1:], x.dtype)
    row = {**seats.shared, **jax.tree.map(one, seats.hyperparameters)}
    shape = (len(seats.seeds),)
    zeros = lambda x: np.zeros(shape + x.shape, x.dtype)
    state = jax.tree.map(zeros, jax.eval_shape(trial.init, row, one(seats.seeds)))
    return Lanes(state, np.full(shape, -1, np.int32))


def emptied(state: Any, width: int) -> Lanes:
    """Such lanes, of these shapes."""
    zeros = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), state)
    return Lanes(zeros, np.full(width, -1, np.int32))


def on_further_sets(measure: Callable[[Tree], dict[str, Any]], data: Data) -> dict[str, Any]:
    """The metrics of the further validation sets, ``<set>_<metric>``."""
    return {
        f"{part}_{name}": value
        for part, more in data.validations.items()
        for name, value in measure(more).items()
    }
