"""Search spaces are tables with the rows and the dtypes that were asked for."""

import dataclasses
import itertools
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxopt_course as joc
from jaxopt_course.tables.distributions import Integers, LogComplement, LogUniform, Uniform
from jaxopt_course.tables.space import nullable


def test_a_grid_is_every_combination_in_order():
    table = joc.grid(optimizer=["sgd", "adam"], learning_rate=[0.1, 1], seed=range(3))
    expected = list(itertools.product(["sgd", "adam"], [0.1, 1.0], [0, 1, 2]))
    assert list(table.itertuples(index=False, name=None)) == expected


def test_kinds_are_kept():
    table = joc.grid(optimizer="sgd", nesterov=[True, False], k=[1, 2], rate=[1, 0.5], none=pd.NA)
    kinds = ["string", "boolean", "Int64", "Float64", "Float64"]
    assert [str(dtype) for dtype in table.dtypes] == kinds
    assert table["none"].isna().all()


def test_numpy_values_and_missing_ones():
    table = joc.grid(learning_rate=np.geomspace(0.1, 10, 3), momentum=[None, np.float32(0.5)])
    assert table["learning_rate"].dtype == "Float64"
    assert table["momentum"].isna().sum() == 3


@pytest.mark.parametrize("draw", [joc.random, joc.sobol])
class TestSampling:
    space: ClassVar = {
        "learning_rate": joc.log_uniform(1e-4, 1),
        "momentum": joc.uniform(0, 0.9),
        "k": joc.integers(2, 4),
        "optimizer": ["sgd", "adam"],
    }

    def test_a_longer_table_starts_with_the_shorter_one(self, draw):
        short = draw(100, seed=3, seeds=range(2), **self.space)
        long = draw(200, seed=3, seeds=range(2), **self.space)
        pd.testing.assert_frame_equal(long.head(200), short)

    def test_seeds_are_crossed(self, draw):
        table = draw(7, seeds=[5, 6, 7], **self.space)
        assert len(table) == 21
        groups = table.groupby(["learning_rate", "momentum"], sort=False)["seed"]
        assert len(groups) == 7
        assert all(list(seeds) == [5, 6, 7] for _, seeds in groups)

    def test_values_lie_where_they_should(self, draw):
        table = draw(512, **self.space)
        assert table["learning_rate"].between(1e-4, 1).all()
        assert table["momentum"].between(0, 0.9).all()
        assert set(table["k"]) == {2, 3, 4}
        assert set(table["optimizer"]) == {"sgd", "adam"}
        decade = np.floor(np.log10(table["learning_rate"].to_numpy(float)))
        shares = pd.Series(decade).value_counts(normalize=True)
        assert ((shares - 0.25).abs() < 0.06).all()

    def test_the_seed_of_the_draw_matters(self, draw):
        one, other = (draw(8, seed=s, x=joc.uniform(0, 1)) for s in (0, 1))
        assert (one["x"] != other["x"]).all()

    @pytest.mark.parametrize("n", [0, -1, 2.5, True])
    def test_a_wrong_count_is_named(self, draw, n):
        with pytest.raises(ValueError, match="n must be a whole number"):
            draw(n, x=joc.uniform(0, 1))


