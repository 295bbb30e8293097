"""Adamax: Adam with a maximum in the place of the mean of squares."""

from jaxopt_course.course.mistakes.corrections import (
    DECAYS_SWAPPED,
    EXPONENT_AHEAD,
    HATS,
    M_PARENTHESES,
    M_PRODUCT,
    NO_EXPONENT,
    M,
)
from jaxopt_course.course.mistakes.shared import averaged, mistake
from jaxopt_course.course.recipe import Recipe

ADAMAX = Recipe(
    formula="m ← β1 m + (1-β1) g,  v ← max(β2 v, |g| + ε),  m̂ = m / (1-β1^t),  "
    "w ← w - η m̂ / v,  con η = learning_rate, β1 = b1, β2 = b2, ε = eps",
    lines=(
        "m = b1 * m + (1 - b1) * g",
        "v = maximum(b2 * v, abs(g) + eps)",
        f"m_hat = {HATS['m']}",
        "w = w - learning_rate * m_hat / v",
    ),
    memories={"m": 0.0, "v": 0.0},
    also=(("u", "v"),),
    numbers={"learning_rate": 0.1, "b1": 0.8, "b2": 0.95, "eps": 1e-2},
    mistakes=(
        M.left_out,
        EXPONENT_AHEAD,
        NO_EXPONENT,
        M_PRODUCT,
        M_PARENTHESES,
        M.multiplied,
        M.power,
        M.kept,
        mistake(
            "v_corrected",
            "Sobra la corrección de v: un máximo no tiende a 0 por empezar en 0.",
            ("m_hat / v", "m_hat / (v / (1 - b2**t))"),
        ),
        mistake(
            "eps_at_the_step",
            "ε está sumado a v en el paso (así en Keras): aquí va dentro del máximo, |g| + ε.",
            ("abs(g) + eps", "abs(g)"),
            ("m_hat / v", "m_hat / (v + eps)"),
        ),
        mistake(
            "eps_outside_the_maximum",
            "ε está sumado al máximo, max(β2 v, |g|) + ε: aquí va dentro, con |g|, y así no se "
            "acumula en v.",
            ("maximum(b2 * v, abs(g) + eps)", "maximum(b2 * v, abs(g)) + eps"),
        ),
        M.past,
        mistake(
            "no_eps",
            "Falta ε (así en el artículo): donde el gradiente ha sido siempre nulo se divide "
            "0 entre 0 (NaN).",
            ("abs(g) + eps", "abs(g)"),
        ),
        mistake(
            "no_absolute_value",
            "Falta el valor absoluto: el máximo es de |g|, y g puede ser negativo.",
            ("abs(g) + eps", "g + eps"),
        ),
        mistake(
            "v_squared",
            "En el máximo entra g² y no |g|: Adamax no eleva al cuadrado.",
            ("abs(g) + eps", "g**2 + eps"),
        ),
        mistake(
            "v_undamped",
            "Falta b2 en el máximo: un pico del gradiente no se olvidaría nunca.",
            ("b2 * v,", "v,"),
        ),
        mistake(
            "v_minimum",
            "Es el máximo, no el mínimo, de β2 v y |g| + ε.",
            ("maximum(", "minimum("),
        ),
        mistake(
            "v_is_a_mean",
            "v es una media de |g|: en Adamax es un máximo.",
            ("maximum(b2 * v, abs(g) + eps)", "b2 * v + (1 - b2) * abs(g) + eps"),
        ),
        mistake(
            "v_is_a_mean_of_both",
            "v es una media de |g| + ε: en Adamax es un máximo.",
            ("maximum(b2 * v, abs(g) + eps)", "b2 * v + (1 - b2) * (abs(g) + eps)"),
        ),
        mistake(
            "v_is_a_mean_eps_at_the_step",
            "v es una media de |g|, con ε sumado en el paso: en Adamax es un máximo, con ε dentro.",
            ("maximum(b2 * v, abs(g) + eps)", "b2 * v + (1 - b2) * abs(g)"),
            ("m_hat / v", "m_hat / (v + eps)"),
        ),
        mistake(
            "v_is_a_mean_without_eps",
            "v es una media de |g|, y sin ε: en Adamax es un máximo, max(β2 v, |g| + ε).",
            ("maximum(b2 * v, abs(g) + eps)", "b2 * v + (1 - b2) * abs(g)"),
        ),
        mistake(
            "adam",
            "v es la media de g² y el paso divide entre √v: eso es Adam.",
            ("maximum(b2 * v, abs(g) + eps)", "b2 * v + (1 - b2) * g**2"),
            ("m_hat / v", "m_hat / (sqrt(v / (1 - b2**t)) + eps)"),
        ),
        mistake(
            "root",
            "Sobra la raíz: v ya tiene las unidades de g.",
            ("m_hat / v", "m_hat / sqrt(v)"),
        ),
        mistake(
            "past_memory",
            "En el primer paso divides entre 0: o divides entre la memoria v de antes del paso, o "
            "el exponente de la corrección va atrasado, t - 1 (t empieza en 1).",
            ("m_hat / v", "m_hat / v_old"),
        ),
        mistake(
            "step_of_g",
            "El paso usa g y no m̂.",
            ("m_hat / v", "g / v"),
        ),
        DECAYS_SWAPPED,
        *averaged("m", "b1", "g"),
    ),
)
