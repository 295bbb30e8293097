"""Our recipes inside real Flax loops and optax's wrappers: the same loop with optax's recipe."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from flax.training.train_state import TrainState
from helpers import assert_trees_close, start, their
from long_form import every, once, only

from jaxopt_course.optimizers import OPTIMIZERS, adam, adamw, rmsprop, sgd
from jaxopt_course.transforms import switch

RECIPES = {
    "sgd": {"momentum": 0.9, "nesterov": True},
    "momentum": {},
    "ema_momentum": {},
    "nesterov": {},
    "adagrad": {},
    "rmsprop": {"momentum": 0.9},
    "adadelta": {},
    "adam": {},
    "adamw": {"weight_decay": 0.1},
    "adamax": {},
    "amsgrad": {},
    "nadam": {},
    "radam": {},
    "lion": {"weight_decay": 0.1},
    "ademamix": {"weight_decay": 0.1},
    "muon": {},
    "nadamw": {},
    "signum": {},
    "adabelief": {},
    "adan": {},
    "adopt": {},
    "lamb": {},
    "lars": {},
    "adafactor": {},
    "prodigy": {"estim_lr0": 1e-2},
    # its first bases are of one gradient, whose small directions are rounding in float32: with a
    # small eps two right programs part there (float64: test_optimizers_parity)
    "soap": {"precondition_frequency": 2, "eps": 1.0},
    "schedule_free_adamw": {"warmup_steps": 3.0},
    "schedule_free_sgd": {},
}
ALL = pytest.mark.parametrize("name", RECIPES)
# each kind of state once: none, a sum, means, a maximum, a count that decides, a sign
KINDS = ["sgd", "adagrad", "adam", "amsgrad", "radam", "lion"]
STEPS = 5
X = np.random.default_rng(0).normal(size=(16, 3)).astype(np.float32)
Y = X.sum(axis=1, keepdims=True) ** 2


def twins(name, learning_rate=0.03):
    kwargs = dict(RECIPES[name], learning_rate=learning_rate)
    return OPTIMIZERS[name](**kwargs), their(name, kwargs)


def test_every_recipe_is_here():
    assert RECIPES.keys() == OPTIMIZERS.keys()


class Network(nnx.Module):
    """Two layers with BatchNorm and Dropout between them."""

    def __init__(self, rngs):
        # a bias before BatchNorm has a gradient of pure rounding, which Adam would magnify
        self.first = nnx.Linear(3, 8, use_bias=False, rngs=rngs)
        self.norm = nnx.BatchNorm(8, rngs=rngs)
        self.drop = nnx.Dropout(0.1, rngs=rngs)
        self.last = nnx.Linear(8, 1, rngs=rngs)

    def __call__(self, x):
        return self.last(self.drop(jax.nn.relu(self.norm(self.first(x)))))


def train_nnx(tx):
    model = Network(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, tx, wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer):
        loss = lambda model: jnp.mean((model(X) - Y) ** 2)
        value, grads = nnx.value_and_grad(loss)(model)
        optimizer.update(model, grads)
        return value

    losses = [step(model, optimizer) for _ in range(STEPS)]
    assert optimizer.step[...] == STEPS
    return losses, nnx.to_pure_dict(nnx.state(model, nnx.Param))


@pytest.mark.parametrize("name", only(["adam", "radam"], KINDS))
def test_nnx_optimizer(name):
    ours, theirs = map(train_nnx, twins(name))
    assert_trees_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.long
def test_nnx_optimizer_with_a_schedule_and_with_a_switch():
    falling = optax.linear_schedule(0.03, 0.0, 4)
    assert_trees_close(*(train_nnx(tx) for tx in twins("adam", falling)), rtol=1e-4, atol=1e-5)
    chosen = switch(jnp.int32(1), [sgd(0.1), adam(0.03)])
    assert_trees_close(train_nnx(chosen), train_nnx(adam(0.03)), rtol=1e-5, atol=1e-6)


def train_state(tx):
    model = nn.Sequential([nn.Dense(8), nn.relu, nn.Dense(1)])
    params = model.init(jax.random.key(0), X)
    state = TrainState.create(apply_fn=model.apply, params=params, tx=tx)

    @jax.jit
    def step(state):
        grads = jax.grad(lambda p: jnp.mean((state.apply_fn(p, X) - Y) ** 2))(state.params)
        return state.apply_gradients(grads=grads)

    for _ in range(STEPS):
        state = step(state)
    return state.params


@pytest.mark.parametrize("name", every(8, RECIPES))
def test_train_state(name):
    ours, theirs = map(train_state, twins(name))
    assert_trees_close(ours, theirs, rtol=1e-4, atol=1e-5)


# --- optax's wrappers ---


def wrapped(wrap, spoil=None):
    """Six steps on a bowl, the gradient of step 2 spoiled."""

    def run(tx):
        tx = wrap(tx)
        params, state = start(), tx.init(start())
        update = jax.jit(tx.update)
        for step in range(6):
            grads = params if step != 2 or spoil is None else {**params, "b": params["b"] * spoil}
            u, state = update(grads, state, params)
            params = optax.apply_updates(params, u)
        return params

    return run


WRAPPERS = {
    "MultiSteps": wrapped(lambda tx: optax.MultiSteps(tx, every_k_schedule=2)),
    "masked": wrapped(lambda tx: optax.masked(tx, {"w": True, "b": False})),
    "apply_if_finite": wrapped(lambda tx: optax.apply_if_finite(tx, 3), spoil=np.nan),
    "flatten": wrapped(optax.flatten),
    "partition": wrapped(
        lambda tx: optax.partition({"a": tx, "z": optax.set_to_zero()}, {"w": "a", "b": "z"})
    ),
    "chain": wrapped(lambda tx: optax.chain(optax.clip_by_global_norm(0.5), tx)),
}


@pytest.mark.parametrize("name, wrapper", once([(k, w) for w in WRAPPERS for k in KINDS]))
def test_wrappers(name, wrapper):
    ours, theirs = map(WRAPPERS[wrapper], twins(name))
    assert_trees_close(ours, theirs, rtol=1e-5, atol=1e-6)
    assert np.isfinite(ours["w"]).all()


@pytest.mark.parametrize("recipe", [adam, adamw, rmsprop, sgd])
def test_inject_hyperparams(recipe):
    """A falling rate, injected, and the rate read from the state."""
    falling = lambda step: 0.1 / (1 + step)
    twin = getattr(optax, recipe.__name__)
    build = lambda f: lambda _: optax.inject_hyperparams(f)(learning_rate=falling)
    ours, theirs = wrapped(build(recipe))(None), wrapped(build(twin))(None)
    assert_trees_close(ours, theirs, rtol=2e-4, atol=1e-6)
    tx = optax.inject_hyperparams(recipe)(learning_rate=falling)
    state = tx.init(start())
    for step in range(3):
        _, state = tx.update(start(), state, start())
        assert state.hyperparams["learning_rate"] == np.float32(falling(step))
