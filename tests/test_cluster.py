"""Devices of other processes: they join, die, fall silent, and the table is that of one process."""

import dataclasses
import functools
import pickle
import threading

import jax
import numpy as np
import pandas as pd
import pytest
from long_form import only
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


@pytest.mark.long
def test_two_devices_elsewhere_are_one_process(plain):
    study = sweep(Threads(2), keep=2)
    same(study, plain("none"))
    assert sorted(study.events[0]["nodes"]) == ["thread 0", "thread 1"]


@lossy
@pytest.mark.parametrize("case", only(["none"], SCHEDULERS))
def test_devices_die_and_fall_silent_and_nothing_changes(plain, case):
    cluster = Threads(4, BAD, joins=(0.1, 0.2), silent_seconds=0.2)
    study = sweep(cluster, keep=2, **SCHEDULERS[case])
    same(study, plain(case))


@lossy
@pytest.mark.parametrize("seed", only([1, 3], range(6)))  # both, median
def test_whoever_dies_whenever(plain, seed, monkeypatch):
    """Also where states come along with every answer, or with few."""
    monkeypatch.setattr(remote, "TELL_SECONDS", [0.0, 0.05, 1e9][seed % 3])
    random = np.random.default_rng(seed)
    fates = [("die", 0.15, 0.3)[i] for i in random.integers(3, size=8)]
    events = {(i, int(random.integers(6))): fate for i, fate in enumerate(fates)}
    cluster = Threads(3, events, joins=np.linspace(0.05, 1, 12), silent_seconds=0.1)
    case = sorted(SCHEDULERS)[seed]
    same(sweep(cluster, keep=2, **SCHEDULERS[case]), plain(case))


def odd_task(called=False):
    """A task that no pickle can hold, as its functions hold a lock; it may call back to Python."""
    lock, task = threading.Lock(), make_task()

    def loss(*arguments):
        with lock:
            found = task.loss(*arguments)
        if called:
            jax.debug.print("{x}", x=found[0])
        return found

    return dataclasses.replace(task, loss=loss)


@pytest.mark.long
def test_a_task_that_cannot_be_pickled_is_trained_elsewhere_as_here(plain):
    with pytest.raises((TypeError, AttributeError)):
        pickle.dumps(odd_task())
    study = joc.sweep(odd_task(), TRIALS, keep=2, cluster=Threads(2), **SETTINGS)
    same(study, plain("none"))


class Nobody:
    """A cluster that must not be asked."""

    def opened(self, device):
        raise AssertionError("work began")


@pytest.mark.long
def test_a_program_that_calls_back_is_refused():
    with pytest.raises(ValueError, match="the program cannot leave its process, as one that calls"):
        joc.sweep(odd_task(called=True), TRIALS, cluster=Threads(1), **SETTINGS)


def test_a_stream_is_refused_before_anything_is_asked(tmp_path):
    batch = {"x": np.ones((3, 4), np.float32), "y": np.ones(3, np.int32)}
    stream = joc.stream(lambda step: (batch["x"], batch["y"]))
    x, y = np.ones((6, 4), np.float32), np.array([0, 1] * 3)
    task = joc.Task.from_flax(
        lambda rngs: joc.MLP(4, 2, rngs=rngs), stream, valid=(x, y), test=(x, y),
        loss="softmax_cross_entropy", name="endless",
    )  # fmt: skip
    settings = {"steps": 4, "evaluate_every": 2, "progress": False}
    with pytest.raises(ValueError, match=r"the task 'endless' is a stream, .* data are arrays"):
        joc.sweep(task, TRIALS, cluster=Nobody(), directory=tmp_path / "a", **settings)
    assert not (tmp_path / "a").exists()


def test_what_is_no_cluster_or_twice_said_is_refused():
    with pytest.raises(ValueError, match="either cluster= or devices=, not both"):
        sweep(Nobody(), devices=jax.devices()[:1])
    for cluster in (joc.Ray, "auto"):
        with pytest.raises(TypeError, match=r'cluster must be one such as joc.Ray\(address="auto"'):
            sweep(cluster)


@pytest.mark.long
@pytest.mark.parametrize("loaded", only([False], [False, True]))
def test_what_was_swept_elsewhere_is_confirmed_and_extended_here(tmp_path, loaded):
    """As a study of one process is; there is no ``cluster=`` for it."""
    more = joc.grid(optimizer=["adam"], learning_rate=[0.03], seed=range(3))
    grown = []
    for name, cluster in {"there": Threads(2), "here": None}.items():
        study = sweep(cluster, directory=tmp_path / name)
        again = {}
        if loaded:
            study, again = joc.Study.load(tmp_path / name), {"task": make_task()}
        fresh = study.confirm(2, progress=False, **again)
        grown.append((fresh, study.extend(more, progress=False, **again)))
    for there, here in zip(*grown, strict=True):
        pd.testing.assert_frame_equal(there.trials, here.trials)
    with pytest.raises(TypeError, match="unexpected keyword argument 'cluster'"):
        study.confirm(2, cluster=Threads(2))
