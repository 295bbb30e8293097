"""Exercises that check themselves: a learner's update against the library's, step by step.

A learner writes one pure function of one leaf, in NumPy or JAX,

    update(g, state, w, t, **hyperparameters) -> (w, state)        t = 1, 2, ...

and :func:`check` runs it beside the library's optimizer.  Where they part, its path is compared
with those of the mistakes that are often made (:mod:`.mistakes`); the one that it equals is named.
"""

import difflib
import itertools
import textwrap
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxopt_course.course.answers import Unfit, careful, check_signature, signature
from jaxopt_course.course.mistakes import RECIPES, known_mistakes
from jaxopt_course.course.paths import (
    STEPS,
    Leaves,
    deviation,
    first_wrong,
    library_path,
    run,
)
from jaxopt_course.course.recipe import Mistake, Recipe, Update, changed_lines, update_of

WIDTH = 88  # of a line of a message
TOLERANCE = {True: 1e-9, False: 1e-4}  # of float64 and narrower results; of what a coordinate moves


@dataclass(frozen=True)
class Verdict:
    """What :func:`check` found; true where the function is right."""

    exercise: str
    passed: bool
    message: str  # Spanish
    step: int | None = None  # where it goes wrong first
    leaf: str | None = None
    mistakes: tuple[str, ...] = ()  # names of the known mistakes that it looks like
    error: Exception | None = None  # what the function raised

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        return self.message


def exercise(name: str) -> None:
    """Print what the exercise asks for: signature, memories, formula.

    Args:
        name: of the optimizer, as in :func:`check`.

    >>> exercise("sgd")
    Ejercicio «sgd»: escribe un paso del optimizador para una hoja de los parámetros.
      def my_update(g, state, w, t, *, learning_rate):
          ...
          return w, state
      g, w    el gradiente y los parámetros, matrices de la misma forma
      state   un diccionario vacío: este optimizador no tiene memorias
      t       el número del paso: 1, 2, 3, ...
      w ← w - η g
      con η = learning_rate
    Y compruébalo: check("sgd", my_update)
    """
    recipe = recipe_of(name)
    memories = ", ".join(f"'{m}' (empieza en {start:g})" for m, start in recipe.memories.items())
    state = "un diccionario vacío: este optimizador no tiene memorias"
    print(
        f"Ejercicio «{name}»: escribe un paso del optimizador para una hoja de los parámetros.\n"
        f"  {signature(recipe)}\n"
        f"      ...\n"
        f"      return w, state\n"
        f"  g, w    el gradiente y los parámetros, matrices de la misma forma\n"
        f"  state   {f'un diccionario con las memorias: {memories}' if memories else state}\n"
        f"  t       el número del paso: 1, 2, 3, ...\n"
        f"  {recipe.formula.replace(',  ', chr(10) + '  ')}\n"
        f'Y compruébalo: check("{name}", my_update)'
    )


def check(name: str, update: Update, *, quiet: bool = False) -> Verdict:
    """Run a learner's update beside the library's, and say where and how it goes wrong.

    Args:
        name: of the exercise: sgd, momentum, ema_momentum, nesterov, adagrad, rmsprop, adadelta,
            adam, adamw or adamax; :func:`exercise` prints what it asks for.
        update: ``update(g, state, w, t, **hyperparameters) -> (w, state)`` of one leaf, in NumPy
            or JAX; ``state`` is a dict of arrays shaped like ``w``, t = 1, 2, ...
        quiet: print nothing.

    Returns:
        The verdict: whether it passed, the first wrong step and leaf, the mistakes it looks like.

    Raises:
        ValueError: there is no such exercise.

    >>> def my_update(g, state, w, t, *, learning_rate, momentum):
    ...     m = momentum * state["m"] + (1 - momentum) * g
    ...     return w - learning_rate * m, {"m": m}
    >>> check("momentum", my_update, quiet=True).mistakes
    ('m_is_a_mean',)
    """
    verdict = judge(name, recipe_of(name), update)
    if not quiet:
        print(verdict.message)
    return verdict


