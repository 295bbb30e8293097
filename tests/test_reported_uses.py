"""What users of other libraries reported of their optimizers, done with ours.

Each is a use in its surroundings: wrappers, containers, devices, files.  The right value is
optax's, that of one device, or arithmetic.
"""

import copy
import math
import pickle

import flax.serialization
import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest
from flax import linen as nn
from flax import nnx
from flax.core import freeze as frozen_dict
from flax.training.train_state import TrainState
from helpers import assert_trees_close, assert_trees_equal, of_convention
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from long_form import only

import jaxopt_course as joc
from jaxopt_course.conventions import CONVENTIONS

PARAMS = {
    "a": {"kernel": jnp.array([[1.0, -2.0]]), "bias": jnp.array([0.5, 0.25])},
    "b": {"kernel": jnp.array([[3.0], [0.125]]), "bias": jnp.array([-1.0])},
}
KERNELS = {part: {"kernel": True, "bias": False} for part in PARAMS}


def gradient(params, step=0):
    return jax.tree.map(lambda p: jnp.sin(p * (step + 1)) + 0.25, params)


def steps(tx, params, n, state=None, begin=0):
    state = tx.init(params) if state is None else state
    for step in range(begin, begin + n):
        u, state = tx.update(gradient(params, step), state, params)
        params = joc.apply_updates(params, u)
    return params, state


def of_groups():
    """Groups by path with a decay of kernels alone, one of them frozen."""
    patterns = {"*/bias": joc.sgd(0.1), "a/kernel": joc.freeze()}
    return joc.partition_by_path(patterns, default=joc.adam(0.1))


# ---------------------------------------------------------------- trees and wrappers


def test_a_masked_recipe_inside_groups_behind_a_masked_clip():
    labels = {"a": {"kernel": "adamw", "bias": "adamw"}, "b": {"kernel": "sgd", "bias": "sgd"}}
    clip = optax.masked(optax.clip_by_global_norm(0.5), KERNELS)
    of_kernels = lambda tree: jax.tree.map(lambda p: p.ndim > 1, tree)
    inside = lambda recipe: optax.masked(
        recipe(0.1, weight_decay=0.1, mask=of_kernels),
        lambda tree: jax.tree.map(lambda _: True, tree),
    )
    with jax.enable_x64(True):  # optax's 1 - b2 is rounded in float32
        sgd = joc.sgd(0.01, momentum=0.9)
        ours = joc.partition_by_path({"a/*": inside(joc.adamw), "b/*": sgd}, before=clip)
        groups = {"adamw": inside(optax.adamw), "sgd": optax.sgd(0.01, momentum=0.9)}
        theirs = optax.chain(clip, optax.partition(groups, labels))
        params = jax.tree.map(lambda p: np.asarray(p, np.float64), PARAMS)
        found, wanted = (
            jax.jit(lambda p, tx=tx: steps(tx, p, 3)[0])(params) for tx in (ours, theirs)
        )
        assert_trees_close(found, wanted, rtol=1e-12)


def test_memories_carry_the_boxes_of_their_parameters():
    ones = nn.with_partitioning(nn.initializers.ones, ("rows", None))
    model = nn.Dense(3, kernel_init=ones)
    params = model.init(jax.random.key(0), jnp.ones((1, 2)))["params"]
    tx = joc.partition_by_path({"*kernel": joc.adam(0.1)}, default=joc.sgd(0.1))
    state = TrainState.create(apply_fn=model.apply, params=params, tx=tx)
    specs = nn.get_partition_spec(state)
    assert specs.params["kernel"] == PartitionSpec("rows", None)
    assert optax.tree.get(specs.opt_state, "mu")["kernel"] == PartitionSpec("rows", None)
    state = state.apply_gradients(grads=jax.tree.map(jnp.ones_like, params))
    np.testing.assert_allclose(state.params["kernel"].value, 0.9, rtol=1e-6)
    np.testing.assert_allclose(state.params["bias"], -0.1, rtol=1e-6)


