"""All that a report says about one study, read from its directory once."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from jaxopt_course.records import store
from jaxopt_course.records.format import CLOCKED, TRIALS, making
from jaxopt_course.report import bands, statistics, tables, words
from jaxopt_course.report.measures.sittings import sittings
from jaxopt_course.report.words import amount, listed

DEVICE = ("backend", "device_kind")  # of a manifest's platform
CUT_SHORT = "{n} training steps of processes whose time is not known"
UNFINISHED = "unfinished"  # of a trial that is still trained, or was cut short


@dataclass(frozen=True)
class Findings:
    """The tidy tables of a study; every one has a column ``optimizer``.

    ``ranking`` is a row an optimizer, best first: by its winner's mean over the fresh seeds if they
    were run (``confirmed``), else by the search. Beside the columns of :func:`tables.winners` it
    has ``search_rank``, ``missing`` (seeds fewer than the most that a configuration has) and, of
    the metric over fresh seeds, ``fresh_mean``, ``fresh_half_width``, ``fresh_low``,
    ``fresh_high``, ``fresh_n``, ``fresh_missing``, ``fresh_undefined`` and ``fresh_diverged``
    (share). ``intervals`` (with ``missing``) and ``finals`` (a row a winner's trial) are of the
    fresh seeds if ``confirmed``, else of the search, and then without intervals.  ``comparisons``
    is :func:`statistics.paired` of the winners with the first of the ranking, over the fresh seeds,
    of those that have a score on them; without these it has no row, as the search's seeds have
    chosen whom they would compare.
    """

    directory: Path
    manifest: dict[str, Any]
    metric: str
    test_metric: str | None
    optimizers: list[str]  # in the order of the manifest, which gives them their looks
    confirmed: bool
    hyperparameters: list[str]
    tuned: list[str]  # the searched ones but the optimizer
    trials: pd.DataFrame
    configurations: pd.DataFrame
    ranking: pd.DataFrame
    intervals: pd.DataFrame
    finals: pd.DataFrame
    sensitivity: pd.DataFrame | None  # None where fewer than two learning rates were tried
    curves: pd.DataFrame
    environment: pd.DataFrame
    comparisons: pd.DataFrame
    language: str = "en"
    courses: pd.DataFrame = field(default_factory=pd.DataFrame)  # of the search: trial x eval_step
    clock: pd.DataFrame = field(default_factory=pd.DataFrame)  # optimizer, seconds_per_step
    sittings: pd.DataFrame = field(default_factory=pd.DataFrame)  # who was in which lane, when

    @property
    def words(self) -> words.Words:
        """How this report says numbers and sentences."""
        return words.Words(self.language)


def read(directory: str | Path, language: str = "en") -> Findings:
    """Read the study in ``directory`` and what was confirmed beside it.

    Args:
        directory: of the study.
        language: of what is said of it, "en" or "es".

    Raises:
        FileNotFoundError: the directory holds no study.
        ValueError: the study is of another format or of several tasks, its manifest contradicts its
            table, or the report does not speak the language.
    """
    words.Words(language)
    path = Path(directory)
    record = store.read(path)
    return found(path, record, store.read_confirmation(path, record.manifest), language)


def found(
    path: Path,
    record: store.Record,
    confirmation: store.Record | None = None,
    language: str = "en",
) -> Findings:
    """As :func:`read`, of what was read from there, or of what a sweep has saved so far."""
    manifest, metric = record.manifest, record.manifest["metric"]
    if tables.several_tasks(manifest):
        raise ValueError(
            f"{path} is a study of several tasks, whose scores are not compared: its own report "
            "has ranks over them (study.report(), study.standings()); for one of them train it "
            "alone"
        )
    trials, hyperparameters, searched = _prepared(record)
    how = metric, manifest["direction"], words.sequence(manifest, "replicates")
    ranked = tables.configurations(trials, hyperparameters, *how)
    ranking = tables.winners(ranked, searched).assign(search_rank=lambda table: table["rank"])
    if manifest.get("lineage"):  # numbers changed: what began at an edge need not have won there
        ranking["at_edge"] = ""
    ranking["missing"] = ranked["seeds"].max() - ranking["seeds"]
    ranking["noun"] = words.replicate(manifest)
    final = _winners_only(trials, ranking, hyperparameters)
    dataset, events = record.curves, store.read_events(path)
    confirmed = False
    if confirmation is not None:
        fresh_trials = _winners_only(_prepared(confirmation)[0], ranking, hyperparameters)
        confirmed = len(fresh_trials) > 0
        if confirmed:
            final, dataset = fresh_trials, confirmation.curves
    metrics = [
        name
        for name in dict.fromkeys([metric, *trials])
        if name.startswith(("valid_", "test_", metric)) and name not in hyperparameters
    ]
    intervals = bands.intervals(final, hyperparameters, metrics)
    intervals["missing"] = intervals["seeds"].max() - intervals["seeds"]
    intervals["noun"] = words.replicate(manifest)
    if confirmed:
        fresh = tables.configurations(final, hyperparameters, *how)
        ranking = _by_fresh_seeds(ranking, fresh, intervals, metric)
    else:
        intervals[["half_width", "low", "high"]] = float("nan")
    test = metric.replace("valid_", "test_", 1)
    known = lambda name: bool(trials[name].notna().any())  # of those that converge none is
    chosen = metric.removeprefix("best_")
    wanted = dict.fromkeys(["train_loss", "valid_loss", chosen])
    return Findings(
        directory=path,
        manifest=manifest,
        metric=metric,
        test_metric=test if test in trials and test != metric and known(test) else None,
        optimizers=list(
            dict.fromkeys([*words.sequence(manifest, "optimizers"), *ranking[tables.OPTIMIZER]])
        ),
        confirmed=confirmed,
        hyperparameters=hyperparameters,
        tuned=[n for n in searched if n != tables.OPTIMIZER and not tables.settled(trials[n])],
        trials=trials,
        configurations=ranked,
        ranking=ranking,
        intervals=intervals,
        finals=final,
        sensitivity=_sensitivity(ranked, hyperparameters, metric),
        curves=bands.curves(
            dataset,
            final,
            ranking,
            hyperparameters,
            [name for name in wanted if name in dataset],
        ),
        environment=environment(manifest, events, language, UNFINISHED not in {*trials["status"]}),
        comparisons=_comparisons(final if confirmed else final.head(0), ranking, manifest),
        language=language,
        courses=_courses(record, metric),
        clock=_clock(events),
        sittings=sittings(events, trials),
    )


def _prepared(record: store.Record) -> tuple[pd.DataFrame, list[str], list[str]]:
    """The trials with a column ``optimizer``, their hyperparameters and those searched."""
    manifest, trials = record.manifest, record.trials
    hyperparameters = making(manifest)
    needed = {*manifest["hyperparameters"], manifest["metric"], "status", "trial"}
    missing = needed - {*trials}
    if missing:
        raise ValueError(f"{TRIALS} lacks the columns {sorted(missing)} of its manifest")
    renamed = {name: f"{name} (given)" for name in hyperparameters if name in tables.OWN_COLUMNS}
    trials = trials.rename(columns=renamed)
    hyperparameters = [renamed.get(name, name) for name in hyperparameters]
    searched = [renamed.get(name, name) for name in manifest.get("searched", hyperparameters)]
    if tables.OPTIMIZER in trials:
        names = trials[tables.OPTIMIZER].astype("str")
    else:
        given = words.sequence(manifest, "optimizers") or ["the optimizer"]
        names = pd.Series(", ".join(given), index=trials.index)
        hyperparameters = [tables.OPTIMIZER, *hyperparameters]
    searched = [name for name in searched if name in hyperparameters]
    return trials.assign(**{tables.OPTIMIZER: names}), hyperparameters, searched


def _sensitivity(
    ranked: pd.DataFrame, hyperparameters: list[str], metric: str
) -> pd.DataFrame | None:
    if "learning_rate" not in hyperparameters:
        return None
    rates = ranked["learning_rate"]
    if not pd.api.types.is_numeric_dtype(rates) or rates.nunique() < 2:
        return None
    others = [n for n in hyperparameters if n not in ("learning_rate", tables.OPTIMIZER)]
    return tables.sensitivity(ranked, metric, others=others)


def _courses(record: store.Record, metric: str) -> pd.DataFrame:
    """The metric of each trial of the search by steps, the best so far where it is that."""
    name = metric.removeprefix("best_")
    if name not in record.curves:
        return pd.DataFrame()
    array = record.curves[name]
    values = array.to_numpy().astype("float64")
    table = pd.DataFrame(
        np.where(np.isfinite(values), values, np.nan),
        index=array[array.dims[0]].to_numpy(),
        columns=array[array.dims[1]].to_numpy(),
    )
    if name != metric:
        table = table.cummin(axis=1) if record.manifest["direction"] == "min" else table.cummax(1)
    return table


def _winners_only(
    trials: pd.DataFrame, ranking: pd.DataFrame, hyperparameters: Iterable[str]
) -> pd.DataFrame:
    trials = tables.once(trials)
    mask = np.zeros(len(trials), bool)
    for _, row in ranking.iterrows():
        mask |= tables.same(trials, row, hyperparameters)
    return trials[mask]


def _by_fresh_seeds(
    ranking: pd.DataFrame, fresh: pd.DataFrame, intervals: pd.DataFrame, metric: str
) -> pd.DataFrame:
    """Order the winners by the same rule on the fresh seeds; those not re-trained come last."""
    found = intervals[intervals["metric"] == metric].set_index(tables.OPTIMIZER)
    for name in ("n", "half_width", "low", "high", "diverged", "undefined", "missing"):
        ranking[f"fresh_{name}"] = ranking[tables.OPTIMIZER].map(found[name])
    place = fresh.set_index(tables.OPTIMIZER)
    ranking["fresh_mean"] = ranking[tables.OPTIMIZER].map(place[metric])
    order = ranking[tables.OPTIMIZER].map(place["rank"]).fillna(float("inf"))
    ranking = ranking.iloc[order.argsort(kind="stable")].reset_index(drop=True)
    return ranking.assign(rank=range(1, len(ranking) + 1))


def _comparisons(
    fresh: pd.DataFrame, ranking: pd.DataFrame, manifest: dict[str, Any]
) -> pd.DataFrame:
    """The winners that have a score in pairs with the first of them.

    Whoever diverged on a fresh seed ranks last by that, and is none of the tests that Holm counts.
    """
    metric = manifest["metric"]
    score = ranking["fresh_mean" if "fresh_mean" in ranking else metric]
    judged = ranking.loc[score.notna(), tables.OPTIMIZER]
    fresh = fresh[fresh[tables.OPTIMIZER].isin(judged)]
    parts = words.mapping(words.mapping(manifest, "task"), "examples")
    count = parts.get("valid") if metric.endswith("accuracy") else None
    return statistics.paired(
        fresh,
        metric,
        manifest["direction"],
        pair=["seed", *words.sequence(manifest, "replicates")],
        reference=judged.iloc[0] if len(fresh) else None,
        examples=count if isinstance(count, int) and count > 0 else None,
    )


def _clock(events: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """``optimizer`` and ``seconds_per_step`` of the last event that has them; anybody may write."""
    last = [event for event in events if event.get("event") == CLOCKED][-1:]
    entries = last[0].get("optimizers") if last else []
    rows: dict[str, float] = {}
    for entry in entries if isinstance(entries, list) else []:
        known = entry if isinstance(entry, dict) else {}
        name, value = known.get("optimizer"), known.get("seconds_per_step")
        if isinstance(name, str) and isinstance(value, float) and 0 < value < float("inf"):
            rows[name] = value
    return pd.DataFrame({"optimizer": list(rows), "seconds_per_step": list(rows.values())})


def _programs(manifest: dict[str, Any]) -> str:
    """``4: one a combination of batch_size and hidden``; nothing where one program did it all."""
    buckets, static = words.sequence(manifest, "buckets"), words.sequence(manifest, "static")
    return f"{len(buckets)}: one a combination of {listed(static)}" if buckets and static else ""


def environment(
    manifest: dict[str, Any],
    events: Iterable[dict[str, Any]] = (),
    language: str = "en",
    over: bool = False,
) -> pd.DataFrame:
    """What made a study and how long it took, as rows of ``name`` and ``value`` (text).

    Args:
        manifest: of the study.
        events: of it; where there are none and it is over, that is said.
        language: "en" or "es".
        over: whether nothing of it is still trained.
    """
    w = words.Words(language)
    task, budget = words.mapping(manifest, "task"), words.mapping(manifest, "budget")
    platform = words.mapping(manifest, "platform")
    known = [event for event in events if isinstance(event, dict)]  # anybody may write there
    done = [event for event in known if event.get("event") == "finished"]
    last = done[-1] if done else {}
    untold = ""
    if over and all(event.get("event") == CLOCKED for event in known):
        untold = w.say(
            "not known: events.jsonl is missing or empty, as where the process was killed before "
            "it was written"
        )
    examples = words.mapping(task, "examples")
    epochs = budget.get("epochs")
    rows = {
        "task": " – ".join(str(task[key]) for key in ("name", "description") if task.get(key)),
        "examples": ", ".join(f"{_whole(n, w)} {w.part(part)}" for part, n in examples.items()),
        "budget of a trial": _whole(budget.get("steps"), w, "{n} steps"),
        "epochs": "" if epochs is None else str(epochs),
        "batch size": str(budget.get("batch_size", "")),
        "programs": _programs(manifest),
        "seeds": ", ".join(words.sequence(manifest, "seeds")),
        "replicates": listed(["seed", *words.sequence(manifest, "replicates")])
        if manifest.get("replicates")
        else "",
        "lanes a device": str(manifest.get("lanes", "")),
        "devices": ", ".join(words.sequence(last, "devices")),
        "scheduler": _named(words.mapping(manifest, "scheduler")),
        "device": " ".join(dict.fromkeys(str(platform[key]) for key in DEVICE if key in platform)),
        "processor": str(platform.get("instructions", "")).partition(", features ")[0],
        "matrix products": str(platform.get("matmul_precision", "")),
        "wall time": w.mark(amount(last.get("seconds"), "{:.1f} s")) or untold,
        "cut short, besides": _whole(last.get("trial_steps_before") or None, w, CUT_SHORT),
        "compiling, besides": w.mark(amount(last.get("compile_seconds"), "{:.1f} s")),
        "training steps a second": _whole(last.get("trial_steps_per_second"), w),
        "lanes that trained": w.percent(amount(last.get("occupancy"), "{:.0%}")),
        **{name: str(version) for name, version in words.mapping(manifest, "versions").items()},
        "data split (SHA-256)": str(task.get("split_sha256", "")),
        "program (SHA-256)": str(manifest.get("program_sha256", "")),
        "trials (SHA-256)": str(manifest.get("trials_sha256", "")),
    }
    rows = {name: value for name, value in rows.items() if value}
    return pd.DataFrame({"name": list(rows), "value": list(rows.values())}, dtype="str")


def _whole(value: Any, w: words.Words, template: str = "{n}") -> str:
    """``1,234 steps`` as the language writes it; nothing where there is no finite number."""
    known = amount(value, "{:.0f}")
    return w.say(template, n=w.whole(int(known))) if known else ""


def _named(scheduler: dict[str, Any]) -> str:
    """``ASHA, eta 3.0``: its name and the settings that were given."""
    given = [f"{k} {v}" for k, v in scheduler.items() if k != "name" and v is not None]
    return ", ".join([str(scheduler.get("name", "unnamed")), *given]) if scheduler else ""
