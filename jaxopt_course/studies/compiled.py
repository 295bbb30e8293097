"""A bucket's compiled program, and what it takes to train tables with it."""

import functools
import hashlib
import platform
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np
import pandas as pd

from jaxopt_course.messages import printable
from jaxopt_course.problems.traced import traced
from jaxopt_course.report.tables import configuration_numbers
from jaxopt_course.studies.climbing import climb_of
from jaxopt_course.studies.hints import hint_of
from jaxopt_course.studies.lineage import entries_of
from jaxopt_course.studies.lowering import data_of, rhythm_of, source_of, trial_of
from jaxopt_course.studies.machine_code import Recorded, kept_programs
from jaxopt_course.studies.made_with import command
from jaxopt_course.studies.mixed import mixed_event
from jaxopt_course.studies.reestimated import of_trained_weights
from jaxopt_course.studies.results import Scored, assemble, scorer
from jaxopt_course.studies.seen import Seen
from jaxopt_course.studies.states import Weights, best_weights, held_of, of_trial
from jaxopt_course.studies.telling import hearer, teller
from jaxopt_course.sweeps import engine, numerics
from jaxopt_course.sweeps.best import held_bytes, tester
from jaxopt_course.sweeps.concrete import needed_concrete
from jaxopt_course.sweeps.keeping import Best
from jaxopt_course.sweeps.lane_bytes import default_lanes, lane_bytes
from jaxopt_course.sweeps.lanes import Data
from jaxopt_course.sweeps.memory import check_readings, check_width, memory_limit
from jaxopt_course.sweeps.mesh import share_of
from jaxopt_course.sweeps.messages import Code, Workers
from jaxopt_course.sweeps.patience import patience_of
from jaxopt_course.sweeps.population import Generations
from jaxopt_course.sweeps.program import Program, Table, compile_program, row_of
from jaxopt_course.sweeps.progress import ProgressLine
from jaxopt_course.sweeps.recent import of_process
from jaxopt_course.sweeps.remote import RemoteLoop
from jaxopt_course.sweeps.schedulers import Scheduler, ends_early, judges_each
from jaxopt_course.sweeps.snapshot import Snapshot
from jaxopt_course.tables.buckets import Bucket
from jaxopt_course.tables.columns import Columns
from jaxopt_course.tables.replicates import making
from jaxopt_course.train import Trial, evaluated_params, evaluates_others

if TYPE_CHECKING:
    import xarray as xr


class Trained(NamedTuple):
    """What a training of a bucket's trials left."""

    trials: pd.DataFrame
    curves: "xr.Dataset"
    event: dict[str, Any]
    interrupted: bool = False
    states: Mapping[int, Any] = {}  # by row, of the trials that finished, where they were asked for
    earlier: bool = False  # another run left it
    kept: Mapping[int, Any] = {}  # by row, the program's own last states of the best so far
    evaluated: Mapping[int, Weights] = {}  # by row, of both, other weights of the score, if any
    ends: bool = False  # it is over, and nothing is to follow


@dataclass(frozen=True)
class Compiled:
    """A compiled program and all that it takes to train a table, and then another, with it."""

    bucket: Bucket
    chosen: tuple[str, str]  # metric, direction
    trial: Trial
    data: Data
    program: Program
    state_bytes: int = 0  # of a trial's state
    others: bool = False  # whether an optimizer has other weights for evaluation
    score: str = "last"  # which evaluation counts, or "best"
    code: Code | None = None  # of the program, for devices of other processes

    @property
    def best(self) -> tuple[str, str] | None:
        """The metric of which trials hold the weights of their best evaluation."""
        return best_of(self.chosen, self.score)

    @property
    def program_sha256(self) -> str:
        """SHA-256, in hex, of the text of both lowered programs, "seat" and the segment."""
        return hashlib.sha256(self.program.text.encode()).hexdigest()


def best_of(chosen: tuple[str, str], score: str) -> tuple[str, str] | None:
    """The metric, as trials measure it, whose best evaluation counts; None where the last does."""
    return (chosen[0].removeprefix("best_valid_"), chosen[1]) if score == "best" else None


