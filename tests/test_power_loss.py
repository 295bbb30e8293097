"""The power goes at any moment: the old study is there, or the new one, and no mixture of them.

The real code writes; ``power_loss.Disk`` makes each directory that an ordered and a weak disk may
hold afterwards, and what a reader and the next writer find there is compared with what the program
had said by then.
"""

import ast
import inspect
import shutil
import sys
import warnings
from pathlib import Path

import pandas as pd
import pytest
from long_form import only
from power_loss import Disk
from written_studies import (
    MAY_BE,
    Seen,
    allowed,
    found,
    goes_on,
    grow,
    grown,
    reached,
    seen,
    sweep_and_end,
    two_buckets,
    write_three,
    wrong,
)

from jaxopt_course.records import claims, files
from jaxopt_course.records.format import COMMIT

KINDS = pytest.mark.parametrize("weak", [False, True], ids=["ordered", "weak"])
EVERY = pytest.mark.parametrize(
    "every", [*only([40], [40, 8]), pytest.param(1, marks=pytest.mark.soak)]
)


def found_after(tmp_path, act, weak, every=1, find=found):
    """At each moment, or at some: what was said, what a reader finds, and what after a writer."""
    directory = tmp_path / "disk" / "runs" / "study"
    directory.parent.parent.mkdir()
    with Disk(directory.parent.parent) as disk:
        act(directory, disk)
    for number, state in enumerate(disk.states(weak)):
        if number % every:
            continue
        copy = tmp_path / f"{weak}-{number}"
        copy.mkdir()
        state.write(copy)
        there = copy / "runs" / "study"
        with warnings.catch_warnings():  # a snapshot that was half written is one less, and said
            warnings.filterwarnings("ignore", ".* is damaged; the sweep goes on from the snapshot")
            warnings.filterwarnings("ignore", ".* was edited or is damaged; its trials are trained")
            first = find(there)
            nothing = first in ((None, None, None), Seen(), (None, Seen()))
            with claims.claimed(there) if nothing else claims.held(there):
                again = find(there)
                assert not [*there.rglob(f"*{files.PARTIAL}"), *there.rglob(COMMIT)]
        shutil.rmtree(copy)
        yield state.said, first, again


def outcomes_of(tmp_path, act, weak, every=1):
    """(said, what is found), which a writer does not change."""
    outcomes = []
    for said, first, again in found_after(tmp_path, act, weak, every):
        assert again == first
        outcomes.append((said, first))
    return outcomes


def wrong_growth(tmp_path, weak, every):
    for said, first, again in found_after(tmp_path, grow, weak, every, seen):
        if not (grown(said, first, False) and grown(said, again, True) and first[:4] == again[:4]):
            yield said, first, again


def wrong_buckets(tmp_path, weak, every):
    for said, first, again in found_after(tmp_path, two_buckets, weak, every, reached):
        if not (goes_on(said, first) and first == again):
            yield said, first, again


@KINDS
@EVERY
def test_a_study_is_the_old_one_or_the_new_one(tmp_path, weak, every):
    outcomes = outcomes_of(tmp_path, write_three, weak, every)
    assert wrong(outcomes) == []
    if every == 1:
        possible = {(*one, None) for ones in MAY_BE.values() for one in ones}
        assert {one for _, one in outcomes} == possible
    assert len(outcomes) * every > (130 if weak else 70)


@pytest.mark.parametrize("careless", ["fsync", "sync", "make_folder"])
def test_without_any_of_the_flushes_a_study_would_be_lost(tmp_path, monkeypatch, careless):
    """The disk above notices, so it would notice if one were forgotten."""
    if careless == "fsync":
        monkeypatch.setattr(files, "save", lambda file, fill: fill(file))
    elif careless == "sync":
        monkeypatch.setattr(files, "sync", lambda directory: None)
    else:
        plain = lambda path: path.mkdir(parents=True, exist_ok=True)
        monkeypatch.setattr(ownership, "make_folder", plain)
    with pytest.raises((AssertionError, ValueError, FileExistsError)):  # as readers and writers say
        assert wrong(outcomes_of(tmp_path, write_three, True, every=3)) == []


@KINDS
@EVERY
def test_a_sweep_goes_on_from_the_last_snapshot_that_was_said(tmp_path, weak, every):
    outcomes = outcomes_of(tmp_path, sweep_and_end, weak, every)
    assert [one for one in outcomes if not allowed(*one)] == []
    assert len(outcomes) * every > (300 if weak else 120)


def test_of_what_was_not_flushed_a_part_may_be_there(tmp_path):
    """The disk itself: three contents of a file, and each choice of three names."""
    with Disk(tmp_path) as disk:
        (tmp_path / "a").write_bytes(b"four")
        files.sync(tmp_path)
        for name in "bcd":
            (tmp_path / name).mkdir()
            disk.say(name)
    contents = {state.files.get("a") for state in disk.states(weak=True)}
    assert contents == {None, b"", b"fo", b"four"}
    folders = lambda weak: {frozenset({*s.files} - {"a"}) for s in disk.states(weak)}
    assert len(folders(weak=True)) == 8
    assert folders(weak=False) == {frozenset("bcd"[:end]) for end in range(4)}


def test_a_rename_is_one_act(tmp_path):
    (tmp_path / "old").write_bytes(b"1")
    with Disk(tmp_path) as disk:
        (tmp_path / "old").replace(tmp_path / "new")
    found = [pd.Series(state.files).to_dict() for state in disk.states(weak=True)]
    assert found == [{"old": b"1"}, {"new": b"1"}]
