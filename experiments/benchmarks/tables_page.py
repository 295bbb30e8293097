"""What ``optimizers_on_tables.py`` found, as a page in English and one in Spanish.

Run     python -m experiments.benchmarks.tables_page [--clock]
Writes  the figures beside ``experiments/pictures/`` and, between the marks of the two guides, the
        tables; every number is of a file in ``experiments/benchmarks/optimizers_on_tables/``.
        --clock measures seconds a step first, which ``seconds.csv`` keeps.  The
        list that ``joc.defaults`` returns is copied into the package.
"""

import argparse
import shutil
from pathlib import Path

import numpy as np
import pandas as pd

import jaxopt_course as joc
from experiments.benchmarks import optimizers_on_tables as benchmark
from experiments.benchmarks import tables_figures as figures
from experiments.benchmarks.tables_figures import Found, Say
from experiments.benchmarks.tables_results import crowded, write
from jaxopt_course.tables.defaults import LIST

ROOT = Path(__file__).parent.parent
PICTURES = ROOT / "pictures"
GUIDES = {
    "en": ROOT / "guides" / "optimizers_on_tables.md",
    "es": ROOT / "guides" / "optimizadores_en_tablas.md",
}
MARKS = "<!-- python -m experiments.benchmarks.tables_page -->\n", "<!-- end -->\n"
LANGUAGES: dict[str, Say] = {"en": lambda english, _: english, "es": lambda _, spanish: spanish}


def read(out: Path) -> Found:
    """The files of the benchmark."""
    names = ("tables.csv", "trials.csv.gz", "fresh.csv.gz", "ranks.csv", "against_adamw.csv",
             "numbers.csv", "default_list.csv", "seconds.csv")  # fmt: skip
    return Found(*(pd.read_csv(out / name) for name in names))


def clock(out: Path, settings: benchmark.Settings, table: str = "r:carData/Chile") -> None:
    """Seconds a step of each optimizer on a table, in the program of all, among as many lanes."""
    task = benchmark.thinned(joc.load_task(table), settings.rows)
    one = benchmark.search_table(settings._replace(trials=1))
    study = joc.sweep(
        task, one, steps=200, evaluate_every=100, batch_size=64, metric="valid_loss",
        lanes=settings.lanes,
    )  # fmt: skip
    write(study.seconds_per_step(), out / "seconds.csv")


def markdown(frame: pd.DataFrame) -> str:
    """A table; numbers have three digits."""
    shown = lambda x: f"{x:.3g}" if isinstance(x, float | np.floating) else str(x)
    cell = lambda x: "" if pd.isna(x) else shown(x)
    rows = [frame.columns, ["---"] * len(frame.columns), *frame.itertuples(index=False)]
    lines = [list(rows[0]), rows[1], *([cell(x) for x in row] for row in rows[2:])]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def ranked(found: Found, say: Say) -> pd.DataFrame:
    """Ranks beside wins, ties and losses."""
    both = found.ranks.merge(found.against, left_on="optimizer", right_on="entrant", how="left")
    interval = [
        f"{low:.1f} … {high:.1f}"
        for low, high in zip(both["mean_rank_low"], both["mean_rank_high"], strict=True)
    ]
    counts = both[["won", "tied", "lost", "uncompared"]].astype("Int64")
    return pd.DataFrame(
        {
            say("entrant", "participante"): both["optimizer"],
            say("mean rank", "rango medio"): both["mean_rank"].round(1),
            "95 %": interval,
            say("won", "gana"): counts["won"],
            say("tied", "empata"): counts["tied"],
            say("lost", "pierde"): counts["lost"],
            say("not compared", "sin comparar"): counts["uncompared"],
            say("median gain", "ganancia mediana"): both["median_gain"],
        }
    )


def tuned(found: Found, say: Say) -> pd.DataFrame:
    """Numbers of the winners, and how many lie at an edge of their box."""
    plain = found.numbers[~found.numbers["entrant"].str.endswith(figures.MEAN)]
    return pd.DataFrame(
        {
            say("optimizer", "optimizador"): plain["entrant"],
            say("number", "número"): plain["number"],
            say("median", "mediana"): plain["median"],
            say("quartiles", "cuartiles"): [
                f"{a:.3g} … {b:.3g}" for a, b in zip(plain["q25"], plain["q75"], strict=True)
            ],
            say("box", "caja"): [
                f"{a:.3g} … {b:.3g}" for a, b in zip(plain["low"], plain["high"], strict=True)
            ],
            say("at its edges", "en sus bordes"): [
                f"{a:.0%}, {b:.0%}" for a, b in zip(plain["at_low"], plain["at_high"], strict=True)
            ],
        }
    )


