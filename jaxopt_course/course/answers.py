"""What a learner's function may get wrong before its numbers count, in words."""

import inspect
import re
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np

from jaxopt_course.course.recipe import Recipe, Update

ORDER = ["g", "state", "w", "t"]
HINTS = {  # a piece of an error's message -> a way out
    "immutable": "Una matriz de JAX no se cambia por partes: haz una nueva con x = ..., no "
    "x[i] = ...",
    "bitwise_xor": "En Python la potencia se escribe con dos asteriscos, g**2: ^ es otra cosa.",
    "operand type(s) for ^": "En Python la potencia se escribe con dos asteriscos, b1**t: ^ es "
    "otra cosa.",
    "converted to Python scalars": "Las funciones de math son de un solo número: usa las de NumPy "
    "(np.sqrt) o JAX (jnp.sqrt), que van coordenada a coordenada.",
    "only integer scalar arrays can be converted to a scalar index": "El máximo coordenada a "
    "coordenada de dos matrices es np.maximum(a, b), no np.max.",
    "truth value of an array": "g y w son matrices: el máximo coordenada a coordenada es "
    "np.maximum(a, b), no max(a, b), y en vez de if se usa np.where(condición, a, b).",
    "Attempted boolean conversion of traced": "Dentro de jax.jit no vale if con un valor que se "
    "calcula: quita jit, o usa jnp.where(condición, a, b).",
    "'dict' object has no attribute": "state es un diccionario: sus memorias se leen con "
    "corchetes, state['nombre'].",
    "dict' object is not callable": "state es un diccionario: sus memorias se leen con corchetes, "
    "state['nombre'].",
    "can't multiply sequence by non-int": "state es un diccionario: al desempaquetarlo salen los "
    "nombres de las memorias y no sus números. Se leen con corchetes, state['nombre'].",
    "did not contain a loop with signature": "Multiplicas por un texto: al desempaquetar state, "
    "que es un diccionario, salen los nombres. Las memorias se leen con corchetes, "
    "state['nombre'].",
    "assignment destination is read-only": "Una matriz de JAX no se cambia por partes: haz una "
    "nueva con x = ..., no x[i] = ...",
}


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
    except (ValueError, TypeError):
        return
    try:
        parameters.bind(0, {}, 0, 1, **recipe.numbers)
    except TypeError as error:
        raise Unfit(
            f"Sus argumentos no son los esperados: {unlike(recipe, parameters)}. Tu función debe "
            "empezar así:\n"
            f"    {signature(recipe)}\n"
            f"y la tuya empieza así:\n"
            f"    def {getattr(update, '__name__', 'función')}{parameters}:"
        ) from error
    first = [name for name in parameters.parameters if name not in recipe.numbers][:4]
    if sorted(first) == sorted(ORDER) and first != ORDER:
        raise Unfit(
            f"Sus argumentos están en otro orden, ({', '.join(first)}): llegan por su lugar y no "
            f"por su nombre. Tu función debe empezar así:\n    {signature(recipe)}"
        )


def unlike(recipe: Recipe, parameters: inspect.Signature) -> str:
    """In what the arguments of a function are not those that it will get."""
    ours = {*ORDER, *recipe.numbers}
    own = [
        name
        for name, one in parameters.parameters.items()
        if one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
    ]
    more = [name for name in own if name not in ours]
    missing = [name for name in (*ORDER, *recipe.numbers) if name not in parameters.parameters]
    if len(more) == len(missing) == 1:
        return f"llamas {more[0]} a lo que aquí es {missing[0]}"
    said = [f"{words} {', '.join(names)}" for words, names in
            (("falta", missing), ("sobra", more)) if names]  # fmt: skip
    return " y ".join(said) or "los hiperparámetros llegan por su nombre"


def careful(recipe: Recipe, update: Update) -> Update:
    """The learner's function, with words for whatever comes out that is no pair (w, state).

    Memories may have the letters of the lessons: who asks for one of these gets all of that kind.
    """
    asked: dict[str, str] = {}  # a memory's name here -> in the learner's function

    def called(g: Any, state: dict[str, Any], w: Any, t: int, **numbers: float) -> Any:
        given = {asked.get(name, name): memory.copy() for name, memory in state.items()}
        return update(g, given, w.copy(), t, **numbers)

    def checked(g: Any, state: dict[str, Any], w: Any, t: int, **numbers: float) -> Any:
        also = dict(recipe.also)
        for _ in range(len(also) + 1):
            try:
                result = called(g, state, w, t, **numbers)
                break
            except Exception as error:
                letter = error.args[0] if isinstance(error, KeyError) and error.args else None
                if letter not in also or asked.get(also[letter]) == letter:
                    raise Unfit(words_for(error, update, recipe)) from error
                asked[also[letter]] = letter
        return pair(renamed(result, also), recipe, w)

    return checked


