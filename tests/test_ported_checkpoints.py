"""Checkpoints as people have them: some leaves frozen for a while, classes without a recipe here,
and what no framework would have written."""

import copy
import io
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_course as joc
from jaxopt_course.conventions.arrays import array

PARAMS = {"a": jnp.array([1.0, -2.0]), "b": jnp.array([0.5, 3.0, 4.0])}
GROUP = {"lr": 0.1, "betas": [0.9, 0.99], "eps": 1e-8, "weight_decay": 0.0, "amsgrad": False}
GROUP |= {"maximize": False, "decoupled_weight_decay": False, "params": [0, 1]}


def saved(steps=(3, 7), **options):
    memory = lambda n, t: {"step": t, "exp_avg": np.ones(n), "exp_avg_sq": np.full(n, 4.0)}
    entries = {i: memory(n, float(t)) for i, (n, t) in enumerate(zip((2, 3), steps, strict=True))}
    return {"state": entries, "param_groups": [GROUP | options]}


def adam_step(t):
    """The update at t, with g = 1 after m = 1 and v = 4."""
    m, v = 1.0, 0.99 * 4 + 0.01
    return -0.1 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.99**t)) + 1e-8)


def test_a_leaf_that_was_frozen_for_a_while_goes_on_from_its_own_step():
    ones = jax.tree.map(jnp.ones_like, PARAMS)
    with pytest.raises(ValueError, match=r"frozen \(requires_grad=False\) for a.*frozen=\['a"):
        joc.from_torch(saved(), PARAMS)
    tx, state = joc.from_torch(saved(), PARAMS, frozen=[])
    u, _ = tx.update(ones, state, PARAMS)
    np.testing.assert_allclose(u["a"], adam_step(4), rtol=1e-6)
    np.testing.assert_allclose(u["b"], adam_step(8), rtol=1e-6)
    tx, state = joc.from_torch(saved(), PARAMS, frozen=["a"])
    u, _ = tx.update(ones, state, PARAMS)
    assert not np.any(u["a"])
    np.testing.assert_allclose(u["b"], adam_step(8), rtol=1e-6)


def test_a_schedule_counts_the_updates_of_all_whatever_a_leaf_did():
    rate = lambda step: 0.1 * (step + 1)  # 0.8 after 7 updates
    tx, state = joc.from_torch(saved(), PARAMS, frozen=[], learning_rate=rate)
    u, _ = tx.update(jax.tree.map(jnp.ones_like, PARAMS), state, PARAMS)
    np.testing.assert_allclose(u["a"], 8 * adam_step(4), rtol=1e-6)
    np.testing.assert_allclose(u["b"], 8 * adam_step(8), rtol=1e-6)


@pytest.mark.parametrize("name", ["lr", "eps", "weight_decay"])
def test_what_torch_s_constructors_refuse_is_refused(name):
    with pytest.raises(ValueError, match=f"{name}=-1.0, and torch refuses one below 0"):
        joc.from_torch(saved((3, 3), **{name: -1.0}), PARAMS)


def test_a_memory_that_the_class_does_not_keep_is_another_optimizer_s():
    state = saved((3, 3))
    state["state"][1]["previous_grad"] = np.zeros(3)
    with pytest.raises(ValueError, match="b has 'previous_grad', which torch's Adam does not keep"):
        joc.from_torch(state, PARAMS)
    state["state"][1]["previous_grad"] = None  # as torch leaves behind what it does not use
    joc.from_torch(state, PARAMS)


@pytest.mark.parametrize(
    "options, kind",
    [
        ({"lambd": 1e-4, "alpha": 0.75, "t0": 1e6}, "ASGD"),
        ({"etas": (0.5, 1.2), "step_sizes": (1e-6, 50)}, "Rprop"),
        ({"history_size": 100, "max_iter": 20}, "LBFGS"),
    ],
)
def test_classes_without_a_recipe_are_named(options, kind):
    state = {"state": {}, "param_groups": [{"lr": 0.1, "params": [0, 1], **options}]}
    words = f"torch's {kind} has no recipe here.*begin anew.*like='torch'"
    for named in (None, kind):
        with pytest.raises(ValueError, match=words):
            joc.from_torch(state, PARAMS, optimizer=named)
    with pytest.raises(ValueError, match="torch's SparseAdam has no recipe here"):
        joc.from_torch(state | {"param_groups": [GROUP]}, PARAMS, optimizer="SparseAdam")


