"""Taken over in the middle of a training: the next 200 steps are the framework's."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from golden.cells import NOISE, gradient, split

from jaxopt_course.base import apply_updates
from jaxopt_course.conventions import from_keras, from_torch

PORTS = json.loads((Path(__file__).parent / "golden" / "ports.json").read_text())
GO_ON = (1, 2, 50, 100, 200)


def go_on(tx, state, params):
    """Parameters after each step, (200, 6)."""

    def step(carry, noise):
        params, state = carry
        g = noise + gradient(jnp.concatenate([params["w"].ravel(), params["b"]]))
        u, state = tx.update(split(g), state, params)
        params = apply_updates(params, u)
        return (params, state), jnp.concatenate([params["w"].ravel(), params["b"]])

    return np.asarray(jax.lax.scan(step, (params, state), jnp.asarray(NOISE[20:]))[1])


def take_over(name, port):
    params = split(jnp.asarray(port["params"]))
    if name.startswith("torch"):
        return *from_torch(port["state"], params, names=["w", "b"]), params
    config, variables = port["state"]
    cls = port["cls"] if port["cls"] in ("Adamax", "Nadam") else None
    return *from_keras(config, variables, params, names=["w", "b"], optimizer=cls), params


@pytest.mark.parametrize("name", PORTS)
def test_training_goes_on_as_in_the_framework(name):
    port = PORTS[name]
    with jax.enable_x64(True):
        path = go_on(*take_over(name, port))
    later = np.array(port["later"])
    size = np.abs(later).max(axis=0)
    off = np.abs(path[np.array(GO_ON) - 1] - later) / size
    assert off.max() <= 1e-10


# --- groups, layouts and what is refused, without torch: a state dict is nested dicts ---

ADAM = {
    "lr": 0.1,
    "betas": [0.9, 0.99],
    "eps": 1e-8,
    "weight_decay": 0.0,
    "amsgrad": False,
    "maximize": False,
    "decoupled_weight_decay": False,
}
PARAMS = {"bias": jnp.zeros(2), "kernel": jnp.ones((3, 2))}


def entry(shape, t=3.0):
    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    return {"step": t, "exp_avg": x, "exp_avg_sq": x + 1}


def adam_state(*groups, state):
    return {"param_groups": list(groups), "state": state}


def test_transposed_weights_land_in_their_kernels():
    state = adam_state({**ADAM, "params": [0, 1]}, state={0: entry((2, 3)), 1: entry(2)})
    _, ours = from_torch(state, PARAMS, names=["kernel", "bias"], transpose=True)
    adam = next(piece for piece in ours if hasattr(piece, "mu"))
    np.testing.assert_array_equal(adam.mu["kernel"], entry((2, 3))["exp_avg"].T)
    np.testing.assert_array_equal(adam.nu["bias"], entry(2)["exp_avg_sq"])
    assert int(adam.count) == 3
    axes = {"kernel": (1, 0)}
    _, same = from_torch(state, PARAMS, names=["kernel", "bias"], transpose=axes)
    jax.tree.map(np.testing.assert_array_equal, ours, same)


def test_groups_keep_their_rates_and_parameters_without_memory_are_frozen():
    groups = [{**ADAM, "params": [0]}, {**ADAM, "lr": 0.01, "params": [1]}]
    state = adam_state(*groups, state={0: entry((3, 2)), 1: entry(2)})
    tx, ours = from_torch(state, PARAMS, names=["kernel", "bias"])
    u, _ = tx.update(jax.tree.map(jnp.ones_like, PARAMS), ours, PARAMS)
    m, v = 0.9 * np.arange(2) + 0.1, 0.99 * (np.arange(2) + 1) + 0.01
    expected = m / (1 - 0.9**4) / np.sqrt(v / (1 - 0.99**4))
    np.testing.assert_allclose(u["bias"], -0.01 * expected, rtol=1e-5)
    np.testing.assert_allclose(u["kernel"][0], -0.1 * expected, rtol=1e-5)
    one = adam_state({**ADAM, "params": [0, 1]}, state={0: entry((3, 2))})
    tx, ours = from_torch(one, PARAMS, names=["kernel", "bias"])
    u, _ = tx.update(jax.tree.map(jnp.ones_like, PARAMS), ours, PARAMS)
    np.testing.assert_allclose(u["kernel"][0], -0.1 * expected, rtol=1e-5)
    assert (np.asarray(u["bias"]) == 0).all()


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({}, {}, "exp_avg for bias has shape"),
        ({}, {"names": ["kernel", "bais"]}, "did you mean 'bias'"),
        ({}, {"names": ["kernel"]}, "2 parameters, names= has 1"),
        ({"initial_lr": 0.1}, {}, "a scheduler has set the rate"),
        ({"secret": 1}, {"names": ["kernel", "bias"]}, "'secret' cannot be brought over"),
        ({}, {"optimizer": "LBFGS"}, "unknown torch optimizer 'LBFGS'"),
    ],
)
def test_what_does_not_fit_is_named(change, options, message):
    group = {**ADAM, **change, "params": [0, 1]}
    with pytest.raises(ValueError, match=message):
        from_torch(adam_state(group, state={0: entry((3, 2)), 1: entry(2)}), PARAMS, **options)


def test_what_keras_has_and_we_have_not_is_named():
    config = {"learning_rate": 0.1, "momentum": 0.0, "nesterov": False}
    with pytest.raises(ValueError, match="use_ema"):
        from_keras({**config, "use_ema": True}, [1, 0.1], PARAMS)
    with pytest.raises(ValueError, match="unknown Keras schedule 'CosineDecayRestarts'"):
        restarts = {"class_name": "CosineDecayRestarts", "config": {}}
        from_keras({**config, "learning_rate": restarts}, [1], PARAMS)
    with pytest.raises(ValueError, match="not built yet"):
        from_keras({**config, "momentum": 0.9}, [0, 0.1], PARAMS)
    moments = {"learning_rate": 0.1, "beta_1": 0.9, "beta_2": 0.99, "epsilon": 1e-7}
    with pytest.raises(ValueError, match="say optimizer="):
        from_keras(moments, [0, 0.1], PARAMS)


def test_the_state_is_a_copy():
    """JAX may share NumPy's memory, and PyTorch goes on writing to it: found on a real training."""
    w = jnp.zeros(4096)
    theirs = np.ones(4096, np.float32)
    group = {"lr": 0.1, "momentum": 0.9, "dampening": 0, "weight_decay": 0, "nesterov": False}
    group |= {"maximize": False, "params": [0]}
    memory = {"state": {0: {"momentum_buffer": theirs}}, "param_groups": [group]}
    _, state = from_torch(memory, {"w": w})
    theirs[:] = 7.0
    np.testing.assert_array_equal(optax.tree.get(state, "trace")["w"], np.ones(4096))


