"""A study's life, in any order: nothing that is done to it, or befalls it, loses or changes a row.

What is in the directory is compared with one study of all rows that was trained in one go, on one
device, in memory; ``life.py`` has what is done and what may befall it.
"""

import contextlib
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import jax
import life
import numpy as np
import pandas as pd
import pytest
import sweep_to_kill
import xarray as xr
from failing_disk import Refusals
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.errors import FlakyFailure
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from long_form import put
from written_studies import parsed_once

import jaxopt_course as joc
from jaxopt_course.records import checkpoints, claims, files, ownership, store, weights
from jaxopt_course.records.format import EVENTS, FIGURES, LOCK, STUDY
from jaxopt_course.studies import session

pytestmark = pytest.mark.usefixtures("optimized")

SEEDS = st.lists(st.sampled_from(life.SEARCH), min_size=1, max_size=2, unique=True)
DEVICES = st.sampled_from([1, 2])
PLACES = st.integers(0, 99)  # in what there is
MOMENTS = {"sweep": 350, "resume": 250, "extend": 150, "confirm": 110, "report": 60, "save": 50}


def trouble(verb):
    """What befalls it, and at which moment; mostly something does."""
    kinds = st.sampled_from(["kill", "ctrl-c", "full", "broken", "broken once", None])
    return st.tuples(kinds, st.integers(0, MOMENTS[verb]))


def is_part(some, whole):
    """Whether all of ``some`` stand in ``whole``, in this order."""
    rest = iter(whole)
    return all(one in rest for one in some)


