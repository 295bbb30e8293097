"""What differs between two frameworks' optimizers of one name, and by how much."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_course.base import apply_updates
from jaxopt_course.conventions.odd_values import refuse_odd_comparison
from jaxopt_course.conventions.registry import convention
from jaxopt_course.conventions.spanish import spanish
from jaxopt_course.messages import html_table

# the rule in one line, per recipe and framework; "*" is of all that are not listed
_RATE_OUTSIDE = "m ← μ m + g;  θ ← θ - η m"
_RATE_INSIDE = "m ← μ m - η g;  θ ← θ + m"
RULES: dict[str, dict[str, str]] = {
    "sgd": {
        "*": f"{_RATE_OUTSIDE} (rate outside the memory)",
        "keras": f"{_RATE_INSIDE} (rate inside the memory)",
        "torch": "m ← μ m + (1-τ) g, at first m = g;  θ ← θ - η m (rate outside the memory)",
        "paper": "θ ← θ - η g",
    },
    "momentum": {
        "*": f"{_RATE_OUTSIDE} (rate outside the memory)",
        "keras": f"{_RATE_INSIDE} (rate inside the memory)",
        "paper": f"{_RATE_INSIDE} (rate inside the memory)",
    },
    "nesterov": {
        "*": "m ← μ m + g;  θ ← θ - η (g + μ m) (rate outside the memory)",
        "keras": "m ← μ m - η g;  θ ← θ + μ m - η g (rate inside the memory)",
        "paper": "m ← μ m - η g;  θ ← θ + μ m - η g (rate inside the memory)",
    },
    "ema_momentum": {"*": "m ← β m + (1-β) g;  θ ← θ - η m"},
    "adagrad": {
        "*": "u = g / √(S + ε) (ε in the root)",
        "torch": "u = g / (√S + ε) (ε outside the root), η / (1 + d s)",
        "paper": "u = g / (√S + δ) (δ outside the root)",
    },
    "rmsprop": {
        "*": "u = g / √(v + ε);  m ← μ m + η u (ε in the root, rate inside the memory)",
        "torch": "u = g / (√v + ε);  m ← μ m + u (ε outside the root, rate outside the memory)",
        "paper": "u = g / √v (no ε)",
    },
    "adadelta": {"*": "u = g √(x + ε) / √(v + ε)"},
    "adam": {
        "*": "u = m̂ / (√v̂ + ε) (ε on the corrected v)",
        "keras": "u = m̂ √(1-β2^t) / (√v + ε) (ε on the uncorrected v: 32 ε at t = 1)",
    },
    "adamw": {
        "*": "u = m̂ / (√v̂ + ε);  θ ← θ - η (u + λ θ)",
        "keras": "u = m̂ √(1-β2^t) / (√v + ε);  θ ← θ - η (u + λ θ) (ε on the uncorrected v)",
        "paper": "u = m̂ / (√v̂ + ε);  θ ← θ - κ (α u + λ θ) (α does not multiply λ)",
    },
    "adamax": {
        "*": "v ← max(β2 v, |g| + ε);  u = m̂ / v (ε in the maximum)",
        "keras": "v ← max(β2 v, |g|);  u = m̂ / (v + ε) (ε where it is used)",
        "paper": "v ← max(β2 v, |g|);  u = m̂ / v (no ε)",
    },
    "amsgrad": {
        "*": "w ← max(w, v̂);  u = m̂ / (√w + ε) (maximum of the corrected v)",
        "torch": "w ← max(w, v);  u = m̂ / (√(w/(1-β2^t)) + ε) (corrected after the maximum)",
        "keras": "w ← max(w, v);  u = m̂ √(1-β2^t) / (√w + ε) (corrected after, ε on w)",
        "paper": "w ← max(w, v);  u = m / √w (no corrections, no ε)",
    },
    "nadam": {
        "*": "μ_t = β1",
        "torch": "μ_t = β1 (1 - ½ 0.96^{ψ t}), ψ = 0.004",
        "keras": "μ_t = β1 (1 - ½ 0.96^t)",
        "paper": "μ_t = β1 (1 - ½ 0.96^{t/250})",
    },
    "radam": {
        "*": "u = r_t m̂ / (√v̂ + ε) from ρ_t = 5 on (ε on the corrected v)",
        "torch": "u = r_t m̂ √(1-β2^t) / (√v + ε) from ρ_t = 5 on (ε on the uncorrected v)",
        "paper": "u = r_t m̂ / √v̂ from ρ_t = 4 on (no ε)",
    },
    "ademamix": {"*": "u = (m̂ + α n) / (√v̂ + ε), n ← β3 n + (1-β3) g;  θ ← θ - η (u + λ θ)"},
    "muon": {
        "*": "m ← β m + (1-β) g, debiased;  X near m / (‖m‖ + ε);"
        "  θ ← θ - η (√max(1, c/r) X + λ θ);  AdamW (ε) for what has not two axes",
        "torch": "m ← β m + (1-β) g;  X near m / max(‖m‖, ε), in bfloat16;"
        "  θ ← θ - η (√max(1, c/r) X + λ θ);  what has not two axes is refused (here AdamW)",
        "keras": "m ← β m + g;  X near m / (‖m‖ + 1e-7);  θ ← θ - η (ρ √max(r, c) X + λ θ);  AdamW"
        " (ε on the uncorrected v) for embeddings, excluded layers and what has not two axes",
        "paper": "m ← β m + g;  X near m / (‖m‖ + ε);  θ ← θ - η (√max(1, c/r) X + λ θ);  AdamW"
        " with a rate of its own for the rest",
    },
    "nadamw": {
        "*": "μ_t = β1;  θ ← θ - η (u + λ θ)",
        "torch": "μ_t = β1 (1 - ½ 0.96^{ψ t}), ψ = 0.004;  θ ← θ - η (u + λ θ)",
        "keras": "μ_t = β1 (1 - ½ 0.96^t);  θ ← θ - η (u + λ θ)",
    },
    "signum": {"*": "m ← β m + (1-β) g;  θ ← θ - η sign(m)"},
    "adabelief": {"*": "s ← β2 s + (1-β2) (g - m)² + ε_root;  u = m̂ / (√ŝ + ε)"},
    "adan": {"*": "u = (m̂ + (1-β2) v̂) / (√(n̂ + ε_root) + ε);  θ ← θ - η (u + λ θ)"},
    "adopt": {"*": "m ← β1 m + (1-β1) clip(g / max(√v, ε), s^¼), v the one before g"},
    "lamb": {
        "*": "u = m̂ / (√v̂ + ε) + λ θ;  θ ← θ - η ‖θ‖/‖u‖ u (decay inside the ratio)",
        "keras": "θ ← (1 - η λ) θ, then u = m̂ / (√v̂ + ε);  θ ← θ - η ‖θ‖/‖u‖ u (decay outside)",
    },
    "lars": {"*": "u = g + λ θ;  m ← β m + η c ‖θ‖/(‖u‖ + ε) u;  θ ← θ - m"},
    "adafactor": {
        "*": "two vectors from 128 on, V of g² + ε;  θ ← θ - η max(RMS(θ), 1e-3) û - λ θ",
        "torch": "two vectors always, V >= ε²;  θ ← (1 - η λ) θ - min(η, 1/√t) max(RMS(θ), ε2) û",
        "keras": "two vectors always, V of g² + ε;  θ ← (1 - η λ) θ, then"
        " θ ← θ - min(η, 1/√t) max(RMS(θ), ε2) û",
        "paper": "two vectors always, V of g² + ε;  θ ← θ - min(η, 1/√t) max(RMS(θ), ε2) û",
    },
    "prodigy": {
        "*": "d ← max(d, c r / Σ|s|);  θ ← θ - d η (m̂ / (√v̂ + ε) + λ θ)",
        "paper": "d ← max(d, c r / Σ|s|);  θ ← θ - d η (m / (√v + d ε) + λ θ) (no corrections)",
    },
    "soap": {
        "*": "U = Q_L (M'/(√V + ε)) Q_Rᵀ;  θ ← θ - η (U + λ θ) (ε on the uncorrected V)",
        "paper": "U = Q_L (M'/(√V + ε)) Q_Rᵀ;  θ ← θ - η U",
    },
    "schedule_free_adamw": {
        "*": "z ← z - η (g / (√v̂ + ε) + λ y);  c = η² / Σ η² (largest η so far), first rate η(0)",
        "keras": "y ← y - η λ y;  z ← z - η g / (√v̂ + ε);  c = 1/t, first rate η/T of a warm-up",
        "paper": "z ← z - η (g / (√v̂ + ε) + λ y);  c = η² / Σ η², first rate η/T of a warm-up",
    },
    "schedule_free_sgd": {
        "*": "z ← z - η (g + λ y);  c = η² / Σ η² (largest η so far), first rate η(0)",
        "paper": "z ← z - η (g + λ y);  c = η² / Σ η², first rate η/T of a warm-up",
    },
    "lion": {"*": "u = sign(β1 m + (1-β1) g);  θ ← θ - η (u + λ θ)"},
}
DECAYS = {
    "keras": "decoupled, θ ← θ - η λ θ, in every optimizer",
    "torch": "coupled, g ← g + λ θ (AdamW, Muon, Adafactor: decoupled)",
    "optax": "decoupled in adamw, nadamw, ademamix, lion, adan and muon, coupled in adadelta and "
    "lars, in the ratio in lamb, without the rate in adafactor, none elsewhere",
    "paper": "none (AdamW, AdEMAMix, Lion, Muon: decoupled; LAMB: in the ratio)",
}
APART = "largest |Δθ| in {} steps of a small quadratic"
LANGUAGES = ("en", "es")
_BY_SHAPE = {"muon", "adafactor"}
_START = np.array([0.5, -1.0, 2.0, 1.5, -2.0, 1.0])
_CURVATURE = np.array([3.0, 1.0, 0.3, 0.1, 0.01, 0.001])


class Difference(NamedTuple):
    """What :func:`explain` found; ``print`` shows it as text.

    ``arguments``: name -> (default of a, default of b), "—" where there is none; ``rules`` and
    ``decays``: one line of each.  The largest |Δθ| over ``steps`` steps on a small quadratic:
    ``own_defaults`` each as it comes, ``equal_numbers`` all common numbers as in a, and
    ``scheduled`` with η_0 / (1 + s/2) too.
    """

    optimizer: str
    frameworks: tuple[str, str]
    arguments: dict[str, tuple[Any, Any]]
    rules: tuple[str, str]
    decays: tuple[str, str]
    steps: int
    own_defaults: float
    equal_numbers: float
    scheduled: float
    lang: str = "en"

    def _said(self, text: object) -> str:
        """Words and values in the language of this one."""
        shown = _shown(text)
        return spanish(shown) if self.lang == "es" else shown

    def __str__(self) -> str:
        """The table of arguments, the rules and the measured differences."""
        a, b = self.frameworks
        said = self._said
        head = said("argument")
        wide = max(len(name) for name in [*self.arguments, head])
        values = [said(x) for pair in self.arguments.values() for x in pair]
        cell = max(10, *map(len, values))
        measured = self._measured()
        label = max(32, *(len(words) + 2 for words, _ in measured))
        lines = [
            f"{self.optimizer}: {a} {said('and')} {b}",
            "",
            f"{head:{wide}}  {a:>{cell}}  {b:>{cell}}",
            *(
                f"{name:{wide}}  {said(x):>{cell}}  {said(y):>{cell}}" + "   <-" * (x != y)
                for name, (x, y) in self.arguments.items()
            ),
            "",
            *map(said, _pair("rule", self.frameworks, self.rules)),
            *map(said, _pair("weight decay", self.frameworks, self.decays)),
            "",
            f"{said(APART).format(self.steps)}:",
            *(f"  {words:{label}}{far}" for words, far in measured),
        ]
        return "\n".join(lines)

    def _measured(self) -> list[list[str]]:
        """How far apart the two go, in words and numbers."""
        said = self._said
        return [
            [said("each with its own defaults"), f"{self.own_defaults:.1e}"],
            [f"{said('all numbers as in')} {self.frameworks[0]}", f"{self.equal_numbers:.1e}"],
            [said("the same, η falling"), f"{self.scheduled:.1e}"],
        ]

    def _repr_html_(self) -> str:
        """The same for a notebook."""
        a, b = self.frameworks
        pairs = self.arguments.items()
        said = self._said
        rows = [[name, said(x), said(y)] for name, (x, y) in pairs]
        other = [i for i, (_, (x, y)) in enumerate(pairs) if x != y]
        rules = [[*map(said, ("rule", *self.rules))], [*map(said, ("weight decay", *self.decays))]]
        caption = f"{self.optimizer}: {a} {said('and')} {b}"
        return "".join(
            [
                html_table([said("argument"), a, b], rows, caption, other),
                html_table(["", a, b], rules),
                html_table([], self._measured(), said(APART).format(self.steps)),
            ]
        )


def explain(a: str, b: str, *, optimizer: str, steps: int = 100, lang: str = "en") -> Difference:
    """Print what differs between two frameworks' optimizers of one name, and by how much.

    Args:
        a: "optax", "keras", "torch" or "paper".
        b: the other.
        optimizer: a recipe that both have.
        steps: how many to measure, at least 1.
        lang: of the words, "en" or "es".

    Returns:
        The same as an object (shown in a notebook or by ``print``).

    Raises:
        TypeError: names that are no strings, steps that are no whole number.
        ValueError: no such framework or recipe, or one of the two lacks it; no steps; another
            language.

    >>> found = explain("torch", "optax", optimizer="adam")  # doctest: +ELLIPSIS
    adam: torch and optax
    ...
    >>> found.equal_numbers  # the rule is the same
    0.0
    """
    if lang not in LANGUAGES:
        raise ValueError(f"lang={lang!r}: the languages are {' and '.join(map(repr, LANGUAGES))}")
    found = difference(a, b, optimizer=optimizer, steps=steps)._replace(lang=lang)
    print(found)
    return found


def difference(a: str, b: str, *, optimizer: str, steps: int = 100) -> Difference:
    """As :func:`explain`, without printing."""
    refuse_odd_comparison(a, b, optimizer, steps)
    recipes = convention(optimizer, a), convention(optimizer, b)
    options = tuple(_numbers(recipe) for recipe in recipes)
    names = list(options[0] | options[1])
    arguments = {n: (options[0].get(n, "—"), options[1].get(n, "—")) for n in names}
    own = [_usable(option) for option in options]
    shared = {n: x for n, x in own[0].items() if n in own[1]}
    equal = [shared | {n: x for n, x in o.items() if n not in shared} for o in own]
    falling = [o | {"learning_rate": _falling(o["learning_rate"])} for o in equal]

    shaped = _layer if optimizer in _BY_SHAPE else lambda x: x

    def apart(chosen: list[dict[str, Any]]) -> float:
        pairs = zip(recipes, chosen, strict=True)
        with jax.enable_x64(True):
            paths = [_path(recipe(**arguments), steps, shaped) for recipe, arguments in pairs]
            return float(jnp.max(jnp.abs(paths[0] - paths[1])))

    rules = tuple(RULES[optimizer].get(like, RULES[optimizer]["*"]) for like in (a, b))
    return Difference(
        optimizer,
        (a, b),
        arguments,
        (rules[0], rules[1]),
        (DECAYS[a], DECAYS[b]),
        steps,
        apart(own),
        apart(equal),
        apart(falling),
    )


_NO_NUMBERS = {"mask", "mu_dtype", "accumulator_dtype", "weight_decay_mask"}
_NO_NUMBERS |= {"muon_weight_dimension_numbers"}


def _numbers(recipe: Any) -> dict[str, Any]:
    """Argument -> default; "required" where there is none."""
    parameters = inspect.signature(recipe).parameters.values()
    return {
        p.name: "required" if p.default is p.empty else p.default
        for p in parameters
        if p.kind is not p.VAR_KEYWORD and p.name not in _NO_NUMBERS
    }


def _usable(options: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers, with 0.01 for a required rate and decay; None stays with its framework."""
    return {
        name: 0.01 if value == "required" or (name == "learning_rate" and value is None) else value
        for name, value in options.items()
        if value is not None or name == "learning_rate"
    }


