"""What a study is once it is there: a table, curves, a manifest; read, chosen from, written."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pandas as pd

from jaxopt_course.messages import printable
from jaxopt_course.records import checkpoints, claims, store, weights
from jaxopt_course.records.format import CONFIRMATION, check_task, making
from jaxopt_course.report import optuna, statistics, tables
from jaxopt_course.report.standings import standings
from jaxopt_course.studies import choosing
from jaxopt_course.studies.lineage import table_of
from jaxopt_course.studies.results import bare, join, with_bests
from jaxopt_course.studies.session import Session
from jaxopt_course.studies.unwritten import unwritten

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True, eq=False)
class RecordedStudy:
    """A study as it is read, chosen from, written; see ``Study``, which trains more for it."""

    trials: pd.DataFrame
    curves: "xr.Dataset"
    manifest: dict[str, Any]
    directory: Path | None = None
    events: tuple[dict[str, Any], ...] = ()
    _session: Session | None = field(default=None, repr=False, compare=False)
    _kept: Mapping[int, bytes] = field(default_factory=dict, repr=False, compare=False)

    def __repr__(self) -> str:
        counts = self.trials["status"].value_counts().to_dict()
        states = ", ".join(f"{n} {printable(status)}" for status, n in counts.items())
        where = f", saved in {self.directory}" if self.directory else ""
        return f"Study of {self.manifest['task']['name']!r}: {states}{where}"

    def _repr_html_(self) -> str:
        """The same for a notebook, with a winner an optimizer."""
        from jaxopt_course.report.notebook import study_html

        return study_html(repr(self), self.winners(), self.manifest)

    @property
    def hyperparameters(self) -> list[str]:
        """The columns that make a configuration; ``seed`` and other replicates stand apart."""
        return making(self.manifest)

    @property
    def replicates(self) -> list[str]:
        """The columns that repeat a configuration, beside ``seed``."""
        return list(self.manifest.get("replicates", ()))

    @property
    def tasks(self) -> list[str]:
        """The tasks that it compares, where they are the static column ``task``; else none."""
        static = self.manifest.get("static", ())
        return [*map(str, self.trials[tables.TASK].unique())] if tables.TASK in static else []

    @property
    def lineage(self) -> pd.DataFrame:
        """Of a population (``PBT``): with which numbers each trial trained, and whose state it had.

        A row a trial and ``from_step`` (updates done): ``parent``, the trial whose state it took
        over then (none at the beginning; itself, where only numbers change), and the numbers that
        hold from there.

        Raises:
            ValueError: the study has no population.
        """
        if "lineage" not in self.manifest:
            raise ValueError("the study has no lineage: its scheduler was not joc.PBT")
        return table_of(self.manifest["lineage"], self.trials)

    def configurations(self, metric: str | None = None) -> pd.DataFrame:
        """All configurations, best first: the mean of ``metric`` over the seeds, and its spread.

        Of a study of several tasks (:func:`compare`) task by task, ranked within each.

        The means of the other validation metrics stand beside it.  Where columns were named in
        ``replicates=``, means are over them too: ``replicates`` counts their combinations with the
        seeds, and a configuration that lacks some ranks after those that have all.

        A configuration with a diverged seed ranks after all others and has no mean; one with fewer
        seeds than others have ranks after those.  ``<metric>_undefined`` counts seeds whose metric
        is no number.

        Args:
            metric: a validation metric, as "valid_loss"; the best of its curve, as
                "best_valid_accuracy"; or "train_loss"; default the study's.
        """
        metric, direction = self._metric(metric)
        return tables.named(self._ranked(metric, direction))

    def _ranked(self, metric: str, direction: str) -> pd.DataFrame:
        trials = with_bests(self.trials, self.curves, self.manifest["task"]["metrics"])
        columns = self.hyperparameters, metric, direction, self.replicates
        return (tables.by_task if self.tasks else tables.configurations)(trials, *columns)

    def best(
        self, metric: str | None = None, by: str | Sequence[str] | None = None
    ) -> pd.Series | pd.DataFrame:
        """The best configuration: a row of :meth:`configurations`.

        Args:
            metric: as :meth:`configurations`.
            by: a column, or several: the best for each combination of their values, a table as
                :meth:`winners` has it.  In a study of several tasks "task" must be among them.

        Raises:
            ValueError: no configuration finished on all its seeds; or a metric that may not choose;
                scores of different tasks.
        """
        if by is not None:
            return self.winners(metric, by)
        if self.tasks:
            raise ValueError(
                f"the study has {len(self.tasks)} tasks, whose scores are not compared: "
                'best(by="task")'
            )
        name, _ = self._metric(metric)
        first = self.configurations(name).iloc[0]
        if pd.isna(first[name]):
            raise ValueError(f"{choosing.unscored(self.trials, name)}; see study.trials")
        return first

    def winners(
        self, metric: str | None = None, by: str | Sequence[str] | None = None
    ) -> pd.DataFrame:
        """The best configuration of each optimizer, best first; of several tasks, of each task.

        Args:
            metric: as :meth:`configurations`.
            by: a column, or several, with a winner for each combination of their values, in place
                of the optimizer.

        Raises:
            ValueError: a column that makes no configuration; of several tasks, without "task".
        """
        groups = choosing.check_groups(by, self.hyperparameters)
        if self.tasks and tables.TASK not in groups:
            if by is not None:
                raise ValueError(f'by= needs "task" too, as scores of tasks are not compared: {by}')
            groups = [tables.TASK, *groups]
        searched = [name for name in self.manifest["searched"] if name in self.hyperparameters]
        ranked = self._ranked(*self._metric(metric))
        return tables.named(tables.winners(ranked, searched, groups))

    def standings(self, metric: str | None = None) -> pd.DataFrame:
        """Where optimizers stand over several tasks, by their winners' scores.

        Args:
            metric: as :meth:`configurations`; on fresh seeds where :meth:`confirm` returned this.

        Returns:
            A row an optimizer, the best first; see ``report.standings.standings``.

        Raises:
            ValueError: the study has no column ``task``, or an optimizer lacks a task.
        """
        if not self.tasks:
            raise ValueError("standings are over several tasks: joc.compare(tasks, trials)")
        name, direction = self._metric(metric)
        return standings(self.winners(name), name, direction)

    def paired_differences(
        self,
        by: str = "optimizer",
        *,
        metric: str | None = None,
        reference: Any = None,
        level: float = 0.95,
        power: float = 0.8,
    ) -> pd.DataFrame:
        """Compare configurations in pairs with the best of them, over the seeds that both have.

        Trials of one seed share their start and the order of their data, so that the difference of
        a pair scatters less than its two scores.  Of :meth:`confirm`'s study it compares the
        winners; the search's own seeds have chosen these, and are refused.

        Args:
            by: the column whose values are compared, with one configuration each.
            metric: as :meth:`configurations`.
            reference: with which value of ``by`` the others are compared; default the best.
            level: of all comparisons together (Holm), in (0, 1).
            power: with which ``seeds_needed`` pairs would separate, in (0, 1).

        Returns:
            A row a value of ``by`` but the reference, the smallest difference first: ``reference``,
            ``n`` (pairs), ``mean`` and ``reference_mean`` (over these), ``difference`` (positive
            where the reference is better), ``deviation`` (its standard deviation), ``half_width``,
            ``low``, ``high`` (paired t-interval at the row's ``level``), ``p``, ``p_holm``,
            ``separated``, ``tied`` (but for float32's rounding), ``sign_flip_p`` with the
            ``smallest_p`` that so many pairs can give, and ``seeds_needed``.

        Raises:
            ValueError: no such column, or several configurations of one of its values; an unknown
                reference; a level or power outside (0, 1).
        """
        (column,) = choosing.check_groups(by, self.hyperparameters)
        trials = with_bests(self.trials, self.curves, self.manifest["task"]["metrics"])
        number = tables.configuration_numbers(trials, self.hyperparameters)
        several = number.groupby(trials[column].astype(str)).nunique()
        if (several > 1).any():
            name = several.idxmax()
            raise ValueError(
                f"{column} {name!r} has {several[name]} configurations, and whichever is chosen "
                f"by these seeds cannot be judged by them: study.confirm().paired_differences() "
                "compares the winners on fresh seeds"
            )
        pair = ["seed", *self.replicates]
        how = {"by": column, "pair": pair, "reference": reference, "level": level, "power": power}
        return statistics.paired(trials, *self._metric(metric), **how)

    def save(self, directory: str | Path, *, overwrite: bool = False) -> Self:
        """Write the study into ``directory`` (see ``records/format.py`` for the format).

        Args:
            directory: made if it is not there.
            overwrite: whether a study that is there may be replaced.  What was derived from it goes
                with it: its confirmation, its page and figures, and its checkpoint.

        Raises:
            FileExistsError: a study is there already, and ``overwrite`` is false; or files that are
                no study's.
            BlockingIOError: another process works there.
        """
        with claims.claimed(directory, overwrite) as path:
            study = self._write(path)
            checkpoints.forget(path)  # of a sweep that was cut short and may be replaced
        return study

    def _content(self, trial: int) -> bytes | None:
        """What is kept of a trial, in memory or in the study's directory; None where nothing is."""
        if trial in self._kept:
            return self._kept[trial]
        entry = next((e for e in weights.entries(self.manifest) if e["trial"] == trial), None)
        if entry is None or self.directory is None:
            return None
        return weights.read(self.directory, entry)

    def _contents(self) -> Iterator[tuple[str, bytes]]:
        """The files of what is kept, one after the other."""
        for entry in weights.entries(self.manifest):
            content = self._content(entry["trial"])
            if content is not None:
                yield entry["file"], content

    def _write(self, path: Path, confirmation: bool = False, resumable: bool = False) -> Self:
        """Write into a directory that this process holds.

        Raises:
            OSError: the disk is full, or the like; the error has the study.
        """
        own = path / CONFIRMATION if confirmation else path
        written = False
        try:
            record = store.Record(self.manifest, self.trials, bare(self.curves))
            store.write(path, record, confirmation, self._contents())
            written = True
            store.write_events(own, self.events)
        except OSError as error:
            whole = written or store.pending(own) is not None
            error.add_note(unwritten(own, whole, resumable))
            error.study, error.directory = self, path  # type: ignore[attr-defined]
            raise
        return type(self)(self.trials, self.curves, self.manifest, own, self.events, self._session)

    @classmethod
    def load(cls, directory: str | Path) -> Self:
        """Read a study that was saved; nothing is written.

        Raises:
            FileNotFoundError: there is no study.
            ValueError: it is of an unknown format, damaged or edited.
        """
        path = claims.where(directory)
        record = store.read(path)
        check_task(record.manifest, str(path / store.MANIFEST))
        curves = join(record.curves, record.trials, record.manifest["hyperparameters"])
        return cls(record.trials, curves, record.manifest, path, tuple(store.read_events(path)))

    def report(self, language: str = "en") -> Path:
        """Write ``report.html`` and the figures into the study's directory; the page's path.

        Args:
            language: "en" or "es".

        Raises:
            ValueError: the study is in no directory yet, or the report does not speak the language.
        """
        if self.directory is None:
            raise ValueError("save the study first: study.save(directory).report()")
        if self.tasks:
            from jaxopt_course.report.standings_page import write_standings

            return write_standings(self.directory, language)
        from jaxopt_course.report.page import write_report

        return write_report(self.directory, language=language)

    def to_optuna(
        self, journal_file: str | Path, name: str | None = None, *, each_seed: bool = False
    ) -> Any:
        """Add the study to a journal file of Optuna's, for ``optuna.load_study`` and its dashboard.

        A configuration becomes a trial, with the mean over its seeds as value and validation curve
        as intermediate values, so that Optuna's best is :meth:`best` (of equals Optuna takes the
        first); a diverged one has the worst value there is, a stopped one and one with fewer seeds
        than others have is PRUNED, an unfinished one FAIL.  Columns that vary become parameters,
        constant ones stand in the study's user attributes.

        Args:
            journal_file: made if it is not there; it may hold other studies.
            name: of the study in it; default the name of its directory, or of the task.
            each_seed: whether each seed is a trial of its own, with "seed" as a parameter.

        Returns:
            the ``optuna.study.Study`` as read from the file.

        Raises:
            ImportError: Optuna is not installed (``pip install 'jaxopt-course[optuna]'``).
            ValueError: the file holds a study of that name already, or is no journal.
            FileNotFoundError, IsADirectoryError: the file cannot be there.
        """
        name = name or (self.directory.name if self.directory else self.manifest["task"]["name"])
        return optuna.export(self.trials, self.curves, self.manifest, journal_file, name, each_seed)

    def _metric(self, metric: str | None) -> tuple[str, str]:
        """A metric that may choose, and its direction."""
        if metric is None:
            return self.manifest["metric"], self.manifest["direction"]
        chosen = choosing.check_metric(metric, self.manifest["task"]["metrics"])
        varied = choosing.varied_in(self.trials, self.hyperparameters)
        choosing.check_measured(chosen[0], self.manifest.get("measured_with", {}), varied)
        return chosen
