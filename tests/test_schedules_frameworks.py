"""Whole horizons against PyTorch and Keras, from tests/golden/schedules.json, in float64."""

import inspect
import json
from fractions import Fraction
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from golden import rates
from hypothesis import given
from hypothesis import strategies as st
from random_trees import few

import jaxopt_course as joc
from jaxopt_course.conventions import schedule_from_keras, torch_onecycle_schedule
from jaxopt_course.schedules import (
    cosine_restarts_schedule,
    inverse_sqrt_schedule,
    polynomial_cycles_schedule,
    warmup_linear_decay_schedule,
    wsd_schedule,
)

GOLDEN = json.loads((Path(__file__).parent / "golden" / "schedules.json").read_text())


def horizon(schedule, steps):
    return np.asarray(jax.vmap(schedule)(jnp.arange(steps, dtype=jnp.int32)))


def same(ours, theirs):
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("name", rates.ONE_CYCLES)
def test_one_cycle_is_torch_s(name):
    options = dict(rates.ONE_CYCLES[name])
    steps = options.pop("total_steps")
    with jax.enable_x64(True):
        ours = horizon(torch_onecycle_schedule(steps, 0.1, **options), steps)
        three = options.pop("three_phase", False)
        traced = jax.jit(
            lambda flag: horizon_of(
                torch_onecycle_schedule(steps, 0.1, **options, three_phase=flag), steps
            )
        )(three)
    same(ours, GOLDEN[f"torch.onecycle.{name}"])
    same(traced, ours)


def horizon_of(schedule, steps):
    return jax.vmap(schedule)(jnp.arange(steps))


def test_restarts_are_torch_s_in_one_program():
    first, times, least = np.array(rates.RESTARTS).T
    with jax.enable_x64(True):
        lanes = jax.jit(
            jax.vmap(
                lambda n, t, a: horizon_of(
                    cosine_restarts_schedule(0.1, n, t, alpha=a), rates.STEPS
                )
            )
        )(first, times, least / 0.1)
    same(lanes, GOLDEN["torch.restarts"])


def test_restarts_are_keras_s_but_for_its_float32_cosine():
    with jax.enable_x64(True):
        ours = [
            horizon(cosine_restarts_schedule(0.1, *numbers), rates.STEPS)
            for numbers in rates.KERAS_RESTARTS
        ]
    np.testing.assert_allclose(ours, GOLDEN["keras.restarts"], rtol=1e-6, atol=3e-8)


def test_a_restart_falls_on_its_step_in_float32():
    """Where a quotient of logarithms may round down."""
    for first, times in ((2, 3), (2, 10), (7, 2), (5, 4)):
        rate = jax.jit(cosine_restarts_schedule(1.0, first, times))
        start, length = 0, first
        while start + length < 10**6:
            start, length = start + length, length * times
            assert float(rate(start)) == 1 and float(rate(start - 1)) < 1, (first, times, start)


@pytest.mark.parametrize("wide", [False, True])
def test_a_restart_falls_on_its_step_where_cycles_grow_by_a_fraction(wide):
    """Restarts in exact fractions; one that is a step late has the lowest rate there."""
    rows = []
    for first, times in ((40, "5/2"), (48, "5/4"), (96, "3/2"), (216, "4/3"), (100, "11/10")):
        start, length = Fraction(0), Fraction(first)
        while start + length < 20_000:
            start, length = start + length, length * Fraction(times)
            if start.denominator == 1:
                rows.append((first, float(Fraction(times)), int(start)))
    with jax.enable_x64(wide):
        first, times, start = (jnp.array(x) for x in zip(*rows, strict=True))
        first = first.astype(times.dtype)
        rate = lambda n, t, s: cosine_restarts_schedule(1.0, n, t)(s)
        here = jax.jit(jax.vmap(rate))(first, times, start)
        before = jax.vmap(rate)(first, times, start - 1)
        np.testing.assert_allclose(here, 1, atol=1e-4)
        assert (before < 0.01).all()


def test_polynomials_with_cycles_are_keras_s():
    with jax.enable_x64(True):
        ours = [
            horizon(polynomial_cycles_schedule(0.1, end, power, n), rates.STEPS)
            for n, power, end in rates.CYCLES
        ]
        brought = [
            horizon(schedule_from_keras(_cycling(n, power, end)), rates.STEPS)
            for n, power, end in rates.CYCLES
        ]
    same(ours, GOLDEN["keras.cycles"])
    same(brought, ours)


def _cycling(steps, power, end):
    options = {"initial_learning_rate": 0.1, "end_learning_rate": end, "decay_steps": steps}
    options |= {"power": power, "cycle": True}
    return {"class_name": "PolynomialDecay", "config": options}


