"""A Ray cluster of this machine: nodes of one device each, killed and joined while a sweep runs.

In an environment of its own: ``.ci/run cluster``.
"""

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pytest
from sweep_to_kill import make_task

import jaxopt_course as joc
from jaxopt_course.sweeps import remote

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::RuntimeWarning"),
    pytest.mark.filterwarnings("ignore:.* is lost .*; its rows go to others"),
    pytest.mark.filterwarnings("ignore:no device of the cluster is left, the sweep waits"),
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning"),
]
TRIALS = joc.grid(optimizer=["sgd", "adam"], learning_rate=[1e-3, 0.1, 1e30], seed=range(4))
SETTINGS = {"steps": 200_000, "batch_size": 3, "evaluate_every": 10_000, "lanes": 4}
HALVING = joc.SuccessiveHalving(min_steps=50_000)
MIB = 2**20


def sweep(cluster=None, **settings):
    where = {"devices": jax.devices()[:1]} if cluster is None else {"cluster": cluster}
    return joc.sweep(make_task(), TRIALS, progress=False, **(SETTINGS | where | settings))


def at(nodes, **more):
    """The cluster; a busy machine takes its time to start processes."""
    return joc.Ray(address=peopled(nodes), start_seconds=900, **more)


def peopled(nodes):
    """The address, behind which is a node at least, also where a test runs alone."""
    if not nodes.worker_nodes:
        nodes.one_more()
    return nodes.address


def same(a, b):
    pd.testing.assert_frame_equal(a.trials, b.trials)
    for name, curve in a.curves.data_vars.items():
        assert curve.to_numpy().tobytes() == b.curves[name].to_numpy().tobytes(), name


@pytest.fixture(scope="module")
def nodes():
    """A head without devices, which stays, and what adds nodes."""
    import ray
    from ray.cluster_utils import Cluster

    def patient(make):
        """Ray gives a node 30 seconds to start, which a busy machine may need more than once."""
        for _ in range(3):
            with contextlib.suppress(Exception):
                return make()
        return make()

    # without agents of the dashboard: a raylet waits 15 s for these to start, and then dies
    ray._private.utils.get_dashboard_dependency_error = lambda: ImportError("not wanted here")
    room = {"object_store_memory": 80 * MIB}
    head = {"num_cpus": 0, "include_dashboard": False, **room}
    made = patient(lambda: Cluster(initialize_head=True, head_node_args=head))
    made.one_more = lambda **more: patient(lambda: made.add_node(num_cpus=1, **room, **more))
    yield made
    ray.shutdown()
    made.shutdown()


@pytest.fixture(scope="module")
def plain():
    return sweep(scheduler=HALVING)


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(remote, "SEGMENT_SECONDS", 0.05)


def test_two_nodes_are_one_process(nodes, plain):
    for _ in range(2):
        nodes.one_more()
    study = sweep(at(nodes), scheduler=HALVING)
    same(study, plain)
    assert len(study.events[0]["nodes"]) == 2


def test_a_node_dies_and_another_joins(nodes, plain, short):
    dying = nodes.one_more()
    read = []

    def hear(readings):
        if not read:
            nodes.remove_node(dying, allow_graceful=False)
            nodes.one_more()
        read.extend((one.trial, one.step) for one in readings)

    study = sweep(at(nodes), scheduler=HALVING, on_reading=hear)
    same(study, plain)
    assert len(set(read)) == len(read)  # none is told twice


def actors(nodes):
    """The processes of this cluster's actors, the oldest first."""
    raylets = {str(one.all_processes["raylet"][0].process.pid) for one in nodes.list_all_nodes()}
    listed = ["ps", "-eo", "pid,ppid,args", "--sort=start_time"]
    found = subprocess.run(listed, capture_output=True, text=True).stdout.splitlines()[1:]
    lines = [line.split(None, 2) for line in found]
    ours = [one for one in lines if one[1] in raylets and one[2].startswith("ray::Actor")]
    return [int(pid) for pid, *_ in ours]


