"""A task from a Flax module, NNX or Linen, computes what the module's formulas say."""

import functools
import inspect

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from long_form import only

import jaxopt_course as joc
from jaxopt_course.problems.networks import MLP
from jaxopt_course.problems.tasks import Task

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3)).astype(np.float32)
LABELS = (X[:, 0] + X[:, 1] > 0).astype(np.int32)
BATCH = {"inputs": X[:8], "targets": LABELS[:8]}
KEY = jax.random.key(7)
# Sums of at most 64 float32 products, in another order than NumPy's float64.
CLOSE = {"rtol": 2e-5, "atol": 2e-6}


class NnxNet(nnx.Module):
    """Linear, BatchNorm, ReLU, Dropout, Linear; each piece can be left out."""

    def __init__(self, norm=True, drop=0.0, *, rngs):
        self.first = nnx.Linear(3, 5, rngs=rngs)
        self.norm = nnx.BatchNorm(5, momentum=0.9, rngs=rngs) if norm else None
        self.drop = nnx.Dropout(drop, rngs=rngs)
        self.last = nnx.Linear(5, 2, rngs=rngs)

    def __call__(self, x):
        x = self.first(x)
        x = self.norm(x) if self.norm else x
        return self.last(self.drop(nnx.relu(x)))


class LinenNet(nn.Module):
    """The same network in Linen, told by ``train`` what to do."""

    norm: bool = True
    drop: float = 0.0

    @nn.compact
    def __call__(self, x, train):
        x = nn.Dense(5, name="first")(x)
        if self.norm:
            x = nn.BatchNorm(use_running_average=not train, momentum=0.9, name="norm")(x)
        x = nn.Dropout(self.drop, deterministic=not train)(nn.relu(x))
        return nn.Dense(2, name="last")(x)


def build(kind, **pieces):
    net = functools.partial(NnxNet, **pieces) if kind == "nnx" else LinenNet(**pieces)
    return Task.from_flax(net, X, LABELS, loss="softmax_cross_entropy")


def averages(kind, state):
    """Mean and variance of the one BatchNorm in the model's state."""
    norm = state["norm"] if kind == "nnx" else state["batch_stats"]["norm"]
    return np.asarray(norm["mean"]), np.asarray(norm["var"])


def numpy_loss(params, x, labels, mean=None, var=None):
    """The network and its cross-entropy in float64; normalised where a mean is given."""
    p = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    h = x @ p["first"]["kernel"] + p["first"]["bias"]
    if mean is not None:
        h = (h - mean) / np.sqrt(var + 1e-5) * p["norm"]["scale"] + p["norm"]["bias"]
    z = np.maximum(h, 0) @ p["last"]["kernel"] + p["last"]["bias"]
    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    return -log_p[np.arange(len(x)), labels].mean(), (z.argmax(axis=1) == labels).mean()


KINDS = pytest.mark.parametrize("kind", ["nnx", "linen"])
ONE = pytest.mark.parametrize("kind", only(["nnx"], ["nnx", "linen"]))


@KINDS
def test_loss_and_evaluation_are_the_formulas(kind):
    task = build(kind, norm=False)
    params, state = jax.jit(task.init)(KEY)
    assert jax.tree.leaves(state) == []
    loss, (_, metrics) = jax.jit(task.loss)(params, state, BATCH, KEY)
    np.testing.assert_allclose(loss, numpy_loss(params, X[:8], LABELS[:8])[0], **CLOSE)
    assert metrics == {}
    measured = jax.jit(task.evaluate)(params, state, task.valid)
    want = numpy_loss(params, task.valid["inputs"], task.valid["targets"])
    np.testing.assert_allclose((measured["loss"], measured["accuracy"]), want, **CLOSE)