class Life(RuleBasedStateMachine):
    """A study in a directory, copies of it in others, and what must be there.

    ``there``, ``asked`` and ``confirmed`` are numbers of rows, or None: of the study that a reader
    finds, of the sweep that waits to go on, of the confirmation.
    """

    pictures = False  # whether reports have them
    really = False  # whether it is a process that is killed

    def __init__(self):
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="life-"))
        self.count, self.copies = 0, {}
        self.study = self.there = self.asked = self.confirmed = None
        self.partial, self.drawn, self.cut_short = False, set(), []
        self.settled = True  # whether weights were trained again where they had to be

    def teardown(self):
        shutil.rmtree(self.root)

    @initialize(static=st.booleans(), keep=st.sampled_from([0, 2]), begun=st.booleans())
    def begin(self, static, keep, begun):
        """With nothing there, or with a study, so that each step has something to do."""
        self.settle(static, keep)
        if begun:
            self.sweep([0], [2, 5], 1, (None, 0))

    def settle(self, static, keep):
        self.static, self.keep = static, keep
        self.all, self.whole = life.rows(static), life.in_one_go(static)
        self.directory = self.elsewhere()

    def elsewhere(self):
        """A directory that is not there yet."""
        self.count += 1
        return self.root / f"{self.count}" / "study"

    def rows_of(self, seeds, sizes):
        """Each optimizer and rate, with these seeds and batch sizes."""
        own = self.all[self.all["seed"].isin(seeds)]
        return (own[own["batch_size"].isin(sizes)] if self.static else own).index.tolist()

    def both_optimizers(self, which):
        """What a new bucket lacks: of one optimizer it would have another program."""
        own = self.all.iloc[which]
        others = own.assign(optimizer=own["optimizer"].map({"sgd": "adam", "adam": "sgd"}))
        return [number for number in self.numbers(others) if number not in which]

    def numbers(self, trials):
        return life.numbers(trials, self.static)

    # ------------------------------------------------------------ what befalls it

    def do(self, verb, what, act, **given):
        """What came of it, or None; and whether all of it was done."""
        kind, number = what
        self.kind, self.verb = kind, verb
        study, done = self.outcome(verb, kind, number, act, given)
        if verb in ("sweep", "resume", "extend"):  # Ctrl-C ends them without that, for good
            self.settled = kind is None or (self.settled and kind != "ctrl-c")
        self.cut_short += [] if done else [(verb, kind)]
        return study, done

    def outcome(self, verb, kind, number, act, given):
        if kind == "kill" and self.really and verb != "save":
            return None, self.in_a_process(verb, number, **given)
        disk = {"full": errno.ENOSPC, "broken": errno.EIO, "broken once": errno.EIO}
        if kind in disk:
            befalls = Refusals(self.root, disk[kind], number, kind == "broken once")
        else:
            happens = life.press_ctrl_c if kind == "ctrl-c" else life.die
            befalls = life.Moments(self.root, number if kind else None, happens)
        try:
            with befalls.at_work(), warnings.catch_warnings():
                if kind in disk:
                    warnings.filterwarnings("ignore", "no checkpoint .*; training goes on")
                if kind == "ctrl-c":  # while they were trained again, in the end
                    warnings.filterwarnings("ignore", "the weights of .* could not be kept")
                return act(), True
        except joc.SweepInterrupted as stop:
            assert kind == "ctrl-c"
            return stop.study, False
        except (KeyboardInterrupt, life.Killed):
            assert kind in ("ctrl-c", "kill")
        except OSError as error:
            assert kind in disk
            if (study := getattr(error, "study", None)) is not None:
                self.check_rows(study)
        return None, False

    def in_a_process(self, verb, number, **given):
        words = [verb, self.directory, self.static, self.keep, number, json.dumps(given)]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, life.__file__, *map(str, words)]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert ended.returncode in (0, -signal.SIGKILL), ended.stderr
        return ended.returncode == 0

    # ------------------------------------------------------------ what is there

    def found(self):
        """What a reader finds in the directory, and the sweep that waits."""
        study = confirmation = asked = None
        with contextlib.suppress(FileNotFoundError):
            study = joc.Study.load(self.directory)
            confirmation = store.read_confirmation(self.directory, study.manifest)
        with contextlib.suppress(FileNotFoundError):
            asked = self.numbers(checkpoints.asked(self.directory).trials)
        return study, confirmation, asked

    def look(self, there, asked, confirmed, done):
        """What is there, before the next writer and after: one of these, and nothing else.

        Args:
            there: whether numbers of rows may be those of the study.
            asked: numbers of the sweep that may wait, each or None.
            confirmed: numbers of the confirmations that may be there, each or None.
            done: whether nothing can have been left half done.
        """
        if done:
            self.check_files(*self.found(), tidy=True)
        first = self.found()
        if self.directory.exists():
            with claims.held(self.directory):
                pass
        study, confirmation, waits = self.found()
        for one, other in zip(first[:2], (study, confirmation), strict=True):
            assert (one is None) == (other is None)
            if one is not None:
                pd.testing.assert_frame_equal(one.trials, other.trials)
        assert first[2] == waits
        self.check_files(study, confirmation, waits, tidy=done)
        self.there = None if study is None else self.numbers(study.trials)
        self.confirmed = None if confirmation is None else self.numbers(confirmation.trials)
        self.asked = waits
        assert there(self.there), self.there
        assert self.asked in asked, self.asked
        assert self.confirmed in confirmed, self.confirmed
        if study is not None:
            self.check_rows(study)
            assert study.trials["trial"].tolist() == list(range(len(study.trials)))
            self.check_weights(study)
            self.partial = study.trials["status"].eq("unfinished").any()
        if confirmation is not None:
            self.check_rows(confirmation)
        return study

    def check_rows(self, study):
        """No row twice, and each that is over as in one go, bit for bit."""
        own = study.trials
        numbers = self.numbers(own)
        assert len({*numbers}) == len(numbers)
        names = [name for name in own if name not in ("trial", "duplicate_of")]
        over = own["status"].ne("unfinished").to_numpy(bool)
        theirs = self.whole.trials.iloc[numbers].reset_index(drop=True)
        pd.testing.assert_frame_equal(own[over][names], theirs[over][names], check_exact=True)
        for name, curve in study.curves.data_vars.items():
            axis = curve.dims[1]
            mine = curve.to_numpy()
            right = self.whole.curves[name].isel(trial=numbers).sel({axis: curve[axis]}).to_numpy()
            assert mine[over].tobytes() == right[over].tobytes(), name
            begun = ~over[:, None] & ~np.isnan(mine)
            assert mine[begun].tobytes() == right[begun].tobytes(), name

    def check_weights(self, study):
        """What is kept is what the study in one go has of these trials."""
        numbers = self.numbers(study.trials)
        for trial in study.kept:
            right = self.whole.params(numbers[trial])
            found = study.params(trial)
            bits = lambda tree: jax.tree.map(lambda leaf: np.asarray(leaf).tobytes(), tree)
            assert bits(found) == bits(right)
        if (
            self.settled
            and self.kind is None
            and self.keep
            and study.manifest.get("joined") is None
        ):
            best = study.configurations().head(self.keep).dropna(subset="valid_loss")
            names = [name for name in study.hyperparameters if name in best]
            rows = study.trials.reset_index().merge(best[names].astype(study.trials[names].dtypes))
            assert {*study.kept} == {*rows["trial"]}

    def check_files(self, study, confirmation, asked, tidy):
        """All that ``records/format.py`` lists, and nothing else."""
        must, may = {ownership.LIST, LOCK}, set()
        if study is not None:
            must |= {*STUDY} - {EVENTS}
            written = tidy and self.verb in ("sweep", "resume", "save")
            (must if written else may).add(EVENTS)  # who died right before has left none
            must |= {f"weights/{one['file']}" for one in weights.entries(study.manifest)}
            may |= self.drawn
        if confirmation is not None:
            must |= {f"confirm/{name}" for name in STUDY if name != EVENTS}
            written = tidy and self.verb == "confirm"
            (must if written else may).add(f"confirm/{EVENTS}")
        if asked is not None:
            must |= {f"checkpoint/{name}" for name in (checkpoints.QUESTION, checkpoints.TABLE)}
            bucket = (*checkpoints.GENERATIONS, *checkpoints.LEFT)
            may |= {f"checkpoint/{number:04d}/{name}" for number in range(2) for name in bucket}
        if study is None and asked is None:
            partial = files.partial_of(Path(ownership.LIST)).name
            must, may = set(), must | {partial}
        paths = self.directory.rglob("*")
        here = {str(file.relative_to(self.directory)) for file in paths if not file.is_dir()}
        assert here >= must, must - here
        assert here <= must | may, here - must - may

    def same(self, study):
        """What is in memory is what a reader finds."""
        loaded = joc.Study.load(study.directory)
        pd.testing.assert_frame_equal(loaded.trials, study.trials)
        xr.testing.assert_identical(loaded.curves, study.curves)
        mine = json.loads(json.dumps(study.manifest))
        assert {name: loaded.manifest[name] for name in mine} == mine
        assert list(loaded.events) == json.loads(json.dumps(study.events))

    @invariant()
    def copies_stay(self):
        for directory, contents in self.copies.items():
            if directory != self.directory:
                assert self.contents(directory) == contents

    def contents(self, directory):
        paths = [file for file in directory.rglob("*") if file.is_file() and file.name != LOCK]
        return {str(file): file.read_bytes() for file in paths}

    def after(self, done, study, found):
        """The study that is gone on with."""
        if self.kind == "kill":
            self.study = None  # and with it the programs
        elif study is not None and study.directory is not None:
            self.same(study)
            self.study = study
        here = self.study is not None and self.study.directory == self.directory
        if not here or store_of(self.study) != store_of(found):
            self.study = found

    def make_whole(self, devices):
        """So that there is something to go on with."""
        if self.asked is not None:
            self.resume(devices, (None, 0))
        if self.there is None or self.partial:
            self.sweep([0], [2], devices, (None, 0))

    # ------------------------------------------------------------ rules
    # What is drawn must not depend on what came of it: the clock decides how many readings a sweep
    # has, and Hypothesis takes it for a fault where the same choices lead to other ones.

    @rule(
        seeds=SEEDS,
        sizes=st.sampled_from([[2], [5], [2, 5]]),
        devices=DEVICES,
        what=trouble("sweep"),
    )
    def sweep(self, seeds, sizes, devices, what):
        """Anew, and in the place of what may be there."""
        old, asked, confirmed = self.there, self.asked, self.confirmed
        which = self.rows_of(seeds, sizes)
        given = {"which": which, "devices": devices, "overwrite": old is not None}
        given["overwrite"] |= asked is not None
        study, done = self.do(
            "sweep",
            what,
            lambda: life.sweep(self.directory, self.static, self.keep, **given),
            **given,
        )
        if done:
            self.drawn = set()
            found = self.look(lambda n: n == which, [None], [None], self.kind is None)
            assert not self.partial
        else:
            found = self.look(
                lambda n: n in (which, old), [which, asked, None], [confirmed, None], False
            )
            assert self.there == which or self.asked == which or self.there == old
        self.after(done, study, found)

    @rule(devices=DEVICES, what=trouble("resume"))
    def resume(self, devices, what):
        if self.asked is None:
            return
        old, asked, confirmed = self.there, self.asked, self.confirmed
        study, done = self.do(
            "resume", what, lambda: life.resume(self.directory, devices), devices=devices
        )
        if done:
            self.drawn = set()
            found = self.look(lambda n: n == asked, [None], [None], self.kind is None)
            assert not self.partial
        else:
            found = self.look(lambda n: n in (asked, old), [asked, None], [confirmed, None], False)
            assert self.asked == asked or (self.there == asked and not self.partial)
        self.after(done, study, found)

    @rule(
        drawn=st.lists(PLACES, min_size=1, max_size=4),
        devices=DEVICES,
        what=trouble("extend"),
    )
    def extend(self, drawn, devices, what):
        self.make_whole(devices)
        known, confirmed = self.there, self.confirmed
        search = self.all[self.all["seed"].isin(life.SEARCH)].index.tolist()
        which = list(dict.fromkeys(search[place % len(search)] for place in drawn))
        which += self.both_optimizers(which)
        new = [number for number in which if number not in known]
        begun = lambda n: n[: len(known)] == known and is_part(n[len(known) :], new)
        given, settled = {"which": which, "devices": devices}, self.settled
        study, done = self.do(
            "extend", what, lambda: life.extend(self.study, self.static, **given), **given
        )
        if done:
            kept, self.drawn = ([None], set()) if new else ([confirmed], self.drawn)
            found = self.look(lambda n: n == known + new, [None], kept, self.kind is None)
        else:
            found = self.look(begun, [None], [confirmed, None], False)
            assert self.confirmed == confirmed or self.there != known or self.kind == "ctrl-c"
        assert not self.partial
        self.settled &= bool(new) or settled  # with nothing new nothing is trained
        self.after(done, study, found)

    @rule(
        seeds=st.sampled_from([1, 2, [4], [5, 6]]),
        devices=DEVICES,
        what=trouble("confirm"),
    )
    def confirm(self, seeds, devices, what):
        self.make_whole(devices)
        there, old, largest = self.there, self.confirmed, self.study.trials["seed"].max()
        fresh = range(largest + 1, largest + 1 + seeds) if isinstance(seeds, int) else seeds
        names = [name for name in life.COLUMNS[:-1] if name in self.all]
        new = pd.concat([self.study.winners()[names].assign(seed=seed) for seed in fresh])
        new = self.numbers(new.astype(self.all[[*names, "seed"]].dtypes))
        study, done = self.do(
            "confirm",
            what,
            lambda: life.confirm(self.study, seeds, devices),
            seeds=seeds,
            devices=devices,
        )
        expected = sorted(new)
        if study is not None:
            self.check_rows(study)
            assert sorted(self.numbers(study.trials)) == expected
            if study.directory is not None:
                assert study.directory == self.directory / "confirm"
                self.same(study)
        numbers = None
        with contextlib.suppress(FileNotFoundError):
            record = store.read_confirmation(self.directory, self.study.manifest)
            numbers = None if record is None else self.numbers(record.trials)
        may = [numbers] if numbers is not None and sorted(numbers) == expected else []
        may += [] if done else [old]
        found = self.look(lambda n: n == there, [None], may, self.kind is None)
        if self.kind == "kill":
            self.study = None
        self.after(done, None, found)

    @rule(place=PLACES)
    def replay(self, place):
        if self.study is not None:
            over = np.flatnonzero(self.study.trials["status"].ne("unfinished"))
            if len(over):
                assert self.study.replay(int(over[place % len(over)])).identical

    @rule(pictures=st.booleans(), what=trouble("report"))
    def report(self, pictures, what):
        if self.there is None:
            return
        there, asked, confirmed = self.there, self.asked, self.confirmed
        pictures &= self.pictures
        self.drawn |= {"report.html", *(f"figures/{name}" for name in FIGURES if pictures)}
        _, done = self.do(
            "report", what, lambda: life.report(self.directory, pictures), pictures=pictures
        )
        found = self.look(lambda n: n == there, [asked], [confirmed], self.kind is None)
        assert (self.directory / "report.html").exists() or not done
        self.after(done, None, found)

    @rule(what=trouble("save"))
    def save(self, what):
        """Elsewhere; there it goes on."""
        if self.there is None:
            return
        there, before = self.there, self.directory
        self.copies[before] = self.contents(before)
        self.directory, drawn = self.elsewhere(), self.drawn
        self.drawn = set()
        study, done = self.do("save", what, lambda: self.study.save(self.directory))
        found = self.look(
            lambda n: n == there or (n is None and not done), [None], [None], self.kind is None
        )
        if found is None:
            self.directory, self.drawn = before, drawn
            found = self.look(
                lambda n: n == there, [self.asked_in(before)], [self.confirmed_in(before)], False
            )
        self.after(done, study, found)

    def asked_in(self, directory):
        with contextlib.suppress(FileNotFoundError):
            return self.numbers(checkpoints.asked(directory).trials)

    def confirmed_in(self, directory):
        record = store.read_confirmation(directory, joc.Study.load(directory).manifest)
        return None if record is None else self.numbers(record.trials)

    @rule()
    def load(self):
        if self.there is None:
            return
        self.study = joc.Study.load(self.directory)
        assert self.numbers(self.study.trials) == self.there

    @rule(place=PLACES, devices=DEVICES)
    def join(self, place, devices):
        """With a copy that was left; the whole goes on in a directory of its own."""
        if not self.copies:
            return
        self.make_whole(devices)
        other = joc.Study.load([*self.copies][place % len(self.copies)])
        self.kind, self.verb, mine = None, "save", self.there
        theirs = [n for n in self.numbers(other.trials) if n not in mine]
        joined = joc.join([self.study, other])
        self.copies[self.directory] = self.contents(self.directory)
        self.directory, self.drawn = self.elsewhere(), set()
        study = joined.save(self.directory)
        found = self.look(lambda n: n == mine + theirs, [None], [None], True)
        self.after(True, study, found)

    @rule()
    def is_refused(self):
        """A sweep that may not replace anything; and more for one that waits."""
        if self.there is None and self.asked is None:
            return
        which = self.rows_of([0], [2, 5])
        before = self.contents(self.directory)
        with pytest.raises(FileExistsError):
            life.sweep(self.directory, self.static, self.keep, which, 1)
        if self.asked is not None and self.study is not None:
            with pytest.raises(FileExistsError, match="cut short; go on with it first"):
                life.extend(self.study, self.static, which, 1)
        assert self.contents(self.directory) == before


