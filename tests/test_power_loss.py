"""The power goes at any moment: the old study is there, or the new one, and no mixture of them.

The real code writes; ``power_loss.Disk`` makes each directory that an ordered and a weak disk may
hold afterwards, and what a reader and the next writer find there is compared with what the program
had said by then.
"""

import warnings

import numpy as np
import pandas as pd
import pytest
import report_studies
from long_form import only
from power_loss import Disk
from report_studies import courses, table, trial

from jaxopt_course.records import checkpoints, claims, files, ownership, store
from jaxopt_course.records.format import OWN

KINDS = pytest.mark.parametrize("weak", [False, True], ids=["ordered", "weak"])
EVERY = pytest.mark.parametrize(
    "every", [*only([40], [40, 8]), pytest.param(1, marks=pytest.mark.soak)]
)
ROWS = [trial(seed=seed) for seed in range(2)]


def study(score, **manifest):
    rows = [row | {"valid_accuracy": score} for row in ROWS]
    return report_studies.record(rows, 4, {"seconds": score} | manifest)


def begin(directory):
    """As ``claimed`` does, whose lock nobody needs here."""
    files.make_folder(directory)
    ownership.write_list(directory, OWN)


def score_of(record):
    return None if record is None else float(record.trials["valid_accuracy"].iloc[0])


def found(directory):
    """What a reader finds: study, confirmation, and the sweep that waits, by their scores."""
    try:
        record = store.read(directory)
        confirmation = score_of(store.read_confirmation(directory, record.manifest))
        whole = score_of(record), confirmation
    except FileNotFoundError:
        whole = None, None
    return *whole, waiting(directory)


def waiting(directory):
    """(the question's score, the number in the newest snapshot or what the bucket left)."""
    try:
        question = checkpoints.asked(directory)
    except FileNotFoundError:
        return None
    folder = directory / "checkpoint" / "0000"
    if folder.is_dir():
        if (left := checkpoints.kept(folder)) is not None:
            return score_of(question), float(left.event["number"])
        snapshot = checkpoints.newest(folder)
        return score_of(question), None if snapshot is None else float(snapshot["number"])
    return score_of(question), None


def outcomes_of(tmp_path, act, weak, every=1):
    """What is found at each moment, or at some, before and after the next writer: (said, found)."""
    directory = tmp_path / "disk" / "runs" / "study"
    directory.parent.parent.mkdir()
    with Disk(directory.parent.parent) as disk:
        act(directory, disk)
    outcomes = []
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
            first = found(there)
            nothing = first == (None, None, None)
            with claims.claimed(there) if nothing else claims.held(there):
                again = found(there)
                assert not [*there.rglob(f"*{files.PARTIAL}")]
            assert again == first
        outcomes.append((state.said, first))
    return outcomes


def write_three(directory, disk):
    """A first study, its confirmation, another in its place, and that one's confirmation."""
    begin(directory)
    store.write(directory, study(0.5))
    disk.say("first")
    store.write(directory, study(0.5, kind="confirmation"), True)
    disk.say("confirmed")
    store.write(directory, study(0.7))
    disk.say("second")
    store.write(directory, study(0.7, kind="confirmation"), True)
    disk.say("end")


MAY_BE = {
    None: [(None, None), (0.5, None)],
    "first": [(0.5, None), (0.5, 0.5)],
    "confirmed": [(0.5, 0.5), (0.7, None)],
    "second": [(0.7, None), (0.7, 0.7)],
    "end": [(0.7, 0.7)],
}


def wrong(outcomes):
    return [one for one in outcomes if one[1][:2] not in MAY_BE[one[0]] or one[1][2] is not None]


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


def question(score):
    trials = table([row | {"valid_accuracy": score} for row in ROWS])
    settings = study(score).manifest
    return checkpoints.Question(settings, trials)


def sweep_and_end(directory, disk):
    """A sweep with three snapshots and results, which is written and forgotten; then another."""
    begin(directory)
    for score in (0.5, 0.7):
        checkpoints.ask(directory, question(score))
        disk.say((score, "asked"))
        folder = checkpoints.folder_of(directory, 0)
        asked = checkpoints.question_of(folder)
        for number in range(1, 4):
            checkpoints.save(folder, {"number": np.float64(number)}, asked)
            disk.say((score, number))
        trials = table(ROWS)
        left = checkpoints.Left(trials, courses(trials), {"number": 9})
        checkpoints.keep(folder, left, asked)
        disk.say((score, 9))
        store.write(directory, study(score))
        disk.say((score, "written"))
        checkpoints.forget(directory)
        disk.say((score, "over"))


def allowed(said, now):
    """Whether nothing that was said is lost, and nothing is there that was not begun."""
    done, confirmation, asked = now
    if confirmation is not None:
        return False
    if said is None:
        return done is None and asked in (None, (0.5, None))
    score, what = said
    before = None if score == 0.5 else 0.5
    if what == "over":  # of the first sweep: the next one's question may be there already
        return done == score and asked in (None, (0.7, None))
    if what == "written":
        return done == score and asked in (None, (score, 9.0), (score, None))
    if asked is None or asked[0] != score:
        return False
    least = 0 if what == "asked" else what
    number = asked[1] or 0
    most = {3: 9, 9: 9}.get(least, least + 1)
    return least <= number <= most and done in ([before, score] if least == 9 else [before])


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
