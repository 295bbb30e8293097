"""Nothing of a trial depends on its row, its lane, its neighbours, the devices or the grid's size.

Digits with Adam, bit for bit; lanes per device fixed at four.  Trial ``t`` of these tables is known
by its learning rate and seed.
"""

import jax
import numpy as np
import pandas as pd
import pytest
from helpers import reuse

import jaxopt_course as joc

pytestmark = pytest.mark.usefixtures("optimized")

FIVE = joc.grid(learning_rate=[1e-3, 1e-2, 3e-2, 0.1, 1.0], seed=0)
SETTINGS = {"epochs": 2, "lanes": 4, "record_every": 4, "progress": False}


def train(trials, devices, **settings):
    chosen = jax.devices()[:devices]
    return joc.sweep("digits", trials, "adam", devices=chosen, **{**SETTINGS, **settings})


@pytest.fixture(scope="module")
def five():
    return train(FIVE, devices=1)


@pytest.fixture(scope="module")
def many():
    """The same five among 500 others, shuffled, on two devices, beside rates that overflow."""
    others = joc.random(485, seed=1, learning_rate=joc.log_uniform(1e-4, 1), seeds=[3])
    ruin = joc.grid(learning_rate=[1e30, 1e36], seed=range(5))
    table = pd.concat([others, FIVE, ruin], ignore_index=True)
    return train(table.sample(frac=1.0, random_state=0, ignore_index=True), devices=2)


@pytest.fixture(scope="module")
def four_devices():
    return train(FIVE.iloc[::-1].reset_index(drop=True), devices=4)


@pytest.fixture(scope="module")
def ruined(five):
    """Each of the five behind three rates that overflow, in lanes that are seated in this order."""
    ruin = [joc.grid(learning_rate=[1e30, 1e33, 1e36], seed=n) for n in range(5)]
    rows = [part for n in range(5) for part in (ruin[n], FIVE.iloc[[n]])]
    with pytest.MonkeyPatch.context() as patch:
        reuse(patch, five)
        return train(pd.concat(rows, ignore_index=True), devices=1)


def assert_same_bits(one, other):
    """Every number of the trials that both studies have."""
    assert one.manifest["lanes"] == other.manifest["lanes"] == 4
    numbers = [c for c in one.trials if one.trials[c].dtype == np.float32]
    assert {"train_loss", "valid_accuracy", "valid_loss", "test_loss"} <= set(numbers)
    where = {id: row for row, id in enumerate(other.trials["id"])}
    for row, id in enumerate(one.trials["id"]):
        partner = where[id]
        for name in numbers:
            assert one.trials[name][row].tobytes() == other.trials[name][partner].tobytes(), name
        for name in one.curves:
            mine, theirs = one.curves[name].values[row], other.curves[name].values[partner]
            assert np.isfinite(mine).all()
            assert mine.tobytes() == theirs.tobytes(), (name, row)


def test_among_five_or_five_hundred_at_whatever_row(five, many):
    assert len(many.trials) == 500
    assert_same_bits(five, many)


def test_neighbours_that_turn_nan_do_no_harm(five, ruined):
    """Of four lanes three are NaN from the first step on, whenever one of the five is seated."""
    diverged = ruined.trials["status"] == "diverged"
    assert (diverged == (ruined.trials["learning_rate"] >= 1e30)).all()
    assert (ruined.trials.loc[diverged, "first_bad_step"] <= 4).all()
    assert_same_bits(five, ruined)


def test_on_one_or_four_devices(five, four_devices):
    assert len(four_devices.events[-1]["devices"]) == 4
    assert_same_bits(five, four_devices)


def test_again(five):
    assert_same_bits(five, five._session and train(FIVE, devices=1))


@pytest.mark.long
def test_at_another_width_only_the_last_bits_differ(five):
    other = train(FIVE, devices=1, lanes=3)
    mine, theirs = five.curves["train_loss"][:3], other.curves["train_loss"][:3]
    np.testing.assert_allclose(mine, theirs, rtol=1e-4)  # float32, 32 steps of Adam
