"""What is done to a study's directory, step by step, and what may be found there meanwhile.

An act takes the directory and a listener, whose ``say`` it tells what it has got done: from then on
it must hold, whatever happens to the machine or the disk.
"""

import contextlib
import functools
import os
import pickle
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import report_studies
import xarray
from report_studies import table, trial

from jaxopt_course.records import checkpoints, files, ownership, store, weights
from jaxopt_course.records.format import FIGURES, OWN, PAGE, PICTURES

ROWS = [trial(seed=seed) for seed in range(2)]


@contextlib.contextmanager
def parsed_once():
    """Thousands of files are read of which most are alike: one of the same bytes is parsed once.

    Curves that are alike are made into bytes once, too.  Nothing waits for the disk meanwhile: what
    is flushed and when is watched above it.
    """
    known, made = {}, {}
    to_netcdf = xarray.Dataset.to_netcdf

    def to_bytes(dataset, **named):
        key = pickle.dumps(dataset), repr(named)
        if key not in made:
            made[key] = bytes(to_netcdf(dataset, **named))
        return made[key]

    def by_content(parse):
        def read(file, *args, **named):
            key = parse, Path(file).read_bytes(), repr((args, named))
            if key not in known:
                known[key] = parse(file, *args, **named)
            return known[key] if known[key] is None else known[key].copy()

        return read

    with pytest.MonkeyPatch.context() as patch:
        for place, name in (
            (xarray, "load_dataset"),
            (store, "check_curves"),
            (store, "read_table"),
            (checkpoints, "read_table"),
        ):
            patch.setattr(place, name, by_content(getattr(place, name)))
        patch.setattr(xarray.Dataset, "to_netcdf", to_bytes)
        patch.setattr(os, "fsync", lambda handle: None)
        yield


@functools.cache
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


@functools.cache
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
        left = checkpoints.Left(study(score).trials, study(score).curves, {"number": 9})
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
        return done == score and asked in (None, (score, 9.0))  # or it would be trained again
    if asked is None or asked[0] != score:
        return False
    least = 0 if what == "asked" else what
    number = asked[1] or 0
    most = {3: 9, 9: 9}.get(least, least + 1)
    return least <= number <= most and done in ([before, score] if least == 9 else [before])


# ---------------------------------------------------------------- all else that is written


class Seen(NamedTuple):
    """What a reader finds of a study and of what was made of it."""

    score: float | None = None
    rows: int = 0
    kept: int = 0  # trials whose weights are there, as they were written
    confirmed: float | None = None
    page: str | None = None
    pictures: int = 0


def seen(directory):
    """See above; what is not whole is an error, and what is there is of the study that is there."""
    try:
        record = store.read(directory)
    except FileNotFoundError:
        return Seen()
    entries = weights.entries(record.manifest)
    for entry in entries:
        assert weights.read(directory, entry) == weights_of(entry["trial"], score_of(record))
    page = directory / PAGE
    pictures = directory / PICTURES
    return Seen(
        score_of(record),
        len(record.trials),
        len(entries),
        score_of(store.read_confirmation(directory, record.manifest)),
        page.read_text() if page.exists() else None,
        len([*pictures.glob("*.png")]),
    )


def weights_of(trial, score):
    return f"{trial} of {score}".encode() * 20


@functools.cache
def longer(score, rows, keep):
    """A study of so many rows, and the files of the weights that it keeps."""
    trials = [trial(seed=seed) | {"valid_accuracy": score} for seed in range(rows)]
    contents = {number: weights_of(number, score) for number in keep}
    entries = [weights.entry_of(n, x) | {"step": 40} for n, x in contents.items()]
    manifest = {"weights": {"configurations": 1, "score": "last", "trials": entries}}
    files_of = [(one["file"], contents[one["trial"]]) for one in entries]
    return report_studies.record(trials, 4, manifest), files_of


def draw(directory, text):
    """As a report does; its own page is long."""
    for name in FIGURES:
        files.replace_bytes(ownership.folder(directory, PICTURES) / name, b"drawn")
    files.replace_bytes(directory / PAGE, text.encode())


