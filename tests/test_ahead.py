"""Modules are imported while the compiler works, and no sooner."""

import sys
import threading

import jax
import numpy as np
import pytest

from jaxopt_course.cli.ahead import DRAWING, imported_ahead


@pytest.fixture
def module(tmp_path, monkeypatch):
    """The name of one that nobody has imported."""
    (tmp_path / "drawn_with.py").write_text("import a_module_that_is_not_there")
    (tmp_path / "drawn_too.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    yield "drawn_too"
    sys.modules.pop("drawn_too", None)


def finished(before):
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=60)


def lowered(name):
    function = lambda x: x + 1
    function.__name__ = name
    jax.jit(function).lower(np.float32(1))


def test_they_come_once_the_program_is_lowered(module):
    before = set(threading.enumerate())
    with imported_ahead([module]):
        lowered("seat")
        finished(before)
        assert module not in sys.modules
        lowered("segment")
        finished(before)
        assert module in sys.modules
    del sys.modules[module]
    lowered("segment")
    finished(before)
    assert module not in sys.modules


@pytest.mark.filterwarnings("error")
def test_one_that_fails_is_said_by_who_needs_it(module):
    before = set(threading.enumerate())
    with imported_ahead(["drawn_with", module]):
        lowered("segment")
        finished(before)
    assert module not in sys.modules


def test_the_modules_of_the_report_are_there():
    for name in DRAWING:
        __import__(name)