@ONE
def test_parameters_are_plain_dicts_and_lie_on_the_key(kind):
    task = build(kind)
    params, state = jax.jit(task.init)(KEY)
    for tree in (params, state):
        for path, leaf in jax.tree.leaves_with_path(tree):
            assert all(isinstance(step, jax.tree_util.DictKey) for step in path)
            assert leaf.dtype == jnp.float32
            assert not leaf.weak_type
    same, _ = jax.jit(task.init)(KEY)
    jax.tree.map(np.testing.assert_array_equal, params, same)
    other, _ = task.init(jax.random.key(8))
    assert not np.array_equal(params["first"]["kernel"], other["first"]["kernel"])


@KINDS
def test_batch_norm_uses_the_batch_in_training_and_the_averages_in_evaluation(kind):
    task = build(kind)
    params, state = jax.jit(task.init)(KEY)
    h = X[:8] @ np.asarray(params["first"]["kernel"], np.float64)  # the bias starts at zero
    loss, (moved, _) = jax.jit(task.loss)(params, state, BATCH, KEY)
    want, _ = numpy_loss(params, X[:8], LABELS[:8], h.mean(axis=0), h.var(axis=0))
    np.testing.assert_allclose(loss, want, **CLOSE)
    mean, var = averages(kind, moved)
    np.testing.assert_allclose(mean, 0.1 * h.mean(axis=0), **CLOSE)  # momentum 0.9 from 0
    np.testing.assert_allclose(var, 0.9 + 0.1 * h.var(axis=0), **CLOSE)  # and from 1
    measured = jax.jit(task.evaluate)(params, moved, BATCH)
    want = numpy_loss(params, X[:8], LABELS[:8], mean, var)
    np.testing.assert_allclose((measured["loss"], measured["accuracy"]), want, **CLOSE)


@ONE
def test_dropout_draws_from_the_key_alone_and_not_in_evaluation(kind):
    task = build(kind, norm=False, drop=0.5)
    params, state = jax.jit(task.init)(KEY)
    loss = jax.jit(lambda key: task.loss(params, state, BATCH, key)[0])
    by_key = [float(loss(jax.random.key(seed))) for seed in range(5)]
    assert len(set(by_key)) == 5
    assert by_key[3] == loss(jax.random.key(3))
    plain = numpy_loss(params, X[:8], LABELS[:8])[0]
    np.testing.assert_allclose(jax.jit(task.evaluate)(params, state, BATCH)["loss"], plain, **CLOSE)


@KINDS
def test_two_dropout_layers_use_two_masks(kind):
    class NnxTwo(nnx.Module):
        def __init__(self, *, rngs):
            self.one, self.two = nnx.Dropout(0.5, rngs=rngs), nnx.Dropout(0.5, rngs=rngs)

        def __call__(self, x):
            return self.one(x) - self.two(x)

    class LinenTwo(nn.Module):
        @nn.compact
        def __call__(self, x, deterministic):
            one = nn.Dropout(0.5, deterministic=deterministic)
            two = nn.Dropout(0.5, deterministic=deterministic)
            return one(x) - two(x)

    ones = np.ones((200, 3), np.float32)
    module = NnxTwo if kind == "nnx" else LinenTwo()
    task = Task.from_flax(module, ones, np.zeros_like(ones), loss="squared_error")
    params, state = jax.jit(task.init)(KEY)
    # Kept units are doubled, so the difference is 0 or ±2 by halves: a mean square of 2.
    loss, _ = jax.jit(task.loss)(params, state, task.train, KEY)
    np.testing.assert_allclose(loss, 2.0, atol=0.5)  # 360 draws: deviation 0.1
    assert jax.jit(task.evaluate)(params, state, task.valid)["loss"] == 0


