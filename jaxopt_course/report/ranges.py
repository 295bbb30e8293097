"""Where each optimizer's numbers were searched."""

from typing import NamedTuple

import pandas as pd

from jaxopt_course.report.findings import Findings
from jaxopt_course.report.words import number

MOST = 4  # ranges that a sentence can hold


class Range(NamedTuple):
    """The lowest and the highest value of a number that some optimizers were tried with."""

    name: str
    low: str
    high: str
    values: int  # different ones, of each of them
    optimizers: list[str]


def tried(findings: Findings) -> list[Range]:
    """The ranges of all searched numbers, those of the best optimizer first; equal ones are one."""
    found: dict[tuple[str, str, str, int], list[str]] = {}
    for name in findings.tuned:
        column = findings.trials[name]
        if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
            continue
        for optimizer in findings.ranking["optimizer"]:
            own = column[findings.trials["optimizer"] == optimizer].dropna()
            if len(own):
                ends = number(own.min(), 2), number(own.max(), 2)
                found.setdefault((name, *ends, own.nunique()), []).append(optimizer)
    order = {name: i for i, name in enumerate(findings.tuned)}
    return [Range(*key, found[key]) for key in sorted(found, key=lambda key: order[key[0]])]


def remarks(findings: Findings, names: dict[str, str]) -> list[str]:
    """A sentence of the ranges that are not those of all, and one of what does not decay."""
    said, w, everybody = [], findings.words, len(findings.ranking)
    known = [one for one in tried(findings) if len(one.optimizers) < everybody and one.values > 1]
    texts = [
        f"{one.name} {w.mark(one.low)} … {w.mark(one.high)} "
        f"({', '.join(names[n] for n in one.optimizers)})"
        for one in known
    ]
    if len(texts) > MOST:
        said.append(
            w.say("Each optimizer was tried in a box of its own: the page has their ranges.")
        )
    elif texts:
        said.append(w.say("Tried: {ranges}.", ranges="; ".join(texts)))
    if "decay_biases" in findings.trials:
        column = findings.trials["decay_biases"]
        spared = (column == False).fillna(False).astype(bool)  # noqa: E712
        who = [
            names[name]
            for name in findings.ranking["optimizer"]
            if (spared & (findings.trials["optimizer"] == name)).any()
        ]
        if who:
            template = "Weight decay leaves out biases and norms: {names}."
            said.append(w.say(template, names=w.listed(who)))
    return said