def test_of_lora_only_the_two_small_matrices_move():
    base = nnx.Linear(2, 3, rngs=nnx.Rngs(0))
    model = nnx.LoRA(2, 1, 3, base_module=base, rngs=nnx.Rngs(1))
    before = jax.tree.map(jnp.copy, nnx.to_pure_dict(nnx.state(model)))
    tx = joc.partition_by_path({"lora_a": joc.sgd(0.1), "lora_b": joc.sgd(0.2)})
    optimizer = nnx.Optimizer(model, tx, wrt=nnx.LoRAParam)
    optimizer.update(model, jax.tree.map(jnp.ones_like, nnx.state(model, nnx.LoRAParam)))
    after = nnx.to_pure_dict(nnx.state(model))
    np.testing.assert_allclose(before["lora_a"] - after["lora_a"], 0.1, rtol=1e-5)
    np.testing.assert_allclose(before["lora_b"] - after["lora_b"], 0.2, rtol=1e-5)
    assert_trees_equal(before["base_module"], after["base_module"])


def test_frozen_dictionaries_are_trees_of_their_own_kind():
    params, tx = frozen_dict(PARAMS), of_groups()
    held, _ = steps(tx, params, 2)
    plain, _ = steps(tx, PARAMS, 2)
    assert_trees_equal(dict(held.unfreeze()), plain)
    with pytest.raises(ValueError, match=r"structure|tree"):
        tx.update(gradient(PARAMS), tx.init(params), params)


def test_an_ensemble_made_under_vmap_has_a_rate_a_member():
    rates = jnp.array([0.1, 0.2, 0.4])

    @nnx.vmap(in_axes=(0, 0), out_axes=0)
    def trained(key, rate):
        model = nnx.Linear(2, 1, rngs=nnx.Rngs(params=key))
        before = model.bias[...]
        optimizer = nnx.Optimizer(model, joc.sgd(rate), wrt=nnx.Param)
        optimizer.update(model, jax.tree.map(jnp.ones_like, nnx.state(model, nnx.Param)))
        return before - model.bias[...]

    moved = trained(jax.random.split(jax.random.key(0), 3), rates)
    np.testing.assert_allclose(moved[:, 0], rates, rtol=1e-6)


# ---------------------------------------------------------------- devices, jit and derivatives


def test_a_data_parallel_step_is_that_of_one_device():
    tx = joc.partition_by_path({"b": joc.sgd(0.1)}, default=joc.adam(0.1))
    params = {"w": jnp.array([1.0, -1.0]), "b": jnp.float32(0.5)}
    x = jnp.arange(16.0).reshape(8, 2) / 8
    loss = lambda p, x: jnp.mean((x @ p["w"] + p["b"]) ** 2)
    whole, _ = tx.update(jax.grad(loss)(params, x), tx.init(params), params)
    mesh = jax.make_mesh((4,), ("rows",), axis_types=(AxisType.Auto,))

    def step(params, state, x):
        mean = lambda p: jax.lax.pmean(loss(p, x), "rows")
        return tx.update(jax.grad(mean)(params), state, params)[0]

    kept, rows = PartitionSpec(), PartitionSpec("rows")
    divided = jax.shard_map(step, mesh=mesh, in_specs=(kept, kept, rows), out_specs=kept)
    assert_trees_close(jax.jit(divided)(params, tx.init(params), x), whole, rtol=1e-5)


GRID = [f"{like}.{name}" for like in CONVENTIONS for name in sorted(CONVENTIONS[like])]


def divided(tree, mesh):
    """Each matrix in rows and columns over the mesh, as far as it has axes; vectors in rows."""
    spec = lambda x: PartitionSpec(*[*mesh.axis_names, None][: x.ndim])
    return jax.tree.map(lambda x: jax.device_put(x, NamedSharding(mesh, spec(x))), tree)


