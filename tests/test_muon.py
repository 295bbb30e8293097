"""Muon: what is a matrix, how it is read, what the step is, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import assert_trees_equal, deviation, rollout
from long_form import put
from optax.contrib import MuonDimensionNumbers

import jaxopt_course as joc
from jaxopt_course.conventions import convention
from jaxopt_course.transforms.matrices import matrices

SHAPES = {"wide": (3, 5), "tall": (5, 3), "bias": (5,), "conv": (2, 2, 3, 4), "heads": (2, 3, 4)}
AXES = {"conv": ((0, 1, 2), 3), "heads": (1, -1)}


def draw(shapes=None, steps=(), seed=0, dtype=float):
    rng = np.random.default_rng(seed)
    shapes = SHAPES if shapes is None else shapes
    return {k: jnp.asarray(rng.normal(size=(*steps, *s)), dtype) for k, s in shapes.items()}


def step(tx, g, params=None):
    """The first update."""
    params = g if params is None else params
    return tx.update(g, tx.init(params), params)[0]


@pytest.mark.parametrize(
    "options",
    [put({}, False), {"consistent_rms": 0.2, "preconditioning": "aol", "weight_decay": 0.1}],
    ids=["defaults", "other"],
)
def test_stacks_and_kernels_are_read_as_optax_reads_them(options):
    """30 steps in float64, with our rule by path in optax's muon too."""
    options = {**options, "muon_weight_dimension_numbers": joc.matrix_axes(AXES | {"tall": None})}
    with jax.enable_x64(True):
        run = lambda make: rollout(make(0.03, **options), draw(steps=(30,)), draw(seed=1))[0]
        ours, theirs = jax.jit(lambda: (run(joc.muon), run(optax.contrib.muon)))()
    assert deviation(ours, theirs) <= 1e-12


