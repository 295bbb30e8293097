"""The recipes with ``like=``: one framework's rule and defaults in the place of optax's.

    adam(1e-3)                  optax's, exactly ``jaxopt_course.optimizers.adam``
    adam(like="keras")          Keras's rule and defaults, here η = 0.001 and ε̂ = 1e-7
    adam(1e-3, like="torch", weight_decay=0.1)          torch's arguments too

The arguments after ``like`` are those of ``convention(name, like)``.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

from jaxopt_course import optimizers
from jaxopt_course.conventions.registry import convention
from jaxopt_course.optimizers import Optimizer


class _Signature(inspect.Signature):
    """The recipe's own and, where ``like=`` is among the arguments, that of the framework's recipe.

    Whoever binds arguments and fills in the defaults, as ``optax.inject_hyperparams`` does, would
    else hand optax's defaults to a framework as if they had been written.
    """

    recipe: str

    def bind(self, *args: Any, **kwargs: Any) -> inspect.BoundArguments:
        """The arguments by name, see ``inspect.Signature.bind``."""
        like = kwargs.get("like")
        if like is None:
            return super().bind(*args, **kwargs)
        theirs = inspect.signature(convention(self.recipe, like)).parameters.values()
        return inspect.Signature([*theirs, self.parameters["like"]]).bind(*args, **kwargs)


def _with_like(recipe: Callable[..., Optimizer]) -> Callable[..., Optimizer]:
    @functools.wraps(recipe)
    def chosen(*args: Any, like: str | None = None, **arguments: Any) -> Optimizer:
        make = recipe if like is None else convention(recipe.__name__, like)
        return make(*args, **arguments)

    own = inspect.signature(recipe)
    option = inspect.Parameter(
        "like", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=str | None
    )
    signature = _Signature(
        [*own.parameters.values(), option], return_annotation=own.return_annotation
    )
    signature.recipe = recipe.__name__
    chosen.__signature__ = signature  # type: ignore[attr-defined]
    head, _, tail = (recipe.__doc__ or "").partition("\n\n    >>> ")
    note = (
        '\n\n    like="keras", "torch" or "paper" takes that rule, its defaults and its arguments '
        "instead\n    (:func:`jaxopt_course.convention`)."
    )
    chosen.__doc__ = head + note + "\n\n    >>> " * bool(tail) + tail
    chosen.__module__ = __name__
    return chosen


sgd = _with_like(optimizers.sgd)
momentum = _with_like(optimizers.momentum)
ema_momentum = _with_like(optimizers.ema_momentum)
nesterov = _with_like(optimizers.nesterov)
adagrad = _with_like(optimizers.adagrad)
rmsprop = _with_like(optimizers.rmsprop)
adadelta = _with_like(optimizers.adadelta)
adam = _with_like(optimizers.adam)
adamw = _with_like(optimizers.adamw)
adamax = _with_like(optimizers.adamax)
amsgrad = _with_like(optimizers.amsgrad)
nadam = _with_like(optimizers.nadam)
radam = _with_like(optimizers.radam)
lion = _with_like(optimizers.lion)
ademamix = _with_like(optimizers.ademamix)
muon = _with_like(optimizers.muon)
nadamw = _with_like(optimizers.nadamw)
signum = _with_like(optimizers.signum)
adabelief = _with_like(optimizers.adabelief)
adan = _with_like(optimizers.adan)
adopt = _with_like(optimizers.adopt)
lamb = _with_like(optimizers.lamb)
lars = _with_like(optimizers.lars)
adafactor = _with_like(optimizers.adafactor)
prodigy = _with_like(optimizers.prodigy)
schedule_free_adamw = _with_like(optimizers.schedule_free_adamw)
schedule_free_sgd = _with_like(optimizers.schedule_free_sgd)
soap = _with_like(optimizers.soap)
