"""A study's life in a directory: what may be done to it, and what may befall it meanwhile.

``life.py VERB DIRECTORY STATIC KEEP MOMENT ARGUMENTS`` does one thing in a process of its own,
which kills itself at a moment of it.  A moment is a thing done to files below a directory, or a
reading of what the devices have trained.
"""

import contextlib
import dataclasses
import functools
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import pandas as pd
import sweep_to_kill
from failing_disk import MAKES, MOVES, Refusals

import jaxopt_course as joc
from jaxopt_course.report.page import write_report
from jaxopt_course.studies import session
from jaxopt_course.sweeps import engine

COLUMNS = ["optimizer", "learning_rate", "batch_size", "seed"]
SEARCH, FRESH = range(4), range(4, 7)  # seeds


@functools.cache
def rows(static: bool) -> pd.DataFrame:
    """All that are ever trained: two optimizers, rates of which one diverges, seeds."""
    sizes = {"batch_size": [2, 5]} if static else {}
    seeds = [*SEARCH, *FRESH]
    columns = {"optimizer": ["sgd", "adam"], "learning_rate": [0.01, 0.1, 1e30], **sizes}
    return joc.grid(**columns, seed=seeds).reset_index(drop=True)


def settings(static: bool, keep: int, devices: int) -> dict[str, Any]:
    """Of every sweep; one without static columns has batches of 2."""
    own = {"static": ["batch_size"]} if static else {"batch_size": 2}
    lengths = {"epochs": 8, "lanes": 2, "keep": keep, "progress": False}
    return own | lengths | {"devices": jax.devices()[:devices]}


def numbers(trials: pd.DataFrame, static: bool) -> list[int]:
    """Where the rows of a study stand in :func:`rows`."""
    names = [name for name in COLUMNS if name in rows(static)]
    places = {tuple(row): n for n, row in enumerate(rows(static)[names].to_numpy(object))}
    return [places[tuple(row)] for row in trials[names].to_numpy(object)]


@functools.cache
def in_one_go(static: bool) -> joc.Study:
    """All of them on one device, in memory."""
    return joc.sweep("line", rows(static), **settings(static, 99, 1))


# ---------------------------------------------------------------- what is done


def sweep(directory: Path, static: bool, keep: int, which: list[int], devices: int, **more: Any):
    trials = rows(static).iloc[which]
    return joc.sweep("line", trials, directory=directory, **settings(static, keep, devices), **more)


def resume(directory: Path, devices: int) -> joc.Study:
    return joc.Study.resume(directory, devices=jax.devices()[:devices], progress=False)


def extend(study: joc.Study, static: bool, which: list[int], devices: int) -> joc.Study:
    trials = rows(static).iloc[which]
    return study.extend(trials, devices=jax.devices()[:devices], progress=False)


def confirm(study: joc.Study, seeds: Any, devices: int) -> joc.Study:
    return study.confirm(seeds, devices=jax.devices()[:devices], progress=False)


def report(directory: Path, pictures: bool) -> Path:
    return write_report(directory, png=pictures)


# ---------------------------------------------------------------- what befalls it


class Killed(BaseException):
    """Nothing can be done to files any more, as if the process were dead."""


class Moments(Refusals):
    """Counts moments, and at one of them something happens.

    Args:
        directory: below which it counts.
        number: of the moment, from 0; None never.
        happens: called then, and at each moment after it, with whether it is the first time.
    """

    def __init__(
        self, directory: Path, number: int | None, happens: Callable[[bool], None]
    ) -> None:
        super().__init__(directory, 0, number, once=False)
        self.happens = happens

    def meet(self, kind: str, path: Any) -> None:
        """A thing done to files."""
        below = isinstance(path, int) or Path(path).is_relative_to(self.directory)
        if kind in MAKES | MOVES | {"fsync"} and below:
            self.come()

    def come(self) -> None:
        """A moment."""
        here, self.done = self.done, self.done + 1
        if self.number is not None and here >= self.number:
            self.happens(here == self.number)

    @contextlib.contextmanager
    def at_work(self) -> Iterator["Moments"]:
        """Count."""
        plain = engine._Loop.read

        def read(loop: Any) -> None:
            self.come()
            plain(loop)

        try:
            engine._Loop.read = read  # type: ignore[method-assign]
            with super().at_work():
                yield self
        finally:
            engine._Loop.read = plain  # type: ignore[method-assign]


def die(first: bool) -> None:
    raise Killed


def press_ctrl_c(first: bool) -> None:
    if first:
        signal.raise_signal(signal.SIGINT)


def kill(first: bool) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


# ---------------------------------------------------------------- programs


def remembering() -> Callable[..., Any]:
    """``compile_bucket`` that makes a program once: its text is that of its columns and devices."""
    plain, made = session.compile_bucket, {}

    def compile_bucket(bucket: Any, chosen: Any, width: Any, devices: Any, *rest: Any) -> Any:
        dtypes = {name: str(dtype) for name, dtype in bucket.columns.trials.dtypes.items()}
        of = [*bucket.static.items(), *dtypes.items(), *bucket.columns.optimizers, width, *devices]
        name = tuple(map(str, of))
        if name not in made:
            made[name] = plain(bucket, chosen, width, devices, *rest)
        return dataclasses.replace(made[name], bucket=bucket)

    return compile_bucket


def main(verb: str, directory: str, static: str, keep: str, moment: str, arguments: str) -> None:
    sweep_to_kill.save_always()
    path, given = Path(directory), json.loads(arguments)
    study = joc.Study.load(path) if verb in ("extend", "confirm") else None
    with Moments(path, int(moment), kill).at_work():
        if verb == "sweep":
            sweep(path, static == "True", int(keep), **given)
        elif verb == "resume":
            resume(path, **given)
        elif verb == "extend":
            extend(study, static == "True", **given)
        elif verb == "confirm":
            confirm(study, **given)
        else:
            report(path, **given)


if __name__ == "__main__":
    jax.config.update("jax_num_cpu_devices", 2)
    main(*sys.argv[1:])