@ONE
def test_a_step_inside_jit_vmap_scan_is_the_step_outside(kind):
    task = build(kind, drop=0.2)
    # Not Adam: the bias before BatchNorm has no slope but rounding, which Adam would scale to 1.
    tx = optax.sgd(0.1, momentum=0.9)

    @jax.jit
    def step(carry, key):
        params, state, opt = carry
        slope = jax.value_and_grad(task.loss, has_aux=True)
        (loss, (state, _)), g = slope(params, state, BATCH, key)
        u, opt = tx.update(g, opt, params)
        return (optax.apply_updates(params, u), state, opt), loss

    def start(seed):
        params, state = task.init(jax.random.key(seed))
        return params, state, tx.init(params)

    def trial(seed):
        keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(seed), jnp.arange(4))
        return jax.lax.scan(step, start(seed), keys)

    # Rounding over four steps; averages of centred activations may pass through zero.
    close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)
    (_, states, _), losses = jax.jit(jax.vmap(trial))(jnp.arange(2))
    for lane in range(2):
        carry = jax.jit(start)(lane)
        for t in range(4):
            carry, loss = step(carry, jax.random.fold_in(jax.random.key(lane), t))
            close(losses[lane, t], loss)
        final = jax.tree.map(lambda many, i=lane: many[i], states)
        jax.tree.map(close, final, carry[1])


@ONE
def test_the_gradient_reaches_every_parameter(kind):
    task = build(kind)
    params, state = jax.jit(task.init)(KEY)
    g, _ = jax.jit(jax.grad(task.loss, has_aux=True))(params, state, BATCH, KEY)
    # BatchNorm takes off the mean, so the bias before it has no slope; all others have.
    zero = [
        jax.tree_util.keystr(path)
        for path, leaf in jax.tree.leaves_with_path(g)
        if abs(leaf).max() < 1e-6
    ]
    assert zero == ["['first']['bias']"]


@pytest.mark.parametrize(
    ("word", "training"),
    [
        ("train", True),
        ("training", True),
        ("is_training", True),
        ("deterministic", False),
        ("use_running_average", False),
    ],
)
@KINDS
def test_the_module_is_told_that_it_trains_in_its_own_word(kind, word, training):
    heard = []

    def call(self, x, **told):
        heard.append(told)
        return x

    named = [inspect.Parameter(name, 1) for name in ("self", "x", word)]
    call.__signature__ = inspect.Signature(named)
    if kind == "nnx":
        told = {"__init__": lambda self, rngs: None, "__call__": call}
        module = type("Told", (nnx.Module,), told)
    else:
        module = type("Told", (nn.Module,), {"__call__": nn.compact(call)})()
    task = Task.from_flax(module, X, X, loss="squared_error")
    heard.clear()
    task.loss({}, {}, {"inputs": X[:8], "targets": X[:8]}, KEY)
    assert heard == [{word: training}]
    heard.clear()
    task.evaluate({}, {}, task.valid)
    assert heard == [{word: not training}]


# Flax will want sown values captured; until it does, they must not break a trial.
@pytest.mark.filterwarnings("ignore:Using 'Module.sow:DeprecationWarning")
def test_what_a_module_sows_does_not_enter_the_state():
    class Sowing(nnx.Module):
        def __init__(self, *, rngs):
            self.last = nnx.Linear(3, 2, rngs=rngs)

        def __call__(self, x):
            self.sow(nnx.Intermediate, "seen", x)
            return self.last(x)

    task = Task.from_flax(Sowing, X, LABELS, loss="softmax_cross_entropy")
    params, state = jax.jit(task.init)(KEY)
    assert task.loss(params, state, BATCH, KEY)[1] == ({}, {})


def test_a_weakly_typed_start_becomes_strong():
    class Scale(nnx.Module):
        def __init__(self, *, rngs):
            self.scale = nnx.Param(jnp.asarray(2.0))  # weak, as any Python number

        def __call__(self, x):
            return self.scale[...] * x

    assert Scale(rngs=None).scale[...].weak_type
    task = Task.from_flax(Scale, X, X, loss="squared_error")
    assert not task.init(KEY)[0]["scale"].weak_type
    assert not jax.eval_shape(task.init, KEY)[0]["scale"].weak_type


class Shift(nnx.Module):
    def __init__(self):
        self.by = jnp.arange(3.0)[None]

    def __call__(self, x):
        return x + self.by


