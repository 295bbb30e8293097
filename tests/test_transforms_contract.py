"""What every transformation and recipe promises, each a row of one table (helpers.PIECES)."""

import functools
import gc
import logging

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from absl.testing import parameterized
from helpers import (
    CHAINS,
    OF_MATRICES,
    PIECES,
    RECIPES,
    as_arrays,
    assert_trees_close,
    assert_trees_equal,
    defaults,
    descend,
    deviation,
    kept,
    of_convention,
    our,
    rollout,
    shifted,
    start,
    stepwise,
    their,
)
from long_form import FAMILIES, of_families, once, only, put
from traced_arguments import STRUCTURE
from transcriptions import transcribed

import jaxopt_course.transforms as transforms
from jaxopt_course.base import apply_updates, chain
from jaxopt_course.conventions import CONVENTIONS, convention
from jaxopt_course.tables.signatures import WHOLE

ALL = pytest.mark.parametrize("name", PIECES)
# what compiles for long
SOME = pytest.mark.parametrize("name", of_families(PIECES))
QUICK = pytest.mark.parametrize("name", of_families(PIECES, dear=False))
SWITCHES = [(name, flag) for name, (_, flags) in PIECES.items() for flag in flags]


def moving(name, numbers):
    """``name``; what finds its rate on the way is told of one."""
    tx = our(name, numbers)
    return shifted(tx) if "prodigy" in name else tx


def gradients(steps=20, scale=1.0):
    """A stream of float32 gradients, their squares well above every eps."""
    rng = np.random.default_rng(1)
    shapes = {"w": (2, 2), "b": (2,)}
    return {
        k: jnp.asarray(scale * rng.normal(size=(steps, *s)), jnp.float32) for k, s in shapes.items()
    }


def first(g):
    return jax.tree.map(lambda x: x[0], g)


def test_the_table_is_complete():
    public = {name for name in vars(transforms) if callable(getattr(transforms, name))}
    elsewhere = {"cautious", "schedule_free", "switch", "freeze", "partition_by_path"}
    elsewhere |= {"scale_by_schedule", "lookahead", "sam", *OF_MATRICES}
    assert PIECES.keys() == (public | RECIPES.keys()) - elsewhere
    for name, (numbers, flags) in PIECES.items():  # and so is each row
        made = RECIPES.get(name) or getattr(transforms, name)
        assert set(defaults(made, bool)) - STRUCTURE.keys() == set(flags), name
        assert set(defaults(made, float)) <= set(numbers), name


def variants(names):
    """A class with the tests of these."""

    class Variants(chex.TestCase):
        """With and without jit, three steps as optax takes them without jit."""

        @chex.variants(with_jit=True, without_jit=True)
        @parameterized.parameters(*names)
        def test_update(self, name):
            ours, theirs = our(name, PIECES[name][0]), their(name, PIECES[name][0])
            params, g = start(), gradients(3)
            state, twin = self.variant(ours.init)(params), theirs.init(params)
            update = self.variant(ours.update)
            for t in range(3):
                g_t = jax.tree.map(lambda x, t=t: x[t], g)
                u, state = update(g_t, state, params)
                expected, twin = theirs.update(g_t, twin, params)
                assert_trees_close(u, expected, rtol=1e-5, atol=1e-6)

        @chex.variants(with_jit=True, without_jit=True)
        @parameterized.parameters(*names)
        def test_init(self, name):
            """Every memory that optax names is there under its name, with the same content."""
            numbers = PIECES[name][0]
            state = self.variant(our(name, numbers).init)(start())
            if transcribed(name, numbers):  # optax has none of it
                product = optax.tree.get(state, "mu_product", 1.0)
                rest = sum(abs(x).sum() for x in jax.tree.leaves(state)) - product
                assert product == 1 and rest == (0 if "nadam" in name else -1)
                return
            twin = their(name, numbers).init(start())
            for field in ("trace", "ema", "mu", "nu", "nu_max", "e_g", "e_x", "sum_of_squares"):
                assert_trees_equal(kept(state, field), kept(twin, field))

    return Variants


