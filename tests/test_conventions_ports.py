"""Taken over in the middle of a training: the next 200 steps are the framework's."""

import functools
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from golden.cells import NOISE, gradient, split
from helpers import counted
from long_form import once

from jaxopt_course.base import apply_updates
from jaxopt_course.conventions import convention, from_keras, from_torch
from jaxopt_course.conventions.arrays import refuse_deep
from jaxopt_course.conventions.keras_state import schedule_from_keras
from jaxopt_course.conventions.newer_states import squeezed
from jaxopt_course.conventions.ports import _laid_out as laid_out
from jaxopt_course.conventions.torch_classes import CLASSES

PORTS = json.loads((Path(__file__).parent / "golden" / "ports.json").read_text())
GO_ON = (1, 2, 50, 100, 200)


def go_on(tx, state, params):
    """Parameters after each step, (200, 6); one program a step, which compiles before a scan."""

    def step(params, state, noise):
        g = noise + gradient(jnp.concatenate([params["w"].ravel(), params["b"]]))
        u, state = tx.update(split(g), state, params)
        return apply_updates(params, u), state

    (step, kinds), path = counted(step), []
    for noise in NOISE[20:]:
        params, state = step(params, state, noise)
        path.append(np.concatenate([np.ravel(params["w"]), params["b"]]))
    assert len(kinds) == 1  # none changed
    return np.array(path)


def take_over(name, port):
    params = split(jnp.asarray(port["params"]))
    if name.startswith("torch"):
        turned = "muon" in name  # torch's matrices are (outputs, inputs), see frameworks.Torch
        return *from_torch(port["state"], params, names=["w", "b"], transpose=turned), params
    config, variables = port["state"]
    cls = port["cls"] if port["cls"] in ("Adamax", "Nadam", "Lamb") else None
    return *from_keras(config, variables, params, names=["w", "b"], optimizer=cls), params


@pytest.fixture
def unrounded(monkeypatch):
    """torch's Muon without its bfloat16, as most of its golden states were made."""
    recipe, *rest = CLASSES["Muon"]
    monkeypatch.setitem(CLASSES, "Muon", (functools.partial(recipe, ns_dtype=None), *rest))


ALIKE = [name for name in PORTS if not name.endswith("rounded")]


@pytest.mark.parametrize("name", once(ALIKE, lambda name: name.rpartition(".")[0]))
def test_training_goes_on_as_in_the_framework(name, unrounded):
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


def test_groups_keep_their_rates_and_frozen_leaves_do_not_move():
    groups = [{**ADAM, "params": [0]}, {**ADAM, "lr": 0.01, "params": [1]}]
    state = adam_state(*groups, state={0: entry((3, 2)), 1: entry(2)})
    tx, ours = from_torch(state, PARAMS, names=["kernel", "bias"])
    u, _ = tx.update(jax.tree.map(jnp.ones_like, PARAMS), ours, PARAMS)
    m, v = 0.9 * np.arange(2) + 0.1, 0.99 * (np.arange(2) + 1) + 0.01
    expected = m / (1 - 0.9**4) / np.sqrt(v / (1 - 0.99**4))
    np.testing.assert_allclose(u["bias"], -0.01 * expected, rtol=1e-5)
    np.testing.assert_allclose(u["kernel"][0], -0.1 * expected, rtol=1e-5)
    one = adam_state({**ADAM, "params": [0, 1]}, state={0: entry((3, 2))})
    tx, ours = from_torch(one, PARAMS, names=["kernel", "bias"], frozen=["bias"])
    u, _ = tx.update(jax.tree.map(jnp.ones_like, PARAMS), ours, PARAMS)
    np.testing.assert_allclose(u["kernel"][0], -0.1 * expected, rtol=1e-5)
    assert (np.asarray(u["bias"]) == 0).all()


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({}, {}, "exp_avg for bias has shape"),
        ({}, {"names": ["kernel", "bais"]}, "did you mean 'bias'"),
        ({}, {"names": ["kernel", "kernel"]}, "names= has a leaf twice: .'kernel', 'kernel'."),
        ({}, {"names": ["kernel"]}, "2 parameters, names= has 1"),
        ({"initial_lr": 0.1}, {}, "a scheduler has set the rate"),
        ({"secret": 1}, {"names": ["kernel", "bias"]}, "'secret' cannot be brought over"),
        ({}, {"optimizer": "LBFGS"}, "torch's LBFGS has no recipe here"),
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


