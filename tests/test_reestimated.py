"""BatchNorm's statistics for other weights than those that were trained: torch's ``update_bn``."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx

import jaxopt_course as joc
from jaxopt_course.train import take_batch

RNG = np.random.default_rng(0)
X = (RNG.normal(size=(50, 3)) * [1.0, 3.0, 0.2] + [0.0, 5.0, -1.0]).astype(np.float32)
Y = (X[:, 0] > 0).astype(int)


class Network(nn.Module):
    momentum: float = 0.99

    @nn.compact
    def __call__(self, x, train):
        norm = lambda: nn.BatchNorm(use_running_average=not train, momentum=self.momentum)
        x = nn.Dense(4)(x)
        x = nn.relu(norm()(x))
        x = norm()(x)
        return nn.Dense(2)(x)


def made(module):
    return joc.Task.from_flax(module, X, Y, loss="softmax_cross_entropy")


TASK = made(Network())
PARAMS, STATE = TASK.init(jax.random.key(1))


def by_hand(params, batches):
    """The mean over batches of each batch's mean and variance, layer by layer, in NumPy."""
    seen = {"BatchNorm_0": [], "BatchNorm_1": []}
    params = jax.tree.map(lambda x: np.asarray(x, np.float64), params)
    for x in batches:
        x = x.astype(np.float64) @ params["Dense_0"]["kernel"] + params["Dense_0"]["bias"]
        for name, own in seen.items():
            mean, var = x.mean(axis=0), x.var(axis=0)
            own.append((mean, var))
            x = (x - mean) / np.sqrt(var + 1e-5) * params[name]["scale"] + params[name]["bias"]
            if name == "BatchNorm_0":
                x = np.maximum(x, 0)
    return {
        name: dict(zip(("mean", "var"), np.mean(own, axis=0), strict=True))
        for name, own in seen.items()
    }


def assert_close(ours, theirs, rtol=1e-5):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol, 1e-6), ours, theirs)


def batches(task=TASK, seed=0, size=8):
    count = len(task.train["targets"]) // size
    train = jax.tree.map(jnp.asarray, task.train)
    take = lambda s: take_batch(train, jnp.uint32(seed), jnp.int32(s), size)
    return [np.asarray(take(s)["inputs"]) for s in range(count)]


def test_means_over_an_epoch_of_batches_are_those_by_hand():
    ours = joc.reestimated(TASK, PARAMS, STATE, batch_size=8, seed=3)
    assert_close(ours["batch_stats"], by_hand(PARAMS, batches(seed=3)))
    first = joc.reestimated(TASK, PARAMS, STATE, batch_size=8, batches=1)
    assert_close(first["batch_stats"], by_hand(PARAMS, batches()[:1]))


def test_neither_the_layer_s_momentum_nor_the_old_state_counts():
    ours = joc.reestimated(TASK, PARAMS, STATE, batch_size=8)
    odd = jax.tree.map(lambda x: 7.0 * x - 3.0, STATE)
    for momentum, state in ((0.99, odd), (0.5, STATE), (0.0, odd)):
        task = made(Network(momentum))
        assert_close(joc.reestimated(task, PARAMS, state, batch_size=8), ours, 1e-4)
    assert jax.tree.map(jnp.shape, ours) == jax.tree.map(jnp.shape, STATE)


def test_of_other_weights_they_are_others_and_the_weights_stay():
    mean = jax.tree.map(lambda x: 0.5 * x, PARAMS)
    ours = joc.reestimated(TASK, mean, STATE, batch_size=8)
    assert_close(ours["batch_stats"], by_hand(mean, batches()))
    found = [float(TASK.evaluate(mean, s, TASK.test)["loss"]) for s in (STATE, ours)]
    assert found[0] != found[1]


@pytest.mark.long
def test_a_study_warns_and_names_it():
    trials = joc.grid(optimizer="sgd", learning_rate=0.1, ema_decay=0.9)
    more = {"steps": 4, "batch_size": 8, "progress": False, "devices": jax.devices()[:1]}
    with pytest.warns(UserWarning, match=r"joc\.reestimated\(task, params, model_state\)"):
        study = joc.sweep(TASK, trials, keep=1, **more)
    mean, state = study.params(0), study.state(0).model_state
    ours = joc.reestimated(TASK, mean, state, batch_size=8)
    assert_close(ours["batch_stats"], by_hand(mean, batches()), 1e-4)


def test_fit_warns_of_it_too_and_only_where_it_matters():
    more = {"steps": 2, "batch_size": 8}
    with pytest.warns(UserWarning, match=r"joc\.reestimated\(task, params, model_state\)"):
        joc.fit(TASK, joc.chain(joc.sgd(0.1), joc.ema_params(0.9)), **more)
    joc.fit(TASK, joc.sgd(0.1), **more)  # a warning would be an error


def test_fit_refuses_two_means_before_it_compiles(monkeypatch):
    refused = lambda *_, **__: pytest.fail("something is about to be compiled")
    monkeypatch.setattr(jax, "jit", refused)
    with pytest.raises(ValueError, match="schedule_free_sgd and ema_params both say"):
        joc.fit(
            TASK, joc.chain(joc.schedule_free_sgd(0.1), joc.ema_params(0.9)), steps=1, batch_size=8
        )