def grow(directory, disk):
    """A study with weights, its page, its confirmation; more rows, and a page again; another."""
    begin(directory)
    record, kept = longer(0.5, 2, (0, 1))
    store.write(directory, record, kept=kept)
    store.write_events(directory, [{"event": "finished"}])
    disk.say(Seen(0.5, 2, 2))
    draw(directory, "first")
    disk.say(Seen(0.5, 2, 2, None, "first", 3))
    store.write(directory, study(0.5, kind="confirmation"), True)
    disk.say(Seen(0.5, 2, 2, 0.5, "first", 3))
    record, kept = longer(0.5, 3, (1, 2))  # of the best ones, who are others now
    store.write(directory, record, kept=kept)
    disk.say(Seen(0.5, 3, 2))
    draw(directory, "second")
    disk.say(Seen(0.5, 3, 2, None, "second", 3))
    record, kept = longer(0.7, 2, (0,))
    store.write(directory, record, kept=kept)
    disk.say(Seen(0.7, 2, 1))


def grown(said, now, tidy):
    """Whether what was said is there, or what is next; a page and figures on their way between.

    Until the next writer has tidied up, those of the study before may lie beside the new one.
    """
    steps = [Seen(), Seen(0.5, 2, 2), Seen(0.5, 2, 2, None, "first", 3)]
    steps += [Seen(0.5, 2, 2, 0.5, "first", 3), Seen(0.5, 3, 2)]
    steps += [Seen(0.5, 3, 2, None, "second", 3), Seen(0.7, 2, 1)]
    here = 0 if said is None else steps.index(said)
    for one, after in zip(
        steps[here : here + 2], [*steps[here + 1 : here + 2], None], strict=False
    ):
        if now[:4] == one[:4]:
            pages, pictures = {one.page}, {one.pictures}
            if after is not None and after[:4] == one[:4]:  # it is being drawn
                pages, pictures = {one.page, after.page}, {*range(4)}
            if not tidy and here and one is not steps[here]:  # the last study's may be there still
                pages, pictures = {*pages, steps[here].page}, {*range(4)}
            if not tidy and one is steps[here]:  # or half gone
                pages, pictures = {*pages, None}, {*range(4)}
            return now.page in pages and now.pictures in pictures
    return False


def two_buckets(directory, disk):
    """A sweep of two, with states that stay: snapshots and results of each, then the study."""
    begin(directory)
    checkpoints.ask(directory, question(0.5))
    disk.say((0, 0))
    for bucket in range(2):
        folder = checkpoints.folder_of(directory, bucket)
        asked = checkpoints.question_of(folder)
        for number in range(1, 3):
            checkpoints.save(folder, {"number": np.float64(number)}, asked)
            disk.say((bucket, number))
        kept = {0: b"a state", 1: b"another"}
        left = checkpoints.Left(study(0.5).trials, study(0.5).curves, {"number": 9}, kept)
        checkpoints.keep(folder, left, asked)
        disk.say((bucket, 9))
    record, kept = longer(0.5, 2, (1,))
    store.write(directory, record, kept=kept)
    disk.say("written")
    checkpoints.forget(directory)
    disk.say("over")


def reached(directory):
    """How far each bucket is, and what is there of the study."""
    study = seen(directory)
    try:
        checkpoints.asked(directory)
    except FileNotFoundError:
        return None, study
    numbers = []
    for folder in sorted((directory / "checkpoint").glob("[0-9]*")):
        if (left := checkpoints.kept(folder)) is not None:
            assert left.kept == {0: b"a state", 1: b"another"}
            numbers.append(left.event["number"])
        else:
            snapshot = checkpoints.newest(folder)
            numbers.append(0 if snapshot is None else int(snapshot["number"]))
    return tuple(numbers), study


def goes_on(said, now):
    """Whether each bucket is where it was said to be, or one step further."""
    numbers, study = now
    whole = Seen(0.5, 2, 1)
    if said is None:
        return study == Seen() and numbers in (None, ())
    if said == "over":
        return now == (None, whole)
    if said == "written":
        return study == whole and numbers in (None, (9, 9))  # or it would be trained again
    most = {(0, 0): 2, (0, 1): 3, (0, 2): 4, (0, 9): 6, (1, 1): 7, (1, 2): 8, (1, 9): 8}
    order = [(), (0,), (1,), (2,), (9,), (9, 0), (9, 1), (9, 2), (9, 9)]
    least = {(0, 0): 0, (0, 1): 2, (0, 2): 3, (0, 9): 4, (1, 1): 6, (1, 2): 7, (1, 9): 8}
    written = study == whole and said == (1, 9)
    return numbers in order[least[said] : most[said] + 1] and (study == Seen() or written)