# --- values of the wrong kind: each error has the argument's name and the way out ---

SGD_CONFIG = {"learning_rate": 0.1, "momentum": 0.0, "nesterov": False}
ODD_OPTIONS = [
    ({"transpose": ["kernel"]}, TypeError, r"transpose= is True .* got \['kernel'\] \(list\)"),
    ({"transpose": "kernel"}, TypeError, "transpose= is True .* got 'kernel' \\(str\\)"),
    ({"transpose": None}, TypeError, "transpose= is True"),
    ({"transpose": 1}, TypeError, r"such as .'kernel': \(1, 0\)"),
    ({"transpose": {"kernl": (1, 0)}}, ValueError, "transpose= 'kernl'; did you mean 'kernel'"),
    ({"transpose": {"kernel": True}}, ValueError, "transpose= of kernel is True; it is an order"),
    ({"transpose": {"kernel": (1, 1)}}, ValueError, r"transpose= of kernel is \(1, 1\)"),
    ({"transpose": {"kernel": "10"}}, ValueError, "transpose= of kernel is '10'"),
    ({"names": "kernel"}, TypeError, "names= is a list of paths, such as .'bias'.; got 'kernel'"),
    ({"names": [0, 1]}, TypeError, "names= is a list of paths"),
    ({"optimizer": dict}, TypeError, "optimizer= is the name of the class"),
    ({"learning_rate": "0.1"}, TypeError, "learning_rate= is a number or a schedule; got '0.1'"),
    ({"learning_rate": [0.1, 0.2]}, TypeError, "learning_rate= is a number or a schedule"),
    ({"params": {}}, ValueError, "params has no leaves"),
]


@pytest.mark.parametrize(("options", "error", "message"), ODD_OPTIONS)
@pytest.mark.parametrize("framework", ["torch", "keras"])
def test_odd_options_of_both(framework, options, error, message):
    options = {"params": PARAMS, **options}
    state = adam_state({**ADAM, "params": [0, 1]}, state={0: entry(2), 1: entry((3, 2))})
    with pytest.raises(error, match=message):
        if framework == "torch":
            from_torch(state, **options)
        else:
            from_keras(SGD_CONFIG, [0, 0.1], **options)


@pytest.mark.parametrize(
    ("state", "options", "error", "message"),
    [
        (object(), {}, TypeError, r"state_dict= is optimizer.state_dict\(\)"),
        ({"w": 1}, {}, ValueError, "no 'param_groups' but .'w'.*not the model's"),
        ({"param_groups": []}, {}, ValueError, "no 'state'"),
        (adam_state(state={}), {"step": 1.5}, TypeError, "step= is a whole number"),
        (adam_state(state={}), {"step": True}, TypeError, "step= is a whole number"),
        (adam_state(state={}), {"step": "3"}, TypeError, "step= is a whole number"),
        (adam_state(state={}), {"step": -1}, ValueError, "step=-1: the updates done"),
    ],
)
def test_odd_arguments_of_from_torch(state, options, error, message):
    with pytest.raises(error, match=message):
        from_torch(state, PARAMS, **options)


@pytest.mark.parametrize(
    ("config", "variables", "options", "error", "message"),
    [
        (object(), [0, 0.1], {}, TypeError, r"config= is optimizer.get_config\(\)"),
        ({"momentum": 0.0}, [0, 0.1], {}, ValueError, "no 'learning_rate' but .'momentum'"),
        ({"class_name": "SGD"}, [0, 0.1], {}, ValueError, "config has no 'learning_rate'"),
        (SGD_CONFIG, {"count": 0}, {}, TypeError, "variables= is the list optimizer.variables"),
        (SGD_CONFIG, None, {}, TypeError, "variables= is the list optimizer.variables"),
        (SGD_CONFIG, [], {}, ValueError, "variables is empty"),
        (SGD_CONFIG, [0, 0.1], {"mask": "kernel"}, TypeError, "mask= is a tree of bools"),
    ],
)
def test_odd_arguments_of_from_keras(config, variables, options, error, message):
    with pytest.raises(error, match=message):
        from_keras(config, variables, PARAMS, **options)


def test_axes_of_another_rank_are_named():
    state = adam_state({**ADAM, "params": [0, 1]}, state={0: entry(2), 1: entry((3, 2))})
    with pytest.raises(ValueError, match="transpose= of kernel has 3 axes, torch's exp_avg for"):
        from_torch(state, PARAMS, transpose={"kernel": (2, 1, 0)})
