"""What people set in JAX changes no result: debugging flags, promotion, precision, x64."""

import contextlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_course as joc
from jaxopt_course.problems import checks

DEBUG = pytest.mark.parametrize("flag", ["jax_debug_nans", "jax_debug_infs"])


@contextlib.contextmanager
def setting(name, value):
    before = jax.config.values[name]
    jax.config.update(name, value)
    try:
        yield
    finally:
        jax.config.update(name, before)


def sweep(**more):
    """Two that train and one that diverges, and its confirmation."""
    trials = joc.grid(optimizer="adam", learning_rate=[0.01, 0.1], seed=[0])
    trials = joc.grid(optimizer="sgd", learning_rate=[0.01, 1e30], seed=[0]) if not more else trials
    length = {"steps": 20, "batch_size": 5, "evaluate_every": 10, "progress": False}
    study = joc.sweep("line", trials, **length, **more)
    return study, study.confirm(1, progress=False)


def assert_same(ones, others):
    for one, other in zip(ones, others, strict=True):
        assert one.trials.to_csv() == other.trials.to_csv()
        for name, curve in one.curves.items():
            np.testing.assert_array_equal(curve, other.curves[name])


@DEBUG
@pytest.mark.parametrize("more", [{}, {"score": "best"}], ids=["diverges", "best"])
def test_debugging_ends_no_sweep(flag, more):
    """A trial that diverges is a result; a best that is not there yet is NaN."""
    plain = sweep(**more)
    assert ("diverged" in plain[0].trials["status"].tolist()) == (not more)
    with setting(flag, True):
        debugged = sweep(**more)
        assert jax.config.values[flag]
    assert_same(plain, debugged)


def test_debugging_ends_a_training_of_one(capfd):
    """Who trains one network and asks for it is told at once, by JAX."""
    with setting("jax_debug_nans", True), pytest.raises(FloatingPointError, match="nan"):
        joc.fit("line", joc.sgd(1e30), steps=20, batch_size=5)


def test_what_debugging_finds_in_a_metric_is_jax_s_to_say():
    """It runs one operation after the other, also those of a task's own functions."""
    with setting("jax_debug_nans", True), pytest.raises(FloatingPointError, match="nan"):
        checks.measured(
            "r2", lambda o, t: (o / jnp.zeros(()) * 0).mean(), jnp.zeros(3), jnp.ones(3)
        )


def test_without_compiling_there_is_no_sweep(tmp_path):
    """JAX would say so once all is prepared, of a function of the engine's."""
    trials = joc.grid(optimizer="sgd", learning_rate=[0.1], seed=[0])
    study = joc.sweep("line", trials, steps=4, batch_size=5, progress=False)
    compiled = joc.fit("line", joc.sgd(0.1), steps=4, batch_size=5)
    with jax.disable_jit():
        for act in (
            lambda: joc.sweep("line", trials, steps=4, batch_size=5, directory=tmp_path / "study"),
            lambda: joc.plan("line", trials, steps=4, batch_size=5),
            lambda: study.confirm(1, progress=False),
            lambda: study.replay(0),
        ):
            with pytest.raises(ValueError, match="jax_disable_jit is in force, and a sweep is one"):
                act()
        alone = joc.fit("line", joc.sgd(0.1), steps=4, batch_size=5)
    assert not (tmp_path / "study").exists()
    for name, value in compiled.metrics.items():
        np.testing.assert_allclose(alone.metrics[name], value, rtol=1e-5)
