"""What holds for every transformation, tree and number: random ones, the same at each run."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import (
    RECIPES,
    assert_trees_close,
    assert_trees_equal,
    counted,
    deviation,
    optax_s,
    our,
    their,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from long_form import of_families, put
from random_trees import NAMES, NUMBERS, arguments, few, fill, leaves, trees

QUICK = pytest.mark.parametrize("name", of_families(NAMES, dear=False))
SEEDS = st.integers(0, 2**16)
WHOLE_TREE = {"clip_by_global_norm", "prodigy", "scale_by_prodigy"}  # one number from all leaves


def steps(tx, gradients, params):
    """The updates of a list of gradients, and the last state; not jitted."""
    state, updates = tx.init(params), []
    for g in gradients:
        u, state = tx.update(g, state, params)
        updates.append(u)
    return updates, state


def kinds(tree):
    """Structure, shapes, dtypes."""
    return jax.tree.map(lambda x: (jnp.shape(x), jnp.result_type(x)), tree)


@QUICK
def test_kinds_stay(name):
    """Updates like the gradients, memories like themselves, finite; in every tree and dtype."""

    @few
    @given(arguments(name), trees(leaves()), SEEDS, st.booleans())
    def check(kwargs, tree, seed, wide):
        tree = {"tree": tree}  # parameters None would be no parameters
        wide |= any(leaf.dtype == "float64" for leaf in jax.tree.leaves(tree))
        with jax.enable_x64(wide):
            tx, params = our(name, kwargs), fill(tree, seed)
            state = before = tx.init(params)
            for t in range(2):
                g = fill(tree, seed + 1 + t)
                u, state = tx.update(g, state, params)
                assert kinds(u) == kinds(params)
                assert kinds(state) == kinds(before)
                assert all(bool(jnp.isfinite(x).all()) for x in jax.tree.leaves((u, state)))

    check()


LEAF = leaves(("float32", "bfloat16"), ((), (3,)))


@pytest.mark.parametrize(
    "name", of_families([name for name in NAMES if name not in WHOLE_TREE], dear=False)
)
def test_leaves_do_not_know_of_each_other(name):
    """A tree is updated as its leaves are apart, bit for bit."""

    @few
    @given(arguments(name), st.lists(LEAF, min_size=2, max_size=3), SEEDS)
    def check(kwargs, shapes, seed):
        tx, params = our(name, kwargs), fill(shapes, seed)
        gradients = [fill(shapes, seed + t) for t in (1, 2)]
        together = steps(tx, gradients, params)[0]
        for i in range(len(shapes)):
            alone = steps(tx, [g[i] for g in gradients], params[i])[0]
            assert_trees_equal([u[i] for u in together], alone)

    check()


@QUICK
def test_order_and_names_of_leaves_do_not_matter(name):
    """Leaves in another order, under other names and nested: the same updates there."""

    @few
    @given(arguments(name), st.permutations(range(3)), SEEDS)
    def check(kwargs, order, seed):
        shapes = [jax.ShapeDtypeStruct(s, jnp.float32) for s in ((), (3,), (3,))]
        move = lambda x: {"z": x[order[0]], "a": (x[order[1]], {"b": x[order[2]]})}
        tx, params = our(name, kwargs), fill(shapes, seed)
        gradients = [fill(shapes, seed + t) for t in (1, 2)]
        here = steps(tx, gradients, params)[0]
        there = steps(tx, [move(g) for g in gradients], move(params))[0]
        rtol = 1e-6 if name in WHOLE_TREE else 0  # a sum in another order
        assert_trees_close(there, [move(u) for u in here], rtol=rtol)

    check()


# a recipe is a transformation and a rate
@pytest.mark.parametrize("name", [put(name, name not in RECIPES) for name in NAMES])
def test_odd(name):
    """Gradients and parameters of the other sign: updates of the other sign, bit for bit."""

    @few
    @given(arguments(name), SEEDS)
    def check(kwargs, seed):
        shape = jax.ShapeDtypeStruct((3,), jnp.float32)
        tx, params = our(name, kwargs), fill(shape, seed)
        gradients = [fill(shape, seed + t) for t in (1, 2, 3)]
        there = steps(tx, [-g for g in gradients], -params)[0]
        assert_trees_equal(there, [-u for u in steps(tx, gradients, params)[0]])

    check()


LINEAR = ["trace", "dampened_trace", "ema", "scale", "scale_by_learning_rate"]
LINEAR += ["sgd", "momentum", "nesterov", "ema_momentum"]
SCALE_FREE = {  # with this, four times the gradients give the same updates
    "scale_by_adam": {"eps": 0.0, "eps_root": 0.0},
    "scale_by_amsgrad": {"eps": 0.0, "eps_root": 0.0},
    "scale_by_nadam": {"eps": 0.0},
    "scale_by_adamax": {"eps": 0.0},
    "scale_by_rms": {"eps": 0.0, "initial_scale": 0.0},
    "scale_by_rss": {"eps": 0.0, "initial_accumulator_value": 0.0},
    "scale_by_lion": {},
}
CLIPS = {"clip": "max_delta", "clip_by_norm": "max_norm", "clip_by_global_norm": "max_norm"}


def three(seed):
    """Three float64 gradients."""
    return [fill(jax.ShapeDtypeStruct((4,), jnp.float64), seed + t) for t in range(3)]


@pytest.mark.parametrize("name", [name for name in LINEAR if name in NAMES])
def test_linear(name):
    @few
    @given(arguments(name), SEEDS, st.floats(-2, 2), st.floats(-2, 2))
    def check(kwargs, seed, a, b):
        with jax.enable_x64(True):
            tx, gs, hs = our(name, kwargs), three(seed), three(seed + 9)
            run = lambda gradients: jnp.stack(steps(tx, gradients, gs[0])[0])
            mixed = run([a * g + b * h for g, h in zip(gs, hs, strict=True)])
            np.testing.assert_allclose(mixed, a * run(gs) + b * run(hs), rtol=1e-12, atol=1e-13)

    check()


@pytest.mark.parametrize("name", [name for name in SCALE_FREE if name in NAMES])
def test_the_size_of_all_gradients_does_not_matter(name):
    """By a power of 2, which rounds nothing: the same bits."""

    @few
    @given(arguments(name), SEEDS, st.integers(-20, 20))
    def check(kwargs, seed, k):
        with jax.enable_x64(True):
            tx, gs = our(name, {**kwargs, **SCALE_FREE[name]}), three(seed)
            scaled = steps(tx, [2.0**k * g for g in gs], gs[0])[0]
            assert_trees_equal(scaled, steps(tx, gs, gs[0])[0])

    check()


@pytest.mark.parametrize("name", [name for name in CLIPS if name in NAMES])
def test_a_clip_scales_with_its_bound(name):
    @few
    @given(arguments(name), SEEDS, st.integers(-20, 20))
    def check(kwargs, seed, k):
        with jax.enable_x64(True):
            g, bound = three(seed)[0], kwargs[CLIPS[name]]
            u = steps(our(name, kwargs), [g], g)[0][0]
            scaled = our(name, {CLIPS[name]: 2.0**k * bound})
            assert_trees_equal(steps(scaled, [2.0**k * g], g)[0][0], 2.0**k * u)
            size = jnp.max(jnp.abs(u)) if name == "clip" else jnp.linalg.norm(u)
            assert size <= bound * (1 + 1e-15)

    check()


@pytest.mark.parametrize(
    "name", of_families([name for name in NAMES if name != "scale_by_sign"], dear=False)
)  # has none
def test_one_compiled_program_for_all_numbers(name):
    """Numbers and switches as lanes of one program = each row of literals, not compiled, apart."""
    gradients_of = lambda seed: jnp.stack(three(seed))

    def lanes(rows, gradients):
        run = lambda row: steps(our(name, row), list(gradients), gradients[0])[0]
        return jax.vmap(run)(rows)

    lanes, traced = counted(lanes)

    @few
    @given(st.lists(arguments(name), min_size=3, max_size=3), SEEDS)
    def check(rows, seed):
        with jax.enable_x64(True):
            gradients = gradients_of(seed)
            stacked = jax.tree.map(lambda *x: jnp.asarray(x), *rows)
            together = lanes(stacked, gradients)
            for i, row in enumerate(rows):
                alone = steps(our(name, row), list(gradients), gradients[0])[0]
                lane = [u[i] for u in together]
                # after one gradient the corrected variance is but rounding, whose root is 1e-8
                alike = row.get("centered") and row.get("bias_correction")
                assert_trees_close(lane, alone, rtol=1e-6 if alike else 1e-11, atol=1e-13)
            assert len(traced) == 1

    check()


def twin_takes(name):
    """The arguments that optax's function has too."""
    return inspect.signature(optax_s(name)).parameters


