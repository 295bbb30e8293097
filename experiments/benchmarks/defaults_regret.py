"""Five trainings of the default list against a full search, on tables that the list has not seen.

Question  What is lost by training ``joc.defaults(5)`` and no more, and what is saved?
Method    The tables that follow those of ``optimizers_on_tables.py`` in its order. The full search
          is that benchmark's: every optimizer, 32 configurations each, the same budget. The best by
          validation of both train again on 10 fresh seeds; a share is of what can be learned, from
          one answer for all to the best of the full search.
Cost      Some 4 minutes a table on one core, of which the five take seconds.
Run       python -m experiments.benchmarks.defaults_regret [--tables N]; needs
          pip install 'jaxopt-course[tables]'.
"""

import argparse
import time

import pandas as pd

import jaxopt_course as joc
from experiments.benchmarks import optimizers_on_tables as benchmark

K = 5


def sizes(settings: benchmark.Settings, task: joc.Task) -> dict[str, object]:
    """What both have in common."""
    return {
        "steps": settings.steps,
        "evaluate_every": settings.evaluate_every,
        "batch_size": benchmark.batch_size(task.examples["train"]),
        "metric": f"valid_{benchmark.metric_of(task)}",
        "score": "best",
        "patience": settings.patience,
    }


def best_of(task: joc.Task, table: pd.DataFrame, settings: benchmark.Settings) -> tuple[float, ...]:
    """Validation of the best, its test on fresh seeds (mean), seconds of the search."""
    metric = benchmark.metric_of(task)
    begun, found = time.perf_counter(), []
    for part, lanes in benchmark.programs_of(table, settings):
        study = joc.sweep(task, part, lanes=lanes, **sizes(settings, task))
        found.append((float(study.best()[f"best_valid_{metric}"]), study))
    seconds = time.perf_counter() - begun
    score, study = max(found, key=lambda one: one[0])
    chosen = study.best()
    names = [name for name in table if name in chosen and pd.notna(chosen[name])]
    winner = pd.DataFrame([{name: chosen[name] for name in names if name != "seed"}])
    seeds = pd.DataFrame({"seed": range(1, 1 + settings.seeds)})
    again = joc.sweep(task, winner.merge(seeds, how="cross"), **sizes(settings, task))
    return score, float(again.trials[f"test_{metric}"].mean()), seconds


def main() -> None:
    """Train both on each table, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tables", type=int, default=2)
    asked = parser.parse_args()
    settings = benchmark.read_settings(benchmark.OUT)
    seen = len(settings.tables)
    rows = []
    for name in benchmark.tables_of(seen + asked.tables)[seen:]:
        task = benchmark.thinned(joc.load_task(name), settings.rows)
        base = task.about.get("baseline", {}).get("test_accuracy", 0.0)
        whole = best_of(task, benchmark.search_table(settings), settings)
        few = best_of(task, joc.defaults(K), settings)
        rows.append(
            {
                "table": name,
                "metric": benchmark.metric_of(task),
                "full": whole[0],
                "five": few[0],
                "share missing": (whole[0] - few[0]) / (whole[0] - base),
                "full, test": whole[1],
                "five, test": few[1],
                "full, s": whole[2],
                "five, s": few[2],
            }
        )
    print(pd.DataFrame(rows).to_string(index=False, float_format="{:.4g}".format))


if __name__ == "__main__":
    joc.use_cpu_cores()
    main()
