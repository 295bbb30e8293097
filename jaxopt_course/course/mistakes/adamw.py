"""AdamW: Adam with the weights' decay beside it."""

from jaxopt_course.course.mistakes.adam import ADAM, DENOMINATOR, NUMBERS, RULE
from jaxopt_course.course.mistakes.corrections import FIRST
from jaxopt_course.course.mistakes.shared import mistake
from jaxopt_course.course.recipe import Recipe

DECAY = " + weight_decay * w"

ADAMW = Recipe(
    formula=f"{RULE}w ← w - η (m̂ / (√v̂ + ε) + λ w),  {NUMBERS}, λ = weight_decay",
    lines=(*ADAM.lines[:-1], f"w = w - learning_rate * (m_hat / {DENOMINATOR}{DECAY})"),
    memories=ADAM.memories,
    numbers={**ADAM.numbers, "weight_decay": 0.2},
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
        mistake(
            "decay_rate_twice",
            "El decaimiento lleva la tasa dos veces: dentro del paréntesis que ya multiplica "
            "learning_rate es λw, sin otra η.",
            (DECAY, " + learning_rate * weight_decay * w"),
        ),
        mistake(
            "decay_coupled_too",
            "El decaimiento está dos veces: λw entra en el gradiente (L2) y además se suma al "
            "paso. Basta lo segundo.",
            (FIRST, f"g = g + weight_decay * w\n{FIRST}"),
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
        *ADAM.mistakes,
    ),
)
