"""A table is checked and completed before anything compiles; every mistake is named."""

import decimal
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import jaxopt_course as joc
from jaxopt_course.base import Decay
from jaxopt_course.tables.cells import content_id
from jaxopt_course.tables.columns import check_columns


def table(**columns):
    return joc.grid(**{"optimizer": "adam", "learning_rate": 0.1} | columns)


@pytest.mark.parametrize(
    "trials, optimizer, error, message",
    [
        ([1, 2], None, TypeError, r"must be a pandas.DataFrame, .* or pandas.DataFrame\(trials\)"),
        (table().head(0), None, ValueError, "empty"),
        (table(seed=[3, 4]).set_index("seed"), None, ValueError,
         r"index has a name, 'seed', and would be lost: trials.reset_index\(\)"),
        (table(b1=[0.5, 0.9], b2=0.9).set_index(["b2", "b1"]), None, ValueError, "name, 'b2'"),
        (joc.grid(learning_rate=0.1), None, ValueError, 'no column "optimizer"'),
        (table(optimizer="adm"), None, ValueError, "unknown optimizer 'adm'; did you mean 'adam'"),
        (joc.grid(learning_rate=1), "nadm", ValueError, "unknown optimizer 'nadm'; did you mean"),
        (table(), "adam", ValueError, "not both"),
        (table(), lambda h: joc.sgd(0.1), ValueError, "is one function"),
        (table(), 3, TypeError, "a name, a function or a dictionary"),
        (table(b_1=0.9), None, ValueError, "'b_1'; did you mean 'b1'"),
        (table(optimizer=["adam", "sgd"], b1=0.9), None, ValueError, r"sgd does not take 'b1'"),
        (table(learning_rate=pd.NA), None, ValueError, "row 0 .adam. has no 'learning_rate'"),
        (table(learning_rate=[0.1, -0.1]), None, ValueError, r"negative \(-0.1\) in row 1"),
        (table(learning_rate="fast"), None, TypeError, "must hold numbers, not 'fast'"),
        (table(eps=[1e-8, np.inf]), None, ValueError, "'eps' is infinite in row 1"),
        (table(nesterov=1.0), None, TypeError, "'nesterov' of adam takes True or False"),
        (table(b1=True), None, TypeError, "'b1' of adam takes numbers"),
        (table(b2=[0.9, 1.5]), None, ValueError,
         "'b2' of adam is a decay, from 0 to 1, and row 1 has 1.5"),
        (table(optimizer="sgd", momentum=[0.9, -1]), None, ValueError,
         "'momentum' of sgd is a decay, from 0 to 1, and row 1 has -1"),
        (table(optimizer=["muon", "sgd"], beta=2).query("optimizer == 'muon'"), None, ValueError,
         "'beta' of muon is a decay"),
        (table(seed=-1), None, ValueError, "'seed' must hold whole numbers"),
        (table(seed=0.5), None, ValueError, "'seed' must hold whole numbers"),
        (table(seed=2**32), None, ValueError, "'seed' must hold whole numbers"),
        (table(seed="a"), None, ValueError, "'seed' must hold whole numbers .* not 'a'"),
        (table(clip_norm=[1.0, 0.0]), None, ValueError, "'clip_norm' has 0.0 in row 1; it must be"),
        (table(ema_decay=[0.5, -0.1]), None, ValueError, "'ema_decay' has -0.1 in row 1"),
        (table(ema_decay=0.9, ema_half_life=9.0), None, ValueError,
         "row 0 has an 'ema_decay' and an 'ema_half_life'; give one"),
        (table(eps=1e300), None, ValueError, "'eps' is beyond float32 in row 0"),
        (joc.grid(k=2**40), lambda h: joc.sgd(h["k"]), ValueError, "numbers beyond 32 bits"),
        (joc.grid(k=[1, 2**31]), lambda h: joc.sgd(h["k"]), ValueError, "numbers beyond 32 bits"),
        (joc.grid(learning_rate=1), joc.adam, TypeError, "by its name, optimizer='adam'"),
        (table(step=1), None, ValueError, "may not be called 'step'"),
        (table(at_edge=1), None, ValueError, "may not be called 'at_edge'"),
        (table(status="finished"), None, ValueError, "may not be called"),
        (table(valid_loss=1.0), None, ValueError, "may not be called"),
        (joc.grid(x=1.0, kind="a"), lambda h: joc.sgd(h["x"]), TypeError, "'kind' holds text"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), None, ValueError, "different strings"),
    ],
)  # fmt: skip
def test_mistakes_are_named(trials, optimizer, error, message):
    with pytest.raises(error, match=message):
        check_columns(trials, optimizer)