def store_of(study):
    return None if study is None else store.identity(study.manifest)


class Longer(Life):
    """With pictures."""

    pictures = True


class Killed(Longer):
    """By SIGKILL, in processes of their own."""

    really = True


def live(machine, examples, steps, derandomize=True):
    """The same lives each time, or others."""
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            print_blob=False,
            phases=[Phase.generate],  # to shrink takes minutes: a step trains networks
            derandomize=derandomize,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.fixture(scope="module")
def programs():
    """Checkpoints at each reading; a program is made once, and a file parsed once."""
    with pytest.MonkeyPatch.context() as patch, parsed_once():
        sweep_to_kill.save_always(patch)
        patch.setattr(session, "compile_bucket", life.remembering())
        yield


WELL = (None, 0)
STEPS = [  # all that may be done, and all that may befall it
    ("sweep", [0], [2, 5], 1, ("kill", 60)),
    ("is_refused",),
    ("resume", 2, ("ctrl-c", 40)),
    ("resume", 1, ("full", 30)),
    ("resume", 2, WELL),
    ("report", False, ("kill", 2)),
    ("replay", 3),
    ("extend", [1, 30, 45], 2, ("kill", 50)),
    ("extend", [1, 30, 45], 1, ("broken", 20)),
    ("load",),
    ("extend", [1, 30, 45], 1, WELL),
    ("confirm", 1, 2, ("kill", 30)),
    ("confirm", [5, 6], 1, WELL),
    ("confirm", 2, 1, ("full", 20)),
    ("report", False, WELL),
    ("save", ("kill", 10)),
    ("save", WELL),
    ("sweep", [1], [5], 2, WELL),
    ("join", 0, 1),
    ("extend", [2, 3, 60], 1, ("ctrl-c", 30)),
    ("sweep", [0, 3], [2], 2, ("broken once", 25)),
]


