"""Two studies side by side: what differs in how they were made, and what became of each optimizer.

    compared(read("runs/a"), read("runs/b"))

Where both trained on the same data with the same seeds, the seeds are paired: what is common to
them leaves the difference.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from jaxopt_course.records import files
from jaxopt_course.report import page, statistics
from jaxopt_course.report.findings import Findings
from jaxopt_course.report.looks import labels
from jaxopt_course.report.markup import Cell, Head, listed, table, text
from jaxopt_course.report.tables import scored
from jaxopt_course.report.words import mapping, sequence, settings

if TYPE_CHECKING:
    from rich.console import Console

COLUMNS = ["optimizer", "first", "second", "n", "difference", "half_width", "p"]
MADE = ("epochs", "steps", "batch_size")  # of the budget


def compared(a: Findings, b: Findings) -> pd.DataFrame:
    """Each optimizer of either, at its best in each study.

    Returns:
        A row an optimizer, in the order of the second study's ranking, then those of the first
        alone: ``first`` and ``second`` (the scores that they are ranked by: means of the metric
        over the fresh seeds where there are any, NaN where one diverged), ``n`` fresh seeds that
        both have, with their replicates where there are any, and over these ``difference`` (second
        less first), ``half_width`` of its paired 95% t-interval (NaN of fewer than two, or without
        a spread) and ``p`` of the paired t-test.

    Raises:
        ValueError: they were measured by different metrics or in other directions.
    """
    _check(a, b)
    names = list(dict.fromkeys([*b.ranking["optimizer"], *a.ranking["optimizer"]]))
    paired = same_data(a, b)
    means = [_scores(one) for one in (a, b)]
    rows = []
    for name in names:
        first, second = (scores.get(name, np.nan) for scores in means)
        row: dict[str, Any] = {"optimizer": name, "first": first, "second": second, "n": 0}
        row["difference"] = second - first
        if paired and not np.isnan(row["difference"]):
            pairs = (_by_pair(b, name) - _by_pair(a, name)).dropna()
            n, deviation = len(pairs), float(pairs.std(ddof=1)) if len(pairs) > 1 else np.nan
            row["n"] = n
            if n:
                row["difference"] = float(pairs.mean())
            if n > 1 and deviation > 0:
                row["half_width"] = float(statistics.t_half_width(deviation, n))
                row["p"] = float(statistics.t_test(row["difference"], deviation, n))
        rows.append(row)
    return pd.DataFrame(rows, columns=COLUMNS)


def same_data(a: Findings, b: Findings) -> bool:
    """Whether both have fresh seeds on one split of one task, by the hash of its arrays.

    The seeds of a search have chosen whom they would compare: more of them, the better it looks.
    """
    hashes = [mapping(one.manifest, "task").get("split_sha256") for one in (a, b)]
    return hashes[0] is not None and hashes[0] == hashes[1] and a.confirmed and b.confirmed


def _check(a: Findings, b: Findings) -> None:
    for key in ("metric", "direction"):
        if a.manifest[key] != b.manifest[key]:
            raise ValueError(
                f"the studies have other {key}s: {a.manifest[key]!r} in {a.directory}, "
                f"{b.manifest[key]!r} in {b.directory}; compare studies of one"
            )


def _scores(findings: Findings) -> dict[str, float]:
    """Optimizer -> what it is ranked by; NaN of none."""
    column = "fresh_mean" if findings.confirmed else findings.metric
    return dict(
        zip(findings.ranking["optimizer"], findings.ranking[column].astype(float), strict=True)
    )


def _by_pair(findings: Findings, name: str) -> pd.Series:
    """Seed, and what else repeats a configuration -> the metric of the optimizer's best."""
    keys = ["seed", *sequence(findings.manifest, "replicates")]
    mine = findings.finals[findings.finals["optimizer"] == name].set_index(keys)
    return scored(mine, findings.metric)


def differences(a: Findings, b: Findings) -> list[list[str]]:
    """What was asked differently: a name, the first study's value, the second's."""
    rows = []
    tasks = [mapping(one.manifest, "task") for one in (a, b)]
    budgets = [mapping(one.manifest, "budget") for one in (a, b)]
    pairs = {"task": [task.get("name") for task in tasks]}
    pairs |= {name: [budget.get(name) for budget in budgets] for name in MADE}
    pairs["data split (SHA-256)"] = [str(task.get("split_sha256", ""))[:12] for task in tasks]
    pairs["trainings of the search"] = [len(one.trials) for one in (a, b)]
    versions = [mapping(one.manifest, "versions") for one in (a, b)]
    for name in dict.fromkeys([*versions[0], *versions[1]]):
        pairs[str(name)] = [known.get(name) for known in versions]
    for name, (one, other) in pairs.items():
        if one != other:
            rows.append([name, *("–" if x is None else str(x) for x in (one, other))])
    return rows


