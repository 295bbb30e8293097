"""Schedule-Free: z, x and y by hand, against optax, and where x is evaluated."""

import unittest

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import deviation, quartic, start, their
from optax._src import alias
from optax.contrib import _schedule_free, _schedule_free_test

import jaxopt_course as joc
from jaxopt_course import evaluation_params, hyperparameters, schedule_free
from jaxopt_course.conventions import convention
from jaxopt_course.optimizers import adam, adamw, schedule_free_adamw, schedule_free_sgd, sgd

FALLING = lambda s: 0.03 / (1 + 0.5 * s)


def both_means(recipe, kwargs, steps=500):
    """x after each step of a closed loop: ours, and optax's."""

    def run(tx, mean):
        def step(carry, _):
            y, state = carry
            u, state = tx.update(jax.grad(quartic)(y), state, y)
            y = joc.apply_updates(y, u)
            return (y, state), mean(state, y)

        return jax.lax.scan(step, (start(), tx.init(start())), length=steps)[1]

    mine, theirs = recipe(**kwargs), their(recipe.__name__, kwargs)
    ours = run(mine, lambda state, y: evaluation_params(mine, state, y))
    return ours, run(theirs, optax.contrib.schedule_free_eval_params)


def test_x_is_optax_s():
    """500 steps in float64; y is compared with the recipes' own rows (test_optimizers_parity)."""
    with jax.enable_x64(True):
        rows = [
            (schedule_free_adamw, {"learning_rate": 0.03, "eps": 1e-3, "warmup_steps": 40.0}),
            (schedule_free_adamw, {"learning_rate": FALLING, "b1": 0.5, "weight_decay": 0.1}),
            (schedule_free_sgd, {"learning_rate": FALLING, "weight_lr_power": 1.0}),
        ]
        for ours, theirs in jax.jit(lambda: [both_means(*row) for row in rows])():
            assert deviation(ours, theirs) <= 1e-12


def steps(tx, gradients, y=0.0):
    y = jnp.asarray(y)
    state = tx.init(y)
    for g in gradients:
        u, state = tx.update(jnp.asarray(g), state, y)
        y = y + u
    return y, state


def test_by_hand():
    """z = -1, -3, -4; c = 1, 1/2, 1/3: x is the plain mean, y = (x + z) / 2."""
    tx = schedule_free_sgd(1.0, b1=0.5)
    y, state = steps(tx, [1.0, 2.0, 1.0])
    assert float(state.z) == -4 and float(state.weight_sum) == 3
    np.testing.assert_allclose(evaluation_params(tx, state, y), -8 / 3, rtol=1e-6)
    np.testing.assert_allclose(y, (-8 / 3 - 4) / 2, rtol=1e-6)


def test_the_schedule_is_asked_for_step_0():
    """optax#1744: rates 1, ½, ½ weigh 1, 1, 1, for the largest so far counts; optax's ½ each."""
    asked = []

    def rate(s):
        asked.append(int(s))
        return 1.0 if s == 0 else 0.5

    tx = schedule_free(sgd(rate), rate, b1=0.5)
    _, state = steps(tx, [1.0, 1.0, 1.0])
    assert sorted(set(asked)) == [0, 1, 2]
    assert float(state.max_lr) == 1.0 and float(state.weight_sum) == 3.0
    theirs = optax.contrib.schedule_free(optax.sgd(rate), rate, b1=0.5)
    assert float(steps(theirs, [1.0, 1.0, 1.0])[1].max_lr) == 0.5


def test_a_warm_up_from_0_rests_first_and_then_counts_from_there():
    """Rates 0, 1/2, 1: weights 0, 1/4, 1; the authors' and Keras's begin with 1/T."""
    tx = schedule_free_sgd(1.0, warmup_steps=2.0, b1=0.5)
    y, state = steps(tx, [1.0])
    assert float(y) == 0 and float(state.weight_sum) == 0
    y, state = steps(tx, [1.0, 1.0, 1.0])  # z = 0, -1/2, -3/2
    x = (0.25 * -0.5 - 1.5) / 1.25
    np.testing.assert_allclose(evaluation_params(tx, state, y), x, rtol=1e-6)
    for like in ("paper", "keras"):
        name = "schedule_free_adamw"
        first = steps(convention(name, like)(1.0, warmup_steps=2.0), [1.0])[0]
        np.testing.assert_allclose(first, -0.5, rtol=1e-6)


