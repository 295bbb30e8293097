"""Nodes of a Ray cluster that cannot take part: each is left out by name, and others do its work.

Ray is played in this process, where a call is answered at once; ``test_ray.py`` has the real one.
"""

import contextlib
import sys
import types
import warnings

import jax
import pandas as pd
import pytest
from sweep_to_kill import make_task

import jaxopt_course as joc
from jaxopt_course.clusters import ray as clusters
from jaxopt_course.sweeps.executor import Executor

TRIALS = joc.grid(optimizer=["sgd", "adam"], learning_rate=[1e-3, 0.1], seed=range(2))
SETTINGS = {"steps": 60, "batch_size": 3, "evaluate_every": 20, "lanes": 4, "progress": False}
FACTS = {
    "ray": "2.50", "jaxopt_course": "0.2 (ours)", "jax": "0.10", "jaxlib": "0.10",
    "devices": "cpu (cpu)", "instructions": "Abacus 3",
}  # fmt: skip


class RayError(Exception):
    pass


class RayTaskError(RayError):
    def __init__(self, cause):
        super().__init__(f"a trace of many lines\n{cause}")
        self.cause = cause


class Node:
    """What an actor does, on a device of this process.

    Args:
        fails: "facts" or "load", which it cannot.
        facts: what it says of itself.
    """

    def __init__(self, fails=None, facts=FACTS):
        self.fails, self.told = fails, facts
        self.executor = Executor(jax.devices()[1])

    def facts(self):
        self._may("facts")
        return self.told if self.told is not FACTS else FACTS | {"platform": "cpu"}

    def load(self, *given):
        self._may("load")
        self.executor.load(*given)

    def work(self, work):
        return self.executor.work(work)

    def _may(self, what):
        if self.fails == what:
            raise MemoryError("no room here")


class Called:
    """``actor.method.remote(...)``, and what ``get`` finds of it."""

    def __init__(self, node, method):
        self.node, self.method, self.error, self.value = node, method, None, None

    def remote(self, *given):
        try:
            self.value = getattr(self.node, self.method)(*given)
        except Exception as error:
            self.error = RayTaskError(error)
        return self


class Handle:
    def __init__(self, name, node):
        self.name, self.node = name, node

    def __getattr__(self, method):
        return Called(self.node, method)


class PlayedRay:
    """As much of the package as a sweep asks for.

    Args:
        first: nodes by name that are there, functions that make them.
        late: those that join once the program is there.
    """

    exceptions = types.SimpleNamespace(
        RayError=RayError, RayTaskError=RayTaskError, ObjectStoreFullError=OSError,
        OutOfDiskError=OSError,
    )  # fmt: skip

    def __init__(self, first, late=None):
        self.first, self.late, self.began = first, late or {}, False
        self.made, self.killed = [], []

    def nodes(self):
        here = [*self.first, *(self.late if self.began else ())]
        facts = {"Alive": True, "Resources": {"CPU": 1.0}}
        return [facts | {"NodeID": name, "NodeManagerHostname": name} for name in here]

    def remote(self, _):
        return self

    def options(self, scheduling_strategy, **_):
        name = scheduling_strategy
        make = (self.first | self.late)[name]

        def one(environment):
            self.made.append(name)
            return Handle(name, make())

        return types.SimpleNamespace(remote=one)

    def put(self, value):
        self.began = True
        return value

    def wait(self, calls, **_):
        return calls, []

    def get(self, call):
        if call.error is not None:
            raise call.error
        return call.value

    def kill(self, actor):
        self.killed.append(actor.name)


class Cluster:
    """``cluster=`` of such a one."""

    def __init__(self, ray, **settings):
        self.ray, self.settings = ray, joc.Ray(**settings)

    @contextlib.contextmanager
    def opened(self, device):
        workers = clusters.RayWorkers(self.ray, self.settings, device)
        workers.start()
        yield workers
        workers.close()


