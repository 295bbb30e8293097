"""The columns ``schedule`` and ``schedule_*`` of a table: schedules by name, their numbers as data.

    schedule        what becomes of learning_rate       columns schedule_...  (default)
    constant        it stays
    inverse_time    η / (1 + η_d s)                     decay_rate (1 / steps)
    exponential     η r^{s/T}                           decay_rate, transition_steps (steps),
                                                        transition_begin (0), staircase (False)
    polynomial      (η - η_T)(1 - s/T)^p + η_T          end_value (0), power (1),
                                                        transition_steps (steps), transition_begin
    linear          the same with p = 1                 end_value, transition_steps, ..._begin
    cosine          half a wave to α η                  decay_steps (steps), alpha (0), exponent (1)
    warmup_constant up to η, then constant              warmup_steps (a tenth), init_value (0)
    warmup_cosine   up to η, half a wave down           warmup_steps, decay_steps, init_value,
                                                        end_value, exponent
    linear_onecycle, cosine_onecycle                    transition_steps (steps), pct_start,
                                                        pct_final, div_factor, final_div_factor
    step            η, then γ η from a step on          boundary (half the steps), scale (0.1)
    warmup_linear   up to η, a line down                warmup_steps, decay_steps, init_value,
                                                        end_value
    wsd             up to η, constant, down at the end  warmup_share (0.1), decay_share (0.2),
                                                        transition_steps, init_value, end_value,
                                                        exponent
    inverse_sqrt    up to η, η √(τ/(τ + s - W)), down   warmup_steps, timescale (a tenth),
                                                        cooldown_steps (a fifth), transition_steps,
                                                        init_value, end_value
    cosine_restarts cosines, each longer than the last  first_decay_steps (a seventh), t_mul (2),
                                                        m_mul (1), alpha
    polynomial_cycles                                   decay_steps (a fifth), end_value, power
    torch.cosine_onecycle, torch.linear_onecycle        transition_steps, pct_start, div_factor,
                                                        final_div_factor, three_phase (False)
    reduce_on_plateau, torch.…, keras.…                 factor (0.1), patience (10), rtol, atol,
                    η times a scale, which is cut       cooldown (0), min_scale (0),
                    when the training loss rests        accumulation_size (a fiftieth)

``learning_rate`` is the first value, of a warm-up or cycle the highest.  "steps" are those of the
study.  All schedules of a table are computed (they are scalars) and the row's is selected, so the
schedule of a trial is data as its rate is.  A plateau is judged by the mean loss of the batches of
``accumulation_size`` steps; it sees no validation loss, which is made between the segments of a
program.
"""

import inspect
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import pandas as pd

from jaxopt_course.base import Schedule
from jaxopt_course.messages import unknown
from jaxopt_course.tables.schedule_makers import ALL, PLATEAUS, SCHEDULES, Share
from jaxopt_course.transforms.plateau import Rules, rules

PREFIX = "schedule_"


def is_schedule(column: str) -> bool:
    """Whether a column says something of schedules."""
    return column == "schedule" or column.startswith(PREFIX)


def arguments(name: str) -> dict[str, Any]:
    """The columns that the schedule ``name`` reads, with their defaults."""
    parameters = list(inspect.signature(SCHEDULES[name]).parameters.values())[1:]
    return {PREFIX + p.name: p.default for p in parameters}


def columns_of(names: Collection[str]) -> set[str]:
    """All columns that a table with these schedules reads."""
    return {"schedule"} | {column for name in names for column in arguments(name)}