@pytest.mark.parametrize("none", [None, 0, 0.0, jnp.array(0.0)])
def test_no_warm_up_is_none(none):
    assert float(steps(schedule_free_sgd(1.0, warmup_steps=none), [2.0])[0]) == -2.0


@pytest.mark.parametrize("short", [1e-28, 3e-38])
def test_a_warm_up_shorter_than_float32_can_square_has_a_slope(short):
    """It rests at step 0, as any warm-up does; there t/T has the slope t/T^2, which was 0/0."""
    end = lambda w: steps(schedule_free_sgd(1.0, warmup_steps=w), [2.0, 2.0])[0]
    assert float(end(short)) == -2.0
    assert float(jax.grad(end)(short)) == 0


def test_the_means_differ_by_framework():
    """Keras counts the warm-up's steps like the others, and decays y alone."""
    rates = {"learning_rate": 0.1, "warmup_steps": 4.0, "weight_decay": 0.5}
    ends = [
        float(steps(convention("schedule_free_adamw", like)(**rates), [1.0] * 6, 2.0)[0])
        for like in ("optax", "keras", "paper")
    ]
    assert len({round(x, 4) for x in ends}) == 3


# --- where x is evaluated ---

AROUND = {
    "chain": lambda tx: joc.chain(joc.clip(10.0), tx),
    "cautious": lambda tx: joc.cautious(tx, 0.0),
    "MultiSteps": lambda tx: optax.MultiSteps(tx, 1).gradient_transformation(),
    "partition_by_path": lambda tx: joc.partition_by_path({"*": tx}),
    "masked": lambda tx: optax.masked(tx, True),
    "inject_hyperparams": lambda tx: optax.inject_hyperparams(lambda c: optax.chain(tx))(c=1.0),
    "switch": lambda tx: joc.switch(1, [adam(0.1), tx]),
    "switch, traced": lambda tx: joc.switch(jnp.array(1), [adam(0.1), tx]),
}


@pytest.mark.parametrize("around", AROUND)
def test_x_is_found_inside_of(around):
    inside = schedule_free_sgd(0.5, b1=0.5)
    tx = AROUND[around](inside)
    y, state = {"w": jnp.array([2.0])}, None
    state = tx.init(y)
    for g in (1.0, 2.0):
        u, state = tx.update({"w": jnp.array([g])}, state, y)
        y = joc.apply_updates(y, u)
    alone = steps(inside, [[1.0], [2.0]], [2.0])
    expected = evaluation_params(inside, alone[1], alone[0])
    np.testing.assert_allclose(evaluation_params(tx, state, y)["w"], expected, rtol=1e-6)


def test_keras_s_is_found_behind_its_clip_and_decay():
    tx = convention("schedule_free_adamw", "keras")(0.1, clipvalue=1.0, weight_decay=0.1)
    y, state = steps(tx, [1.0, 1.0], 2.0)
    z = state[1].inner_state.z
    np.testing.assert_allclose(evaluation_params(tx, state, y), z + (y - z) / 0.9, rtol=1e-6)


def test_foreign_parameters_are_named():
    """Where it can be seen: another tree or another shape; other numbers look like any."""
    tx = schedule_free_sgd(0.1)
    state = tx.init({"w": jnp.ones(3)})
    for foreign in ({"w": jnp.ones(2)}, {"v": jnp.ones(3)}):
        with pytest.raises(ValueError, match=r"schedule_free.*(state|parameters).*not its own"):
            evaluation_params(tx, state, foreign)
    with pytest.raises(ValueError, match=r"another transformation|not its own"):
        evaluation_params(tx, adam(0.1).init({"w": jnp.ones(3)}), {"w": jnp.ones(3)})


