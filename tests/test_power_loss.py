"""The power goes at any moment: the old study is there, or the new one, and no mixture of them.

The real code writes; ``power_loss.Disk`` makes each directory that an ordered and a weak disk may
hold afterwards, and what a reader and the next writer find there is compared with what the program
had said by then.
"""

import ast
import functools
import itertools
import shutil
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
    parsed_once,
    reached,
    seen,
    sweep_and_end,
    two_buckets,
    write_three,
    wrong,
)

import jaxopt_course
from jaxopt_course.records import claims, files
from jaxopt_course.records.format import CHECKPOINT, COMMIT

KINDS = pytest.mark.parametrize("weak", [False, True], ids=["ordered", "weak"])
ORDERED = pytest.mark.parametrize("weak", only([False], [False, True]), ids=["ordered", "weak"])
EVERY = pytest.mark.parametrize("every", only([40], [40, 1]))  # the long form tries all states
LEAST = {  # states that there are, ordered and weak
    write_three: (80, 150),
    sweep_and_end: (140, 700),
    grow: (150, 320),
    two_buckets: (110, 1050),
}


NONE = (None, None, None)
NOTHING = (NONE, (NONE, False), (NONE, True), Seen(), (None, Seen()))


@pytest.fixture(scope="module", autouse=True)
def quickly():
    with parsed_once():
        yield


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """What an act does to a disk: it is done once."""

    @functools.cache
    def record(act):
        directory = tmp_path_factory.mktemp(act.__name__) / "runs" / "study"
        with Disk(directory.parent.parent) as disk:
            act(directory, disk)
        return disk

    return record


def found_in(states, tmp_path, find=found):
    """Of each: what was said, what a reader finds, and what after a writer."""
    for number, state in enumerate(states):
        copy = tmp_path / f"{number}"
        state.write(copy)
        there = copy / "runs" / "study"
        with warnings.catch_warnings():  # a snapshot that was half written is one less, and said
            warnings.filterwarnings("ignore", ".* is damaged; the sweep goes on from the snapshot")
            warnings.filterwarnings("ignore", ".* was edited or is damaged; its trials are trained")
            first = find(there)
            nothing = first in NOTHING
            with claims.claimed(there) if nothing else claims.held(there):
                again = find(there)
                assert not [*there.rglob(f"*{files.PARTIAL}"), *there.rglob(COMMIT)]
        shutil.rmtree(copy)
        yield state.said, first, again


def some(disk, weak, every):
    """Of all states that there are."""
    return itertools.islice(disk.states(weak), 0, None, every)


def outcomes_of(disk, tmp_path, weak, every=1):
    """(said, what is found), which a writer does not change."""
    outcomes = []
    for said, first, again in found_in(some(disk, weak, every), tmp_path):
        assert again == first
        outcomes.append((said, first))
    return outcomes


def is_lost(state, act, tmp_path):
    """Whether of an act that writes and forgets something is lost or mixed, or left in the end."""
    right = allowed if act is sweep_and_end else lambda said, now: not wrong([(said, now)])
    rest = lambda there: (found(there), (there / CHECKPOINT).exists())
    try:
        ((said, first, again),) = found_in([state], tmp_path, rest)
    except (AssertionError, ValueError, FileExistsError):  # as readers and writers say
        return True
    over = said == (0.7, "over")  # and nothing comes after it
    return not right(said, first[0]) or again[0] != first[0] or (over and first[1])


@KINDS
@EVERY
def test_a_study_is_the_old_one_or_the_new_one(recorded, tmp_path, weak, every):
    outcomes = outcomes_of(recorded(write_three), tmp_path, weak, every)
    assert wrong(outcomes) == []
    if every == 1:
        possible = {(*one, None) for ones in MAY_BE.values() for one in ones}
        assert {one for _, one in outcomes} == possible
    assert len(outcomes) * every >= LEAST[write_three][weak]


