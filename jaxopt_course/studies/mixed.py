"""Unlike nodes of a cluster: which trials each has trained, for events and manifests."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from jaxopt_course.sweeps.snapshot import Results

Entry = dict[str, Any]  # what a node is, and "trials": [[first, last], …]


def mixed_event(results: Results, numbers: np.ndarray) -> dict[str, list[Entry]]:
    """An entry for each node that trained any of these trials; nothing where all had to be alike.

    Args:
        results: of the trials.
        numbers: (N,), of the trials.
    """
    found = [
        json.loads(name) | {"trials": ranges(numbers[rows])}
        for name, rows in sorted(results.nodes.items())
    ]
    return {"mixed": found} if found else {}


def join_mixed(found: Iterable[Sequence[Entry]]) -> dict[str, Any]:
    """What the manifest says of these entries; nothing where there are none.

    Where an unlike node trained, bits are no longer those of one machine.
    """
    by_node: dict[str, list[int]] = {}
    for entry in (entry for entries in found for entry in entries):
        facts = {name: x for name, x in entry.items() if name != "trials"}
        by_node.setdefault(json.dumps(facts), []).extend(numbers_of(entry))
    if not by_node:
        return {}
    entries = [
        json.loads(facts) | {"trials": ranges(numbers)}
        for facts, numbers in sorted(by_node.items())
    ]
    return {"mixed": entries} | ({} if all_alike(entries) else {"repeatable": False})


def all_alike(entries: Iterable[Mapping[str, Any]]) -> bool:
    """Whether no node was another kind than the sweep's own process."""
    return all(entry["alike"] for entry in entries)


def numbers_of(entry: Mapping[str, Any]) -> list[int]:
    """The trials of an entry."""
    return [n for first, last in entry["trials"] for n in range(first, last + 1)]


def ranges(numbers: Iterable[int]) -> list[list[int]]:
    """Numbers as ranges, the last one included.

    >>> ranges([3, 0, 1, 2, 7])
    [[0, 3], [7, 7]]
    """
    found: list[list[int]] = []
    for number in sorted({int(n) for n in numbers}):
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return found
