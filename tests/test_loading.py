"""One compilation for several devices: the same bits on each, and what cannot be moved."""

import functools
import pickle
import random

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_course.sweeps import loading
from jaxopt_course.sweeps.program import lower

X = np.linspace(-1, 1, 96, dtype=np.float32).reshape(8, 12)


def logistic(x, seed, scale=0.1):
    """Sums, a product, a loop and random numbers: what programs of sweeps are made of."""
    noise = jax.random.normal(jax.random.key(seed), x.shape)
    y = jax.lax.fori_loop(0, 5, lambda i, y: jnp.tanh(y @ y.T @ y) + scale * noise, x)
    return y, jax.nn.logsumexp(y, axis=1)


def never_seen():
    """A program that no cache has: what comes from one is not moved."""
    return functools.partial(logistic, scale=random.SystemRandom().uniform(0.05, 0.15))


def calls_back(x, seed):
    shape = jax.ShapeDtypeStruct(x.shape, x.dtype)
    return jax.pure_callback(lambda x: np.asarray(x) + 1, shape, x), x.sum() + seed


def compiled(function, devices):
    """The executables, and how many the compiler made."""
    made = []

    def lowered(device):
        made.append(device)
        return lower(jax.jit(function, donate_argnums=0), (X, np.uint32(0)), device)

    executables, first = loading.compile_all([lowered], [{}], devices)
    assert "stablehlo" in first[0]
    return executables[0], made


def outputs(executable, device):
    given = jax.device_put(X, device)
    out = executable(given, jax.device_put(np.uint32(3), device))
    assert given.is_deleted()  # donated, there too
    assert all(one.devices() == {device} for one in jax.tree.leaves(out))
    return [np.asarray(one).tobytes() for one in jax.tree.leaves(out)]


def test_the_same_program_on_every_device():
    devices, function = jax.devices()[:3], never_seen()
    executables, made = compiled(function, devices)
    assert made == devices[:1]
    first, *others = map(outputs, executables, devices)
    assert others == [first, first]
    alone = lower(jax.jit(function, donate_argnums=0), (X, np.uint32(0)), devices[2]).compile()
    assert outputs(alone, devices[2]) == first  # as it would be, had it been compiled there


def test_any_device_may_be_the_first():
    devices = jax.devices()[2:0:-1]
    executables, made = compiled(never_seen(), devices)
    assert made == devices[:1]
    assert len({*map(tuple, map(outputs, executables, devices))}) == 1


def fails(*_, **__):
    raise pickle.PicklingError("another version of jax")


@pytest.mark.parametrize("broken", ["serialize", "deserialize"])
def test_what_jax_keeps_otherwise_is_compiled_again(monkeypatch, broken):
    if broken == "serialize":
        monkeypatch.setattr(loading.serialize_executable, "serialize", fails)
    else:
        monkeypatch.setattr(loading._Reader, "persistent_load", fails)
    devices = jax.devices()[:2]
    executables, made = compiled(logistic, devices)
    assert made == devices
    assert outputs(executables[0], devices[0]) == outputs(executables[1], devices[1])


def test_a_callback_stays_where_it_was_compiled():
    devices = jax.devices()[:2]
    executables, made = compiled(calls_back, devices)
    assert made == devices
    for executable, device in zip(executables, devices, strict=True):
        assert outputs(executable, device)[0] == (X + 1).tobytes()


def test_an_error_of_the_compiler_is_raised():
    place = functools.partial(lower, jax.jit(logistic), (X, np.uint32(0)))
    with pytest.raises(Exception, match="no_such_option"):
        loading.compile_all([place], [{"no_such_option": 1}], jax.devices()[:2])


def test_what_the_cache_of_jax_brought_is_not_moved():
    """XLA does not write again all of what it has read: functions would be missing."""
    devices, number = jax.devices()[:2], random.SystemRandom().uniform(1, 2)
    once = lambda x, seed: (jnp.sort(x) * number, x.mean() + seed)
    assert compiled(once, devices)[1] == devices[:1]
    jax.clear_caches()  # but for the directory of conftest
    executables, made = compiled(once, devices)
    assert made == devices
    assert outputs(executables[0], devices[0]) == outputs(executables[1], devices[1])