def test_actors_are_killed_and_made_again(nodes, plain, short):
    """By SIGKILL, up to ten times: the one that is longest there, after somebody has trained."""
    random, heard, done = np.random.default_rng(0), threading.Event(), threading.Event()
    killed = []

    def kill():
        while len(killed) < 10:
            heard.clear()
            while not heard.wait(0.1):
                if done.is_set():
                    return
            if done.wait(random.uniform(0.0, 0.5)):
                return
            if ours := actors(nodes):
                os.kill(ours[0], signal.SIGKILL)
                killed.append(ours[0])

    killer = threading.Thread(target=kill)
    killer.start()
    told = lambda readings: heard.set()
    try:
        cluster = at(nodes)
        study = sweep(cluster, scheduler=HALVING, steps=200_000, on_reading=told)
    finally:
        done.set()
        killer.join()
    assert killed
    same(study, plain)


SWEEP = """
import sys
from test_ray import HALVING, make_task, sweep
import jaxopt_course as joc
from jaxopt_course.sweeps import engine, program, remote

program.CPU_EFFORT = ({}, {})  # the compiler's, as conftest.py has it where this goes on
engine.SAVE_SECONDS, remote.TELL_SECONDS, remote.SEGMENT_SECONDS = 0.0, 0.0, 0.05
told = lambda readings: (print("told", flush=True), sys.stdin.readline())
more = {"directory": sys.argv[2], "on_reading": told}
more["cluster"] = joc.Ray(address=sys.argv[1], start_seconds=900)
try:
    joc.Study.resume(task=make_task(), progress=False, **more)
except FileNotFoundError:
    sweep(scheduler=HALVING, overwrite=True, **more)
"""


def driver(nodes, directory, stdin=subprocess.DEVNULL):
    """A process that sweeps or goes on, and says "told" at each reading; then it reads a line."""
    arguments = [sys.executable, "-W", "ignore", "-c", SWEEP, peopled(nodes), str(directory)]
    path = f"{Path(__file__).parent}:{Path(__file__).parent.parent}"
    environment = os.environ | {"PYTHONPATH": path}
    return subprocess.Popen(arguments, stdin=stdin, stdout=subprocess.PIPE, env=environment)


@pytest.mark.parametrize("with_ray", [False, True])
def test_the_driver_is_killed_and_resumed(nodes, plain, tmp_path, with_ray):
    directory = tmp_path / "study"
    with driver(nodes, directory, subprocess.PIPE) as process:
        process.stdin.write(b"\n\n")
        process.stdin.flush()
        for _ in range(3):  # at the third it waits
            assert process.stdout.readline() == b"told\n"
        with pytest.raises(BlockingIOError, match="another process"):
            sweep(directory=directory, overwrite=True)
        process.kill()
    where = {"devices": jax.devices()[:1]}
    if with_ray:
        where = {"cluster": at(nodes)}
    study = joc.Study.resume(directory, task=make_task(), progress=False, **where)
    same(study, plain)


@pytest.mark.soak
def test_thirty_random_kills(nodes, plain, tmp_path):
    """Actors, nodes and drivers, each as soon as somebody has trained again; ``-m soak``."""
    random, expected = np.random.default_rng(17), plain.save(tmp_path / "plain")
    fates = random.permutation(["actor"] * 12 + ["node"] * 9 + ["driver"] * 9).tolist()
    mortal = [nodes.one_more() for _ in range(2)]
    killed, studies, process, heard = [], 0, None, threading.Event()

    def hear(stream):
        for _ in stream:
            heard.set()

    while fates:
        if process is None:
            directory = tmp_path / f"study-{studies}"
            process = driver(nodes, directory)
            threading.Thread(target=hear, args=(process.stdout,), daemon=True).start()
        heard.clear()
        while not heard.wait(0.1) and process.poll() is None:
            pass
        time.sleep(random.uniform(0.0, 1.0))
        if process.poll() is not None:  # it is over before all fates have come: another one
            assert process.returncode == 0
            same(joc.Study.load(directory), joc.Study.load(expected.directory))
            process, studies = None, studies + 1
            continue
        fate = fates.pop()
        if fate == "driver":
            process.kill()
            process.wait()
            process = None
        elif fate == "node":
            nodes.remove_node(mortal.pop(0), allow_graceful=False)
            mortal.append(nodes.one_more())
        elif ours := actors(nodes):
            os.kill(random.choice(ours), signal.SIGKILL)
        else:  # none lives at this moment
            fates.append(fate)
            continue
        killed.append(fate)
        print(len(killed), fate, f"in study {studies}", flush=True)
    if process is None:
        process = driver(nodes, directory)
        process.communicate()
    assert process.wait() == 0
    same(joc.Study.load(directory), joc.Study.load(expected.directory))
    assert len(killed) == 30


