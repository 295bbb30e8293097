"""Numbers that float32 would change by more than rounding are refused, or said, before work."""

import warnings

import jax
import numpy as np
import optuna
import pandas as pd
import pytest

import jaxopt_course as joc
from jaxopt_course.cli.compare import Compare, learning_rates
from jaxopt_course.studies import session
from jaxopt_course.studies.resume import recall
from jaxopt_course.tables.buckets import split
from jaxopt_course.tables.cells import normalise
from jaxopt_course.tables.precision import LEAST, check_precision

SETTINGS = {"epochs": 1, "batch_size": 5, "progress": False}


def sweep(trials, optimizer=None, **settings):
    settings = SETTINGS | {"devices": jax.devices()[:1]} | settings
    return joc.sweep("line", trials, optimizer, **settings)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "one"
    return sweep(joc.grid(optimizer="sgd", learning_rate=[0.1]), directory=folder)


@pytest.fixture
def idle(monkeypatch):
    monkeypatch.setattr(session, "compile_bucket", None)  # called, it would be another error


@pytest.mark.parametrize("value", [1e-50, 1e-40, 1e-320, 5e-324, np.nextafter(LEAST, 0)])
@pytest.mark.parametrize("name", ["learning_rate", "eps", "b1"])
def test_what_is_0_in_float32_is_refused(name, value, idle):
    given = {"optimizer": "adam", "learning_rate": [0.1], name: [0.0, value]}
    message = f"column '{name}' has {value} in row 1, which is 0 in float32"
    with pytest.raises(ValueError, match=message):
        sweep(joc.grid(**given))
    with pytest.raises(ValueError, match=message):
        joc.plan("line", joc.grid(**given), epochs=1, batch_size=5)


def test_what_a_file_holds_is_refused_as_well(tmp_path, idle):
    joc.grid(optimizer="sgd", learning_rate=[0.1, 1e-50]).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(ValueError, match="1e-50 in row 1, which is 0"):
        sweep(pd.read_csv(tmp_path / "t.csv"))
    with pytest.raises(ValueError, match="beyond float32 in row 0"):
        sweep(joc.grid(optimizer="sgd", learning_rate=[1e39]))


def test_functions_of_the_row_and_static_columns(idle):
    own = lambda h: joc.sgd(h["learning_rate"] * h["k"])
    table = joc.grid(learning_rate=[0.1], k=[1e-50])
    for static in (None, ["k"]):
        with pytest.raises(ValueError, match="column 'k' has 1e-50"):
            sweep(table, own, static=static)


def test_whole_numbers_that_become_others(idle):
    """As reals they do; a function of the row gets them as they are, exact to 32 bits."""
    table, names = normalise(joc.grid(optimizer="sgd", learning_rate=[16777217, 16777220]))
    taken = table.astype({"learning_rate": "Float64"})
    with pytest.raises(ValueError, match="has 16777217 in row 0, which is 16777216 in float32"):
        check_precision(table, names, taken)
    check_precision(table, names, table)
    with pytest.raises(ValueError, match="has 16777217 in row 0"):
        sweep(table)


@pytest.mark.parametrize(
    "values, message",
    [
        ([0.1, 0.1 + 1e-12], "0.1000.* and 0.1000.* are one number in float32"),
        ([1 - 1e-9, 0.5], "0.99999999.* is 1 in float32.* 1 minus it is 0"),
    ],
)
def test_what_may_not_matter_is_said(values, message):
    table, names = normalise(joc.grid(k=values))
    with pytest.warns(UserWarning, match=message):
        check_precision(table, names)


def test_a_sweep_says_so_too():
    table = joc.grid(optimizer="sgd", learning_rate=[0.1, 0.1 + 1e-12])
    with pytest.warns(UserWarning, match="are one number in float32"):
        split("line", table, epochs=1, batch_size=5)


def test_rounding_is_no_matter():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rates = [*np.geomspace(LEAST, 3e38, 500), 0.0, 0.1, 1e11, np.nan, 1.0]
        table, names = normalise(joc.grid(learning_rate=rates, b2=[0.999, 1 - 1e-12], n=[2**30]))
        check_precision(table, names, table)


def test_extensions_are_looked_at_and_what_is_there_stays(study):
    with pytest.raises(ValueError, match="1e-50 in row 0, which is 0"):
        study.extend(joc.grid(optimizer="sgd", learning_rate=[1e-50]), progress=False)
    with pytest.raises(ValueError, match="16777217 in row 0, which is 16777216"):
        study.extend(joc.grid(optimizer="sgd", learning_rate=[16777217]), progress=False)
    old = study.trials.assign(learning_rate=pd.array([1e-50], "Float64"))  # as once was trained
    digest = session.table_sha256(old, study.manifest["hyperparameters"])
    [entry] = study.manifest["buckets"]
    known = study.manifest | {"trials_sha256": digest, "buckets": [entry]}
    assert recall(known, old).table.trials["learning_rate"].tolist() == [1e-50]


@pytest.mark.parametrize(
    "column, message",
    [
        ({"learning_rate": joc.log_uniform(1e-50, 1)}, "1e-50 in row 0, which is 0"),
        ({"learning_rate": joc.log_uniform(1e-3, 1e39)}, "beyond float32"),
        ({"learning_rate": [0.1, 1e-50]}, "1e-50 in row 1, which is 0"),
        ({"learning_rate": [0.1, -1.0]}, "is negative"),
        ({"learning_rate": 0.1, "schedule": "cosine", "schedule_decay_steps": [5, 0]}, "positive"),
    ],
)
def test_spaces_are_looked_at_to_their_ends(column, message):
    """A choice that cannot be would end the search in its middle."""
    theirs = optuna.create_study()
    asking = joc.OptunaSearch(theirs, {"optimizer": "sgd"} | column)
    with pytest.raises(ValueError, match=message):
        asking.sweep("line", 2, metric="valid_loss", **SETTINGS)
    assert theirs.trials == []


@pytest.mark.parametrize("low, high", [(1e-50, 1.0), (1e-3, 1e39)])
def test_the_command_names_its_options(low, high):
    asked = Compare(learning_rate_min=low, learning_rate_max=high)
    with pytest.raises(ValueError, match=r"--learning-rate-min must be at least 1\.2e-38"):
        learning_rates(asked)