FEW_STEPS = [
    ("sweep", [0], [2], 1, ("kill", 30)),
    ("resume", 2, ("ctrl-c", 20)),
    ("resume", 1, WELL),
    ("extend", [1, 30], 1, ("full", 20)),
    ("extend", [1, 30], 1, WELL),
    ("confirm", 1, 1, ("broken", 20)),
    ("confirm", 1, 1, WELL),
    ("save", WELL),
]


@pytest.mark.parametrize(
    "static, steps, ways",
    [(False, FEW_STEPS, 3), put((True, STEPS, 10), False)],
    ids=["few", "all"],
)
def test_no_row_is_lost(programs, static, steps, ways):
    """In a brief life, and in one in which everything happens."""
    one = Life()
    try:
        one.settle(static=static, keep=2)
        for name, *given in steps:
            getattr(one, name)(*given)
            one.copies_stay()
    finally:
        one.teardown()
    assert len({*one.cut_short}) >= ways


@pytest.mark.long
def test_no_row_is_lost_in_a_long_life(programs):
    live(Longer, 100, 15)


@pytest.mark.soak
def test_no_row_is_lost_in_other_lives(programs):
    live(Longer, 1000, 15, derandomize=False)


@pytest.mark.long
@pytest.mark.parametrize(
    "module, name, careless",
    [
        (store, "_derived", lambda directory: []),  # a page of another study stays
        (claims, "sweep_up", lambda directory: None),  # what the dead left stays
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_what_is_left_out_is_missed(programs, monkeypatch, module, name, careless):
    """The lives above can end badly."""
    monkeypatch.setattr(module, name, careless)
    # a life whose programs were compiled has other moments when it is lived again: then it is flaky
    with pytest.raises((AssertionError, FlakyFailure)) as caught:
        live(Longer, 100, 15)
    found = caught.value
    assert isinstance(found, AssertionError) or found.subgroup(AssertionError) is not None


@pytest.mark.long
def test_no_row_is_lost_where_processes_are_killed(programs):
    live(Killed, 12, 10)