Variants = variants([name for name in PIECES if name in FAMILIES])
OtherVariants = pytest.mark.long(variants([name for name in PIECES if name not in FAMILIES]))


@functools.cache
def updates_of(name):
    """A program: numbers to the updates of :func:`gradients`."""
    run, g, params = stepwise(lambda numbers: moving(name, numbers)), gradients(), start()
    return lambda numbers: run(g, params, numbers)[0]


NUMBERED = [name for name, (numbers, _) in PIECES.items() if numbers]  # a sign has none


@pytest.mark.parametrize("name", of_families(NUMBERED, dear=False))
def test_every_number_is_data(name):
    """One lane for each number changed: together in one trace = each run apart."""
    numbers = PIECES[name][0]
    traces = []

    def made(numbers):
        traces.append(name)
        return moving(name, numbers)

    of = lambda k, v, c: np.floor(v * c) if k in WHOLE else v * c  # of 4 steps 2 and 3
    rows = [numbers]
    rows += [{**numbers, k: of(k, v, c)} for k, v in numbers.items() for c in (0.5, 0.9)]
    rows = [as_arrays(row) for row in rows]
    stacked = jax.tree.map(lambda *x: np.stack(x), *rows)
    lanes, _ = stepwise(made, lanes=True)(gradients(), start(), stacked)
    assert len(traces) == 2  # of its memory and of its step
    lane = lambda i: jax.tree.map(lambda x: x[i], lanes)
    alone = updates_of(name)
    for i, row in enumerate(rows):
        assert_trees_close(lane(i), alone(row), rtol=1e-5, atol=1e-6)
        if i:  # the number that was changed is heeded
            assert deviation(lane(i), lane(0)) > 1e-4


@QUICK
def test_a_plain_traced_number_works_too(name):
    """Decays as scalars, not pairs: the same but for the rounding of 1 - b."""
    numbers, run = PIECES[name][0], updates_of(name)
    plain = run({k: np.float32(v) for k, v in numbers.items()})
    assert_trees_close(plain, run(as_arrays(numbers)), rtol=2e-4, atol=1e-6)


DTYPES = [jnp.float32, jnp.bfloat16, jnp.float16, jnp.complex64]


@pytest.mark.parametrize("dtype", [put(d, d in (jnp.bfloat16, jnp.complex64)) for d in DTYPES])
@SOME
def test_dtypes_stay(name, dtype):
    """Float32 hyperparameters; lax.scan refuses a carry that changes its dtype."""
    numbers = as_arrays(PIECES[name][0], jnp.float32)
    params = jax.tree.map(lambda x: x.astype(dtype), start())
    g = jax.tree.map(lambda x: x.astype(dtype), gradients(3))

    def run(g):
        tx = our(name, numbers)
        path = descend(tx, params, 3, lambda p: jnp.real(sum(map(jnp.sum, jax.tree.leaves(p)))))
        return rollout(tx, g, params)[0], path, tx.init(params)

    updates, path, state = jax.eval_shape(run, g)
    assert {x.dtype for x in jax.tree.leaves((updates, path))} == {jnp.dtype(dtype)}
    for field in ("trace", "ema", "mu"):
        found = jax.tree.leaves(kept(state, field))
        assert all(x.dtype == jnp.promote_types(dtype, jnp.float32) for x in found)
    for field in ("nu", "nu_max", "e_g", "e_x", "sum_of_squares"):
        squares = jax.tree.leaves(kept(state, field))
        assert all(x.dtype == jnp.float32 for x in squares)


@ALL
def test_low_precision_is_computed_in_float32(name):
    """bfloat16 gradients: the float32 update of the same numbers, rounded once at the end."""
    narrow = jax.tree.map(lambda x: x.astype(jnp.bfloat16), gradients(1))
    params = jax.tree.map(lambda x: x.astype(jnp.bfloat16), start())
    widen = lambda tree: jax.tree.map(lambda x: x.astype(jnp.float32), tree)
    tx = our(name, PIECES[name][0])
    u, _ = tx.update(first(narrow), tx.init(params), params)
    wide, _ = tx.update(widen(first(narrow)), tx.init(widen(params)), widen(params))
    if name in CHAINS:  # which round at each link
        assert_trees_close(widen(u), wide, rtol=2e-2)
    else:
        links = 2 if name in RECIPES else 1
        assert_trees_close(widen(u), wide, rtol=links * 2**-8)