def test_bad_input_is_named():
    for zero in (0, 0.0, np.float32(0)):
        with pytest.raises(ValueError, match=r"b1=0 .*; give a b1 in \(0, 1\)"):
            schedule_free_sgd(0.1, b1=zero)
    with pytest.raises(ValueError, match="schedule_free needs the parameters"):
        schedule_free_sgd(0.1).update(1.0, schedule_free_sgd(0.1).init(1.0))


def test_a_sweep_evaluates_x_in_a_program_with_others():
    """Columns and lanes: the scores are those of x, a plain loop's by fit."""
    recipes = ["schedule_free_sgd", "adam"]
    trials = joc.grid(optimizer=recipes, learning_rate=[0.01]).assign(warmup_steps=[3, None])
    budget = {"steps": 8, "batch_size": 5}
    study = joc.sweep("line", trials, devices=jax.devices()[:1], progress=False, **budget)
    for row in study.trials.itertuples():
        warm = {} if row.optimizer == "adam" else {"warmup_steps": 3.0}
        tx = convention(row.optimizer)(0.01, **warm)
        alone = joc.fit(joc.load_task("line"), tx, seed=int(row.seed), **budget)
        assert row.valid_loss == pytest.approx(alone.metrics["valid_loss"], rel=1e-5, abs=1e-6)
    raw = study.trials.set_index("optimizer")["valid_loss_raw"]
    scored = study.trials.set_index("optimizer")["valid_loss"]
    assert abs(raw - scored)["schedule_free_sgd"] > 1e-6 and (raw == scored)["adam"]


# --- as one of us ---


def test_numbers_are_read_back():
    tx = schedule_free_adamw(FALLING, weight_decay=0.1)
    _, state = steps(tx, [1.0, 1.0])
    read = hyperparameters(tx, state)
    assert read["learning_rate"] == FALLING(2) and read["b1"] == 0.9 and read["weight_decay"] == 0.1
    tx = schedule_free(sgd(0.25), 0.25)
    assert hyperparameters(tx, tx.init(1.0))["schedule_free.learning_rate"] == 0.25


def test_z_is_float32_unless_told_otherwise():
    y = jnp.ones(3, jnp.bfloat16)
    for dtype, kept in ((None, "float32"), ("bfloat16", "bfloat16")):
        tx = schedule_free_sgd(0.1, state_dtype=dtype)
        u, state = tx.update(y, tx.init(y), y)
        assert state.z.dtype == kept and u.dtype == "bfloat16"


WIDER = "(params_dtype='bfloat16', state_dtype=None)"  # whose z is float32 here, see above
THEIRS = vars(_schedule_free_test.ScheduleFreeTest)
OPTAX_S = [name for name in THEIRS if name.startswith("test_")]
LEFT_OUT = [name for name, of in THEIRS["_test_params_reprs"].items() if of == WIDER]


@pytest.mark.parametrize("test", sorted(set(OPTAX_S) - set(LEFT_OUT)))
def test_optax_s_own(test, monkeypatch):
    for module, ours in (
        (_schedule_free, (schedule_free, schedule_free_adamw, schedule_free_sgd)),
        (alias, (adamw, sgd)),
    ):
        for recipe in ours:
            monkeypatch.setattr(module, recipe.__name__, recipe)
    result = unittest.TestResult()
    with jax.numpy_rank_promotion("allow"):
        _schedule_free_test.ScheduleFreeTest(test).run(result)
    assert result.testsRun == 1
    assert not result.failures + result.errors, (result.failures + result.errors)[0][1]
    if result.skipped:  # complex parameters with a real z, by optax too
        pytest.skip(result.skipped[0][1])


def test_the_selection():
    assert len(OPTAX_S) == 20 and len(LEFT_OUT) == 1
