"""Weight decay that leaves biases and norms alone, as a column."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from long_form import every

import jaxopt_course as joc
from jaxopt_course.conventions import convention
from jaxopt_course.tables.columns import check_columns
from jaxopt_course.tables.masks import DECAY_BIASES, DECAYS, mask_of, spare_biases
from jaxopt_course.tables.signatures import parameters_of

PARAMS = {"kernel": jnp.full((2, 3), 2.0), "bias": jnp.full(3, 2.0), "scale": jnp.float32(2.0)}
NOTHING = jax.tree.map(jnp.zeros_like, PARAMS)


def pulled(trials, row=0):
    """Which leaves the row's optimizer moves where there is no gradient."""
    columns = check_columns(trials)
    name = columns.trials["optimizer"][row]
    numbers = columns.arrays(columns.trials)["hyperparameters"]
    h = jax.tree.map(lambda x: jnp.asarray(x)[row], numbers)
    tx = columns.member(h, name)
    u, _ = tx.update(NOTHING, tx.init(PARAMS), PARAMS)
    return {leaf for leaf, step in u.items() if np.any(step)}


@pytest.mark.parametrize("name", every(2, [n for n in joc.OPTIMIZERS if mask_of(n)]))
def test_biases_and_norms_are_left_out_where_asked(name):
    decay = next(decay for decay in DECAYS if decay in parameters_of(name))
    rows = joc.grid(optimizer=name, learning_rate=0.1, **{decay: 0.5})
    everywhere = pulled(rows)
    assert "kernel" in everywhere
    assert pulled(rows.assign(decay_biases=True)) == everywhere
    assert pulled(rows.assign(decay_biases=False)) == {"kernel"}


def test_the_table_says_where_they_are():
    rows = joc.grid(optimizer=["sgd", "adam", "adamw", "adadelta", "mine"], learning_rate=[0.1, 1])
    spared = spare_biases(rows.assign(seed=0))
    cells = spared.drop_duplicates("optimizer").set_index("optimizer")[DECAY_BIASES]
    assert cells.isna().tolist() == [True, True, False, True, True] and not cells["adamw"]
    given = spare_biases(joc.grid(optimizer="adadelta", weight_decay=[0.5, None], seed=0))
    assert given[DECAY_BIASES].isna().tolist() == [False, True]
    plain = joc.grid(optimizer=["sgd", "adam"], learning_rate=0.1, seed=0)
    assert DECAY_BIASES not in spare_biases(plain)


@pytest.mark.parametrize(
    "trials, words",
    [
        (
            joc.grid(optimizer="adamw", learning_rate=0.1, decay_biases=[True, False]),
            "both True and False in the rows of adamw",
        ),
        (
            joc.grid(optimizer="sgd", learning_rate=0.1, decay_biases=False),
            "no optimizer of this table takes the column 'decay_biases'",
        ),
    ],
)
def test_what_is_refused(trials, words):
    with pytest.raises(ValueError, match=words):
        check_columns(trials)


def test_a_column_that_is_no_switch():
    trials = joc.grid(optimizer="adamw", learning_rate=0.1, decay_biases=0.0)
    with pytest.raises(TypeError, match="takes True or False"):
        check_columns(trials)


def test_what_is_no_number_is_no_column():
    """Muon's coefficients, its way to a start, and loops of known length stay out of tables."""
    takes = parameters_of("muon")
    assert not {"ns_coeffs", "preconditioning", "muon_weight_dimension_numbers"} & set(takes)
    both = pd.concat([joc.grid(optimizer=n, learning_rate=0.1) for n in ("muon", "adam")])
    trials = check_columns(both).trials
    assert "ns_steps" not in trials and "adam_learning_rate" not in trials
    assert trials["beta"].tolist()[0] == 0.95
    some = joc.grid(optimizer="muon", learning_rate=0.1, adam_learning_rate=[0.1, None])
    with pytest.raises(ValueError, match=r"row 1 .muon. has no 'adam_learning_rate'"):
        check_columns(some)


@pytest.mark.parametrize("mask", [{"kernel": True, "rest": False}, lambda p: SPARED])
@pytest.mark.parametrize("like", ["optax", "paper"])
def test_prodigy_s_decay_is_left_out_leaf_by_leaf(mask, like):
    """λ enters the step alone: by leaf it is that with λ, or that without; d is one for all."""
    params = {"kernel": PARAMS["kernel"], "rest": {"b": PARAMS["bias"], "s": PARAMS["scale"]}}
    g = jax.tree.map(lambda x: x + 1.0, params)

    def second(weight_decay, mask=None):
        tx = joc.prodigy(estim_lr0=0.1, weight_decay=weight_decay, mask=mask, like=like)
        state = tx.init(params)
        _, state = tx.update(g, state, params)  # the same parameters: λ moves nothing else
        return tx.update(g, state, params)[0]

    ours, pulled, plain = second(0.5, mask), second(0.5), second(0.0)
    np.testing.assert_array_equal(ours["kernel"], pulled["kernel"])
    for name in ("b", "s"):
        np.testing.assert_array_equal(ours["rest"][name], plain["rest"][name])
        assert (ours["rest"][name] != pulled["rest"][name]).all()


SPARED = {"kernel": True, "rest": {"b": False, "s": False}}


def test_the_methods_of_today_have_a_mask():
    assert all(mask_of(name) for name in ("schedule_free_adamw", "schedule_free_sgd", "prodigy"))


# --- recipes with averaged weights, as optimizers of their own ---


@pytest.mark.long
def test_averaged_weights_are_an_optimizer_of_their_own():
    trials = joc.grid(optimizer=["adamw+ema", "adamw", "sgd"], learning_rate=0.3, seed=[0])
    study = joc.sweep(
        "line", trials, epochs=3, batch_size=4, progress=False, devices=jax.devices()[:1]
    )
    table = study.trials.set_index("optimizer")
    assert table.loc["adamw+ema", "ema_decay"] == 0.99 and table["valid_loss"].nunique() == 3
    # both were trained alike; evaluated are the mean of one, and the weights of the other
    assert table.loc["adamw+ema", "valid_loss_raw"] == pytest.approx(
        table.loc["adamw", "valid_loss"]
    )
    assert table.loc["adamw+ema", "valid_loss"] != table.loc["adamw+ema", "valid_loss_raw"]
    assert study.manifest["optimizers"] == ["sgd", "adamw", "adamw+ema"]


def test_their_boxes_are_the_recipe_s():
    space = joc.search_space("adamw+ema").set_index("name")
    assert space.loc["ema_decay", "default"] == 0.99
    drawn = joc.sobol(4, optimizer=["adamw", "adamw+ema"], tune=["learning_rate"])
    assert drawn["learning_rate"].nunique() == 4 and len(drawn) == 8
    with pytest.raises(ValueError, match=r"unknown optimizer 'adm\+ema'"):
        joc.search_space("adm+ema")


def test_torchs_muon_leaves_out_matrices_and_vectors_alike():
    """Without a gradient the decay is all that moves a weight."""
    params = {name: jnp.ones(shape) for name, shape in (("w", (2, 2)), ("v", (2, 2)), ("b", 2))}
    params["c"] = jnp.ones(3)
    decays = {"weight_decay": 0.5, "adam_weight_decay": 0.5}
    mask = {"w": True, "v": False, "b": True, "c": False}
    tx = convention("muon", "torch")(0.1, **decays, mask=mask)
    none = jax.tree.map(jnp.zeros_like, params)
    moves = tx.update(none, tx.init(params), params)[0]
    assert {name: bool(jnp.any(move != 0)) for name, move in moves.items()} == mask