@pytest.mark.long
@few
@given(
    st.integers(0, 20), st.integers(0, 20), st.integers(0, 10), st.floats(0, 0.5), st.floats(0.5, 2)
)
def test_wsd_is_three_of_optax_s(up, down, flat, end, high):
    total = up + down + flat + 1
    with jax.enable_x64(True):
        ours = wsd_schedule(0.01, high, total, up / total, down / total, end)
        parts = [optax.linear_schedule(0.01, high, up), optax.linear_schedule(high, end, down)]
        theirs = optax.join_schedules(parts, [total - down])
        steps = jnp.arange(total + (down > 0), dtype=jnp.float64)
        expected = np.asarray(jax.vmap(theirs)(steps))
        if up == 0:  # here optax stays at the first value for good
            expected = np.where(steps < total - down, high, expected)
        np.testing.assert_allclose(jax.vmap(ours)(steps), expected, rtol=1e-12, atol=1e-14)


def test_wsd_that_falls_as_a_root_in_the_end():
    with jax.enable_x64(True):
        ours = horizon(wsd_schedule(0.0, 0.3, 40, 0.1, 0.5, exponent=0.5), 41)
    by_hand = [0.3 * min(s / 4, 1) * (1 - np.sqrt(max(s - 20, 0) / 20)) for s in range(41)]
    same(ours, by_hand)


@pytest.mark.long
@few
@given(st.integers(0, 9), st.integers(10, 30), st.floats(0, 0.2))
def test_linear_with_a_warm_up_is_two_of_optax_s(up, total, end):
    with jax.enable_x64(True):
        ours = warmup_linear_decay_schedule(0.01, 0.3, up, total, end)
        parts = [optax.linear_schedule(0.01, 0.3, up), optax.linear_schedule(0.3, end, total - up)]
        theirs = optax.join_schedules(parts, [up])
        steps = jnp.arange(total + 5, dtype=jnp.float64)
        np.testing.assert_allclose(
            jax.vmap(ours)(steps), jax.vmap(theirs)(steps), rtol=1e-12, atol=1e-15
        )


@few
@given(st.integers(0, 9), st.floats(1, 30), st.integers(0, 20))
def test_inverse_square_root_by_its_formula(up, tau, cool):
    total = 60

    def slow(s):
        return s / up if s < up else np.sqrt(tau / (tau + s - up))

    def by_hand(s):
        last = total - cool
        if cool == 0 or s <= last:
            return 0.3 * slow(s)
        high = 0.3 * slow(last)
        return high + (0.02 - high) * min((s - last) / cool, 1)

    with jax.enable_x64(True):
        ours = horizon(inverse_sqrt_schedule(0.0, 0.3, up, tau, total, cool, 0.02), 70)
    same(ours, [by_hand(s) for s in range(70)])


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: wsd_schedule(0, 1, 10, 0.7, 0.4), "are more than the whole"),
        (lambda: wsd_schedule(0, 1, 0), "transition_steps must be positive"),
        (lambda: wsd_schedule(0, 1, 9, -0.1), "warmup_share must be at least 0 and at most 1"),
        (lambda: wsd_schedule(0, 1, 9, exponent=-1), "exponent must be at least 0"),
        (lambda: warmup_linear_decay_schedule(0, 1, 9, 9), "counts the warm-up too"),
        (lambda: inverse_sqrt_schedule(0, 1, 5, 0, 20), "timescale must be positive"),
        (lambda: inverse_sqrt_schedule(0, 1, 5, 3, 20, 16), "do not fit in transition_steps=20"),
        (lambda: inverse_sqrt_schedule(0, 1, -5, 3, 20), "warmup_steps must be at least 0"),
        (lambda: cosine_restarts_schedule(1, 0), "first_decay_steps must be positive"),
        (lambda: cosine_restarts_schedule(1, 5, 0.5), "t_mul must be at least 1, not 0.5"),
        (lambda: cosine_restarts_schedule(1, 5, m_mul=-1), "m_mul must be at least 0"),
        (lambda: polynomial_cycles_schedule(1, 0, 1, 0), "decay_steps must be positive"),
        (lambda: polynomial_cycles_schedule(1, 0, -1, 5), "power must be at least 0"),
        (lambda: joc.reduce_on_plateau(factor=1.5), "factor must be above 0 and at most 1"),
        (lambda: joc.reduce_on_plateau(patience=0), "patience must be at least 1, not 0"),
        (lambda: joc.reduce_on_plateau(patience=-1, like="torch"), "patience must be at least 0"),
        (lambda: joc.reduce_on_plateau(accumulation_size=0), "accumulation_size must be at least"),
        (lambda: joc.reduce_on_plateau(rtol=2), "rtol must be between 0 and 1"),
        (lambda: joc.reduce_on_plateau(cooldown=-1), "cooldown must be at least 0, not -1"),
        (lambda: joc.reduce_on_plateau(like="pytorch"), "like one of optax, torch, keras"),
    ],
)
def test_what_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.long
def test_traced_nonsense_stays_finite():
    """The values of lanes and their slopes, at any step."""
    odd = jnp.array([-3.0, 0.0, 1e-28, 0.5, 1.0, 2.0, 1e9], jnp.float32)
    a, b = (x.ravel() for x in jnp.meshgrid(odd, odd))
    late = jnp.array([0, 1, 2, 7, 100, 10**6, 2**31 - 1], jnp.int32)
    makers = [
        lambda x, y: wsd_schedule(0.0, 0.3, x, y, 0.2),
        lambda x, y: wsd_schedule(0.0, 0.3, 9, x, y, exponent=x),
        lambda x, y: warmup_linear_decay_schedule(0.0, 0.3, x, y),
        lambda x, y: inverse_sqrt_schedule(0.0, 0.3, x, y, 20, 4),
        lambda x, y: inverse_sqrt_schedule(0.0, 0.3, 3, 4, x, y),
        lambda x, y: cosine_restarts_schedule(0.3, x, y),
        lambda x, y: cosine_restarts_schedule(0.3, 5, x, y),
        lambda x, y: polynomial_cycles_schedule(0.3, 0.1, x, y),
    ]
    for i, make in enumerate(makers):
        values = lambda x, y, make=make: jax.vmap(make(x, y))(late)
        found = jax.jit(jax.vmap(lambda x, y, f=values: (f(x, y), jax.jacfwd(f, (0, 1))(x, y))))
        bad = [
            ~np.isfinite(np.asarray(x)).reshape(len(a), -1).all(1)
            for x in jax.tree.leaves(found(a, b))
        ]
        assert not np.any(bad), (i, np.argwhere(bad)[:3], a, b)


