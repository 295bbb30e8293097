"""The plan chooses as it should from given probes, tells the truth about memory, and is obeyed."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import jax
import numpy as np
import pandas as pd
import pytest

import jaxopt_course as joc
from jaxopt_course import cli
from jaxopt_course.studies import sweep as sweeping
from jaxopt_course.studies.plan import Plans, _ask, widths_of
from jaxopt_course.sweeps import plan as planning
from jaxopt_course.sweeps import probes
from jaxopt_course.sweeps.lanes import Rhythm
from jaxopt_course.sweeps.memory import Memory, fit_memory
from jaxopt_course.sweeps.plan import APART, CHUNKS, SEQUENTIAL, VMAP, Load
from jaxopt_course.sweeps.probes import Probe, Prober, shorten
from jaxopt_course.tables.buckets import split

MEMORY = Memory(base=1000, each=100, limit=100_000)


def probe(lanes, rate, seat=0.0):
    """A device that trains ``rate`` trial-steps a second at this width."""
    return Probe(lanes, lanes / rate, seat, MEMORY.bytes(lanes), 1.0)


def climb(rates, widest, default=None):
    """What is probed of a machine with these speeds; ``default`` elsewhere."""
    measure = lambda lanes: probe(lanes, rates.get(lanes, default))
    return planning.climb([measure(1), measure(2)], measure, widest)


def choose(probes, groups=(64,), devices=2, memory=MEMORY, steps=1000):
    return planning.choose(probes, memory, Load(tuple(groups), steps, devices), {})


class TestClimb:
    def test_stops_two_widths_after_the_knee(self):
        rates = {1: 100, 2: 190, 8: 500, 16: 700, 32: 720}
        assert [one.lanes for one in climb(rates, 256, 600)] == [1, 2, 8, 16, 32, 64]

    def test_goes_on_as_long_as_it_gains(self):
        rates = {w: 100 * w for w in (1, 2, 8, 16, 32, 64, 100)}
        assert [one.lanes for one in climb(rates, 100)] == [1, 2, 8, 16, 32, 64, 100]

    def test_small_gains_add_up(self):
        rates = {1: 100, 2: 100, 8: 104, 16: 108, 32: 112, 64: 116, 128: 100}
        assert 128 in [one.lanes for one in climb(rates, 512, 90)]

    def test_slow_widths_below_a_chunk_do_not_end_it(self):
        assert 16 in [one.lanes for one in climb({1: 100, 2: 50}, 64, 10)]

    @pytest.mark.parametrize("widest, expected", [(0, [1]), (1, [1]), (2, [1, 2]), (5, [1, 2, 5])])
    def test_tries_nothing_wider_than_fits(self, widest, expected):
        assert [one.lanes for one in climb({}, widest, 10)] == expected


class TestChoose:
    def test_the_least_time_wins_and_the_others_say_why(self):
        plan = choose([probe(1, 100), probe(2, 190), probe(8, 400), probe(16, 300)])
        assert (plan.strategy, plan.lanes, plan.bytes) == (CHUNKS, 8, 1800)
        # 32 trials a device: 4 waves of 8 lanes, 1000 steps of 8 / 400 s
        assert plan.seconds - plan.compile_seconds == pytest.approx(4 * 1000 * 8 / 400)
        assert plan.rate == pytest.approx(800)
        reasons = {one.lanes: one.reason for one in plan.losers}
        assert reasons[1].endswith("4.00x the time") and "600 trial-steps/s" in reasons[16]
        assert reasons[32] == "not tried: 16 lanes are no faster than fewer"

    def test_a_wave_that_is_half_empty_takes_as_long_as_a_full_one(self):
        plan = choose([probe(8, 400), probe(16, 420)], groups=[18], devices=1)
        assert plan.lanes == 8  # 3 waves of 20 s beat 2 of 38 s

    @pytest.mark.parametrize("lanes, chosen", [((1, 8, 16), 8), ((2, 16, 32), 16), ((1, 2, 6), 6)])
    def test_of_equals_the_one_next_to_eight_lanes(self, lanes, chosen):
        """The host pays for each call, and the cache for each lane; probes know neither."""
        rates = np.linspace(100, 102, len(lanes))
        probes = [probe(n, rate) for n, rate in zip(lanes, rates, strict=True)]
        assert choose(probes, groups=[96], devices=1).lanes == chosen

    def test_groups_do_not_share_calls(self):
        one, eight = probe(1, 100), probe(8, 300)
        assert choose([one, eight], groups=[8], devices=1).lanes == 8
        assert choose([one, eight], groups=[1] * 8, devices=1).lanes == 1

    @pytest.mark.parametrize(
        "groups, devices, widest", [((64,), 2, 32), ((9, 5), 2, 9), ((7,), 1, 7)]
    )
    def test_devices_share_a_group_where_there_are_more_of_them(self, groups, devices, widest):
        assert Load(groups, 10, devices).widest == widest

    def test_seating_counts(self):
        quick, wide = probe(8, 400, seat=100.0), probe(32, 390, seat=100.0)
        assert choose([quick, wide], devices=1).lanes == 32

    @pytest.mark.parametrize("fast, strategy", [(1, SEQUENTIAL), (8, CHUNKS), (32, VMAP)])
    def test_names_of_strategies(self, fast, strategy):
        plan = choose([probe(w, 1000 if w == fast else 100) for w in (1, 8, 32)])
        assert plan.strategy == strategy
        assert {one.strategy for one in plan.losers} == {SEQUENTIAL, CHUNKS, VMAP} - {strategy}

    def test_what_does_not_fit_says_so(self):
        memory = MEMORY._replace(limit=2000)
        assert memory.lanes == 10
        plan = choose([probe(1, 10), probe(8, 80)], memory=memory)
        assert plan.losers[-1][1:] == (32, "does not fit: 4.1 KiB of 2.0 KiB")

    def test_not_even_one_fits(self):
        one, two = probe(1, 1), probe(2, 1)
        with pytest.raises(ValueError, match=r"one trial needs 1\.1 KiB.*smaller batch_size"):
            fit_memory(one, two, 1000)

    def test_memory_is_the_line_through_two_widths(self):
        one, two = probe(1, 1)._replace(bytes=1100), probe(2, 1)._replace(bytes=1350)
        memory = fit_memory(one, two, 5000)
        assert memory == Memory(base=850, each=250, limit=5000)
        assert [memory.bytes(n) for n in (1, 2, 8)] == [1100, 1350, 2850] and memory.lanes == 16
        assert fit_memory(two, one, 5000) == Memory(base=1350, each=0, limit=5000)

    @pytest.mark.parametrize("compiling, verdict", [(0.1, "less; not run by sweep"), (9.0, "more")])
    def test_one_program_an_optimizer_is_weighed(self, compiling, verdict):
        plan = choose([probe(1, 100), probe(8, 400)], groups=[32, 32])
        alone = probe(8, 500)._replace(compile_seconds=compiling)
        after = planning.weigh_apart(plan, alone)
        assert after.losers[-1].strategy == APART and verdict in after.losers[-1].reason
        assert (after.lanes, after.seconds) == (plan.lanes, plan.seconds)

    def test_near_ones_are_timed_again(self):
        probes = [probe(1, 100), probe(8, 400), probe(16, 410)]
        asked = []
        again = lambda one: asked.append(one.lanes) or (probe(8, 500) if one.lanes == 8 else one)
        settled = planning.settle(probes, again, Load((64,), 10, 1))
        assert choose(settled).lanes == 8
        assert settled[0] == probes[0]
        assert {*asked} == {8, 16}  # who is far behind is not worth the time

    def test_a_plan_says_it_all(self):
        text = str(choose([probe(1, 100), probe(8, 400)]))
        for words in ("chunks: 8 lane(s)", "1.8 KiB", "800 trial-steps/s", "81.0 s", SEQUENTIAL):
            assert words in text


@pytest.mark.parametrize("steps, every", [(1000, 100), (990, 100), (50, 50)])
def test_short_rhythms_keep_what_the_program_looks_like(steps, every):
    rhythm = Rhythm(steps, 10, every, 5.0)
    short = shorten(rhythm, 32)
    assert (short.intervals, short.whole) == (rhythm.intervals, rhythm.whole)
    assert short.evaluate_every == 32 and short.diverges_above == 5.0
    assert shorten(rhythm, every) == rhythm


TRIALS = joc.grid(optimizer="sgd", learning_rate=[0.1, 0.01], seed=range(2))
GIVEN = {"epochs": 3, "batch_size": 5, "progress": False}


@pytest.fixture(scope="module")
def plan():
    return joc.plan("line", TRIALS, devices=jax.devices()[:1], **GIVEN)


def sweep(task="line", trials=TRIALS, **settings):
    return joc.sweep(task, trials, **GIVEN | {"devices": jax.devices()[:1]} | settings)


@pytest.fixture(scope="module")
def swept(plan, tmp_path_factory):
    return sweep(plan=plan, directory=tmp_path_factory.mktemp("planned"))


def test_a_sweep_takes_the_lanes_of_its_plan(plan, swept):
    assert {one.lanes for one in plan.probes} == {1, 2, 4}
    assert swept.manifest["lanes"] == plan.lanes
    there = json.loads((swept.directory / "manifest.json").read_text())["buckets"]
    assert [bucket["plan"] for bucket in there] == [plan.describe()]


@pytest.mark.long
def test_resume_knows_the_plan(plan, swept, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(sweeping, "train", lambda *_: None)  # killed as soon as it is compiled
        sweep(plan=plan, directory=tmp_path)
    resumed = joc.Study.resume(tmp_path, devices=jax.devices()[:1], progress=False)
    assert resumed.manifest["buckets"][0]["plan"] == plan.describe()
    assert resumed.manifest["lanes"] == plan.lanes
    np.testing.assert_array_equal(resumed.curves["train_loss"], swept.curves["train_loss"])


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"lanes": 2}, "either lanes= or plan="),
        ({"epochs": 4}, "budget"),
        ({"trials": TRIALS.assign(learning_rate=[0.1, 0.1, 0.02, 0.02])}, "other trials"),
        ({"task": "breast_cancer"}, "task .line, now breast_cancer.*data.*bytes of a lane"),
        ({"devices": jax.devices()[:2]}, r"number of devices \(1, now 2\)"),
        ({"plan": "auto"}, "joc.plan"),
    ],
)
def test_a_plan_of_something_else_is_refused(plan, settings, message):
    with pytest.raises((ValueError, TypeError), match=message):
        sweep(**{"plan": plan} | settings)


@pytest.mark.long
def test_static_columns_have_a_plan_a_bucket(plan):
    """Each as of a sweep of it alone; a sweep with other buckets refuses them."""
    both = TRIALS.merge(pd.DataFrame({"batch_size": [5, 4]}), how="cross")
    made = joc.plan(
        "line", both, static=["batch_size"], devices=jax.devices()[:1],
        epochs=3, progress=False,
    )  # fmt: skip
    assert made.labels == ("batch_size=5", "batch_size=4") and len(made.plans) == 2
    assert made.seconds == sum(one.seconds for one in made.plans)
    assert str(made).count("plan for 4 trials of 3 steps") == 2
    settings = {"static": ["batch_size"], "batch_size": 64}
    study = sweep(trials=both, plan=made, **settings)
    buckets = study.manifest["buckets"]
    assert [one["lanes"] for one in buckets] == [one.lanes for one in made.plans]
    assert [one["plan"] for one in buckets] == [one.describe() for one in made.plans]
    with pytest.raises(ValueError, match="the plan is of programs for batch_size=5; batch_size=4"):
        sweep(plan=made)
    with pytest.raises(
        ValueError, match="is of one program, the sweep has programs for batch_size="
    ):
        sweep(trials=both, plan=plan, **settings)
    with pytest.raises(ValueError, match="other budget"):
        sweep(trials=both, plan=made, epochs=4, **settings)


def test_a_plan_finds_its_buckets_in_another_order():
    """Once it said that the labels differ."""
    both = TRIALS.merge(pd.DataFrame({"batch_size": [5, 4]}), how="cross")
    turned = both.sort_values("batch_size", kind="stable").reset_index(drop=True)
    lengths = {"epochs": 3, "batch_size": 64}
    old, new = (split("line", t, ["batch_size"], **lengths) for t in (both, turned))
    devices = jax.devices()[:1]
    plans = tuple(
        SimpleNamespace(lanes=lanes, question=_ask(bucket, devices), describe=dict)
        for lanes, bucket in zip((4, 8), old.buckets, strict=True)
    )
    made = Plans(tuple(bucket.label for bucket in old.buckets), plans)
    assert [bucket.label for bucket in new.buckets] == ["batch_size=4", "batch_size=5"]
    assert widths_of(made, new, devices)[0] == [8, 4]


def test_the_command_plans_and_obeys(monkeypatch, capsys):
    """Through the parser; nothing is compiled."""
    given, swept = [], []
    made = choose([probe(1, 100), probe(8, 400)])

    def sweep(*_, **settings):
        swept.append(settings)
        assert not given  # it is the sweep that asks for a plan, when all else is checked
        swept[0]["plan"] = settings["plan"]()
        raise ValueError("enough")

    monkeypatch.setattr("jaxopt_course.devices.use_cpu_cores", lambda: None)
    monkeypatch.setattr("jaxopt_course.studies.plan.plan", lambda *_, **s: given.append(s) or made)
    monkeypatch.setattr("jaxopt_course.studies.sweep.sweep", sweep)
    with pytest.raises(SystemExit):
        cli.main(["compare", "--task", "line", "--epochs", "7", "--plan", "auto"])
    assert swept[0]["plan"] is made and swept[0]["lanes"] is None
    assert given[0] == {name: swept[0][name] for name in given[0]} and given[0]["epochs"] == 7
    assert "chunks: 8 lane(s)" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        cli.main(["compare", "--task", "line", "--lanes", "4", "--plan", "auto"])
    assert "either --lanes or --plan auto" in capsys.readouterr().err
    assert len(swept) == 1


MEASURE_MEMORY = """
import ctypes, gc, statistics, time
import jax, numpy as np
import jaxopt_course as joc
from jaxopt_course.studies.compiled import compile_bucket
from jaxopt_course.sweeps import engine, probes
from jaxopt_course.sweeps.program import Table
from jaxopt_course.tables.buckets import split

