"""optax's own alias tests, from the installed wheel, with our recipes in the place of optax's."""

import functools
import re
import unittest

import jax
import optax
import pytest
from long_form import every, once
from optax import contrib
from optax._src import alias, alias_test
from optax.contrib import _common_test, _muon, _muon_test

from jaxopt_course.optimizers import OPTIMIZERS
from jaxopt_course.transforms import scale_by_shape

OURS = ("sgd", "rmsprop", "adam", "adamw", "adagrad", "adadelta", "adamax", "amsgrad", "nadam")
OURS += ("radam", "lion")
# of these each of optax's tests once; they differ in the dtype and the problem only
ONCE = ("nadamw", "adabelief", "adan", "lamb", "lars", "adafactor", "signum")
# the table of optax's cases: name of the test -> text of its parameters; sgd_mom is sgd
CASES = alias_test.AliasTest._test_params_reprs
CHOSEN = [
    test
    for test, parameters in CASES.items()
    if re.search(rf"opt_name='({'|'.join(OURS)}|sgd_mom)'", parameters)
]
for name in ONCE:
    those = [test for test, parameters in CASES.items() if f"opt_name='{name}'" in parameters]
    CHOSEN += {test.rstrip("0123456789"): test for test in reversed(those)}.values()
# optax gives the first memory of bfloat16 parameters their dtype, we at least float32
WIDER = {test: CASES[test] for test in CHOSEN if "'bfloat16', state_dtype=None" in CASES[test]}
SELECTED = [test for test in CHOSEN if test not in WIDER]


def test_the_selection(capsys):
    with capsys.disabled():
        print(
            f"\noptax alias tests run with our recipes: {len(SELECTED)} of {len(CASES)}; "
            f"{len(WIDER)} left out, whose memory is float32 here and bfloat16 there"
        )
    assert len(SELECTED) >= 250  # optax 0.2.8
    chosen = " ".join(CASES[test] for test in SELECTED)
    assert all(f"opt_name='{name}'" in chosen for name in OURS + ONCE)


def test_what_is_left_out():
    """Three cases, and what they ask for is had by an argument."""
    assert list(WIDER.values()) == [
        f"(params_dtype='bfloat16', state_dtype=None, opt_name='{name}')"
        for name in ("sgd_mom", "adam", "adamw")
    ]
    params = jax.numpy.zeros(2, "bfloat16")
    for made, field in (
        (lambda dtype: OPTIMIZERS["sgd"](0.1, 0.9, accumulator_dtype=dtype), "trace"),
        (lambda dtype: OPTIMIZERS["adam"](0.1, mu_dtype=dtype), "mu"),
        (lambda dtype: OPTIMIZERS["adamw"](0.1, mu_dtype=dtype), "mu"),
    ):
        kept = [optax.tree.get(made(d).init(params), field).dtype for d in (None, "bfloat16")]
        assert kept == ["float32", "bfloat16"]


def what(test):
    """optax's test without its number, and the recipe."""
    return test.rstrip("0123456789"), re.search(r"opt_name='(\w+)'", CASES[test])[1]


@pytest.mark.parametrize("test", once(SELECTED, lambda test: what(test)[0]))
def test_optax_alias(test, monkeypatch):
    calls = []

    def counted(recipe):
        @functools.wraps(recipe)  # inject_hyperparams reads the signature
        def build(*args, **kwargs):
            calls.append(recipe)
            return recipe(*args, **kwargs)

        return build

    for name in OURS + ONCE:
        monkeypatch.setattr(alias, name, counted(OPTIMIZERS[name]))
    result = unittest.TestResult()
    with jax.numpy_rank_promotion("allow"):  # the weather of our tests is not optax's
        alias_test.AliasTest(test).run(result)
    assert result.testsRun == 1
    assert not result.failures + result.errors, (result.failures + result.errors)[0][1]
    if result.skipped:
        pytest.skip(result.skipped[0][1])  # optax skips these for its own recipes too
    assert calls


CONTRIB = {
    test.rstrip("0123456789"): test
    for test, parameters in _common_test.ContribTest._test_params_reprs.items()
    if "opt_name='adopt'" in parameters
}


@pytest.mark.parametrize("test", CONTRIB.values())
def test_optax_contrib(test, monkeypatch):
    """ADOPT; Muon's are of a vector, which optax's leaves to Adam and ours refuses."""
    monkeypatch.setattr(contrib, "adopt", OPTIMIZERS["adopt"])
    result = unittest.TestResult()
    with jax.numpy_rank_promotion("allow"):
        _common_test.ContribTest(test).run(result)
    assert result.testsRun == 1
    assert not result.failures + result.errors, (result.failures + result.errors)[0][1]


MUON = [
    test
    for test in dir(_muon_test.MuonTest)
    if test.startswith("test") and "newton_schulz" not in test and "reshape_inverse" not in test
]


@pytest.mark.parametrize("test", every(6, MUON))
def test_optax_muon(test, monkeypatch):
    """optax's own tests of Muon, with our recipe and pieces."""
    monkeypatch.setattr(_muon, "muon", OPTIMIZERS["muon"])
    monkeypatch.setattr(_muon, "scale_by_shape", scale_by_shape)
    result = unittest.TestResult()
    with jax.numpy_rank_promotion("allow"):
        _muon_test.MuonTest(test).run(result)
    assert result.testsRun == 1
    assert not result.failures + result.errors, (result.failures + result.errors)[0][1]
