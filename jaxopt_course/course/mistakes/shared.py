"""The ten optimizers of the course as exercises, each with the mistakes that are often made.

``update`` lines are Python, one leaf, t = 1, 2, ...; a mistake edits them (:mod:`.recipe`).  The
words are for learners, hence Spanish.
"""

from jaxopt_course.course.recipe import Mistake, Recipe

USUAL = {  # values of hyperparameters that learners write into the formula
    "learning_rate": (0.001, 0.01, 0.1),
    "momentum": (0.9,),
    "decay": (0.9, 0.99),
    "rho": (0.9, 0.95),
    "b1": (0.9,),
    "b2": (0.999, 0.99),
    "eps": (1e-8, 1e-7, 1e-6),
    "weight_decay": (1e-4, 4e-3, 1e-2),
}


def mistake(name: str, words: str, *edits: tuple[str, str]) -> Mistake:
    """A mistake by its edits."""
    return Mistake(name, words, edits)


def together(name: str, words: str, *mistakes: Mistake) -> Mistake:
    """Several mistakes as one."""
    return mistake(name, words, *(edit for one in mistakes for edit in one.edits))


def known_mistakes(recipe: Recipe) -> list[Mistake]:
    """The recipe's own mistakes, and those that every recipe can have."""
    step = "w - learning_rate * "
    own = {one.name for one in recipe.mistakes}
    common = [
        mistake(
            "sign",
            "El signo está al revés: sumas el paso y la pérdida sube. El gradiente apunta hacia "
            "donde la pérdida crece, así que se resta.",
            (step, "w + learning_rate * "),
        ),
        mistake(
            "no_rate",
            "Falta la tasa de aprendizaje: el paso no está multiplicado por learning_rate.",
            (step, "w - "),
        ),
        mistake(
            "rate_twice",
            "La tasa de aprendizaje está dos veces: al cuadrado en el paso, o al entrar g en la "
            "memoria y otra vez en el paso.",
            (step, "w - learning_rate * learning_rate * "),
        ),
        mistake(
            "rate_falls_slowly",
            "Divides la tasa de aprendizaje entre √t: aquí la tasa es constante.",
            (step, "w - learning_rate / sqrt(t) * "),
        ),
        mistake(
            "rate_falls",
            "Divides la tasa de aprendizaje entre t: aquí la tasa es constante.",
            (step, "w - learning_rate / t * "),
        ),
        mistake(
            "only_the_step",
            "Devuelves el paso en vez de los parámetros nuevos: falta w en w - paso.",
            (step, "-learning_rate * "),
        ),
        mistake(
            "step_returned",
            "Devuelves el paso en vez de los parámetros nuevos: falta «w -» delante.",
            (step, "learning_rate * "),
        ),
        mistake(
            "unchanged",
            "w sale como entró: falta restarle el paso, o lo restas en otra variable y devuelves "
            "la w de antes.",
            (f"w = {step}", f"new = {step}"),
        ),
    ]
    if "no_eps_above" in own:  # w never moves then either
        common = [one for one in common if one.name != "unchanged"]
    forgets = [
        mistake(
            f"forgets_{name}",
            f"La memoria {name} no guarda su pasado: o devuelves en state la de antes del paso, o "
            f"la línea de {name} no usa su valor anterior.",
            (f"'{name}': {name}", f"'{name}': {name}_old"),
        )
        for name in recipe.memories
        if f"forgets_{name}" not in own  # in words of its own
    ]
    if len(forgets) > 1:
        one, other = recipe.memories
        forgets += [
            mistake(
                "memories_swapped",
                f"Las memorias están cambiadas en el state que devuelves: la de {one} lleva "
                f"{other} y la de {other} lleva {one}.",
                (f"'{one}': {one}", f"'{one}': {other}"),
                (f"'{other}': {other}", f"'{other}': {one}"),
            ),
            together(
                "forgets_all",
                "Las memorias no guardan su pasado: o devuelves el mismo state que recibiste, o "
                "sus líneas no usan el valor anterior.",
                *forgets,
            ),
        ]
    fixed = [
        Mistake(
            f"fixed_{name}",
            f"Parece que {name} no se usa: el resultado es el de {name} = {value:g}, escrito "
            "como constante o tomado de otra variable. Usa el argumento.",
            (),
            ((name, value),),
        )
        for name in recipe.numbers
        for value in (*USUAL[name], recipe.numbers[name])
    ]
    return [*recipe.mistakes, *common, *forgets, *fixed]


