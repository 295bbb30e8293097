"""Search spaces are tables with the rows and the dtypes that were asked for."""

import itertools
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxopt_course as joc


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
        (lambda: joc.grid(x=[1, "a"]), "'x' must hold"),
        (lambda: joc.grid(x=[True, 1]), "'x' must hold"),
        (lambda: joc.grid(x=joc.uniform(0, 1)), "a grid needs values"),
        (lambda: joc.uniform(1, 0), "low < high"),
        (lambda: joc.uniform(0, float("inf")), "finite"),
        (lambda: joc.log_uniform(0, 1), "low > 0"),
        (lambda: joc.integers(0.5, 2), "whole numbers"),
    ],
)
def test_bad_spaces_say_what_is_wrong(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()
