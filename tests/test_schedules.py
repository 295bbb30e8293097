"""Schedules are data: by hand, by a float64 transcription, and traced."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import DEFAULT_EFFORT, as_arrays, descend, start
from long_form import every

from jaxopt_course import schedules
from jaxopt_course.conventions import schedule_from_keras, torch_onecycle_schedule
from jaxopt_course.optimizers import sgd
from jaxopt_course.schedules import constant_schedule, inverse_time_decay


def test_inverse_time_by_hand():
    rates = [inverse_time_decay(8.0, 1.0)(s) for s in (0, 1, 3, 7)]
    np.testing.assert_array_equal(rates, [8, 4, 2, 1])


def test_inverse_time_is_the_notes_formula_in_float64():
    steps = np.arange(500)
    with jax.enable_x64(True):
        ours = jax.vmap(inverse_time_decay(0.1, 0.3))(steps)
        assert ours.dtype == jnp.float64
        np.testing.assert_allclose(ours, 0.1 / (1 + steps * 0.3), rtol=1e-15)


def test_robbins_monro():
    """Σ η_s = ∞ (it grows by log 10 / η_d a decade) and Σ η_s² < ∞, for η_0 = 1, η_d = 0.01."""
    rates = np.asarray(jax.vmap(inverse_time_decay(1.0, 0.01))(jnp.arange(10**6)), np.float64)
    assert rates.sum() == pytest.approx(921.5, abs=0.1)
    assert rates[10**5 :].sum() == pytest.approx(np.log(10) / 0.01, rel=1e-3)
    assert np.square(rates).sum() == pytest.approx(100.49, abs=0.02)


def test_constant_is_optax_s():
    assert constant_schedule(0.3)(5) == optax.constant_schedule(0.3)(5) == 0.3


def test_every_parameter_is_traceable():
    """A lane per (η_0, η_d); each equals the schedule of Python numbers."""
    eta_0, eta_d = jnp.array([1.0, 0.5, 0.1]), jnp.array([0.0, 2.0, 0.25])
    steps = jnp.arange(4)
    lanes = jax.jit(jax.vmap(lambda a, b: jax.vmap(inverse_time_decay(a, b))(steps)))(eta_0, eta_d)
    for lane, a, b in zip(lanes, (1.0, 0.5, 0.1), (0.0, 2.0, 0.25), strict=True):
        np.testing.assert_allclose(lane, a / (1 + b * np.arange(4)), rtol=1e-6)


def test_the_first_update_uses_step_0_and_the_second_step_1():
    """Plain descent with a schedule, against the recursion written out in float64."""
    with jax.enable_x64(True):
        slope = lambda p: jnp.sum(p["b"])  # the gradient is 1, the step the rate itself
        path = descend(sgd(inverse_time_decay(0.5, 1.0)), {"b": jnp.zeros(1)}, 4, slope)["b"][:, 0]
    np.testing.assert_allclose(path, -np.cumsum([1 / 2, 1 / 4, 1 / 6, 1 / 8]), rtol=1e-15)


def test_the_rate_has_a_derivative_in_its_parameters():
    end = lambda rates: descend(sgd(inverse_time_decay(*rates)), start(), 10)["b"][-1, 0]
    slopes = jax.grad(end)((0.1, 0.2))
    assert all(np.isfinite(slopes)) and all(np.abs(slopes) > 1e-3)


# --- every schedule and its optax twin ---

# name, arguments (all of them traceable numbers), switches or None
ROWS = [
    ("exponential_decay", {"init_value": 0.3, "transition_steps": 7, "decay_rate": 0.4}, {}),
    (
        "exponential_decay",
        {"init_value": 0.3, "transition_steps": 7, "decay_rate": 0.4, "transition_begin": 5,
         "end_value": 0.01},
        {"staircase": True},
    ),
    (
        "exponential_decay",
        {"init_value": 0.3, "transition_steps": 9, "decay_rate": 1.5, "transition_begin": -3,
         "end_value": 2.0},
        {},
    ),
    ("exponential_decay", {"init_value": 0.3, "transition_steps": 9, "decay_rate": 0.0}, {}),
    ("exponential_decay", {"init_value": 0.3, "transition_steps": 0, "decay_rate": 0.5}, {}),
    (
        "polynomial_schedule",
        {"init_value": 0.3, "end_value": 0.1, "power": 1.7, "transition_steps": 11,
         "transition_begin": 4},
        {},
    ),
    (
        "polynomial_schedule",
        {"init_value": 0.1, "end_value": 0.3, "power": 0.5, "transition_steps": 11,
         "transition_begin": -4},
        {},
    ),
    (
        "polynomial_schedule",
        {"init_value": 0.1, "end_value": 0.3, "power": 2.0, "transition_steps": 0},
        {},
    ),
    ("linear_schedule", {"init_value": 0.0, "end_value": 0.3, "transition_steps": 13}, {}),
    (
        "linear_schedule",
        {"init_value": 0.3, "end_value": 0.0, "transition_steps": 13, "transition_begin": 3},
        {},
    ),
    ("cosine_decay_schedule", {"init_value": 0.3, "decay_steps": 17}, {}),
    (
        "cosine_decay_schedule",
        {"init_value": 0.3, "decay_steps": 17, "alpha": 0.2, "exponent": 1.5},
        {},
    ),
    (
        "warmup_constant_schedule",
        {"init_value": 0.1, "peak_value": 0.3, "warmup_steps": 6},
        {},
    ),
    (
        "warmup_cosine_decay_schedule",
        {"init_value": 0.0, "peak_value": 0.3, "warmup_steps": 5, "decay_steps": 21},
        {},
    ),
    (
        "warmup_cosine_decay_schedule",
        {"init_value": 0.1, "peak_value": 0.3, "warmup_steps": 5, "decay_steps": 21,
         "end_value": 0.02, "exponent": 1.3},
        {},
    ),
    (
        "warmup_cosine_decay_schedule",
        {"init_value": 0.1, "peak_value": 0.3, "warmup_steps": 0, "decay_steps": 21},
        {},
    ),
    (
        "warmup_cosine_decay_schedule",
        {"init_value": 0.1, "peak_value": 0.0, "warmup_steps": 4, "decay_steps": 21,
         "end_value": 0.2},
        {},
    ),
    ("linear_onecycle_schedule", {"transition_steps": 30, "peak_value": 0.3}, {}),
    (
        "linear_onecycle_schedule",
        {"transition_steps": 31, "peak_value": 0.3, "pct_start": 0.26, "pct_final": 0.7,
         "div_factor": 8.0, "final_div_factor": 50.0},
        {},
    ),
    (
        "cosine_onecycle_schedule",
        {"transition_steps": 31, "peak_value": 0.3, "pct_start": 0.26, "div_factor": 8.0,
         "final_div_factor": 50.0},
        {},
    ),
    ("cosine_onecycle_schedule", {"transition_steps": 30, "peak_value": 0.3}, {}),
]  # fmt: skip
IDS = [f"{i}-{name}" for i, (name, _, _) in enumerate(ROWS)]
STEPS = np.arange(60)
EVERY = pytest.mark.parametrize("name, numbers, flags", ROWS, ids=IDS)
HALF = pytest.mark.parametrize("name, numbers, flags", every(2, ROWS), ids=IDS)
SOME = pytest.mark.parametrize("name, numbers, flags", every(4, ROWS), ids=IDS)
# an operand of 0 or a horizon of 0 is a point where left and right differ: no slope to compare
SMOOTH = [row for row in ROWS if 0 not in row[1].values() and not row[2]]


def ours(name, numbers, flags, steps=STEPS):
    """The schedule at every step; flags are Python bools."""
    return jax.vmap(getattr(schedules, name)(**numbers, **flags))(jnp.asarray(steps, jnp.int32))


@HALF
def test_as_optax_in_float64(name, numbers, flags):
    with jax.enable_x64(True):
        twin = getattr(optax, name)(**numbers, **flags)
        theirs = [np.asarray(twin(int(s)), np.float64) for s in STEPS]
        np.testing.assert_allclose(ours(name, numbers, flags), theirs, rtol=1e-12, atol=1e-15)


@SOME
def test_a_literal_is_a_traced_number_bit_for_bit(name, numbers, flags):
    jit = functools.partial(jax.jit, compiler_options=DEFAULT_EFFORT)
    # steps are traced, as in a training: else XLA folds all of it, with the cosine of the host
    literal = jit(lambda steps: ours(name, numbers, flags, steps))(STEPS)
    traced = jit(lambda n, steps: ours(name, n, flags, steps))(as_arrays(numbers), STEPS)
    np.testing.assert_array_equal(literal, traced)
    assert literal.dtype == jnp.float32 and np.isfinite(literal).all()


@SOME
def test_every_argument_is_a_lane(name, numbers, flags):
    """One lane for each argument changed, and for each switch: as each alone."""
    rows = [numbers] + [{**numbers, k: v * 1.5 + 1} for k, v in numbers.items()]
    lanes = jax.tree.map(lambda *x: jnp.stack(x), *[as_arrays(row) for row in rows])
    together = jax.jit(jax.vmap(lambda row: ours(name, row, flags)))(lanes)
    for lane, row in zip(together, rows, strict=True):
        alone = jax.jit(lambda row: ours(name, row, flags))(as_arrays(row))
        np.testing.assert_allclose(lane, alone, rtol=1e-6, atol=1e-7)


def test_a_traced_staircase():
    numbers, steps = ROWS[1][1], jnp.asarray(STEPS)
    make = lambda flag: jax.vmap(schedules.exponential_decay(**numbers, staircase=flag))(steps)
    smooth, stairs = jax.jit(jax.vmap(make))(jnp.array([False, True]))
    np.testing.assert_allclose(smooth, make(False), rtol=1e-6)
    np.testing.assert_allclose(stairs, make(True), rtol=1e-6)
    assert np.abs(smooth - stairs).max() > 0.01


@pytest.mark.parametrize("name, numbers, flags", every(2, SMOOTH), ids=[row[0] for row in SMOOTH])
def test_slopes_are_finite_and_right(name, numbers, flags):
    """Against finite differences, the sum over all steps; whole-step knots have no slope."""
    with jax.enable_x64(True):
        total = jax.jit(lambda numbers: jnp.sum(ours(name, numbers, flags) ** 2))
        numbers = {k: jnp.float64(v) for k, v in numbers.items()}
        slopes = jax.grad(total)(numbers)
        assert all(np.isfinite(x) for x in slopes.values()), slopes
        for k in numbers.keys() - {"pct_start", "pct_final", "transition_begin"}:
            if "onecycle" in name and k == "transition_steps":
                continue
            if k in ("warmup_steps", "transition_steps", "decay_steps"):
                d = jnp.float64(1e-6)  # between whole steps nothing jumps
                base = {**numbers, k: numbers[k] + 0.37}
            else:
                d, base = jnp.float64(1e-6), numbers
            slope = jax.grad(total)(base)[k]
            up, down = (total({**base, k: base[k] + h}) for h in (d, -d))
            assert float(slope) == pytest.approx(float(up - down) / 2e-6, rel=1e-5, abs=1e-7), k


def test_piecewise_and_join_as_optax():
    with jax.enable_x64(True):
        jumps = {7: 0.5, 3: 0.2, 20: 3.0}
        twin = optax.piecewise_constant_schedule(0.3, jumps)
        mine = schedules.piecewise_constant_schedule(0.3, jumps)
        lists = schedules.piecewise_constant_schedule(
            0.3, boundaries=jnp.array([7, 3, 20]), scales=jnp.array([0.5, 0.2, 3.0])
        )
        for s in range(30):
            assert float(mine(s)) == pytest.approx(float(twin(s)), rel=1e-15)
            assert float(lists(s)) == pytest.approx(float(twin(s)), rel=1e-15)
        parts = [lambda s: 0.5 * s, lambda s: 1.0 + s, lambda s: 0.1 / (1.5 + s)]
        twin, mine = (make(parts, [4, 9]) for make in (optax.join_schedules, join))
        np.testing.assert_allclose([mine(s) for s in range(20)], [twin(s) for s in range(20)])


join = schedules.join_schedules


def test_boundaries_and_scales_are_lanes():
    def run(boundaries, scales, switch_at):
        steps = schedules.piecewise_constant_schedule(1.0, boundaries=boundaries, scales=scales)
        joined = join([steps, constant_schedule(7.0)], [switch_at])
        return jax.vmap(joined)(jnp.arange(12))

    lanes = jax.jit(jax.vmap(run))(
        jnp.array([[2, 5], [1, 3]]), jnp.array([[0.5, 0.5], [0.1, 2.0]]), jnp.array([8, 11])
    )
    first = [1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 7, 7, 7, 7]
    second = [1, 0.1, 0.1, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 7]
    np.testing.assert_allclose(lanes, [first, second], rtol=1e-6)


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: schedules.cosine_decay_schedule(0.1, 0), "decay_steps must be positive, not 0"),
        (lambda: schedules.warmup_cosine_decay_schedule(0, 1, 9, 9), "counts the warm-up too"),
        (lambda: schedules.linear_onecycle_schedule(-1, 1.0), "transition_steps must be positive"),
        (lambda: schedules.cosine_onecycle_schedule(0, 1.0), "transition_steps must be positive"),
        (lambda: inverse_time_decay(0.1, -0.5), "decay_rate must be at least 0, not -0.5"),
        (lambda: schedules.exponential_decay(0.1, 5, -0.5), "decay_rate must be at least 0"),
        (lambda: schedules.polynomial_schedule(0.1, 0.0, -1, 5), "power must be at least 0"),
        (lambda: schedules.cosine_decay_schedule(0.1, 5, exponent=-1), "exponent must be at least"),
        (
            lambda: schedules.warmup_cosine_decay_schedule(0, 1, 2, 9, exponent=np.nan),
            "exponent must be at least 0, not nan",
        ),
        (lambda: schedules.warmup_cosine_decay_schedule(0, 1, -2, 9), "warmup_steps must be at"),
        (lambda: schedules.warmup_constant_schedule(0, 1, -2), "warmup_steps must be at least 0"),
        (lambda: schedules.linear_onecycle_schedule(9, 1.0, div_factor=0), "div_factor must be"),
        (
            lambda: schedules.cosine_onecycle_schedule(9, 1.0, final_div_factor=0),
            "final_div_factor must be positive",
        ),
        (
            lambda: schedules.cosine_onecycle_schedule(9, 1.0, 1.5),
            "pct_start .* at most 1, not 1.5",
        ),
        (lambda: schedules.linear_onecycle_schedule(9, 1.0, 0.3, 85), "pct_final .* not 85"),
        (lambda: schedules.linear_onecycle_schedule(9, 1.0, 0.3, 0.2), "is before pct_start=0.3"),
        (lambda: schedules.piecewise_constant_schedule(1.0, {3: -1.0}), "-1.0 is negative"),
        (lambda: schedules.piecewise_constant_schedule(1.0, boundaries=[1], scales=[]), "0 scales"),
        (
            lambda: schedules.piecewise_constant_schedule(
                1.0, {1: 1.0}, boundaries=[1], scales=[1]
            ),
            "give either",
        ),
        (lambda: join([constant_schedule(1.0)], [3]), "need 0 boundaries, not 1"),
        (lambda: join([constant_schedule(1.0)] * 3, [3, 2]), "boundaries must rise"),
    ],
)
def test_what_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


ODD = {  # beside 0, values that a number must not have, and that make powers overflow
    "decay_rate": (-1.0, -0.5, 0.0, 1.0, 2.0),
    "power": (-1.0, 0.0, 0.5),
    "exponent": (-1.0, 0.0, 0.5),
    "pct_start": (-0.5, 0.0, 1.0, 1.5),
    "pct_final": (0.0, 1.0, 2.0),
    "div_factor": (-1.0, 0.0),
    "final_div_factor": (-1.0, 0.0),
    "peak_value": (0.0,),
    "alpha": (0.0, 2.0),
}


@pytest.mark.parametrize(
    "name", every(2, sorted({"inverse_time_decay", *(name for name, _, _ in ROWS)})), ids=str
)
def test_traced_nonsense_stays_finite(name):
    """A sweep may contain anything: no NaN, no infinity, no slope of either, however late."""
    row = {"init_value": 0.3, "decay_rate": 0.5}
    row = max((n for m, n, _ in ROWS if m == name), key=len, default=row)
    spans = (-3.0, 0.0, 1e-28, 1.0)  # float32 takes the square of 1e-28 for 0
    odd = {k: ODD.get(k, spans if k.endswith(("_steps", "_begin")) else ()) for k in row}
    rows = [row | {k: v} for k in row for v in odd[k]]
    rows += [{**row, k: v, m: w} for k in row for m in row for v in odd[k] for w in odd[m] if k < m]
    late = jnp.array([0, 1, 2, 5, 7, 12, 100, 10**6, 2**31 - 1], jnp.int32)

    def rates(numbers):
        made = getattr(schedules, name)(**numbers)
        return jax.vmap(made)(late)

    lanes = {k: jnp.array([float(row[k]) for row in rows], jnp.float32) for k in row}
    values, slopes = jax.jit(jax.vmap(lambda n: (rates(n), jax.jacrev(rates)(n))))(lanes)
    for i, numbers in enumerate(rows):
        assert np.isfinite(values[i]).all(), numbers
        assert all(np.isfinite(slope[i]).all() for slope in slopes.values()), numbers


def test_what_traced_nonsense_counts_as():
    """As the docstring says, against the same schedule with a number in range."""
    make = lambda name, **numbers: ours(name, {k: jnp.float32(v) for k, v in numbers.items()}, {})
    cycle = {"transition_steps": 30, "peak_value": 0.3}
    warm = {"init_value": 0.0, "peak_value": 0.3, "decay_steps": 20}
    fall = {"init_value": 0.3, "end_value": 0.1, "transition_steps": 9}
    for name, rest, odd, counts_as in [
        ("inverse_time_decay", {"init_value": 0.3}, {"decay_rate": -0.5}, {"decay_rate": 0}),
        ("polynomial_schedule", fall, {"power": -2}, {"power": 0}),
        ("warmup_cosine_decay_schedule", warm, {"warmup_steps": -4}, {"warmup_steps": 0}),
        ("cosine_onecycle_schedule", cycle, {"div_factor": -3}, {"div_factor": 1}),
        ("linear_onecycle_schedule", cycle, {"final_div_factor": 0}, {"final_div_factor": 1}),
        ("linear_onecycle_schedule", cycle, {"pct_final": 7}, {"pct_final": 1}),
        ("cosine_onecycle_schedule", cycle, {"pct_start": -1}, {"pct_start": 0}),
    ]:
        np.testing.assert_array_equal(make(name, **rest, **odd), make(name, **rest, **counts_as))
    held = make("exponential_decay", init_value=0.3, transition_steps=9, decay_rate=-0.5)
    np.testing.assert_array_equal(held, np.float32(0.3))
    far = schedules.exponential_decay(0.5, 1, 2.0)
    assert float(far(90)) == 0.5 * 2.0**90
    np.testing.assert_allclose(far(2000), 0.5e30, rtol=1e-4)


def test_a_decay_rate_of_0_has_its_whole_slope():
    """dη/dη_d = -η_0 s at η_d = 0, the edge of the range."""
    assert jax.grad(lambda d: inverse_time_decay(0.5, d)(4))(0.0) == -2.0


def test_a_warm_up_of_0_starts_at_the_peak():
    """Here optax 0.2.8 stays at init_value for good."""
    rate = schedules.warmup_constant_schedule(0.1, 0.3, 0)
    assert [float(rate(s)) for s in (0, 5)] == pytest.approx([0.3, 0.3])
    assert optax.warmup_constant_schedule(0.1, 0.3, 0)(5) == 0.1


@pytest.mark.parametrize("name", sorted(n for n in schedules.__all__ if hasattr(optax, n)))
def test_arguments_are_optax_s(name):
    """Names, order, kinds and defaults."""
    arguments = lambda module: [
        (p.name, p.kind, p.default)
        for p in inspect.signature(getattr(module, name)).parameters.values()
    ]
    more = ("boundaries", "scales") if name == "piecewise_constant_schedule" else ()
    assert [a for a in arguments(schedules) if a[0] not in more] == arguments(optax)


# torch 2.13: OneCycleLR(max_lr=0.1, total_steps=T, ...) in float64
ONE_CYCLES = [
    (
        {"transition_steps": 25},  # the peak is at step 6.5
        {0: 0.0040000000000000036, 3: 0.046214239347744504, 6: 0.0986052072364505}
        | {7: 0.09979871550490317, 12: 0.07754493889320883, 23: 0.0008039173559862364, 24: 4e-07},
    ),
    (
        {"transition_steps": 12, "anneal_strategy": "linear", "three_phase": True},
        {0: 0.004, 2: 0.07784615384615387, 3: 0.08523076923076922, 5: 0.011384615384615368}
        | {6: 0.0034482758620689655 + 55172413793103e-21, 10: 0.000689986206896552, 11: 4e-07},
    ),
    (
        {"transition_steps": 5, "pct_start": 1.0},  # nothing is left to fall
        {0: 0.0040000000000000036, 1: 0.018058874503045733, 3: 0.08594112549695429, 4: 0.1},
    ),
]


@pytest.mark.parametrize(("options", "rates"), ONE_CYCLES)
def test_one_cycle_as_torch_has_it(options, rates):
    with jax.enable_x64(True):
        ours = [torch_onecycle_schedule(peak_value=0.1, **options)(step) for step in rates]
        np.testing.assert_allclose(ours, list(rates.values()), rtol=1e-7, atol=1e-17)


def test_one_cycle_of_torch_where_torch_divides_by_zero():
    """T p = 1: torch raises at step 0, which is the peak."""
    rate = torch_onecycle_schedule(4, 1.0, 0.25)
    assert float(rate(0)) == 1 and np.isfinite([rate(step) for step in range(9)]).all()
    with pytest.raises(ValueError, match="unknown anneal_strategy 'cosine'; did you mean 'cos'"):
        torch_onecycle_schedule(4, 1.0, anneal_strategy="cosine")


AT = 20_000_001  # > 2**24, the first whole number that float32 lacks


@pytest.mark.parametrize("step", [jnp.int32, int])
def test_boundaries_beyond_what_float32_counts(step):
    halves = lambda rate: [float(rate(step(s))) for s in (AT - 1, AT)]
    assert halves(schedules.piecewise_constant_schedule(1.0, {AT: 0.5})) == [1, 0.5]
    assert halves(
        schedules.piecewise_constant_schedule(1.0, boundaries=jnp.array([AT]), scales=[0.5])
    ) == [1, 0.5]
    assert halves(
        schedules.exponential_decay(1.0, AT, 0.5, staircase=True),
    ) == [1, 0.5]
    assert halves(
        schedules.exponential_decay(1.0, AT - 7, 0.5, transition_begin=7, staircase=True),
    ) == [1, 0.5]
    assert halves(schedules.linear_schedule(1.0, 0.5, 1, transition_begin=AT - 1)) == [1, 0.5]
    late = schedules.exponential_decay(1.0, 1, 0.5, transition_begin=AT - 1)
    assert halves(late) == [1, 0.5]
    for never in (2**31 - 1, 2**40):
        assert halves(schedules.linear_schedule(1.0, 0.5, 1, transition_begin=never)) == [1, 1]
    joined = [constant_schedule(1.0), constant_schedule(0.5)]
    assert halves(schedules.join_schedules(joined, [AT])) == [1, 0.5]
    inner = schedules.piecewise_constant_schedule(1.0, {AT - 3: 0.5})
    assert halves(schedules.join_schedules([constant_schedule(1.0), inner], [3.0])) == [1, 0.5]
    keras = {"boundaries": [AT - 1], "values": [1.0, 0.5]}
    keras = {"class_name": "PiecewiseConstantDecay", "config": keras}
    assert halves(schedule_from_keras(keras)) == [1, 0.5]


@pytest.mark.parametrize("boundary", [np.inf, 3e9, 2**40])
def test_a_boundary_that_no_count_reaches(boundary):
    rate = schedules.piecewise_constant_schedule(1.0, {boundary: 0.5})
    assert float(rate(jnp.int32(2**31 - 1))) == 1 and float(rate(0)) == 1


@pytest.mark.parametrize("boundary", [1.5, jnp.float32(1.5), np.float64(1.5)])
def test_a_boundary_between_two_steps(boundary):
    rate = schedules.piecewise_constant_schedule(1.0, boundaries=[boundary], scales=[0.5])
    assert [float(rate(jnp.int32(s))) for s in (0, 1, 2)] == [1, 1, 0.5]