def test_the_command_on_nodes_is_the_command_here(nodes, tmp_path):
    nodes.one_more()
    asked = ["compare", "--task", "wine", "--optimizers", "sgd", "adam", "--trials", "4"]
    asked += ["--seeds", "2", "--epochs", "5", "--confirm", "2", "--lanes", "4"]
    for more in ([], ["--ray", peopled(nodes)]):
        out = ["--out", str(tmp_path / f"study-{len(more)}")]
        command = [sys.executable, "-W", "ignore", "-m", "jaxopt_course", *asked, *more, *out]
        subprocess.run(command, check=True, cwd=Path(__file__).parent.parent)
    here, there = (joc.Study.load(tmp_path / f"study-{n}") for n in (0, 2))
    same(there, here)
    assert sum(there.events[0]["nodes"].values()) and "nodes" not in here.events[0]


def test_other_code_on_a_node_is_refused_by_name(nodes, monkeypatch):
    from jaxopt_course.clusters import actor

    nodes.one_more()
    monkeypatch.setattr(actor, "source_sha256", lambda: "0" * 64)
    with pytest.raises(ValueError, match=r"the node .* has jaxopt_course .*, not .*000\): its"):
        sweep(at(nodes))


OTHER = """
import json, os, pathlib
from jaxopt_course.clusters import actor
from jaxopt_course.records import programs

facts = json.loads(os.environ["MADE_UP"])
programs.CPUINFO = pathlib.Path(__file__).with_name("cpuinfo")
real = actor.facts_of
actor.facts_of = lambda device: real(device) | facts
"""


@pytest.fixture
def made_up(nodes, tmp_path, monkeypatch):
    """What adds a node whose processes say, by their sitecustomize.py, that they are another.

    It is heard before any work begins: a sweep gives it a second, and leaves out who takes longer.
    """
    monkeypatch.setattr("jaxopt_course.clusters.ray.OTHERS_SECONDS", 900.0)
    (tmp_path / "sitecustomize.py").write_text(OTHER)
    (tmp_path / "cpuinfo").write_text("model name : Abacus 3\nflags : beads rods\n")
    added = []

    def make(**facts):
        path = f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"
        variables = {"PYTHONPATH": path, "MADE_UP": json.dumps(facts)}
        added.append(nodes.one_more(env_vars=variables))

    yield make
    for node in added:
        nodes.remove_node(node)


@pytest.fixture
def together(monkeypatch):
    """Devices get their first rows when all have loaded the program, so that each has a turn."""
    from jaxopt_course.clusters.ray import RayWorkers

    joined, early = RayWorkers.joined, []

    def all_of_them(workers):
        early.extend(joined(workers))
        if not all(slot.loaded for slot in workers._slots.values()):
            return []
        ready, early[:] = list(early), []
        return ready

    monkeypatch.setattr(RayWorkers, "joined", all_of_them)


def test_other_instructions_are_refused_by_name_or_mixed(nodes, made_up, together, plain, tmp_path):
    for node in [*nodes.worker_nodes]:
        nodes.remove_node(node)
    nodes.one_more()
    made_up()
    told = r"the node .* has instructions Abacus 3, features \w+, not .*joc.Ray\(mixed=True\)"
    with pytest.raises(ValueError, match=told):
        sweep(at(nodes))
    study = sweep(at(nodes, mixed=True), directory=tmp_path / "study")
    manifest = joc.Study.load(study.directory).manifest
    assert manifest["repeatable"] is False
    kinds = {e["instructions"].partition(",")[0]: e["alike"] for e in manifest["mixed"]}
    assert kinds.pop("Abacus 3") is False and all(kinds.values())
    ran = [n for e in manifest["mixed"] for a, b in e["trials"] for n in range(a, b + 1)]
    assert {*ran} == {*range(len(TRIALS))}
    here = sweep()
    assert study.trials["status"].tolist() == here.trials["status"].tolist()
    np.testing.assert_allclose(study.trials["valid_loss"], here.trials["valid_loss"], rtol=1e-3)
    again = study.replay(0)
    assert not again.exact and not again.different


