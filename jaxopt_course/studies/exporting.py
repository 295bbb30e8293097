"""A study goes to the tools that people have; see ``jaxopt_course/exports``."""

from pathlib import Path
from typing import Literal

from jaxopt_course.studies.recorded import RecordedStudy

TABLES = ("trials", "configurations", "winners", "curves")


class WithExports(RecordedStudy):
    """A study that other tools can read."""

    def to_mlflow(
        self, store: str | Path, name: str | None = None, *, experiment: str | None = None
    ) -> str:
        """Add the study to a store of MLflow's: a run, and in it a nested run a trial.

        A trial's run has its hyperparameters and seed as parameters, its curves as metrics with
        their steps, its results as metrics ``result/<name>``, and the tag
        ``jaxopt_course.status``; one that diverged is FAILED, one that was stopped or did not
        finish KILLED.  The study's run has the best configuration as parameters, its scores, how
        many trials ended how, and what it was made with as tags.  What is no finite number is
        left out.

        Args:
            store: a SQLite file, made if it is not there, which may hold other experiments
                (``mlflow ui --backend-store-uri sqlite:///mlflow.db``); or the address of a store.
            name: of the study's run; default the name of its directory, or of the task.
            experiment: where it goes, made if it is not there; default the name of the task.

        Returns:
            the id of the study's run.

        Raises:
            ImportError: MLflow is not installed (``pip install 'jaxopt-course[exports]'``).
            TypeError: the store is no path, a name no text.
            ValueError: the experiment has a study of that name; the file is no store of MLflow's.
            FileNotFoundError, IsADirectoryError: the file cannot be there.
        """
        from jaxopt_course.exports import mlflow, packages, runs

        experiment = packages.named(experiment, self._task, "experiment")
        name = packages.named(name, self._name, "name")

        facts = runs.whole(self.trials, self.configurations(), self.manifest)
        each = list(runs.runs(self.trials, self.curves, self.manifest))
        return mlflow.export(store, experiment, name, facts, each)

    def to_wandb(
        self, directory: str | Path, name: str | None = None, *, project: str | None = None
    ) -> list[Path]:
        """Write offline runs of Weights & Biases, one a trial; nothing is sent anywhere.

        ``wandb sync`` with the directories that are returned sends them.  A run's config has the
        hyperparameters, the seed and what the study was made with; its history the curves, its
        summary the results as ``result/<name>``, the trial's number and its status, its tag too.

        Args:
            directory: in whose ``wandb/`` the runs go, beside those that are there.
            name: of the group that the runs make; default the name of the study's directory, or of
                the task.
            project: default the name of the task.

        Returns:
            the directory of each run, in the order of the trials.

        Raises:
            ImportError: wandb is not installed (``pip install 'jaxopt-course[exports]'``).
            NotADirectoryError: the directory is a file.
            FileExistsError: it has a study of that name in that project.
        """
        from jaxopt_course.exports import packages, runs, wandb

        project = packages.named(project, self._task, "project")
        name = packages.named(name, self._name, "name")

        facts = runs.whole(self.trials, self.configurations(), self.manifest)
        each = list(runs.runs(self.trials, self.curves, self.manifest))
        return wandb.export(directory, project, name, facts, each)

    def to_trackio(self, project: str | None = None, name: str | None = None) -> list[str]:
        """Add the study to a project of Trackio's on this machine, a run a trial.

        Curves are metrics with their steps, results are ``result/<name>`` at the last step.  A run
        of your own that is open ends, as Trackio has one at a time.

        Trackio's files are where it keeps them: in ``$TRACKIO_DIR`` as it was when Trackio was
        first imported, else in its cache.  ``trackio show --project ...`` opens them.

        Args:
            project: made if it is not there; default the name of the task.
            name: of the group of the runs, and the beginning of their names; default the name of
                the study's directory, or of the task.

        Returns:
            the names of the runs, in the order of the trials.

        Raises:
            ImportError: Trackio is not installed (``pip install 'jaxopt-course[exports]'``).
            ValueError: the project has a study of that name.
        """
        from jaxopt_course.exports import packages, runs, trackio

        project = packages.named(project, self._task, "project")
        name = packages.named(name, self._name, "name")

        facts = runs.whole(self.trials, self.configurations(), self.manifest)
        each = list(runs.runs(self.trials, self.curves, self.manifest))
        return trackio.export(project, name, facts, each)

    def to_tensorboard(self, directory: str | Path) -> Path:
        """Write the study for TensorBoard: a directory of events a trial, with its HParams.

        Curves are scalars of their names; results are ``result/<name>``, the study's metric first.
         ``tensorboard --logdir DIRECTORY`` shows them.

        Args:
            directory: made if it is not there; it must be empty.

        Returns:
            the directory.

        Raises:
            ImportError: tensorboardX is not installed (``pip install 'jaxopt-course[exports]'``);
                TensorFlow is not needed.
            FileExistsError: the directory holds something.
            NotADirectoryError: it is a file.
        """
        from jaxopt_course.exports import runs, tensorboard

        facts = runs.whole(self.trials, self.configurations(), self.manifest)
        each = list(runs.runs(self.trials, self.curves, self.manifest))
        return tensorboard.export(directory, self.manifest["metric"], facts, each)

    def to_csv(
        self,
        file: str | Path,
        table: Literal["trials", "configurations", "winners", "curves"] = "trials",
        *,
        overwrite: bool = False,
    ) -> Path:
        """Write a table of the study as CSV; its numbers come back bit for bit.

        Args:
            file: where to.
            table: "trials"; "configurations" or "winners", as the methods have them; "curves", a
                row a reading: ``trial``, ``step``, ``curve``, ``value``.
            overwrite: whether a file that is there may be replaced.

        Returns:
            the file.

        Raises:
            FileExistsError: the file is there, and ``overwrite`` is false.
            FileNotFoundError, IsADirectoryError: it cannot be there.
            ValueError: no such table.
        """
        from jaxopt_course.exports import packages, text
        from jaxopt_course.messages import unknown

        made = {
            "trials": lambda: self.trials,
            "configurations": self.configurations,
            "winners": self.winners,
            "curves": lambda: text.long(self.curves),
        }
        if not isinstance(table, str) or table not in made:
            raise ValueError(unknown("table", table, TABLES))
        packages.free_file(file, overwrite)  # before anything is made
        return text.to_csv(made[table](), file, overwrite)

    def to_latex(self, file: str | Path | None = None, *, overwrite: bool = False) -> str:
        r"""The table of winners that ``compare`` prints, for LaTeX (``\usepackage{booktabs}``).

        Args:
            file: where to write it too.
            overwrite: whether a file that is there may be replaced.

        Returns:
            a ``tabular``.

        Raises:
            ValueError: the study is in no directory yet.
            FileExistsError: the file is there, and ``overwrite`` is false.
        """
        from jaxopt_course.exports import packages, text
        from jaxopt_course.report.findings import read

        if self.directory is None:
            raise ValueError("save the study first: study.save(directory).to_latex()")
        path = None if file is None else packages.free_file(file, overwrite)
        said = text.to_latex(read(self.directory))
        if path is not None:
            packages.write_text(path, said)
        return said

    @property
    def _task(self) -> str:
        return str(self.manifest["task"]["name"])

    @property
    def _name(self) -> str:
        return self.directory.name if self.directory else self._task
