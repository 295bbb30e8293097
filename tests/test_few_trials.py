"""Few trials in few lanes: what is chosen, what computes, and that no bit shows it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_course as joc
from jaxopt_course.studies.compiled import compile_bucket
from jaxopt_course.sweeps import steps
from jaxopt_course.sweeps.device import Device
from jaxopt_course.sweeps.lane_bytes import LaneBytes, default_lanes, written
from jaxopt_course.sweeps.lanes import Rhythm
from jaxopt_course.sweeps.memory import check_width
from jaxopt_course.sweeps.progress import ProgressLine
from jaxopt_course.sweeps.queues import Queues, groups
from jaxopt_course.sweeps.snapshot import no_results
from jaxopt_course.tables.buckets import split

SETTINGS = {"steps": 12, "batch_size": 5, "evaluate_every": 6, "record_every": 2, "progress": False}
RATES = [1e-3, 3e-3, 1e-2, 3e-2, 0.1]


def train(trials, devices=1, **settings):
    return joc.sweep("line", trials, devices=jax.devices()[:devices], **{**SETTINGS, **settings})


@pytest.fixture(scope="module")
def five():
    return train(joc.grid(optimizer="adam", learning_rate=RATES, seed=[1]))


@pytest.mark.parametrize("step, lanes", [(100, 4), (5 << 18, 4), ((5 << 18) + 1, 2), (5 << 20, 1)])
def test_lanes_of_a_cpu_are_by_what_a_step_writes(step, lanes):
    assert default_lanes(LaneBytes(state=1 << 30, step=step), "cpu") == lanes


@pytest.mark.parametrize("state, lanes", [(4, 256), (1 << 22, 256), (1 << 23, 128), (1 << 30, 16)])
def test_lanes_of_a_gpu_are_by_a_state(state, lanes):
    assert default_lanes(LaneBytes(state, step=1 << 40), "gpu") == lanes


def test_what_a_program_writes():
    """Scans count each time, of branches the mean counts, calls what is in them."""
    ten = jnp.ones(10)
    once = lambda x: x + 1.0
    count = lambda f: written(jax.make_jaxpr(f)(ten).jaxpr)
    assert count(once) == 40
    assert count(jax.jit(once)) == 40
    assert count(lambda x: jax.lax.scan(lambda c, _: (once(c), None), x, length=7)[0]) == 280
    both = lambda x: jax.lax.switch(jnp.int32(x[0]), [once, lambda x: once(once(x))], x)
    scalars = count(lambda x: jnp.int32(x[0]))
    assert 60 + scalars <= count(both) < 60 + scalars + 40


def test_few_trials_take_few_lanes_and_devices(five):
    """Five trials in the default lanes, of two devices as of one, and beside eleven others."""
    assert five.manifest["lanes"] == 4
    assert five.events[-1]["occupancy"] == 5 / 8
    more = joc.grid(optimizer="adam", learning_rate=[*RATES, *np.geomspace(0.2, 2, 11)], seed=[1])
    for other in (
        train(joc.grid(optimizer="adam", learning_rate=RATES, seed=[1]), devices=2),
        train(more, devices=2),
    ):
        for name in five.curves:
            mine, theirs = five.curves[name].values, other.curves[name].values[:5]
            assert mine.tobytes() == theirs.tobytes(), name


def test_devices_that_nobody_needs_get_nothing():
    assert groups([(0,)] * 4 + [(1,)] * 5, width=4) == 3
    assert groups([], width=4) == 0


@pytest.mark.long
def test_a_lane_alone_is_no_batch(five):
    """One lane is traced without ``vmap``: another program, the same training to rounding."""
    one = train(joc.grid(optimizer="adam", learning_rate=RATES, seed=[1]), lanes=1)
    assert one.events[-1]["occupancy"] == 1.0
    for name in five.curves:
        np.testing.assert_allclose(one.curves[name], five.curves[name], rtol=1e-4)


@pytest.mark.long
def test_how_many_steps_of_order_come_at_once_changes_nothing(five, monkeypatch):
    """A step, a part of a unit, units: batches of five, units of two steps, three an interval."""
    assert [steps.ahead(2, 3, n) for n in (1 << 14, 1 << 13, 1 << 10)] == [(1, 1), (1, 2), (3, 2)]
    for held in (5, 10):
        monkeypatch.setattr(steps, "AHEAD", held)
        again = train(joc.grid(optimizer="adam", learning_rate=RATES, seed=[1]))
        for name in five.curves:
            assert again.curves[name].values.tobytes() == five.curves[name].values.tobytes(), name


def test_lanes_that_cannot_fit_are_refused_before_compiling():
    check_width(4, 1 << 20, 4 << 20)
    with pytest.raises(ValueError, match=r"9 lanes take 9.0 MiB .* 4.0 MiB to use, which is 4 "):
        check_width(9, 1 << 20, 4 << 20)
    with pytest.raises(ValueError, match=r"lanes take .* for their states alone"):
        train(joc.grid(optimizer="adam", learning_rate=RATES), lanes=1 << 40)


@pytest.mark.long
def test_a_step_is_traced_twice_for_a_program(monkeypatch):
    """Once for its bytes and names, once into the program; each time all optimizers are."""
    from jaxopt_course import train as trials_of

    traced = []

    def counted(*arguments):
        traced.append(1)
        return apply_updates(*arguments)

    apply_updates = trials_of.apply_updates
    monkeypatch.setattr(trials_of, "apply_updates", counted)
    study = train(joc.grid(optimizer=["sgd", "adam"], learning_rate=0.01), watch=["update_norm"])
    assert len(traced) == 2
    assert list(study.curves) == ["train_loss", "train_update_norm", "valid_loss", "valid_r2"]


@pytest.mark.parametrize("bad, alone, intervals", [(0, True, 50), (0, False, 15), (2, False, 8)])
def test_calls_are_short_for_those_who_wait(bad, alone, intervals):
    """2 ms an interval: 0.1 s where nobody waits, else 0.03 s, or an eighth where many are bad."""
    device = Device(None, None, None, None, None, np.arange(4), pace=2e-3)
    rhythm = Rhythm(640, 10, 10)
    results = no_results(8, rhythm, ["loss"])
    results.first_bad[:bad] = 0
    assert device.aim(rhythm, 0.1, results, alone) == intervals


def test_a_line_that_is_not_shown_is_told_nothing(monkeypatch):
    told = []
    monkeypatch.setattr(ProgressLine, "update", lambda *_: told.append(1))
    train(joc.grid(optimizer="adam", learning_rate=RATES[:1], seed=0))
    assert not told


@pytest.mark.long
def test_a_single_lane_is_not_copied_from_step_to_step():
    """XLA copies a state whose lanes have an axis of length 1, every leaf at every step."""
    trials = joc.grid(optimizer="adam", learning_rate=RATES, seed=0)
    [bucket] = split(joc.load_task("wine"), trials, None, None, epochs=2, batch_size=16).buckets

    def copies(lanes):
        made = compile_bucket(bucket, ("valid_loss", "min"), lanes, jax.devices()[:1])
        return made.program.segment[0].as_text().count(" copy(")

    assert copies(1) < 1.5 * copies(2)


def test_the_longest_queue_comes_first_of_those_that_nobody_serves():
    queues = Queues(lambda row: (row % 3,))
    assert queues.longest([]) is None
    for row in (0, 3, 6, 1, 4, 2):
        queues.of(row).append(row)
    assert queues.longest([]) == (0,)
    assert queues.longest([(0,)]) == (1,)
    assert queues.longest([(0,), (1,)]) == (2,)
    assert queues.longest([(0,), (1,), (2,)]) == (0,)