def compile_bucket(
    bucket: Bucket,
    chosen: tuple[str, str],
    lanes: int | None,
    devices: Sequence[Any],
    seen: Seen | None = None,
    score: str = "last",
    kept: Recorded | None = None,
) -> Compiled:
    """Check that everything traces, choose the width, lower and compile.

    Args:
        bucket: its task, its trials, its budget.
        chosen: the metric that chooses the winners, and its direction.
        lanes: W, or None for the default of a lane's bytes.
        devices: on which.
        seen: says what is recorded; default nothing but the loss and the metrics.
        score: "best": trials hold the weights of their best evaluation by the metric.
        kept: hears the program's bytes; default JAX's persistent cache and this process keep it.

    Raises:
        TypeError: a column is needed as a plain value; the message says how to give it.
        ValueError: a column that nobody reads, an empty cell that somebody reads; a column with the
            name of something that is recorded; more lanes than fit.
    """
    columns = bucket.columns
    seen = seen or Seen()
    trial = trial_of(bucket, seen.watch, seen.raw, best_of(chosen, score))
    data = data_of(bucket.task)
    table = Table(**columns.arrays(columns.trials))
    row = jax.tree.map(lambda x: x[0], dict(table.hyperparameters))
    if table.together_name:
        row[table.together_name] = table.together[0]
    try:
        lane = lane_bytes(trial, row, data)
    except Exception as error:
        own = [name for name in row if name not in ("optimizer", "schedule")]
        if needed := needed_concrete(trial, row, own, data):
            raise TypeError(
                f"column {needed[0]!r} is needed as a plain value, as for a shape or a "
                "Python if, but columns are traced; name it in static=, which makes a program "
                f"of each of its values: static={needed}{hint_of(error)}"
            ) from error
        with traced(f"a step with {', '.join(columns.optimizers)}"):
            raise
    columns.check_read()
    _check_recorded(columns, trial, row, data)
    state = jax.eval_shape(trial.init, row, jax.ShapeDtypeStruct((), np.uint32))
    held = held_of(state)  # does not count, so that the width is that without it
    without = lane._replace(state=lane.state - (held_bytes(held) if held else 0))
    share = share_of(devices[0], without, of_trial(state))
    width = lanes or default_lanes(share, devices[0].platform)
    check_width(width, share_of(devices[0], lane, state).state, memory_limit(devices))
    rhythm = rhythm_of(bucket)
    looks = rhythm.intervals * rhythm.units, rhythm.intervals
    check_readings(len(table.seeds), *looks, len(bucket.task.directions), len(seen.watch))
    saved = (kept_programs(), of_process()) if kept is None else (kept, None)
    program = compile_program(trial, rhythm, data, table, width, devices, *saved)
    others = evaluates_others(columns.optimizer, row, of_trial(state))
    if others and jax.tree.leaves(of_trial(state).model_state):
        warnings.warn(of_trained_weights(bucket.task.name), stacklevel=5)
    return Compiled(bucket, chosen, trial, data, program, lane.state, others, score)


def _check_recorded(columns: Columns, trial: Trial, row: Mapping[str, Any], data: Data) -> None:
    """No column has the name of something that a step records."""
    names = [name for name in columns.hyperparameters if name.startswith("train_")]
    if not names:
        return
    seed = jax.ShapeDtypeStruct((), np.uint32)
    state = jax.eval_shape(trial.init, row, seed)
    _, _, recorded = jax.eval_shape(trial.step, row, state, seed, data)
    for name in names:
        if name in recorded:
            raise ValueError(
                f"the column {name!r} has the name of what the loss measures, "
                f"{name.removeprefix('train_')!r}; rename one of them"
            )


