"""One trial: budgets, batches, and ``fit`` against a loop written out with optax."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from long_form import only

import jaxopt_course as joc
from jaxopt_course.base import Decay, DecayLike
from jaxopt_course.problems.order import shuffled
from jaxopt_course.tables.encode import DECAYS, encode
from jaxopt_course.train import make_budget, take_batch


def test_epochs_and_steps():
    assert make_budget(1078, epochs=20, batch_size=64) == (320, 20, 64, 16, 16, 16, None, 1e8, None)
    assert make_budget(1078, steps=100, batch_size=64, evaluate_every=30)[4:7] == (30, 30, None)
    budget = make_budget(10, steps=3, batch_size=10, record_every=50)
    assert budget == (3, None, 10, 1, 3, 1, None, 1e8, None)


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ({}, ValueError, "either epochs= or steps="),
        ({"epochs": 1, "steps": 1}, ValueError, "either epochs= or steps="),
        ({"steps": 0}, ValueError, "steps must be at least 1, not 0"),
        ({"epochs": 1.5}, TypeError, "epochs must be a whole number"),
        ({"epochs": True}, TypeError, "epochs must be a whole number"),
        ({"steps": 1, "batch_size": 11}, ValueError, "larger than the 10 training examples"),
        ({"steps": 1, "evaluate_every": 0}, ValueError, "evaluate_every must be at least 1"),
    ],
)
def test_budgets_that_make_no_sense(arguments, error, message):
    with pytest.raises(error, match=message):
        make_budget(10, **{"batch_size": 2} | arguments)


def test_an_epoch_visits_every_example_once():
    data = {"x": jnp.arange(12), "y": jnp.arange(12) * 10}
    batches = [take_batch(data, jnp.uint32(5), jnp.int32(s), 4) for s in range(6)]
    for epoch in (batches[:3], batches[3:]):
        assert sorted(np.concatenate([b["x"] for b in epoch])) == list(range(12))
    assert all((b["y"] == b["x"] * 10).all() for b in batches)
    first, second = (np.concatenate([b["x"] for b in e]) for e in (batches[:3], batches[3:]))
    assert (first != second).any()


@pytest.mark.long
def test_what_does_not_fill_a_batch_goes_unused_but_not_always_the_same():
    data = jnp.arange(10)
    unused = set()
    for epoch in range(20):
        seen = [take_batch(data, jnp.uint32(0), jnp.int32(3 * epoch + s), 3) for s in range(3)]
        unused |= set(range(10)) - set(np.concatenate(seen).tolist())
    assert len(unused) > 5


def test_fit_equals_a_loop_written_out_with_optax():
    task = joc.load_task("digits")
    tx = optax.adam(1e-2)
    fitted = joc.fit(task, tx, steps=20, batch_size=64, seed=4, record_every=4, evaluate_every=20)

    params, state = task.init(jax.random.key(jnp.uint32(4)))
    memory, losses = tx.init(params), []
    loss = jax.jit(jax.value_and_grad(task.loss, has_aux=True))
    for s in range(20):
        rows = shuffled(jnp.uint32(4), jnp.int32(s // 16), jnp.arange(64) + 64 * (s % 16), 1078)
        batch = jax.tree.map(lambda x, rows=rows: x[rows], task.train)
        (value, (state, _)), g = loss(params, state, batch, jax.random.key(0))
        u, memory = tx.update(g, memory, params)
        params = optax.apply_updates(params, u)
        losses.append(float(value))
    np.testing.assert_allclose(
        fitted.curves["train_loss"], np.mean(np.reshape(losses, (5, 4)), axis=1), rtol=1e-5
    )
    for mine, theirs in zip(
        jax.tree.leaves(fitted.state.params), jax.tree.leaves(params), strict=True
    ):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-6)  # float32, Adam, 20 steps
    accuracy = task.evaluate(params, state, task.test)["accuracy"]
    assert fitted.metrics["test_accuracy"] == pytest.approx(float(accuracy), abs=1e-6)


@pytest.mark.long
def test_fit_learns():
    fitted = joc.fit(joc.load_task("digits"), joc.adam(1e-2), epochs=10)
    assert fitted.metrics["valid_accuracy"] > 0.93


def test_decays_are_the_arguments_that_recipes_take_as_pairs():
    """A new recipe with a decay of another name must enter DECAYS."""
    for name, recipe in joc.OPTIMIZERS.items():
        for argument, parameter in inspect.signature(recipe).parameters.items():
            is_decay = "DecayLike" in str(parameter.annotation) or parameter.annotation in (
                DecayLike,
                DecayLike | None,
            )
            if is_decay and argument != "momentum":  # enters as b alone, never as 1 - b
                assert argument in DECAYS, (name, argument)


def test_numbers_are_rounded_once():
    columns = {"b2": np.array([0.999]), "k": np.array([3]), "on": np.array([True])}
    encoded = encode(columns, pairs=True)
    assert isinstance(encoded["b2"], Decay)
    assert encoded["b2"].complement[0] == np.float32(1 - 0.999)
    assert encoded["k"].dtype == np.int32 and encoded["on"].dtype == bool
    assert encode(columns, pairs=False)["b2"].dtype == np.float32


GOAL = np.array([1 - 2j, 3 + 4j], np.complex64)


def complex_task():
    """Two complex weights that should become GOAL, over rows that all say the same."""

    def loss(params, model_state, batch, key):
        off = params["w"] - GOAL
        return jnp.mean(batch["x"]) * jnp.sum(off.real**2 + 2 * off.imag**2), (model_state, {})

    measure = lambda params, state, part: {"loss": loss(params, state, part, None)[0]}
    rows = {"x": np.ones(8, np.float32)}
    init = lambda key: ({"w": jnp.zeros(2, jnp.complex64)}, {})
    task = joc.Task("complex", init, loss, measure, rows, rows, rows, metrics={"loss": "min"})
    return task, lambda w: loss({"w": w}, {}, rows, None)[0]


@pytest.mark.parametrize("name", only(["sgd", "adam"], ["sgd", "momentum", "adam", "sam"]))
def test_complex_weights_go_downhill(name):
    """JAX's gradient of a complex number points the other way in its imaginary part."""
    made = {
        "sgd": (joc.sgd(0.1), optax.sgd(0.1)),
        "momentum": (joc.momentum(0.05, momentum=0.5), optax.sgd(0.05, momentum=0.5)),
        "adam": (joc.adam(0.2), optax.adam(0.2)),
        "sam": (joc.sam(joc.sgd(0.1), rho=1e-3), optax.sgd(0.1)),
    }
    ours, theirs = made[name]
    task, value = complex_task()
    curves = joc.fit(task, ours, steps=30, batch_size=8).curves["train_loss"]
    w = jnp.zeros(2, jnp.complex64)
    state, expected = theirs.init(w), []
    for _ in range(30):
        loss, slope = jax.value_and_grad(value)(w)
        expected.append(loss)
        updates, state = theirs.update(jnp.conj(slope), state, w)
        w = optax.apply_updates(w, updates)
    rtol = 5e-2 if name == "sam" else 1e-4  # sam looks 1e-3 uphill of where sgd does
    np.testing.assert_allclose(np.ravel(curves), expected, rtol=rtol, atol=1e-4)
    assert expected[-1] < expected[0] / 50