def test_whole_numbers_of_32_bits_are_taken():
    trials = joc.grid(k=[-(2**31), -5, 2**31 - 1])
    assert check_columns(trials, lambda h: joc.sgd(h["k"])).trials["k"].equals(trials["k"])


def test_mistakes_come_before_anything_compiles(monkeypatch):
    compiled = "jaxopt_course.studies.session.compile_bucket"
    monkeypatch.setattr(compiled, lambda *_: pytest.fail("compiled"))
    for bad in ({"batch_size": 0}, {"batch_size": 5000}, {"steps": 5}, {"lanes": 0},
                {"metric": "valid_acuracy"}, {"metric": "test_loss"}, {"epochs": 1.5}):  # fmt: skip
        with pytest.raises((ValueError, TypeError)):
            joc.sweep("digits", table(), **{"epochs": 1} | bad)


def test_odd_but_harmless_tables():
    """Empty seeds, seeds as floats, categories, a strange index, NumPy and JAX scalars."""
    joined = pd.concat([table(seed=[0, 1]), table(learning_rate=0.2)])
    assert check_columns(joined).trials["seed"].tolist() == [0, 1, 0]
    assert check_columns(table(seed=[2.0, 3.0])).trials["seed"].tolist() == [2, 3]
    odd = pd.DataFrame(
        {
            "optimizer": pd.Categorical(["adam", "sgd"]),
            "learning_rate": pd.Series([np.array(0.5), np.float32(0.25)], dtype=object),
        }
    )
    rates = check_columns(odd.set_index(pd.Index(["x", "y"]))).trials["learning_rate"]
    assert rates.tolist() == [0.5, 0.25]
    assert joc.grid(learning_rate=jnp.array([0.5, 1.0]))["learning_rate"].tolist() == [0.5, 1.0]
    with pytest.raises(TypeError, match="'x' must hold numbers, booleans or text, not Decimal"):
        joc.grid(x=[decimal.Decimal(1)])
    with pytest.raises(ValueError, match="'seed' holds whole numbers beyond 64 bits"):
        table(seed=2**70)


def test_a_decay_of_nothing_is_a_decay():
    """The average of no memory, the weights themselves; a norm of 0 would train nothing."""
    checked = check_columns(table(ema_decay=[0.0, 0.9]))
    assert checked.trials["ema_decay"].tolist() == [0.0, 0.9]


def test_an_optimizer_beside_the_table_is_as_one_in_it():
    beside = check_columns(joc.grid(learning_rate=[0.1, 0.2]), "adam").trials
    pd.testing.assert_frame_equal(beside, check_columns(table(learning_rate=[0.1, 0.2])).trials)


def test_defaults_are_written_in():
    trials = check_columns(table(b1=[0.5, pd.NA])).trials
    assert list(trials["b1"]) == [0.5, 0.9]
    assert list(trials["b2"]) == [0.999, 0.999]
    assert list(trials["eps"]) == [1e-8, 1e-8]


def test_the_program_does_not_depend_on_the_columns_that_were_spelled_out():
    short, long = (check_columns(t) for t in (table(), table(b1=0.9, eps=1e-8)))
    assert set(short.hyperparameters) == set(long.hyperparameters)
    assert list(short.trials["id"]) == list(long.trials["id"])


def test_adadelta_needs_no_learning_rate():
    assert list(check_columns(joc.grid(optimizer="adadelta")).trials["learning_rate"]) == [1.0]


def test_a_memory_that_nobody_asks_for_stays_out():
    assert "momentum" not in check_columns(table(optimizer="sgd")).hyperparameters
    with_it = check_columns(table(optimizer="sgd", momentum=[0.9, pd.NA])).trials
    assert list(with_it["momentum"]) == [0.9, 0.0]


def test_nor_does_another_optimizers_column_bring_it_in():
    """Beside "momentum", whose column is filled, "sgd" and "rmsprop" keep no momentum."""
    columns = check_columns(table(optimizer=["sgd", "momentum", "rmsprop"]))
    assert columns.trials["momentum"].isna().tolist() == [True, False, True]
    assert not {("sgd", "momentum"), ("rmsprop", "momentum")} & columns.reads
    columns.check_read()