@pytest.mark.parametrize("name, flag", once(SWITCHES, lambda case: case[1]))
def test_a_traced_switch_is_the_switch(name, flag):
    numbers, g, params = PIECES[name][0], gradients(), start()
    made = lambda value: moving(name, {**numbers, flag: value})
    traced, _ = stepwise(made, lanes=True)(g, params, np.array([False, True]))
    static = [stepwise(lambda _, v=value: made(v))(g, params)[0] for value in (False, True)]
    for i in (0, 1):
        assert_trees_close(jax.tree.map(lambda x, i=i: x[i], traced), static[i], 1e-5, 1e-6)
    assert deviation(*static) > 5e-4


def end_of(tx):
    """A number that depends on all parameters after five steps; b feeds dead units only."""
    dead = lambda b: jnp.sum(jax.nn.relu(-1 - b**2))
    path = descend(tx, start(), 5, lambda p: jnp.sum((p["w"] - 1.0) ** 2) + dead(p["b"]))
    return sum(jnp.sum(x[-1] ** 2) for x in jax.tree.leaves(path))


@QUICK
def test_hypergradients_are_finite_and_right(name):
    """b has gradient 0 always, and counts in the result; slopes as finite differences."""
    numbers = PIECES[name][0]

    def end(numbers):
        tx = our(name, numbers)
        return end_of(tx if name in RECIPES else chain(tx, optax.scale(-0.1)))

    with jax.enable_x64(True):
        both = jax.jit(jax.value_and_grad(end))
        if "soap" in name:  # its eigenbases are taken for constants
            assert all(np.isfinite(x) for x in both(numbers)[1].values())
            return
        for k, slope in both(numbers)[1].items():
            h = 1e-5 * numbers[k]
            up, down = (both({**numbers, k: numbers[k] + d})[0] for d in (h, -h))
            assert float(slope) == pytest.approx(float(up - down) / (2 * h), rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("name", of_families(RECIPES, dear=False))
def test_hypergradients_are_finite_at_the_defaults(name):
    """In float32, where optax's Adam gives NaN."""
    numbers = {"learning_rate": 0.1, **defaults(RECIPES[name], float)}
    slopes = jax.jit(jax.grad(lambda numbers: end_of(our(name, numbers))))(numbers)
    assert all(np.isfinite(x) for x in slopes.values()), slopes
    assert abs(slopes["learning_rate"]) > 1e-6


def test_optax_s_hypergradient_of_adam_is_nan():
    assert jnp.isnan(jax.grad(lambda eta: end_of(optax.adam(eta)))(0.1))


@pytest.mark.parametrize("nothing", [None, optax.MaskedNode()])
@ALL
def test_leaves_that_are_not_there(name, nothing):
    tx, g, params = our(name, PIECES[name][0]), first(gradients()), start()
    u, _state = tx.update(
        {**g, "n": nothing}, tx.init({**params, "n": nothing}), {**params, "n": nothing}
    )
    assert u["n"] == nothing
    del u["n"]
    assert_trees_equal(u, tx.update(g, tx.init(params), params)[0])


ODD_TREES = {
    "empty": {},
    "nothing": {"w": None},
    "0-d": np.array(2, np.float32),
    "python": 1.5,
    "numpy": [np.ones((2, 3), np.float32), (np.float32(2),)],
    "no numbers": {"w": np.ones((0, 3), np.float32)},
}


@pytest.mark.parametrize(  # a leaf that is not there and some that are no arrays of all
    "name, kind",
    [
        put((name, kind), name in FAMILIES or kind in ("nothing", "numpy"))
        for kind in ODD_TREES
        for name in PIECES
    ],
)
def test_odd_trees(name, kind):
    """One step as optax takes it on the same numbers as arrays."""
    tree = ODD_TREES[kind]
    tx, twin = our(name, PIECES[name][0]), their(name, PIECES[name][0])
    if name == "muon" and kind in ("0-d", "python"):
        with pytest.raises(ValueError, match="no parameter is a matrix"):
            tx.init(tree)
        return
    if name == "muon" and kind == "no numbers":  # where optax divides by 0
        twin = optax.identity()
    u, state = tx.update(tree, tx.init(tree), tree)
    as_arrays = jax.tree.map(jnp.asarray, tree)
    expected, _ = twin.update(as_arrays, twin.init(as_arrays), as_arrays)
    assert jax.tree.structure(u) == jax.tree.structure(tree)
    assert jax.tree.structure(state) == jax.tree.structure(tx.init(tree))
    for a, b in zip(jax.tree.leaves(u), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


@ALL
def test_misfits_are_refused_by_path(name):
    """Optax broadcasts the first and truncates the second."""
    tx, params = our(name, PIECES[name][0]), start()
    state = tx.init(params)
    with pytest.raises(ValueError, match=r"\['b'\] has shape \(1,\).* shape \(2,\)"):
        tx.update({**params, "b": jnp.ones(1)}, state, params)
    with pytest.raises(ValueError, match=r"\['n'\] is int32"):
        tx.init({**params, "n": jnp.arange(3)})
    with pytest.raises(ValueError, match=r"no gradient for the parameter \['b'\]"):
        tx.update({"w": params["w"], "b": None}, state, params)


@ALL
def test_init_aliases_nothing(name):
    """Parameters and state can both be donated: no two of them share a buffer."""
    params = start()
    leaves = jax.tree.leaves((params, our(name, PIECES[name][0]).init(params)))
    assert len({x.unsafe_buffer_pointer() for x in leaves}) == len(leaves)


@pytest.mark.parametrize("name", of_families(RECIPES, dear=False))
def test_an_unjitted_loop_leaves_nothing_behind(name, caplog):
    """No array outlives its step, and no step compiles after the first ones."""
    tx, params = our(name, PIECES[name][0]), start()
    g, state, alive = first(gradients()), tx.init(params), []

    def steps(n):
        nonlocal params, state
        for _ in range(n):
            u, state = tx.update(g, state, params)
            params = apply_updates(params, u)
        del u
        gc.collect()
        alive.append(len(jax.live_arrays()))

    gc.collect()
    gc.freeze()  # what other tests left need not be walked again
    steps(2)
    with jax.log_compiles(), caplog.at_level(logging.DEBUG, "jax"):
        steps(10)
        assert not [r for r in caplog.records if "Finished XLA compilation" in r.getMessage()]
        jax.jit(lambda x: x + 41)(1.0)  # that the log would have shown it
        assert [r for r in caplog.records if "Finished XLA compilation" in r.getMessage()]
    gc.unfreeze()
    assert alive[0] == alive[1]


@ALL
def test_works_under_optax_s_state_tools(name):
    tx = our(name, PIECES[name][0])
    state = tx.init(start())
    doubled = optax.tree.map_params(tx, lambda x: x + 1, state)
    assert jax.tree.structure(doubled) == jax.tree.structure(state)
    for field in ("trace", "mu", "nu", "nu_max", "e_g"):
        old, new = kept(state, field), kept(doubled, field)
        assert_trees_equal(new, jax.tree.map(lambda x: x + 1, old))


# --- what is no array yet, no number at all, or another's ---


@pytest.mark.parametrize("name", RECIPES)
def test_abstract_parameters_make_the_state_of_concrete_ones(name):
    """As optax's own recipes, and ``nnx.Optimizer`` of an abstract model, have it."""
    shapes = {"w": jax.ShapeDtypeStruct((2, 3), jnp.bfloat16), "z": jax.ShapeDtypeStruct((), "f4")}
    params = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    tx = RECIPES[name](**defaults(RECIPES[name], float) | {"learning_rate": 0.1})
    assert_trees_equal(tx.init(shapes), tx.init(params))


def test_abstract_complex_parameters_of_torch_s_recipes():
    tx = convention("adam", "torch")(0.1)
    shapes = {"w": jax.ShapeDtypeStruct((2,), jnp.complex64)}
    assert_trees_equal(tx.init(shapes), tx.init({"w": jnp.zeros(2, jnp.complex64)}))


ODD = {
    "a function": (jax.nn.relu, "no array but a"),
    "a string": ("relu", "no array but a str, 'relu'"),
    "a string that is a dtype": ("float32", "no array but a str"),
    "a dtype": (jnp.float32, "no array but a"),
    "an object": (object(), "no array but a object"),
    "a typed key": (jax.random.key(0), "key<fry>"),
    "an int": (3, "int32"),
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("name", ["adam", "sgd", "adagrad"])
def test_leaves_that_are_no_numbers_are_named(name, odd):
    leaf, word = ODD[odd]
    params = {"w": jnp.ones(2), "layer": {"x": leaf}}
    with pytest.raises(ValueError, match=rf"\['layer'\]\['x'\] is {word}"):
        RECIPES[name](0.1).init(params)
    fine = {"w": jnp.ones(2), "layer": {"x": jnp.ones(())}}
    with pytest.raises(ValueError, match=r"\['layer'\]\['x'\]"):
        RECIPES[name](0.1).update(params, RECIPES[name](0.1).init(fine), fine)


PROMOTED = ["optax.adam", "optax.radam", "keras.nadam", "torch.nadam", "torch.rmsprop"]
EVERYBODY = [f"{like}.{name}" for like in CONVENTIONS for name in sorted(CONVENTIONS[like])]


@pytest.mark.parametrize("x64", only([True], [False, True]))
@pytest.mark.parametrize("name", only(PROMOTED, EVERYBODY))
def test_no_promotion_is_left_to_jax(name, x64):
    """A user's strict mode is for the user's own code."""
    with jax.numpy_dtype_promotion("strict"), jax.enable_x64(x64):
        params = jnp.ones((3, 2), jnp.float32)
        tx = of_convention(name, 0.1)
        for update in (tx.update, jax.jit(tx.update)):
            u, _ = update(params, tx.init(params), params)
            assert apply_updates(params, u).dtype == jnp.float32
        with pytest.raises(ValueError, match="promotion"):
            jnp.float32(1) + jnp.int32(1)


def test_a_rate_with_axes_is_named():
    params = {"scale": jnp.ones(()), "w": jnp.ones(3)}
    for rate in (jnp.array([1e-3]), jnp.ones(2), lambda step: jnp.ones(2)):
        tx = RECIPES["adam"](rate)
        word = "step_size" if callable(rate) else "learning_rate"
        with pytest.raises(ValueError, match=rf"{word} has shape \(\d,\), not \(\)"):
            tx.update(params, tx.init(params), params)


def test_the_state_of_another_transformation_is_refused():
    params = jnp.ones(3)
    adam, sgd = RECIPES["adam"](0.1), RECIPES["sgd"](0.1, momentum=0.9)
    with pytest.raises(ValueError, match="scale_by_adam: this state was made by another transform"):
        adam.update(params, sgd.init(params), params)


COUNTING = ["optax.nadam", "optax.adafactor", "torch.nadam", "keras.adafactor"]
COUNTING += ["paper.schedule_free_sgd"]


@pytest.mark.parametrize("name", only(COUNTING, EVERYBODY))
def test_the_last_step_that_is_counted_is_as_those_before_it(name):
    """A count stays at 2^31 - 1; what a formula asks of the step after it is no step below 0."""
    params = {"w": jnp.ones((3, 2)), "b": jnp.ones(2)}
    g = jax.tree.map(lambda x: 0.3 * x, params)
    tx = of_convention(name, 0.1)
    _, state = tx.update(g, tx.init(params), params)
    is_count = lambda x: jnp.issubdtype(x.dtype, jnp.integer) and x.ndim == 0
    at = lambda n: jax.tree.map(lambda x: jnp.full_like(x, n) if is_count(x) else x, state)
    before, _ = tx.update(g, at(2**31 - 5), params)
    for n in (2**31 - 2, 2**31 - 1):
        assert_trees_close(tx.update(g, at(n), params)[0], before, 1e-6)