@settings(max_examples=25, deadline=None)
@given(n=st.integers(1, 70), more=st.integers(1, 70), columns=st.integers(1, 6))
def test_sobol_grows_by_appending(n, more, columns):
    space: ClassVar = {f"x{i}": joc.uniform(0, 1) for i in range(columns)}
    pd.testing.assert_frame_equal(joc.sobol(n + more, **space).head(n), joc.sobol(n, **space))


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: joc.grid(), "at least one column"),
        (lambda: joc.grid(x=[]), "'x' has no values"),
        (lambda: joc.grid(x=np.arange(1e4), y=np.arange(1e4), z=range(100)), "not 10,000,000,000"),
        (lambda: joc.random(10**6, seeds=range(200), x=[1, 2]), "at most, not 200,000,000"),
        (lambda: joc.grid(x=itertools.count()), "'x' has more than 10,000,000 values"),
        (lambda: joc.grid(x=[1, "a"]), "'x' must hold"),
        (lambda: joc.grid(x=[True, 1]), "'x' must hold"),
        (lambda: joc.grid(x=joc.uniform(0, 1)), "a grid needs values"),
        (lambda: joc.uniform(1, 0), "low < high"),
        (lambda: joc.uniform(0, float("inf")), "finite"),
        (lambda: joc.log_uniform(0, 1), "low > 0"),
        (lambda: joc.integers(0.5, 2), "whole numbers"),
        (lambda: joc.log_uniform("1e-3", 1), "log_uniform needs numbers, not '1e-3' .YAML"),
        (lambda: joc.uniform(0, "1e-3"), "uniform needs numbers, not '1e-3'"),
        (lambda: joc.grid(optimizer={"sgd", "adam"}), "'optimizer' is a set, which has no order"),
        (lambda: joc.sobol(2, optimizer=frozenset({"sgd"})), "a set, which has no order"),
        (lambda: joc.grid(optimizer={"sgd": 0.1}), "'optimizer' is a dictionary: give a list"),
    ],
)
def test_bad_spaces_say_what_is_wrong(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()


# --- boxes ---


def test_every_optimizer_has_a_box_of_numbers_that_it_takes():
    """Learning rate first, weight decay where it has one; the default within, if there is one."""
    from jaxopt_course.optimizers.boxes import BOXES
    from jaxopt_course.tables.signatures import parameters_of

    assert set(joc.OPTIMIZERS) <= set(BOXES)
    for name in joc.OPTIMIZERS:
        table = joc.search_space(name)
        takes = parameters_of(name)
        assert table["name"].iloc[0] == "learning_rate" and table["name"].is_unique
        assert ("weight_decay" in takes) == ("weight_decay" in set(table["name"])), name
        # a row that is not shown would be one whose name is misspelt
        assert [box.name for box in BOXES[name]] == table["name"].tolist()[:-2]
        assert (table["low"] < table["high"]).all() and table["source"].str.len().gt(2).all()
        inside = table["default"].between(table["low"], table["high"]) | table["default"].isna()
        apart = {"weight_decay", "adam_weight_decay", "ema_decay", "weight_decay_rate"}  # 0: no log
        assert set(table["name"][~inside]) <= apart, table[~inside]


def test_a_space_of_several_and_of_a_framework_s():
    table = joc.search_space("sgd", "keras.adamw")
    assert set(table["optimizer"]) == {"sgd", "keras.adamw"}
    mine = table[table["optimizer"] == "keras.adamw"].set_index("name")
    assert mine.loc["weight_decay", "default"] == 0.004  # Keras's
    assert set(joc.search_space()["optimizer"]) == set(joc.OPTIMIZERS)


TUNE = ["learning_rate", "weight_decay", "b2"]


def test_each_optimizer_is_drawn_from_its_own_box():
    names = ["sgd", "adamw", "lion"]
    table = joc.sobol(64, optimizer=names, tune=TUNE, seeds=range(2), seed=4)
    assert len(table) == 64 * 3 * 2 and list(table) == ["optimizer", *TUNE, "seed"]
    assert table["optimizer"].value_counts().nunique() == 1
    space = joc.search_space(*names).set_index(["optimizer", "name"])
    for name in names:
        own = table[table["optimizer"] == name]
        for number in TUNE:
            if (name, number) not in space.index:
                assert own[number].isna().all()
                continue
            low, high = (float(space.loc[(name, number), side]) for side in ("low", "high"))
            assert own[number].between(low, high).all() and own[number].nunique() == 64
            near = np.log((1 - own[number] if number == "b2" else own[number]).astype(float))
            assert np.ptp(near) > 0.95 * abs(
                np.log((1 - high) / (1 - low)) if number == "b2" else np.log(high / low)
            )
    short = joc.sobol(20, optimizer=names, tune=TUNE, seeds=range(2), seed=4)
    pd.testing.assert_frame_equal(table.head(len(short)), short)


def test_other_columns_are_drawn_for_all_alike():
    table = joc.sobol(
        8, optimizer=["sgd", "adam"], tune=["learning_rate"], dropout=joc.uniform(0, 0.5), l2=0.1
    )
    by = table.groupby("optimizer")["dropout"].apply(list)
    assert by["sgd"] == by["adam"] and len(set(by["adam"])) == 8 and (table["l2"] == 0.1).all()


def changed(**cells):
    """adam's space with other cells in its first row."""
    table = joc.search_space("adam")
    for name, cell in cells.items():
        table.loc[0, name] = cell
    return table


def test_a_changed_box_is_the_one_that_is_drawn_from():
    table = joc.sobol(
        32, optimizer="adam", tune=["learning_rate"], space=changed(low=0.5, high=0.6)
    )
    assert table["learning_rate"].between(0.5, 0.6).all()


@pytest.mark.parametrize(
    "options, words",
    [
        ({"tune": ["momentun"]}, "no optimizer takes 'momentun': unknown number to tune"),
        ({"tune": ["weight_decay"]}, "no optimizer takes 'weight_decay'"),
        ({"tune": ["learning_rate", "momentun"]}, "no optimizer takes 'momentun'"),
        ({"tune": ["eps_root"]}, "'eps_root' has no box for any of adam; give space="),
        ({"tune": []}, "tune= names nothing"),
        ({"tune": ["b1"], "b1": 0.9}, "'b1' is to be tuned, and a column too"),
        ({"tune": ["b1"], "optimizer": ["adam", "sgd"]}, "sgd has no box for any of b1"),
        ({"tune": ["b1"], "optimizer": "adm"}, "unknown optimizer 'adm'; did you mean 'adam'"),
        ({"tune": None, "space": changed()}, "give tune= too"),
        ({"space": changed(low=5.0)}, "adam's 'learning_rate' needs finite bounds low < high"),
        ({"space": changed(low=-1.0)}, "log_uniform, which needs low > 0, not -1.0"),
        ({"space": changed(low=0.0)}, "log_uniform, which needs low > 0, not 0.0"),
        ({"space": changed(distribution="log_complement", high=2.0)}, "within 0 and 1"),
        ({"space": changed(distribution="normal")}, "unknown distribution 'normal'"),
    ],
)
def test_what_cannot_be_tuned(options, words):
    with pytest.raises(ValueError, match=words):
        joc.sobol(4, **{"optimizer": "adam", "tune": ["learning_rate"]} | options)


def test_what_is_no_list_and_no_table():
    with pytest.raises(TypeError, match="tune= is a list of names"):
        joc.sobol(4, optimizer="adam", tune="learning_rate")
    with pytest.raises(TypeError, match="space= is a table as search_space"):
        joc.sobol(4, optimizer="adam", tune=["b1"], space={"b1": (0, 1)})
    with pytest.raises(ValueError, match="tune= is for optimizers: name them"):
        joc.sobol(4, tune=["b1"])


@pytest.mark.parametrize(
    "values, dtype, kind",
    [
        ([1, None], "Int64", "Int64"),
        ([None], "Int64", "Float64"),  # no value, no kind
        ([None], "boolean", "Float64"),
        ([0.5, None], "Float64", "Float64"),
        ([True, None], "boolean", "boolean"),
        (["a", None], "str", "string"),
        (["a", None], "string", "string"),
    ],
)
def test_columns_that_have_their_kind_keep_it(values, dtype, kind):
    column = nullable("x", pd.Series(values, dtype=dtype))
    assert str(column.dtype) == kind and column.isna().tolist() == [x is None for x in values]
    assert nullable("x", column).equals(column)


def test_a_nan_in_a_nullable_column_is_an_empty_cell():
    nan = pd.Series(pd.arrays.FloatingArray(np.array([np.nan, 1.0]), np.array([False, False])))
    assert nullable("x", nan).isna().tolist() == [True, False]


@pytest.mark.parametrize("kind", [Uniform, LogUniform, LogComplement, Integers])
def test_a_distribution_is_a_value(kind):
    one, same = kind(1, 2), kind(1, 2)
    assert one == same and len({one, same}) == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.low = 2