def test_an_nnx_module_with_dropout():
    class Net(nnx.Module):
        def __init__(self, rngs):
            self.norm, self.last = nnx.BatchNorm(3, rngs=rngs), nnx.Linear(3, 2, rngs=rngs)
            self.drop = nnx.Dropout(0.5, rngs=rngs)

        def __call__(self, x):
            return self.last(self.drop(self.norm(x)))

    task = made(lambda rngs: Net(rngs))
    params, state = task.init(jax.random.key(0))
    ours = joc.reestimated(task, params, state, batch_size=8)
    expected = np.mean([x.mean(axis=0) for x in batches(task)], axis=0)
    means = [x for x in jax.tree.leaves(ours) if jnp.shape(x) == (3,)]
    assert any(np.allclose(x, expected, rtol=1e-5) for x in means)


def stateful(moved, start):
    """A task whose loss moves a state by the batch's mean."""

    def loss(params, state, batch, key):
        return jnp.sum(params**2), (moved(state, jnp.mean(batch["inputs"])), {})

    return dataclasses.replace(
        TASK,
        init=lambda key: (jnp.ones(2), start),
        loss=loss,
        evaluate=lambda p, s, data: {"loss": jnp.sum(p**2), "accuracy": jnp.float32(0)},
    )


def test_counters_and_what_is_left_alone():
    start = {"mean": jnp.float32(9), "seen": jnp.int32(4), "fixed": jnp.float32(2)}
    moved = lambda s, x: {
        "mean": 0.9 * s["mean"] + 0.1 * x, "seen": s["seen"] + 1, "fixed": s["fixed"]
    }  # fmt: skip
    task = stateful(moved, start)
    ours = joc.reestimated(task, jnp.ones(2), start, batch_size=8)
    assert float(ours["mean"]) == pytest.approx(np.mean([x.mean() for x in batches()]), rel=1e-5)
    assert int(ours["seen"]) == 5 and ours["seen"].dtype == "int32" and float(ours["fixed"]) == 2


def test_a_loss_that_reads_the_row_finds_its_numbers():
    def loss(params, state, batch, key, h):
        return jnp.sum(params**2), ({"a": h["m"] * state["a"] + (1 - h["m"]) * h["x"]}, {})

    start = {"a": jnp.float32(0)}
    task = dataclasses.replace(stateful(lambda s, x: s, start), loss=loss)
    ours = joc.reestimated(task, jnp.ones(2), start, batch_size=8, h={"m": 0.9, "x": 3.0})
    assert float(ours["a"]) == pytest.approx(3.0, rel=1e-5)
    with pytest.raises(KeyError, match="reads column 'x', which"):
        joc.reestimated(task, jnp.ones(2), start, batch_size=8, h={"m": 0.9})


ODD = {
    "a maximum": lambda s, x: {"a": jnp.maximum(s["a"], x), "b": s["b"]},
    "of another": lambda s, x: {"a": 0.9 * s["a"] + s["b"] * x, "b": s["b"]},
    "a square": lambda s, x: {"a": s["a"] ** 2 + x, "b": s["b"]},
    "not finite": lambda s, x: {"a": x / s["a"], "b": s["b"]},
}


@pytest.mark.parametrize("odd", ODD)
def test_what_is_no_moving_average_is_named(odd):
    start = {"a": jnp.float32(0.5), "b": jnp.float32(1.5)}
    task = stateful(ODD[odd], start)
    with pytest.raises(ValueError, match="a of the model's state is no moving average"):
        joc.reestimated(task, jnp.ones(2), start, batch_size=8)


def test_a_stream_s_batches():
    source = [{"inputs": x, "targets": np.zeros(8, int)} for x in batches()]
    for stream in (joc.stream(source), joc.stream(lambda seed: iter(source))):
        task = dataclasses.replace(TASK, train=stream)
        own = {} if stream.batches else {"batches": len(source)}
        ours = joc.reestimated(task, PARAMS, STATE, **own)
        assert_close(ours["batch_stats"], by_hand(PARAMS, batches()))
    with pytest.raises(ValueError, match="the stream has no length: say batches="):
        joc.reestimated(task, PARAMS, STATE)


@pytest.mark.parametrize("given", [0, -1, 2.5, True, 99])
def test_bad_numbers_of_batches_are_named(given):
    with pytest.raises(ValueError, match="batches must be a whole number from 1 to 3, an epoch"):
        joc.reestimated(TASK, PARAMS, STATE, batch_size=8, batches=given)


def test_numpy_s_whole_numbers_are_numbers_and_odd_seeds_are_named():
    plain = joc.reestimated(TASK, PARAMS, STATE, batch_size=8, batches=2, seed=3)
    again = joc.reestimated(
        TASK, PARAMS, STATE, batch_size=8, batches=np.int64(2), seed=np.uint8(3)
    )
    jax.tree.map(np.testing.assert_array_equal, again, plain)
    for seed in (-1, 2**32, 1.5, True, None):
        with pytest.raises(ValueError, match="seed must be a whole number from 0 to 2³² - 1, not"):
            joc.reestimated(TASK, PARAMS, STATE, batch_size=8, seed=seed)


def test_a_model_without_a_state_is_named():
    with pytest.raises(ValueError, match="'line' has no state of its own"):
        joc.reestimated("line", {}, {})
