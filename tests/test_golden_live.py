"""The installed frameworks against the golden files: install ``.[parity]``, ``pytest -m live``."""

import json
from pathlib import Path

import jax
import numpy as np
import optax
import pytest
from golden import frameworks, images, rates
from golden.cells import CELLS, LOOPS, RATES

import jaxopt_course as joc

pytestmark = pytest.mark.live
GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("cell", CELLS, ids=lambda c: c.name)
def test_the_framework_still_takes_these_steps(cell, dtype):
    """Golden files are what pytest compares us with; here they are compared with their source."""
    golden = np.load(GOLDEN / "trajectories.npz", allow_pickle=False)[dtype][CELLS.index(cell)]
    now = [[frameworks.run(cell, rate, loop, dtype)[0] for loop in LOOPS] for rate in RATES]
    size = np.abs(golden).max(axis=-2, keepdims=True)
    off = np.abs(np.array(now, np.float64) - golden) / np.where(size == 0, 1, size)
    assert off.max() <= (1e-12 if dtype == "float64" else 1e-5)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's
def test_the_states_taken_over_are_still_what_the_frameworks_write():
    golden = json.loads((GOLDEN / "ports.json").read_text())
    now = json.loads(json.dumps(frameworks.ports()))
    assert now.keys() == golden.keys()
    for name in golden:
        a, b = np.array(now[name]["later"]), np.array(golden[name]["later"])
        # Keras computes its schedules in float32, whose last bit depends on the compiler's effort
        rtol = 1e-6 if name.startswith("keras.schedule") else 1e-10
        np.testing.assert_allclose(a, b, rtol=rtol, err_msg=name)
        # names such as "adam_7" count the optimizers made so far
        assert _shape(now[name]["state"]) == _shape(golden[name]["state"]), name


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's
@pytest.mark.parametrize("name", images.NAMES)
def test_the_networks_for_images_still_give_these_logits(name):
    golden = json.loads((GOLDEN / "images.json").read_text())[name]
    with jax.numpy_rank_promotion("allow"):  # Keras's dense layer adds its bias so
        now = images.run(name)
    for key, value in golden.items():
        np.testing.assert_allclose(now[key], value, rtol=1e-5, atol=1e-6, err_msg=key)


def test_the_schedules_still_give_these_rates():
    golden = json.loads((GOLDEN / "schedules.json").read_text())
    for name, now in rates.run().items():
        # Keras's cosine is float32, whose last bit depends on the compiler's effort
        rtol, atol = (1e-6, 1e-9) if name == "keras.restarts" else (1e-13, 0)
        np.testing.assert_allclose(now, golden[name], rtol, atol, err_msg=name)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's
@pytest.mark.parametrize("bound", ["clipnorm", "global_clipnorm", "clipvalue"])
@pytest.mark.parametrize("kind", ["SGD", "AdamW"])
def test_what_keras_accumulates_is_multi_steps(kind, bound):
    """The mean of k gradients is bounded, then one step is taken, with the decay of one."""
    keras = frameworks.start(CELLS[[c.like for c in CELLS].index("keras")]).keras
    own = {"SGD": {"momentum": 0.9, "nesterov": True}, "AdamW": {"weight_decay": 0.05}}[kind]
    own |= {"learning_rate": 0.1, bound: 0.2}
    start = [np.sin(np.arange(12.0)).reshape(4, 3), np.cos(np.arange(3.0))]
    theirs = [keras.Variable(x, dtype="float64") for x in start]
    optimizer = getattr(keras.optimizers, kind)(**own, gradient_accumulation_steps=2)
    optimizer.build(theirs)
    recipe = getattr(joc, kind.lower())
    tx = optax.MultiSteps(recipe(**own, like="keras"), 2).gradient_transformation()
    ours, state, update = start, tx.init(start), jax.jit(tx.update)
    for step in range(6):
        g = [np.sin(x * (step + 1)) + 0.25 for x in ours]
        optimizer.apply([keras.ops.convert_to_tensor(x, dtype="float64") for x in g], theirs)
        u, state = update(g, state, ours)
        ours = [np.asarray(x) for x in joc.apply_updates(ours, u)]
        for mine, variable in zip(ours, theirs, strict=True):  # optax adds up in float32
            np.testing.assert_allclose(mine, np.asarray(variable.value), rtol=1e-6, atol=1e-8)
    assert np.abs(ours[0] - start[0]).min() > 1e-3


def _shape(x):
    if isinstance(x, dict):
        return {key: _shape(value) for key, value in x.items() if key != "name"}
    if isinstance(x, list):
        return [_shape(value) for value in x]
    return type(x).__name__
