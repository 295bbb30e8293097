"""Around another optimizer: ``lookahead`` with slow weights, ``sam`` with a second slope."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import pytest
from helpers import assert_trees_equal, deviation, optax_s_lookahead, quartic, start

import jaxopt_course as joc
from jaxopt_course import evaluation_params, hyperparameters, lookahead, sam
from jaxopt_course.base import apply_updates
from jaxopt_course.optimizers import adam, momentum, sgd

RATE = lambda s: 0.02 / (1 + 0.01 * s)
STEPS = 500


def path(tx, seen=lambda state, params: params, steps=STEPS, **extra):
    """What is seen after each step of a closed loop."""

    def step(carry, _):
        params, state = carry
        u, state = tx.update(jax.grad(quartic)(params), state, params, **extra)
        params = apply_updates(params, u)
        return (params, state), seen(state, params)

    return jax.lax.scan(step, (start(), tx.init(start())), length=steps)[1]


def by_hand(tx, gradients, w=0.0, **extra):
    w = jnp.asarray(w)
    state = tx.init(w)
    for g in gradients:
        u, state = tx.update(jnp.asarray(g), state, w, **extra)
        w = apply_updates(w, u)
    return w, state


# --- lookahead ---

INSIDE = [
    (lambda: (adam(RATE, eps=1e-3), optax.adam(RATE, eps=1e-3)), 5, 0.5, False),
    (lambda: (momentum(0.02), optax.sgd(0.02, 0.9)), 3, 0.8, True),
    (lambda: (sgd(RATE), optax.sgd(RATE)), 1, 0.3, False),
]


def test_500_steps_are_optax_s_fast_and_slow():
    """In float64; the slow weights are those that are evaluated, at a sync too."""

    def both(inside, *numbers):
        ours, theirs = inside()
        tx = lookahead(ours, *numbers)
        mine = path(tx, lambda state, p: (p, evaluation_params(tx, state, p)))
        return mine, path(optax_s_lookahead(theirs, *numbers), lambda state, p: (p, state[1]))

    with jax.enable_x64(True):
        for mine, theirs in jax.jit(lambda: [both(*row) for row in INSIDE])():
            assert deviation(mine, theirs) <= 1e-12


def test_the_paper_s_two_loops():
    """Algorithm 1 in NumPy: an outer loop of slow steps, an inner one of k fast ones."""
    k, alpha, eta = 4, 0.6, 0.05
    with jax.enable_x64(True):
        slope = jax.jit(jax.grad(quartic))
        slow = jax.tree.map(lambda x: np.asarray(x, np.float64), start())
        rows = []
        for _ in range(STEPS // k):
            fast, memory = slow, jax.tree.map(np.zeros_like, slow)  # its state is reset
            for _ in range(k):
                memory = jax.tree.map(lambda m, g: 0.9 * m + np.asarray(g), memory, slope(fast))
                fast = jax.tree.map(lambda w, m: w - eta * m, fast, memory)
            slow = jax.tree.map(lambda s, f: s + alpha * (f - s), slow, fast)
            rows.append(slow)
        tx = lookahead(momentum(eta), k, alpha, reset_state=True)
        both = jax.jit(lambda: path(tx, lambda state, p: (p, state.slow)))()
        expected = jax.tree.map(lambda *x: np.stack(x), *rows)
        for ours in both:  # at a sync both are the slow weights
            assert deviation(jax.tree.map(lambda x: x[k - 1 :: k], ours), expected) <= 1e-12


def test_slow_weights_by_hand():
    """Steps of -1: fast -1 -2 | -1 → -2 -3 | -2; slow stays between the syncs."""
    tx = lookahead(sgd(1.0), 2, 0.5)
    seen = []
    for n in range(1, 6):
        w, state = by_hand(tx, [1.0] * n)
        seen.append((float(w), float(evaluation_params(tx, state, w)), int(state.steps_since_sync)))
    assert seen == [(-1, 0, 1), (-1, -1, 0), (-2, -1, 1), (-2, -2, 0), (-3, -2, 1)]


@pytest.mark.parametrize("k", [1, 3])
def test_with_1_every_step_is_the_fast_optimizer_s_own(k):
    tx = lookahead(adam(0.1), k, 1.0)
    gradients = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
    w, state = by_hand(tx, gradients, jnp.ones(3))
    alone, _ = by_hand(adam(0.1), gradients, jnp.ones(3))
    np.testing.assert_array_equal(w, alone)
    if k == 1:
        np.testing.assert_array_equal(state.slow, w)


def test_with_0_it_goes_back_to_where_it_began():
    w, state = by_hand(lookahead(sgd(1.0), 3, 0.0), [1.0] * 6, 5.0)
    assert float(w) == float(state.slow) == 5.0


def test_a_lane_has_its_own_period():
    """Numbers traced under jit(vmap): one trace, each lane as it is alone."""
    traces = []

    def run(k, alpha, reset):
        traces.append(k)
        return path(lookahead(momentum(0.02), k, alpha, reset), steps=12)

    ks, alphas, resets = [1, 3, 5], [0.5, 0.25, 1.0], [True, True, False]
    lanes = jax.jit(jax.vmap(run))(jnp.array(ks), jnp.array(alphas), jnp.array(resets))
    assert len(traces) == 1
    for i, row in enumerate(zip(ks, alphas, resets, strict=True)):
        alone = path(lookahead(momentum(0.02), *row), steps=12)
        np.testing.assert_allclose(lanes["w"][i], alone["w"], rtol=2e-6)


def test_slow_weights_are_float32_and_steps_keep_their_dtype():
    w = jnp.ones(3, jnp.bfloat16)
    tx = lookahead(adam(0.1), 2)
    w, state = by_hand(tx, [w, w], w)
    assert w.dtype == "bfloat16" and state.slow.dtype == "float32"
    assert evaluation_params(tx, state, w).dtype == "bfloat16"


AROUND = {
    "chain": lambda tx: joc.chain(joc.clip(10.0), tx),
    "MultiSteps": lambda tx: optax.MultiSteps(tx, 1).gradient_transformation(),
    "partition_by_path": lambda tx: joc.partition_by_path({"*": tx}),
    "switch, traced": lambda tx: joc.switch(jnp.array(1), [adam(0.1), tx]),
}


@pytest.mark.parametrize("around", AROUND)
def test_slow_weights_are_found_inside_of(around):
    tx = AROUND[around](lookahead(sgd(1.0), 2, 0.5))
    w, state = by_hand(tx, [1.0, 1.0, 1.0])
    assert (float(w), float(evaluation_params(tx, state, w))) == (-2, -1)


def test_numbers_of_lookahead_are_read_back():
    tx = lookahead(adam(RATE), 3, 0.25)
    _, state = by_hand(tx, [1.0, 1.0])
    read = hyperparameters(tx, state)
    assert (read["sync_period"], read["slow_step_size"]) == (3, 0.25)
    assert read["learning_rate"] == RATE(2) and read["b1"] == 0.9


def test_bad_input_of_lookahead_is_named():
    for k in (0, -2, 0.5, 2.5, np.float32(2.5), float("nan")):  # a count would be cut to 2
        with pytest.raises(ValueError, match="sync_period must be a whole number of at least 1"):
            lookahead(sgd(0.1), k)
    with pytest.raises(ValueError, match="sync_period is more than 2,147,483,647, as far as"):
        lookahead(sgd(0.1), 2**31)
    for k in ("3", None, True):
        with pytest.raises(TypeError, match="sync_period must be a whole number of at least 1"):
            lookahead(sgd(0.1), k)
    for reset in ("yes", None):
        with pytest.raises(TypeError, match="a switch must be True or False"):
            lookahead(sgd(0.1), reset_state=reset)
    for alpha in (-0.1, 1.5):
        with pytest.raises(ValueError, match=r"in \[0, 1\]"):
            lookahead(sgd(0.1), 5, alpha)
    with pytest.raises(ValueError, match="lookahead needs the parameters"):
        lookahead(sgd(0.1)).update(1.0, lookahead(sgd(0.1)).init(1.0))
    tx = lookahead(joc.chain(sgd(0.1), joc.ema_params(0.9)))
    w, state = by_hand(tx, [1.0])
    with pytest.raises(ValueError, match="both say at which weights to evaluate the parameter: "):
        evaluation_params(tx, state, w)
    with pytest.raises(ValueError, match=r"\['b'\] has shape \(1,\)"):
        tx = lookahead(sgd(0.1))
        tx.update({"b": jnp.ones(1)}, tx.init({"b": jnp.ones(2)}), {"b": jnp.ones(2)})


# --- sam ---

SLOPE = jax.grad(quartic)


def batches(steps=STEPS):
    """What a batch adds to the slope: at rest g / ‖g‖ would turn rounding into direction."""
    rng = np.random.default_rng(3)
    return {"w": rng.normal(size=(steps, 2, 2)), "b": rng.normal(size=(steps, 2))}


def of_batches(tx, steps=STEPS):
    """A closed loop in which both gradients of a step are of its batch."""

    def step(carry, batch):
        params, state = carry
        slope = lambda p, *_: jax.tree.map(jnp.add, SLOPE(p), batch)
        u, state = tx.update(slope(params), state, params, grad_fn=slope)
        params = apply_updates(params, u)
        return (params, state), params

    return jax.lax.scan(step, (start(), tx.init(start())), batches(steps))[1]


@pytest.mark.parametrize("inside", [lambda o: o.adam(RATE, eps=1e-3), lambda o: o.sgd(0.02, 0.9)])
def test_500_steps_are_optax_s_opaque_mode(inside):
    adversary = lambda rho: optax.chain(optax.contrib.normalize(), optax.sgd(rho))
    with jax.enable_x64(True):

        def both(rho):
            theirs = optax.contrib.sam(inside(optax), adversary(rho), opaque_mode=True)
            return of_batches(sam(inside(joc), rho)), of_batches(theirs)

        ours, theirs = jax.jit(lambda: both(0.1))()
        assert deviation(ours, theirs) <= 1e-12


@pytest.mark.parametrize("adaptive", [False, True])
def test_500_steps_of_the_papers(adaptive):
    """Algorithm 1 in NumPy, the norm over all leaves; adaptive: T = |w|."""
    rho, eta = 0.1, 0.02
    with jax.enable_x64(True):
        slope = jax.jit(SLOPE)
        w = jax.tree.map(lambda x: np.asarray(x, np.float64), start())
        rows = []
        for batch in (jax.tree.map(lambda x, s=s: x[s], batches()) for s in range(STEPS)):
            g = jax.tree.map(lambda x, n: np.asarray(x) + n, slope(w), batch)
            t = {k: np.abs(w[k]) if adaptive else np.ones_like(w[k]) for k in w}
            norm = np.sqrt(sum(np.sum((t[k] * g[k]) ** 2) for k in w))
            worse = {k: w[k] + rho * t[k] ** 2 * g[k] / norm for k in w}
            w = jax.tree.map(lambda x, s, n: x - eta * (np.asarray(s) + n), w, slope(worse), batch)
            rows.append(w)
        expected = jax.tree.map(lambda *x: np.stack(x), *rows)
        run = jax.jit(lambda: of_batches(sam(sgd(eta), rho, adaptive=adaptive)))
        assert deviation(run(), expected) <= 1e-12


def test_of_0_nothing_is_left():
    """Of a distance of 0 plain descent; of a gradient of 0 no NaN; of a weight of 0 it stays."""
    run = lambda tx: path(tx, steps=5, grad_fn=SLOPE)
    assert_trees_equal(run(sam(sgd(0.1), 0.0)), run(optax.with_extra_args_support(sgd(0.1))))
    visited = []

    def slope(w):
        visited.append(w)
        return w

    tx, w = sam(sgd(1.0), 0.5, adaptive=True), jnp.array([0.0, 2.0])
    tx.update(jnp.array([3.0, 4.0]), tx.init(w), w, grad_fn=slope)
    tx.update(jnp.zeros(2), tx.init(w), w, grad_fn=slope)
    np.testing.assert_array_equal(visited, [[0.0, 3.0], [0.0, 2.0]])  # 2 + 0.5·4·4/8


@pytest.mark.long
def test_a_lane_has_its_own_distance():
    traces = []

    def run(rho, adaptive):
        traces.append(rho)
        return path(sam(adam(0.1), rho, adaptive=adaptive), steps=8, grad_fn=SLOPE)

    rows = [(0.0, False), (0.3, False), (0.3, True)]
    lanes = jax.jit(jax.vmap(run))(*map(jnp.array, zip(*rows, strict=True)))
    assert len(traces) == 1
    for i, (rho, adaptive) in enumerate(rows):
        alone = path(sam(adam(0.1), rho, adaptive=adaptive), steps=8, grad_fn=SLOPE)
        np.testing.assert_allclose(lanes["w"][i], alone["w"], rtol=1e-5)


def test_dtypes_of_sam_stay():
    seen = []

    def slope(w):
        seen.append(w.dtype)
        return w

    w = jnp.ones(3, jnp.bfloat16)
    u, _ = sam(adam(0.1), jnp.float32(0.1)).update(w, sam(adam(0.1)).init(w), w, grad_fn=slope)
    assert u.dtype == w.dtype == seen[0]


def test_numbers_of_sam_are_read_back_and_bad_input_is_named():
    tx = sam(adam(RATE), 0.2)
    _, state = by_hand(tx, [1.0, 1.0], grad_fn=lambda w: w)
    read = hyperparameters(tx, state)
    assert read["rho"] == 0.2 and read["learning_rate"] == RATE(2)
    with pytest.raises(ValueError, match=r"sam takes a second gradient: .*grad_fn=\.\.\."):
        tx.update(1.0, tx.init(1.0), 1.0)
    with pytest.raises(ValueError, match="rho must be at least 0"):
        sam(sgd(0.1), -1.0)
    with pytest.raises(TypeError, match="must be a number"):
        bad = sam(sgd(0.1), None)
        bad.update(1.0, bad.init(1.0), 1.0, grad_fn=lambda w: w)


# --- in a sweep ---


@functools.cache
def studied():
    """Both, bare and inside a chain, beside a recipe: one program for all."""
    rules = {
        "look": lambda h: lookahead(joc.momentum(h["lr"]), h["k"], 0.5),
        "sam": lambda h: sam(joc.sgd(h["lr"]), h["rho"]),
        "chained": lambda h: joc.chain(joc.clip(1.0), sam(joc.sgd(h["lr"]), h["rho"])),
    }
    trials = joc.grid(optimizer=list(rules), lr=[0.05])
    trials = trials.assign(k=[3, None, None], rho=[None, 0.3, 0.3]).convert_dtypes()
    more = joc.grid(optimizer=["sgd"], learning_rate=[0.05])
    trials = pd.concat([trials, more], ignore_index=True)
    return joc.sweep("line", trials, rules, steps=8, batch_size=5, progress=False, devices=DEVICE())


DEVICE = lambda: jax.devices()[:1]


@pytest.mark.long
def test_a_sweep_trains_them_as_fit_does():
    study = studied()
    fit = lambda tx: joc.fit(joc.load_task("line"), tx, steps=8, batch_size=5)
    for i, tx in enumerate(
        [
            lookahead(joc.momentum(0.05), 3, 0.5),
            sam(joc.sgd(0.05), 0.3),
            joc.chain(joc.clip(1.0), sam(joc.sgd(0.05), 0.3)),
            joc.sgd(0.05),
        ]
    ):
        alone = fit(tx).metrics["valid_loss"]
        assert study.trials["valid_loss"][i] == pytest.approx(alone, rel=1e-5, abs=1e-7)
    assert study.trials["valid_loss"].nunique() == 4


def test_a_sweep_evaluates_slow_weights_and_never_the_worse_ones():
    table = studied().trials.set_index("optimizer")
    raw, scored = table["valid_loss_raw"], table["valid_loss"]
    assert raw["look"] != scored["look"]  # step 8 is two after a sync
    assert (raw == scored)[["sam", "chained", "sgd"]].all()


def test_optax_s_pair_is_refused_with_ours_named():
    tx = optax.lookahead(optax.sgd(0.1), 2, 0.5)
    with pytest.raises(ValueError, match=r"take joc\.lookahead\(tx"):
        joc.sweep("line", joc.grid(lr=[0.1]), lambda h: tx, steps=2, batch_size=5, progress=False)
