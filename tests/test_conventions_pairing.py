"""Imported memories find their leaves by name, by position only where nothing else fits, or ask."""

import contextlib
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jaxopt_course.conventions import from_keras, from_torch
from jaxopt_course.conventions.pairing import Theirs, _listed, by_names, leaf_of_each
from jaxopt_course.inspection import audit
from jaxopt_course.optimizers import adam
from jaxopt_course.transforms import add_decayed_weights

SGD = {"lr": 0.1, "momentum": 0.9, "dampening": 0, "weight_decay": 0, "nesterov": False}
ADAM = {"lr": 0.1, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0, "amsgrad": False}
LAYERS = 12  # more than ten: sorted as text, 10 stands before 2


def numbered(names=None, shape=(2, 2), count=LAYERS, **options):
    """What ``torch.optim.SGD`` saves of equal layers: layer i remembers i."""
    group = {**SGD, **options, "params": list(range(count))}
    group |= {} if names is None else {"param_names": list(names)}
    memory = {i: {"momentum_buffer": np.full(shape, i, np.float32)} for i in range(count)}
    return {"state": memory, "param_groups": [group]}


def zeros(*names, shape=(2, 2)):
    """A tree with these paths."""
    tree = {}
    for name in names:
        *above, last = name.split("/")
        inner = tree
        for key in above:
            inner = inner.setdefault(key, {})
        inner[last] = jnp.zeros(shape)
    return tree


def remembered(state, params):
    """The number in each leaf's momentum, by path."""
    trace = optax.tree.get(state, "trace")
    leaves = jax.tree.leaves(trace)
    paths = [jax.tree_util.keystr(k, simple=True, separator="/") for k, _ in keyed(params)]
    return {path: int(leaf.ravel()[0]) for path, leaf in zip(paths, leaves, strict=True)}


keyed = jax.tree_util.tree_leaves_with_path


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("{}.weight", "Dense_{}/kernel"),
        ("layers.{}.weight", "layers_{}/kernel"),
        ("layers.{}.weight", "layers/{}/kernel"),
        ("model.blocks.{}.norm.weight", "params/blocks_{}/norm/scale"),
        ("module._orig_mod.h.{}.attn.weight", "h/{}/attn/weight"),
        ("embed_{}.weight", "embed_{}/embedding"),
    ],
)
def test_twelve_equal_layers_of_torch_by_their_names(theirs, ours):
    paths = [ours.format(i) for i in range(LAYERS)]
    params = zeros(*paths)
    saved = numbered(theirs.format(i) for i in range(LAYERS))
    _, state = from_torch(saved, params, transpose={})
    assert remembered(state, params) == {path: i for i, path in enumerate(paths)}


@pytest.mark.parametrize("names", [None, [f"{2 * i}.weight" for i in range(LAYERS)]])
def test_what_no_name_tells_is_asked(names):
    """A Sequential with activations between its layers has even numbers; which leaf is 4?"""
    paths = [f"Dense_{i}/kernel" for i in range(LAYERS)]
    params = zeros(*paths)
    first = "number 0 and number 1" if names is None else "0.weight and 2.weight"
    with pytest.raises(
        ValueError, match=f"parameters {first} have memories of the same shape.*nam"
    ):
        from_torch(numbered(names), params)
    _, state = from_torch(numbered(names), params, names=paths, transpose={})
    assert remembered(state, params) == {path: i for i, path in enumerate(paths)}


@pytest.mark.parametrize(
    "shape, ours, transpose, said",
    [
        ((2, 2), (2, 2), False, True),
        ((2, 2), (2, 2), True, False),
        ((2, 2), (2, 2), {}, False),
        ((2, 3), (2, 3), False, False),  # the shape tells that it lies as torch's
        ((3, 3, 3, 3), (3, 3, 3, 3), True, True),  # a convolution, which True does not turn
        ((3, 2, 3, 2), (3, 2, 3, 2), False, False),  # turned it is (3, 2, 2, 3)
    ],
)
def test_a_kernel_that_fits_both_ways_is_told(shape, ours, transpose, said):
    """torch's memory has (outputs, inputs, ...), Flax's kernel (..., inputs, outputs)."""
    group = {**SGD, "params": [0], "param_names": ["fc.weight"]}
    memory = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    saved = {"state": {0: {"momentum_buffer": memory}}, "param_groups": [group]}
    params = {"fc": {"kernel": jnp.zeros(ours)}}
    told = pytest.warns(UserWarning, match=r"fc/kernel fit both ways.*transpose=")
    with told if said else contextlib.nullcontext():
        _, state = from_torch(saved, params, transpose=transpose)
    trace = optax.tree.get(state, "trace")["fc"]["kernel"]
    turned = transpose is True and memory.ndim == 2
    np.testing.assert_array_equal(trace, memory.T if turned else memory)


