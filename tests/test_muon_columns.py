"""Muon in a table of trials: which of its arguments are numbers, and what an empty cell means."""

import numpy as np
import pandas as pd
import pytest

import jaxopt_course as joc
from jaxopt_course.tables.signatures import complete, parameters_of


def table(**columns):
    rows = pd.DataFrame({"learning_rate": pd.array([0.01, 0.02], "Float64")})
    rows.insert(0, "optimizer", pd.array(["muon"] * 2, "string"))
    rows = rows.assign(**{k: pd.array(v, "Float64") for k, v in columns.items()})
    return rows.assign(seed=pd.array([0, 1], "Int64"))


def test_what_is_no_number_is_no_column():
    assert not {"ns_coeffs", "preconditioning", "mu_dtype"} & set(parameters_of("muon"))
    assert not {"exclude_layers", "ns_coeffs"} & set(parameters_of("keras.muon"))


@pytest.mark.parametrize("column", ["consistent_rms", "adam_learning_rate"])
def test_an_empty_cell_is_not_zero_where_none_means_none(column):
    """Before, empty cells beside full ones became 0, and the step with them."""
    with pytest.raises(ValueError, match=rf"row 1 \(muon\) has no '{column}'.*give all of them"):
        complete(table(**{column: [0.2, pd.NA]}), ("muon",), {})
    assert column not in complete(table(), ("muon",), {})


@pytest.mark.parametrize("steps", [2.5, -1.0])
def test_steps_are_whole(steps):
    with pytest.raises(ValueError, match=f"'ns_steps' of muon takes whole numbers .* not {steps}"):
        complete(table(ns_steps=[5.0, steps]), ("muon",), {})


@pytest.mark.long
def test_a_column_of_steps_trains_as_the_literal_does():
    x = np.random.default_rng(0).normal(size=(48, 6)).astype(np.float32)
    task = joc.Task.from_flax(
        lambda rngs: joc.MLP(6, 5, 1, rngs=rngs),
        *(x[:32], x[:32, 0]),
        valid=(x[32:40], x[32:40, 0]),
        test=(x[40:], x[40:, 0]),
        loss="squared_error",
    )
    how = {"epochs": 2, "batch_size": 8, "progress": False}
    rows = table(ns_steps=[5.0, 2.0])
    ours = joc.sweep(task, rows, **how).trials["train_loss"]
    own = lambda steps: lambda h: joc.muon(h["learning_rate"], ns_steps=steps)
    theirs = joc.sweep(
        task,
        rows.drop(columns="ns_steps").assign(optimizer=pd.array(["five", "two"], "string")),
        optimizer={"five": own(5), "two": own(2)},
        **how,
    ).trials["train_loss"]
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)  # float32, another order of sums
