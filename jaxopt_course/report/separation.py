"""What the fresh seeds tell apart, in sentences: the pairs of :mod:`statistics`."""

import pandas as pd

from jaxopt_course.report.findings import Findings
from jaxopt_course.report.looks import labels
from jaxopt_course.report.words import Words, replicate


def sentences(findings: Findings, scored: pd.DataFrame, names: dict[str, str]) -> str:
    """From whom the winner is separated, from whom not, and what the sign-flip test says.

    Args:
        findings: of a study.
        scored: the rows of its ranking that have a score, the winner first.
        names: optimizer -> how it is called.
    """
    w = findings.words
    if not findings.confirmed:
        return w.say(
            "Not confirmed on fresh seeds: a best score includes the luck of having been picked."
        )
    noun = replicate(findings.manifest)
    if int(scored["fresh_n"].iloc[0]) < 2:
        one = w.one(f"fresh {noun}")
        return w.say("One {fresh_seed} gives no interval: it separates nothing.", fresh_seed=one)
    place = {name: i for i, name in enumerate(scored["optimizer"])}
    table = findings.comparisons
    table = table[table["optimizer"].isin(place) & ~table["tied"]]
    table = table.assign(place=table["optimizer"].map(place)).sort_values("place")
    ahead = table["separated"] & (table["difference"] < 0)
    said = [_separated(table[~ahead], names, noun, w, len(findings.ranking) - 1)]
    for _, row in table[ahead].iterrows():  # who lacks a seed ranks after, however good
        where, name = w.counted(int(row["n"]), noun), names[row["optimizer"]]
        template = "On the {seeds} that both have {name} is better."
        said.append(w.say(template, seeds=where, name=name))
    said.append(_signs(table[~ahead], names, noun, w))
    return " ".join(filter(None, said))


def answer(findings: Findings) -> str:
    """The same in a few words: against whom the winner is sure; nothing where that is not known.

    Nothing either where somebody is better on the seeds that both have, as there are fewer.
    """
    w, table, ranking = findings.words, findings.comparisons, findings.ranking
    if not findings.confirmed or table.empty or not table["n"].ge(2).all():
        return ""
    if (table["separated"] & (table["difference"] < 0)).any():
        return ""
    names = labels(findings.optimizers, 48)
    sure = set(table.loc[table["separated"], "optimizer"])
    ranked = [name for name in ranking["optimizer"] if name in set(table["optimizer"])]
    won = [names[name] for name in ranked if name in sure]
    rest = [names[name] for name in ranked if name not in sure]
    if not rest and len(won) == len(ranking) - 1:
        return w.say("Sure against all others.")
    if not rest:  # who has no score was not compared
        return w.say("Sure against {lost}.", lost=w.listed(won))
    if not won:
        return w.say("Not sure: {names} may be as good.", names=w.listed(rest))
    template = "Sure against {lost} only: {names} may be as good."
    return w.say(template, lost=w.listed(won), names=w.listed(rest))


def _separated(table: pd.DataFrame, names: dict[str, str], noun: str, w: Words, others: int) -> str:
    """Such as ``Paired over seeds (Holm, 95%): separated from adam, not from sgd (…)``."""
    if table.empty:
        return ""
    won = [names[name] for name in table.loc[table["separated"], "optimizer"]]
    rest = table[~table["separated"]]
    several = table["p"].notna().sum() > 1
    template = "Paired over {seeds} (95%): {said}."
    how = "Paired over {seeds} (Holm, 95%): {said}." if several else template
    said = []
    if won:
        whom = w.say("all others") if len(won) == others > 4 else w.listed(won)
        said.append(w.say("separated from {names}", names=whom))
    if len(rest):
        nearest, n = rest.iloc[0], int(table["n"].max())
        texts = [names[nearest["optimizer"]] + _detail(nearest, n, noun, w)]
        texts += [names[name] for name in rest["optimizer"].iloc[1:]]
        template = "not from {names}" if won else "not separated from {names}"
        said.append(w.say(template, names=w.listed(texts)))
    return w.say(how, seeds=w.plural(noun), said=", ".join(said))


def _detail(row: pd.Series, most: int, noun: str, w: Words) -> str:
    """Such as `` (difference 0.0039 ± 0.0050; 14 seeds would separate)``."""
    n = int(row["n"])
    if n < 2:
        return w.say(" ({seeds} in common)", seeds=w.counted(n, noun))
    if pd.isna(row["half_width"]):
        said = w.say(
            "difference {difference} on every {seed}, no spread to judge by",
            difference=w.number(row["difference"], 2), seed=w.one(noun),
        )  # fmt: skip
    else:
        value = w.plus_minus(row["difference"], row["half_width"])
        said = w.say("difference {difference}", difference=value)
    if n < most:
        said += w.say(" on {seeds}", seeds=w.counted(n, noun))
    needed = row["seeds_needed"]
    if pd.isna(needed):
        enough = w.say("more than {n}", n=w.counted(10_000, noun))
    else:
        enough = w.counted(int(needed), noun)
    return w.say(" ({difference}; {enough} would separate)", difference=said, enough=enough)


def _signs(table: pd.DataFrame, names: dict[str, str], noun: str, w: Words) -> str:
    """The test that asks for no distribution, against the nearest; and what it could give."""
    table = table[table["sign_flip_p"].notna()]
    if table.empty:
        return ""
    row = table.iloc[0]
    return w.say(
        "Sign-flip test against {name}: p = {p}; {seeds} cannot give less than {smallest}.",
        name=names[row["optimizer"]], p=w.number(row["sign_flip_p"], 3),
        seeds=w.counted(int(row["n"]), noun), smallest=w.number(row["smallest_p"], 3),
    )  # fmt: skip
