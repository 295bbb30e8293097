"""The choice of an optimizer as data: each index is its member run alone."""

import functools
import operator
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import (
    RECIPES,
    as_arrays,
    assert_trees_close,
    assert_trees_equal,
    counted,
    defaults,
    descend,
    deviation,
    quartic,
    start,
)
from jax.extend.core import jaxprs_in_params
from long_form import every, only

from jaxopt_course.base import apply_updates
from jaxopt_course.optimizers import adagrad, adam, adamw, momentum, sgd
from jaxopt_course.schedules import inverse_time_decay
from jaxopt_course.transforms import scale, switch, trace

NAMES = list(RECIPES)
NUMBERS = {name: {"learning_rate": 0.03, **defaults(RECIPES[name], float)} for name in NAMES}


def members(numbers=NUMBERS):
    """All recipes, and two with memories of another kind: a schedule's counter, two momenta."""
    made = [RECIPES[name](**numbers[name]) for name in NAMES]
    falling = inverse_time_decay(numbers["adamw"]["learning_rate"], 0.1)
    adamw_s = adamw(**{**numbers["adamw"], "learning_rate": falling})
    return [*made, adamw_s, RECIPES["rmsprop"](**numbers["rmsprop"], momentum=0.9)]


EVERY = pytest.mark.parametrize("index", every(5, range(len(members()))))


def run(tx, params, steps=20):
    """Parameters after each step; parameters are an argument of the program."""
    return jax.jit(lambda params: descend(tx, params, steps))(params)


@functools.cache
def alone(index):
    return jax.jit(lambda params: descend(members()[index], params, 20))


def updates(tx, gradients, path):
    """Updates along fixed streams of gradients and parameters."""

    def step(state, now):
        u, state = tx.update(now[0], state, now[1])
        return state, u

    params = jax.tree.map(lambda x: x[0], path)
    return jax.lax.scan(step, tx.init(params), (gradients, path))[1]


def data():
    rng = np.random.default_rng(0)
    draw = lambda: {k: rng.normal(size=(50, *s)) for k, s in (("w", (16, 16)), ("b", (64,)))}
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), (draw(), draw()))


@functools.cache
def chosen(dtype):
    return counted(lambda index, numbers, *data: updates(switch(index, members(numbers)), *data))


@EVERY
def test_a_traced_index_is_the_member(index):
    """To the last bit with jax 0.10; 0.12 rounds now and then otherwise inside a conditional."""
    member = jax.jit(lambda numbers, *data: updates(members(numbers)[index], *data))
    numbers = {name: as_arrays(NUMBERS[name]) for name in NAMES}
    program, kinds = chosen("float32")
    assert deviation(program(index, numbers, *data()), member(numbers, *data())) < 1e-6
    assert len(kinds) == 1


@pytest.mark.long
@EVERY
def test_in_float64_it_is_the_member_to_fifteen_digits(index):
    """A wrong slot or a lost digit has no rounding to hide behind."""
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda x: x.astype(jnp.float64)[:20], data())
        ours = chosen("float64")[0](index, NUMBERS, *wide)
        member = jax.jit(lambda *data: updates(members()[index], *data))(*wide)
        assert deviation(ours, member) < 1e-14


@pytest.mark.parametrize("index", [0, np.int64(7)])
def test_a_python_index_is_the_member_bit_for_bit(index):
    static = jax.jit(lambda *data: updates(switch(index, members()), *data))
    member = jax.jit(lambda *data: updates(members()[index], *data))
    assert_trees_equal(static(*data()), member(*data()))


@functools.cache
def lanes(batched):
    """Paths from two starts; a lane has its own index, or all lanes share one after the other."""
    starts = jax.tree.map(lambda x: jnp.stack([x, x + 0.5]), start())
    path = lambda i, params: descend(switch(i, members()), params, 20)
    everyone = jnp.arange(len(members()))
    if batched:
        table = jax.vmap(jax.vmap(path, in_axes=(None, 0)), in_axes=(0, None))
        return jax.jit(table)(everyone, starts)
    shared = jax.jit(jax.vmap(path, in_axes=(None, 0)))
    return jax.tree.map(lambda *x: jnp.stack(x), *(shared(i, starts) for i in everyone))


