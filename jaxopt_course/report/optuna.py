"""A study in Optuna's words: a configuration is a trial, its curve the intermediate values.

Optuna chooses by one value a trial, as a study chooses by the mean over a configuration's seeds:

    finished      COMPLETE, the mean over the seeds
    diverged      COMPLETE, the worst value there is: inf, or -inf where more is better
    stopped       PRUNED, the last value of the curve
    unfinished    FAIL
    fewer seeds   PRUNED, the mean over those that there are: it ranks after those with all

A diverged configuration is worse than every other, and samplers learn to keep away from it; of a
trial that is FAIL they would learn nothing, and ask for the like of it again: in a space of which
a third diverges TPE does so 19 times of 64 instead of 7.
"""

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from jaxopt_course.messages import printable
from jaxopt_course.records.files import a_path, naming, placing
from jaxopt_course.records.format import making
from jaxopt_course.report.tables import configuration_numbers, finite

if TYPE_CHECKING:
    import xarray as xr

LONGEST = 1 << 20  # bytes of a journal's last line that are looked at
LOCK_ENDS = f".lock{'-' * 36}.rename"  # what Optuna appends to the name of a journal for its lock
LOG_RATIO = 100.0  # a column that spans more than this was searched by orders of magnitude
RANKED = ("diverged", "unfinished", "stopped", "converged")  # the first that a seed has counts


class Told(NamedTuple):
    """What Optuna is told of one configuration."""

    row: int  # position of its first row in the table
    state: str  # name of an optuna.trial.TrialState
    value: float | None
    curve: dict[int, float]  # step -> mean over the seeds, as far as all of them are finite
    attributes: dict[str, Any]


def import_optuna() -> Any:
    """The package ``optuna``, which is an extra.

    Raises:
        ImportError: it is not installed; the message says how to.
    """
    try:
        import optuna
    except ImportError as error:
        raise ImportError("this needs Optuna: pip install 'jaxopt-course[optuna]'") from error
    return optuna


def tell_all(
    trials: pd.DataFrame, curves: "xr.Dataset", columns: Sequence[str], metric: str, direction: str
) -> Iterator[Told]:
    """What there is to tell of every configuration, in the order of the table.

    Args:
        trials: a row a trial, with the results of training.
        curves: of these rows.
        columns: that make a configuration.
        metric: a column of ``trials`` that may choose.
        direction: "min" or "max".
    """
    numbers = configuration_numbers(trials, columns)
    scores = finite(trials[metric])
    means = scores.groupby(numbers).mean()  # as tables.configurations has them, bit for bit
    steps, recorded = _curve(curves, metric, direction)
    worst = float("inf") if direction == "min" else float("-inf")
    cells = {name: trials[name].to_numpy(object) for name in ("trial", "seed", "status")}
    first_bad = trials["first_bad_step"].to_numpy(float, na_value=np.inf)
    most = int(numbers.value_counts().max())
    values = [x if np.isfinite(x) else None for x in scores.tolist()]
    for number, rows in numbers.groupby(numbers, sort=True).indices.items():
        own = rows.tolist()
        statuses = {cells["status"][row] for row in own}
        mean = recorded[rows].mean(axis=0, dtype=np.float64)
        known = np.isfinite(mean)
        curve = dict(zip(steps[known].tolist(), mean[known].tolist(), strict=True))
        attributes: dict[str, Any] = {
            "status": next((name for name in RANKED if name in statuses), "finished"),
            "trials": [int(cells["trial"][row]) for row in own],
            "seeds": [int(cells["seed"][row]) for row in own],
            "values": [values[row] for row in own],
        }
        state: str = "COMPLETE"
        value: float | None = float(means.loc[number])
        match attributes["status"]:
            case "diverged":
                value = worst
                attributes["first_bad_step"] = int(first_bad[rows].min())
            case "unfinished":
                state, value = "FAIL", None
            case "stopped":
                state, value = "PRUNED", curve[max(curve)] if curve else None
            case _ if None in attributes["values"]:
                value = worst  # a loss that is finite, and a metric that is not
            case _ if len(own) < most:
                state = "PRUNED"  # as in a study's ranks: a mean of few is luck more easily
        yield Told(own[0], state, value, curve, attributes)


