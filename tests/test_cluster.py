"""Devices of other processes: they join, die, fall silent, and the table is that of one process."""

import functools

import jax
import numpy as np
import pandas as pd
import pytest
from loopback import Threads
from sweep_to_kill import make_task

import jaxopt_course as joc
from jaxopt_course.sweeps import remote

TRIALS = joc.grid(optimizer=["sgd", "adam"], learning_rate=[1e-3, 0.1, 1e30], seed=range(3))
SETTINGS = {"steps": 120, "batch_size": 3, "evaluate_every": 20, "lanes": 4, "progress": False}


def sweep(cluster=None, **settings):
    one = {"devices": jax.devices()[:1]} if cluster is None else {"cluster": cluster}
    return joc.sweep(make_task(), TRIALS, **(SETTINGS | one | settings))


def same(a, b):
    pd.testing.assert_frame_equal(a.trials, b.trials)
    for name, curve in a.curves.data_vars.items():
        assert curve.to_numpy().tobytes() == b.curves[name].to_numpy().tobytes(), name
    assert a.kept == b.kept
    for trial in a.kept:
        states = jax.tree.map(np.array_equal, a.params(trial), b.params(trial))
        assert jax.tree.all(states)
    assert a.manifest["program_sha256"] == b.manifest["program_sha256"]


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Segments of one interval."""
    monkeypatch.setattr(remote, "SEGMENT_SECONDS", 1e-9)


SCHEDULERS = {
    "none": {},
    "halving": {"scheduler": joc.SuccessiveHalving(min_steps=40)},
    "asha": {"scheduler": joc.ASHA(eta=2, min_steps=20)},
    "median": {"scheduler": joc.MedianStopping()},
    "patience": {"patience": 1},
    "both": {"scheduler": joc.ASHA(eta=2, min_steps=60), "patience": 2},
}
# the first device dies early, the second later, the third is silent for longer than it may be
BAD = {(0, 1): "die", (1, 5): "die", (2, 2): 0.6, (3, 4): 0.4}
lossy = pytest.mark.filterwarnings("ignore:.* is lost .killed.; its rows go to others")


@pytest.fixture(scope="module")
def plain():
    """What one process makes of each, once."""
    return functools.cache(lambda case: sweep(keep=2, **SCHEDULERS[case]))


def test_two_devices_elsewhere_are_one_process(plain):
    study = sweep(Threads(2), keep=2)
    same(study, plain("none"))
    assert sorted(study.events[0]["nodes"]) == ["thread 0", "thread 1"]


@lossy
@pytest.mark.parametrize("case", SCHEDULERS)
def test_devices_die_and_fall_silent_and_nothing_changes(plain, case):
    cluster = Threads(4, BAD, joins=(0.1, 0.2), silent_seconds=0.2)
    study = sweep(cluster, keep=2, **SCHEDULERS[case])
    same(study, plain(case))


@lossy
@pytest.mark.parametrize("seed", range(6))
def test_whoever_dies_whenever(plain, seed, monkeypatch):
    """Also where states come along with every answer, or with few."""
    monkeypatch.setattr(remote, "TELL_SECONDS", [0.0, 0.05, 1e9][seed % 3])
    random = np.random.default_rng(seed)
    fates = [("die", 0.15, 0.3)[i] for i in random.integers(3, size=8)]
    events = {(i, int(random.integers(6))): fate for i, fate in enumerate(fates)}
    cluster = Threads(3, events, joins=np.linspace(0.05, 1, 12), silent_seconds=0.1)
    case = sorted(SCHEDULERS)[seed]
    same(sweep(cluster, keep=2, **SCHEDULERS[case]), plain(case))
