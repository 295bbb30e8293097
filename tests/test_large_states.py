"""Who begins a trial of a large network is compiled with the effort of who trains it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_course as joc
from jaxopt_course.sweeps import program
from jaxopt_course.sweeps.numerics import LARGE_STATE

SEGMENT, SEAT = {"xla_backend_optimization_level": 1}, {"xla_backend_optimization_level": 0}


def swept(weights):
    """A sweep of two trials of a vector of so many weights, by momentum: two arrays of them."""

    error = lambda params, batch: jnp.mean((params["w"] - batch["x"].mean()) ** 2)
    part = {"x": np.arange(4, dtype=np.float32)}
    task = joc.Task(
        init=lambda key: ({"w": jax.random.normal(key, (weights,))}, {}),
        loss=lambda params, model_state, batch, key: (error(params, batch), (model_state, {})),
        evaluate=lambda params, model_state, part: {"loss": error(params, part)},
        train=part,
        valid=part,
        test=part,
        metrics={"loss": "min"},
        name="vector",
    )
    trials = joc.grid(learning_rate=[0.1, 0.2], momentum=0.5, seed=0)
    budget = {"steps": 1, "batch_size": 4, "lanes": 2}
    return joc.sweep(task, trials, "momentum", **budget, devices=jax.devices()[:1], progress=False)


@pytest.mark.parametrize(("lane", "seat"), [(LARGE_STATE, SEAT), (LARGE_STATE + 1, SEGMENT)])
def test_the_effort_goes_by_the_bytes_of_a_lane(monkeypatch, lane, seat):
    monkeypatch.setattr(program, "CPU_EFFORT", (SEGMENT, SEAT))
    assert program.options_of("cpu", lane) == (seat, SEGMENT | program.CPU_ORDER)
    assert program.options_of("gpu", 0) == program.options_of("gpu", lane)
    assert program.options_of("tpu", lane) == ({}, {})


def test_the_bytes_are_those_of_one_lane_and_the_text_says_which_effort(monkeypatch):
    """Whatever the number of lanes; a study of the other effort has another program."""
    asked, texts, of, facts = [], [], program.options_of, program.Program
    monkeypatch.setattr(program, "options_of", lambda *now: [asked.append(now[1]), of(*now)][1])
    monkeypatch.setattr(program, "Program", lambda *now: [texts.append(now[5]), facts(*now)][1])
    for weights in (100, LARGE_STATE // 8 + 1):
        study = swept(weights)
        assert study.trials["status"].tolist() == ["finished"] * 2
    small, large = asked
    assert large - small == 8 * (LARGE_STATE // 8 - 99)  # weights and memory, float32
    assert ["compiled as the segment" in text for text in texts] == [False, True]