def _curve(curves: "xr.Dataset", metric: str, direction: str) -> tuple[np.ndarray, np.ndarray]:
    """The steps (T,), and what the metric was there (trials, T)."""
    if metric == "train_loss":
        return curves["step"].to_numpy(), curves["train_loss"].to_numpy()
    values = curves[metric.removeprefix("best_")].to_numpy()
    if metric.startswith("best_"):
        better = np.minimum if direction == "min" else np.maximum
        values = better.accumulate(values, axis=1)  # NaN stays NaN after a trial's end
    return curves["eval_step"].to_numpy(), values


def split_columns(
    trials: pd.DataFrame, columns: Sequence[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The columns that vary, each with an Optuna distribution, and the constant ones' values.

    Whole numbers become an ``IntDistribution`` and reals a ``FloatDistribution`` from the least to
    the greatest that there is, by orders of magnitude where these are more than 100 times apart;
    text and switches become a ``CategoricalDistribution``.  A column is constant if it has one
    value wherever the row's optimizer takes it.
    """
    kinds = import_optuna().distributions
    by_optimizer = trials.groupby(trials["optimizer"] if "optimizer" in columns else 0)
    varying: dict[str, Any] = {}
    constant: dict[str, Any] = {}
    for name in columns:
        values = trials[name].dropna().unique().tolist()
        if len(values) <= 1 and by_optimizer[name].nunique(dropna=False).max() <= 1:
            constant[name] = values[0] if values else None
        elif trials[name].dtype in ("string", "boolean", "object"):
            varying[name] = kinds.CategoricalDistribution(values)
        elif trials[name].dtype == "Int64":
            varying[name] = kinds.IntDistribution(min(values), max(values))
        else:
            low, high = min(values), max(values)
            log = low > 0 and high / low > LOG_RATIO
            varying[name] = kinds.FloatDistribution(low, high, log=log)
    return varying, constant


def export(
    trials: pd.DataFrame,
    curves: "xr.Dataset",
    manifest: Mapping[str, Any],
    journal_file: str | Path,
    name: str,
    each_seed: bool = False,
) -> Any:
    """Add a study to a journal file of Optuna's, all trials in one write; see ``Study.to_optuna``.

    Returns:
        the study, as ``optuna.load_study`` reads it from the file.
    """
    optuna = import_optuna()
    kept = trials["duplicate_of"].isna().to_numpy()
    trials, curves = trials[kept].reset_index(drop=True), curves.isel(trial=kept)
    columns = [*manifest["hyperparameters"], "seed"] if each_seed else making(manifest)
    varying, constant = split_columns(trials, columns)
    cells = trials[list(varying)].astype(object).to_dict("records")
    metric, direction = manifest["metric"], manifest["direction"]
    frozen = []
    for told in tell_all(trials, curves, columns, metric, direction):
        params = {name: x for name, x in cells[told.row].items() if not pd.isna(x)}
        frozen.append(
            optuna.trial.create_trial(
                state=optuna.trial.TrialState[told.state],
                value=told.value,
                params=params,
                distributions={name: varying[name] for name in params},
                user_attrs=told.attributes,
                intermediate_values=told.curve,
            )
        )
    file = a_path(journal_file, "journal_file")
    directed = {"min": "minimize", "max": "maximize"}[direction]
    taken = f"{journal_file} holds a study {name!r} already; give another name=…"
    with _readable(file):
        journal, storage = _open(optuna, file)
        known = optuna.get_all_study_names(storage)
    if name in known and not _is_bare(optuna, name, storage, directed):
        raise ValueError(taken)
    with _readable(file):
        if name not in known:
            optuna.create_study(study_name=name, storage=storage, direction=directed)
        try:
            held = _OneWrite(journal)
            study = optuna.load_study(study_name=name, storage=optuna.storages.JournalStorage(held))
            set_attributes(study, manifest, constant)
            study.add_trials(frozen)
            held.write(lambda: _is_bare(optuna, name, _open(optuna, file)[1], directed), taken)
        except BaseException:
            with contextlib.suppress(OSError):  # where nothing can be written it stays, bare
                if _is_bare(optuna, name, _open(optuna, file)[1], directed):
                    optuna.delete_study(study_name=name, storage=storage)
            raise
        return optuna.load_study(study_name=name, storage=_open(optuna, file)[1])


def _is_bare(optuna: Any, name: str, storage: Any, directed: str) -> bool:
    """Whether nothing was told to a study yet: who made it was killed before he did."""
    study = optuna.load_study(study_name=name, storage=storage)
    return not study.user_attrs and not study.trials and study.direction.name == directed.upper()


def set_attributes(
    optuna_study: Any, manifest: Mapping[str, Any], constant: Mapping[str, Any]
) -> None:
    """Say in the study's user attributes what was trained, and the values of constant columns."""
    for key in ("task", "budget", "metric", "versions", "program_sha256"):
        optuna_study.set_user_attr(key, manifest.get(key))
    optuna_study.set_user_attr("constants", dict(constant))


def _open(optuna: Any, file: Path) -> "tuple[_Journal, Any]":
    """The journal in ``file``, which need not be there yet, and a storage that reads it."""
    if file.is_dir():
        raise IsADirectoryError(f"{file} is a directory; name a file in it, as {file}/optuna.log")
    if not file.parent.is_dir():
        raise FileNotFoundError(f"there is no directory {file.parent} for the journal {file.name}")
    if file.exists() and not file.is_file():
        raise ValueError(f"{file} is a pipe or a device, not a journal of Optuna's")
    with contextlib.suppress(FileNotFoundError):
        os.lstat(f"{file}{LOCK_ENDS}")  # the name of the lock must fit, too
    journal = _Journal(optuna, file)
    storage = optuna.storages.JournalStorage(journal)
    _check_end(file)
    return journal, storage


def _check_end(file: Path) -> None:
    """Refuse a last line that Optuna passes over, and fails on once there is another after it."""
    with file.open("rb") as stream:
        size = file.stat().st_size
        if stream.read(1) not in (b"", b"{"):
            raise ValueError(f"{file} is no journal of Optuna's; give another file")
        stream.seek(max(0, size - LONGEST))
        tail = stream.read(LONGEST)
    lines, _, torn = tail.rpartition(b"\n")
    last = lines.rpartition(b"\n")[2]
    try:
        if torn:
            raise ValueError("its last line has no end")
        if tail and (len(last) < len(lines) or size <= LONGEST):  # it is there as a whole
            json.loads(last)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file} is damaged at its end ({error}): remove its last line") from None


@contextlib.contextmanager
def _readable(file: Path) -> Iterator[None]:
    """Whatever Optuna meets in a journal, say which file it is: entries are replayed unchecked."""
    try:
        with placing(file):
            yield
    except OSError:
        raise
    except Exception as error:
        if _is_of(file, error):
            raise
        what = printable(error) or type(error).__name__
        raise ValueError(f"{file} is no journal of Optuna's, or damaged: {what}") from error


def _is_of(file: Path, error: Exception) -> bool:
    return type(error) is ValueError and str(error).startswith(str(file))


class _Journal:
    """Optuna's backend of a file; what is appended is there whole or, on a full disk, not at all.

    Its own leaves half a line there, at which Optuna fails once another is after it.
    """

    def __init__(self, optuna: Any, file: Path) -> None:
        self.file, journal = file, optuna.storages.journal
        self.lock = journal.JournalFileSymlinkLock(str(file))
        self.backend = journal.JournalFileBackend(str(file), self.lock)

    def read_logs(self, log_number_from: int) -> Any:
        """As Optuna reads them."""
        return self.backend.read_logs(log_number_from)

    def append_logs(
        self, logs: list[dict[str, Any]], free: Callable[[], bool] = bool, taken: str = ""
    ) -> None:
        """Append, where it is ``free`` to; else a ValueError says what is ``taken``."""
        content = "".join(f"{json.dumps(log, separators=(',', ':'))}\n" for log in logs).encode()
        self.lock.acquire()
        try:
            if taken and not free():
                raise ValueError(taken)
            size = self.file.stat().st_size
            with naming(self.file):
                try:
                    with self.file.open("ab") as stream:
                        stream.write(content)
                        stream.flush()
                        os.fsync(stream.fileno())
                except BaseException:
                    os.truncate(self.file, size)
                    raise
        finally:
            self.lock.release()


class _OneWrite:
    """A journal backend that holds what is appended until it is told to write.

    Optuna's own waits for the disk once a trial.  Records of a study that exists name it by its
    number, so that others may append to the file meanwhile.
    """

    def __init__(self, file: _Journal) -> None:
        self.file = file
        self.logs = list(file.read_logs(0))
        self.written = len(self.logs)

    def read_logs(self, log_number_from: int) -> list[dict[str, Any]]:
        """Those of the file when it was opened, and those held."""
        return self.logs[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Hold them."""
        self.logs += logs

    def write(self, free: Callable[[], bool], taken: str) -> None:
        """Append all that is held to the file; see there."""
        self.file.append_logs(self.logs[self.written :], free, taken)
        self.written = len(self.logs)