def complete(
    trials: pd.DataFrame, with_rate: Collection[str], functions: Collection[str], steps: int | None
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Check the schedule columns of a table and write the defaults in.

    Args:
        trials: normalised; column "optimizer" where there is one.
        with_rate: the registered optimizers that take a learning rate.
        functions: the user's own; their rows have no ``schedule``, but ``schedule_*`` cells of any
            name, for the function to read.
        steps: of the study, for the defaults of horizons; None where it is not known.

    Returns:
        the table, and the names of its schedules in a fixed order; none where it has no columns
        of this kind, or they are for the user's own functions.

    Raises:
        TypeError: a column of the wrong kind.
        ValueError: an unknown schedule, a cell that its schedule does not read, a missing one, or
            one out of its range.
    """
    given = [column for column in trials.columns if is_schedule(column)]
    if not given:
        return trials, ()
    if "optimizer" in trials:
        own = trials["optimizer"].isin(list(functions)).astype(bool)
    else:
        own = pd.Series(True, trials.index)
    if "schedule" not in given:
        needed = [column for column in given if trials.loc[~own, column].notna().any()]
        if needed:
            raise ValueError(
                f'the column {needed[0]!r} needs a column "schedule" with one of '
                f"{', '.join(SCHEDULES)}"
            )
        return trials, ()
    names = _names(trials, own, with_rate)
    trials = trials.assign(schedule=names)
    used = tuple(name for name in SCHEDULES if (names == name).any())
    offered = sorted(columns_of(used) - {"schedule"})
    for column in [c for c in given if c != "schedule"]:
        if column not in offered and not trials.loc[own, column].notna().any():
            raise ValueError(
                f"no schedule of this table takes the column {column!r}: "
                f"{unknown('column', column, offered)}"
            )
        for name in used:
            rows = _of(names, name) & trials[column].notna()
            takes = arguments(name)
            if column not in takes and rows.any():
                raise ValueError(
                    f"row {int(rows.argmax())}: the schedule {name!r} does not take {column!r} "
                    f"(it takes {', '.join(takes) or 'nothing'}); leave the cell empty"
                )
    for name in used:
        rows = _of(names, name)
        for column, default in arguments(name).items():
            trials = _fill(trials, rows, column, default, name, steps)
        _check_ranges(trials[rows], name)
    return trials, used


def _names(trials: pd.DataFrame, own: pd.Series, with_rate: Collection[str]) -> pd.Series:
    """The schedule of each row; empty in the rows of the user's own functions."""
    if trials["schedule"].notna().any() and trials["schedule"].dtype != "string":
        value = trials["schedule"].dropna().tolist()[0]
        raise TypeError(f'column "schedule" holds names of schedules, not {value!r}')
    names = trials["schedule"].astype("string").fillna("constant")
    moving = ~_of(names, "constant")
    for name in names[own & moving]:
        raise ValueError(
            f'schedule={name!r}: the column "schedule" is for registered recipes; a function of '
            'the row makes its own: joc.cosine_decay_schedule(h["learning_rate"], '
            'h["schedule_decay_steps"])'
        )
    for name in names.unique():
        if name not in SCHEDULES:
            raise ValueError(unknown("schedule", name, SCHEDULES))
    for row in names.index[moving]:
        if trials["optimizer"][row] not in with_rate:
            raise ValueError(
                f"row {row}: {trials['optimizer'][row]} takes no learning_rate that a schedule "
                "could change"
            )
    return names.mask(own, pd.NA)


def _of(names: pd.Series, name: str) -> pd.Series:
    """Which rows have the schedule ``name``."""
    return (names == name).fillna(False).astype(bool)


def _check_ranges(trials: pd.DataFrame, name: str) -> None:
    """Make the schedule of each row from its numbers, which says what is wrong with them."""
    columns = [column for column in arguments(name) if column in trials]
    for row, *cells in trials[columns].drop_duplicates().itertuples(name=None):
        numbers = dict(zip(columns, cells, strict=True))
        for column, default in arguments(name).items():
            if default == ALL and numbers[column] <= 0:
                raise ValueError(f"row {row}: {column!r} must be positive, not {numbers[column]}")
        try:
            SCHEDULES[name](1.0, **{c.removeprefix(PREFIX): x for c, x in numbers.items()})
        except ValueError as error:
            raise ValueError(f"row {row} (schedule {name!r}): {error}") from error


def _fill(
    trials: pd.DataFrame, rows: pd.Series, column: str, default: Any, name: str, steps: int | None
) -> pd.DataFrame:
    """The default of one column in the rows of one schedule, and its kind checked."""
    switch = isinstance(default, bool)
    if column not in trials:
        if switch:
            return trials  # a switch that nobody asks for stays out of the program
        empty = pd.Series(pd.NA, trials.index, dtype="Float64")
        trials.insert(trials.columns.get_loc("seed"), column, empty)
    values = trials.loc[rows, column].dropna()
    if len(values) and (values.dtype == "string" or (values.dtype == "boolean") != switch):
        wanted = "True or False" if switch else "numbers"
        raise TypeError(f"column {column!r} takes {wanted}, not {values.tolist()[0]!r}")
    if not switch and trials[column].dtype != "Float64":
        trials[column] = trials[column].astype("Float64")
    missing = rows & trials[column].isna()
    if not missing.any():
        return trials
    if isinstance(default, Share) and steps is not None:
        default = default.at(steps)
    if default is inspect.Parameter.empty or isinstance(default, Share):
        raise ValueError(
            f"row {int(missing.argmax())} (schedule {name!r}) has no {column!r}, and there is no "
            "default"
        )
    trials.loc[missing, column] = default
    return trials


def rate_of(row: Mapping[str, Any], names: Sequence[str], columns: Collection[str]) -> Any:
    """The learning rate of a row: the number itself, or its schedule.

    Args:
        row: its numbers; ``schedule`` is the position in ``names``, where there are several.
        names: the schedules of the table.
        columns: the table's.
    """
    rate = row["learning_rate"]
    if not names or tuple(names) == ("constant",):
        return rate

    def made(name: str) -> Schedule:
        own = {c.removeprefix(PREFIX): jnp.asarray(row[c]) for c in arguments(name) if c in columns}
        return SCHEDULES[name](rate, **own)

    all_made = [made(name) for name in names]
    if len(names) == 1:
        return all_made[0]
    chosen = [row["schedule"] == i for i in range(len(names))]
    return lambda step: jnp.select(chosen, [jnp.asarray(one(step)) for one in all_made])


def plateau_of(
    row: Mapping[str, Any], names: Sequence[str], columns: Collection[str]
) -> Rules | None:
    """When the learning rate of a row is cut; None where no row of the table has a plateau.

    Arguments as those of :func:`rate_of`.  In the rows of other schedules a cut changes nothing.
    """
    found = None
    for i, name in enumerate(names):
        if name not in PLATEAUS:
            continue
        own = {c.removeprefix(PREFIX): jnp.asarray(row[c]) for c in arguments(name) if c in columns}
        one = rules(**own, like=PLATEAUS[name])
        if len(names) == 1:
            return one
        here = row["schedule"] == i
        before = found or one._replace(factor=1.0)
        found = Rules(*(jnp.where(here, x, y) for x, y in zip(one, before, strict=True)))
    return found