def test_a_cell_that_the_optimizer_does_not_take_is_empty():
    both = pd.concat([table(), table(optimizer="sgd")], ignore_index=True)
    trials = check_columns(both).trials
    assert trials["b1"].isna().tolist() == [False, True]


def test_decays_are_rounded_once():
    """1 - b from float64, not from the float32 b; a user's function gets the plain number."""
    columns = check_columns(table(b2=0.999))
    pair = columns.arrays(columns.trials)["hyperparameters"]["b2"]
    assert isinstance(pair, Decay)
    assert pair.complement[0] == np.float32(0.001)
    assert 1 - pair.value[0] != pair.complement[0]
    seen = {}
    mine = check_columns(joc.grid(b2=0.999), lambda h: seen.update(h) or joc.sgd(h["b2"]))
    mine.optimizer(mine.arrays(mine.trials)["hyperparameters"])
    assert seen["b2"].dtype == np.float32


def test_repeated_trials_are_flagged():
    with pytest.warns(UserWarning, match="1 trials repeat an earlier one .row 2"):
        trials = check_columns(joc.grid(optimizer="sgd", learning_rate=[0.1, 0.2, 0.1])).trials
    assert trials["duplicate_of"].isna().tolist() == [True, True, False]
    assert trials["duplicate_of"][2] == 0


def test_the_id_is_of_the_content():
    assert content_id({"a": 1.0, "b": pd.NA}, 0) == content_id({"a": 1.0}, 0)
    assert content_id({"a": 1.0, "b": 2.0}, 0) == content_id({"b": 2.0, "a": 1.0}, 0)
    assert len({content_id({"a": a}, s) for a in (1.0, 2.0) for s in (0, 1)}) == 4


def test_a_column_that_the_function_does_not_read_is_named():
    with pytest.raises(ValueError, match="does not read the column 'b1'"):
        joc.sweep(
            "line", joc.grid(learning_rate=0.1, b1=0.9), lambda h: joc.adam(h["learning_rate"]),
            epochs=1, batch_size=5, progress=False,
        )  # fmt: skip


def sweep_line(trials, optimizer):
    return joc.sweep(
        "line", trials, optimizer, epochs=1, batch_size=5, progress=False, devices=jax.devices()[:1]
    )


def test_a_function_that_returns_nothing_is_named():
    with pytest.raises(TypeError, match="'<lambda>' must return a gradient transformation"):
        sweep_line(joc.grid(learning_rate=0.1), lambda h: None)


def test_an_empty_cell_that_a_function_reads_is_named():
    trials = joc.grid(learning_rate=[0.1, None])
    with pytest.raises(ValueError, match="row 1 has no 'learning_rate', which <lambda> reads"):
        sweep_line(trials, lambda h: joc.sgd(h["learning_rate"]))


def test_a_column_that_neither_function_nor_recipe_takes_is_named():
    trials = joc.grid(optimizer=["mine", "sgd"], learning_rate=0.1, typo=None)
    with pytest.raises(ValueError, match="does not read the column 'typo'"):
        sweep_line(trials, {"mine": lambda h: joc.sgd(h["learning_rate"])})


def test_a_column_that_the_table_lacks_is_named():
    with pytest.raises(KeyError, match="reads column 'b1', which the table does not have"):
        joc.sweep(
            "line", joc.grid(learning_rate=0.1), lambda h: joc.adam(h["learning_rate"], h["b1"]),
            epochs=1, batch_size=5, progress=False,
        )  # fmt: skip


def test_a_clean_table_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_columns(table(optimizer=list(joc.OPTIMIZERS), seed=range(3)))


@pytest.mark.parametrize("name", ["", "  ", "a\rb", "x\x1b[2J"])
def test_names_that_nobody_can_read_are_refused(name):
    table = joc.grid(optimizer="sgd", learning_rate=[0.1]).assign(**{name: 1.0})
    with pytest.raises(ValueError, match=r"has no name|cannot be printed"):
        check_columns(table)


def test_an_empty_text_is_refused():
    """Written and read it would be an empty cell, and its rows would go without a word."""
    table = joc.grid(optimizer=["sgd", ""], learning_rate=[0.1])
    with pytest.raises(ValueError, match="column 'optimizer' holds an empty text, which is no val"):
        check_columns(table)
