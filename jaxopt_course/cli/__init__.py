"""The commands: arguments in, one call each, no science."""

import re
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

if TYPE_CHECKING:
    from jaxopt_course.problems.tasks import Task
    from jaxopt_course.studies.study import Study

START = time.perf_counter()
COURSE = (  # the optimizers of the course notes
    "sgd",
    "momentum",
    "ema_momentum",
    "nesterov",
    "adagrad",
    "rmsprop",
    "adadelta",
    "adam",
    "adamw",
    "adamax",
)
DIGITS = "digits"  # the task unless another is named
USAGE_ERRORS = (ValueError, TypeError, OSError)  # raised with a sentence for the user


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of one's own, in place of a task."""

    csv: Path | None = None
    """A table to learn from instead: a CSV file whose first line names the columns."""
    target: str | None = None
    """The column of --csv to predict; text and few whole numbers are classes, others numbers."""
    drop: tuple[str, ...] = ()
    """Columns of --csv to leave out, as names and dates."""


@dataclass(frozen=True)
class Compare(Table):
    """Train every optimizer at every learning rate on several seeds, and report which one wins."""

    task: str = DIGITS
    """What to train; `jaxopt-course tasks` lists them."""
    optimizers: tuple[str, ...] = ()
    """Which to compare, by name (adam, lion, keras.adam, ...); default those of the course."""
    learning_rates: int = 16
    """How many learning rates, evenly spaced on a logarithmic scale."""
    learning_rate_min: float = 1e-5
    """The smallest learning rate."""
    learning_rate_max: float = 10.0
    """The largest learning rate."""
    seeds: int = 4
    """Trainings of each configuration, from seeds 0, 1, ..."""
    epochs: int = 20
    """Passes over the training data."""
    batch_size: tuple[int, ...] = ()
    """Examples a step; default 64, or all where a task has fewer. Several: all are compared."""
    confirm: int = 5
    """Fresh seeds on which each optimizer's winner is trained again; 0 for none."""
    metric: str | None = None
    """What chooses the winners, as valid_loss; default the task's."""
    lanes: int | None = None
    """Trials trained side by side on a device; default by the size of the network."""
    plan: Literal["none", "auto"] = "none"
    """auto chooses the lanes from memory and short timed probes, and says why."""
    scheduler: Literal["none", "halving", "hyperband", "asha", "median"] = "none"
    """What stops trials that do not look promising; none trains all to their end."""
    eta: float = 3.0
    """Of halving, hyperband and asha: 1/eta of the configurations of a rung train on."""
    evaluate_every: int | None = None
    """Steps between evaluations, where schedulers may stop a trial; default an epoch."""
    out: Path | None = None
    """Where to write; default runs/<task>-<next free number>."""
    overwrite: bool = False
    """Whether a study that --out holds may be replaced."""
    yes: bool = False
    """Whether to go on, without asking, where many programs must be compiled."""
    verbose: bool = False
    """Also print how the program was compiled and how busy the lanes were."""


@dataclass(frozen=True)
class Report:
    """Print the report of a study again, and write its page and figures anew."""

    directory: Annotated[Path, tyro.conf.Positional]
    """What --out of compare was."""


@dataclass(frozen=True)
class Resume(Table):
    """Go on with a sweep that was killed or interrupted; confirm its winners, and report."""

    directory: Annotated[Path, tyro.conf.Positional]
    """What --out of compare was."""
    confirm: int = 5
    """Fresh seeds on which each optimizer's winner is trained again; 0 for none."""


@dataclass(frozen=True)
class Replay(Table):
    """Train one trial of a study again and compare its curves bit for bit."""

    directory: Annotated[Path, tyro.conf.Positional]
    """What --out of compare was."""
    trial: Annotated[int, tyro.conf.Positional]
    """Its number in trials.csv."""


@dataclass(frozen=True)
class Course:
    """Run the lessons of the course, and render them with their figures to static HTML."""

    lesson: tuple[str, ...] = ()
    """Which, by number (8, or 8.2); default all."""
    out: Path = Path("site")
    """Where to write; begin reading at its index.html."""
    quick: bool = False
    """Fewer trials and steps, as in checks: a look at the pages, not at the figures."""
    overwrite: bool = False
    """Whether pages may be written among files that --out holds."""


@dataclass(frozen=True)
class Tasks:
    """List the tasks that can be trained."""


