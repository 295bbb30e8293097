"""Exercises that check themselves: a learner's update against the library's, step by step.

A learner writes one pure function of one leaf, in NumPy or JAX,

    update(g, state, w, t, **hyperparameters) -> (w, state)        t = 1, 2, ...

and :func:`check` runs it beside the library's optimizer.  Where they part, its path is compared
with those of the mistakes that are often made (:mod:`.mistakes`); the one that it equals is named.
"""

import difflib
import textwrap
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxopt_course.course.answers import Unfit, careful, check_signature, signature
from jaxopt_course.course.diagnosis import TOLERANCE, diagnose
from jaxopt_course.course.mistakes import RECIPES
from jaxopt_course.course.paths import (
    STEPS,
    Leaves,
    deviation,
    differences,
    first_wrong,
    library_path,
    problem,
    run,
)
from jaxopt_course.course.recipe import Mistake, Recipe, Update, changed_lines, update_of

WIDTH = 88  # of a line of a message
SKELETON = (  # what is said of one; which line is missing would give the answer away
    "✗ {name}: todavía no hace nada, tampoco en el paso {step}, hoja «{leaf}»: w y las memorias "
    "salen como entraron. Escribe la fórmula del enunciado y vuelve a comprobarlo."
)
SINGLE = 1e-5  # what rounding to float32 on the way, out of sight, can make


@dataclass(frozen=True, repr=False)
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

    def __repr__(self) -> str:  # short: a notebook shows it under the message
        found = ", ".join((str(self.passed), *map(repr, self.mistakes)))
        return f"Verdict({self.exercise!r}, {found})"


def exercise(name: str) -> None:
    """Print what the exercise asks for: signature, memories, formula.

    Args:
        name: of the optimizer, as in :func:`check`.

    >>> exercise("sgd")
    Ejercicio «sgd»: escribe un paso del optimizador para una hoja de los parámetros.
      def my_update(g, state, w, t, *, learning_rate):
          ...
          return w, state
      g, w    el gradiente y los parámetros, arreglos de la misma forma
      state   un diccionario vacío: este optimizador no tiene memorias
      t       el número del paso: 1, 2, 3, ...
      w ← w - η g
      con η = learning_rate
    Y compruébalo: check("sgd", my_update)
    """
    name = known_as(name)
    recipe = RECIPES[name]
    memories = ", ".join(f"'{m}' (empieza en {start:g})" for m, start in recipe.memories.items())
    state = "un diccionario vacío: este optimizador no tiene memorias"
    print(
        f"Ejercicio «{name}»: escribe un paso del optimizador para una hoja de los parámetros.\n"
        f"  {signature(recipe)}\n"
        f"      ...\n"
        f"      return w, state\n"
        f"  g, w    el gradiente y los parámetros, arreglos de la misma forma\n"
        f"  state   {f'un diccionario con las memorias: {memories}' if memories else state}\n"
        f"  t       el número del paso: 1, 2, 3, ...\n"
        f"  {recipe.formula.replace(',  ', chr(10) + '  ')}\n"
        f'Y compruébalo: check("{name}", my_update)'
    )


