"""Adam."""

from jaxopt_course.course.mistakes.corrections import (
    DECAYS_SWAPPED,
    EXPONENT_AHEAD,
    EXPONENT_BEHIND,
    HATS,
    M_PARENTHESES,
    M_PRODUCT,
    NO_EXPONENT,
    M,
    V,
)
from jaxopt_course.course.mistakes.shared import averaged, bare, mistake, squared, together
from jaxopt_course.course.recipe import Recipe

DENOMINATOR = "(sqrt(v_hat) + eps)"
RULE = "m ← β1 m + (1-β1) g,  v ← β2 v + (1-β2) g²,  m̂ = m / (1-β1^t),  v̂ = v / (1-β2^t),  "
NUMBERS = "con η = learning_rate, β1 = b1, β2 = b2, ε = eps"

SAME_DECAY_IN_HATS = mistake(
    "same_decay_in_hats",
    "Corriges v con b1: a cada memoria le toca su propia β.",
    (HATS["v"], "v / (1 - b1**t)"),
)
B1_FOR_V = mistake(
    "b1_for_v",
    "v lleva b1 en vez de b2: cada memoria tiene su propia β.",
    ("b2 * v + (1 - b2) * g**2", "b1 * v + (1 - b1) * g**2"),
)

ADAM = Recipe(
    formula=f"{RULE}w ← w - η m̂ / (√v̂ + ε),  {NUMBERS}",
    lines=(
        "m = b1 * m + (1 - b1) * g",
        "v = b2 * v + (1 - b2) * g**2",
        f"m_hat = {HATS['m']}",
        f"v_hat = {HATS['v']}",
        f"w = w - learning_rate * m_hat / {DENOMINATOR}",
    ),
    memories={"m": 0.0, "v": 0.0},
    numbers={"learning_rate": 0.1, "b1": 0.8, "b2": 0.95, "eps": 1e-3},
    mistakes=(
        M.left_out,
        V.left_out,
        together(
            "uncorrected",
            "Faltan las dos correcciones de sesgo: m / (1 - b1**t) y v / (1 - b2**t).",
            M.left_out,
            V.left_out,
        ),
        EXPONENT_AHEAD,
        EXPONENT_BEHIND,
        NO_EXPONENT,
        M.no_exponent,
        V.no_exponent,
        M_PRODUCT,
        mistake(
            "v_product",
            "En la corrección multiplicas, 1 - β * t: es una potencia, 1 - β**t. El producto pasa "
            "de 1 y la raíz de v̂ negativa es NaN.",
            (HATS["v"], "v / (1 - b2 * t)"),
        ),
        M_PARENTHESES,
        M.multiplied,
        V.multiplied,
        together(
            "hats_multiplied",
            "Las correcciones multiplican: m * (1 - b1**t) y v * (1 - b2**t). Deben dividir.",
            M.multiplied,
            V.multiplied,
        ),
        M.power,
        V.power,
        together(
            "powers",
            "Los exponentes están mal puestos: (1 - β)**t en vez de 1 - β**t.",
            M.power,
            V.power,
        ),
        SAME_DECAY_IN_HATS,
        B1_FOR_V,
        together(
            "b1_everywhere",
            "v y su corrección llevan b1 en vez de b2: cada memoria tiene su propia β.",
            B1_FOR_V,
            SAME_DECAY_IN_HATS,
        ),
        mistake(
            "b2_for_m",
            "m lleva b2 en vez de b1: cada memoria tiene su propia β.",
            ("b1 * m + (1 - b1) * g", "b2 * m + (1 - b2) * g"),
        ),
        mistake(
            "v_factor_of_m",
            "A la entrada de v la multiplica (1 - b1): es (1 - b2).",
            ("(1 - b2) * g**2", "(1 - b1) * g**2"),
        ),
        mistake(
            "m_factor_of_v",
            "A la entrada de m la multiplica (1 - b2): es (1 - b1).",
            ("(1 - b1) * g", "(1 - b2) * g"),
        ),
        M.kept,
        V.kept,
        together(
            "hats_kept",
            "Guardas m y v corregidas en state: la corrección se acumula paso tras paso. Guarda m "
            "y v, y usa las corregidas solo para el paso.",
            M.kept,
            V.kept,
        ),
        mistake(
            "eps_inside",
            "ε está dentro de la raíz, √(v̂ + ε): en Adam va fuera, √v̂ + ε.",
            (DENOMINATOR, "sqrt(v_hat + eps)"),
        ),
        mistake(
            "corrected_outside_root",
            "La corrección de v está fuera de la raíz, √v / (1 - b2**t): va dentro, "
            "√(v / (1 - b2**t)).",
            (DENOMINATOR, "(sqrt(v) / (1 - b2**t) + eps)"),
        ),
        mistake(
            "eps_added_to_w",
            "Faltan paréntesis: m̂ / √v̂ + ε divide solo entre la raíz y luego suma ε; es "
            "m̂ / (√v̂ + ε).",
            (DENOMINATOR, "sqrt(v_hat) + eps"),
        ),
        mistake(
            "eps_hat",
            "ε está sobre la v sin corregir (así en Keras: «ε̂»): aquí va sobre √v̂. En los primeros "
            "pasos pesa 1/√(1 - b2**t) veces más.",
            (f"m_hat / {DENOMINATOR}", "m_hat * sqrt(1 - b2**t) / (sqrt(v) + eps)"),
        ),
        *bare(DENOMINATOR, "v_hat", "v̂"),
        mistake(
            "root_multiplied",
            "Multiplicas por la raíz en vez de dividir: el paso es η m̂ / (√v̂ + ε).",
            (f"m_hat / {DENOMINATOR}", f"m_hat * {DENOMINATOR}"),
        ),
        *averaged("m", "b1", "g"),
        *averaged("v", "b2", "g**2"),
        *squared("v", "(1 - b2) * g**2"),
        mistake(
            "v_of_m",
            "En v entra m² y no g²: v es la media de los cuadrados de los gradientes.",
            ("(1 - b2) * g**2", "(1 - b2) * m**2"),
        ),
        mistake(
            "belief",
            "En v entra (g - m)², lo que el gradiente se aparta de su media: eso es AdaBelief. En "
            "Adam entra g².",
            ("(1 - b2) * g**2", "(1 - b2) * (g - m)**2"),
        ),
        mistake(
            "belief_of_the_past",
            "En v entra el cuadrado de lo que g se aparta de la m de antes, parecido a AdaBelief. "
            "En Adam entra g².",
            ("(1 - b2) * g**2", "(1 - b2) * (g - m_old)**2"),
        ),
        DECAYS_SWAPPED,
        mistake(
            "m_hat_of_g",
            "Corriges g y no m: m̂ = m / (1 - b1**t).",
            (HATS["m"], "g / (1 - b1**t)"),
        ),
        M.past,
        V.past,
        mistake(
            "step_of_g",
            "El paso usa g y no m̂: eso es RMSProp con corrección, sin el momentum.",
            (f"m_hat / {DENOMINATOR}", f"g / {DENOMINATOR}"),
        ),
    ),
)