@pytest.mark.parametrize("keys", [[0, 1.5], [True, 0], ["w", None], 0])
def test_parameters_of_a_group_are_numbers_or_names(keys):
    with pytest.raises(TypeError, match="a list of numbers or names of parameters"):
        from_torch({"state": {}, "param_groups": [{"lr": 0.1, "params": keys}]}, PARAMS)


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
    ({"learning_rate": {"w": 0.1}}, TypeError, "learning_rate= is a number or a schedule"),
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
        ({}, {}, ValueError, "no 'param_groups' but"),
        (adam_state(state={}), {"learning_rate": [0.1]}, ValueError, "has 1 rates, torch 0 param"),
        (adam_state(state={}), {"momentum": "0.9"}, TypeError, "momentum= is a number; got '0.9'"),
        (adam_state(state={}), {"frozen": "bias"}, TypeError, "frozen= is a list of paths or patt"),
        (adam_state(state={}), {"frozen": True}, TypeError, "frozen= is a list of paths or patt"),
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


# --- what attackers found: states that look alike and are not ---


def count_of(state, kind):
    """The counters of the states of a class, wherever they stand."""
    is_state = lambda x: "count" in getattr(x, "_fields", ())
    found = [x for x in jax.tree.leaves(state, is_leaf=is_state) if type(x).__name__ == kind]
    return sorted(int(x.count) for x in found)


def two_groups(**changes):
    """Torch's Adam after 10 steps of ``bias``, and a group ``kernel`` without memory."""
    groups = [{**ADAM, "params": [0], **changes}, {**ADAM, "params": [1], **changes}]
    return adam_state(*groups, state={0: entry(2, 10.0)})


def test_a_group_without_memory_is_frozen_or_new_and_asks():
    ones = jax.tree.map(jnp.ones_like, PARAMS)
    with pytest.raises(ValueError, match=r"group 1 \(kernel\).*Say frozen=\['kernel'\].*frozen="):
        from_torch(two_groups(), PARAMS)
    for frozen, moved in (["kernel"], 0.0), (["k*"], 0.0), ([], 0.1):  # torch's first step is η
        tx, state = from_torch(two_groups(), PARAMS, frozen=frozen)
        u, _ = tx.update(ones, state, PARAMS)
        np.testing.assert_allclose(u["kernel"], np.full((3, 2), -moved), rtol=1e-6)
        assert (np.asarray(u["bias"]) != 0).all()
    with pytest.raises(ValueError, match="unknown leaf in frozen= 'kernl'; did you mean 'kernel'"):
        from_torch(two_groups(), PARAMS, frozen=["kernl"])


@pytest.mark.parametrize("step", [None, 10, 25])
def test_a_new_group_counts_from_0_and_the_schedule_goes_on(step):
    at = 10 if step is None else step
    rates = []
    schedule = lambda s: rates.append(int(s)) or 0.1 / (1 + s)
    tx, state = from_torch(two_groups(), PARAMS, learning_rate=schedule, step=step, frozen=[])
    assert count_of(state, "ScaleByAdamState") == [0, 10]
    assert count_of(state, "ScaleByScheduleState") == [at, at]
    u, _ = tx.update(jax.tree.map(jnp.ones_like, PARAMS), state, PARAMS)
    assert rates == [at, at]
    np.testing.assert_allclose(u["kernel"], np.full((3, 2), -0.1 / (1 + at)), rtol=1e-6)


def test_groups_that_began_at_other_times_share_that_of_the_schedule():
    groups = [{**ADAM, "params": [0]}, {**ADAM, "params": [1]}]
    late = adam_state(*groups, state={0: entry(2, 10.0), 1: entry((3, 2), 4.0)})
    _, state = from_torch(late, PARAMS, learning_rate=lambda s: 0.1 / (1 + s))
    assert count_of(state, "ScaleByAdamState") == [4, 10]
    assert count_of(state, "ScaleByScheduleState") == [10, 10]


def test_a_parameter_of_a_group_begins_late_where_frozen_says_that_it_trains():
    one = adam_state({**ADAM, "params": [0, 1]}, state={0: entry(2, 10.0)})
    with pytest.raises(ValueError, match=r"of kernel \(param group 0\).*frozen=\['kernel'\]"):
        from_torch(one, PARAMS)
    tx, state = from_torch(one, PARAMS, frozen=[])
    u, _ = tx.update(jax.tree.map(jnp.ones_like, PARAMS), state, PARAMS)
    np.testing.assert_allclose(u["kernel"], np.full((3, 2), -0.1), rtol=1e-6)
    assert count_of(state, "ScaleByAdamState") == [0, 10]


