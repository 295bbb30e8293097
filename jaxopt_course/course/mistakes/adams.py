"""Adam and its kin."""

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
    M_CORRECTED_BACKWARDS,
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
    M_HAT_KEPT,
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
        "step_of_g",
        "El paso usa g y no m̂: eso es RMSProp con corrección, sin el momento.",
        (f"m_hat / {DENOMINATOR}", f"g / {DENOMINATOR}"),
    ),
)
DECAY = " + weight_decay * w"


ADAM = Recipe(
    formula="m ← β1 m + (1-β1) g,  v ← β2 v + (1-β2) g²,  m̂ = m / (1-β1^t),  "
    "v̂ = v / (1-β2^t),  w ← w - η m̂ / (√v̂ + ε),  "
    "con η = learning_rate, β1 = b1, β2 = b2, ε = eps",
    lines=(*ADAM_LINES, f"w = w - learning_rate * m_hat / {DENOMINATOR}"),
    memories={"m": 0.0, "v": 0.0},
    numbers={"learning_rate": 0.1, "b1": 0.8, "b2": 0.95, "eps": 1e-3},
    mistakes=ADAM_MISTAKES,
)

ADAMW = Recipe(
    formula="m, v, m̂ y v̂ como en Adam,  w ← w - η (m̂ / (√v̂ + ε) + λ w),  "
    "con η = learning_rate, β1 = b1, β2 = b2, ε = eps, λ = weight_decay",
    lines=(*ADAM_LINES, f"w = w - learning_rate * (m_hat / {DENOMINATOR}{DECAY})"),
    memories={"m": 0.0, "v": 0.0},
    numbers={"learning_rate": 0.1, "b1": 0.8, "b2": 0.95, "eps": 1e-3, "weight_decay": 0.2},
    mistakes=(
        mistake(
            "decay_coupled",
            "El decaimiento está acoplado: λw entra en el gradiente (L2) y Adam lo divide "
            "luego entre √v̂. En AdamW se suma después, fuera de m y v.",
            (DECAY, ""),
            (FIRST, f"g = g + weight_decay * w\n{FIRST}"),
        ),
        mistake(
            "decay_coupled_twice",
            "El decaimiento está acoplado y con factor 2: 2λw, el gradiente de λΣw², entra en "
            "g y Adam lo divide luego entre √v̂. En AdamW se suma λw después, fuera de m y v.",
            (DECAY, ""),
            (FIRST, f"g = g + 2 * weight_decay * w\n{FIRST}"),
        ),
        mistake(
            "decay_twice",
            "Sobra un factor 2: el gradiente de la penalización λΣw² es 2λw, pero el "
            "decaimiento de AdamW es λw.",
            (DECAY, " + 2 * weight_decay * w"),
        ),
        mistake("no_decay", "Falta el decaimiento λw: eso es Adam.", (DECAY, "")),
        mistake(
            "decay_sign",
            "El signo del decaimiento está al revés: así los pesos crecen.",
            (DECAY, " - weight_decay * w"),
        ),
        mistake(
            "decay_without_rate",
            "El decaimiento no está multiplicado por learning_rate (así en el artículo): "
            "aquí, como en PyTorch y optax, es η λ w.",
            ("w - learning_rate * ", "w - weight_decay * w - learning_rate * "),
            (DECAY, ""),
        ),
        mistake(
            "decay_after",
            "El decaimiento usa la w de después del paso de Adam: los dos parten de la misma "
            "w, la de antes.",
            (f"{DECAY})", ")\nw = w - learning_rate * weight_decay * w"),
        ),
        mistake(
            "decay_of_the_sign",
            "El decaimiento es de λ sign(w), como el de la norma L1: aquí es λw.",
            (DECAY, " + weight_decay * sign(w)"),
        ),
        *ADAM_MISTAKES,
    ),
)

ADAMAX = Recipe(
    formula="m ← β1 m + (1-β1) g,  v ← max(β2 v, |g| + ε),  m̂ = m / (1-β1^t),  "
    "w ← w - η m̂ / v,  con η = learning_rate, β1 = b1, β2 = b2, ε = eps",
    lines=(
        "m = b1 * m + (1 - b1) * g",
        "v = maximum(b2 * v, abs(g) + eps)",
        f"m_hat = {HATS[0]}",
        "w = w - learning_rate * m_hat / v",
    ),
    memories={"m": 0.0, "v": 0.0},
    numbers={"learning_rate": 0.1, "b1": 0.8, "b2": 0.95, "eps": 1e-2},
    mistakes=(
        M_UNCORRECTED,
        EXPONENT_AHEAD,
        NO_EXPONENT,
        M_CORRECTED_BACKWARDS,
        M_POWER,
        M_HAT_KEPT,
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
        mistake(
            "decays_swapped",
            "b1 y b2 están cambiados: b1 es de m y b2 de v.",
            (FIRST, f"b1, b2 = b2, b1\n{FIRST}"),
        ),
        *averaged("m", "b1", "g"),
    ),
)
