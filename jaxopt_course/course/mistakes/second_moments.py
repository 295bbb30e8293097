"""Steps divided by a memory of squared gradients."""

from jaxopt_course.course.mistakes.shared import averaged, bare, mistake, squared, together
from jaxopt_course.course.recipe import Mistake, Recipe


def rooted(inside: str, memory: str = "v") -> tuple[Mistake, ...]:
    """Where ε stands under g / sqrt(v + eps)."""
    return (
        mistake(
            "eps_outside",
            f"ε está fuera de la raíz, √{memory} + ε (así en PyTorch): aquí va dentro, "
            f"√({memory} + ε).",
            (inside, f"(sqrt({memory}) + eps)"),
        ),
        mistake(
            "eps_added_to_w",
            f"Faltan paréntesis: g / sqrt({memory}) + eps divide solo entre la raíz y luego suma ε "
            "a w. Además, aquí ε va dentro de la raíz.",
            (inside, f"sqrt({memory}) + eps"),
        ),
        *bare(inside, memory, memory),
        mistake(
            "root_multiplied",
            f"Multiplicas por la raíz en vez de dividir: el paso es η g / √({memory} + ε).",
            (f"g / {inside}", f"g * {inside}"),
        ),
        mistake(
            "past_memory",
            f"Divides entre la memoria de antes del paso: {memory} se actualiza primero y se usa "
            "después.",
            (inside, f"sqrt({memory}_old + eps)"),
        ),
    )


def no_gradient(memory: str) -> Mistake:
    """The step forgets what it divides."""
    return mistake(
        "no_gradient",
        f"Al paso le falta el gradiente: learning_rate * g / √({memory} + ε).",
        ("learning_rate * g", "learning_rate * 1"),
    )


def root_of_adadelta(memory: str, where: str, part: str) -> tuple[Mistake, Mistake]:
    """One of its two roots: ε outside it, or no root."""
    inside = f"sqrt({memory} + eps)"
    return (
        mistake(
            f"eps_outside_{where}",
            f"ε está fuera de la raíz del {part}, √{memory} + ε: va dentro, √({memory} + ε).",
            (inside, f"(sqrt({memory}) + eps)"),
        ),
        mistake(
            f"no_root_{where}",
            f"Falta la raíz en el {part}: es √({memory} + ε).",
            (inside, f"({memory} + eps)"),
        ),
    )


EPS_OUTSIDE_ABOVE, NO_ROOT_ABOVE = root_of_adadelta("x", "above", "numerador")
EPS_OUTSIDE_BELOW, NO_ROOT_BELOW = root_of_adadelta("v", "below", "denominador")

ADAGRAD = Recipe(
    formula="S ← S + g²,  w ← w - η g / √(S + ε),  con η = learning_rate, ε = eps",
    lines=("S = S + g**2", "w = w - learning_rate * g / sqrt(S + eps)"),
    memories={"S": 0.1},
    also=(("v", "S"),),
    numbers={"learning_rate": 0.3, "eps": 1e-3},
    library=(("initial_accumulator_value", 0.1),),
    mistakes=(
        *rooted("sqrt(S + eps)", "S"),
        *squared("S", "S + g**2"),
        mistake(
            "S_forgets",
            "S olvida, con pesos 0.9 y 0.1: eso es RMSProp. En Adagrad la suma solo crece.",
            ("S + g**2", "0.9 * S + 0.1 * g**2"),
        ),
        mistake(
            "S_is_a_mean",
            "Divides S entre t: es una suma y no una media, y por eso los pasos se acortan.",
            ("sqrt(S + eps)", "sqrt(S / t + eps)"),
        ),
        mistake(
            "starts_at_zero",
            "La suma empieza en 0 y no en lo que trae state: usa state['S'] también en el "
            "primer paso.",
            ("S + g**2", "(S if t > 1 else 0 * S) + g**2"),
        ),
        no_gradient("S"),
    ),
)

RMSPROP = Recipe(
    formula="v ← ρ v + (1-ρ) g²,  w ← w - η g / √(v + ε),  "
    "con η = learning_rate, ρ = decay, ε = eps",
    lines=(
        "v = decay * v + (1 - decay) * g**2",
        "w = w - learning_rate * g / sqrt(v + eps)",
    ),
    memories={"v": 0.0},
    numbers={"learning_rate": 0.1, "decay": 0.8, "eps": 1e-3},
    also=(("S", "v"),),
    mistakes=(
        *rooted("sqrt(v + eps)"),
        *squared("v", "(1 - decay) * g**2"),
        *averaged("v", "decay", "g**2"),
        mistake(
            "adagrad",
            "Eso es Adagrad: sumas todos los g² sin olvidar. RMSProp lleva una media.",
            ("decay * v + (1 - decay) * g**2", "v + g**2"),
        ),
        mistake(
            "corrected",
            "Sobra la corrección de sesgo: RMSProp usa v sin dividir entre (1 - decay**t).",
            ("sqrt(v + eps)", "sqrt(v / (1 - decay**t) + eps)"),
        ),
        mistake(
            "corrected_kept",
            "Sobra la corrección de sesgo, y además guardas en state la v corregida, que se vuelve "
            "a corregir en cada paso. RMSProp usa v tal cual.",
            (
                "decay * v + (1 - decay) * g**2",
                "(decay * v + (1 - decay) * g**2) / (1 - decay**t)",
            ),
        ),
        no_gradient("v"),
    ),
)