TWINNED = [name for name in NAMES if optax_s(name)]


@pytest.mark.parametrize("name", of_families(TWINNED, dear=False))
def test_equals_optax(name):
    """Ten steps in float64 with random numbers and switches."""

    @few
    @given(arguments(name, only=twin_takes(name)), SEEDS)
    def check(kwargs, seed):
        if kwargs.get("bias_correction") and (kwargs.get("centered") or name == "scale_by_stddev"):
            kwargs["bias_correction"] = False  # optax divides by √(0 + rounding) at first
        if name == "adafactor":
            kwargs["dtype_momentum"] = jnp.float64  # by default it is rounded to float32
        with jax.enable_x64(True):
            gradients = [g for k in range(3) for g in three(seed + 3 * k)]
            run = lambda tx: jnp.stack(steps(tx, gradients, gradients[0])[0])
            ours, theirs = run(our(name, kwargs)), run(their(name, kwargs))
            if name.startswith("schedule_free"):  # a step is a difference of weights near 1
                np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-13)
            else:
                assert deviation(ours, theirs) <= 1e-12

    check()


@QUICK
def test_dead_units(name):
    """A gradient of exactly 0 moves nothing, and every derivative by a number is finite."""

    @settings(few, max_examples=5)
    @given(arguments(name), SEEDS, st.booleans())
    def check(kwargs, seed, bare):
        still = kwargs.get("centered") and kwargs.get("bias_correction")  # the first variance is 0
        if bare and not still:  # nothing keeps the roots off 0
            kwargs |= {k: 0.0 for k in kwargs if k.startswith(("eps", "initial")) and k in NUMBERS}
        params, shape = jnp.array([1.0, 0.0]), jax.ShapeDtypeStruct((2,), jnp.float32)
        gradients = [fill(shape, seed + t) * jnp.array([1.0, 0.0]) for t in range(3)]
        switches = {k: v for k, v in kwargs.items() if isinstance(v, bool | int)}  # or counts
        numbers = {k: v for k, v in kwargs.items() if k not in switches}

        def end(numbers):
            us = steps(our(name, {**numbers, **switches}), gradients, params)[0]
            return jnp.sum(jnp.stack(us) ** 2), us

        slopes, us = jax.grad(end, has_aux=True)(numbers)
        assert all(u[1] == 0 for u in us)
        assert all(np.isfinite(x) for x in slopes.values()), slopes

    check()