def test_a_stack_is_its_matrices_apart():
    """Heads side by side, and lanes: each head as if it were alone."""
    axes = joc.matrix_axes({"heads": (1, 2)})
    stack = draw({"heads": (4, 3, 5)}, dtype=jnp.float32)
    together = step(joc.muon(0.1, muon_weight_dimension_numbers=axes), stack)["heads"]
    for head, u in zip(stack["heads"], together, strict=True):
        np.testing.assert_allclose(step(joc.muon(0.1), {"w": head})["w"], u, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rms, factor", [(None, 1.0), (0.2, 0.2 * 1536**0.5)])
def test_a_convolution_moves_like_the_matrix_that_it_is(rms, factor):
    """KellerJordan/Muon#60: a factor of the kernel's last axes is none of the matrix's.

    pytorch-image-models#2791: with 0.2 √(height · width) a kernel of 16 x 16 x 6 -> 12 moves
    √(1536 / 256) times too little; of 3 x 3 x 512 -> 512, 512 times.
    """
    kernel = draw({"conv": (16, 16, 6, 12)}, dtype=jnp.float32)["conv"]
    axes = MuonDimensionNumbers((0, 1, 2), 3)
    tx = joc.scale_by_shape(axes, rms)
    np.testing.assert_allclose(step(tx, kernel), factor * kernel, rtol=1e-6)
    flat = joc.muon(0.1, consistent_rms=rms)
    as_kernel = joc.muon(0.1, consistent_rms=rms, muon_weight_dimension_numbers=axes)
    u = step(flat, kernel.reshape(1536, 12))
    np.testing.assert_allclose(step(as_kernel, kernel).reshape(1536, 12), u, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("shape", [(64, 16), (16, 64), (32, 32)])
def test_the_root_mean_square_of_a_step_does_not_depend_on_the_shape(shape):
    """Of rate 1 and ρ = 0.2: 0.2, up to what five steps leave of the singular values."""
    u = step(joc.muon(1.0, consistent_rms=0.2), draw({"w": shape}, dtype=jnp.float32))["w"]
    assert float(jnp.sqrt(jnp.mean(u**2))) == pytest.approx(0.2, rel=0.15)
    wide = step(joc.muon(1.0), draw({"w": shape}, dtype=jnp.float32))["w"]
    largest = float(jnp.linalg.norm(wide, ord=2))
    assert largest == pytest.approx(max(1.0, (shape[1] / shape[0]) ** 0.5), rel=0.25)


def test_a_longer_iteration_gives_the_nearest_orthogonal_matrix():
    with jax.enable_x64(True):
        g = draw({"w": (4, 6)})["w"]
        left, _, right = np.linalg.svd(g, full_matrices=False)
        tx = joc.orthogonalize((1.5, -0.5, 0.0), 60)
        np.testing.assert_allclose(step(tx, g), left @ right, atol=1e-12)
        five = np.linalg.svd(step(joc.orthogonalize(), g))[1]
        assert five.min() > 0.68 and five.max() < 1.21


def test_a_traced_number_of_steps_is_that_number():
    g = draw({"w": (3, 4)}, dtype=jnp.float32)["w"]
    lanes = jax.vmap(lambda k: step(joc.orthogonalize(ns_steps=k), g))(jnp.array([0, 2, 5]))
    for lane, k in zip(lanes, (0, 2, 5), strict=True):
        np.testing.assert_allclose(lane, step(joc.orthogonalize(ns_steps=k), g), rtol=1e-5)


def test_gradients_of_1e30_and_of_0():
    """The norm is measured where its square overflows; a matrix of zeros stays."""
    g = {"w": jnp.array([[1e30, 0.0], [0.0, 1e30]]), "v": jnp.zeros((2, 3))}
    u = step(joc.muon(0.1), g)
    assert float(jnp.abs(u["w"][0, 0])) > 0.05 and not u["v"].any()
    slope = jax.grad(lambda eta: step(joc.muon(eta), g)["v"].sum())(0.1)
    assert np.isfinite(slope)


def test_bfloat16_leaves_are_computed_in_float32():
    g = draw({"w": (3, 5)}, dtype=jnp.bfloat16)
    tx = joc.muon(0.1)
    u, state = tx.update(g, tx.init(g), g)
    assert u["w"].dtype == jnp.bfloat16
    assert state.inner_states["muon"].inner_state[0].mu["w"].dtype == jnp.float32
    wide = step(tx, jax.tree.map(lambda x: x.astype(jnp.float32), g))["w"]
    np.testing.assert_allclose(u["w"].astype(jnp.float32), wide, rtol=2**-6)


def test_like_keras_leaves_embeddings_and_named_layers_to_adam():
    params = draw({"Embed_0/embedding": (4, 3), "out/kernel": (3, 2), "mid/kernel": (3, 3)})

    def to_adam(**options):
        state = joc.muon(like="keras", **options).init(params)[1]
        memories = state.inner_states["adam"].inner_state[0].nu
        return {k for k, x in memories.items() if not isinstance(x, optax.MaskedNode)}

    assert to_adam() == {"Embed_0/embedding"}
    assert to_adam(exclude_layers=["^out"]) == {"Embed_0/embedding", "out/kernel"}
    assert to_adam(exclude_embeddings=False) == set()


@pytest.mark.parametrize("like", ["optax", "keras", "torch", "paper"])
def test_a_tree_without_a_matrix_is_refused_by_name(like):
    tx = convention("muon", like)(learning_rate=0.1)
    with pytest.raises(ValueError, match=r"muon: no parameter is a matrix \(b \(3,\), conv"):
        tx.init({"b": jnp.ones(3), "conv": jnp.ones((2, 2, 3, 4))})
    with pytest.raises(ValueError, match=r"no parameter is a matrix \(θ \(3,\)\); take adamw"):
        tx.init(jnp.ones(3))
    tx.init({})  # optax asks so for the structure of a state


BAD = {
    "preconditioning": ({"preconditioning": "frobenious"}, "frobenius"),
    "preset": ({"ns_coeffs": "muon"}, "dion"),
    "two coefficients": ({"ns_coeffs": (1.0, 2.0)}, r"shape \(3,\) or \(n, 3\), not \(2,\)"),
    "too many triples": ({"ns_coeffs": "dion", "ns_steps": 3}, "5 triples for ns_steps=3"),
    "negative steps": ({"ns_steps": -1}, "at least 0"),
}


@pytest.mark.parametrize("case", BAD)
def test_odd_arguments_are_named(case):
    options, words = BAD[case]
    with pytest.raises(ValueError, match=words):
        joc.muon(0.1, **options)


def test_odd_axes_are_named():
    with pytest.raises(TypeError, match=r"'conv': \(reduction axes, output axes\) such as"):
        joc.matrix_axes({"conv": 3})
    with pytest.raises(TypeError, match="patterns must be a dictionary, pattern -> axes"):
        joc.matrix_axes([("conv", None)])
    whole = joc.matrix_axes(
        {"conv": (np.int64(0), np.array([1, 2]).tolist())}
    )  # as code finds them
    assert whole({"conv": jnp.ones((2, 3, 4))})["conv"] == MuonDimensionNumbers(0, (1, 2))
    params = draw({"conv": (2, 3, 4), "w": (2, 2)})
    with pytest.raises(ValueError, match="'kernel' matches no leaf; the leaves are 'conv', 'w'"):
        joc.matrix_axes({"kernel": None})(params)
    refused = {(0, 3): r"conv of shape \(2, 3, 4\) is no matrix", (0, (0, 1)): "must be other ones"}
    for axes, words in refused.items():
        with pytest.raises(ValueError, match=words):
            matrices(params, joc.matrix_axes({"conv": axes}))
    odd = {"other": None}, {"conv": None, "w": (0, 1)}
    words = "the tree of axes has 'other', which is no leaf", "the tree of axes has 'w/0', which is"
    for tree, said in zip(odd, words, strict=True):  # given, and made by a function
        for axes in (tree, lambda _, tree=tree: tree):
            with pytest.raises(ValueError, match=said):
                matrices(params, axes)
    with pytest.raises(ValueError, match=r"b of shape \(3,\) is no matrix: leave it to another"):
        joc.scale_by_muon().init({"b": jnp.ones(3)})


def test_it_is_a_column_of_a_sweep_beside_adam():
    """Switch over a union of states: each lane as the recipe alone."""
    params = draw({"w": (3, 4), "b": (4,)}, dtype=jnp.float32)
    members = [joc.adam(0.1), joc.muon(0.1, weight_decay=0.1)]
    gs = draw({"w": (3, 4), "b": (4,)}, steps=(5,), dtype=jnp.float32)
    run = lambda tx: rollout(tx, gs, params)[0]
    lanes = jax.jit(jax.vmap(lambda i: run(joc.switch(i, members))))(jnp.arange(2))
    for i, member in enumerate(members):
        alone = jax.jit(lambda m=member: run(m))()
        for a, b in zip(jax.tree.leaves(lanes), jax.tree.leaves(alone), strict=True):
            np.testing.assert_allclose(a[i], b, rtol=1e-5, atol=1e-6)


@pytest.mark.long
def test_explain_names_what_differs(capsys):
    found = joc.explain("torch", "keras", optimizer="muon", steps=3)
    shown = capsys.readouterr().out
    for words in ("bfloat16", "consistent_rms", "exclude_embeddings", "weight_decay", "AdamW"):
        assert words in shown
    assert found.arguments["weight_decay"] == (0.1, 0.004)
    same = joc.explain("torch", "torch", optimizer="muon", steps=3)
    assert same.own_defaults == 0 and not capsys.readouterr().err


def test_one_leaf_does_not_know_of_another():
    params = draw({"a": (2, 3), "b": (2, 3), "c": (3,)}, dtype=jnp.float32)
    together = step(joc.muon(0.1), params)
    for name in ("a", "b"):
        assert_trees_equal(together[name], step(joc.muon(0.1), {name: params[name]})[name])