def test_an_autoencoder_fits_in_two_orders():
    """torch's encoder, (4, 3) there, fits Flax's decoder as it lies: its memory landed in it."""
    encoder, decoder = np.ones((4, 3), np.float32), np.full((3, 4), 2.0, np.float32)
    saved = {
        "state": {0: {"momentum_buffer": encoder}, 1: {"momentum_buffer": decoder}},
        "param_groups": [{**SGD, "params": [0, 1]}],
    }
    params = {"decoder": {"kernel": jnp.zeros((4, 3))}, "encoder": {"kernel": jnp.zeros((3, 4))}}
    with pytest.raises(ValueError, match=r"in another order turned.* say with names="):
        from_torch(saved, params)
    names = ["encoder/kernel", "decoder/kernel"]
    _, state = from_torch(saved, params, names=names, transpose=True)
    trace = optax.tree.get(state, "trace")
    np.testing.assert_array_equal(trace["encoder"]["kernel"], encoder.T)
    np.testing.assert_array_equal(trace["decoder"]["kernel"], decoder.T)
    _, state = from_torch(saved, params, transpose={})  # as they lie, the caller says
    np.testing.assert_array_equal(optax.tree.get(state, "trace")["decoder"]["kernel"], encoder)


def test_a_layer_norm_is_not_taken_for_its_bias():
    """torch has the weight first, JAX sorts the bias before the scale; both are vectors."""
    params = zeros("norm/bias", "norm/scale", shape=(2,))
    _, state = from_torch(numbered(["norm.weight", "norm.bias"], (2,), 2), params)
    assert remembered(state, params) == {"norm/bias": 1, "norm/scale": 0}
    with pytest.raises(ValueError, match="nothing says which leaf each is"):
        from_torch(numbered(None, (2,), 2), params)


def test_where_the_order_cannot_be_wrong_nothing_is_asked():
    lists = [jnp.zeros((2, 2)) for _ in range(LAYERS)]  # their maker's order, nothing is sorted
    _, state = from_torch(numbered(), lists)
    assert list(remembered(state, lists).values()) == list(range(LAYERS))
    same = zeros("a", "b")
    tx, state = from_torch(  # without memories, in one group, all are alike
        {"state": {}, "param_groups": [{**SGD, "momentum": 0, "params": [0, 1]}]}, same
    )
    assert jax.tree.leaves(tx.update(same, state, same)[0])
    apart = [{**SGD, "momentum": 0, "lr": lr, "params": [i]} for i, lr in enumerate((0.1, 0.2))]
    with pytest.raises(ValueError, match="number 0 and number 1 cannot be told apart"):
        from_torch({"state": {}, "param_groups": apart}, same)


def test_shapes_are_compared_as_torch_has_them():
    """Both memories are (2, 3); after transposing, the first one could be either leaf's."""
    params = {"a": jnp.zeros((3, 2)), "b": jnp.zeros((2, 3))}
    state = numbered(None, (2, 3), 2)
    with pytest.raises(ValueError, match="same shape"):
        from_torch(state, params, transpose={"a": (1, 0)})


def test_one_without_a_memory_is_alike_where_the_others_memory_fits_its_leaf():
    theirs = [Theirs(None, (2, 3)), Theirs(None, None)]
    apart = {"a": jnp.zeros((2, 3)), "b": jnp.zeros((3, 2))}
    assert leaf_of_each(None, theirs, apart, False, "torch") == ["a", "b"]
    alike = {"a": jnp.zeros((3, 2)), "b": jnp.zeros((3, 2))}
    with pytest.raises(ValueError, match="number 0 and number 1"):
        leaf_of_each(None, theirs, alike, True, "torch")