@pytest.mark.parametrize("shape", [(4,), (2, 2)], ids=["rows", "rows and columns"])
@pytest.mark.parametrize("name", only(["torch.sgd", "keras.muon"], GRID))
def test_what_a_type_says_of_devices_stays(name, shape):
    """Explicit sharding: memories lie as their parameters do, steps are those of one device."""
    tx = of_convention(name, 0.1)
    params = {
        "w": jnp.sin(jnp.arange(32.0).reshape(8, 4)),
        "b": jnp.cos(jnp.arange(12.0)).astype(jnp.bfloat16),  # as long as no memory of w
    }
    wanted = steps(tx, params, 2)[0]
    axes = ("rows", "columns")[: len(shape)]
    mesh = jax.make_mesh(shape, axes, axis_types=(AxisType.Explicit,) * len(shape))
    with jax.set_mesh(mesh):
        there = divided(params, mesh)
        lies = {leaf.shape: leaf.sharding for leaf in jax.tree.leaves(there)}
        for update in (tx.update, jax.jit(tx.update)):
            now, state = there, tx.init(there)
            for step in range(2):
                before = jax.tree.map(lambda x: jax.typeof(x), state)
                u, state = update(gradient(now, step), state, now)
                assert jax.tree.map(lambda x: jax.typeof(x), state) == before
                now = joc.apply_updates(now, u)
            for leaf in jax.tree.leaves((now, state)):
                if leaf.shape in lies:
                    assert leaf.sharding == lies[leaf.shape]
            assert_trees_close(jax.device_get(now), jax.device_get(wanted), rtol=1e-5, atol=1e-6)


OF_KERNELS = {
    "whole": lambda: joc.muon(
        0.1, muon_weight_dimension_numbers=joc.matrix_axes({"w": ((0, 1), 3)})
    ),
    "stack": lambda: joc.muon(0.1, muon_weight_dimension_numbers=joc.matrix_axes({"w": (2, 3)})),
    "soap": lambda: joc.soap(0.1, precondition_frequency=1, max_precondition_dim=4),
}


