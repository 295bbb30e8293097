"""Which optimizer, with which numbers, trains small networks on tables best?

Question  All optimizers of the library, tuned alike, on real tables: mean ranks, wins against
          AdamW, the numbers that win, and whether any of them lies at the edge of its box.
Method    The protocol of arXiv 2604.15297 (16 optimizers, 17 tables, 100 trials). A table is split
          60/20/20 and has at most 10,000 rows; an MLP with two hidden layers of 64; batches by the
          table's size; the gradient's norm clipped at 1. Every optimizer has as many trials: one
          Sobol set of its own box (rate, decay, momentum or betas). A training takes at most 1,000
          steps, is evaluated 40 times, stops after 10 evaluations without progress, and its best
          evaluation counts. Each records its weights and their mean (decay 0.99) side by side, and
          each of both is an entrant chosen by its own metric: "adamw" and "adamw+ema" cost one
          training. The winner of each trains again on 10 fresh seeds, and what is compared is the
          test part there: accuracy, or R².
Tables    Those of the catalogue but invented ones, those with several rows a person, one survey
          twice and those of fewer than 5 inputs; in the order of the hashes of their data, so that
          nobody chose: the first 40.
Pieces    A table is written when it is done and is never trained twice; a killed run goes on where
          it was. --time-limit ends after a table, --only takes some. Other settings into the same
          directory are refused.
Cost      Measured: 33.8 million steps of trials in 3.5 hours of a core, in part beside tests, so
          1.8 hours of two; 7.9 million more for boxes that were widened. A table takes 3 minutes of
          a core, one of which compiles 28 optimizers;
          mnist5000 with its 784 inputs half an hour. SOAP trains one lane a call, 2.6 ms a step.
Run       python -m experiments.benchmarks.optimizers_on_tables [--quick] [--out DIR] [--time-limit
          MINUTES] [--only NAME ...] [--again]; needs pip install 'jaxopt-course[tables]', --quick
          does not.
"""

import argparse
import contextlib
import dataclasses
import json
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

import jaxopt_course as joc
from experiments.benchmarks.default_list import CLIP_NORM, MEAN
from experiments.benchmarks.tables_again import boxes_of, changed, exchange
from experiments.benchmarks.tables_results import joined, results, write

OUT = Path(__file__).parent / "optimizers_on_tables"
DECAY = 0.99  # of the means
OWN_MEAN = ("schedule_free_adamw", "schedule_free_sgd")  # are evaluated at a mean of their own
ALONE = {"soap": 1}  # lanes: they take turns at LAPACK on a CPU, so that company wins nothing
TUNE = ("learning_rate", "weight_decay", "weight_decay_rate", "momentum", "decay", "beta", "rho")
TUNE += ("b1", "b2", "b3", "alpha")
INVENTED = ("modeldata/attrition", "modeldata/mlc_churn", "modeldata/wa_churn", "ISLR/Default")
INVENTED += ("DAAG/headInjury",)
REPEATED = ("modeldata/concrete", "openintro/evals", "Ecdat/DoctorContacts", "Ecdat/Train")
REPEATED += ("Ecdat/VietNamI", "dplyr/storms", "lme4/VerbAgg", "sampleSelection/nlswork")
FEW_INPUTS = ("carData/Cowles", "causaldata/credit_cards", "causaldata/restaurant_inspections")
FEW_INPUTS += ("robustbase/NOxEmissions", "mlmRev/Chem97")
TWICE = ("ISLR/Wage",)  # the survey of AER/CPS1988
BUDGETS = (50, 100, 200, 400)  # steps of which the best so far is written, beside the whole


class Settings(NamedTuple):
    """What decides the results."""

    tables: tuple[str, ...]
    optimizers: tuple[str, ...]
    trials: int = 32  # of each optimizer
    steps: int = 1000
    evaluate_every: int = 25
    patience: int = 10  # evaluations
    seeds: int = 10  # fresh ones
    rows: int = 10_000  # of all three parts
    lanes: int = 8


def tables_of(number: int) -> tuple[str, ...]:
    """The first tables of the catalogue that qualify, in the order of their hashes."""
    from jaxopt_course.problems.packaged import entries

    left_out = {*INVENTED, *REPEATED, *FEW_INPUTS, *TWICE}
    known = [entry for entry in entries().values() if entry.table not in left_out]
    return tuple(entry.task for entry in sorted(known, key=lambda entry: entry.sha256)[:number])


def full() -> Settings:
    """The benchmark."""
    return Settings(tables_of(40), tuple(joc.OPTIMIZERS))


