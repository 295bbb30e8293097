"""The power goes at any moment: the old study is there, or the new one, and no mixture of them.

The real code writes; ``power_loss.Disk`` makes each directory that an ordered and a weak disk may
hold afterwards, and what a reader and the next writer find there is compared with what the program
had said by then.
"""

import ast
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

import jaxopt_course
from jaxopt_course.records import claims, files
from jaxopt_course.records.format import CHECKPOINT, COMMIT

KINDS = pytest.mark.parametrize("weak", [False, True], ids=["ordered", "weak"])
EVERY = pytest.mark.parametrize("every", only([40], [40, 1]))  # the long form tries all states
LEAST = {  # states that there are, ordered and weak
    write_three: (80, 150),
    sweep_and_end: (140, 700),
    grow: (150, 340),
    two_buckets: (110, 1050),
}


NONE = (None, None, None)
NOTHING = (NONE, (NONE, False), (NONE, True), Seen(), (None, Seen()))


def found_after(tmp_path, act, weak, every=1, find=found, told=()):
    """At each moment, or at some: what was said, what a reader finds, and what after a writer.

    ``told``: of what had been said then, if not of all.
    """
    directory = tmp_path / "disk" / "runs" / "study"
    directory.parent.parent.mkdir(parents=True)
    with Disk(directory.parent.parent) as disk:
        act(directory, disk)
    for number, state in enumerate(disk.states(weak)):
        if number % every or (told and state.said not in told):
            continue
        copy = tmp_path / f"{weak}-{number}"
        copy.mkdir()
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


def outcomes_of(tmp_path, act, weak, every=1):
    """(said, what is found), which a writer does not change."""
    outcomes = []
    for said, first, again in found_after(tmp_path, act, weak, every):
        assert again == first
        outcomes.append((said, first))
    return outcomes


def ends_well(tmp_path, act, weak, every=1, told=()):
    """Whether nothing is lost or mixed, of an act that writes and forgets; and nothing is left."""
    right = allowed if act is sweep_and_end else lambda said, now: not wrong([(said, now)])
    rest = lambda there: (found(there), (there / CHECKPOINT).exists())
    for said, first, again in found_after(tmp_path, act, weak, every, rest, told):
        over = said == (0.7, "over")  # and nothing comes after it
        if not right(said, first[0]) or again[0] != first[0] or (over and first[1]):
            return False
    return True


@KINDS
@EVERY
def test_a_study_is_the_old_one_or_the_new_one(tmp_path, weak, every):
    outcomes = outcomes_of(tmp_path, write_three, weak, every)
    assert wrong(outcomes) == []
    if every == 1:
        possible = {(*one, None) for ones in MAY_BE.values() for one in ones}
        assert {one for _, one in outcomes} == possible
    assert len(outcomes) * every >= LEAST[write_three][weak]


def flushes():
    """Each call of the package that puts names on the disk, by file, function and number there."""
    calls, bare = {}, set()
    for file in sorted(Path(jaxopt_course.__file__).parent.rglob("*.py")):
        for function in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(function, ast.FunctionDef):
                made = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
                names = [ast.unparse(node.func) for node in made]
                if "os.fsync" in names or "fsync" in names:
                    bare.add(f"{file.stem}.{function.name}")
                of = [n for n, name in zip(made, names, strict=True) if name in SYNC]
                lines = sorted(node.lineno for node in of)
                for number, line in enumerate(lines):
                    calls[f"{file.stem}.{function.name} {number}"] = (str(file), line)
    return calls, bare


SYNC = ("sync", "files.sync")
FLUSHES, BARE = flushes()
NOTICED = {  # in which act, and after what was said there
    "checkpoints.forget 0": (sweep_and_end, [(0.5, "written"), (0.7, "written")]),
    "checkpoints.forget 1": (sweep_and_end, [(0.7, "over")]),
    "files.make_folder 0": (write_three, ["first"]),
    "files.replace 0": (sweep_and_end, [(0.5, 1)]),
    "store._remove 0": (write_three, ["confirmed", "second"]),
    "store.complete 0": (write_three, ["confirmed", "second"]),
    "store.complete 1": (write_three, ["end"]),
    "store.write 0": (write_three, ["confirmed"]),
}


def is_noticed(tmp_path, act, told):
    try:
        return not ends_well(tmp_path, act, True, told=told)
    except (AssertionError, ValueError, FileExistsError):  # as readers and writers say
        return True


@pytest.mark.parametrize("flush", only(["store.complete 1"], sorted(NOTICED)))
def test_without_any_of_the_flushes_a_study_would_be_lost(tmp_path, monkeypatch, flush):
    """The disk above notices, so it would notice if one were forgotten; with it all is well."""
    act, told = NOTICED[flush]
    assert ends_well(tmp_path / "with", act, True, told=told)
    sync, forgotten = files.sync, FLUSHES[flush]

    def careless(directory):
        caller = sys._getframe(1)
        if (caller.f_code.co_filename, caller.f_lineno) != forgotten:
            sync(directory)

    monkeypatch.setattr(files, "sync", careless)
    assert is_noticed(tmp_path / "without", act, told)


@pytest.mark.parametrize("careless", sorted(BARE))
def test_without_contents_or_names_on_the_disk_a_study_would_be_lost(
    tmp_path, monkeypatch, careless
):
    forgotten = {"files.save": lambda file, fill: fill(file), "files.sync": lambda directory: None}
    monkeypatch.setattr(files, careless.removeprefix("files."), forgotten[careless])
    assert is_noticed(tmp_path, write_three, ["first"])


def test_each_flush_is_one_of_these():
    """A new one needs an act in which it is missed."""
    assert {*FLUSHES} == {*NOTICED}
    assert {"files.save", "files.sync"} == BARE


@KINDS
@EVERY
def test_a_sweep_goes_on_from_the_last_snapshot_that_was_said(tmp_path, weak, every):
    outcomes = outcomes_of(tmp_path, sweep_and_end, weak, every)
    assert [one for one in outcomes if not allowed(*one)] == []
    assert len(outcomes) * every >= LEAST[sweep_and_end][weak]


@KINDS
@EVERY
def test_weights_and_pages_are_of_the_study_that_is_there(tmp_path, weak, every):
    count = 0
    for said, first, again in found_after(tmp_path, grow, weak, every, seen):
        assert grown(said, first, tidy=False), (said, first)
        assert grown(said, again, tidy=True), (said, again)
        assert first[:4] == again[:4]
        count += every
    assert count >= LEAST[grow][weak]


@KINDS
@EVERY
def test_each_bucket_goes_on_from_where_it_was_said_to_be(tmp_path, weak, every):
    count = 0
    for said, first, again in found_after(tmp_path, two_buckets, weak, every, reached):
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