def test_adagrads_memory_of_step_0_is_no_memory():
    """torch makes it beforehand; a parameter that never had a gradient keeps step 0."""
    group = {"lr": 0.1, "lr_decay": 1.0, "eps": 1e-10, "weight_decay": 0}
    group |= {"initial_accumulator_value": 1.0, "params": [0, 1]}
    memory = {0: {"step": 3.0, "sum": np.full(2, 8.0)}, 1: {"step": 0.0, "sum": np.ones((3, 2))}}
    state = adam_state(group, state=memory)
    ones = jax.tree.map(jnp.ones_like, PARAMS)
    for options, moved in (
        ({"frozen": ["kernel"]}, 0.0),
        ({"frozen": []}, 0.1 / 2**0.5),
        ({"frozen": [], "learning_rate": lambda s: 0.1 * (s == 3)}, 0.1 / 2**0.5),
    ):
        tx, ours = from_torch(state, PARAMS, **options)
        u, _ = tx.update(ones, ours, PARAMS)
        np.testing.assert_allclose(u["bias"], np.full(2, -0.1 / 4 / 3), rtol=1e-6)
        np.testing.assert_allclose(u["kernel"], np.full((3, 2), -moved), rtol=1e-6)


def test_adagrads_sum_of_step_0_is_the_constructor_s_whatever_the_group_says():
    """torch fills it by the argument of its constructor, also where a group has its own."""
    group = {"lr": 0.1, "lr_decay": 0, "eps": 1e-10, "weight_decay": 0}
    group |= {"initial_accumulator_value": 0.0, "params": [0, 1]}
    memory = {0: {"step": 3.0, "sum": np.full(2, 8.0)}, 1: {"step": 0.0, "sum": np.full((3, 2), 3)}}
    for state in memory, {1: memory[1], 0: {"step": 0.0, "sum": np.full(2, 8.0)}}:
        tx, ours = from_torch(adam_state(group, state=state), PARAMS, frozen=[])
        u, _ = tx.update(jax.tree.map(jnp.ones_like, PARAMS), ours, PARAMS)
        np.testing.assert_allclose(u["bias"], np.full(2, -0.1 / 3), rtol=1e-6)
        np.testing.assert_allclose(u["kernel"], np.full((3, 2), -0.1 / 2), rtol=1e-6)


def test_a_group_without_momentum_where_torch_s_constructor_had_nesterov():
    """torch asks only its defaults, and a group without momentum takes plain steps."""
    first = {**SGD, "momentum": 0.5, "nesterov": True, "params": [0]}
    plain = {**first, "momentum": 0.0, "params": [1]}
    state = adam_state(first, plain, state={0: {"momentum_buffer": np.full(2, 4.0)}})
    tx, ours = from_torch(state, PARAMS)
    u, _ = tx.update(jax.tree.map(jnp.ones_like, PARAMS), ours, PARAMS)
    lr = SGD["lr"]  # g + μ (μ m + g), and g
    np.testing.assert_allclose(u["bias"], np.full(2, -lr * (1 + 0.5 * 3)), rtol=1e-6)
    np.testing.assert_allclose(u["kernel"], np.full((3, 2), -lr), rtol=1e-6)


def test_a_buffer_of_none_is_no_memory():
    """torch's SGD without momentum writes it; with one it begins with the gradient, undamped."""
    group = {**SGD, "momentum": 0.9, "dampening": 0.5, "params": [0, 1]}
    nothing = adam_state(group, state={i: {"momentum_buffer": None} for i in range(2)})
    tx, ours = from_torch(nothing, PARAMS)
    ones = jax.tree.map(jnp.ones_like, PARAMS)
    first, ours = tx.update(ones, ours, PARAMS)
    second, _ = tx.update(ones, ours, PARAMS)
    np.testing.assert_array_equal(first["bias"], np.full(2, -1.0))
    np.testing.assert_allclose(second["bias"], np.full(2, -1.4), rtol=1e-6)


BAD = [np.nan, np.inf, -np.inf, 1e39]