def status(key):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(key)) * 1024

x = np.ones((64, 20), np.float32)
part = (x, np.zeros(64, np.int32))
task = joc.Task.from_flax(lambda rngs: joc.MLP(20, 640, 640, 1, rngs=rngs), *part, valid=part,
                          test=part, loss="sigmoid_binary_cross_entropy", metrics={}, name="wide")
trials = joc.grid(learning_rate=np.geomspace(1e-4, 1e-2, 16))
[bucket] = split(task, trials, None, "adam", steps=4, evaluate_every=2, batch_size=64).buckets
columns = bucket.columns
session = compile_bucket(bucket, ("valid_loss", "min"), 8, jax.devices())
predicted = probes.program_bytes(session.program, session.data)
rises = []
for _ in range(6):  # the first one warms up
    gc.collect()
    time.sleep(0.2)  # XLA's threads let go of the last run's buffers a moment after it ended
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    before = status("VmRSS")
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the peak starts anew
    table = Table(**columns.arrays(columns.trials))
    engine.run(session.program, table, session.data, session.trial)
    rises.append(status("VmHWM") - before)
print(predicted, statistics.median_low(rises[1:]))
"""


@pytest.mark.long
@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="Linux tells the peak")
def test_predicted_memory_is_what_a_sweep_takes():
    """The rise of resident memory over a warmed baseline, within 15%."""
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536"}  # what is freed goes back
    done = subprocess.run(
        [sys.executable, "-c", MEASURE_MEMORY], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    predicted, rise = map(int, done.stdout.split())
    assert predicted > 50 << 20
    assert rise == pytest.approx(predicted, rel=0.15)


@pytest.mark.long
def test_what_was_compiled_to_be_timed_is_let_go(monkeypatch):
    """And a call ends with its readings: what was only sent is no time of a step."""
    probers, release = [], Prober.release
    get, here, ends = jax.device_get, [], []

    def watch(_):
        begun = len(here)
        return lambda: ends.append(len(here) - begun) or 1.0

    monkeypatch.setattr(probes, "_watch", watch)
    monkeypatch.setattr(jax, "device_get", lambda x: here.append(x) or get(x))
    monkeypatch.setattr(Prober, "release", lambda self: (release(self), probers.append(self)))
    plan = joc.plan("line", TRIALS, devices=jax.devices()[:1], **GIVEN)
    assert probers
    for one in plan.probes:  # nobody can time it again
        assert probers[0].again(one) is one
    assert {*ends} == {0, 1}


def test_what_a_probe_leaves_out_of_its_readings_counts_in_its_memory(monkeypatch):
    """A call reports 4 bytes a unit of records, interval and lane; a probe's interval is a unit."""
    rhythm = Rhythm(steps=400, record_every=10, evaluate_every=100)  # 4 intervals of 10 units
    monkeypatch.setattr(probes, "compile_program", lambda *_: SimpleNamespace(seconds=1.0))
    monkeypatch.setattr(probes, "program_bytes", lambda *_: 1000)
    monkeypatch.setattr(Prober, "_timer", lambda *_: lambda: (1.0, 0.0))
    table = SimpleNamespace(together=np.zeros(2))
    prober = Prober(None, rhythm, {"x": np.ones(1)}, table, jax.devices()[0])
    assert prober(2).bytes == 1000 + 4 * 4 * (10 - 1) * 2
    assert prober(8).bytes == 1000 + 4 * 4 * (10 - 1) * 8