def check(name: str, update: Update, *, quiet: bool = False) -> Verdict:
    """Run a learner's update beside the library's, and say where and how it goes wrong.

    Args:
        name: of the exercise: sgd, momentum, ema_momentum, nesterov, adagrad, rmsprop, adadelta,
            adam, adamw or adamax, in letters of any size; :func:`exercise` prints what it asks for.
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
    name = known_as(name)
    verdict = judge(name, RECIPES[name], update)
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
    close = deviation(path, ours) <= SINGLE
    lost = not any(np.isfinite(steps[step - 1]).any() for steps in path.values())
    mistakes = () if close else diagnose(name, path, states, tolerance, most=1 if lost else 2)
    names = tuple(mistake.name for mistake in mistakes)
    if untouched(recipe, path, states):
        told = page([SKELETON.format(name=name, step=step, leaf=leaf)])
        return Verdict(name, False, told, step, leaf, names)
    theirs, right = path[leaf][step - 1][place], ours[leaf][step - 1][place]
    words = [
        f"✗ {name}: el primer error está en el paso {step}, hoja «{leaf}», coordenada "
        f"{tuple(map(int, place))}: w sale {apiece(theirs, right)}.",
        *said(recipe, mistakes),
    ]
    if close:
        words.append(
            f"Es muy poca diferencia ({deviation(path, ours):.0e} relativa). Si conviertes algo a "
            "float32 es su redondeo, y la fórmula está bien: quita la conversión y vuelve a "
            "comprobarla. Si no, busca una constante diminuta que sobra, como un 1e-8."
        )
    elif not mistakes:
        words += clues(recipe, states, step, leaf, theirs, max(tolerance, SINGLE))
        words += step_ratio(path, ours, step)
        if {leaf for leaf, d in differences(path, ours).items() if d.max() > tolerance} == {"b"}:
            words.append(
                "En las demás hojas todo está bien, y a «b» le llegan otros hiperparámetros: busca "
                "uno escrito como constante."
            )
    elif lost:
        words.append(
            "Desde ese paso todo es NaN o infinito, así que también puede ser otra división entre "
            "0, la raíz de un número negativo o un paréntesis que falta."
        )
    return Verdict(name, False, page(words), step, leaf, names)


def untouched(recipe: Recipe, path: Leaves, states: list[dict[str, Leaves]]) -> bool:
    """Whether nothing was done in any step: the parameters and memories are those of the start."""
    stays = all((path[leaf] == start).all() for leaf, start in problem()[0].items())
    return stays and all(
        (memory[name] == begin).all()
        for state in states
        for memory in state.values()
        for name, begin in recipe.memories.items()
    )


def apiece(theirs: float, right: float) -> str:
    """Both numbers, in as many digits as it takes to tell them apart."""
    for digits in (6, 9, 12, 17):
        one, other = f"{theirs:.{digits}g}", f"{right:.{digits}g}"
        if one != other:
            break
    return f"{one} y debería salir {other}"


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
    wrong_memory = False
    blackboard = update_of(recipe)
    assert blackboard is not None
    right = run(recipe, blackboard)[1][step - 1][leaf]
    for name, memory in states[step - 1][leaf].items():
        size = np.max(np.abs(right[name])) or 1.0
        if np.max(np.abs(memory - right[name])) <= tol * size:
            words.append(f"La memoria {name} está bien tras ese paso.")
        else:
            wrong_memory = True
            words.append(
                f"La memoria {name} no está bien tras ese paso: mira primero la línea que la "
                "renueva."
            )
    if not wrong_memory:
        words.append("Mira la línea que renueva w.")
    return words


def step_ratio(path: Leaves, ours: Leaves, step: int) -> list[str]:
    """Where the first wrong step is everywhere the same number of times the right one, say it."""
    start = problem()[0]
    pairs = []
    for leaf, right in ours.items():
        before = right[step - 2] if step > 1 else start[leaf]
        pairs.append((path[leaf][step - 1] - before, right[step - 1] - before))
    theirs, right = (np.concatenate([x.ravel() for x in side]) for side in zip(*pairs, strict=True))
    moved = np.abs(right) > 1e-12
    ratio = float(np.median(theirs[moved] / right[moved]))
    if not np.allclose(theirs[moved], ratio * right[moved], rtol=1e-6) or abs(ratio) < 1e-6:
        return []
    return [f"En ese paso, el tuyo es {ratio:.6g} veces el correcto en todas las coordenadas."]


def known_as(name: str) -> str:
    """The name of an exercise, however its letters are written."""
    if not isinstance(name, str):
        raise ValueError(
            "el primer argumento es el nombre del ejercicio, entre comillas, como en "
            'check("adam", my_update)'
        )
    if (known := name.strip().lower()) in RECIPES:
        return known
    near = difflib.get_close_matches(name.lower(), RECIPES, n=1, cutoff=0.5)
    hint = f"; ¿querías decir «{near[0]}»?" if near else ""
    raise ValueError(f"no hay un ejercicio «{name}»{hint} (los hay: {', '.join(RECIPES)})")