def test_one_name_in_doubt_leaves_all_in_doubt():
    assert by_names(["a.weight", "b.weight"], ["a/kernel", "a/scale", "b/kernel"]) is None
    assert by_names(["dense_1", "dense_2"], ["Dense_0", "Dense_1"]) is None
    assert by_names(["head.weight"], ["body/kernel", "head/kernel"]) == ["head/kernel"]


def test_two_leaves_of_one_path_are_refused():
    params = {"a/b": jnp.zeros(2), "a": {"b": jnp.zeros(2)}}
    with pytest.raises(ValueError, match="two leaves have the path 'a/b'"):
        from_torch(numbered(None, (2,), 2), params)


def test_twelve_equal_layers_of_keras_by_their_paths():
    layers = ["dense"] + [f"dense_{i}" for i in range(1, LAYERS)]
    memory = [
        (f"sgd/sequential_{name}_kernel_momentum", np.full((2, 2), i, np.float32))
        for i, name in enumerate(layers)
    ]
    variables = [("sgd/iteration", np.int64(1)), ("sgd/learning_rate", np.float32(0.1)), *memory]
    params = {name: {"kernel": jnp.zeros((2, 2))} for name in layers}
    config = {"learning_rate": 0.1, "momentum": 0.9, "nesterov": False}
    _, state = from_keras(config, variables, params)
    assert remembered(state, params) == {f"{name}/kernel": i for i, name in enumerate(layers)}
    arrays = [x for _, x in variables]
    with pytest.raises(ValueError, match="Keras's parameters number 0 and number 1 have memories"):
        from_keras(config, arrays, params)
    linen = zeros(*(f"Dense_{i}/kernel" for i in range(LAYERS)))  # is dense_1 Dense_1, or Dense_0?
    with pytest.raises(ValueError, match="say it with names="):
        from_keras(config, variables, linen)


def test_both_memories_of_keras_s_adam_go_to_the_variable_of_their_name():
    kinds = [("gamma", "scale", 1.0), ("beta", "bias", 2.0)]
    memory = [
        (f"adam/norm_{theirs}_{kind}", np.full(2, value * times, np.float32))
        for theirs, _, value in kinds
        for kind, times in (("momentum", 1), ("velocity", 10))
    ]
    variables = [("adam/iteration", 3), ("adam/learning_rate", 0.1), *memory]
    config = {"learning_rate": 0.1, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}
    config |= {"amsgrad": False}
    _, state = from_keras(config, variables, zeros("norm/bias", "norm/scale", shape=(2,)))
    mu, nu = optax.tree.get(state, "mu")["norm"], optax.tree.get(state, "nu")["norm"]
    assert [float(x[0]) for x in (mu["scale"], mu["bias"], nu["scale"], nu["bias"])] == [
        1,
        2,
        10,
        20,
    ]


def entry(shape, value=1.0, step=1.0):
    x = np.full(shape, value, np.float32)
    return {"step": step, "exp_avg": x, "exp_avg_sq": x}