class PlainArrays(nnx.Module):
    """Arrays that are no Variable: made by NumPy, by JAX, drawn, in a list, nested, and moving."""

    def __init__(self, *, rngs):
        self.ones = np.ones((1, 3))
        self.k = jnp.full((1, 3), 2.0)
        self.drawn = jax.random.normal(rngs.params(), (1, 3))
        self.listed = nnx.List([jnp.ones((1, 3)), Shift()])
        self.named = nnx.data({"a": jnp.ones((1, 3))})
        self.calls = jnp.zeros((), jnp.int32)
        self.last = nnx.Linear(3, 2, rngs=rngs)

    def __call__(self, x):
        self.calls = self.calls + 1
        x = x * self.k * self.drawn + self.ones + self.listed[0] + self.named["a"]
        return self.last(self.listed[1](x))


class PlainArraysNoPytree(nnx.Module, pytree=False):
    def __init__(self, *, rngs):
        self.k = jnp.full((1, 3), 2.0)
        self.last = nnx.Linear(3, 2, rngs=rngs)

    def __call__(self, x):
        return self.last(x * self.k)


def short_sweep(task):
    settings = {"epochs": 2, "batch_size": 8, "progress": False, "devices": jax.devices()[:1]}
    return joc.sweep(task, joc.grid(learning_rate=[0.01, 0.1]), "adam", **settings)


def test_plain_arrays_are_model_state():
    task = Task.from_flax(PlainArrays, X, LABELS, loss="softmax_cross_entropy")
    params, state = jax.jit(task.init)(KEY)
    assert set(params) == {"last"}
    np.testing.assert_array_equal(state["k"], [[2, 2, 2]])
    x = X[:8] * 2 * np.asarray(state["drawn"], np.float64) + 3 + np.arange(3)
    want, _ = numpy_head(params, x, LABELS[:8])
    loss, (moved, _) = jax.jit(task.loss)(params, state, BATCH, KEY)
    np.testing.assert_allclose(loss, want, **CLOSE)
    assert moved["calls"] == 1
    other = jax.jit(task.init)(jax.random.key(8))[1]
    assert not np.array_equal(state["drawn"], other["drawn"])


def numpy_head(params, x, labels):
    """Softmax cross-entropy of one linear layer in float64."""
    last = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params["last"])
    z = x @ last["kernel"] + last["bias"]
    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    return -log_p[np.arange(len(x)), labels].mean(), log_p


@pytest.mark.long
@pytest.mark.parametrize("module", only([PlainArrays], [PlainArrays, PlainArraysNoPytree]))
def test_plain_arrays_go_through_a_sweep(module):
    task = Task.from_flax(module, X, LABELS, loss="softmax_cross_entropy")
    assert set(short_sweep(task).trials["status"]) == {"finished"}


def test_an_array_hidden_in_an_object_is_refused():
    class Holder:
        def __init__(self, k):
            self.k = k

    class Hiding(nnx.Module):
        def __init__(self, *, rngs):
            self.held = Holder(jnp.ones((1, 3)))
            self.last = nnx.Linear(3, 2, rngs=rngs)

        def __call__(self, x):
            return self.last(x * self.held.k)

    with pytest.raises(ValueError, match=r"traced elsewhere.* wrap it in nnx\.Variable"):
        Task.from_flax(Hiding, X, LABELS, loss="softmax_cross_entropy")