@pytest.mark.parametrize(
    ("change", "lost", "said"),
    [({}, "exp_avg_sq", "exp_avg_sq"), ({"amsgrad": True}, "none", "max_exp_avg_sq")],
)
def test_a_memory_that_lacks_a_part_is_refused(change, lost, said):
    """With 0 in the place of the squares a step would be a thousand times as long."""
    kept = [{k: x for k, x in entry(shape).items() if k != lost} for shape in (2, (3, 2))]
    state = adam_state({**ADAM, **change, "params": [0, 1]}, state=dict(enumerate(kept)))
    with pytest.raises(ValueError, match=f"memory of bias has no '{said}', which Adam keeps"):
        from_torch(state, PARAMS)


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("memory", ["exp_avg", "exp_avg_sq"])
def test_torch_s_memories_that_are_not_finite_are_refused(value, memory):
    spoilt = entry((3, 2))
    spoilt[memory] = spoilt[memory].astype(float)
    spoilt[memory][2, 0] = value
    state = adam_state({**ADAM, "params": [0, 1]}, state={0: entry(2), 1: spoilt})
    message = rf"torch's {memory} for kernel has 1 values that are not finite.*at \(2, 0\).*anew"
    with pytest.raises(ValueError, match=message):
        from_torch(state, PARAMS)


@pytest.mark.parametrize("value", BAD)
def test_keras_s_memories_that_are_not_finite_are_refused(value):
    config = {"learning_rate": 0.5, "momentum": 0.5, "nesterov": False}
    with pytest.raises(ValueError, match="Keras's trace for w has 1 values that are not finite"):
        from_keras(config, [1, 0.5, [0.0, value]], {"w": jnp.ones(2)})


