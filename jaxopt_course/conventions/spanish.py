"""What :func:`jaxopt_course.explain` says, in Spanish, for the course."""

import re

PHRASES = {
    "argument": "argumento",
    "required": "obligatorio",
    "none": "ninguno",
    "rule": "regla",
    "weight decay": "decaimiento",
    "the same, ": "la misma, ",
    "and": "y",
    "largest |Δθ| in {} steps of a small quadratic": "la mayor |Δθ| en {} pasos de una cuadrática",
    "each with its own defaults": "cada una con sus valores",
    "all numbers as in": "los números de",
    "the same, η falling": "lo mismo, con η que baja",
    # of the rules
    "rate outside the memory": "la tasa, fuera de la memoria",
    "rate inside the memory": "la tasa, dentro de la memoria",
    "at first m = g": "al principio m = g",
    "ε in the root": "ε dentro de la raíz",
    "ε outside the root": "ε fuera de la raíz",
    "δ outside the root": "δ fuera de la raíz",
    "no corrections, no ε": "sin correcciones ni ε",
    "no corrections": "sin correcciones",
    "no ε": "sin ε",
    "ε on the corrected v": "ε sobre la v corregida",
    "ε on the uncorrected v: 32 ε at t = 1": "ε sobre la v sin corregir: 32 ε en t = 1",
    "ε on the uncorrected": "ε sobre la sin corregir,",
    "α does not multiply λ": "α no multiplica a λ",
    "ε in the maximum": "ε dentro del máximo",
    "ε where it is used": "ε donde se usa",
    "maximum of the corrected v": "el máximo, de la v corregida",
    "corrected after the maximum": "se corrige después del máximo",
    "corrected after, ε on w": "se corrige después, ε sobre w",
    "from ρ_t = 5 on": "desde ρ_t = 5",
    "from ρ_t = 4 on": "desde ρ_t = 4",
    "debiased": "corregida",
    "X near": "X cerca de",
    "in bfloat16": "en bfloat16",
    "for what has not two axes": "para lo que no tiene dos ejes",
    "what has not two axes is refused (here AdamW)": "se niega a lo que no tiene dos ejes (aquí, "
    "AdamW)",
    "for embeddings, excluded layers and what has not two axes": "para los embeddings, las capas "
    "excluidas y lo que no tiene dos ejes",
    "with a rate of its own for the rest": "con su propia tasa para lo demás",
    "v the one before g": "v, la de antes de g",
    "decay inside the ratio": "el decaimiento, dentro del cociente",
    "decay outside": "el decaimiento, fuera",
    ", then": ", y después",
    "two vectors from 128 on, V of": "dos vectores desde 128, V de",
    "two vectors always, V of": "siempre dos vectores, V de",
    "two vectors always": "siempre dos vectores",
    "largest η so far": "la mayor η hasta ahora",
    "first rate η(0)": "primera tasa, η(0)",
    "first rate η/T of a warm-up": "primera tasa, η/T de un calentamiento",
    # of decays
    "decoupled, θ ← θ - η λ θ, in every optimizer": "desacoplado, θ ← θ - η λ θ, en todos los "
    "optimizadores",
    "coupled, g ← g + λ θ (AdamW, Muon, Adafactor: decoupled)": "acoplado, g ← g + λ θ (AdamW, "
    "Muon y Adafactor: desacoplado)",
    "decoupled in adamw, nadamw, ademamix, lion, adan and muon, coupled in adadelta and lars, in "
    "the ratio in lamb, without the rate in adafactor, none elsewhere": "desacoplado en adamw, "
    "nadamw, ademamix, lion, adan y muon; acoplado en adadelta y lars; dentro del cociente en "
    "lamb; sin la tasa en adafactor; en los demás, ninguno",
    "none (AdamW, AdEMAMix, Lion, Muon: decoupled; LAMB: in the ratio)": "ninguno (AdamW, "
    "AdEMAMix, Lion y Muon: desacoplado; LAMB: dentro del cociente)",
}
LONGEST = sorted(PHRASES, key=len, reverse=True)
PHRASE = re.compile(
    "|".join(rf"(?<![\w]){re.escape(one)}(?![\w])" if one[0].isalnum() else re.escape(one)
             for one in LONGEST)
)  # fmt: skip


def spanish(text: str) -> str:
    """Text of ours with its English phrases in Spanish; formulas stay.

    >>> spanish("u = g / √(v + ε) (ε in the root)")
    'u = g / √(v + ε) (ε dentro de la raíz)'
    """
    return PHRASE.sub(lambda found: PHRASES[found[0]], text)
