"""Gradient descent, plain or along a memory of gradients."""

from jaxopt_course.course.mistakes.shared import averaged, mistake
from jaxopt_course.course.recipe import Mistake, Recipe

SUM = "momentum * m + g"


def shrinking(decay: str) -> Mistake:
    """Erratum of the notes (002): the parameters themselves are multiplied by the decay."""
    return mistake(
        "parameters_shrink",
        f"Multiplicas w por {decay}: los parámetros encogen hacia 0 aunque el gradiente sea nulo "
        "(es una errata de los apuntes). Solo se amortigua la memoria.",
        ("w = w - learning_rate", f"w = {decay} * w - learning_rate"),
    )


NEVER_FORGETS = mistake(
    "never_forgets",
    "A la memoria le falta su factor momentum: no olvida nunca.",
    (SUM, "m + g"),
)
PAST_STEP = mistake(
    "past_memory",
    "El paso usa la memoria de antes: m se actualiza primero y se usa después.",
    ("learning_rate * m", "learning_rate * m_old"),
)

SGD = Recipe(
    formula="w ← w - η g,  con η = learning_rate",
    lines=("w = w - learning_rate * g",),
    memories={},
    numbers={"learning_rate": 0.3},
    mistakes=(
        mistake(
            "twice",
            "El paso es el doble: g ya es el gradiente entero; el 2 de la derivada del "
            "cuadrado (o de λΣw²) está dentro de él.",
            ("learning_rate * g", "2 * learning_rate * g"),
        ),
        mistake(
            "half",
            "El paso es la mitad: el ½ de la pérdida, si lo hay, ya está dentro de g.",
            ("learning_rate * g", "learning_rate / 2 * g"),
        ),
        mistake(
            "summed",
            "Sumas las coordenadas de g: cada parámetro baja por su propia derivada.",
            ("* g", "* g.sum()"),
        ),
        mistake(
            "averaged",
            "Promedias las coordenadas de g: cada parámetro baja por su propia derivada (lo "
            "que se promedia son los ejemplos del lote, y eso ya está hecho).",
            ("* g", "* g.mean()"),
        ),
        mistake(
            "divided_by_size",
            "Divides g entre el número de coordenadas: lo que se promedia son los ejemplos "
            "del lote, y eso ya está hecho.",
            ("* g", "* g / g.size"),
        ),
        mistake(
            "only_the_sign",
            "Usas solo el signo de g: todos los pasos miden lo mismo.",
            ("* g", "* sign(g)"),
        ),
        mistake(
            "normalized",
            "Divides g entre su norma: el paso no debe medir siempre lo mismo.",
            ("* g", "* g / sqrt((g**2).sum())"),
        ),
        mistake("squared", "El paso usa g², que no tiene signo: es g.", ("* g", "* g**2")),
        mistake("absolute", "El paso usa |g|, que no tiene signo: es g.", ("* g", "* abs(g)")),
        mistake("times_w", "Multiplicas el gradiente por w.", ("* g", "* g * w")),
    ),
)

MOMENTUM = Recipe(
    also=(("v", "m"),),
    formula="m ← β m + g,  w ← w - η m,  con β = momentum, η = learning_rate",
    lines=(f"m = {SUM}", "w = w - learning_rate * m"),
    memories={"m": 0.0},
    numbers={"learning_rate": 0.1, "momentum": 0.8},
    mistakes=(
        mistake(
            "m_is_a_mean",
            "Sobra el factor (1 - momentum): la memoria es una suma y no una media; así el "
            "paso es 1/(1 - momentum) veces más corto.",
            (SUM, "momentum * m + (1 - momentum) * g"),
        ),
        mistake(
            "g_damped",
            "momentum multiplica también al gradiente nuevo: solo amortigua la memoria.",
            (SUM, "momentum * (m + g)"),
        ),
        NEVER_FORGETS,
        mistake(
            "nesterov",
            "Eso es Nesterov: el paso mira hacia delante, g + momentum * m. Aquí es m.",
            ("learning_rate * m", "learning_rate * (g + momentum * m)"),
        ),
        mistake(
            "forgets_m",
            "La memoria m no cuenta y esto es SGD: o el paso usa g y no m, o devuelves en state la "
            "de antes del paso, o la línea de m no usa su valor anterior.",
            ("'m': m", "'m': m_old"),
        ),
        PAST_STEP,
        shrinking("momentum"),
    ),
)

EMA_MOMENTUM = Recipe(
    also=(("v", "m"),),
    formula="m ← β m + (1-β) g,  w ← w - η m,  con β = decay, η = learning_rate",
    lines=("m = decay * m + (1 - decay) * g", "w = w - learning_rate * m"),
    memories={"m": 0.0},
    numbers={"learning_rate": 0.3, "decay": 0.8},
    mistakes=(
        *averaged("m", "decay", "g"),
        mistake(
            "corrected",
            "Sobra la corrección de sesgo: esta media se usa sin dividir entre (1 - decay**t).",
            ("learning_rate * m", "learning_rate * m / (1 - decay**t)"),
        ),
        mistake(
            "no_memory",
            "El paso usa g y no la memoria m: eso es SGD.",
            ("learning_rate * m", "learning_rate * g"),
        ),
        mistake(
            "nesterov",
            "El paso mira hacia delante, como Nesterov: aquí es m.",
            ("learning_rate * m", "learning_rate * ((1 - decay) * g + decay * m)"),
        ),
        PAST_STEP,
        shrinking("decay"),
    ),
)

NESTEROV = Recipe(
    also=(("v", "m"),),
    formula="m ← β m + g,  w ← w - η (g + β m),  con β = momentum, η = learning_rate",
    lines=(f"m = {SUM}", "w = w - learning_rate * (g + momentum * m)"),
    memories={"m": 0.0},
    numbers={"learning_rate": 0.1, "momentum": 0.8},
    mistakes=(
        mistake(
            "heavy_ball",
            "Eso es el momentum clásico: el paso es m (o g + momentum por la memoria de antes, "
            "que es lo mismo). Nesterov usa la memoria ya actualizada: g + momentum * m.",
            ("(g + momentum * m)", "m"),
        ),
        mistake(
            "m_is_a_mean",
            "Sobra el factor (1 - momentum) en la memoria: es una suma y no una media.",
            (SUM, "momentum * m + (1 - momentum) * g"),
        ),
        mistake(
            "m_ahead_twice",
            "El paso suma m y momentum * m: debe sumar el gradiente g y momentum * m.",
            ("(g + momentum * m)", "(m + momentum * m)"),
        ),
        mistake(
            "look_ahead_undamped",
            "Al mirar hacia delante falta el factor momentum: g + momentum * m, no g + m.",
            ("(g + momentum * m)", "(g + m)"),
        ),
        mistake(
            "no_memory",
            "El paso usa solo g, sin mirar hacia delante: eso es SGD.",
            ("(g + momentum * m)", "g"),
        ),
        mistake(
            "rate_in_memory",
            "La tasa de aprendizaje multiplica a g al entrar en la memoria, y otra vez a todo el "
            "paso: la memoria es de gradientes, sin la tasa.",
            (SUM, "momentum * m + learning_rate * g"),
        ),
        mistake(
            "g_left_out",
            "Al paso le falta g: es g + momentum * m.",
            ("(g + momentum * m)", "(momentum * m)"),
        ),
        NEVER_FORGETS,
        shrinking("momentum"),
    ),
)
