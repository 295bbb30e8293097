"""Adam."""

from jaxopt_course.course.mistakes.shared import averaged, mistake, squared
from jaxopt_course.course.recipe import Recipe

HATS = ("m / (1 - b1**t)", "v / (1 - b2**t)")
FIRST = "m = b1 * m"  # where Adam's lines begin
DENOMINATOR = "(sqrt(v_hat) + eps)"

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
M_UNCORRECTED = mistake(
    "m_uncorrected",
    "Falta la corrección de sesgo de m: m empieza en 0 y los primeros pasos salen (1 - b1) veces "
    "lo que deberían. Usa m / (1 - b1**t).",
    (HATS[0], "m"),
)
M_NO_EXPONENT = mistake(
    "m_no_exponent",
    "A la corrección de m le falta el exponente t: 1 - b1 en vez de 1 - b1**t.",
    (HATS[0], "m / (1 - b1)"),
)
M_PRODUCT = mistake(
    "m_product",
    "En la corrección de m multiplicas, 1 - b1 * t: es una potencia, 1 - b1**t.",
    (HATS[0], "m / (1 - b1 * t)"),
)
M_PARENTHESES = mistake(
    "m_parentheses",
    "Faltan paréntesis en la corrección de m: m / 1 - b1**t divide entre 1 y luego resta.",
    (HATS[0], "m / 1 - b1**t"),
)
M_CORRECTED_BACKWARDS = mistake(
    "m_hat_multiplied",
    "La corrección de m multiplica: m * (1 - b1**t). Debe dividir, para agrandar los primeros "
    "pasos.",
    (HATS[0], "m * (1 - b1**t)"),
)
M_POWER = mistake(
    "m_power",
    "El exponente de m está mal puesto: (1 - b1)**t en vez de 1 - b1**t.",
    (HATS[0], "m / (1 - b1)**t"),
)
M_HAT_KEPT = mistake(
    "m_hat_kept",
    "Guardas m corregida en state: la corrección se acumula paso tras paso. Guarda m, y usa la "
    "corregida solo para el paso.",
    ("'m': m", "'m': m_hat"),
)