def at_edges(found: Found, say: Say) -> pd.DataFrame:
    """Where a box is still too small."""
    edges = crowded(found.numbers)
    sides = {"at_low": say("low", "inferior"), "at_high": say("high", "superior")}
    shown = pd.DataFrame(
        {
            say("too small the box of", "caja pequeña"): edges["entrant"],
            say("number", "número"): edges["number"],
            say("edge", "borde"): edges["edge"].map(sides),
            say("winners there", "ganadores ahí"): [f"{share:.0%}" for share in edges["share"]],
        }
    )
    return shown if len(shown) else pd.DataFrame([["–"] * 4], columns=shown.columns)


def listed(found: Found, say: Say) -> pd.DataFrame:
    """The default list with what is missing on tables that it has not seen."""
    table = found.default_list
    told = {"regret", "regret_left_out", "worst_left_out", "optimizer", "clip_norm"}
    numbers = [name for name in table if name not in told]
    words = [
        ", ".join(f"{name} {row[name]:.3g}" for name in numbers if pd.notna(row[name]))
        for _, row in table.iterrows()
    ]
    percent = lambda column: [f"{x:.1%}" for x in table[column]]
    return pd.DataFrame(
        {
            "k": range(1, 1 + len(table)),
            say("optimizer", "optimizador"): table["optimizer"],
            say("numbers", "números"): words,
            say("missing", "falta"): percent("regret"),
            say("on unseen tables", "en tablas no vistas"): percent("regret_left_out"),
            say("at worst", "como mucho"): percent("worst_left_out"),
        }
    )


def sources(parts: pd.DataFrame, say: Say) -> pd.DataFrame:
    """Where the differences come from."""
    names = {
        "optimizer": say("optimizer", "optimizador"),
        "numbers": say("its numbers", "sus números"),
        "seed": say("seed", "semilla"),
    }
    return pd.DataFrame(
        {
            say("source", "origen"): [names[name] for name in parts.index],
            say("share of the variance", "parte de la varianza"): [
                f"{x:.0%}" for x in parts["share"]
            ],
            say("quartiles over tables", "cuartiles entre tablas"): [
                f"{a:.0%} … {b:.0%}" for a, b in zip(parts["low"], parts["high"], strict=True)
            ],
        }
    )


def publish(found: Found, whole: int) -> None:
    """Draw the figures, and write the tables between the marks of both guides."""
    from matplotlib import pyplot as plt

    won, clocks = figures.winner_map(found, whole), figures.two_clocks(found, whole)
    parts = figures.variance(found)
    for language, say in LANGUAGES.items():
        drawn = {
            "ranks": figures.ranks_figure(found, say),
            "against": figures.against_figure(found, say),
            "map": figures.map_figure(won, say),
            "clocks": figures.clocks_figure(clocks, say),
            "list": figures.regret_figure(found, say),
        }
        blocks = {
            "ranks": ranked(found, say),
            "numbers": tuned(found, say),
            "crowded": at_edges(found, say),
            "list": listed(found, say),
            "sources": sources(parts, say),
        }
        for name, figure in drawn.items():
            file = PICTURES / f"tables_{name}_{language}.png"
            figure.savefig(file, dpi=110, metadata={"Software": None})
            plt.close(figure)
        text = GUIDES[language].read_text(encoding="utf-8")
        for name, block in blocks.items():
            begin = MARKS[0].replace(" -->", f" {name} -->")
            before, rest = text.split(begin)
            _, after = rest.split(MARKS[1], 1)
            text = f"{before}{begin}{markdown(block)}{MARKS[1]}{after}"
        GUIDES[language].write_text(text, encoding="utf-8")


def main() -> None:
    """Measure if asked, then write everything."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clock", action="store_true", help="measure seconds a step first")
    parser.add_argument("--out", type=Path, default=benchmark.OUT)
    asked = parser.parse_args()
    settings = benchmark.read_settings(asked.out)
    if asked.clock:
        clock(asked.out, settings)
    found = read(asked.out)
    publish(found, settings.steps)
    shutil.copyfile(asked.out / "default_list.csv", LIST)


if __name__ == "__main__":
    main()