@pytest.mark.parametrize(
    "given, words",
    [
        (
            {"model": {}, "optimizer": saved()},
            "whole checkpoint, in which it is under 'optimizer'",
        ),
        (
            {"state_dict": {}, "lr_schedulers": [], "optimizer_states": [saved()]},  # Lightning's
            r"whole checkpoint, in which it is under \['optimizer_states'\]\[0\]",
        ),
        (
            {"last_epoch": 3, "_last_lr": [0.1]},
            "its scheduler's: say the schedule with learning_",
        ),
        ({"fc.weight": np.ones(2)}, "not the model's or a whole checkpoint"),
    ],
)
def test_another_part_of_a_checkpoint_is_told(given, words):
    with pytest.raises(ValueError, match=words):
        joc.from_torch(given, PARAMS)


KERAS = {"learning_rate": 0.1, "momentum": 0.0, "nesterov": False}


@pytest.mark.parametrize(
    "change, words",
    [
        ({"use_ema": True}, r"use_ema='True' cannot be brought over: .*joc\.ema_params"),
        ({"loss_scale_factor": 8.0}, "leave it out of the config"),
        ({"gradient_accumulation_steps": 2}, r"optax\.MultiSteps"),
        ({"learning_rate": {"class_name": "Mine", "config": {}}}, "with learning_rate=$"),
    ],
)
def test_what_keras_has_and_we_have_not_says_the_way_out(change, words):
    with pytest.raises(ValueError, match=words):
        joc.from_keras(KERAS | change, [0, 0.1], PARAMS)


def test_keras_s_ftrl_is_named():
    with pytest.raises(ValueError, match="Keras's Ftrl has no recipe here"):
        joc.from_keras({"class_name": "Ftrl", "config": KERAS}, [0, 0.1], PARAMS)


class Tensor:
    """torch's, of a variable of Keras: NumPy must ask it for a copy without its gradient."""

    dtype, shape = "torch.float32", (2,)

    def detach(self):
        return self

    cpu = detach

    def numpy(self):
        return np.float32([1, 2])

    def __array__(self, *_, **__):
        raise RuntimeError("Can't call numpy() on Tensor that requires grad")


def test_a_variable_of_keras_that_stands_on_torch_is_read():
    variable = SimpleNamespace(value=Tensor(), path="nadam/u_product")
    np.testing.assert_array_equal(array(variable), [1, 2])


@pytest.mark.live
@pytest.mark.parametrize("kind", ["Adam", "NAdam", "RMSprop", "Adagrad", "Adafactor", "RAdam"])
def test_a_leaf_thawed_in_mid_course_goes_on_as_in_torch(kind):
    """A checkpoint through torch.save, ten further steps beside torch itself."""
    import torch

    rng = np.random.default_rng(0)
    start = {"a": rng.normal(size=(3, 2)), "b": rng.normal(size=4)}
    theirs = {k: torch.nn.Parameter(torch.tensor(x)) for k, x in start.items()}
    theirs["a"].requires_grad_(False)
    optimizer = getattr(torch.optim, kind)(theirs.values(), lr=0.01)
    # torch keeps NAdam's product of μ in its default dtype
    torch.set_default_dtype(torch.float64)

    def step(i):
        optimizer.zero_grad()
        for p in theirs.values():
            if p.requires_grad:
                p.grad = torch.sin(p.detach() * (i + 1)) + 0.3
        optimizer.step()

    try:
        for i in range(7):
            theirs["a"].requires_grad_(i >= 3)
            step(i)
        file = io.BytesIO()
        torch.save(optimizer.state_dict(), file)
        file.seek(0)
        content = torch.load(file, weights_only=True)
        with jax.enable_x64(True):
            ours = {k: jnp.asarray(p.detach().numpy().copy()) for k, p in theirs.items()}
            tx, state = joc.from_torch(content, ours, names=["a", "b"], frozen=[])
            update = jax.jit(tx.update)
            for i in range(7, 17):
                g = {k: jnp.sin(x * (i + 1)) + 0.3 for k, x in ours.items()}
                u, state = update(g, state, ours)
                ours = joc.apply_updates(ours, u)
                step(i)
                for k, p in theirs.items():
                    np.testing.assert_allclose(ours[k], p.detach().numpy(), rtol=0, atol=1e-12)
    finally:
        torch.set_default_dtype(torch.float32)


def test_the_given_state_is_left_alone():
    state = saved((3, 3))
    before = copy.deepcopy(state)
    joc.from_torch(state, PARAMS)
    jax.tree.map(np.testing.assert_array_equal, state, before)
