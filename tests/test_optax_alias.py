"""optax's own alias tests, from the installed wheel, with our recipes in the place of optax's."""

import functools
import re
import unittest

import jax
import pytest
from optax._src import alias, alias_test

from jaxopt_course.optimizers import OPTIMIZERS

OURS = ("sgd", "rmsprop", "adam", "adamw", "adagrad", "adadelta", "adamax")
# the table of optax's cases: name of the test -> text of its parameters; sgd_mom is sgd
CASES = alias_test.AliasTest._test_params_reprs
SELECTED = [
    test
    for test, parameters in CASES.items()
    if re.search(rf"opt_name='({'|'.join(OURS)}|sgd_mom)'", parameters)
]


def test_the_selection(capsys):
    with capsys.disabled():
        print(f"\noptax alias tests run with our recipes: {len(SELECTED)} of {len(CASES)}")
    assert len(SELECTED) >= 192  # optax 0.2.8
    chosen = " ".join(CASES[test] for test in SELECTED)
    assert all(f"opt_name='{name}'" in chosen for name in OURS)


@pytest.mark.parametrize("test", SELECTED)
def test_optax_alias(test, monkeypatch):
    calls = []

    def counted(recipe):
        @functools.wraps(recipe)  # inject_hyperparams reads the signature
        def build(*args, **kwargs):
            calls.append(recipe)
            return recipe(*args, **kwargs)

        return build

    for name in OURS:
        monkeypatch.setattr(alias, name, counted(OPTIMIZERS[name]))
    result = unittest.TestResult()
    with jax.numpy_rank_promotion("allow"):  # the weather of our tests is not optax's
        alias_test.AliasTest(test).run(result)
    assert result.testsRun == 1
    assert not result.failures + result.errors, (result.failures + result.errors)[0][1]
    if result.skipped:
        pytest.skip(result.skipped[0][1])  # optax skips these for its own recipes too
    assert calls
