"""What a learner's function may get wrong before its numbers count, in words."""

import inspect
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np

from jaxopt_course.course.recipe import Recipe, Update


class Unfit(Exception):
    """The learner's function cannot be run to the end; the words for it."""

    def __init__(self, words: str, step: int | None = None, leaf: str | None = None) -> None:
        super().__init__(words)
        self.step, self.leaf = step, leaf


def signature(recipe: Recipe) -> str:
    """The line that a learner's function begins with."""
    return f"def my_update(g, state, w, t, *, {', '.join(recipe.numbers)}):"


def check_signature(recipe: Recipe, update: Any) -> None:
    """Raise where the function cannot be called as it will be."""
    if not callable(update):
        raise Unfit(
            f"Esperaba una función y llegó {type(update).__name__}: escribe el nombre de tu "
            "función sin paréntesis detrás."
        )
    try:
        parameters = inspect.signature(update)
    except ValueError:
        return
    try:
        parameters.bind(0, {}, 0, 1, **recipe.numbers)
    except TypeError as error:
        raise Unfit(
            f"Sus argumentos no son los esperados ({error}). Tu función debe empezar así:\n"
            f"    {signature(recipe)}\n"
            f"y la tuya empieza así:\n"
            f"    def {getattr(update, '__name__', 'función')}{parameters}:"
        ) from error


def careful(recipe: Recipe, update: Update) -> Update:
    """The learner's function, with words for whatever comes out that is no pair (w, state)."""

    def checked(g: Any, state: dict[str, Any], w: Any, t: int, **numbers: float) -> Any:
        try:
            given = {name: memory.copy() for name, memory in state.items()}
            result = update(g, given, w.copy(), t, **numbers)
        except Exception as error:
            raise Unfit(words_for(error, update, recipe)) from error
        return pair(result, recipe, w)

    return checked


def words_for(error: Exception, update: Callable[..., Any], recipe: Recipe) -> str:
    """What the function raised, on which of its lines, and a way out."""
    file = getattr(getattr(inspect.unwrap(update), "__code__", None), "co_filename", None)
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == file]
    line = f"\nFue en la línea {frames[-1].lineno}:\n    {frames[-1].line}" if frames else ""
    hint = ""
    if isinstance(error, KeyError):
        hint = f"\nLas memorias de state son: {quoted(recipe.memories)}."
    elif "immutable" in str(error):
        hint = (
            "\nUna matriz de JAX no se cambia por partes: haz una nueva con x = ..., no x[i] = ..."
        )
    elif isinstance(error, NameError):
        hint = f"\nLos argumentos se llaman g, state, w, t, {', '.join(recipe.numbers)}."
    return f"Tu función se interrumpió: {type(error).__name__}: {error}{line}{hint}"


def pair(result: Any, recipe: Recipe, w: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The (w, state) that the function returned, as arrays; raises where it is none."""
    if result is None:
        raise Unfit("No devuelve nada: falta «return w, state» al final.")
    if not isinstance(result, tuple | list) or len(result) != 2:
        what = f"{len(result)} valores" if isinstance(result, tuple | list) else "uno solo"
        raise Unfit(f"Debe devolver dos valores, «return w, state», y devuelve {what}.")
    new, state = result
    if isinstance(new, dict):
        raise Unfit("Los dos valores están cambiados: primero w y después state.")
    if not isinstance(state, dict):
        raise Unfit(
            f"El segundo valor debe ser el diccionario state, y es {type(state).__name__}: "
            f"devuelve {as_dict(recipe)}."
        )
    if set(state) != set(recipe.memories):
        raise Unfit(
            f"El state que devuelve tiene {quoted(state)}, y debe tener {quoted(recipe.memories)}: "
            f"devuelve {as_dict(recipe)}."
        )
    made = {f"state['{name}']": memory for name, memory in state.items()}
    arrays = [shaped(words, value, w) for words, value in {"w": new, **made}.items()]
    return arrays[0], dict(zip(state, arrays[1:], strict=True))


def shaped(words: str, value: Any, w: np.ndarray) -> np.ndarray:
    """``value`` as an array of the shape of w."""
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "fiub" and array.dtype.name != "bfloat16":
            raise TypeError
    except Exception as error:
        raise Unfit(f"{words} debe ser una matriz de números, y es {value!r:.80}.") from error
    if array.shape != w.shape:
        raise Unfit(
            f"{words} debe tener la forma de los parámetros, {w.shape}, y tiene {array.shape}: "
            "todas las operaciones son coordenada a coordenada, sin sumas ni productos matriciales."
        )
    return array


def quoted(names: Any) -> str:
    """Names of memories in quotes, or that there are none."""
    return ", ".join(f"'{name}'" for name in names) or "ninguna clave"


def as_dict(recipe: Recipe) -> str:
    """How the state is written."""
    return "{" + ", ".join(f"'{name}': {name}" for name in recipe.memories) + "}"
