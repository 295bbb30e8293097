"""What counts as a hang of an odd input: work without end, or waiting; not a slow machine."""

import os
import time

import pytest
from odd_input import watched


def test_time_that_goes_by_while_others_work_is_no_hang():
    with watched(patience=0.2, idle=10**6, look=0.01):
        time.sleep(0.3)


def test_work_without_end_is_a_hang():
    said = r"no answer after 0\.\d s of the processors"
    with pytest.raises(AssertionError, match=said), watched(patience=0.05, look=0.01):
        while True:
            pass


def test_to_wait_for_what_never_comes_is_a_hang():
    reads, writes = os.pipe()
    try:
        said = "waits for something that does not come"
        with pytest.raises(AssertionError, match=said), watched(idle=3, look=0.01):
            os.read(reads, 1)
    finally:
        os.close(reads)
        os.close(writes)