@pytest.mark.parametrize("name", only(["stack"], OF_KERNELS))
def test_kernels_divided_in_part_by_their_type_step_as_on_one_device(name):
    """A mesh of which one axis stands in the types and the other does not; a scan within jit."""
    tx = OF_KERNELS[name]()
    params = {"w": jnp.sin(jnp.arange(64.0)).reshape(2, 4, 4, 2)}

    @jax.jit
    def trained(params):
        def step(carry, i):
            u, state = tx.update(gradient(carry[0], i), carry[1], carry[0])
            return (joc.apply_updates(carry[0], u), state), None

        return jax.lax.scan(step, (params, tx.init(params)), jnp.arange(3))[0][0]

    assert "reshard" not in str(jax.make_jaxpr(trained)(params))
    mesh = jax.make_mesh((2, 2), ("rows", "more"), axis_types=(AxisType.Explicit, AxisType.Auto))
    lies = NamedSharding(mesh, PartitionSpec(None, "rows"))
    found = trained({"w": jax.device_put(params["w"], lies)})
    assert found["w"].sharding.is_equivalent_to(lies, 4)
    assert_trees_close(jax.device_get(found), jax.device_get(trained(params)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", only(["torch.nadam"], GRID))
def test_float64_schedules_promote_nothing_in_a_scan(name):
    """x64 in force, float32 parameters, and a schedule that gives float64."""
    params = jax.tree.map(lambda p: np.asarray(p, np.float32), PARAMS)
    with jax.enable_x64(True):
        tx = of_convention(name, lambda step: jnp.float64(0.1) / (1 + step))
        state = tx.init(params)
        kinds = jax.tree.map(lambda x: jnp.asarray(x).dtype, state)

        def step(carry, _):
            params, state = carry
            u, state = tx.update(jax.tree.map(jnp.sin, params), state, params)
            assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(u))
            return (joc.apply_updates(params, u), state), None

        (params, state), _ = jax.lax.scan(step, (params, state), None, 3)
        assert jax.tree.map(lambda x: x.dtype, state) == kinds
    assert all(leaf.dtype == np.float32 for leaf in jax.tree.leaves(params))


def test_an_imported_state_may_be_donated_and_torchs_arrays_stay():
    group = {"lr": 0.1, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0, "params": [0]}
    group |= {"amsgrad": False, "maximize": False}
    mine = np.ones((2, 3))
    saved = {"state": {0: {"step": 3.0, "exp_avg": mine, "exp_avg_sq": mine}}}
    params = {"w": jnp.ones((2, 3))}
    tx, state = joc.from_torch(saved | {"param_groups": [group]}, params)

    def step(params, state):
        u, state = tx.update(params, state, params)
        return joc.apply_updates(params, u), state

    once = step(params, state)
    twice = step(*once)
    compiled = jax.jit(step, donate_argnums=(0, 1))
    assert_trees_close(compiled(*compiled(params, state)), twice, rtol=1e-6)
    assert (mine == 1).all()


@pytest.mark.parametrize(
    "whole, real",
    [
        (lambda: joc.sgd(1, momentum=0), lambda: joc.sgd(1.0, momentum=0.0)),
        (lambda: joc.adam(1, b1=0, b2=0), lambda: joc.adam(1.0, b1=0.0, b2=0.0)),
        (lambda: joc.rmsprop(1, decay=0), lambda: joc.rmsprop(1.0, decay=0.0)),
        (lambda: joc.lion(1, b1=0, b2=0), lambda: joc.lion(1.0, b1=0.0, b2=0.0)),
    ],
)
def test_whole_numbers_are_numbers(whole, real):
    found, wanted = steps(whole(), PARAMS, 3), steps(real(), PARAMS, 3)
    assert_trees_equal(found, wanted)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found))


@pytest.mark.parametrize("clip", [joc.clip_by_global_norm, joc.clip])
def test_a_bound_of_0_leaves_nothing(clip):
    for g in (gradient(PARAMS), jax.tree.map(jnp.zeros_like, PARAMS)):
        for bound in (0.0, jnp.float32(0.0)):
            u, _ = clip(bound).update(g, clip(bound).init(PARAMS), PARAMS)
            assert all((leaf == 0).all() for leaf in jax.tree.leaves(u))


@pytest.mark.long
@pytest.mark.parametrize("recipe", [joc.adam, joc.adamw, joc.rmsprop, joc.nadam, joc.adagrad])
def test_a_derivative_through_steps_is_finite_where_a_gradient_is_always_0(recipe):
    tx = optax.chain(joc.clip_by_global_norm(1.0), recipe(0.1))

    def after(params):
        state = tx.init(params)
        for _ in range(3):
            u, state = tx.update({"w": 2 * params["w"], "still": jnp.zeros(2)}, state, params)
            params = joc.apply_updates(params, u)
        return jnp.sum(params["w"] ** 2) + jnp.sum(params["still"])

    slope = jax.grad(after)({"w": jnp.array([1.0, -3.0]), "still": jnp.ones(2)})
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slope))
    assert (np.asarray(slope["w"]) != 0).all()


def test_a_schedule_made_inside_jit_leaks_nothing():
    def last(rate):
        tx = joc.adam(joc.cosine_decay_schedule(rate, 4))
        return steps(tx, PARAMS, 2)[0]

    with jax.checking_leaks():
        found = jax.jit(last)(0.1)
    assert_trees_close(found, last(0.1), rtol=1e-5)


