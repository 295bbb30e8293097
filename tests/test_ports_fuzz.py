"""Optimizers of strangers: whatever a state dict or a config holds, an answer of ours.

``-m fuzz`` tries 2,000 inputs of each framework, ``-m soak`` 100,000.
"""

import contextlib
import json
import random
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden.cells import split
from odd_input import ODD, at, little_memory, paths, put, refused, watched

from jaxopt_course.conventions import from_keras, from_torch, schedule_from_keras

PORTS = json.loads((Path(__file__).parent / "golden" / "ports.json").read_text())
PARAMS = split(jnp.arange(6.0))
WIDE = np.broadcast_to(np.float32(0), (10**9,))  # a number that says it is 4 GB
ARRAYS = [
    np.nan, np.float32(np.inf), np.zeros(0), np.zeros((2, 2, 2)), np.zeros((2, 2), "U3"),
    np.array([None, {}], object), np.array(["2020-01-01"], "M8[D]"), np.zeros(2, "V8"),
    np.ones((2, 2), complex), np.ones((2, 2), bool), np.full((2, 2), 2**62), np.ones(2, np.float16),
    np.full((2, 2), np.nan), np.full((2, 2), 1e300), WIDE,
    np.broadcast_to(np.float64(1), (2, 10**9)),
    [[[[1.0]]]], [[1.0], [1.0, 2.0]], [["x", "y"], ["z", "w"]], ["1", "2"], b"\x80\x04.", range(4),
    len, object(), float("nan"), (0.9,), (0.9, 0.99, 0.999), ("0.9", None), 2.5, -3, 1e20, 2**31,
]  # fmt: skip


def nest(depth):
    """Lists in lists, deeper than Python calls itself."""
    deep = [1.0]
    for _ in range(depth):
        deep = [deep]
    return deep


def flat(state):
    """As ``torch.distributed.checkpoint`` writes it, by the names of the leaves."""
    names = {0: "w", 1: "b"}
    found = {}
    for key, entry in state["state"].items():
        found |= {f"state.{names[int(key)]}.{name}": x for name, x in entry.items()}
    for group in state["param_groups"]:
        for key in group["params"]:
            own = {option: x for option, x in group.items() if option != "params"}
            found |= {f"param_groups.{names[key]}.{option}": x for option, x in own.items()}
    return found


def with_arrays(entry):
    return {name: np.float32(x) if isinstance(x, list) else x for name, x in entry.items()}


def saved(state):
    """As torch has it: numbers as keys, arrays; of several optimizers a list."""
    if isinstance(state, list):
        return [saved(one) for one in state]
    return {**state, "state": {int(k): with_arrays(e) for k, e in state["state"].items()}}


TORCH = [saved(port["state"]) for name, port in PORTS.items() if name.startswith("torch")]
TORCH += [flat(state) for state in TORCH[::3] if isinstance(state, dict)]
KERAS = [port["state"] for name, port in PORTS.items() if name.startswith("keras")]


def odd(moments):
    """Something that belongs nowhere."""
    if moments.random() < 0.02:
        return nest(moments.choice([40, 3_000]))
    return moments.choice([..., *ODD, *ARRAYS])


def spoil(moments, content):
    """One or two places with something else, taken out, twice or renamed."""
    for _ in range(moments.randint(1, 2)):
        place = moments.choice(list(paths(content))[1:] or [()])
        there = at(content, place[:-1])
        if moments.random() < 0.2 and place:
            keys = list(there) if isinstance(there, dict) else range(len(there))
            content = put(content, place, at(content, (*place[:-1], moments.choice(list(keys)))))
        elif moments.random() < 0.1 and isinstance(there, dict):
            new = moments.choice(["lr", "params", "step", "", "\x1b[2J", 0, 5, None, 2.5, (1, 2)])
            content = put(content, place[:-1], {**there, new: there[place[-1]]})
        else:
            value = odd(moments)
            content = put(content, place, value if place or value is not ... else None)
    return content


def step(taken_over):
    """What was accepted can take a step, and its state keeps its form."""
    tx, state = taken_over
    _, after = jax.eval_shape(tx.update, PARAMS, state, PARAMS)
    assert jax.tree.structure(after) == jax.tree.structure(state)
    for x, y in zip(jax.tree.leaves(after), jax.tree.leaves(state), strict=True):
        assert (x.shape, x.dtype) == (y.shape, y.dtype)


def torch(moments):
    state = spoil(moments, moments.choice(TORCH))
    named = {} if moments.random() < 0.2 else {"names": ["w", "b"]}
    return state, lambda: step(from_torch(state, PARAMS, **named))


