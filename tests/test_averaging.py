"""Averages of the weights against the frameworks' formulas, written out in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from long_form import every

import jaxopt_course as joc
from jaxopt_course.base import Decay
from jaxopt_course.tables.around import wrapped

STEPS = 60


def weights_of(steps=STEPS, seed=0):
    """Weights after each step (steps + 1, 3), float64; the first are those before training."""
    return np.cumsum(np.random.default_rng(seed).normal(size=(steps + 1, 3)), axis=0)


def scanned(tx, path):
    """What is to be evaluated after each step that leads along ``path``."""

    def step(carry, new):
        params, state = carry
        u, state = tx.update({"w": new - params["w"]}, state, params)
        params = joc.apply_updates(params, u)
        return (params, state), joc.evaluation_params(tx, state, params)["w"]

    start = {"w": jnp.asarray(path[0])}
    return jax.lax.scan(step, (start, tx.init(start)), jnp.asarray(path[1:]))[1]


def averages(tx, path):
    return np.asarray(jax.jit(lambda: scanned(tx, path))())


def torch_ema(path, decay):
    """``swa_utils``: the first call copies, the others lerp."""
    found, average = [], None
    for w in path[1:]:
        average = w if average is None else average + (1 - decay) * (w - average)
        found.append(average)
    return np.array(found)


def keras_ema(path, decay):
    """``use_ema``: the momentum is 0 at the first step."""
    found, average = [], np.zeros(3)
    for i, w in enumerate(path[1:]):
        momentum = decay * (i != 0)
        average = momentum * average + (1 - momentum) * w
        found.append(average)
    return np.array(found)


def timm_ema(path, decay, gamma=1.0, power=2 / 3, after=0, warmup=True):
    """``ModelEmaV3.update(model, step)``."""
    found, average = [], path[0]
    for step, w in enumerate(path[1:], 1):
        s = max(0, step - after - 1)
        if s <= 0:
            d = 0.0
        elif warmup:
            d = max(min(1 - (1 + s / gamma) ** -power, decay), 0.0)
        else:
            d = decay
        average = average + (1 - d) * (w - average)
        found.append(average)
    return np.array(found)


def optax_ema(path, decay):
    """A mean that starts at 0, divided by 1 - decay^t."""
    found, average = [], np.zeros(3)
    for t, w in enumerate(path[1:], 1):
        average = decay * average + (1 - decay) * w
        found.append(average / (1 - decay**t))
    return np.array(found)


def swa(path, after, every):
    """``AveragedModel`` without ``avg_fn``, updated at some steps."""
    found, average, n = [], path[0], 0
    for t, w in enumerate(path[1:], 1):
        if t <= after:
            average = w
        elif (t - 1 - after) % every == 0:
            average = w if n == 0 else average + (w - average) / (n + 1)
            n += 1
        found.append(average)
    return np.array(found)


CASES = {
    "torch": (lambda b: joc.ema_params(b), lambda p, b: torch_ema(p, b)),
    "keras": (lambda b: joc.ema_params(b, like="keras"), lambda p, b: keras_ema(p, b)),
    "timm": (
        lambda b: joc.ema_params(b, like="timm", warmup=True),
        lambda p, b: timm_ema(p, b),
    ),
    "timm, its numbers": (
        lambda b: joc.ema_params(
            b, like="timm", warmup=True, warmup_gamma=3.0, warmup_power=0.75, after=7
        ),
        lambda p, b: timm_ema(p, b, 3.0, 0.75, 7),
    ),
    "timm, after": (
        lambda b: joc.ema_params(b, like="timm", after=11),
        lambda p, b: timm_ema(p, b, after=11, warmup=False),
    ),
    "optax": (lambda b: joc.ema_params(b, like="optax"), lambda p, b: optax_ema(p, b)),
}


@pytest.mark.parametrize("name", every(2, CASES))
def test_the_frameworks_formulas_in_float64(name):
    ours, theirs = CASES[name]
    path = weights_of()
    with jax.enable_x64(True):
        for decay in (0.0, 0.3, 0.9, 0.999):
            np.testing.assert_allclose(
                averages(ours(decay), path), theirs(path, decay), rtol=0, atol=1e-12
            )


@pytest.mark.parametrize(("after", "every"), [(0, 1), (5, 1), (10, 7)])
def test_stochastic_weight_averaging_in_float64(after, every):
    path = weights_of()
    with jax.enable_x64(True):
        now = averages(joc.swa_params(after, every), path)
    np.testing.assert_allclose(now, swa(path, after, every), rtol=0, atol=1e-12)


@pytest.mark.parametrize("like", ["torch", "keras", "timm", "optax"])
def test_a_decay_of_0_gives_the_weights_bit_for_bit(like):
    path = weights_of().astype(np.float32)
    tx = joc.ema_params(0.0, like=like, warmup=like == "timm")

    def step(carry, g):
        params, state = carry
        u, state = tx.update(g, state, params)
        params = joc.apply_updates(params, u)
        return (params, state), (params, joc.evaluation_params(tx, state, params))

    start = jnp.asarray(path[0])
    _, (raw, found) = jax.lax.scan(step, (start, tx.init(start)), jnp.asarray(path[1:]))
    np.testing.assert_array_equal(raw, found)


def test_every_number_may_be_traced_and_a_pair_keeps_its_digits():
    path = weights_of().astype(np.float32)

    def of(decay, warmup, gamma, power, after):
        more = {"warmup": warmup, "warmup_gamma": gamma, "warmup_power": power, "after": after}
        return scanned(joc.ema_params(decay, like="timm", **more), path)

    literal = jax.jit(lambda: of(0.999, True, 2.0, 0.8, 3))()
    pair = Decay(jnp.float32(0.999), jnp.float32(1 - 0.999))
    numbers = pair, jnp.array(True), jnp.float32(2), jnp.float32(0.8), jnp.int32(3)
    np.testing.assert_array_equal(literal, jax.jit(of)(*numbers))
    lanes = jax.jit(jax.vmap(lambda after, every: scanned(joc.swa_params(after, every), path)))(
        jnp.array([0, 10]), jnp.array([1, 7])
    )
    for found, (after, period) in zip(np.asarray(lanes), [(0, 1), (10, 7)], strict=True):
        np.testing.assert_allclose(found, swa(path, after, period), rtol=2e-5, atol=1e-5)


def test_updates_pass_and_the_average_is_at_least_float32():
    tx = optax.chain(optax.sgd(0.1), joc.ema_params(0.999))
    params = {"w": jnp.ones(2, jnp.bfloat16)}
    state = tx.init(params)
    u, state = tx.update({"w": jnp.ones(2, jnp.bfloat16)}, state, params)
    plain, _ = optax.sgd(0.1).update({"w": jnp.ones(2, jnp.bfloat16)}, optax.sgd(0.1).init(params))
    np.testing.assert_array_equal(u["w"], plain["w"])
    assert state[1].average["w"].dtype == jnp.float32
    said = joc.evaluation_params(tx, state, params)
    assert said["w"].dtype == jnp.bfloat16


def test_its_numbers_are_read_back():
    tx = joc.chain(joc.sgd(0.1), joc.ema_params(0.9, after=3))
    found = joc.hyperparameters(tx, tx.init(jnp.zeros(2)))
    assert found["decay"] == 0.9 and found["after"] == 3 and found["learning_rate"] == 0.1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: joc.ema_params(0.9, like="swa"), "like= is one of torch, keras, timm, optax"),
        (lambda: joc.ema_params(1.5), r"must be in \[0, 1\], not 1.5"),
        (lambda: joc.ema_params(0.9, like="optax", warmup=True), "warmup= is timm's"),
        (lambda: joc.swa_params(0, 0), "every must be a whole number of at least 1, not 0"),
        (lambda: joc.swa_params(0, 2.5), "every must be a whole number of at least 1, not 2.5"),
        (lambda: joc.swa_params(1.5), "after must be a whole number of at least 0, not 1.5"),
        (lambda: joc.ema_params(0.9, after=-1), "after must be a whole number of at least 0"),
        (lambda: joc.ema_params(0.9).init({"n": jnp.arange(3)}), r"\['n'\] is int32"),
        (
            lambda: joc.ema_params(0.9).update(jnp.ones(2), joc.ema_params(0.9).init(jnp.ones(2))),
            "needs them: update",
        ),
    ],
)
def test_bad_input_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.live
@pytest.mark.parametrize("decay", [0.0, 0.9, 0.999])
def test_torch_keeps_these_averages(decay):
    import torch
    from torch.optim import swa_utils

    path = weights_of()
    model = torch.nn.Module()
    model.w = torch.nn.Parameter(torch.tensor(path[0]))
    ema = swa_utils.AveragedModel(model, multi_avg_fn=swa_utils.get_ema_multi_avg_fn(decay))
    mean = swa_utils.AveragedModel(model)
    for t, now in enumerate(path[1:]):
        with torch.no_grad():
            model.w.copy_(torch.tensor(now))
        ema.update_parameters(model)
        np.testing.assert_allclose(
            ema.module.w.detach().numpy(), torch_ema(path, decay)[t], rtol=0, atol=1e-12
        )
        if t >= 10 and (t - 10) % 7 == 0:
            mean.update_parameters(model)
            expected = swa(path, 10, 7)[t]
            np.testing.assert_allclose(mean.module.w.detach().numpy(), expected, atol=1e-12)


@pytest.mark.live
@pytest.mark.parametrize("decay", [0.0, 0.9, 0.999])
def test_keras_keeps_these_averages(decay):
    import keras

    w = keras.Variable(np.zeros(3), dtype="float32")
    sgd = keras.optimizers.SGD(1.0, use_ema=True, ema_momentum=decay)
    path, found = [np.zeros(3, np.float32)], []
    for g in np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32):
        sgd.apply([keras.ops.convert_to_tensor(g)], [w])
        path.append(np.asarray(w.value))
        found.append(np.asarray(sgd._model_variables_moving_average[0].value))
    np.testing.assert_allclose(found, keras_ema(path, decay), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("which", ["ema_decay", "ema_half_life", "ema_half_life_epochs"])
def test_of_the_columns_that_say_a_mean_the_one_that_is_not_0_counts(which):
    """A table may say it in several, a row in one."""
    columns = ("ema_decay", "ema_half_life", "ema_half_life_epochs")
    row = {name: Decay(0.75, 0.25) if name == which else Decay(0.0, 1.0) for name in columns}
    found = averages(wrapped(joc.scale(1.0), row, columns), weights_of())
    np.testing.assert_allclose(found, averages(joc.ema_params(0.75), weights_of()), rtol=1e-6)