def test_a_schedule_under_multi_steps_counts_updates():
    fall = joc.linear_schedule(1.0, 0.0, 4)
    tx = optax.MultiSteps(joc.sgd(fall), 2).gradient_transformation()
    params, rates = jnp.float32(0.0), []
    state = tx.init(params)
    for _ in range(6):
        u, state = tx.update(jnp.float32(1.0), state, params)
        rates.append(-float(u))
    np.testing.assert_allclose(rates, [0, 1, 0, 0.75, 0, 0.5], rtol=1e-6)
    told = joc.hyperparameters(joc.sgd(fall), state.inner_opt_state)
    assert told["learning_rate"] == pytest.approx(0.25)


TABLE = np.array([0.5, 0.25, 0.125, 0.0625])
OWN_SCHEDULES = {  # and whether a step may be traced there
    "if": (lambda step: 0.5 if step < 2 else 0.25, False),
    "math": (lambda step: math.cos(float(step)), False),
    "where": (lambda step: jnp.where(step < 2, 0.5, 0.25), True),
    "table": (lambda step: jnp.asarray(TABLE)[step], True),
    "table of NumPy": (lambda step: TABLE[int(step)], False),
    "float64": (lambda step: np.float64(0.5), True),
    "whole": (lambda step: 1, True),
}


@pytest.mark.parametrize("name", OWN_SCHEDULES)
def test_schedules_of_a_user_s_own_are_optax_s(name):
    schedule, traceable = OWN_SCHEDULES[name]
    found, wanted = [], []
    for end, recipe in ((found, joc.sgd), (wanted, optax.sgd)):
        for wrap in (lambda f: f, jax.jit):
            tx = recipe(schedule, momentum=0.5)
            update, params, state = wrap(tx.update), PARAMS, tx.init(PARAMS)
            try:
                for step in range(4):
                    u, state = update(gradient(params, step), state, params)
                    params = joc.apply_updates(params, u)
                end.append(params)
            except jax.errors.JAXTypeError as error:
                end.append(str(error)[:20])
    assert isinstance(found[1], str) is not traceable
    for mine, theirs in zip(found, wanted, strict=True):
        if isinstance(mine, str):
            assert isinstance(theirs, str)
        else:
            assert_trees_close(mine, theirs, rtol=1e-6)


@pytest.mark.parametrize("rate, word", [(None, "None"), ("0.1", "0.1")])
def test_what_a_schedule_cannot_give_is_said(rate, word):
    tx, params = joc.sgd(lambda step: rate), {"w": jnp.ones(3)}
    with pytest.raises((ValueError, TypeError), match=word):
        tx.update(params, tx.init(params), params)


def test_a_schedule_may_give_a_rate_an_entry():
    """As optax takes it; where it fits no leaf it is named, see test_transforms_contract.py."""
    for rate in (jnp.full(1, 0.5), jnp.array([0.5, 0.25, 0.125])):
        params = {"w": jnp.ones(3)}
        ours, theirs = (recipe(lambda step, r=rate: r) for recipe in (joc.sgd, optax.sgd))
        found = ours.update(params, ours.init(params), params)[0]
        assert_trees_equal(found, theirs.update(params, theirs.init(params), params)[0])