# --- plateaus ---


def scales(options, like, values, size=1):
    """The scale after each value; numbers traced, a lane each of ``options``."""
    factor, patience, cooldown = jnp.asarray(options, jnp.float64).T

    def lane(factor, patience, cooldown):
        tx = joc.reduce_on_plateau(
            factor,
            patience,
            cooldown=cooldown,
            accumulation_size=size,
            min_scale=1e-3,
            min_change=1e-7 if like == "torch" else 0.0,
            like=like,
        )
        step = lambda s, v: tx.update(jnp.ones(1), s, value=v)[::-1]
        return jax.lax.scan(step, tx.init(jnp.zeros(1)), values)[1][:, 0]

    return jax.jit(jax.vmap(lane))(factor, patience, cooldown)


@pytest.mark.parametrize("like", ["torch", "keras"])
def test_a_plateau_is_the_framework_s(like):
    with jax.enable_x64(True):
        ours = scales(rates.PLATEAUS, like, rates.losses())
    same(0.1 * np.asarray(ours), GOLDEN[f"{like}.plateau"])
    assert len(np.unique(np.asarray(ours).round(12))) > 20


@pytest.mark.long
def test_a_plateau_is_optax_s():
    with jax.enable_x64(True):
        for size in (1, 7):
            ours = scales(rates.PLATEAUS, "optax", rates.losses(), size)
            for one, (factor, patience, cooldown) in zip(ours, rates.PLATEAUS, strict=True):
                tx = optax.contrib.reduce_on_plateau(
                    factor,
                    patience,
                    cooldown=cooldown,
                    accumulation_size=size,
                    min_scale=1e-3,
                )
                step = lambda s, v, tx=tx: tx.update(jnp.ones(1), s, value=v)[::-1]
                theirs = jax.lax.scan(step, tx.init(jnp.zeros(1)), rates.losses())[1]
                np.testing.assert_array_equal(one, theirs[:, 0])


def test_its_defaults_are_optax_s():
    of = lambda f: {name: p.default for name, p in inspect.signature(f).parameters.items()}
    ours, theirs = of(joc.reduce_on_plateau), of(optax.contrib.reduce_on_plateau)
    shared = (theirs.keys() & ours.keys()) - {"rtol", "atol"}  # which are those of ``like``
    assert {"patience", "cooldown", "accumulation_size", "min_scale"} <= shared
    assert {name: ours[name] for name in shared} == {name: theirs[name] for name in shared}


def test_a_plateau_without_a_value_is_named():
    tx = joc.chain(joc.sgd(0.1), joc.reduce_on_plateau())
    params = {"w": jnp.ones(2)}
    with pytest.raises(ValueError, match="looks at the loss"):
        tx.update(params, tx.init(params), params)
    with pytest.raises(ValueError, match=r"must be a scalar, not \(2,\)"):
        tx.update(params, tx.init(params), params, value=jnp.ones(2))


def test_the_dtypes_of_a_plateau_stay():
    params = {"w": jnp.ones(2, jnp.bfloat16)}
    tx = joc.reduce_on_plateau()
    state = tx.init(params)
    u, after = tx.update(params, state, params, value=jnp.float32(1))
    assert u["w"].dtype == jnp.bfloat16
    kinds = lambda s: jax.tree.map(lambda x: (x.dtype, x.shape), s)
    assert kinds(state) == kinds(after) and after.scale.dtype == jnp.float32


def test_the_rate_behind_a_plateau():
    params = {"w": jnp.ones(2)}
    tx = joc.chain(joc.adam(0.5), joc.reduce_on_plateau(0.25, 1))
    state = tx.init(params)
    for _ in range(2):
        _, state = tx.update(params, state, params, value=1.0)
    assert joc.hyperparameters(tx, state)["learning_rate"] == 0.125