def keras(moments):
    config, variables = moments.choice(KERAS)
    config = config if moments.random() < 0.3 else spoil(moments, config)
    variables = variables if moments.random() < 0.6 else spoil(moments, variables)
    named = {} if moments.random() < 0.2 else {"names": ["w", "b"]}
    return (config, variables), lambda: step(from_keras(config, variables, PARAMS, **named))


FRAMEWORKS = {"torch": torch, "keras": keras}


def fuzz(make, inputs, seed):
    moments = random.Random(seed)
    for turn in range(inputs):
        spoilt, read = make(moments)
        try:
            with watched():
                if turn % 20:
                    refused(read)
                else:
                    with little_memory(0):
                        refused(read)
        except BaseException as error:
            error.add_note(f"turn {turn} of seed {seed}")
            with contextlib.suppress(RecursionError):  # what is nested too deep cannot be shown
                error.add_note(str(spoilt)[:3000])
            raise


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_odd_states_get_an_answer(framework):
    fuzz(FRAMEWORKS[framework], 150, seed=0)


@pytest.mark.fuzz
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_many_odd_states_get_an_answer(framework):
    fuzz(FRAMEWORKS[framework], 2_000, seed=1)


@pytest.mark.soak
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_very_many_odd_states_get_an_answer(framework):
    fuzz(FRAMEWORKS[framework], 100_000, seed=2)


# what the 100,000 found


def test_names_of_strangers_are_shown_as_a_terminal_may_have_them():
    config = {"learning_rate": 0.1, "momentum": 0.9, "nesterov": False}
    count = [("sgd/iteration", 1), ("sgd/learning_rate", 0.1)]
    memories = [("sgd/w_momentum", np.ones((2, 2))), ("\x00", np.ones(2))]
    error = refused(lambda: from_keras(config, [*count, *memories], PARAMS))
    assert "by its name Keras's 'w' is w" in str(error)
    alike = {f"layer_{i}": jnp.zeros(2) for i in range(2)}
    memories = [(f"sgd/\x1b]0;{i}\x07_momentum", np.ones(2)) for i in range(2)]
    error = refused(lambda: from_keras(config, [*count, *memories], alike))
    assert r"\x1b]0;" in str(error)


def test_state_dicts_in_lists_without_end_are_refused():
    states = nest(3_000)
    error = refused(lambda: from_torch(states, PARAMS, names=["w", "b"]))
    assert "nested" in str(error)
    states = []
    states.append(states)
    assert "nested" in str(refused(lambda: from_torch(states, PARAMS)))


@pytest.mark.parametrize("large", [2**31, 2**63, -(10**30)])
def test_whole_numbers_beyond_int32_are_numbers(large):
    options = {"initial_learning_rate": 1e-3, "decay_steps": 100, "alpha": large}
    expected = 1e-3 * ((1 - large) * 0.5 * (1 + np.cos(np.pi * 0.3)) + large)
    rate = schedule_from_keras({"class_name": "CosineDecay", "config": options})(30)
    np.testing.assert_allclose(rate, expected, rtol=1e-5)  # of float32, large + 1 is large


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"col_var": np.ones((1, 2))}, r"'col_var'\], and Adafactor keeps row_var and col_var, or"),
        ({"row_var": np.ones((2, 1)), "col_var": None}, "torch's col_var is no number"),
        ({"step": 20.0}, r"has \[\]"),
        ({"variance": np.ones((2, 2))}, "where the optimizer keeps one of shape"),
    ],
)
def test_half_a_memory_of_adafactor_is_refused(entry, said):
    group = {"lr": 0.01, "beta2_decay": -0.8, "eps": [None, 0.001], "d": 1.0, "weight_decay": 0.0}
    state = {0: {"step": 20.0, **entry}, 1: {"step": 20.0, "variance": np.ones(2)}}
    whole = {"state": state, "param_groups": [{**group, "params": [0, 1]}]}
    error = refused(lambda: step(from_torch(whole, PARAMS, names=["w", "b"])))
    assert re.search(said, str(error)), error


@pytest.mark.parametrize("steps", [100, 2**63])
def test_steps_of_muon_without_end_are_refused(steps):
    """As PyTorch's own Muon does: each is compiled by itself."""
    saved = next(state for state in TORCH if isinstance(state, list) and "ns_steps" in str(state))
    first = saved[0]["param_groups"][0]
    spoilt = put(saved, (0, "param_groups", 0), {**first, "ns_steps": steps})
    error = refused(lambda: from_torch(spoilt, PARAMS, names=["w", "b"]))
    assert re.search("ns_steps (must be below 100|is more than)", str(error))