# --- pieces that several recipes share ---


def averaged(memory: str, decay: str, entry: str) -> tuple[Mistake, ...]:
    """What goes wrong in x = b * x + (1 - b) * entry."""
    right = f"{decay} * {memory} + (1 - {decay}) * {entry}"
    of_squares = (
        mistake(
            f"{memory}_factor_squared",
            f"El cuadrado abarca también al factor, ((1 - {decay}) g)²: es solo de g.",
            (f"(1 - {decay}) * {entry}", f"((1 - {decay}) * {entry.removesuffix('**2')})**2"),
        ),
        mistake(
            f"{memory}_without_past",
            f"{memory} es lo nuevo y nada más: falta la media, {right}.",
            (right, entry),
        ),
    )
    return (
        *(of_squares if entry.endswith("**2") else ()),
        mistake(
            f"{memory}_parentheses",
            f"Faltan paréntesis en (1 - {decay}): {decay} * {memory} + 1 - {decay} * ... suma un "
            "1 a la memoria y le resta lo nuevo.",
            (right, f"{decay} * {memory} + 1 - {decay} * {entry}"),
        ),
        mistake(
            f"{memory}_is_a_sum",
            f"Falta el factor (1 - {decay}): {memory} es una suma y no una media, y crece hasta "
            f"1/(1 - {decay}) veces lo que debería.",
            (right, f"{decay} * {memory} + {entry}"),
        ),
        mistake(
            f"{memory}_weights_swapped",
            f"Los pesos de {memory} están cambiados: {decay} multiplica a lo nuevo y "
            f"(1 - {decay}) a la memoria.",
            (right, f"(1 - {decay}) * {memory} + {decay} * {entry}"),
        ),
        mistake(
            f"{memory}_never_forgets",
            f"A la memoria {memory} le falta su factor {decay}: no olvida nunca.",
            (right, f"{memory} + (1 - {decay}) * {entry}"),
        ),
    )


def squared(memory: str, right: str) -> tuple[Mistake, ...]:
    """The gradient is not squared, or not kept positive."""
    return (
        mistake(
            f"{memory}_not_squared",
            f"En {memory} entra g y no g²: una memoria de magnitudes no puede tener signo "
            "(y la raíz de un número negativo es NaN).",
            (right, right.replace("g**2", "g")),
        ),
        mistake(
            f"{memory}_of_absolute_values",
            f"En {memory} entra |g| y no g².",
            (right, right.replace("g**2", "abs(g)")),
        ),
        mistake(
            f"{memory}_of_the_double",
            f"En {memory} entra 2g y no g²: el cuadrado es g**2.",
            (right, right.replace("g**2", "g * 2")),
        ),
        mistake(
            f"{memory}_summed",
            f"En {memory} sumas los g² de todas las coordenadas: cada una lleva su cuenta.",
            (right, right.replace("g**2", "(g**2).sum()")),
        ),
        mistake(
            f"{memory}_averaged",
            f"En {memory} promedias los g² de todas las coordenadas: cada una lleva su cuenta.",
            (right, right.replace("g**2", "(g**2).mean()")),
        ),
        mistake(
            f"{memory}_of_parameters",
            f"En {memory} entra w² y no g²: mide lo grandes que son los gradientes.",
            (right, right.replace("g**2", "w**2")),
        ),
    )


def bare(inside: str, memory: str, letter: str) -> tuple[Mistake, ...]:
    """The denominator, √(memory) with ε somewhere, lacks ε or the root."""
    return (
        mistake(
            "no_eps",
            "Falta ε: donde el gradiente ha sido siempre nulo se divide 0 entre 0 (NaN), y donde "
            "es diminuto el paso sale demasiado grande.",
            (inside, f"sqrt({memory})"),
        ),
        mistake(
            "no_root",
            f"Falta la raíz: divides entre {letter} y no entre √{letter}, así que las unidades "
            "no casan.",
            (inside, f"({memory} + eps)"),
        ),
    )
