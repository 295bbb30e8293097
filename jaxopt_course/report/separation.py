"""What the fresh seeds tell apart, in sentences: the pairs of :mod:`statistics`."""

import pandas as pd

from jaxopt_course.report.findings import Findings
from jaxopt_course.report.words import capital, counted, listed, number, plus_minus, replicate


def sentences(findings: Findings, scored: pd.DataFrame, names: dict[str, str]) -> str:
    """From whom the winner is separated, from whom not, and what the sign-flip test says.

    Args:
        findings: of a study.
        scored: the rows of its ranking that have a score, the winner first.
        names: optimizer -> how it is called.
    """
    if not findings.confirmed:
        return "Not confirmed on fresh seeds: a best score includes the luck of having been picked."
    noun = replicate(findings.manifest)
    if int(scored["fresh_n"].iloc[0]) < 2:
        return f"One fresh {noun} gives no interval: it separates nothing."
    place = {name: i for i, name in enumerate(scored["optimizer"])}
    table = findings.comparisons
    table = table[table["optimizer"].isin(place) & ~table["tied"]]
    table = table.assign(place=table["optimizer"].map(place)).sort_values("place")
    ahead = table["separated"] & (table["difference"] < 0)
    said = [_separated(table[~ahead], names, noun)]
    for _, row in table[ahead].iterrows():  # who lacks a seed ranks after, however good
        where = counted(int(row["n"]), noun)
        said.append(f"On the {where} that both have {names[row['optimizer']]} is better.")
    said.append(_signs(table[~ahead], names, noun))
    return " ".join(filter(None, said))


def _separated(table: pd.DataFrame, names: dict[str, str], noun: str) -> str:
    """Such as ``Separated from adam, not from sgd (difference …) (paired …, 95%)``."""
    if table.empty:
        return ""
    won = [names[name] for name in table.loc[table["separated"], "optimizer"]]
    rest = table[~table["separated"]]
    how = f"paired over {noun}s{', Holm' if table['p'].notna().sum() > 1 else ''}, 95%"
    said = []
    if won:
        everybody = len(won) == len(table) > 4
        said.append(f"separated from {'all others' if everybody else listed(won)}")
    if len(rest):
        nearest, n = rest.iloc[0], int(table["n"].max())
        texts = [names[nearest["optimizer"]] + _detail(nearest, n, noun)]
        texts += [names[name] for name in rest["optimizer"].iloc[1:]]
        said.append(f"not {'' if won else 'separated '}from {listed(texts)}")
    return f"{capital(', '.join(said))} ({how})."


def _detail(row: pd.Series, most: int, noun: str) -> str:
    """Such as `` (difference 0.0039 ± 0.0050; 14 seeds would separate)``."""
    n = int(row["n"])
    if n < 2:
        return f" ({counted(n, noun)} in common)"
    said = f"difference {plus_minus(row['difference'], row['half_width'])}"
    if pd.isna(row["half_width"]):
        said = f"difference {number(row['difference'], 2)} on every {noun}, no spread to judge by"
    if n < most:
        said += f" on {counted(n, noun)}"
    needed = row["seeds_needed"]
    enough = f"more than 10,000 {noun}s" if pd.isna(needed) else counted(int(needed), noun)
    return f" ({said}; {enough} would separate)"


def _signs(table: pd.DataFrame, names: dict[str, str], noun: str) -> str:
    """The test that asks for no distribution, against the nearest; and what it could give."""
    table = table[table["sign_flip_p"].notna()]
    if table.empty:
        return ""
    row = table.iloc[0]
    return (
        f"Sign-flip test against {names[row['optimizer']]}: p = {number(row['sign_flip_p'], 3)}; "
        f"{counted(int(row['n']), noun)} cannot give less than {number(row['smallest_p'], 3)}."
    )