def main(args: list[str] | None = None) -> None:
    """Run one command; exits with 2 on bad input and 130 on Ctrl-C."""
    args = sys.argv[1:] if args is None else args
    if args == ["--version"]:
        from importlib.metadata import version

        print(f"jaxopt-course {version('jaxopt-course')}")
        return
    command = tyro.cli(
        Compare | Report | Resume | Replay | Course | Tasks,
        args=args,
        prog="jaxopt-course",
        description="Train hundreds of networks at once, and see which optimizer wins.",
        config=(tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff),
    )
    run: dict[type, Any] = {
        Compare: compare,
        Report: report,
        Resume: resume,
        Replay: replay,
        Course: course,
        Tasks: tasks,
    }
    try:
        run[type(command)](command)
    except USAGE_ERRORS as error:
        if getattr(command, "verbose", False):
            raise
        said = [str(error), *getattr(error, "__notes__", ())]
        print(f"jaxopt-course: {'; '.join(said)}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("jaxopt-course: stopped", file=sys.stderr)
        sys.exit(130)


def compare(arguments: Compare) -> None:
    """Sweep, confirm, report."""
    from jaxopt_course.devices import use_cpu_cores

    use_cpu_cores()
    from jaxopt_course.problems.catalog import load_task
    from jaxopt_course.studies.joint import ManyProgramsWarning
    from jaxopt_course.studies.plan import plan
    from jaxopt_course.studies.study import SweepInterrupted
    from jaxopt_course.studies.sweep import sweep
    from jaxopt_course.tables.space import grid
    from jaxopt_course.train import count_examples

    rates = learning_rates(arguments)
    if arguments.seeds < 1 or arguments.confirm < 0:
        raise ValueError("--seeds must be at least 1, and --confirm at least 0")
    task = table_of(arguments) or load_task(arguments.task)
    sizes = list(dict.fromkeys(arguments.batch_size)) or [min(64, count_examples(task.train))]
    several = len(sizes) > 1
    trials = grid(
        **({"batch_size": sizes} if several else {}),
        optimizer=list(dict.fromkeys(arguments.optimizers or COURSE)),
        learning_rate=rates,
        seed=range(arguments.seeds),
    )
    budget: dict[str, Any] = {
        "epochs": arguments.epochs,
        "batch_size": sizes[0],
        "evaluate_every": arguments.evaluate_every,
    }
    planned = None
    if arguments.plan == "auto":
        if arguments.lanes is not None:
            raise ValueError("give either --lanes or --plan auto, not both")
        if several:
            raise ValueError("--plan auto plans one program: give one --batch-size")
        planned = plan(task, trials, **budget)
        print(planned)
    out = arguments.out or next_free(Path("runs"), task.name)
    try:
        with warnings.catch_warnings():
            if sys.stdin.isatty() and not arguments.yes:  # before the second is compiled
                warnings.simplefilter("error", ManyProgramsWarning)
            study = sweep(
                task,
                trials,
                **budget,
                static=["batch_size"] if several else None,
                lanes=arguments.lanes,
                plan=planned,
                metric=arguments.metric,
                scheduler=scheduler_of(arguments),
                directory=out,
                overwrite=arguments.overwrite,
            )
        explain(study, arguments.verbose)
        confirm(study, arguments.confirm, arguments.verbose)
    except ManyProgramsWarning as warning:
        raise ValueError(f"{warning}; to go on nevertheless, add --yes") from None
    except SweepInterrupted as stop:
        show(out)
        print(f"jaxopt-course: {stop}; saved in {out}", file=sys.stderr)
        sys.exit(130)
    show(out)
    print(f"{time.perf_counter() - START:.1f} s from command to report")


def table_of(arguments: Table) -> "Task | None":
    """The task that --csv makes, if it is given."""
    if arguments.csv is None:
        if arguments.target is not None or arguments.drop:
            raise ValueError("--target and --drop are of a table: give --csv FILE too")
        return None
    from jaxopt_course.problems.tables import read_table, table_task

    if getattr(arguments, "task", DIGITS) != DIGITS:
        raise ValueError("give either --task or --csv, not both")
    if arguments.target is None:
        columns = ", ".join(map(str, read_table(arguments.csv).columns))
        raise ValueError(f"which column is to be predicted? --target: one of {columns}")
    return table_task(arguments.csv, arguments.target, drop=arguments.drop)


def confirm(study: "Study", seeds: int, verbose: bool, task: "Task | None" = None) -> None:
    """Train the winners on fresh seeds, if there are any and it was not done yet."""
    import numpy as np

    from jaxopt_course.records import store

    assert study.directory is not None
    done = (study.directory / store.CONFIRMATION / store.MANIFEST).is_file()
    if seeds and not done and np.isfinite(study.winners()[study.manifest["metric"]]).any():
        explain(study.confirm(seeds, task=task), verbose)


def scheduler_of(arguments: Compare) -> Any:
    """The scheduler asked for, or None."""
    from jaxopt_course.sweeps import schedulers

    made = {
        "halving": lambda: schedulers.SuccessiveHalving(arguments.eta),
        "hyperband": lambda: schedulers.Hyperband(arguments.eta),
        "asha": lambda: schedulers.ASHA(arguments.eta),
        "median": schedulers.MedianStopping,
    }
    return None if arguments.scheduler == "none" else made[arguments.scheduler]()


def learning_rates(arguments: Compare) -> list[float]:
    """The learning rates asked for, each at most 12 digits long."""
    import numpy as np

    low, high, n = (
        arguments.learning_rate_min,
        arguments.learning_rate_max,
        arguments.learning_rates,
    )
    if n < 1 or not 0 < low <= high or not np.isfinite(high):
        raise ValueError(
            "learning rates need a number of at least 1 and 0 < minimum <= maximum, "
            f"not {n} from {low} to {high}"
        )
    return [float(f"{rate:.12g}") for rate in np.geomspace(low, high, n)]


def next_free(parent: Path, name: str) -> Path:
    """``parent/name-N`` for the first N above all that are taken."""
    numbers = [
        int(match[1])
        for path in parent.glob(f"{name}-*")
        if (match := re.fullmatch(re.escape(name) + r"-(\d+)", path.name))
    ]
    return parent / f"{name}-{max(numbers, default=0) + 1}"


def explain(study: "Study", verbose: bool) -> None:
    """How the program was made and used."""
    if not verbose:
        return
    event, manifest = study.events[-1], study.manifest
    print(
        f"{manifest['kind']}: {manifest['trials']} trials in one program, lowered "
        f"{event['lowerings']} time(s), compiled for {len(event['devices'])} device(s) in "
        f"{event['compile_seconds']:.1f} s; {manifest['lanes']} lanes a device, "
        f"{event['occupancy']:.0%} occupied; {event['trial_steps']:,} trial-steps in "
        f"{event['seconds']:.1f} s ({event['trial_steps_per_second']:,.0f}/s), "
        f"{event['calls']} calls",
        file=sys.stderr,
    )


def report(arguments: Report) -> None:
    """Print and write the report of a study on disk."""
    show(arguments.directory)


def resume(arguments: Resume) -> None:
    """Go on where the last checkpoint is, then report."""
    from jaxopt_course.devices import use_cpu_cores

    use_cpu_cores()
    from jaxopt_course.studies.study import Study, SweepInterrupted

    if arguments.confirm < 0:
        raise ValueError("--confirm must be at least 0")
    try:
        task = table_of(arguments)
        study = Study.resume(arguments.directory, task=task)
        try:
            confirm(study, arguments.confirm, verbose=False, task=task)
        except ValueError as error:  # an own task, or other versions: the search is there anyway
            print(f"jaxopt-course: not confirmed: {error}", file=sys.stderr)
    except SweepInterrupted as stop:
        print(f"jaxopt-course: {stop}; saved in {arguments.directory}", file=sys.stderr)
        sys.exit(130)
    show(arguments.directory)


def replay(arguments: Replay) -> None:
    """Train a trial again; exits with 1 if its curves are others."""
    from jaxopt_course.devices import use_cpu_cores

    use_cpu_cores()
    from jaxopt_course.studies.study import Study

    study = Study.load(arguments.directory)
    again = study.replay(arguments.trial, task=table_of(arguments), progress=True)
    row = study.trials.set_index("trial").loc[arguments.trial]
    settings = ", ".join(
        f"{name} {row[name]}"
        for name in [*study.manifest["searched"], "seed"]
        if row[name] == row[name]
    )
    print(f"trial {arguments.trial} ({settings}): {row['status']}")
    for name, curve in again.curves.data_vars.items():
        same = "other" if name in again.different else "the same bits"
        print(f"  {name}: {int(curve.notnull().sum())} readings, {same}")
    if not again.identical:
        sys.exit(1)


def show(directory: Path) -> None:
    """Print the report, write the page, and say where it is."""
    from jaxopt_course.report import print_report, write_report

    print_report(directory)
    print(f"\n{write_report(directory)}")


def course(arguments: Course) -> None:
    """Build the site; exits with 1 where a lesson failed."""
    try:
        from jaxopt_course.course.site import build
    except ModuleNotFoundError as error:
        raise ValueError(
            f"the course needs {error.name}, which is not installed: "
            "pip install 'jaxopt-course[course]'"
        ) from None
    ran = build(
        arguments.out, arguments.lesson, quick=arguments.quick, overwrite=arguments.overwrite
    )
    print(f"{arguments.out / 'index.html'}\n{time.perf_counter() - START:.1f} s in all")
    if any(lesson.failure for lesson in ran):
        sys.exit(1)


def tasks(_: Tasks) -> None:
    """Print a line a task."""
    from jaxopt_course.problems.catalog import TASK_DESCRIPTIONS
    from jaxopt_course.problems.downloads import DOWNLOADS

    for name, description in TASK_DESCRIPTIONS.items():
        print(f"{name:19s}{description}")
    for name, description in DOWNLOADS.items():
        print(f"{name:19s}{description} (openml.org: downloaded once)")
    print(
        "\nA number takes fewer training images, and a fifth of it in each other part: "
        "mnist_cnn-5000.\n-torch takes the network as the notes print it for PyTorch, not for "
        "Keras: mnist_cnn-torch."
    )
