"""What is done to a study's directory, step by step, and what may be found there meanwhile.

An act takes the directory and a listener, whose ``say`` it tells what it has got done: from then on
it must hold, whatever happens to the machine or the disk.
"""

import numpy as np
import report_studies
from report_studies import courses, table, trial

from jaxopt_course.records import checkpoints, files, ownership, store
from jaxopt_course.records.format import OWN

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
