"""One compilation for several devices: the same bits on each, and what cannot be moved."""

import functools
import operator
import pickle
import random
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_course.sweeps import loading
from jaxopt_course.sweeps.program import lower
from jaxopt_course.sweeps.recent import Recent

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


def compiled(function, devices, recent=None):
    """The executables, and for how many devices the program was lowered."""
    made = []

    def lowered(device):
        made.append(device)
        return lower(jax.jit(function, donate_argnums=0), (X, np.uint32(0)), device)

    executables, first = loading.compile_all([lowered], [{}], devices, recent=recent)
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


@pytest.mark.long
def test_what_the_cache_of_jax_brought_is_not_moved():
    """XLA does not write again all of what it has read: functions would be missing."""
    devices, number = jax.devices()[:2], random.SystemRandom().uniform(1, 2)
    once = lambda x, seed: (jnp.sort(x) * number, x.mean() + seed)
    assert compiled(once, devices)[1] == devices[:1]
    jax.clear_caches()  # but for the directory of conftest
    executables, made = compiled(once, devices)
    assert made == devices
    assert outputs(executables[0], devices[0]) == outputs(executables[1], devices[1])


def test_what_this_process_compiled_serves_again():
    devices, function, recent = jax.devices()[:2], never_seen(), Recent()
    first, _ = compiled(function, devices, recent)
    same, made = compiled(functools.partial(function), devices, recent)
    assert made == devices[:1] and all(map(operator.is_, first, same))
    assert len({*map(tuple, map(outputs, same, devices))}) == 1
    (elsewhere,), _ = compiled(function, devices[1:], recent)
    assert elsewhere not in first
    other, _ = compiled(never_seen(), devices, recent)
    assert not {*other} & {*first}


def test_a_callback_is_a_place_in_memory_and_serves_once():
    device, recent = jax.devices()[:1], Recent()
    (first,), _ = compiled(calls_back, device, recent)
    (again,), _ = compiled(calls_back, device, recent)
    assert first is not again


def test_what_was_not_used_for_longest_goes():
    recent = Recent(most=2)
    for name in "ab":
        recent.put(name, (name,))
    assert recent.get("a") == ("a",)
    recent.put("c", ("c",))
    assert [recent.get(name) for name in "abc"] == [("a",), None, ("c",)]


def test_trees_of_one_text_are_told_apart():
    """A tuple and a dictionary as arguments have one text."""
    recent, device = Recent(), jax.devices()[0]
    given = {"a": X, "b": X}, (X, X)
    total = lambda x: jax.tree.reduce(jnp.add, x)
    lowering = [functools.partial(lower, jax.jit(total), (x,)) for x in given]
    found = [loading.compile_all([one], [{}], [device], recent=recent) for one in lowering]
    texts = [text for _, text in found]
    assert texts[0] == texts[1]
    for (made, _), x in zip(found, given, strict=True):
        np.testing.assert_array_equal(made[0][0](x), X + X)


def test_all_programs_are_compiled_at_once():
    """Whoever compiles waits for the other: one after the other would wait for ever."""
    both = threading.Barrier(2)

    class Lowered:
        def as_text(self):
            return "text"

        def compile(self, options):
            both.wait(60)
            return "executable"

    lowering = [lambda device: Lowered()] * 2
    executables, texts = loading.compile_all(lowering, [{}, {}], jax.devices()[:2])
    assert executables == [("executable", "executable")] * 2 and texts == ["text", "text"]
