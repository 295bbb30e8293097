"""The disk refuses at any moment: the old study is there, or the new one, and whoever asks is told.

``failing_disk.Refusals`` lets the n-th file operation fail, for all n, once and from there on; what
a reader finds, at once and when the disk works again, is compared with what had been said by then.
"""

import contextlib
import errno
import itertools
import os
import warnings

import pytest
from failing_disk import Refusals
from long_form import only
from written_studies import (
    MAY_BE,
    Seen,
    allowed,
    begin,
    found,
    goes_on,
    grow,
    grown,
    parsed_once,
    reached,
    seen,
    study,
    sweep_and_end,
    two_buckets,
    write_three,
    wrong,
)

from jaxopt_course.records import checkpoints, claims, files, store
from jaxopt_course.records.format import COMMIT
from jaxopt_course.records.store import SEALED

CODES = (errno.ENOSPC, errno.EACCES, errno.EIO)
HOW = pytest.mark.parametrize(  # each error, once and from there on; of the six three by default
    "once, code",
    only(
        [(True, errno.ENOSPC), (False, errno.EACCES), (True, errno.EIO)],
        [(once, code) for code in CODES for once in (True, False)],
    ),
    ids=lambda one: {True: "once", False: "from there on"}.get(one) or errno.errorcode[one],
)
EVERY = pytest.mark.parametrize("every", only([61], [61, 1]))  # the long form tries all
LONG = pytest.mark.parametrize("every", only([], [1]))
NOTHING = ((None, None, None), Seen(), (None, Seen()))  # is found


@pytest.fixture(scope="module", autouse=True)
def quickly():
    with parsed_once():
        yield


class Listener:
    said = None

    def say(self, anything):
        self.said = anything


def refused(tmp_path, act, code, number, once, find=found):
    """What had been said, whether it was refused, what a reader finds then, and afterwards."""
    directory, listener = tmp_path / f"{number}" / "study", Listener()
    directory.parent.mkdir()
    told = False
    with Refusals(directory, code, number, once).at_work() as disk:
        try:
            act(directory, listener)
        except OSError as error:
            assert error.errno == code
            told = True
        meanwhile = find(directory)
    return listener.said, told, meanwhile, directory, disk


def outcomes_of(tmp_path, act, code, once, every, find=found):
    """For the operations by their number: (said, what is found, and after a writer)."""
    *_, disk = refused(tmp_path, act, code, None, once, find)
    outcomes = []
    # an odd start, so that each of the errors meets others
    for number in range((code + once) % every, disk.done, every):
        said, told, first, there, _ = refused(tmp_path, act, code, number, once, find)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".* is damaged; the sweep goes on from the snapshot")
            with claims.claimed(there) if first in NOTHING else claims.held(there):
                again = find(there)
                assert not [*there.rglob(f"*{files.PARTIAL}"), *there.rglob(COMMIT)]
                outcomes.append((said, first, again))
                if told:  # and the next one can be written
                    checkpoints.forget(there)
                    store.write(there, study(0.9))
                    assert found(there) == (0.9, None, None)
    return disk.done, outcomes


@HOW
@EVERY
def test_a_study_is_the_old_one_or_the_new_one(tmp_path, code, once, every):
    count, outcomes = outcomes_of(tmp_path, write_three, code, once, every)
    assert [one for one in outcomes if one[1] != one[2]] == []
    assert wrong(outcomes) == []
    assert count > 40
    if every == 1:
        possible = {(*one, None) for ones in MAY_BE.values() for one in ones}
        assert {one for _, one, _ in outcomes} <= possible


@HOW
@EVERY
def test_a_sweep_goes_on_from_the_last_snapshot_that_was_said(tmp_path, code, once, every):
    count, outcomes = outcomes_of(tmp_path, sweep_and_end, code, once, every)
    assert [one for one in outcomes if one[1] != one[2] or not allowed(*one[:2])] == []
    assert count > 60


@HOW
@LONG
def test_weights_and_pages_are_of_the_study_that_is_there(tmp_path, code, once, every):
    count, outcomes = outcomes_of(tmp_path, grow, code, once, every, seen)
    for said, first, again in outcomes:
        assert grown(said, first, tidy=False), (said, first)
        assert grown(said, again, tidy=True), (said, again)
        assert first[:4] == again[:4]
    assert count > 100


@HOW
@LONG
def test_each_bucket_goes_on_from_where_it_was_said_to_be(tmp_path, code, once, every):
    count, outcomes = outcomes_of(tmp_path, two_buckets, code, once, every, reached)
    assert [one for one in outcomes if one[1] != one[2] or not goes_on(*one[:2])] == []
    assert count > 60


def test_who_is_interrupted_right_after_the_commit_leaves_none(tmp_path, monkeypatch):
    directory, replace = tmp_path / "study", os.replace
    begin(directory)
    store.write(directory, study(0.5))

    def replace_and_interrupt(source, target):
        replace(source, target)
        if target.name == COMMIT:
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", replace_and_interrupt)
    with pytest.raises(KeyboardInterrupt):
        store.write(directory, study(0.7))
    assert found(directory) == (0.5, None, None)
    assert {file.name for file in directory.iterdir()} == {*SEALED, ".study.json"}


@pytest.mark.long
def test_a_refusal_that_is_swallowed_would_be_found(tmp_path, monkeypatch):
    """The tests above can fail."""
    plain = files.replace_bytes

    def careless(target, content):
        with contextlib.suppress(OSError):
            plain(target, content)

    monkeypatch.setattr(files, "replace_bytes", careless)
    *_, disk = refused(tmp_path, write_three, errno.ENOSPC, None, True)
    for number in range(disk.done - 1, 0, -1):  # what is lost early, a later write mends
        said, _, now, *_ = refused(tmp_path, write_three, errno.ENOSPC, number, True)
        if wrong([(said, now)]):
            return
    pytest.fail("nothing was found")


def test_the_disk_counts_and_refuses(tmp_path):
    for code, once in itertools.product((errno.ENOSPC, errno.EIO), (True, False)):
        file = tmp_path / "a"
        file.write_bytes(b"x")
        with Refusals(tmp_path, code, 1, once).at_work() as disk:
            with pytest.raises(OSError, match="a") as caught:
                file.write_bytes(b"y")
            assert caught.value.errno == code and file.read_bytes() == b""
            if not once and code == errno.EIO:
                with pytest.raises(OSError):
                    file.unlink()
            else:
                file.unlink()
        assert disk.done == (3 if code == errno.EIO else 2)