ADAM_LINES = (
    "m = b1 * m + (1 - b1) * g",
    "v = b2 * v + (1 - b2) * g**2",
    f"m_hat = {HATS[0]}",
    f"v_hat = {HATS[1]}",
)
ADAM_MISTAKES = (
    M_UNCORRECTED,
    mistake(
        "v_uncorrected",
        "Falta la corrección de sesgo de v: v empieza en 0 y los primeros pasos salen demasiado "
        "grandes. Usa v / (1 - b2**t).",
        (HATS[1], "v"),
    ),
    mistake(
        "uncorrected",
        "Faltan las dos correcciones de sesgo: m / (1 - b1**t) y v / (1 - b2**t).",
        (HATS[0], "m"),
        (HATS[1], "v"),
    ),
    EXPONENT_AHEAD,
    EXPONENT_BEHIND,
    NO_EXPONENT,
    M_NO_EXPONENT,
    mistake(
        "v_no_exponent",
        "A la corrección de v le falta el exponente t: 1 - b2 en vez de 1 - b2**t.",
        (HATS[1], "v / (1 - b2)"),
    ),
    M_PRODUCT,
    mistake(
        "v_product",
        "En la corrección multiplicas, 1 - β * t: es una potencia, 1 - β**t. El producto pasa de 1 "
        "y la raíz de v̂ negativa es NaN.",
        (HATS[1], "v / (1 - b2 * t)"),
    ),
    M_PARENTHESES,
    M_CORRECTED_BACKWARDS,
    mistake(
        "v_hat_multiplied",
        "La corrección de v multiplica: v * (1 - b2**t). Debe dividir.",
        (HATS[1], "v * (1 - b2**t)"),
    ),
    mistake(
        "hats_multiplied",
        "Las correcciones multiplican: m * (1 - b1**t) y v * (1 - b2**t). Deben dividir.",
        (HATS[0], "m * (1 - b1**t)"),
        (HATS[1], "v * (1 - b2**t)"),
    ),
    M_POWER,
    mistake(
        "v_power",
        "El exponente de v está mal puesto: (1 - b2)**t en vez de 1 - b2**t.",
        (HATS[1], "v / (1 - b2)**t"),
    ),
    mistake(
        "powers",
        "Los exponentes están mal puestos: (1 - β)**t en vez de 1 - β**t.",
        (HATS[0], "m / (1 - b1)**t"),
        (HATS[1], "v / (1 - b2)**t"),
    ),
    mistake(
        "same_decay_in_hats",
        "Corriges v con b1: a cada memoria le toca su propia β.",
        (HATS[1], "v / (1 - b1**t)"),
    ),
    mistake(
        "b1_for_v",
        "v lleva b1 en vez de b2: cada memoria tiene su propia β.",
        ("b2 * v + (1 - b2) * g**2", "b1 * v + (1 - b1) * g**2"),
    ),
    mistake(
        "b1_everywhere",
        "v y su corrección llevan b1 en vez de b2: cada memoria tiene su propia β.",
        ("b2 * v + (1 - b2) * g**2", "b1 * v + (1 - b1) * g**2"),
        (HATS[1], "v / (1 - b1**t)"),
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
    M_HAT_KEPT,
    mistake(
        "v_hat_kept",
        "Guardas v corregida en state: la corrección se acumula paso tras paso. Guarda v, y usa la "
        "corregida solo para el paso.",
        ("'v': v", "'v': v_hat"),
    ),
    mistake(
        "hats_kept",
        "Guardas m y v corregidas en state: la corrección se acumula paso tras paso. Guarda m y "
        "v, y usa las corregidas solo para el paso.",
        ("'m': m", "'m': m_hat"),
        ("'v': v", "'v': v_hat"),
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
        "Faltan paréntesis: m̂ / √v̂ + ε divide solo entre la raíz y luego suma ε; es m̂ / (√v̂ + ε).",
        (DENOMINATOR, "sqrt(v_hat) + eps"),
    ),
    mistake(
        "eps_hat",
        "ε está sobre la v sin corregir (así en Keras: «ε̂»): aquí va sobre √v̂. En los primeros "
        "pasos pesa 1/√(1 - b2**t) veces más.",
        (f"m_hat / {DENOMINATOR}", "m_hat * sqrt(1 - b2**t) / (sqrt(v) + eps)"),
    ),
    mistake(
        "no_eps",
        "Falta ε: donde el gradiente ha sido siempre nulo se divide 0 entre 0 (NaN), y donde es "
        "diminuto el paso sale demasiado grande.",
        (DENOMINATOR, "sqrt(v_hat)"),
    ),
    mistake(
        "no_root",
        "Falta la raíz: divides entre v̂ y no entre √v̂, así que las unidades no casan.",
        (DENOMINATOR, "(v_hat + eps)"),
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
        "decays_swapped",
        "b1 y b2 están cambiados: b1 es de m y b2 de v.",
        (FIRST, f"b1, b2 = b2, b1\n{FIRST}"),
    ),
    mistake(
        "m_hat_of_g",
        "Corriges g y no m: m̂ = m / (1 - b1**t).",
        (HATS[0], "g / (1 - b1**t)"),
    ),
    mistake(
        "m_past",
        "El paso usa la m de antes: m se actualiza primero y se corrige después.",
        (HATS[0], "m_old / (1 - b1**t)"),
    ),
    mistake(
        "v_past",
        "El paso usa la v de antes: v se actualiza primero y se corrige después.",
        (HATS[1], "v_old / (1 - b2**t)"),
    ),
    mistake(
        "step_of_g",
        "El paso usa g y no m̂: eso es RMSProp con corrección, sin el momento.",
        (f"m_hat / {DENOMINATOR}", f"g / {DENOMINATOR}"),
    ),
)

ADAM = Recipe(
    formula="m ← β1 m + (1-β1) g,  v ← β2 v + (1-β2) g²,  m̂ = m / (1-β1^t),  "
    "v̂ = v / (1-β2^t),  w ← w - η m̂ / (√v̂ + ε),  "
    "con η = learning_rate, β1 = b1, β2 = b2, ε = eps",
    lines=(*ADAM_LINES, f"w = w - learning_rate * m_hat / {DENOMINATOR}"),
    memories={"m": 0.0, "v": 0.0},
    numbers={"learning_rate": 0.1, "b1": 0.8, "b2": 0.95, "eps": 1e-3},
    mistakes=ADAM_MISTAKES,
)