CANNOT = """
from jaxopt_course.clusters import actor

def load(self, *_):
    raise MemoryError("no room here")

actor.Actor.load = load
"""


def test_a_late_node_that_cannot_load_the_program_is_left_out(nodes, plain, short, tmp_path):
    """Its processes fail in ``load``, by their sitecustomize.py; others do its work."""
    (tmp_path / "sitecustomize.py").write_text(CANNOT)
    path = f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"
    late, longer = [], SETTINGS["steps"]

    def hear(_):
        if not late:
            late.append(nodes.one_more(env_vars={"PYTHONPATH": path}))

    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            for _ in range(6):  # until the sweep is long enough for the node to come
                study = sweep(at(nodes), scheduler=HALVING, on_reading=hear, steps=longer)
                if any("cannot load the program (no room here)" in str(w.message) for w in told):
                    break
                longer *= 2
            else:
                pytest.fail("nobody was left out")
    finally:
        nodes.remove_node(late[0])
    same(study, plain if longer == SETTINGS["steps"] else sweep(scheduler=HALVING, steps=longer))


@pytest.mark.parametrize("fact", ["ray", "jaxopt_course"])
def test_another_ray_or_other_code_is_refused_mixed_too(nodes, made_up, fact):
    made_up(**{"jax": "0.11.0", fact: "2.51.0"})
    with pytest.raises(
        ValueError, match=f"the node .* has {fact} 2.51.0, not .*jax 0.11.0"
    ) as told:
        sweep(at(nodes, mixed=True))
    assert "mixed=True" not in str(told.value)


def test_a_cluster_of_another_ray_is_no_cluster_that_does_not_answer(monkeypatch):
    import ray

    from jaxopt_course.clusters import connect

    said = "Version mismatch: The cluster was started with:\n    Ray: 2.51.0\n    Python: 3.11.7\n"

    def init(**_):
        raise RuntimeError(said)

    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(ValueError, match=r"cluster at 'local' is another: Version .* Ray: 2.51.0"):
        connect.connect(ray, "local")


@pytest.mark.parametrize("error", ["ObjectStoreFullError", "OutOfDiskError"])
def test_a_full_object_store_is_said(monkeypatch, error):
    """Of Ray's two errors, as a store that is full spills to disk first."""
    import ray

    from jaxopt_course.clusters.ray import RayWorkers

    def put(value):
        raise getattr(ray.exceptions, error)("full")

    monkeypatch.setattr(ray, "put", put)
    workers = RayWorkers(ray, joc.Ray(), jax.devices()[0])
    with pytest.raises(MemoryError, match=r"no room for the data \(3 MiB\), .*--object-store"):
        workers.begin(None, [np.zeros(3 * MIB, np.uint8)], 1)


def test_data_beyond_the_store_are_spilled_and_trained(nodes):
    nodes.one_more()
    large = dataclasses.replace(make_task(), name="large")
    part = {"x": np.linspace(-1, 1, 25 * MIB, dtype=np.float32)}  # 100 MiB; the stores have 80
    part["y"] = part["x"][:1].repeat(len(part["x"]))
    large = dataclasses.replace(large, train=part)
    settings = {"steps": 20, "evaluate_every": 10}
    there = joc.sweep(large, TRIALS, cluster=at(nodes), batch_size=3,
                      lanes=4, progress=False, **settings)  # fmt: skip
    here = joc.sweep(large, TRIALS, devices=jax.devices()[:1], batch_size=3, lanes=4,
                     progress=False, **settings)  # fmt: skip
    same(there, here)


def test_an_address_nobody_answers_is_refused(nodes):
    import ray

    ray.shutdown()
    begun = time.monotonic()
    for address in ("127.0.0.1:1", "no-such-host.invalid:6379", "127.0.0.1:99999"):
        with pytest.raises(ConnectionError, match=f"no Ray cluster answers at '{address}'"):
            sweep(joc.Ray(address=address))
    assert time.monotonic() - begun < 60  # Ray's own patience is minutes
