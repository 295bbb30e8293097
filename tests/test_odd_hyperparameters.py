"""What is no number, switch, step or mask is refused in words of ours, by recipes and schedules."""

import inspect
from decimal import Decimal

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from long_form import put
from odd_input import little_memory, refused

import jaxopt_course as joc
from jaxopt_course import optimizers, schedules
from jaxopt_course.conventions.arrays import number, shape_of
from jaxopt_course.describe import NEVER_NEGATIVE

ODD = {
    "None": None, "a string": "x", "bytes": b"x", "complex": 1j, "a list": [], "a dict": {},
    "an object": object(), "Decimal": Decimal("0.1"), "a range": range(3), "NumPy's string":
    np.array("x"), "digits": 10**400, "beyond int32": 2**31, "NaN": float("nan"),
    "infinity": float("inf"), "-1": -1,
}  # fmt: skip
PARAMS = {"w": jnp.ones((4, 4)), "b": jnp.ones(4)}
TREES = {"mask", "weight_decay_mask", "trust_ratio_mask", "muon_weight_dimension_numbers"}


def recipes():
    for name in optimizers.__all__:
        make = getattr(optimizers, name)
        if callable(make) and not inspect.isclass(make) and "learning_rate" in _names(make):
            yield put(name, name == "adam")


def _names(make):
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return [n for n, p in inspect.signature(make).parameters.items() if p.kind not in kinds]


@pytest.mark.parametrize("name", [*recipes()])
def test_odd_arguments_of_recipes_are_refused_in_words_of_ours(name):
    """Or they are numbers: then a step can be taken."""
    make = getattr(optimizers, name)

    def step(arguments):
        tx = make(**arguments)
        jax.eval_shape(lambda g, s: tx.update(g, s, PARAMS), PARAMS, tx.init(PARAMS))

    for argument in _names(make):
        for what, odd in ODD.items():
            if argument in TREES and what in ("a list", "a dict"):  # trees, though of another form
                continue
            try:
                refused(lambda odd=odd, name=argument: step({"learning_rate": 0.1, name: odd}))
            except BaseException as error:
                error.add_note(f"{name}({argument}={what})")
                raise


@pytest.mark.parametrize("name", [n for n in schedules.__all__ if n.endswith("_schedule")])
def test_odd_arguments_of_schedules_are_refused_in_words_of_ours(name):
    """Or they are numbers: then there is a rate."""
    make = getattr(schedules, name)
    given = inspect.signature(make).parameters.items()
    needed = [n for n, p in given if p.default is inspect.Parameter.empty and n in _names(make)]
    usual = {n: 10 if "step" in n else 0.5 for n in needed}
    for argument in _names(make):
        for what, odd in ODD.items():
            arguments = usual | {argument: odd}
            try:
                refused(lambda given=arguments: jax.eval_shape(make(**given), jnp.int32(3)))
            except BaseException as error:
                error.add_note(f"{name}({argument}={what})")
                raise


@pytest.mark.parametrize("argument", ["learning_rate", "b1", "b2", "eps", "nesterov"])
@pytest.mark.parametrize("odd", [np.ones(3), jnp.ones(2)], ids=["NumPy's", "JAX's"])
def test_arrays_that_fit_no_leaf_are_refused(argument, odd):
    error = refused(
        lambda: optimizers.adam(**{"learning_rate": 0.1, argument: odd}).update(
            PARAMS, optimizers.adam(0.1).init(PARAMS), PARAMS
        )
    )
    assert "array" in str(error)


def test_a_large_array_in_a_list_is_not_copied_to_be_looked_at():
    wide = np.broadcast_to(np.float32(0), (10**9,))  # says it is 4 GB
    with little_memory(0):
        assert shape_of([[wide]]) == (1, 1, 10**9)
        error = refused(lambda: number([[wide]], "lr"))
    assert "a number, not an array of shape (1, 1, 1000000000)" in str(error)


@pytest.mark.parametrize("argument", ["learning_rate", "b1", "b2", "eps", "eps_root", "nesterov"])
def test_what_is_no_number_is_taken_by_none(argument):
    """The grids above let pass what is taken and works; these may not be taken."""
    numbers = {"digits", "beyond int32", "NaN", "infinity", "-1"}
    numbers |= {"None"} if argument == "learning_rate" else set()  # a rate of 1
    for what in ODD.keys() - numbers:
        given = {"learning_rate": 0.1, argument: ODD[what]}

        def step(given=given):
            tx = optimizers.adam(**given)
            jax.eval_shape(lambda g, s: tx.update(g, s, PARAMS), PARAMS, tx.init(PARAMS))

        assert refused(step) is not None, what


@pytest.mark.parametrize("name", [n for n in optimizers.__all__ if n in joc.OPTIMIZERS])
def test_an_epsilon_or_a_decay_below_0_is_refused_where_it_is_written(name):
    """No framework takes it; traced, it cannot be looked at, and an array is looked at whole."""
    make = getattr(optimizers, name)
    rate = {"learning_rate": 0.1}
    for argument in NEVER_NEGATIVE & {*_names(make)}:
        for below in (-1e-8, np.float32(-1), np.array([0.5, -0.5]), float("nan")):
            with pytest.raises(ValueError, match=f"^{argument} must be at least 0, not "):
                make(**rate, **{argument: below})
        make(**rate, **{argument: 0.0})
        jax.eval_shape(lambda x, a=argument: make(**rate, **{a: x}).init(PARAMS), jnp.float32(-1))


@pytest.mark.parametrize("like", ["keras", "torch", "paper"])
def test_a_framework_s_recipe_refuses_it_too(like):
    with pytest.raises(ValueError, match=r"^eps must be at least 0"):
        joc.adam(0.1, eps=-1e-8, like=like)


@pytest.mark.parametrize("column", ["eps", "weight_decay"])
def test_a_column_below_0_is_refused(column):
    trials = joc.grid(optimizer="adamw", learning_rate=0.1, **{column: [0.0, -0.5]})
    with pytest.raises(
        ValueError, match=rf"column '{column}' of adamw is at least 0, and row 1 has -0.5"
    ):
        joc.sweep("line", trials, epochs=1, batch_size=5, progress=False)