def renamed(result: Any, also: dict[str, str]) -> Any:
    """What a function returned, its memories by their names here."""
    if not (isinstance(result, tuple | list) and len(result) == 2 and isinstance(result[1], dict)):
        return result
    w, state = result
    names = {name: also.get(name, name) for name in state}
    clash = len(set(names.values())) < len(names)
    return result if clash else (w, {names[name]: memory for name, memory in state.items()})


def words_for(error: Exception, update: Callable[..., Any], recipe: Recipe) -> str:
    """What the function raised, on which of its lines, and a way out."""
    file = getattr(getattr(inspect.unwrap(update), "__code__", None), "co_filename", None)
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == file]
    shown = [f for f in frames[-1:] if f.line]
    line = "".join(f"\nFue en la línea {f.lineno}:\n    {f.line}" for f in shown)
    hint = hint_for(error, recipe)
    return "\n".join([f"Tu función se interrumpió: {what(error)}{line}", *hint])


def what(error: Exception) -> str:
    """The error's kind, and its message where it has one."""
    return f"{type(error).__name__}: {error}".removesuffix(": ")


def hint_for(error: Exception, recipe: Recipe) -> list[str]:
    """A way out of an error that many run into; none of others."""
    hyperparameters = ", ".join(recipe.numbers)
    memories = (
        f"Las memorias de state son: {quoted(recipe.memories)}"
        if recipe.memories
        else "state está vacío: este optimizador no tiene memorias"
    )
    if isinstance(error, ModuleNotFoundError):
        return [f"{error.name} no está instalado, ni hace falta: vale NumPy y JAX."]
    if isinstance(error, KeyError):
        return [f"{memories}. Los hiperparámetros se llaman {hyperparameters}."]
    if isinstance(error, UnboundLocalError) and (found := re.search(r"'(\w+)'", str(error))):
        name = found[1]
        begin = f"{name} = state['{name}']" if name in recipe.memories else f"{name} = ..."
        return [f"{name} se usa antes de tener un valor: empieza con {begin}."]
    if isinstance(error, NameError):
        return [f"Los argumentos se llaman g, state, w, t, {hyperparameters}. {memories}."]
    return [words for piece, words in HINTS.items() if piece in str(error)][:1]


def pair(result: Any, recipe: Recipe, w: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The (w, state) that the function returned, as arrays; raises where it is none."""
    if inspect.isgenerator(result) or inspect.iscoroutine(result):
        raise Unfit("Tu función debe terminar con return, sin yield ni async.")
    if result is None or result is ...:
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
        given = f"tiene {quoted(state)}" if state else "está vacío"
        wanted = f"debe tener {quoted(recipe.memories)}" if recipe.memories else "debe estar vacío"
        raise Unfit(f"El state que devuelve {given}, y {wanted}: devuelve {as_dict(recipe)}.")
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
        numbers = "números reales" if kind_of(value) == "c" else "números"
        given = (
            f"de tipo {value.dtype}" if hasattr(value, "dtype") else " ".join(repr(value).split())
        )
        raise Unfit(f"{words} debe ser una matriz de {numbers}, y es {given:.80}.") from error
    if array.dtype.name in ("float16", "bfloat16"):
        raise Unfit(
            f"{words} es de tipo {array.dtype.name}, que tiene muy pocas cifras para compararlo: "
            "calcula en float32 o float64."
        )
    if array.shape != w.shape:
        raise Unfit(
            f"{words} debe tener la forma de los parámetros, {w.shape}, y tiene {array.shape}: "
            "todas las operaciones son coordenada a coordenada, sin sumas ni productos matriciales "
            "(y el máximo de dos matrices es np.maximum)."
        )
    return array


def kind_of(value: Any) -> str:
    """NumPy's letter for the type of an array's numbers; empty for what is no array."""
    kind: str = getattr(getattr(value, "dtype", None), "kind", "")
    return kind


def quoted(names: Any) -> str:
    """Names of memories in quotes."""
    return ", ".join(f"'{name}'" for name in names)


def as_dict(recipe: Recipe) -> str:
    """How the state is written."""
    return "{" + ", ".join(f"'{name}': {name}" for name in recipe.memories) + "}"