def flushes():
    """Where the package has files and names put on the disk: "file.function number" to a line.

    Each call of ``os.fsync`` itself, and each of the function that does it for names.
    """
    calls = {}
    for file in sorted(Path(jaxopt_course.__file__).parent.rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        if "sync" not in text:
            continue  # to look through all takes three seconds
        for function in ast.walk(ast.parse(text)):
            if isinstance(function, ast.FunctionDef):
                made = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
                lines = sorted(n.lineno for n in made if ast.unparse(n.func) in FLUSHES)
                for number, line in enumerate(lines):
                    calls[f"{file.stem}.{function.name} {number}"] = (str(file), line)
    return calls


FLUSHES = ("os.fsync", "fsync", "sync", "files.sync")
CALLS = flushes()
NOTICED = {  # in which act it is noticed that one is missing
    "checkpoints.forget 0": sweep_and_end,
    "checkpoints.forget 1": sweep_and_end,
    "files.make_folder 0": write_three,
    "files.replace 0": sweep_and_end,
    "files.save 0": write_three,
    "files.sync 0": write_three,
    "store._remove 0": write_three,
    "store.complete 0": write_three,
    "store.complete 1": write_three,
    "store.write 0": write_three,
}
# of a journal of Optuna's, which is no part of a study: test_half_written.py
ELSEWHERE = {"optuna.append_logs 0"}


def test_each_flush_is_one_of_these():
    """A new one needs an act in which it is missed."""
    assert CALLS.keys() == NOTICED.keys() | ELSEWHERE


@pytest.mark.parametrize("flush", sorted(NOTICED))
def test_without_any_of_the_flushes_a_study_would_be_lost(recorded, tmp_path, flush):
    """Where one is forgotten the disk may hold what it could not before, and some of it is bad."""
    act, forgotten = NOTICED[flush], CALLS[flush]
    disk = recorded(act)
    assert any(forgotten in lines for lines in disk.asked.values())
    before = {state.key for state in disk.states(weak=True)}
    states = (one for one in disk.states(True, forgotten) if one.key not in before)
    assert any(is_lost(state, act, tmp_path) for state in states)


@pytest.mark.parametrize("act", [write_three, sweep_and_end])
@EVERY
def test_with_all_of_them_nothing_is(recorded, tmp_path, act, every):
    """As the tests above and below say; here as the last one judges."""
    states = [*some(recorded(act), True, every)]
    assert [one.said for one in states if is_lost(one, act, tmp_path)] == []


@ORDERED
@EVERY
def test_a_sweep_goes_on_from_the_last_snapshot_that_was_said(recorded, tmp_path, weak, every):
    outcomes = outcomes_of(recorded(sweep_and_end), tmp_path, weak, every)
    assert [one for one in outcomes if not allowed(*one)] == []
    assert len(outcomes) * every >= LEAST[sweep_and_end][weak]


@ORDERED
@EVERY
def test_weights_and_pages_are_of_the_study_that_is_there(recorded, tmp_path, weak, every):
    count = 0
    for said, first, again in found_in(some(recorded(grow), weak, every), tmp_path, seen):
        assert grown(said, first, tidy=False), (said, first)
        assert grown(said, again, tidy=True), (said, again)
        assert first[:4] == again[:4]
        count += every
    assert count >= LEAST[grow][weak]


@ORDERED
@EVERY
def test_each_bucket_goes_on_from_where_it_was_said_to_be(recorded, tmp_path, weak, every):
    count = 0
    for said, first, again in found_in(some(recorded(two_buckets), weak, every), tmp_path, reached):
        assert goes_on(said, first), (said, first)
        assert first == again
        count += every
    assert count >= LEAST[two_buckets][weak]


def test_there_are_many_states():
    """Each of them is tried in the long form, see above: that is how many there are at least."""
    assert sum(map(sum, LEAST.values())) >= 1_500


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