def judge(name: str, recipe: Recipe, update: Update) -> Verdict:
    """The verdict on ``update``."""
    try:
        check_signature(recipe, update)
        path, states, wide = run(recipe, careful(recipe, update))
    except Unfit as unfit:
        where = f" en el paso {unfit.step}, hoja «{unfit.leaf}»" if unfit.step else ""
        refusal = [f"✗ {name}: no se puede comprobar{where}.", *str(unfit).splitlines()]
        error = unfit.__cause__ if isinstance(unfit.__cause__, Exception) else None
        return Verdict(name, False, page(refusal), unfit.step, unfit.leaf, error=error)
    ours = library_path(name)
    tolerance = TOLERANCE[wide]
    wrong = first_wrong(path, ours, tolerance)
    if wrong is None:
        return Verdict(
            name,
            True,
            f"✓ {name}: {STEPS} pasos y {len(ours)} hojas iguales a los de la biblioteca "
            f"(diferencia relativa máxima {deviation(path, ours):.0e}).",
        )
    step, leaf, place = wrong
    mistakes = diagnose(recipe, path, tolerance)
    theirs, right = path[leaf][step - 1][place], ours[leaf][step - 1][place]
    words = [
        f"✗ {name}: el primer error está en el paso {step}, hoja «{leaf}», coordenada "
        f"{tuple(map(int, place))}: w sale {theirs:.6g} y debería salir {right:.6g}.",
        *said(recipe, mistakes),
    ]
    if not mistakes:
        words += clues(recipe, states, step, leaf, theirs, tolerance)
    names = tuple(mistake.name for mistake in mistakes)
    return Verdict(name, False, page(words), step, leaf, names)


def page(paragraphs: list[str]) -> str:
    """Paragraphs in lines of a terminal's width; code, which is indented, as it is."""
    lines = [
        line
        for text in paragraphs
        for line in ([text] if text.startswith(" ") else textwrap.wrap(text, WIDTH))
    ]
    return "\n  ".join(lines)


def said(recipe: Recipe, mistakes: tuple[Mistake, ...]) -> list[str]:
    """The mistakes in words, and the lines that do the same."""
    if not mistakes:
        return []
    lines = [f"    {line}" for line in changed_lines(recipe, *mistakes)]
    return [
        "Parecen dos errores a la vez." if len(mistakes) > 1 else "Se parece a este error:",
        *(f"- {mistake.words}" for mistake in mistakes),
        *(["Tu función hace lo mismo que:", *lines] if lines else []),
    ]


def clues(
    recipe: Recipe, states: list[dict[str, Leaves]], step: int, leaf: str, value: Any, tol: float
) -> list[str]:
    """What can be said of a path that no known mistake makes: which line to look at."""
    words = ["No se parece a ninguno de los errores conocidos."]
    if not np.isfinite(value):
        words.append(
            "Sale NaN o infinito: busca una división entre 0 (¿1 - β**t con t mal contado?, "
            "¿falta ε?) o la raíz de un número negativo."
        )
    right = run(recipe, must(update_of(recipe)))[1][step - 1][leaf]
    for name, memory in states[step - 1][leaf].items():
        size = np.max(np.abs(right[name])) or 1.0
        if np.max(np.abs(memory - right[name])) <= tol * size:
            words.append(f"La memoria {name} está bien tras ese paso.")
        else:
            words.append(
                f"La memoria {name} no está bien tras ese paso: mira primero la línea que la "
                "renueva."
            )
    return words


def diagnose(recipe: Recipe, path: Leaves, tol: float) -> tuple[Mistake, ...]:
    """The known mistake that makes this path, else the two that together make it."""
    known = known_mistakes(recipe)
    for sets in (((one,) for one in known), itertools.combinations(known, 2)):
        near = [(apart(recipe, path, mistakes, tol), mistakes) for mistakes in sets]
        least, mistakes = min(near, key=lambda pair: pair[0])
        if least <= tol:
            return mistakes
    return ()


def apart(recipe: Recipe, path: Leaves, mistakes: tuple[Mistake, ...], tol: float) -> float:
    """How far the path is from that of these mistakes, or at least above ``tol``."""
    update = update_of(recipe, *mistakes)
    if update is None:  # they are in each other's way
        return np.inf
    for steps in (2, STEPS):  # most are already wrong at once
        made = run(recipe, update, steps)[0]
        far = deviation({leaf: w[:steps] for leaf, w in path.items()}, made)
        if far > tol:
            break
    return far


def must(update: Update | None) -> Update:
    """An update that is there."""
    assert update is not None
    return update


def recipe_of(name: str) -> Recipe:
    """The exercise of this name."""
    if name in RECIPES:
        return RECIPES[name]
    near = difflib.get_close_matches(str(name), RECIPES, n=1, cutoff=0.5)
    hint = f"; ¿querías decir «{near[0]}»?" if near else ""
    raise ValueError(f"no hay un ejercicio «{name}»{hint} (los hay: {', '.join(RECIPES)})")
