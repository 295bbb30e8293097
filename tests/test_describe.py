"""A transformation knows what made it, and nothing else about it changes."""

import inspect

import jax
import jax.numpy as jnp
import optax
import pytest
from helpers import PIECES, RECIPES, assert_trees_equal, our, rollout, start, stream

import jaxopt_course.transforms as transforms
from jaxopt_course.base import Decay, chain
from jaxopt_course.describe import described, description
from jaxopt_course.transforms.groups import freeze, partition_by_path

FACTORIES = {**{name: getattr(transforms, name, None) for name in PIECES}, **RECIPES}


@pytest.mark.parametrize("name", PIECES)
def test_every_factory_leaves_its_name_and_all_its_arguments(name):
    numbers = PIECES[name][0]
    what = description(our(name, numbers))
    bound = inspect.signature(FACTORIES[name]).bind(**numbers)
    bound.apply_defaults()
    assert what.noted and what.name == name and what.arguments == dict(bound.arguments)


@pytest.mark.parametrize("name", PIECES)
def test_the_type_stays_optax_s(name):
    tx = our(name, PIECES[name][0])
    assert isinstance(tx, optax.GradientTransformation)
    assert len(tx) == 2 and tx._fields == ("init", "update")


@pytest.mark.parametrize("name", PIECES)
def test_doctest_and_inject_hyperparams_see_the_factory(name):
    """The home module, the docstring and the signature are the factory's own."""
    made = FACTORIES[name]
    plain = made.__wrapped__
    assert made.__globals__ is plain.__globals__ and made.__doc__ == plain.__doc__
    assert inspect.signature(made) == inspect.signature(plain)
    assert made.__name__ == name and made.__module__ == plain.__module__


def test_two_of_a_kind_keep_apart():
    """The note is on the function that was made, not on the factory."""
    slow, fast = transforms.trace(0.9), transforms.trace(0.1)
    assert description(slow).arguments["decay"] == 0.9
    assert description(fast).arguments["decay"] == 0.1


def test_the_outermost_factory_is_named():
    assert description(RECIPES["nadam"](0.1)).name == "nadam"
    links = description(RECIPES["adam"](0.1)).parts
    assert [description(link.update).name for link in links] == [
        "scale_by_adam",
        "scale_by_learning_rate",
    ]


COMBINATORS = {
    "joc.chain": (lambda tx: chain(tx, freeze()), ["", ""]),
    "optax.chain": (lambda tx: optax.chain(tx, freeze()), ["", ""]),
    "named_chain": (lambda tx: optax.named_chain(("a", tx), ("b", freeze())), ["a", "b"]),
    "masked": (lambda tx: optax.masked(tx, {"w": True, "b": False}), [""]),
    "partition": (
        lambda tx: optax.partition({"x": tx, "y": freeze()}, {"w": "x", "b": "y"}),
        ["x", "y"],
    ),
    "partition_by_path": (lambda tx: partition_by_path({"w": tx, "b": freeze()}), ["w", "b"]),
    "apply_if_finite": (lambda tx: optax.apply_if_finite(tx, 3), [""]),
    "flatten": (optax.flatten, [""]),
    "MultiSteps": (lambda tx: optax.MultiSteps(tx, 2), [""]),
    "MultiSteps as a pair": (lambda tx: optax.MultiSteps(tx, 2).gradient_transformation(), [""]),
    "switch": (lambda tx: transforms.switch(0, [tx, freeze()]), ["", ""]),
}


@pytest.mark.parametrize("name", COMBINATORS)
def test_parts_and_their_states_are_found_in_combinators(name):
    combine, labels = COMBINATORS[name]
    inner = RECIPES["momentum"](0.5, momentum=0.25)
    tx = combine(inner)
    parts = description(tx).parts
    assert [part.label for part in parts] == labels
    assert description(parts[0].update).name == "momentum"
    assert description(parts[0].update).arguments == {"learning_rate": 0.5, "momentum": 0.25}
    if name != "switch":  # its members share slots
        state = parts[0].state(tx.init(start()))
        assert isinstance(state[0], transforms.momentum.TraceState)


def test_optax_s_own_pieces_are_read_from_their_closures():
    what = description(optax.trace(0.9, nesterov=True))
    assert what.name == "trace" and not what.noted
    assert what.arguments == {"decay": 0.9, "nesterov": True, "accumulator_dtype": None}


def test_extra_arguments_support_is_seen_through():
    wrapped = optax.with_extra_args_support(transforms.trace(0.9))
    assert description(wrapped).name == "trace" and description(wrapped).noted


def test_a_function_without_a_closure():
    what = description(optax.GradientTransformation(lambda p: (), lambda g, s, p=None: (g, s)))
    assert what.arguments == {} and what.parts == () and not what.noted


def test_arguments_are_kept_as_they_were_given():
    pair = Decay.of(0.9)

    @jax.jit
    def inside(x):
        assert description(transforms.trace(x)).arguments["decay"] is x
        return x

    inside(jnp.float32(0.5))
    assert description(transforms.trace(pair)).arguments["decay"] is pair


@pytest.mark.parametrize("name", ["adam", "scale_by_rms", "clip_by_global_norm"])
def test_the_note_changes_no_number(name):
    numbers = PIECES[name][0]
    made = FACTORIES[name]
    g = stream(20)
    g = {k: jnp.asarray(v, jnp.float32) for k, v in g.items()}
    ours, _ = rollout(made(**numbers), g, start())
    plain, _ = rollout(made.__wrapped__(**numbers), g, start())
    assert_trees_equal(ours, plain)


def test_a_method_has_no_room_for_a_note():
    """It is described by what it holds."""

    @described
    def accumulated(every: int) -> optax.GradientTransformation:
        return optax.MultiSteps(optax.sgd(0.1), every).gradient_transformation()

    assert not description(accumulated(2)).noted
    assert len(description(accumulated(2)).parts) == 1
