"""What a transformation is made of, read back from the transformation.

optax's pair of functions says nothing about itself.  :func:`described` leaves on ``update`` a note
of the factory's name and arguments; the pair itself stays what it is, so ``optax.chain``,
``nnx.Optimizer`` and ``TrainState`` take it as before.  :func:`description` reads the note; where
there is none (optax's own pieces, a user's), it reads the variables that ``update`` closes over.
:func:`evaluated_at` leaves another note: which weights are to be evaluated.
"""

import contextlib
import functools
import inspect
import types
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, ParamSpec, TypeVar, cast

import jax
import numpy as np
import optax

from jaxopt_course.tree import standard_promotion

P = ParamSpec("P")
T = TypeVar("T", bound=optax.GradientTransformation)
NOTE = "jaxopt_course_note"  # the attribute of an update function
EVALUATED = "jaxopt_course_evaluated"  # another one
TRANSPARENT = ("with_extra_args_support", "adapted")  # wraps that only hand on what is asked for
# where optax's wrappers keep the state of the inner: groups and masks, MultiSteps, lookahead, ...
WRAPPED = ("inner_state", "inner_opt_state", "fast_state", "base_optimizer_state")
# numbers that are added to what is 0 or more, or pull towards 0: below 0 they climb or divide by 0
NEVER_NEGATIVE = {"eps", "eps2", "eps_root", "adam_eps_root", "weight_decay", "adam_weight_decay"}
NEVER_NEGATIVE |= {"weight_decay_rate", "initial_accumulator_value", "initial_scale"}
NEVER_NEGATIVE |= {"clipping_threshold", "trust_coefficient", "estim_lr0", "estim_lr_coef"}
NEVER_NEGATIVE |= {"decay_rate"}  # Adafactor's exponent
BESIDE = {"optimizer": "opt_state", "adv_optimizer": "adv_state"}  # of two, as optax's sam has them


class Part(NamedTuple):
    """One of the transformations that another is made of."""

    label: str  # the name of its group or link, or ""
    update: Any  # its update function
    state: Callable[[Any], Any]  # its state, out of the state of the whole
    beside: bool = False  # it works on its own, its label before the names of its numbers


class Description(NamedTuple):
    """Name, arguments and parts of a transformation."""

    name: str  # of the factory
    arguments: dict[str, Any]  # all, defaults included; or the variables that update closes over
    parts: tuple[Part, ...]  # in the order in which they work; () for a single piece
    noted: bool  # by :func:`described`; else read from the closure
    closure: dict[str, Any]  # the variables that update closes over


class Evaluated(NamedTuple):
    """What :func:`evaluated_at` notes."""

    params_of: Callable[[Any, Any], Any]  # (state, params) -> the weights to be evaluated
    instead: bool  # of what transformations inside say; else two of them are an error


def evaluated_at(
    tx: optax.GradientTransformation,
    params_of: Callable[[Any, Any], Any],
    *,
    instead: bool = True,
) -> optax.GradientTransformation:
    """``tx``, with a note that its weights are to be evaluated at ``params_of(state, params)``.

    :func:`~jaxopt_course.evaluation_params`, ``sweep`` and ``fit`` ask for them.

    Args:
        tx: a transformation that trains other weights than those that are to be evaluated.
        params_of: of the state and the parameters of ``tx``, both after a step; a tree like the
            parameters.  Inside of a mask or a group it gets its own leaves only, with
            ``optax.MaskedNode`` in the place of the others.
        instead: whether it stands for what transformations inside of ``tx`` say; with False
            those that say something too contradict it, which is an error where it is asked.

    Raises:
        ValueError: ``tx`` itself has such a note, and this one is not to stand for it.

    >>> import jax.numpy as jnp
    >>> half = evaluated_at(optax.sgd(0.1), lambda state, params: params / 2)
    >>> print(getattr(half.update, EVALUATED).params_of((), jnp.array(3.0)))
    1.5
    """
    inner = tx.update
    if not instead and evaluated(inner) is not None:
        raise ValueError("the transformation says already at which weights it is to be evaluated")

    @functools.wraps(inner)
    def update(g: Any, state: Any, params: Any = None, **extra: Any) -> Any:
        return inner(g, state, params, **extra)

    setattr(update, EVALUATED, Evaluated(params_of, instead))
    return tx._replace(update=update)


def evaluated(update: Any) -> Evaluated | None:
    """The note that :func:`evaluated_at` left, through wraps that only hand on; None without."""
    note = getattr(update, EVALUATED, None)
    if note is None and _factory_of(update) in TRANSPARENT:
        return evaluated(_closed_over(update)["tx"].update)
    return note


def described(factory: Callable[P, T]) -> Callable[P, T]:
    """A decorator: what ``factory`` makes knows its name and arguments, see :func:`description`.

    The factory must make a new ``update`` function at each call.  ``update`` computes with standard
    promotion of dtypes, and raises ValueError for a state that another transformation made.
    A literal ε or λ below 0 is refused, see :func:`check_never_negative`.

    >>> @described
    ... def double(times: float = 2.0) -> optax.GradientTransformation:
    ...     return optax.scale(times)
    >>> description(double()).name, description(double()).arguments
    ('double', {'times': 2.0})
    """
    signature, name, note, key = inspect.signature(factory), factory.__name__, _note, NOTE
    guard, check = _guarded, _check_given

    def make(*args: Any, **kwargs: Any) -> Any:
        check(signature, args, kwargs)
        tx = guard(factory(*args, **kwargs), name)
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return note(tx, key, (name, dict(bound.arguments)))

    # in the globals of the factory's module, or doctest would take it for an import and pass it by
    home = types.FunctionType(
        make.__code__, factory.__globals__, make.__name__, None, make.__closure__
    )
    return cast(Callable[P, T], functools.wraps(factory)(home))


