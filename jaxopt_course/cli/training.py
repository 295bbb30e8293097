"""What ``compare`` and ``sweep`` have in common: their options, and what they do with a table."""

import re
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jaxopt_course.cli.ahead import imported_ahead
from jaxopt_course.cli.answer import Answer, Asked
from jaxopt_course.cli.outcome import clock, confirm, explain, seconds, show, stopped
from jaxopt_course.cli.say import say
from jaxopt_course.cli.watch import needed

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Training(Asked):
    """How a table of trials is trained, chosen from and reported."""

    seeds: int | None = None
    """Trainings of each configuration, from seeds 0, 1, ...; default 4, of compare's sobol 2."""
    confirm: int = 8
    """Fresh seeds on which each optimizer's winner is trained again; 0 for none."""
    metric: str | None = None
    """What chooses the winners, as valid_loss; default the task's."""
    score: Literal["last", "best"] | None = None
    """Which evaluation of a trial counts; best is also the one whose weights the test part sees.
    Default last, with --patience best."""
    patience: int | None = None
    """Evaluations without improvement after which a trial stops, beside any scheduler."""
    lanes: int | None = None
    """Trials trained side by side on a device; default by the size of the network."""
    plan: Literal["none", "auto"] = "none"
    """auto chooses the lanes from memory and short timed probes, and says why."""
    scheduler: Literal["none", "halving", "hyperband", "asha", "median"] = "none"
    """What stops trials that do not look promising; none trains all to their end."""
    eta: float | None = None
    """Of halving, hyperband and asha: 1/eta of the configurations of a rung train on; default 3."""
    evaluate_every: int | None = None
    """Steps between evaluations, where schedulers may stop a trial; default an epoch."""
    diverges_above: float | None = None
    """A loss beyond which a trial counts as diverged; default 1e8 times its own first loss."""
    time_limit: float | None = None
    """Seconds after which the search ends as by Ctrl-C, compiling counted; resume goes on."""
    out: Path | None = None
    """Where to write; default runs/<task>-<next free number>."""
    overwrite: bool = False
    """Whether a study that --out holds may be replaced."""
    yes: bool = False
    """Whether to go on, without asking, where many programs must be compiled."""
    ray: str | None = None
    """Train on the nodes of a Ray cluster, by its address: auto, local or HOST:PORT."""
    live: bool = False
    """Show the report while the search runs, on a page of this machine whose address is said."""
    no_cache: bool = False
    """Compile anew, and keep nothing of it for the next command."""
    lang: Literal["en", "es"] = "en"
    """The language of the report: English or Spanish."""
    verbose: bool = False
    """Also print how the program was compiled and how busy the lanes were."""


def check(arguments: Training) -> None:
    """Refuse what makes no sense before anything is loaded.

    Raises:
        ValueError: a number of seeds or evaluations that is none, two ways to say how many lanes,
            or a score that contradicts the metric.
    """
    if arguments.seeds is not None and arguments.seeds < 1:
        raise ValueError(f"--seeds must be at least 1, not {arguments.seeds}")
    check_confirm(arguments.confirm)
    if arguments.eta is not None and arguments.scheduler in ("none", "median"):
        raise ValueError(
            "--eta is of --scheduler halving, hyperband and asha, "
            f"and would change nothing of {arguments.scheduler}: leave it out"
        )
    for name in ("trials", "samples"):
        if (number := getattr(arguments, name, None)) is not None and number < 1:
            raise ValueError(f"--{name} must be at least 1, not {number}")
    if arguments.patience is not None and arguments.patience < 1:
        raise ValueError(
            f"--patience must be a number of evaluations, at least 1, not {arguments.patience}"
        )
    metric = arguments.metric or ""
    if arguments.score == "last" and metric.startswith("best_"):
        raise ValueError(f"--score last contradicts --metric {metric}: leave one of them out")
    if arguments.score == "best" and metric.startswith("train_"):
        raise ValueError(f"--score best is of an evaluation, as of valid_loss, not of {metric}")
    if arguments.plan == "auto" and arguments.lanes is not None:
        raise ValueError("give either --lanes or --plan auto, not both")
    if arguments.live:
        needed()


def check_confirm(number: int) -> None:
    """Refuse a number of fresh seeds that could only fail when all is trained.

    Raises:
        ValueError: it is none, or beyond what ``Study.confirm`` takes.
    """
    from jaxopt_course.studies.choosing import MOST_SEEDS

    if not 0 <= number <= MOST_SEEDS:
        raise ValueError(f"--confirm must be a number from 0 to {MOST_SEEDS:,}, not {number}")


def seeds_of(arguments: Training, default: int = 4) -> range:
    """The seeds of the search."""
    return range(default if arguments.seeds is None else arguments.seeds)