@pytest.fixture(autouse=True)
def played(monkeypatch):
    strategies = types.ModuleType("ray.util.scheduling_strategies")
    strategies.NodeAffinitySchedulingStrategy = lambda node_id, soft: node_id
    for name, module in {
        "ray": types.ModuleType("ray"), "ray.util": types.ModuleType("ray.util"),
        "ray.util.scheduling_strategies": strategies,
    }.items():  # fmt: skip
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(clusters, "facts_of", lambda device: FACTS)
    monkeypatch.setattr(clusters, "LOOK_SECONDS", 0.0)


def sweep(cluster=None):
    where = {"devices": jax.devices()[:1]} if cluster is None else {"cluster": cluster}
    return joc.sweep(make_task(), TRIALS, **SETTINGS, **where)


@pytest.fixture(scope="module")
def plain():
    return sweep()


def test_a_node_that_joins_late_takes_part(plain):
    ray = PlayedRay({"first": Node}, {"late": Node})
    study = sweep(Cluster(ray))
    pd.testing.assert_frame_equal(study.trials, plain.trials)
    assert {*study.events[0]["nodes"]} == {"first (first), device 0", "late (late), device 0"}


OTHER = {"jaxopt_course": "9.9 (theirs)", "jax": FACTS["jax"]}  # which does not say all of it
UNFIT = {
    "its program does not load": (
        lambda: Node("load"),
        r"the node late \(late\), device 0 cannot load the program \(no room here\); it is left",
    ),
    "its package does not answer": (
        lambda: Node("facts"),
        r"the node late \(late\), device 0 cannot say what it is \(no room here\); it is left",
    ),
    "its package is another": (
        lambda: Node(facts=OTHER),
        r"the node late \(late\), device 0 has ray none, not 2.50; jaxopt_course 9.9 \(theirs\), "
        r"not 0.2 \(ours\); .* to the bit; it is left out",
    ),
}


@pytest.mark.parametrize("case", UNFIT)
def test_a_late_node_that_cannot_take_part_is_left_out_by_name(plain, case):
    make, said = UNFIT[case]
    ray = PlayedRay({"first": Node}, {"late": make})
    with pytest.warns(UserWarning, match=said) as told:
        study = sweep(Cluster(ray))
    assert len(told) == 1
    pd.testing.assert_frame_equal(study.trials, plain.trials)
    assert [*study.events[0]["nodes"]] == ["first (first), device 0"]
    assert ray.made == ["first", "late"]  # the late one once, however often it is seen
    assert ray.killed[0] == "late"


def test_a_kind_of_device_that_the_sweep_began_without_is_left_out_mixed_too():
    """Nobody made a program for it."""
    facts = FACTS | {"devices": "gpu (Abacus)", "platform": "gpu"}
    workers = clusters.RayWorkers(PlayedRay({}), joc.Ray(mixed=True), jax.devices()[0])
    workers.platforms = ["cpu"]
    slot = clusters.Slot("late", False, "late")
    slot.actor = Handle("late", Node(facts=facts))
    slot.coming = slot.actor.facts.remote()
    said = "the node late has devices gpu .Abacus., not cpu .cpu.: the sweep began without a gpu"
    with pytest.warns(UserWarning, match=said):
        workers._check(slot, refuse=False)
    assert slot.actor is None and not slot.checked


def test_where_no_node_can_load_the_program_the_sweep_ends_and_says_why():
    ray = PlayedRay({"one": lambda: Node("load"), "two": lambda: Node("load")})
    said = r"no device of the Ray cluster could load the program; on one \(one\), .*: no room here"
    with warnings.catch_warnings(record=True) as told, pytest.raises(RuntimeError, match=said):
        warnings.simplefilter("always")
        sweep(Cluster(ray))
    assert [str(one.message)[:12] for one in told] == ["the node one", "the node two"]


def test_a_node_that_is_there_from_the_start_and_does_not_answer_is_refused():
    ray = PlayedRay({"one": lambda: Node("facts")})
    with pytest.raises(RuntimeError, match=r"the node one \(one\), device 0: no room here"):
        sweep(Cluster(ray))
    assert not ray.began
