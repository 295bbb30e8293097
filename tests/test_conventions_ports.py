"""Taken over in the middle of a training: the next 200 steps are the framework's."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
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