def check_never_negative(arguments: Mapping[str, Any]) -> None:
    """Refuse what no optimizer means; a traced number cannot be looked at.

    Args:
        arguments: of a factory, by name.

    Raises:
        ValueError: one of ``NEVER_NEGATIVE`` is below 0, or NaN.

    >>> check_never_negative({"eps": -1e-8})
    Traceback (most recent call last):
    ValueError: eps must be at least 0, not -1e-08
    """
    for name in NEVER_NEGATIVE & arguments.keys():
        x = arguments[name]
        written = isinstance(x, int | float | np.number | np.ndarray)
        if written and np.asarray(x).dtype.kind in "biuf" and not np.all(np.asarray(x) >= 0):
            raise ValueError(f"{name} must be at least 0, not {x!s:.60}")


def _check_given(signature: inspect.Signature, args: Any, kwargs: Any) -> None:
    with contextlib.suppress(TypeError):  # what does not fit, the factory says in its own name
        check_never_negative(signature.bind(*args, **kwargs).arguments)


def _guarded(tx: Any, name: str) -> Any:
    if hasattr(tx.update, NOTE) or hasattr(tx.update, "__self__"):
        return tx
    init, inner = tx.init, tx.update

    @functools.wraps(inner)
    def update(g: Any, state: Any, params: Any = None, **extra: Any) -> Any:
        try:
            with standard_promotion():
                return inner(g, state, params, **extra)
        except (AttributeError, IndexError, KeyError, TypeError) as error:
            if _is_of(init, state, g if params is None else params):
                raise
            raise ValueError(
                f"{name}: this state was made by another transformation, or for other parameters "
                f"({type(error).__name__}: {error}); make a new one with init"
            ) from error

    return tx._replace(update=update)


def _is_of(init: Callable[[Any], Any], state: Any, params: Any) -> bool:
    """Whether ``init`` makes states of this structure; True if it cannot be told."""
    try:
        ours: Any = jax.tree.structure(jax.eval_shape(init, params))
        return bool(ours == jax.tree.structure(state))
    except Exception:
        return True


def _note(tx: Any, key: str, note: Any) -> Any:
    with contextlib.suppress(AttributeError):  # a bound method has no room for it
        setattr(tx.update, key, note)
    return tx


def description(tx: Any) -> Description:
    """Name, arguments and parts of a transformation, or of an update function.

    >>> whole = description(optax.chain(optax.trace(0.9), optax.scale(-0.1)))
    >>> [description(part.update).arguments for part in whole.parts]
    [{'accumulator_dtype': None, 'decay': 0.9, 'nesterov': False}, {'step_size': -0.1}]
    """
    update = getattr(tx, "update", tx)
    note, closed = getattr(update, NOTE, None), _closed_over(update)
    name = _factory_of(update)
    if note is None and name in TRANSPARENT:
        return description(closed["tx"])
    parts = _parts(closed)
    if note is not None:
        return Description(note[0], note[1], parts, True, closed)
    return Description(name, closed, parts, False, closed)


def _closed_over(update: Any) -> dict[str, Any]:
    update = inspect.unwrap(update)
    owner = getattr(update, "__self__", None)
    if owner is not None:  # a method, as of optax.MultiSteps
        return dict(getattr(owner, "__dict__", {}))
    code, cells = getattr(update, "__code__", None), getattr(update, "__closure__", None)
    if code is None or cells is None:
        return {}
    return dict(zip(code.co_freevars, map(_contents, cells), strict=True))


def _contents(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # a variable that was never set
        return None


def _factory_of(update: Any) -> str:
    """The name before "<locals>": "chain.<locals>.update" was made by chain."""
    name = getattr(inspect.unwrap(update), "__qualname__", type(update).__name__)
    return str(name.split(".<locals>")[0].split(".")[0 if "<locals>" not in name else -1])


def _parts(closed: Mapping[str, Any]) -> tuple[Part, ...]:
    if all(_is_transformation(closed.get(name)) for name in BESIDE):
        main, *others = BESIDE.items()
        first = Part("", closed[main[0]].update, _field(main[1]), beside=True)
        rest = [Part(n, closed[n].update, _field(field), beside=True) for n, field in others]
        return (first, *rest)
    for name, value in closed.items():
        if _is_transformation(value):
            return (Part("", value.update, _inner),)
        if name == "update_fns":  # optax.chain
            return tuple(Part("", f, _item(i)) for i, f in enumerate(value))
        if isinstance(value, Mapping) and value and all(map(_is_transformation, value.values())):
            return tuple(Part(str(k), tx.update, _group(k)) for k, tx in value.items())
        if isinstance(value, list | tuple) and value:
            if all(map(_is_transformation, value)):
                return tuple(Part("", tx.update, _item(i)) for i, tx in enumerate(value))
            if all(
                isinstance(x, tuple) and len(x) == 2 and _is_transformation(x[1]) for x in value
            ):
                return tuple(Part(str(k), tx.update, _item(k)) for k, tx in value)
    return ()


def _is_transformation(value: Any) -> bool:
    return isinstance(value, optax.GradientTransformation)


def _is_named(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and _is_transformation(value[1])


def _inner(state: Any) -> Any:
    return next((getattr(state, name) for name in WRAPPED if hasattr(state, name)), state)


def _field(name: str) -> Callable[[Any], Any]:
    return lambda state: getattr(state, name)


def _item(key: Any) -> Callable[[Any], Any]:
    return lambda state: state[key]


def _group(key: Any) -> Callable[[Any], Any]:
    return lambda state: _inner(state.inner_states[key])