@pytest.mark.parametrize("memory", ["exp_avg_sq", "max_exp_avg_sq"])
def test_a_mean_of_squares_below_0_is_refused(memory):
    """torch's root of it is NaN; ours is kept off 0 and would take a step of 1e19 or so."""
    group = {"lr": 0.1, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0, "amsgrad": True}
    entry = {name: [0.5, 0.25] for name in ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")}
    saved = {"state": {0: {"step": 3, **entry}}, "param_groups": [{**group, "params": [0]}]}
    _, state = from_torch(saved, {"w": jnp.ones(2)})
    assert float(jax.tree.leaves(state)[0]) == 3
    saved["state"][0] = {"step": 3, **entry, memory: [0.5, -0.25]}
    said = rf"torch's {memory} for w has 1 values below 0, the first, -0.25, at \(1,\)"
    with pytest.raises(ValueError, match=said):
        from_torch(saved, {"w": jnp.ones(2)})
    config = {"learning_rate": 0.1, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}
    variables = [3, 0.1, [0.5, 0.25], [0.5, -0.25]]
    with pytest.raises(ValueError, match="Keras's nu for w has 1 values below 0"):
        from_keras(config | {"amsgrad": False}, variables, {"w": jnp.ones(2)})


def test_a_memory_without_its_step_is_refused_where_torch_counts():
    """It would count as one step: Adam's corrections would begin anew, silently."""
    port = PORTS["torch.adam.defaults"]
    bare = {
        k: {n: x for n, x in e.items() if n != "step"} for k, e in port["state"]["state"].items()
    }
    without = port["state"] | {"state": bare}
    params = split(jnp.asarray(port["params"]))
    with pytest.raises(ValueError, match=r"memory of w has no 'step', which Adam keeps"):
        from_torch(without, params, names=["w", "b"])
    state = from_torch(without, params, names=["w", "b"], step=20)[1]
    wanted = from_torch(port["state"], params, names=["w", "b"])[1]
    assert jax.tree.all(jax.tree.map(np.array_equal, state, wanted))
    assert port["state"]["state"]["0"]["step"] == 20


def test_a_large_memory_is_finite_where_its_leaf_has_64_bits():
    state = adam_state({**ADAM, "params": [0]}, state={0: entry(2)})
    state["state"][0]["exp_avg"] = np.array([1e39, 0.0])
    with jax.enable_x64(True):
        _, ours = from_torch(state, {"bias": jnp.zeros(2, jnp.float64)})
        assert any(leaf.size == 2 and float(leaf[0]) == 1e39 for leaf in jax.tree.leaves(ours))


SGD = {"lr": 1.0, "momentum": 0.0, "dampening": 0, "weight_decay": 0, "nesterov": False}


def test_plain_sgd_has_no_memory_and_nothing_to_ask():
    groups = [{**SGD, "momentum": 0.5, "params": [0]}, {**SGD, "params": [1]}]
    state = adam_state(*groups, state={0: {"momentum_buffer": np.ones(2)}})
    ones = jax.tree.map(jnp.ones_like, PARAMS)
    tx, ours = from_torch(state, PARAMS)
    u, _ = tx.update(ones, ours, PARAMS)
    np.testing.assert_array_equal(u["bias"], np.full(2, -1.5))
    np.testing.assert_array_equal(u["kernel"], np.full((3, 2), -1.0))
    tx, ours = from_torch(state, PARAMS, frozen=["kernel"])
    assert not np.asarray(tx.update(ones, ours, PARAMS)[0]["kernel"]).any()


def test_a_cycled_momentum_is_refused_until_it_is_given():
    """What OneCycleLR leaves in the group."""
    cycle = {"initial_lr": 0.004, "max_lr": 0.1, "base_momentum": 0.85, "max_momentum": 0.95}
    group = {**SGD, "momentum": 0.9, **cycle, "params": [0]}
    state = adam_state(group, state={0: {"momentum_buffer": np.ones(2)}})
    params = {"bias": PARAMS["bias"]}
    with pytest.raises(ValueError, match=r"turns the momentum.*cycle_momentum=False.*momentum="):
        from_torch(state, params, learning_rate=1.0)
    with pytest.raises(ValueError, match="a scheduler has set the rate"):
        from_torch(state, params, momentum=0.5)
    tx, ours = from_torch(state, params, learning_rate=1.0, momentum=0.5)
    np.testing.assert_array_equal(tx.update(params, ours, params)[0]["bias"], np.full(2, -0.5))
    adam = adam_state({**ADAM, **cycle, "params": [0]}, state={0: entry(2)})
    tx, ours = from_torch(adam, params, learning_rate=1.0, momentum=0.0)  # β1: m is g
    assert not np.asarray(tx.update(params, ours, params)[0]["bias"]).any()
    none = adam_state({"lr": 1, "rho": 0.9, "eps": 1e-6, "weight_decay": 0, "params": []}, state={})
    with pytest.raises(ValueError, match=r"momentum=0.5: torch's Adadelta has none"):
        from_torch(
            {**none, "param_groups": [{**none["param_groups"][0], "params": [0]}]},
            params,
            momentum=0.5,
        )


def test_each_group_has_its_rate():
    both = adam_state(
        {**ADAM, "params": [0]}, {**ADAM, "params": [1]}, state={0: entry(2), 1: entry((3, 2))}
    )
    rates = [0.0, lambda step: jnp.where(step == 3, 1.0, jnp.nan)]
    tx, ours = from_torch(both, PARAMS, learning_rate=rates)
    u, _ = tx.update(jax.tree.map(jnp.ones_like, PARAMS), ours, PARAMS)
    assert not np.asarray(u["bias"]).any() and np.isfinite(u["kernel"]).all()
    with pytest.raises(ValueError, match="has 3 rates, torch 2 param groups"):
        from_torch(both, PARAMS, learning_rate=[0.1] * 3)
    with pytest.raises(TypeError, match=r"learning_rate= is a number or a schedule; got '0.1'"):
        from_torch(both, PARAMS, learning_rate=[0.1, "0.1"])


def test_torchs_own_names_say_which_leaf_is_which():
    group = {**SGD, "momentum": 0.9, "params": [0, 1]}
    state = {0: {"momentum_buffer": np.full(2, 1.0)}, 1: {"momentum_buffer": np.full(2, 100.0)}}
    square = {"a": {"weight": jnp.zeros(2)}, "z": {"weight": jnp.zeros(2)}}
    by_name = {**group, "param_names": ["z.weight", "a.weight"]}
    _, ours = from_torch(adam_state(by_name, state=state), square)
    found = optax.tree.get(ours, "trace")
    assert found["a"]["weight"][0] == 100 and found["z"]["weight"][0] == 1
    with pytest.raises(ValueError, match=r"torch's 'z.weight' is z, by the order of params it is"):
        from_torch(adam_state(by_name, state=state), {"a": jnp.zeros(2), "z": jnp.zeros(2)})
    _, ours = from_torch(
        adam_state(by_name, state=state), {"a": jnp.zeros(2), "z": jnp.zeros(2)}, names=["z", "a"]
    )
    assert optax.tree.get(ours, "trace")["a"][0] == 100
    numbered = {**group, "param_names": ["0.weight", "1.weight"]}  # of a list, they say nothing
    _, ours = from_torch(adam_state(numbered, state=state), [jnp.zeros(2), jnp.zeros(2)])
    assert optax.tree.get(ours, "trace")[1][0] == 100


# torch 2.13 in float64 from 1+2i: gradients, the steps that it took, its memory after two of them
COMPLEX = [3 - 4j, -0.5 + 2j, 1 + 1j]
IN_TORCH = {
    "Adam": (
        {**ADAM, "betas": [0.9, 0.999]},
        {"exp_avg": [0.22 - 0.16j], "exp_avg_sq": [0.009241 + 0.019984j]},
        [
            -0.09999999966666673 + 0.09999999975000007j,
            -0.053853754942392196 + 0.026633703881804305j,
            -0.059513468720277074 + 0.006138886255971254j,
        ],
        lambda: convention("adam", "torch")(0.1),
    ),
    "RMSprop": (
        {"lr": 0.1, "momentum": 0.5, "alpha": 0.99, "eps": 1e-8, "centered": True}
        | {"weight_decay": 0},
        {
            "square_avg": [0.0916 + 0.1984j],
            "momentum_buffer": [3.3676132047486673 - 0.53070307712402j],
            "grad_avg": [0.0247 - 0.0196j],
        },
        [
            -1.0050377815891791 + 1.005037790006687j,
            -0.3367613204748668 + 0.053070307712402176j,
            -0.4854067566561043 - 0.19361620186766348j,
        ],
        lambda: convention("rmsprop", "torch")(0.1, momentum=0.5, centered=True),
    ),
    "Adagrad": (
        {"lr": 0.1, "lr_decay": 0, "eps": 1e-10, "weight_decay": 0}
        | {"initial_accumulator_value": 0.25},
        {"sum": [9.5 + 20.25j]},
        [
            -0.0986393923799711 + 0.09922778766890517j,
            0.01622214211254991 - 0.04444444444345663j,
            -0.030860669991465972 - 0.02169304578139508j,
        ],
        lambda: convention("adagrad", "torch")(0.1, 0.25),
    ),
}


@pytest.mark.parametrize("kind", IN_TORCH)
def test_torch_takes_a_complex_number_for_two(kind):
    group, memory, steps, recipe = IN_TORCH[kind]
    with jax.enable_x64(True):
        params = {"w": jnp.array([1 + 2j]), "x": jnp.array([1.0])}
        gradients = [{"w": jnp.array([g]), "x": jnp.array([3.0])} for g in COMPLEX]
        tx = recipe()
        state = tx.init(params)
        for g, step in zip(gradients, steps, strict=True):
            u, state = tx.update(g, state, params)
            np.testing.assert_allclose(u["w"][0], step, rtol=1e-12)
        assert u["w"].dtype == jnp.complex128 and u["x"].dtype == jnp.float64
        theirs = {0: {"step": 2.0} | {k: np.array(x) for k, x in memory.items()}}
        only = {"w": params["w"]}
        tx, state = from_torch(adam_state({**group, "params": [0]}, state=theirs), only)
        u, _ = tx.update({"w": gradients[2]["w"]}, state, only)
        np.testing.assert_allclose(u["w"][0], steps[2], rtol=1e-12)


@pytest.mark.parametrize(
    ("kind", "options", "rates"),
    [
        (
            "CosineDecay",  # the target counts also without a warm-up
            {"initial_learning_rate": 0.1, "decay_steps": 30, "alpha": 0.0}
            | {"warmup_target": 0.2, "warmup_steps": 0},
            {
                0: 0.2,
                10: 0.15000000596046448,
                11: 0.1406736671924591,
                20: 0.04999999329447746,
                30: 0,
            },
        ),
        (
            "ExponentialDecay",  # 0^0 = 1, and then nothing
            {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.0},
            {0: 0.1, 1: 0, 10: 0, 30: 0},
        ),
        (
            "ExponentialDecay",
            {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.0, "staircase": True},
            {0: 0.1, 9: 0.1, 10: 0, 30: 0},
        ),
    ],
)
def test_schedules_at_the_edge_of_their_options_are_keras_s(kind, options, rates):
    ours = schedule_from_keras({"class_name": kind, "config": options})
    np.testing.assert_allclose(
        [ours(step) for step in rates], list(rates.values()), rtol=1e-6, atol=1e-8
    )


def test_a_state_without_groups_is_refused():
    """It was taken for one that freezes all."""
    with pytest.raises(ValueError, match="no param group"):
        from_torch({"state": {}, "param_groups": []}, {"w": np.ones(2)})


ROUNDED = {"torch.muon.rounded": 1e-5, "keras.muon.rounded": 1e-8, "keras.adafactor.rounded": 1e-8}


def strayed(name):
    """How far from the framework's own path, relative to the coordinate's size."""
    port = PORTS[name]
    with jax.enable_x64(True):
        path = go_on(*take_over(name, port))
    later = np.array(port["later"])
    return (np.abs(path[np.array(GO_ON) - 1] - later) / np.abs(later).max(axis=0)).max()


@pytest.mark.parametrize("name", ROUNDED)
def test_training_goes_on_where_the_framework_itself_rounds(name):
    """torch's bfloat16, which is reproduced; Keras's float32 of norms and means, which is not."""
    assert strayed(name) <= ROUNDED[name]


def test_the_bfloat16_of_torch_is_seen(unrounded):
    assert strayed("torch.muon.rounded") > 1e-4


def muon_state(**more):
    group = {"lr": 0.1, "weight_decay": 0.0, "momentum": 0.5, "nesterov": False, "eps": 1e-7}
    group |= {"ns_coefficients": [1.5, -0.5, 0.0], "ns_steps": 30, "adjust_lr_fn": None, **more}
    memory = {0: {"momentum_buffer": np.zeros((2, 3))}}
    return {"state": memory, "param_groups": [{**group, "params": [0]}]}


def lengths(state, w, transpose=False):
    """Singular values of the step along itself."""
    tx, state = from_torch(state, {"w": w}, transpose=transpose)
    return np.linalg.svd(tx.update({"w": w}, state, {"w": w})[0]["w"], compute_uv=False)


def test_muon_s_matrices_lie_as_torch_s_or_turned():
    """A step is η √max(1, outputs / inputs) of an orthogonal matrix, whichever axis comes first."""
    kernel = jnp.asarray(np.random.default_rng(0).normal(size=(3, 2)), jnp.float32)
    for w, transpose in ((kernel.T, False), (kernel, True), (kernel, {"w": (1, 0)})):
        np.testing.assert_allclose(lengths(muon_state(), w, transpose), 0.1, rtol=2e-2)
    wide = muon_state()
    wide["state"][0]["momentum_buffer"] = np.zeros((3, 2))  # 3 outputs, 2 inputs
    np.testing.assert_allclose(lengths(wide, kernel), 0.1 * 1.5**0.5, rtol=2e-2)
    rms = muon_state(adjust_lr_fn="match_rms_adamw")
    np.testing.assert_allclose(lengths(rms, kernel.T), 0.1 * 0.2 * 3**0.5, rtol=2e-2)


def test_optimizers_that_share_a_model_come_as_a_list():
    """torch's Muon refuses vectors, which an AdamW beside it trains."""
    adam = adam_state({**ADAM, "params": [0]}, state={0: entry(2, 7.0)})
    params = {"bias": jnp.zeros(2), "kernel": jnp.ones((2, 3))}
    tx, state = from_torch([muon_state(), adam], params, names=["kernel", "bias"])
    u, _ = tx.update(params, state, params)
    assert (np.asarray(u["kernel"]) != 0).all() and count_of(state, "ScaleByAdamState")[-1] == 7
    alone, own = from_torch(adam, {"bias": params["bias"]})
    np.testing.assert_array_equal(u["bias"], alone.update({"bias": params["bias"]}, own)[0]["bias"])
    named = [muon_state(), adam]
    for one, name in zip(named, ("kernel", "bias"), strict=True):
        one["param_groups"][0]["param_names"] = [f"net.{name}"]
    _, same = from_torch(named, params)
    jax.tree.map(np.testing.assert_array_equal, state, same)
    with pytest.raises(ValueError, match="empty list"):
        from_torch([], params)
    with pytest.raises(TypeError, match="state_dict="):
        from_torch([3], params)


ADAFACTOR = {"lr": 0.1, "beta2_decay": -0.8, "eps": [None, 1e-3], "d": 1.0, "weight_decay": 0.0}


def adafactor_state(shape, **more):
    rng = np.random.default_rng(0)
    memory = {
        "step": 3.0,
        "row_var": rng.uniform(1, 2, size=(*shape[:-1], 1)),
        "col_var": rng.uniform(1, 2, size=(*shape[:-2], 1, shape[-1])),
    }
    return adam_state({**ADAFACTOR, **more, "params": [0]}, state={0: memory}), memory


def test_adafactor_s_rows_are_columns_where_the_leaf_is_turned():
    state, memory = adafactor_state((2, 3))
    rows, cols = memory["row_var"][:, 0], memory["col_var"][0]
    for shape, transpose, expected in (((2, 3), False, (rows, cols)), ((3, 2), True, (cols, rows))):
        _, ours = from_torch(state, {"w": jnp.ones(shape)}, transpose=transpose)
        factored = next(x for x in ours if hasattr(x, "v_row"))
        for mine, theirs in zip((factored.v_row, factored.v_col), expected, strict=True):
            np.testing.assert_allclose(mine["w"], theirs, rtol=1e-6)
        assert int(factored.count) == 3 and factored.v["w"].shape == (1,)


def test_a_matrix_that_adafactor_has_not_seen_begins_anew():
    state, memory = adafactor_state((2, 3))
    state["param_groups"][0]["params"] = [0, 1]
    params = {"w": jnp.ones((2, 3)), "x": jnp.ones((4, 2))}
    tx, ours = from_torch(state, params, frozen=[])
    u, _ = tx.update(params, ours, params)
    # torch's first step: ρ RMS(θ) g/√g², and ρ = min(0.1, 1)
    np.testing.assert_allclose(u["x"], np.full((4, 2), -0.1), rtol=1e-6)
    assert count_of(ours, "FactoredState") == [0, 3]
    old = next(x for x in ours.inner_states["group 0"].inner_state if hasattr(x, "v_row"))
    np.testing.assert_allclose(old.v_row["w"], memory["row_var"][:, 0], rtol=1e-6)


def test_adafactor_s_stack_of_matrices_and_other_axes():
    state, memory = adafactor_state((4, 2, 3))
    stack = {"w": jnp.ones((4, 3, 2))}
    _, ours = from_torch(state, stack, transpose={"w": (0, 2, 1)})
    factored = next(x for x in ours if hasattr(x, "v_row"))
    np.testing.assert_allclose(factored.v_row["w"], memory["col_var"][:, 0], rtol=1e-6)
    with pytest.raises(ValueError, match="transpose= of w puts other axes last"):
        from_torch(state, {"w": jnp.ones((2, 3, 4))}, transpose={"w": (1, 2, 0)})


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (muon_state(adjust_lr_fn="spectral"), "adjust_lr_fn of torch's Muon 'spectral'"),
        (muon_state(adjust_lr_fn=np.ones(2)), "adjust_lr_fn of torch's Muon"),
        (muon_state(ns_coefficients=[1.0, 2.0]), "ns_coefficients are 3 numbers"),
        (adafactor_state((2, 3), eps=1e-3)[0], "eps are 2 numbers"),
        (adafactor_state((2, 3), secret=1)[0], "'secret' cannot be"),
    ],
)
def test_odd_options_of_muon_and_adafactor(state, message):
    with pytest.raises((TypeError, ValueError), match=message):
        from_torch(state, {"w": jnp.ones((2, 3))})