def quick() -> Settings:
    """A short form that shows that it works, on sets that come with scikit-learn."""
    few = ("sgd", "adamw", "schedule_free_adamw")
    lengths = {"trials": 4, "steps": 60, "evaluate_every": 20, "patience": 2, "seeds": 3}
    return Settings(("wine", "breast_cancer", "diabetes"), few, lanes=4, **lengths)


def thinned(task: joc.Task, rows: int) -> joc.Task:
    """The task with at most so many rows, in the shares of its parts, which are in random order."""
    import jax

    whole = sum(filter(None, task.examples.values()))
    if whole <= rows:
        return task
    parts = {
        part: jax.tree.map(lambda x, n=n: x[: n * rows // whole], getattr(task, part))
        for part, n in task.examples.items()
    }
    return dataclasses.replace(task, refit=None, **parts)


def batch_size(examples: int) -> int:
    """Examples a step, by the size of the train part.

    >>> [batch_size(n) for n in (200, 2000, 6000)]
    [32, 64, 128]
    """
    return 32 if examples < 1000 else 64 if examples < 4000 else 128


def metric_of(task: joc.Task) -> str:
    """What is compared: accuracy, or R²; of both more is better."""
    return "accuracy" if "accuracy" in task.metrics else "r2"


def space_of(optimizers: tuple[str, ...]) -> tuple[pd.DataFrame, list[str]]:
    """The boxes, and the numbers to tune."""
    space = joc.search_space(*optimizers)
    return space, [name for name in TUNE if (space["name"] == name).any()]


def search_table(settings: Settings, only: Sequence[str] = ()) -> pd.DataFrame:
    """The trials, the same on every table; ``only`` takes those of some optimizers."""
    space, tune = space_of(settings.optimizers)
    table = joc.sobol(
        settings.trials, optimizer=list(settings.optimizers), tune=tune, space=space, seeds=[0]
    )
    if only:
        kept = table[table["optimizer"].isin(list(only))].reset_index(drop=True)
        table = kept.dropna(axis="columns", how="all")
    return with_means(table.assign(clip_norm=CLIP_NORM), [DECAY] * len(table))


def with_means(table: pd.DataFrame, decays: list[float]) -> pd.DataFrame:
    """The table with a mean of the weights; not of optimizers that have one of their own."""
    own = table["optimizer"].isin(OWN_MEAN)
    cells = [None if skip else decay for skip, decay in zip(own, decays, strict=True)]
    return table.assign(ema_decay=pd.array(cells, "Float64"))


def trained(folder: Path, task: joc.Task, table: pd.DataFrame, settings: Settings) -> joc.Study:
    """Sweep, or go on with what was begun there."""
    if folder.is_dir():
        try:
            return joc.Study.resume(folder, task=task)
        except FileNotFoundError:  # killed before there was anything
            shutil.rmtree(folder)
    return joc.sweep(
        task,
        table,
        steps=settings.steps,
        evaluate_every=settings.evaluate_every,
        batch_size=batch_size(task.examples["train"]),
        metric=f"valid_{metric_of(task)}",
        score="best",
        patience=settings.patience,
        lanes=settings.lanes,
        directory=folder,
    )


def searched(study: joc.Study, metric: str) -> pd.DataFrame:
    """A row a trial: its numbers, and the best of both curves with the loss at that evaluation.

    ``score`` and ``score_loss`` are of the trained weights, ``mean_…`` of their mean; of
    optimizers with a mean of their own ``score`` is of that. ``score_at_100`` is the best until
    then, had the training ended there.
    """
    trials = study.trials
    place = trials.groupby("optimizer", sort=False).cumcount()
    found = trials[["optimizer", *numbers_of(trials), "status"]].assign(place=place)
    lost = trials["status"].eq("diverged").to_numpy()
    own = trials["optimizer"].isin(OWN_MEAN).to_numpy()
    at = study.curves["eval_step"].to_numpy()
    for prefix, end in (("score", "_raw"), ("mean", "")):
        curves = study.curves[f"valid_{metric}{end}"].to_numpy().astype(float)
        losses = study.curves[f"valid_loss{end}"].to_numpy().astype(float)
        if prefix == "score":
            curves[own] = study.curves[f"valid_{metric}"].to_numpy()[own]
            losses[own] = study.curves["valid_loss"].to_numpy()[own]
        else:
            curves[own] = np.nan
        known = np.where(np.isnan(curves), -np.inf, curves)
        best, rows = known.argmax(1), np.arange(len(trials))
        nothing = lost | ~np.isfinite(curves[rows, best])
        found[prefix] = np.where(nothing, np.nan, curves[rows, best])
        for steps in [n for n in BUDGETS if n < at.max()]:
            until = known[:, at <= steps].max(1, initial=-np.inf)
            found[f"{prefix}_at_{steps}"] = np.where(np.isfinite(until), until, np.nan)
        found[f"{prefix}_loss"] = np.where(nothing, np.nan, losses[rows, best])
    return found


def numbers_of(table: pd.DataFrame) -> list[str]:
    """The tuned columns that a table has."""
    return [name for name in TUNE if name in table]


def winners(found: pd.DataFrame) -> pd.DataFrame:
    """The best trial of each entrant: by score, of equals the lower loss, then the earlier."""
    rows = []
    for optimizer, own in found.groupby("optimizer", sort=False):
        for entrant, prefix in ((optimizer, "score"), (f"{optimizer}{MEAN}", "mean")):
            known = own[own[prefix].notna()]
            if len(known):
                order = np.lexsort([known["place"], known[f"{prefix}_loss"], -known[prefix]])
                row = known.iloc[order[0]]
                rows.append(
                    {"entrant": entrant, "searched": row[prefix]}
                    | row[["optimizer", "place", *numbers_of(known)]].to_dict()
                )
    if not rows:
        raise SystemExit(f"all trials of {', '.join(found['optimizer'].unique())} diverged")
    return pd.DataFrame(rows)


def fresh_table(chosen: pd.DataFrame, like: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """The winners with each fresh seed; a decay of 0 evaluates the trained weights themselves."""
    columns = [name for name in like if name not in ("seed", "ema_decay")]
    table = chosen.reindex(columns=columns).assign(clip_norm=CLIP_NORM)
    table = table.astype(dict(like[columns].dtypes))
    decays = [DECAY if entrant.endswith(MEAN) else 0.0 for entrant in chosen["entrant"]]
    table = with_means(table, decays).dropna(axis="columns", how="all")
    seeds = pd.DataFrame({"seed": pd.array(range(1, 1 + settings.seeds), "Int64")})
    return table.merge(seeds, how="cross")


def run_table(name: str, settings: Settings, out: Path, only: Sequence[str] = ()) -> None:
    """Train a table whole, or some optimizers on it, and write what came of it."""
    begun = time.perf_counter()
    task = thinned(joc.load_task(name), settings.rows)
    metric, work = metric_of(task), out / "work" / file_of(name)
    whole = search_table(settings, only)
    pieces, steps = [], 0
    for number, (table, lanes) in enumerate(programs_of(whole, settings)):
        how = settings._replace(lanes=lanes)
        search = trained(work / f"search-{number}", task, table, how)
        tried = searched(search, metric)
        chosen = winners(tried)
        again = fresh_table(chosen, table, how)
        study = trained(work / f"fresh-{number}", task, again, how)
        pieces.append((tried, fresh_scores(study, chosen, metric, settings)))
        steps += sum(one.events[-1]["trial_steps"] for one in (search, study))
    found, fresh = (pd.concat(parts, ignore_index=True) for parts in zip(*pieces, strict=True))
    baseline = task.about.get("baseline", {}).get("test_accuracy", np.nan)
    facts = {
        **{"table": name, "metric": metric, "data": task.split_sha256, **task.examples},
        **{"inputs": int(np.shape(task.train["inputs"])[1]), "baseline": baseline},
        "batch_size": batch_size(task.examples["train"]),
        "trial_steps": steps,
        "seconds": round(time.perf_counter() - begun, 1),
    }
    write(found.assign(table=name), out / f"{file_of(name)}.trials.csv")
    write(fresh.assign(table=name), out / f"{file_of(name)}.fresh.csv")
    write(pd.DataFrame([facts]), out / f"{file_of(name)}.table.csv")  # last: it is whole
    shutil.rmtree(work)


def programs_of(table: pd.DataFrame, settings: Settings) -> list[tuple[pd.DataFrame, int]]:
    """The trials by program, and the lanes of each: one for all, and those that train alone."""
    alone = table["optimizer"].isin(list(ALONE))
    parts = [(table[~alone], settings.lanes)]
    parts += [(table[table["optimizer"] == name], lanes) for name, lanes in ALONE.items()]
    return [
        (own.dropna(axis="columns", how="all").reset_index(drop=True), lanes)
        for own, lanes in parts
        if len(own)
    ]


def fresh_scores(
    study: joc.Study, chosen: pd.DataFrame, metric: str, settings: Settings
) -> pd.DataFrame:
    """A row a training on a fresh seed; without scores where it diverged."""
    fresh = chosen.loc[chosen.index.repeat(settings.seeds), ["entrant", "place"]]
    fresh = fresh.reset_index(drop=True).assign(
        seed=study.trials["seed"].astype(int),
        status=study.trials["status"],
        step=study.trials["scored_step"],
        valid=study.trials[f"best_valid_{metric}"],
        test=study.trials[f"test_{metric}"],
    )
    fresh.loc[fresh["status"].eq("diverged"), ["valid", "test"]] = np.nan
    return fresh


def file_of(name: str) -> str:
    """A table's name as that of a file."""
    return name.replace(":", "_").replace("/", "_")


@contextlib.contextmanager
def programs_kept(folder: Path) -> Iterator[None]:
    """JAX keeps what it compiles there: a table's winners train in the program of its search."""
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    folder.mkdir(parents=True, exist_ok=True)
    before = jax.config.values["jax_compilation_cache_dir"]
    jax.config.update("jax_compilation_cache_dir", str(folder))
    compilation_cache.reset_cache()
    try:
        yield
    finally:
        jax.config.update("jax_compilation_cache_dir", before)
        compilation_cache.reset_cache()
        shutil.rmtree(folder, ignore_errors=True)


def told(settings: Settings) -> dict[str, Any]:
    """What ``settings.json`` says: the settings, and the box of every number that is tuned."""
    space, tune = space_of(settings.optimizers)
    return json.loads(json.dumps(settings._asdict() | {"boxes": boxes_of(space, tune)}))


def check_settings(settings: Settings, out: Path, again: bool = False) -> list[str]:
    """Write the settings, or refuse others than those of what is there.

    Returns:
        With ``again`` the optimizers that have other boxes now, which else are refused.
    """
    file, now = out / "settings.json", told(settings)
    if not file.is_file():
        write_settings(settings, out)
        return []
    was = json.loads(file.read_text(encoding="utf-8"))
    if other := [name for name in now if name != "boxes" and now[name] != was.get(name)]:
        raise SystemExit(
            f"{out} holds results of other settings ({', '.join(other)}), which are not mixed: "
            "give another --out"
        )
    moved = changed(was.get("boxes", {}), now["boxes"])
    if moved and not again:
        raise SystemExit(
            f"{out} holds results of other boxes ({', '.join(moved)}), which are not mixed: train "
            "these again with --again, or give another --out"
        )
    return moved


def read_settings(out: Path) -> Settings:
    """Those of the results in a directory."""
    said = json.loads((out / "settings.json").read_text(encoding="utf-8"))
    return Settings(**{name: said[name] for name in Settings._fields})


def write_settings(settings: Settings, out: Path) -> None:
    """Say what the results of a directory are of."""
    text = json.dumps(told(settings), indent=1) + "\n"
    (out / "settings.json").write_text(text, encoding="utf-8")


def main(arguments: list[str] | None = None) -> None:
    """Train what is not there yet, and write the results of what is."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="3 tables, 3 optimizers")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--time-limit", type=float, default=np.inf, help="minutes")
    parser.add_argument("--only", nargs="+", help="tables, by name")
    parser.add_argument("--again", action="store_true", help="what has other boxes now")
    asked = parser.parse_args(arguments)
    settings = quick() if asked.quick else full()
    out = asked.out or (Path("runs") / "optimizers_on_tables_quick" if asked.quick else OUT)
    out.mkdir(parents=True, exist_ok=True)
    moved = check_settings(settings, out, asked.again)
    into = out / "again" if asked.again else out
    if asked.again:
        if not moved:
            raise SystemExit(f"no optimizer has other boxes than those of {out}: nothing to do")
        into.mkdir(exist_ok=True)
        check_settings(settings, into)
    names = [name for name in settings.tables if asked.only is None or name in asked.only]
    if asked.only and (unknown := {*asked.only} - {*settings.tables}):
        raise SystemExit(f"no table of this benchmark: {', '.join(sorted(unknown))}")
    begun, done = time.perf_counter(), 0
    done_before = {*joined(into, "table").get("table", ())}
    for name in names:
        if name in done_before:
            continue
        spent = (time.perf_counter() - begun) / 60
        if done and spent + spent / done > asked.time_limit:
            print(f"{spent:.0f} minutes: the next table would not be done in time; run it again")
            break
        with programs_kept(into / "work" / "programs"):
            run_table(name, settings, into, moved)
        done += 1
        print(f"{name}: {(time.perf_counter() - begun) / 60 - spent:.1f} minutes", flush=True)
    if asked.again:
        if missing := {*joined(out, "table")["table"]} - {*joined(into, "table").get("table", ())}:
            print(f"{len(missing)} tables to go before they take the place of what is there")
            return
        exchange(out, into, moved)
        write_settings(settings, out)
        shutil.rmtree(into)
    results(out, settings.optimizers)


if __name__ == "__main__":
    joc.use_cpu_cores()
    main(sys.argv[1:])