def test_layers_frozen_by_turns_by_their_schedules_keep_their_memories():
    """A rate of 0 for two steps, then another's: m = 0.9 m + g goes on throughout."""
    even = lambda step: jnp.where(step // 2 % 2 == 0, 0.1, 0.0)
    odd = lambda step: jnp.where(step // 2 % 2 == 0, 0.0, 0.1)
    rates = {"a/*": joc.sgd(even, momentum=0.9), "b/*": joc.sgd(odd, momentum=0.9)}
    tx = joc.partition_by_path(rates)
    params, state = PARAMS, tx.init(PARAMS)
    wanted = jax.tree.map(lambda p: np.asarray(p, np.float64), PARAMS)
    memory = jax.tree.map(np.zeros_like, wanted)
    for step in range(6):
        g = jax.tree.map(lambda p, step=step: np.sin(p * (step + 1)) + 0.25, wanted)
        memory = jax.tree.map(lambda m, g: 0.9 * m + g, memory, g)
        moving = "a" if step // 2 % 2 == 0 else "b"
        still = "b" if moving == "a" else "a"
        wanted[moving] = jax.tree.map(lambda p, m: p - 0.1 * m, wanted[moving], memory[moving])
        before = params
        params, state = steps(tx, params, 1, state, step)
        assert_trees_equal(params[still], before[still])
        assert_trees_close(params, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("bound", only(["global_clipnorm"], ["clipnorm", "global_clipnorm"]))
def test_what_keras_accumulates_is_multi_steps(bound):
    """Keras takes the mean of k gradients, bounds it, and then takes one step of AdamW.

    By hand in float64, after ``keras.optimizers.base_optimizer``: θ ← θ - η λ θ, then Adam's step
    with the bias corrections in the rate and ε outside of the root.
    """
    k, eta, b1, b2, eps, decay, most = 2, 0.1, 0.9, 0.999, 1e-7, 0.05, 0.5
    size = lambda leaves: np.sqrt(sum(np.sum(leaf**2) for leaf in leaves))
    with jax.enable_x64(True):
        params = jax.tree.map(lambda p: np.asarray(p, np.float64), PARAMS)
        if bound == "clipnorm":  # each variable's own norm

            def shorten(tree, state, params=None):
                each = lambda g: g * most / jnp.maximum(jnp.sqrt(jnp.sum(g**2)), most)
                return jax.tree.map(each, tree), state

            clip = optax.GradientTransformation(lambda params: optax.EmptyState(), shorten)
        else:
            clip = joc.clip_by_global_norm(most)
        recipe = joc.adamw(eta, b1, b2, eps, weight_decay=decay, like="keras")
        tx = optax.MultiSteps(joc.chain(clip, recipe), k).gradient_transformation()
        found, _ = jax.device_get(jax.jit(lambda params: steps(tx, params, 6))(params))
    leaves, tree = jax.tree.flatten(params)
    m, v, kept = ([np.zeros_like(leaf) for leaf in leaves] for _ in range(3))
    for step in range(6):
        g = [np.sin(p * (step + 1)) + 0.25 for p in leaves]
        kept = [a + b / k for a, b in zip(kept, g, strict=True)]
        if (step + 1) % k:
            continue
        t = (step + 1) // k
        norms = [size([g]) if bound == "clipnorm" else size(kept) for g in kept]
        g = [g * most / max(norm, most) for g, norm in zip(kept, norms, strict=True)]
        m = [b1 * m + (1 - b1) * g for m, g in zip(m, g, strict=True)]
        v = [b2 * v + (1 - b2) * g**2 for v, g in zip(v, g, strict=True)]
        alpha = eta * np.sqrt(1 - b2**t) / (1 - b1**t)
        after = zip(leaves, m, v, strict=True)
        leaves = [p - eta * decay * p - alpha * m / (np.sqrt(v) + eps) for p, m, v in after]
        kept = [np.zeros_like(leaf) for leaf in leaves]
    for mine, theirs in zip(tree.flatten_up_to(found), leaves, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-7)  # optax adds up in float32


# ---------------------------------------------------------------- files


def test_a_transformation_and_its_state_travel():
    cloudpickle = pytest.importorskip("cloudpickle")
    tx = of_groups()
    params, state = steps(tx, PARAMS, 2)
    wanted = steps(tx, params, 2, state, 2)
    there = pickle.loads(cloudpickle.dumps(tx))
    assert_trees_equal(steps(there, params, 2, pickle.loads(pickle.dumps(state)), 2), wanted)
    assert_trees_equal(steps(copy.deepcopy(tx), params, 2, copy.deepcopy(state), 2), wanted)


@pytest.mark.parametrize("way", ["orbax", "msgpack"])
def test_three_steps_and_three_from_a_checkpoint_of_groups_are_six(way, tmp_path):
    tx = of_groups()
    params, state = steps(tx, PARAMS, 3)
    if way == "orbax":
        checkpointer = ocp.PyTreeCheckpointer()
        checkpointer.save(tmp_path / "kept", {"state": state, "params": params})
        empty = {"state": tx.init(PARAMS), "params": PARAMS}
        how = ocp.checkpoint_utils.construct_restore_args(empty)
        found = checkpointer.restore(tmp_path / "kept", item=empty, restore_args=how)
        state, params = found["state"], found["params"]
    else:
        written = flax.serialization.to_bytes((params, state))
        params, state = flax.serialization.from_bytes((PARAMS, tx.init(PARAMS)), written)
    assert_trees_equal(steps(tx, params, 3, state, 3), steps(tx, PARAMS, 6))


@pytest.mark.parametrize(
    "name", ["sgd", "adagrad", "rmsprop", "adadelta", "adam", "adamw", "adamax", "amsgrad",
             "nadam", "radam", "lion"]
)  # fmt: skip
def test_a_checkpoint_of_optax_is_restored_into_the_recipe_of_its_name(name):
    theirs, ours = getattr(optax, name)(0.1), getattr(joc, name)(0.1)
    params, state = steps(theirs, PARAMS, 2)
    there = flax.serialization.to_state_dict(state)
    here = flax.serialization.from_state_dict(ours.init(PARAMS), there)
    found, _ = steps(ours, params, 1, here, 2)
    assert_trees_close(found, steps(theirs, params, 1, state, 2)[0], rtol=1e-4, atol=1e-5)


# ---------------------------------------------------------------- schedules and imports


def test_torchs_schedulers_in_ours():
    """Their closed forms; total, start, end and the boundary are those of torch's arguments."""
    at = np.arange(12)
    rates = lambda schedule: np.array([float(schedule(step)) for step in at])
    cosine = 0.1 * (1 + np.cos(np.pi * np.minimum(at, 10) / 10)) / 2  # T, and not T - 1
    np.testing.assert_allclose(rates(joc.cosine_decay_schedule(0.1, 10)), cosine, atol=1e-8)
    stairs = 0.1 * 0.5 ** (at // 3)  # StepLR(3, 0.5)
    ours = joc.exponential_decay(0.1, 3, 0.5, staircase=True)
    np.testing.assert_allclose(rates(ours), stairs, rtol=1e-6)
    milestones = 0.1 * 0.1 ** ((at >= 4).astype(float) + (at >= 9))  # MultiStepLR([4, 9])
    ours = joc.piecewise_constant_schedule(0.1, {4: 0.1, 9: 0.1})
    np.testing.assert_allclose(rates(ours), milestones, rtol=1e-6)
    power = 0.1 * (1 - np.minimum(at, 8) / 8) ** 2  # PolynomialLR(8, 2)
    np.testing.assert_allclose(rates(joc.polynomial_schedule(0.1, 0.0, 2, 8)), power, atol=1e-8)
    warm = 0.1 * (0.25 + 0.75 * np.minimum(at, 4) / 4)  # LinearLR(0.25, total_iters=4), then
    later = np.where(at < 4, warm, 0.1 * 0.5 ** (at - 4.0))  # SequentialLR with ExponentialLR
    ours = joc.join_schedules(
        [joc.linear_schedule(0.025, 0.1, 4), joc.exponential_decay(0.1, 1, 0.5)], [4]
    )
    np.testing.assert_allclose(rates(ours), later, rtol=1e-6)


@pytest.mark.parametrize("total", [1, 2, 3, 4])
def test_a_cycle_of_few_steps_is_finite(total):
    for share in (0.0, 0.3, 1.0):
        schedule = joc.cosine_onecycle_schedule(total, 0.1, share)
        assert all(np.isfinite(float(schedule(step))) for step in range(total + 2))


def test_torchs_rate_may_be_a_tensor():
    group = {"betas": (np.asarray(0.9), np.asarray(0.999)), "eps": 1e-8, "weight_decay": 0}
    group |= {"amsgrad": False, "maximize": True, "params": [0], "foreach": None, "fused": True}
    memory = {"step": np.asarray(3.0), "exp_avg": np.ones(2), "exp_avg_sq": np.ones(2)}
    params = jnp.ones(2)
    found = []
    for rate in (np.asarray(0.1), 0.1):
        saved = {"state": {0: memory}, "param_groups": [group | {"lr": rate}]}
        tx, state = joc.from_torch(saved, params)
        found.append(tx.update(params, state, params)[0])
    np.testing.assert_array_equal(*found)
    assert (np.asarray(found[0]) != 0).all()


def test_keras_s_exclusions_come_as_a_mask():
    """exclude_from_weight_decay is in no config: with mask= as it trained there."""
    config = {"learning_rate": 0.1, "weight_decay": 0.5, "beta_1": 0.9, "beta_2": 0.999}
    config |= {"epsilon": 1e-7, "amsgrad": False}
    params = {"bias": jnp.ones(2), "kernel": jnp.ones(2)}
    variables = [1, 0.1, *[np.zeros(2)] * 4]
    still = jax.tree.map(jnp.zeros_like, params)
    mask = {"bias": False, "kernel": True}
    called = {"optimizer": "AdamW", "names": ["bias", "kernel"]}
    tx, state = joc.from_keras(config, variables, params, **called, mask=mask)
    u, _ = tx.update(still, state, params)
    np.testing.assert_allclose(u["kernel"], -0.1 * 0.5, rtol=1e-6)
    assert (np.asarray(u["bias"]) == 0).all()


def test_what_keras_accumulates_or_bounds_twice_is_refused_by_name():
    config = {"learning_rate": 0.1, "momentum": 0.0, "nesterov": False}
    variables, params = [1, 0.1], {"w": jnp.ones(2)}
    with pytest.raises(ValueError, match="gradient_accumulation_steps"):
        joc.from_keras(config | {"gradient_accumulation_steps": 2}, variables, params)
    with pytest.raises(ValueError, match=r"clipnorm.*global_clipnorm"):
        joc.from_keras(config | {"clipnorm": 1.0, "global_clipnorm": 1.0}, variables, params)


@pytest.mark.long
def test_layers_of_one_stack_made_under_vmap_train_in_lanes():
    """Each layer draws its own weights (split_rngs), the stack is scanned; so do two seeds."""

    class Stack(nnx.Module):
        def __init__(self, *, rngs: nnx.Rngs):
            @nnx.split_rngs(splits=4)
            @nnx.vmap(in_axes=0, out_axes=0)
            def make(rngs):
                return nnx.Linear(3, 3, rngs=rngs)

            self.layers = make(rngs)
            self.out = nnx.Linear(3, 1, rngs=rngs)

        def __call__(self, x):
            run = nnx.scan(lambda h, layer: jnp.tanh(layer(h)), in_axes=(nnx.Carry, 0),
                           out_axes=nnx.Carry)  # fmt: skip
            return self.out(run(x, self.layers))

    kernels = Stack(rngs=nnx.Rngs(0)).layers.kernel[...]
    assert kernels.shape == (4, 3, 3) and len({float(k[0, 0]) for k in kernels}) == 4
    x = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    task = joc.Task.from_flax(Stack, x, x[:, :1] * 2, loss="squared_error", name="stack")
    trials = joc.grid(optimizer="adam", learning_rate=[0.0, 0.03], seed=[0, 1])
    study = joc.sweep(
        task, trials, steps=40, batch_size=8, progress=False, devices=jax.devices()[:1]
    )
    still, moved = study.trials["valid_loss"][:2], study.trials["valid_loss"][2:]
    assert still.nunique() == 2 and moved.nunique() == 2 and moved.max() < still.min() / 2