@numerics.bad_numbers_are_results()
def train_bucket(
    compiled: Compiled,
    trials: pd.DataFrame,
    kind: str,
    progress: bool,
    *,
    note: str = "",
    scheduler: Scheduler | None = None,
    resume: Snapshot | None = None,
    on_checkpoint: Callable[[Snapshot], None] | None = None,
    keep_states: bool = False,
    keep: int = 0,
    start: Callable[[int], Any] | None = None,
    until: np.ndarray | None = None,
    probe: bool = False,
    replicates: Sequence[str] = (),
    seen: Seen | None = None,
    workers: Workers | None = None,
) -> Trained:
    """Train the rows of ``trials``, which have the columns of the bucket's table.

    Args:
        compiled: the program.
        trials: complete, as the bucket's own.
        kind: "sweep", "confirmation" or "replay".
        progress: whether to show a line.
        note: shown before there is anything to count.
        scheduler: who decides which trials go on.
        resume: where an earlier run of the same table was.
        on_checkpoint: saves a snapshot, now and then.
        keep_states: whether the outcome holds the trials' last states.
        keep: of how many configurations, the best ones, it holds the program's last states.
        start: the first state of a row; default as the task makes it.
        until: (N,), intervals that each row trains; default all.
        probe: whether to see if a call, made again, gives the same bits.
        replicates: columns that repeat a configuration, as its seeds do.
        seen: who hears of it, and until when; default nobody, and to the end.
        workers: devices of other processes, where it is trained; default the program's own.
    """
    seen = seen or Seen()
    program, columns = compiled.program, compiled.bucket.columns
    arrays = columns.arrays(trials)
    begun = time.perf_counter()
    best = _best(compiled, trials, keep, replicates)
    before = 0 if resume is None else resume.results.trial_steps
    label = "confirming" if kind == "confirmation" else printable(compiled.bucket.task.name)
    source = source_of(compiled.bucket.task)
    if resume is not None and source is not None and not source.stream.random_access:
        raise ValueError(
            "the stream only goes forward, so a sweep of it cannot be resumed where it was; give a "
            "source with [step], or sweep anew with overwrite=True"
        )
    with ProgressLine(label, show=progress) as line:
        if resume is not None:
            over = int(resume.results.over.sum())
            note = f"going on where it was, {over} of {len(trials)} trials over"
        if note:
            line.note(note)
        show = teller(compiled.bucket, compiled.chosen, line, trials, before)
        hear = hearer(seen, program.rhythm, trials, resume)

        def tell(results: engine.Results, last: bool = False) -> None:
            show(results, last)
            if hear is not None:
                hear(results)

        climb, table = climb_of(
            compiled.bucket, program.rhythm, trials, scheduler, until, replicates
        )
        more: dict[str, Any] = {}
        if ends_early(scheduler):
            more["on_stop"] = tester(compiled.trial, table)
        if workers is not None and compiled.code is not None:
            more["make_loop"] = functools.partial(RemoteLoop, workers, compiled.code)
        results = engine.run(
            program,
            table,
            compiled.data,
            compiled.trial,
            tell,
            climb=climb,
            score=scorer(*compiled.chosen, program.rhythm),
            **more,
            resume=resume,
            on_checkpoint=on_checkpoint,
            keep_states=keep_states,
            keep=best,
            start=start,
            probe=probe,
            source=source,
            deadline=seen.deadline,
        )
        ends = False
        try:
            tell(results, last=True)
        except KeyboardInterrupt:  # the bucket is over, but others may follow
            ends = True
    seconds = time.perf_counter() - begun
    metrics = compiled.bucket.task.directions
    scored = None
    if ends_early(scheduler) or compiled.score == "best":
        each = judges_each(scheduler)
        scored = Scored(*compiled.chosen, compiled.score == "best", patience_of(scheduler), each)
    complete, curves = assemble(trials, results, program.rhythm, metrics, scored)
    event: dict[str, Any] = {
        "event": "interrupted" if results.interrupted else "finished",
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "seconds": seconds,
        "compile_seconds": program.seconds,
        "lowerings": program.lowerings,
        "trial_steps": results.trial_steps - before,
        "trial_steps_before": before,  # of processes that were cut short, whose time nobody knows
        "trial_steps_per_second": (results.trial_steps - before) / seconds,
        "calls": results.calls,
        "occupancy": results.occupancy,
        "sittings": results.sittings.told(trials["trial"].to_numpy()),
        "devices": [str(device) for device in program.devices],
        "host": platform.node(),
        "command": command(),
    }
    event |= {} if workers is None else {"nodes": dict(workers.calls)}
    event |= mixed_event(results, trials["trial"].to_numpy(np.int64))
    event |= {"stream": results.read} if results.read else {}
    event |= {} if hear is None else hear.event
    event |= {"time_limit": seen.time_limit} if results.interrupted and seen.is_late else {}
    if isinstance(climb, Generations):
        numbers = trials["trial"].to_numpy(np.int64)
        event["lineage"] = entries_of(climb.moves, numbers, program.rhythm.evaluate_every)
    if results.compared:
        event |= {"calls_compared": results.compared, "calls_differ_in": results.differ}
    elif probe and results.not_compared:
        event |= {"calls_not_compared": results.not_compared}
    states = {row: _own_state(columns, arrays, row, last) for row, last in results.states.items()}
    kept = {} if best is None else {r: x for r, x in best.states.items() if r not in best.fresh}
    kept |= results.states if keep else {}  # where all were asked for
    evaluated = _evaluated(compiled, table, {**results.states, **kept})
    return Trained(
        complete, curves, event, results.interrupted, states, False, kept, evaluated, ends
    )


def _evaluated(compiled: Compiled, table: Table, states: Mapping[int, Any]) -> dict[int, Weights]:
    """By row the weights of the score; nothing where those are that were trained."""
    columns = compiled.bucket.columns
    ask = jax.jit(lambda h, state: evaluated_params(columns.optimizer, h, state))
    found = {row: best_weights(state) for row, state in states.items()}
    for row, state in states.items() if compiled.others else ():
        if found[row] is None:
            own = of_trial(state)
            found[row] = ask(row_of(table, row), own), own.model_state
    return {row: weights for row, weights in found.items() if weights is not None}


def _best(
    compiled: Compiled, trials: pd.DataFrame, keep: int, replicates: Sequence[str]
) -> Best | None:
    """Who holds the states of the best configurations; nobody where none is kept."""
    if not keep:
        return None
    names = making(compiled.bucket.columns.hyperparameters, replicates)
    program = compiled.program
    room = 2 * program.lanes * len(program.devices)
    return Best(keep, configuration_numbers(trials, names).to_numpy(), room)


def _own_state(columns: Columns, arrays: Mapping[str, Any], row: int, last: Any) -> Any:
    """A trial's last state, its optimizer's as that optimizer has it where it is alone."""
    last = of_trial(last)
    return last._replace(opt_state=columns.state_of(arrays, row, last.opt_state, last.params))