@pytest.mark.long
@pytest.mark.parametrize("batched", [False, True])
@EVERY
def test_a_lane_is_the_member(index, batched):
    for lane in (0, 1):
        expected = alone(index)(jax.tree.map(lambda x, d=lane: x + 0.5 * d, start()))
        ours = jax.tree.map(lambda x, d=lane: x[index, d], lanes(batched))
        assert_trees_close(ours, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.long
def test_members_differ():
    """The tests above could not see a switch that always takes the same member."""
    paths = lanes(True)
    pick = lambda i: jax.tree.map(lambda x: x[i, 0], paths)
    same = {(NAMES.index("sgd"), NAMES.index("sgd"))}
    for i in range(len(members())):
        for j in range(i):
            assert (i, j) in same or deviation(pick(i), pick(j)) > 1e-6


@pytest.mark.parametrize("batched", only([True], [False, True]))
def test_a_shared_index_stays_one_conditional_under_vmap(batched):
    def step(i, params):
        tx = switch(i, members())
        return tx.update(jax.grad(quartic)(params), tx.init(params), params)[0]

    starts = jax.tree.map(lambda x: jnp.stack([x, x]), start())
    index = jnp.zeros(2, jnp.int32) if batched else jnp.int32(0)
    program = jax.make_jaxpr(jax.vmap(step, in_axes=(0 if batched else None, 0)))(index, starts)
    assert conditionals(program.jaxpr)[len(members())] == (0 if batched else 2)  # init and update


def conditionals(jaxpr):
    """How many conditionals of each number of branches; a member may have some of its own."""
    found = Counter()
    for equation in jaxpr.eqns:
        found[len(equation.params.get("branches", ()))] += equation.primitive.name == "cond"
        for inner in jaxprs_in_params(equation.params):
            found += conditionals(inner)
    return found


@pytest.mark.long
def test_one_program_serves_every_index_and_every_number():
    def path(i, numbers, params):
        tx = switch(i, [RECIPES[name](**numbers[name]) for name in NAMES])
        return descend(tx, params, 5)

    path, kinds = counted(path)
    arrays = {name: as_arrays(NUMBERS[name]) for name in NAMES}
    for i, name in enumerate(NAMES):
        for rate in (0.03, 0.01) if name == "adam" else (0.03,):
            numbers = arrays | {name: arrays[name] | {"learning_rate": np.float32(rate)}}
            member = RECIPES[name](**{**NUMBERS[name], "learning_rate": rate})
            assert_trees_close(path(i, numbers, start()), run(member, start(), 5), 1e-5, 1e-6)
    assert len(kinds) == 1


# --- the state ---


def test_all_optimizers_take_of_each_kind_what_the_largest_takes():
    apart = [RECIPES[name](**NUMBERS[name]).init(start()) for name in NAMES]
    together = switch(jnp.int32(0), [RECIPES[name](**NUMBERS[name]) for name in NAMES]).init(
        start()
    )
    kind = lambda x: f"{x.dtype}[{','.join(map(str, x.shape))}]"
    kinds = lambda state: Counter(map(kind, jax.tree.leaves(state)))
    largest = functools.reduce(operator.or_, map(kinds, apart))
    assert {kind: len(slots) for kind, slots in together.slots.items()} == largest


@pytest.mark.parametrize("traced", [False, True])
def test_init_switches_too(traced):
    """Adagrad starts at 0.1 in the first slot of a kind; what it does not use is 0."""
    choice = lambda i: switch(jnp.int32(i) if traced else i, [adam(0.1), adagrad(0.1)])
    assert_trees_equal(
        choice(1).init(jnp.zeros(3)).slots,
        {"float32[3]": (jnp.full(3, 0.1), jnp.zeros(3)), "int32[]": (jnp.int32(0),)},
    )
    assert all((x == 0).all() for x in jax.tree.leaves(choice(0).init(jnp.zeros(3))))


def test_unused_slots_pass_through_untouched():
    tx = switch(jnp.int32(1), [adam(0.1), momentum(0.1, 0.5)])
    state = jax.tree.map(lambda x: x + 7, tx.init(jnp.zeros(3)))
    _, after = tx.update(jnp.ones(3), state)
    assert_trees_equal(
        after.slots,
        {"float32[3]": (jnp.full(3, 0.5 * 7 + 1), jnp.full(3, 7.0)), "int32[]": (jnp.int32(7),)},
    )


@pytest.mark.long
def test_the_structure_does_not_depend_on_how_it_is_traced():
    tx = switch(jnp.int32(2), members())
    real, shape = tx.init(start()), jax.eval_shape(tx.init, start())
    starts = jax.tree.map(lambda x: jnp.stack([x] * 3), start())
    batch = jax.vmap(tx.init)(starts)
    static = switch(2, members()).init(start())
    assert_trees_equal(real, static)
    spec = lambda tree: jax.tree.map(lambda x: (x.shape, x.dtype), tree)
    assert spec(real) == spec(shape)
    assert_trees_equal(jax.tree.map(lambda x: x[1], batch), real)


@pytest.mark.parametrize("index", [0, jnp.int32(0)], ids=["python", "traced"])
def test_the_state_can_be_donated(index):
    state = switch(index, members()).init(start())
    leaves = jax.tree.leaves((state, start()))
    assert len({x.unsafe_buffer_pointer() for x in leaves}) == len(leaves)


def test_members_may_drift_the_state_may_not():
    """optax's momentum with a float32 rate turns a bfloat16 memory into float32."""
    beta, zero = jnp.float32(0.9), jnp.zeros(3, jnp.bfloat16)
    drifter = optax.trace(beta)
    u, state = drifter.update(zero, drifter.init(zero))
    assert u.dtype == state.trace.dtype == jnp.float32
    tx = switch(jnp.int32(0), [drifter, optax.scale(0.5)])
    u, state = tx.update(zero, tx.init(zero))
    assert u.dtype == state.slots["bfloat16[3]"][0].dtype == jnp.bfloat16


def test_keys_have_slots_too():
    noisy = optax.noisy_sgd(0.1, eta=0.1, key=0)
    tx = switch(jnp.int32(1), [sgd(0.1), noisy])
    u, _ = tx.update(jnp.ones(3), tx.init(jnp.ones(3)))
    assert_trees_close(u, noisy.update(jnp.ones(3), noisy.init(jnp.ones(3)))[0], rtol=1e-6)


# --- the edges ---


@pytest.mark.parametrize("index", [2, -1, np.int32(5)])
def test_a_python_index_out_of_range_is_refused(index):
    with pytest.raises(IndexError, match=f"index {index} of 2"):
        switch(index, [sgd(0.1), sgd(0.2)])


def test_a_traced_index_is_clamped():
    update = jax.jit(lambda i: switch(i, [scale(1.0), scale(2.0)]).update(1.0, nothing())[0])
    assert [update(i) for i in (-3, 0, 1, 9)] == [1, 1, 2, 2]


def nothing():
    return switch(0, [scale(1.0)]).init(1.0)


def test_a_state_that_does_not_fit_is_refused():
    state = switch(0, [momentum(0.1)]).init(jnp.ones(3))
    with pytest.raises(ValueError, match=r"no room for .*float32\[3\]"):
        switch(1, [momentum(0.1), adam(0.1)]).update(jnp.ones(3), state)
    with jax.enable_x64(True):
        params, g = jnp.ones(3, jnp.float64), jnp.ones(3, jnp.float32)
        tx = switch(0, [momentum(0.1), adam(0.1)])
        state = tx.init(params)
        with pytest.raises(ValueError, match="without the parameters"):
            tx.update(g, state)  # float32 gradients of float64 parameters
        u, _ = tx.update(g, state, params)
        assert u.dtype == jnp.float32


def test_no_members_no_switch():
    with pytest.raises(ValueError, match="at least one"):
        switch(0, [])


@pytest.mark.parametrize("index", [0, jnp.int32(0), jnp.int32(4)])
def test_a_single_member(index):
    assert_trees_equal(run(switch(index, [adam(0.1)]), start()), run(adam(0.1), start()))


def test_extra_arguments_are_handed_on():
    polyak = optax.polyak_sgd()
    tx = switch(jnp.int32(1), [sgd(0.1), polyak])
    g, value = jnp.ones(3), jnp.float32(2)
    ours = tx.update(g, tx.init(g), g, value=value)[0]
    assert_trees_equal(ours, polyak.update(g, polyak.init(g), g, value=value)[0])


def test_misfits_are_named_through_the_switch():
    tx = switch(jnp.int32(0), [trace(0.9), adam(0.1)])
    with pytest.raises(ValueError, match=r"\['w'\] has shape \(2,\)"):
        tx.update({"w": jnp.ones(2)}, tx.init({"w": jnp.ones(3)}), {"w": jnp.ones(3)})


@pytest.mark.long
def test_gradients_flow_to_the_chosen_member():
    def end(rates, index):
        tx = switch(index, [sgd(rates[0]), adam(rates[1])])
        return quartic(jax.tree.map(lambda x: x[-1], descend(tx, start(), 5)))

    slopes = jax.jit(jax.grad(end))
    for index in (0, 1):
        slope = slopes((0.03, 0.03), index)
        assert slope[index] != 0 and slope[1 - index] == 0


def test_it_is_a_piece_like_any_other():
    """In a chain, behind a mask, in MultiSteps."""
    inner = switch(jnp.int32(1), [sgd(0.1), adam(0.1)])
    for wrap in (
        lambda tx: optax.chain(optax.clip(0.5), tx),
        lambda tx: optax.masked(tx, {"w": True, "b": False}),
        lambda tx: optax.MultiSteps(tx, 2),
    ):
        ours, plain = wrap(inner), wrap(adam(0.1))
        state, other = jax.jit(ours.init)(start()), plain.init(start())
        update, update_plain = jax.jit(ours.update), jax.jit(plain.update)
        for _ in range(4):
            u, state = update(start(), state, start())
            v, other = update_plain(start(), other, start())
            assert_trees_close(apply_updates(start(), u), apply_updates(start(), v), rtol=1e-6)
