"""Every number and switch of every public function is data: tried one by one, and published.

Each argument alone is traced under ``vmap``; then all that trace go together through one
``jit(vmap(.))`` in float64, with two lanes for the two values of each, and every lane must equal
the run with Python numbers to 1e-12.  The same trial is made of optax's function of that name.
The result is tests/tables/traceability.md.
"""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import tables
from helpers import OF_MATRICES, rollout, shifted
from long_form import covering, put
from traced_arguments import (
    FUNCTIONS,
    SCHEDULES,
    STRUCTURE,
    VALUES,
    apart,
    arguments,
    meanwhile,
    structure,
    twin,
    values,
)

WORKS = "traced"
OPTAX = "0.2.8"  # the version whose column is published


def run(name, function, kwargs, loop):
    """Sixteen values of a schedule, or six updates of a transformation."""
    made = function(**kwargs)
    if name in SCHEDULES:
        return jax.vmap(made)(jnp.arange(16, dtype=jnp.int32))
    gradients = np.random.default_rng(0).normal(size=(6, 3)) * np.array([1.0, 0.3, 3.0])
    params = jnp.array([0.5, -1.0, 2.0])
    if name in OF_MATRICES:
        return loop(made, jnp.asarray(gradients)[:, None], params[None])
    if name.endswith("prodigy"):  # which finds its rate on the way
        made = shifted(made)
    if name == "sam":  # which asks for the gradient elsewhere
        made = optax.GradientTransformation(made.init, functools.partial(made.update, grad_fn=cube))
    if name.endswith(("muon", "soap")):  # a matrix, and a number that Adam trains
        return loop(by_shape(made), jnp.asarray(gradients), params)
    return loop(made, jnp.asarray(gradients), params)


def cube(params):
    """A gradient that depends on where it is taken."""
    return params**3


def by_shape(tx):
    """The transformation of three numbers, two of which are a matrix."""
    shaped = lambda x: {"w": x[None, :2], "b": x[2:]}
    flat = lambda tree: jnp.concatenate([tree["w"].ravel(), tree["b"]])

    def update(g, state, params):
        u, state = tx.update(shaped(g), state, shaped(params))
        return flat(u), state

    return optax.GradientTransformation(lambda params: tx.init(shaped(params)), update)


def eager(tx, gradients, params):
    """The updates, step by step in Python."""
    state, updates = tx.init(params), []
    for g in gradients:
        u, state = tx.update(g, state, params)
        updates.append(u)
    return jnp.stack(updates)


def compiled(tx, gradients, params):
    """The same for a program."""
    return rollout(tx, gradients, params)[0]


@functools.cache
def trials(name, function, tolerance):
    """For each argument that ``function`` has, "traced" or what happens instead."""
    accepts = inspect.signature(function).parameters
    base = {k: v for k, v in meanwhile(name).items() if k in accepts}
    fixed = {k: v for k, v in structure(name).items() if k in accepts}
    mine = [a for a in arguments(name) if a in VALUES and a in accepts]
    rows = {a: {**base, a: values(name, a)[1]} for a in mine}
    first = {a: {**base, a: values(name, a)[0]} for a in rows}
    result = {}

    @functools.cache
    def usual():
        """The run that all arguments are compared with, but those given apart."""
        return run(name, function, {**fixed, **base}, eager)

    def alone(row):
        """The run with Python numbers."""
        return usual() if row == base else run(name, function, {**fixed, **row}, eager)

    def lane(traced, given=base):
        return run(name, function, {**fixed, **given, **traced}, compiled)

    def compare(chosen):
        """Lanes in which each number and switch of ``chosen`` is traced, with runs apart."""
        both = [(first[a], rows[a]) for a in chosen]
        traced = [{k: row[k] for k in chosen} for pair in both for row in pair]
        lanes = jax.jit(jax.vmap(lane))(jax.tree.map(lambda *x: jnp.asarray(x), *traced))
        for i, argument in enumerate(chosen):
            python = [alone(row) for row in both[i]]
            changed = not np.allclose(*python, rtol=1e-6)
            # a constant rate weighs all steps alike
            changed |= name == "schedule_free" and argument in ("learning_rate", "weight_lr_power")
            assert changed, f"{name}: {argument} changes nothing in this trial"
            same = np.allclose(lanes[2 * i : 2 * i + 2], python, tolerance, 1e-15)
            result[argument] = WORKS if same else "other values"

    with jax.enable_x64(True):
        for argument in rows:
            both = jax.tree.map(lambda *x: jnp.asarray(x), *values(name, argument))
            try:
                jax.eval_shape(jax.vmap(lambda v, a=argument: lane({a: v})), both)
            except Exception as error:
                result[argument] = type(error).__name__
        rest = [a for a in rows if a not in result]
        together = [a for a in rest if not apart(name, a)]
        for chosen in [together, *([a] for a in rest if a not in together)]:
            if chosen:
                compare(chosen)
    return result


def row(name, argument):
    """What ours does, and what optax's does."""
    theirs = twin(name)
    return (
        trials(name, FUNCTIONS[name], 1e-12)[argument],
        # with literals optax computes what depends on the count in float32
        "—" if theirs is None else trials(name, theirs, 1e-4).get(argument, "—"),
    )


TRIALS = [(name, a) for name in sorted(FUNCTIONS) for a in arguments(name) if a not in STRUCTURE]
# functions that have every argument between them
COVERING = covering({name: {a for n, a in TRIALS if n == name} for name, _ in TRIALS})


DEAR = {"keras.muon", "paper.muon"}  # whose numbers are muon's and test_conventions_like.py's


@pytest.mark.parametrize(
    "name, argument", [put(one, one[0] in COVERING and one[0] not in DEAR) for one in TRIALS]
)
def test_traced(name, argument):
    assert argument in VALUES, f"{name}({argument}=...): no values to trace, no reason not to"
    assert trials(name, FUNCTIONS[name], 1e-12)[argument] == WORKS


def text():
    """The published table."""
    rows = [(f"`{name}`", f"`{argument}`", *row(name, argument)) for name, argument in TRIALS]
    ours = sum(ours == WORKS for *_, ours, _ in rows)
    theirs = [theirs for *_, theirs in rows if theirs != "—"]
    kept = {
        f"`{argument}`": reason
        for name in FUNCTIONS
        for argument in arguments(name)
        if argument in STRUCTURE
        for reason in [STRUCTURE[argument][0]]
    }
    return "\n".join(
        [
            "# Every number and switch is data",
            "",
            f"jaxopt-course: {ours} of {len(rows)} arguments traced. optax {OPTAX}: "
            f"{theirs.count(WORKS)} of the {len(theirs)} that it has too.",
            "",
            "Made by `tests/test_traceability.py`: each argument under `jit(vmap(.))` over two "
            "values, in float64; traced: every lane equals the run with that value as a Python "
            "number to 1e-12 (optax: 1e-4, for with literals it computes partly in float32). "
            "Otherwise the error is named. —: optax has no such function or argument. "
            '`keras.adam` is `adam(like="keras")`.',
            "",
            tables.render(["function", "argument", "jaxopt-course", f"optax {OPTAX}"], rows),
            "",
            "No numbers, and so not traced. None in the place of a number (no momentum, no bound) "
            "leaves out its part, memory included, when the program is made.",
            "",
            tables.render(["argument", "what it is"], sorted(kept.items())),
            "",
        ]
    )


@pytest.mark.long
@pytest.mark.skipif(optax.__version__ != OPTAX, reason=f"the table is about optax {OPTAX}")
def test_the_published_table_is_current():
    assert tables.matches("traceability.md", text())