def test_keras_s_muon_needs_to_know_whose_velocity_it_is():
    config, variables = PORTS["keras.muon.defaults"]["state"]
    params = split(jnp.zeros(6))
    arrays = [array for _, array in variables]
    with pytest.raises(ValueError, match=r"give optimizer\.variables"):
        from_keras(config, arrays, params, names=["w", "b"])
    with pytest.raises(ValueError, match="not built yet"):
        from_keras(config, variables[:2], params)
    with pytest.raises(ValueError, match="a velocity without the momentum"):
        from_keras(config, [*variables[:2], *variables[4:]], params)
    tx, _ = from_keras(config, variables, params)  # paths name the leaves
    assert tx is not None


@pytest.mark.parametrize("rows, columns", [((1,), (1, 4)), ((4, 1), (4,)), ((4,), (4,)), ((), ())])
def test_rows_and_columns_without_an_axis_of_one_are_no_adafactor_s(rows, columns):
    entry = {"row_var": np.ones(rows), "col_var": np.ones(columns)}
    with pytest.raises(ValueError, match="of kernel do not fit"):
        squeezed(entry, "kernel")


def test_what_is_nested_without_end_is_refused_before_anybody_recurses():
    refuse_deep({"a": [[{"b": 1}]]}, "config")
    deep = []
    for _ in range(10_000):
        deep = [deep]
    endless = {}
    endless["again"] = [endless]
    for content in (deep, endless):
        with pytest.raises(ValueError, match="config is nested more than"):
            refuse_deep(content, "config")


def test_what_was_put_nowhere_may_be_any_array():
    """NumPy's, and one that is traced."""
    for brought in (laid_out(np.ones(2), np.zeros(2, np.float32)),
                    jax.jit(lambda like: laid_out(np.ones(2), like))(jnp.zeros(2))):  # fmt: skip
        assert brought.dtype == jnp.float32 and brought.tolist() == [1.0, 1.0]