ORDERS = {  # class: its options, and how Keras calls each parameter's memories, block by block
    "Adam": (
        {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7, "amsgrad": True},
        [["momentum", "velocity"], ["velocity_hat"]],
    ),
    "RMSprop": (
        {"rho": 0.9, "momentum": 0.9, "epsilon": 1e-7, "centered": True},
        [["velocity"], ["momentum"], ["average_gradient"]],
    ),
    "Adamax": ({"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}, [["momentum", "norm"]]),
    "Adadelta": ({"rho": 0.9, "epsilon": 1e-7}, [["accumulated_grad", "accumulated_delta_var"]]),
}


@pytest.mark.parametrize("kind", ORDERS)
def test_keras_s_memories_in_another_order_are_refused(kind):
    """Equal shapes and positive numbers: as roots or means of each other they went unnoticed."""
    options, blocks = ORDERS[kind]
    config = {"class_name": kind, "config": {"learning_rate": 0.1, **options}}
    params = {"dense": jnp.ones(2), "dense_1": jnp.ones(2)}
    called = [f"o/{p}_{m}" for block in blocks for p in params for m in block]
    begin = [("o/iteration", 3), ("o/learning_rate", 0.1)]
    theirs = [(path, np.full(2, i + 1.0)) for i, path in enumerate(called)]
    from_keras(config, begin + theirs, params)
    from_keras(config, begin + [(path + "_1", x) for path, x in theirs], params)
    for other in (theirs[::-1], sorted(theirs, key=lambda each: each[0].split("_")[-1][::-1])):
        with pytest.raises(ValueError, match=rf"in another order than Keras's {kind} has them"):
            from_keras(config, begin + other, params)


def test_adafactor_s_leaves_are_told_by_the_only_path_that_names_them():
    """Keras calls the rows and the columns of every Dense "kernel"."""
    config = {"class_name": "Adafactor", "config": {"learning_rate": 0.1}}
    layers = ["dense", "dense_1", "dense_10", "dense_2"]
    params = {layer: {"kernel": jnp.ones((2, 2))} for layer in sorted(layers, key=len)}
    variables = [("adafactor/iteration", 3), ("adafactor/learning_rate", 0.1)]
    for i, layer in enumerate(reversed(layers)):
        rows = [("adafactor/kernel", np.full(2, i + 1.0))] * 2
        variables += [*rows, (f"adafactor/m_{layer}_kernel_velocity", np.zeros((2, 2)))]
    _, state = from_keras(config, variables, {"m": params})
    found = {k: float(x["kernel"][0]) for k, x in optax.tree.get(state, "v_row")["m"].items()}
    assert found == {layer: i + 1.0 for i, layer in enumerate(reversed(layers))}


@pytest.mark.parametrize("flat", [False, True])
def test_states_keyed_by_names(flat):
    """What FSDP and torch.distributed.checkpoint write; torch 2.13's keys."""
    shapes = {"0.weight": (3, 2), "0.bias": (3,)}
    group = {**ADAM, "foreach": None, "capturable": False, "fused": None, "maximize": False}
    group |= {"differentiable": False, "decoupled_weight_decay": False}
    memory = {name: entry(shape, i + 1.0) for i, (name, shape) in enumerate(shapes.items())}
    saved = {"state": memory, "param_groups": [{**group, "params": list(shapes)}]}
    if flat:
        saved = {f"state.{n}.{key}": x for n, e in memory.items() for key, x in e.items()}
        saved |= {f"param_groups.{n}.{key}": x for n in shapes for key, x in group.items()}
    params = {"Dense_0": {"bias": jnp.ones(3), "kernel": jnp.ones((2, 3))}}
    for options in ({}, {"names": ["Dense_0/kernel", "Dense_0/bias"]}):
        _, state = from_torch(saved, params, transpose=True, **options)
        mu = optax.tree.get(state, "mu")["Dense_0"]
        assert float(mu["kernel"][0, 0]) == 1 and float(mu["bias"][0]) == 2


def test_memories_of_unknown_parameters_are_named():
    saved = {"state": {"x": entry(2)}, "param_groups": [{**ADAM, "params": ["fc.weight"]}]}
    with pytest.raises(ValueError, match="state has memories of 'x', which is in no param group"):
        from_torch(saved, {"fc": {"weight": jnp.ones(2)}})


def test_parameters_of_a_group_with_different_steps_are_refused():
    saved = {"state": {0: entry((2,), step=3.0), 1: entry((3,), step=4.0)}}
    saved["param_groups"] = [{**ADAM, "params": [0, 1]}]
    with pytest.raises(ValueError, match=r"different numbers of steps: .'a': 3, 'b': 4"):
        from_torch(saved, {"a": jnp.ones(2), "b": jnp.ones(3)})


@dataclasses.dataclass
class Net:
    """As an Equinox module: a pytree that can be called."""

    w: jax.Array
    b: jax.Array

    def __call__(self, x):
        return x @ self.w + self.b


jax.tree_util.register_dataclass(Net, ["w", "b"], [])


def test_trees_that_can_be_called():
    net = Net(jnp.ones((2, 2)), jnp.ones(2))
    groups = [{**SGD, "lr": 0.1, "params": [0]}, {**SGD, "lr": 0.2, "params": [1]}]
    memory = {0: {"momentum_buffer": np.ones((2, 2))}, 1: {"momentum_buffer": np.ones(2)}}
    tx, state = from_torch({"state": memory, "param_groups": groups}, net)
    u, _ = tx.update(net, state, net)
    np.testing.assert_allclose([u.w[0, 0], u.b[0]], [-0.19, -0.38], rtol=1e-6)
    variables = [1, 0.1, np.ones((2, 2))]
    config = {"learning_rate": 0.1, "momentum": 0.9, "nesterov": False}
    tx, state = from_keras(config, variables, net, names=["w"])  # b is frozen
    assert not np.asarray(tx.update(net, state, net)[0].b).any()
    pull = add_decayed_weights(0.5, Net(True, False))
    u, _ = pull.update(net, pull.init(net), net)
    assert u.w[0, 0] == 1.5 and u.b[0] == 1


@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit])
def test_imported_memories_lie_as_their_parameters_do(kind):
    mesh = jax.make_mesh((4,), ("d",), axis_types=(kind,))
    saved = {"state": {0: entry((8, 4))}, "param_groups": [{**ADAM, "params": [0]}]}
    with jax.set_mesh(mesh):
        rows = NamedSharding(mesh, PartitionSpec("d", None))
        params = {"w": jax.device_put(jnp.ones((8, 4)), rows)}
        tx, state = from_torch(saved, params)
        assert optax.tree.get(state, "mu")["w"].sharding == rows
        u, _ = jax.jit(tx.update)(params, state, params)
        assert u["w"].sharding == rows


