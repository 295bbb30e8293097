"""The page's tables: the winners, and all configurations."""

import pandas as pd

from jaxopt_course.report import verdict
from jaxopt_course.report.findings import Findings
from jaxopt_course.report.markup import Cell, Head, folded, table, text
from jaxopt_course.report.words import number

SHOWN = 1000  # rows of the table of all: beyond, a page is slow


def winners(findings: Findings) -> str:
    """A row an optimizer with the best of its configurations."""
    w = findings.words
    columns, rows = verdict.ranking_table(findings)
    header = [Head(column.name, column.numeric) for column in columns]
    values = _sortable(findings, len(columns))
    cells = [
        [Cell(shown, value) for shown, value in zip(row, given, strict=True)]
        for row, given in zip(rows, values, strict=True)
    ]
    if findings.confirmed:
        noun = "fresh replicate" if findings.manifest.get("replicates") else "fresh seed"
        seeds = w.counted(int(findings.finals["seed"].nunique()), noun)
        note = w.say(
            "Each optimizer with the best of its configurations, re-trained on {seeds}: mean ± "
            "half width of the 95% t-interval. Ranked by the validation metric on the fresh "
            "seeds; the test data chose nothing.",
            seeds=seeds,
        )
    else:
        note = w.say(
            "Each optimizer with the best of its configurations, ranked by the search itself; "
            "without fresh seeds nothing has an interval."
        )
    if findings.clock.empty and len(findings.ranking) > 1:
        note += " " + w.say(
            "Steps were not timed: study.seconds_per_step() does, and the ranking by seconds "
            "stands here."
        )
    title = w.say("Winners") if len(findings.ranking) > 1 else w.say("The best")
    return (
        f"<section><h2>{text(title)}</h2><p>{text(note)}</p>"
        f"{table(header, cells, title, 'cards winners')}</section>"
    )


def _sortable(findings: Findings, count: int) -> list[list[object]]:
    """The number behind each cell of the winners' table, where there is one."""
    found = findings.intervals.set_index(["optimizer", "metric"])["mean"]
    metric, test = findings.metric, findings.test_metric
    estimated = [metric] * findings.confirmed + ([test] if test else [])
    rows: list[list[object]] = []
    for _, row in findings.ranking.iterrows():
        share = row["trials_diverged"] / row["trials"]
        values = [row["rank"], None, *(row[name] for name in findings.tuned), row[metric]]
        values += [found.get((row["optimizer"], name), pd.NA) for name in estimated]
        values = [_value(value) for value in [*values, share]]
        rows.append(values + [None] * (count - len(values)))
    return rows


def _value(value: object) -> object:
    if value is None or pd.isna(value) or isinstance(value, str):
        return None
    return f"{float(value):.9g}"  # type: ignore[arg-type]


def everything(findings: Findings) -> str:
    """All configurations, best first, folded; columns that say the same everywhere below it."""
    w, shown = findings.words, findings.configurations
    metric = findings.metric
    given = [name for name in findings.hyperparameters if name != "optimizer"]
    constant = [name for name in given if shown[name].nunique() <= 1]
    varying = [name for name in given if name not in constant and name not in findings.tuned]
    counts = [
        name
        for name in ("diverged", "stopped", "unfinished", f"{metric}_undefined")
        if shown[name].any()
    ]
    replicate = "replicate" if findings.manifest.get("replicates") else "seed"
    names = {metric: w.title(metric), f"{metric}_std": w.say("standard deviation")}
    names |= {"rank": w.say("rank"), "optimizer": w.say("optimizer"), "seeds": w.plural(replicate)}
    short = {name: name.removeprefix(f"{metric}_") for name in counts}
    names |= {name: w.say(said) for name, said in short.items()}
    columns = ["rank", "optimizer", metric, f"{metric}_std", *findings.tuned, *varying]
    columns += ["seeds", *counts]
    header = [Head(names.get(name, name), name != "optimizer") for name in columns]
    rows = [
        [Cell(w.number(x), _value(x) if isinstance(x, float) else None) for x in row]
        for row in shown[columns].head(SHOWN).values
    ]
    title = w.say("All {configurations}", configurations=w.counted(len(shown), "configuration"))
    if len(shown) > SHOWN:
        title += w.say(", the best {n} of them", n=w.whole(SHOWN))
    held = {name: shown[name].dropna() for name in constant}
    same = ", ".join(f"{name}={number(x.iloc[0])}" for name, x in held.items() if len(x))
    note = w.say("The same wherever it is used: {same}.", same=same) if same else ""
    label = text(w.say("Filter: words that a row must have, as “adam 0.01”"))
    search = (
        f'<p class="filter"><label>{label} <input type="search" data-filter></label> '
        '<span role="status" data-count></span></p>'
    )
    body = search + table(header, rows, title, "all") + (f"<p>{text(note)}</p>" if note else "")
    return f'<section class="everything">{folded(title, body)}</section>'
