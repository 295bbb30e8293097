"""SIGTERM ends a compilation as Ctrl-C does, where nobody else has a use for it."""

import os
import signal
import threading
import time

import pytest

from jaxopt_course.sweeps.interrupts import Stop, terminable


@pytest.fixture
def default():
    """SIGTERM as a program finds it that has done nothing about it."""
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGTERM, before)


def test_sigterm_is_a_ctrl_c_inside_and_nothing_afterwards(default):
    with pytest.raises(KeyboardInterrupt), terminable():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)  # until it is delivered
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.parametrize("theirs", [signal.SIG_IGN, lambda *_: None])
def test_who_handles_or_ignores_it_goes_on_doing_so(default, theirs):
    signal.signal(signal.SIGTERM, theirs)
    with terminable():
        assert signal.getsignal(signal.SIGTERM) is theirs


def test_other_threads_leave_it_alone(default):
    seen = []

    def run():
        with terminable():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [signal.SIG_DFL]


def test_a_ctrl_c_inside_asks_to_end_and_the_next_one_ends():
    stop = Stop()
    with stop.catching():
        raise KeyboardInterrupt
    assert stop.is_set()
    with pytest.raises(KeyboardInterrupt), stop.catching():
        raise KeyboardInterrupt