ADADELTA = Recipe(
    formula="v ← ρ v + (1-ρ) g²,  u = g √(x + ε) / √(v + ε),  x ← ρ x + (1-ρ) u²,  "
    "w ← w - η u,  con η = learning_rate, ρ = rho, ε = eps",
    lines=(
        "v = rho * v + (1 - rho) * g**2",
        "u = g * sqrt(x + eps) / sqrt(v + eps)",
        "x = rho * x + (1 - rho) * u**2",
        "w = w - learning_rate * u",
    ),
    memories={"v": 0.0, "x": 0.0},
    numbers={"learning_rate": 0.7, "rho": 0.8, "eps": 1e-3},
    also=(("S", "v"), ("X", "x")),
    mistakes=(
        mistake(
            "upside_down",
            "El cociente está al revés: es √(x + ε) / √(v + ε), pasos entre gradientes.",
            ("g * sqrt(x + eps) / sqrt(v + eps)", "g * sqrt(v + eps) / sqrt(x + eps)"),
        ),
        mistake(
            "rmsprop",
            "Falta √(x + ε) en el numerador: eso es RMSProp.",
            ("g * sqrt(x + eps) / ", "g / "),
        ),
        mistake(
            "no_eps_above",
            "w no se mueve. Lo más probable: falta ε en el numerador, x empieza en 0, el primer "
            "paso es 0 y no arranca nunca. Si no, falta restarle el paso a w.",
            ("sqrt(x + eps)", "sqrt(x)"),
        ),
        mistake(
            "no_eps_below",
            "Falta ε en el denominador: donde el gradiente ha sido siempre nulo se divide 0 "
            "entre 0 (NaN).",
            ("sqrt(v + eps)", "sqrt(v)"),
        ),
        together(
            "eps_outside",
            "ε está fuera de las raíces, √x + ε y √v + ε: aquí va dentro de las dos.",
            EPS_OUTSIDE_ABOVE,
            EPS_OUTSIDE_BELOW,
        ),
        EPS_OUTSIDE_ABOVE,
        EPS_OUTSIDE_BELOW,
        NO_ROOT_ABOVE,
        NO_ROOT_BELOW,
        mistake(
            "no_gradient",
            "A u le falta el gradiente: es g √(x + ε) / √(v + ε).",
            ("g * sqrt(x + eps)", "sqrt(x + eps)"),
        ),
        together(
            "no_roots",
            "Faltan las raíces: el paso es g √(x + ε) / √(v + ε).",
            NO_ROOT_ABOVE,
            NO_ROOT_BELOW,
        ),
        mistake(
            "new_x",
            "El paso usa la x ya renovada. u lleva la x de antes, y con esa u se renueva x y se "
            "da el paso.",
            ("learning_rate * u", "learning_rate * g * sqrt(x + eps) / sqrt(v + eps)"),
        ),
        mistake(
            "x_of_the_scaled_step",
            "En x entra el paso ya multiplicado por learning_rate: entra u.",
            ("(1 - rho) * u**2", "(1 - rho) * (learning_rate * u)**2"),
        ),
        mistake(
            "x_of_gradients",
            "En x entra g² y no u²: x es la media de los cuadrados de los pasos.",
            ("(1 - rho) * u**2", "(1 - rho) * g**2"),
        ),
        mistake(
            "x_not_squared",
            "En x entra u y no u²: la raíz de un número negativo es NaN.",
            ("(1 - rho) * u**2", "(1 - rho) * u"),
        ),
        mistake(
            "past_memory",
            "El paso es el de SGD: o usas g y no u, o divides entre la memoria v de antes del "
            "paso, y entonces √(x + ε) y √(v + ε) son siempre iguales.",
            ("sqrt(v + eps)", "sqrt(v_old + eps)"),
        ),
        *squared("v", "(1 - rho) * g**2"),
        *averaged("v", "rho", "g**2"),
        *averaged("x", "rho", "u**2"),
    ),
)