@pytest.mark.long
@pytest.mark.parametrize(
    "kind, dtype",
    only(
        [("linen", jnp.float16)],
        [
            ("nnx", jnp.bfloat16),
            ("linen", jnp.float16),
            ("nnx", jnp.float16),
            ("linen", jnp.bfloat16),
        ],
    ),
)
def test_half_precision_networks_have_float32_losses(kind, dtype):
    half = {"dtype": dtype, "param_dtype": dtype}
    module = nn.Dense(2, **half)
    if kind == "nnx":
        module = functools.partial(nnx.Linear, 3, 2, **half)
    task = Task.from_flax(module, X, LABELS, loss="softmax_cross_entropy")
    params, state = jax.jit(task.init)(KEY)
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype(dtype)}
    loss, _ = jax.jit(task.loss)(params, state, BATCH, KEY)
    assert loss.dtype == jnp.float32
    network = nnx.Linear(3, 2, rngs=nnx.Rngs(0), **half)
    network.kernel[...], network.bias[...] = params["kernel"], params["bias"]
    z = np.asarray(network(X[:8]), np.float64)  # rounded to half, as the outputs are
    want = (np.log(np.exp(z).sum(axis=1)) - z[np.arange(8), LABELS[:8]]).mean()
    # Products may be fused before they are rounded: a unit in the last place of an output.
    np.testing.assert_allclose(loss, want, rtol=jnp.finfo(dtype).eps)
    measured = jax.jit(task.evaluate)(params, state, task.valid)
    assert {value.dtype for value in measured.values()} == {jnp.dtype("float32")}
    assert set(short_sweep(task).trials["status"]) == {"finished"}


def test_a_network_of_two_outputs_is_refused_by_a_named_loss():
    class Two(nnx.Module):
        def __init__(self, *, rngs):
            self.last = nnx.Linear(3, 2, rngs=rngs)

        def __call__(self, x):
            return self.last(x), x

    with pytest.raises(TypeError, match=r"must return one array, and returns \(float32 \(24, 2\),"):
        Task.from_flax(Two, X, LABELS, loss="softmax_cross_entropy")


def test_tied_weights_are_one_parameter():
    class Tied(nnx.Module):
        def __init__(self, *, rngs):
            self.one = nnx.Linear(3, 3, use_bias=False, rngs=rngs)
            self.two = self.one

        def __call__(self, x):
            return self.two(self.one(x))

    task = Task.from_flax(Tied, X, X, loss="squared_error")
    params, state = jax.jit(task.init)(KEY)
    assert len(jax.tree.leaves(params)) == 1
    w = np.asarray(jax.tree.leaves(params)[0], np.float64)
    want = ((X[:8] @ w @ w - X[:8]) ** 2).mean()
    loss, _ = jax.jit(task.loss)(params, state, {"inputs": X[:8], "targets": X[:8]}, KEY)
    np.testing.assert_allclose(loss, want, **CLOSE)


def test_mlp_is_matmul_bias_relu_and_nothing_else():
    net = MLP(4, 6, 5, 2, rngs=nnx.Rngs(0))
    jaxpr = jax.make_jaxpr(net)(jnp.ones((3, 4)))
    names = [eqn.primitive.name for eqn in jaxpr.eqns]
    assert names.count("dot_general") == names.count("add") == 3
    assert names.count("custom_jvp_call") == 2  # relu
    assert set(names) == {"dot_general", "add", "reshape", "custom_jvp_call"}


def test_mlp_starts_lecun_normal_with_zero_biases():
    layer = MLP(400, 300, 1, rngs=nnx.Rngs(0)).layers[0]
    # 120,000 draws: the deviation of the estimate is 0.2% of the value.
    np.testing.assert_allclose(layer.kernel[...].std(), 1 / np.sqrt(400), rtol=0.01)
    assert not layer.bias[...].any()


@pytest.mark.parametrize("sizes", [(), (3,), (3, 0, 1)])
def test_mlp_refuses_sizes(sizes):
    with pytest.raises(ValueError, match="two or more sizes"):
        MLP(*sizes, rngs=nnx.Rngs(0))


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (MLP(3, 2, rngs=nnx.Rngs(0)), r"pass its constructor, lambda rngs: MLP\("),
        (LinenNet, "module instance or a function of rngs"),
        ("mlp", "not 'mlp'"),
        (lambda rngs: 3, "did not make a flax.nnx module"),
    ],
)
def test_modules_that_are_none(module, message):
    with pytest.raises(TypeError, match=message):
        Task.from_flax(module, X, LABELS, loss="softmax_cross_entropy")