def train(
    arguments: Training,
    task: Any,
    name: str,
    trials: "pd.DataFrame",
    optimizer: Any,
    static: Sequence[str] | None,
    budget: dict[str, Any],
) -> Answer:
    """Sweep a table, confirm its winners, print the report and write the page.

    Args:
        arguments: of the command.
        task: as ``sweep`` takes it.
        name: of the directory under runs/, where --out names none.
        trials: a row a trial.
        optimizer: as ``sweep`` takes it.
        static: columns that have a program a value.
        budget: epochs or steps, and batch_size.
    """
    from jaxopt_course.live.serving import beside

    out = arguments.out or next_free(Path("runs"), name)
    with beside(out, arguments.live, arguments.lang):
        return _train(arguments, task, trials, optimizer, static, budget, out)


def _train(
    arguments: Training,
    task: Any,
    trials: "pd.DataFrame",
    optimizer: Any,
    static: Sequence[str] | None,
    budget: dict[str, Any],
    out: Path,
) -> Answer:
    """As :func:`train`, into this directory."""
    from jaxopt_course.studies.many import ManyProgramsWarning
    from jaxopt_course.studies.plan import plan
    from jaxopt_course.studies.study import SweepInterrupted
    from jaxopt_course.studies.sweep import sweep

    budget = budget | {
        "evaluate_every": arguments.evaluate_every,
        "diverges_above": arguments.diverges_above,
    }
    planned: list[Any] = []

    def make() -> Any:
        planned.append(plan(task, trials, optimizer, static=static, **budget))
        say(*str(planned[0]).splitlines())
        return planned[0]

    try:
        with imported_ahead(), warnings.catch_warnings():
            if _is_asked() and not arguments.yes:  # before the second is compiled
                warnings.simplefilter("error", ManyProgramsWarning)
            study = sweep(
                task,
                trials,
                optimizer,
                **budget,
                static=static,
                lanes=arguments.lanes,
                plan=make if arguments.plan == "auto" else None,
                metric=arguments.metric,
                score=arguments.score,
                patience=arguments.patience,
                scheduler=scheduler_of(arguments),
                time_limit=arguments.time_limit,
                cluster=cluster_of(arguments.ray),
                directory=out,
                overwrite=arguments.overwrite,
            )
        explain(study, arguments.verbose)
        confirm(study, arguments.confirm, arguments.verbose)
        clock(study)
    except ManyProgramsWarning as warning:
        raise ValueError(f"{warning}; to go on nevertheless, add --yes") from None
    except SweepInterrupted as stop:
        return stopped(stop, out, arguments.lang)
    took: dict[str, Any] = {"plan": describe(planned[0])} if planned else {}
    told = {"interrupted": False, "seconds": seconds()} | took
    answer = show(out, language=arguments.lang, **told)
    say(f"{seconds():.1f} s from command to report")
    return answer


def _is_asked() -> bool:
    """Whether somebody sits there; a daemon's standard input may be closed."""
    return sys.stdin is not None and sys.stdin.isatty()


def describe(planned: Any) -> list[dict[str, Any]]:
    """A plan for JSON: an entry a program, with the static columns that it is for in ``of``."""
    labels = getattr(planned, "labels", ("",))
    plans = getattr(planned, "plans", (planned,))
    return [{"of": label} | one.describe() for label, one in zip(labels, plans, strict=True)]


def cluster_of(address: str | None) -> Any:
    """The cluster at an address, or None.

    Raises:
        ValueError: Ray is not installed, or of another version.
    """
    from jaxopt_course.clusters.connect import imported
    from jaxopt_course.clusters.ray import Ray

    if address is None:
        return None
    try:
        imported()
    except ImportError as error:
        raise ValueError(str(error).replace("cluster=Ray(...)", "--ray")) from error
    return Ray(address)


def scheduler_of(arguments: Training) -> Any:
    """The scheduler asked for, or None."""
    from jaxopt_course.sweeps import schedulers

    eta: dict[str, Any] = {} if arguments.eta is None else {"eta": arguments.eta}
    made = {
        "halving": lambda: schedulers.SuccessiveHalving(**eta),
        "hyperband": lambda: schedulers.Hyperband(**eta),
        "asha": lambda: schedulers.ASHA(**eta),
        "median": schedulers.MedianStopping,
    }
    return None if arguments.scheduler == "none" else made[arguments.scheduler]()


def next_free(parent: Path, name: str) -> Path:
    """``parent/name-N`` for the first N above all that are taken.

    >>> str(next_free(Path("runs"), "r:modeldata/attrition"))
    'runs/r_modeldata_attrition-1'
    """
    name = re.sub(r"[^\w.-]+", "_", name)  # a task's may have what is no part of a file's
    numbers = [
        int(match[1])
        for path in parent.glob(f"{name}-*")
        if (match := re.fullmatch(re.escape(name) + r"-(\d+)", path.name))
    ]
    return parent / f"{name}-{max(numbers, default=0) + 1}"