def sentences(a: Findings, b: Findings, found: pd.DataFrame) -> list[str]:
    """Whether the best of the second study is better than that of the first, and how sure."""
    w, names = b.words, labels(b.optimizers, 48)
    said = []
    if not same_data(a, b):
        said.append(
            w.say(
                "The studies do not share their data, or not both have fresh seeds: nothing is "
                "paired, and differences may be of the data or of luck."
            )
        )
    sign = 1 if b.manifest["direction"] == "max" else -1
    both = found[found["difference"].notna()]
    sure = both[both["p"] <= 0.05 / max(1, int(both["p"].notna().sum()))]
    for better, template in (
        (1, "Better in the second: {names} (paired, 95%, all at once)."),
        (-1, "Worse in the second: {names} (paired, 95%, all at once)."),
    ):
        who = [
            names.get(n, n) for n in sure.loc[sign * better * sure["difference"] > 0, "optimizer"]
        ]
        if who:
            said.append(w.say(template, names=w.listed(who)))
    if same_data(a, b) and not (found["n"] > 1).any():
        said.append(w.say("The studies have no optimizer with two fresh seeds in common."))
    elif same_data(a, b) and sure.empty:
        said.append(w.say("No optimizer differs between the studies by more than chance."))
    return said


def rows_of(a: Findings, b: Findings, found: pd.DataFrame) -> list[list[str]]:
    """The table as text: optimizer, both settings and scores, the difference."""
    w = b.words
    names = labels(list(found["optimizer"]), 48)
    rows = []
    for row in found.itertuples():
        said = [names[row.optimizer]]
        for one, value in ((a, row.first), (b, row.second)):
            mine = one.ranking[one.ranking["optimizer"] == row.optimizer]
            given = settings(mine.iloc[0], one.tuned) if len(mine) else ""
            said.append(w.number(value) + (f" ({given})" if given else ""))
        rows.append([*said, w.plus_minus(row.difference, row.half_width), str(row.n)])
    return rows


def heads(a: Findings, b: Findings) -> list[Head]:
    """Of the columns of :func:`rows_of`."""
    w = b.words
    names = [w.say("optimizer"), str(a.directory), str(b.directory), w.say("difference")]
    return [Head(names[0]), *(Head(n, True) for n in [*names[1:], w.say("seeds in common")])]


def print_two(a: Findings, b: Findings, console: "Console | None" = None) -> None:
    """Print both studies side by side.

    Raises:
        ValueError: as :func:`compared`.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from jaxopt_course.messages import printable

    found, console = compared(a, b), console or Console()
    for title, rows in (
        ([head.name for head in heads(a, b)], rows_of(a, b, found)),
        ([b.words.say("made otherwise"), *map(str, (a.directory, b.directory))], differences(a, b)),
    ):
        if rows:
            drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
            for name in title:
                drawn.add_column(Text(printable(name), overflow="fold"))
            for cells in rows:  # a number is not broken over two lines, but before its settings
                texts = [cell.replace(" (", "\n(").replace(", ", ",\n") for cell in cells]
                drawn.add_row(
                    *(Text(printable(cell, keep="\n"), overflow="fold") for cell in texts)
                )
            console.print(drawn)
            console.print()
    for said in sentences(a, b, found):
        console.print(Text(printable(said)), style="bold")


def page_of_two(a: Findings, b: Findings) -> str:
    """The page's text: the same two tables and sentences.

    Raises:
        ValueError: as :func:`compared`.
    """
    w, found = b.words, compared(a, b)
    title = w.say("Two studies: {first} and {second}", first=a.directory, second=b.directory)
    values = found[["first", "second", "difference"]].to_numpy()
    order = [
        [Cell(row[0]), *map(_valued, row[1:4], given), Cell(row[4])]
        for row, given in zip(rows_of(a, b, found), values, strict=True)
    ]
    said = listed(sentences(a, b, found), "headline")
    body = [
        f"<header><h1>{text(title)}</h1>{said}</header><main>",
        table(heads(a, b), order, title),
    ]
    made = [[Cell(w.say(row[0])), *map(Cell, row[1:])] for row in differences(a, b)]
    if made:
        name = w.say("made otherwise")
        columns = [Head(name), Head(str(a.directory)), Head(str(b.directory))]
        body += [f"<h2>{text(name)}</h2>", table(columns, made, name, sorts=False)]
    return page.document(w, title, "\n".join([*body, "</main>"]))


def _valued(said: str, value: float) -> Cell:
    """A cell that sorts by its number, whatever stands behind that."""
    return Cell(said, None if np.isnan(value) else f"{value:.9g}")


def document(a: Findings, b: Findings) -> dict[str, Any]:
    """What ``--json`` tells of two studies."""
    found = compared(a, b)
    return {
        "directories": [a.directory, b.directory],
        "metric": a.metric,
        "direction": a.manifest["direction"],
        "paired": same_data(a, b),
        "remarks": sentences(a, b, found),
        "optimizers": found.to_dict("records"),
    }


def write_two(a: Findings, b: Findings, file: Path, overwrite: bool = False) -> Path:
    """Write the page of two studies.

    Raises:
        FileExistsError: there is such a file, and it may not be replaced.
        FileNotFoundError: its directory is not there.
        ValueError: as :func:`compared`.
    """
    whole = page_of_two(a, b)
    if files.is_file(file) and not overwrite:
        raise FileExistsError(f"{file} is there already; choose another name, or overwrite=True")
    if not file.parent.is_dir():
        raise FileNotFoundError(f"there is no directory {file.parent} for {file.name}")
    if files.is_file(file):
        files.require_regular(file)  # root could replace a device
    with files.placing(file):
        files.replace(file, lambda open_file: open_file.write_text(whole, encoding="utf-8"))
    return file