def _falling(rate: float) -> Any:
    return lambda step: rate / (1 + 0.5 * step)


def _path(tx: Any, steps: int, shaped: Callable[[jax.Array], Any]) -> jax.Array:
    curvature = shaped(jnp.asarray(_CURVATURE))

    def step(carry: Any, _: Any) -> Any:
        theta, state = carry
        u, state = tx.update(jax.tree.map(jnp.multiply, curvature, theta), state, theta)
        theta = apply_updates(theta, u)
        return (theta, state), jnp.concatenate([x.ravel() for x in jax.tree.leaves(theta)])

    start = shaped(jnp.asarray(_START))
    return jax.lax.scan(step, (start, tx.init(start)), length=steps)[1]


def _layer(x: jax.Array) -> dict[str, jax.Array]:
    """Six numbers as a matrix and a vector, for recipes that tell them apart."""
    return {"kernel": x[:4].reshape(2, 2), "bias": x[4:]}


def _shown(x: Any) -> str:
    if isinstance(x, float | int) and not isinstance(x, bool):
        return f"{x:g}"
    if isinstance(x, tuple):
        return " ".join(map(_shown, x))
    return "none" if x is None else str(x)


def _pair(title: str, names: tuple[str, str], lines: tuple[str, str]) -> list[str]:
    if lines[0] == lines[1]:
        return [f"{title}: the same, {lines[0]}"]
    return [f"{title}:", *(f"  {n:6} {line}" for n, line in zip(names, lines, strict=True))]