def test_a_leaf_of_nnx_has_one_path_everywhere():
    params = nnx.state(nnx.Linear(3, 2, rngs=nnx.Rngs(0)), nnx.Param)
    assert audit(adam(0.1), params)["path"].tolist()[:2] == ["bias", "kernel"]
    saved = {"state": {0: {"momentum_buffer": np.ones((2, 3))}, 1: {"momentum_buffer": np.ones(2)}}}
    saved["param_groups"] = [{**SGD, "params": [0, 1]}]
    for names in (["kernel", "bias"], ["kernel/value", "bias/value"]):  # the second is older
        turned = {names[0]: (1, 0)}
        tx, state = from_torch(saved, params, names=names, transpose=turned, frozen=names[1:])
        u = jax.tree.leaves(tx.update(params, state, params)[0])
        assert not np.asarray(u[0]).any() and np.asarray(u[1]).all()


def test_a_loss_scale_optimizer_is_named():
    inner = {"class_name": "Adam", "config": {"learning_rate": 0.1}}
    config = {"inner_optimizer": inner, "initial_scale": 32768.0}
    for given in (config, {"class_name": "LossScaleOptimizer", "config": config}):
        with pytest.raises(ValueError, match=r"LossScaleOptimizer wraps another.*inner_optimizer"):
            from_keras(given, [1, 2, 3], {"w": jnp.ones(2)})


def test_leaves_that_torch_was_not_given_are_said_to_stay():
    saved = numbered(["head.weight"], (2, 3), count=1)
    params = zeros("head/kernel", "new/kernel", "old/kernel", shape=(2, 3))
    with pytest.warns(UserWarning, match="no parameter for new/kernel, old/kernel: they do not tr"):
        tx, state = from_torch(saved, params)
    ones = jax.tree.map(jnp.ones_like, params)
    u, _ = tx.update(ones, state, params)
    assert {key: bool(leaf["kernel"].any()) for key, leaf in u.items()} == {
        "head": True, "new": False, "old": False,
    }  # fmt: skip
    from_torch(saved, params, names=["head/kernel"])  # said by the caller: silent
    from_torch(saved, params, frozen=["new/*", "old/*"])
    with pytest.warns(UserWarning, match="no parameter for old/kernel:"):
        from_torch(saved, params, frozen=["new/*"])


def test_leaves_that_keras_was_not_given_are_said_to_stay():
    memory = ("sgd/head_kernel_momentum", np.ones((2, 2), np.float32))
    variables = [("sgd/iteration", 1), ("sgd/learning_rate", 0.1), memory]
    config = {"learning_rate": 0.1, "momentum": 0.9, "nesterov": False}
    params = zeros("head/kernel", "new/kernel")
    with pytest.warns(UserWarning, match=r"no parameter for new/kernel: .*\(names= says"):
        from_keras(config, variables, params)
    from_keras(config, variables, params, names=["head/kernel"])


def test_of_many_names_the_first_are_listed_and_the_others_counted():
    names = [f"layer{i}" for i in range(26)]
    assert _listed(names[:24]) == ", ".join(names[:24])
    assert _listed(names[:25]) == ", ".join(names[:24]) + " and 1 more"
    assert _listed(names) == ", ".join(names[:24]) + " and 2 more"
