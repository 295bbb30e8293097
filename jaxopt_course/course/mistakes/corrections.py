"""What goes wrong where Adam and Adamax correct their memories, m / (1 - b1**t)."""

from typing import NamedTuple

from jaxopt_course.course.mistakes.shared import mistake
from jaxopt_course.course.recipe import Mistake

FIRST = "m = b1 * m"  # where the lines begin
HATS = {memory: f"{memory} / (1 - {decay}**t)" for memory, decay in (("m", "b1"), ("v", "b2"))}

EXPONENT_AHEAD = mistake(
    "exponent_ahead",
    "El exponente va un paso adelantado, 1 - β^(t+1): con t = 1 en el primer paso el exponente es "
    "t (es una errata de los apuntes).",
    (FIRST, f"t = t + 1\n{FIRST}"),
)
EXPONENT_BEHIND = mistake(
    "exponent_behind",
    "El exponente va un paso atrasado, 1 - β^(t-1): en el primer paso divide entre 0. t empieza "
    "en 1.",
    (FIRST, f"t = t - 1\n{FIRST}"),
)
NO_EXPONENT = mistake(
    "no_exponent",
    "A la corrección le falta el exponente t: 1 - β en vez de 1 - β^t. La corrección debe "
    "desaparecer con el tiempo.",
    (FIRST, f"t = 1\n{FIRST}"),
)
DECAYS_SWAPPED = mistake(
    "decays_swapped",
    "b1 y b2 están cambiados: b1 es de m y b2 de v.",
    (FIRST, f"b1, b2 = b2, b1\n{FIRST}"),
)


class Corrections(NamedTuple):
    """The mistakes of one memory's correction."""

    left_out: Mistake
    no_exponent: Mistake
    multiplied: Mistake
    power: Mistake
    kept: Mistake
    past: Mistake


def corrections(memory: str, decay: str, first: str, why: str = "") -> Corrections:
    """What goes wrong in x_hat = x / (1 - b**t).

    Args:
        memory: x.
        decay: b.
        first: how the first steps come out without it.
        why: what dividing is good for.
    """
    hat = HATS[memory]
    return Corrections(
        left_out=mistake(
            f"{memory}_uncorrected",
            f"Falta la corrección de sesgo de {memory}: {memory} empieza en 0 y los primeros pasos "
            f"salen {first}. Usa {hat}.",
            (hat, memory),
        ),
        no_exponent=mistake(
            f"{memory}_no_exponent",
            f"A la corrección de {memory} le falta el exponente t: 1 - {decay} en vez de "
            f"1 - {decay}**t.",
            (hat, f"{memory} / (1 - {decay})"),
        ),
        multiplied=mistake(
            f"{memory}_hat_multiplied",
            f"La corrección de {memory} multiplica: {memory} * (1 - {decay}**t). Debe "
            f"dividir{why}.",
            (hat, f"{memory} * (1 - {decay}**t)"),
        ),
        power=mistake(
            f"{memory}_power",
            f"El exponente de {memory} está mal puesto: (1 - {decay})**t en vez de 1 - {decay}**t.",
            (hat, f"{memory} / (1 - {decay})**t"),
        ),
        kept=mistake(
            f"{memory}_hat_kept",
            f"Guardas {memory} corregida en state: la corrección se acumula paso tras paso. Guarda "
            f"{memory}, y usa la corregida solo para el paso.",
            (f"'{memory}': {memory}", f"'{memory}': {memory}_hat"),
        ),
        past=mistake(
            f"{memory}_past",
            f"El paso usa la {memory} de antes: {memory} se actualiza primero y se corrige "
            "después.",
            (hat, f"{memory}_old / (1 - {decay}**t)"),
        ),
    )


M = corrections("m", "b1", "(1 - b1) veces lo que deberían", ", para agrandar los primeros pasos")
V = corrections("v", "b2", "demasiado grandes")

M_PRODUCT = mistake(
    "m_product",
    "En la corrección de m multiplicas, 1 - b1 * t: es una potencia, 1 - b1**t.",
    (HATS["m"], "m / (1 - b1 * t)"),
)
M_PARENTHESES = mistake(
    "m_parentheses",
    "Faltan paréntesis en la corrección de m: m / 1 - b1**t divide entre 1 y luego resta.",
    (HATS["m"], "m / 1 - b1**t"),
)
