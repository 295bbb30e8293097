"""The winner as Python to copy: in this library, in optax, Keras and PyTorch, by the conventions.

    snippets("adam", {"learning_rate": 0.01, "b1": 0.9, ...})

Texts alone, of tables of names.  Where a framework has another rule under the name, numbers are
brought over so that the steps agree (a test takes them), or the framework is left out and said so.
Another rule have, 200 steps compared (torch 2.13, Keras 3.15): Muon and Adafactor of both, their
Adam(amsgrad=True), Keras's Nadam, ScheduleFreeAdamW and the decays of its Adadelta and Lamb.

    momentum of an average    m ← β m + (1-β) g at the rate η is m ← β m + g at η (1-β)
    ε inside the root         √(v + ε) is √v + √ε where v is 0, and near it where v is large
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from jaxopt_course.messages import printable
from jaxopt_course.report.arguments import taken

NEUTRAL = {  # numbers that say nothing, and frameworks may not know
    "eps_root": 0.0, "initial_scale": 0.0, "adam_eps_root": 0.0, "adam_weight_decay": 0.0,
    "b3_warmup": 0.0, "alpha_warmup": 0.0, "threshold": 5.0, "ema_decay": 0.0, "ema_half_life": 0.0,
    "ema_half_life_epochs": 0.0,
}  # fmt: skip
DECAYS = ("weight_decay", "weight_decay_rate")
FRAMEWORKS = {"joc": "jaxopt_course", "optax": "optax", "keras": "Keras", "torch": "PyTorch"}
MASK = "lambda params: jax.tree.map(lambda leaf: leaf.ndim >= 2, params)"
MASK_NAMES = dict.fromkeys(("muon", "adadelta", "lars", "adafactor"), "weight_decay_mask")


class Snippet(NamedTuple):
    """Python to copy; ``code`` is empty where the framework lacks the optimizer."""

    framework: str  # a key of FRAMEWORKS
    code: str
    note: str = ""  # a template of the report's words: what differs


class Rule(NamedTuple):
    """A class or function of a framework, and our numbers by its names."""

    call: str
    names: Mapping[str, str]  # ours -> theirs
    fixed: str = ""  # further arguments
    note: str = ""
    convert: Callable[[dict[str, float]], dict[str, float]] = dict
    other: tuple[str, ...] = ()  # of ours, what means something else there


EPS_HAT = "Keras adds ε before the bias correction: in the first steps it counts up to 32 times."
EPS_OUT = "ε stands outside the root here: its square root acts on gradients of the same size."
NONE = "{framework} has no optimizer with these numbers and this rule."
WARM = "PyTorch warms its momentum up; so large a momentum_decay leaves that out."
AVERAGE = "The same steps: a momentum that averages, at the rate η(1-β)."


def _averaged(numbers: dict[str, float]) -> dict[str, float]:
    rate, beta = numbers["learning_rate"], numbers["decay"]
    return {"learning_rate": float(f"{rate * (1 - beta):.12g}"), "momentum": beta}


def _rooted(numbers: dict[str, float]) -> dict[str, float]:
    return numbers | {"eps": float(f"{math.sqrt(numbers['eps']):.6g}")}


def _unwarmed(numbers: dict[str, float]) -> dict[str, float]:
    return numbers | {"momentum_decay": 1000.0}


def _same(text: str) -> dict[str, str]:
    return {name: name for name in text.split()}


_ADAM = "learning_rate b1 b2 eps eps_root"
_C = "optax.contrib."
OPTAX: dict[str, Rule] = {
    "sgd": Rule("optax.sgd", _same("learning_rate momentum")),
    "momentum": Rule("optax.sgd", _same("learning_rate momentum")),
    "nesterov": Rule("optax.sgd", _same("learning_rate momentum"), "nesterov=True"),
    "ema_momentum": Rule(
        "optax.sgd", _same("learning_rate momentum"), note=AVERAGE, convert=_averaged
    ),
    "adagrad": Rule("optax.adagrad", _same("learning_rate initial_accumulator_value eps")),
    "rmsprop": Rule("optax.rmsprop", _same("learning_rate decay eps initial_scale momentum")),
    "adadelta": Rule("optax.adadelta", _same("learning_rate rho eps weight_decay")),
    "adam": Rule("optax.adam", _same(_ADAM)),
    "adamw": Rule("optax.adamw", _same(f"{_ADAM} weight_decay")),
    "adamax": Rule("optax.adamax", _same("learning_rate b1 b2 eps")),
    "amsgrad": Rule("optax.amsgrad", _same(_ADAM)),
    "nadam": Rule("optax.nadam", _same(_ADAM)),
    "nadamw": Rule("optax.nadamw", _same(f"{_ADAM} weight_decay")),
    "radam": Rule("optax.radam", _same(f"{_ADAM} threshold")),
    "lion": Rule("optax.lion", _same("learning_rate b1 b2 weight_decay")),
    "signum": Rule("optax.signum", _same("learning_rate beta")),
    "adabelief": Rule("optax.adabelief", _same(_ADAM)),
    "adan": Rule("optax.adan", _same(f"{_ADAM} b3 weight_decay")),
    "lamb": Rule("optax.lamb", _same(f"{_ADAM} weight_decay")),
    "lars": Rule(
        "optax.lars", _same("learning_rate weight_decay trust_coefficient eps momentum")
    ),
    "adafactor": Rule(
        "optax.adafactor",
        _same("learning_rate decay_rate clipping_threshold eps weight_decay_rate momentum"),
    ),
    "ademamix": Rule(f"{_C}ademamix", _same(f"{_ADAM} b3 alpha weight_decay")),
    "adopt": Rule(f"{_C}adopt", _same("learning_rate b1 b2 eps")),
    "muon": Rule(
        f"{_C}muon",
        _same("learning_rate beta eps weight_decay adam_b1 adam_b2 adam_eps_root "
              "adam_weight_decay adam_learning_rate consistent_rms"),
    ),
}  # fmt: skip
_KERAS = {"learning_rate": "learning_rate", "eps": "epsilon", "weight_decay": "weight_decay"}
_KERAS_ADAM = _KERAS | {"b1": "beta_1", "b2": "beta_2"}
_K = "keras.optimizers."
KERAS: dict[str, Rule] = {
    "sgd": Rule(f"{_K}SGD", _same("learning_rate momentum")),
    "momentum": Rule(f"{_K}SGD", _same("learning_rate momentum")),
    "nesterov": Rule(f"{_K}SGD", _same("learning_rate momentum"), "nesterov=True"),
    "ema_momentum": Rule(
        f"{_K}SGD", _same("learning_rate momentum"), note=AVERAGE, convert=_averaged
    ),
    "adagrad": Rule(
        f"{_K}Adagrad", _KERAS | {"initial_accumulator_value": "initial_accumulator_value"}
    ),
    "rmsprop": Rule(f"{_K}RMSprop", _KERAS | {"decay": "rho", "momentum": "momentum"}),
    "adadelta": Rule(f"{_K}Adadelta", _KERAS | {"rho": "rho"}, other=DECAYS),
    "adam": Rule(f"{_K}Adam", _KERAS_ADAM, note=EPS_HAT),
    "adamw": Rule(f"{_K}AdamW", _KERAS_ADAM, note=EPS_HAT),
    "adamax": Rule(f"{_K}Adamax", _KERAS_ADAM),
    "lion": Rule(f"{_K}Lion", _KERAS_ADAM),
    "lamb": Rule(f"{_K}Lamb", _KERAS_ADAM, other=DECAYS),
}
_TORCH = {"learning_rate": "lr", "eps": "eps", "weight_decay": "weight_decay"}
_TORCH_ADAM = _TORCH | {"b1": "b1", "b2": "b2"}
_TORCH_NADAM = _TORCH_ADAM | {"momentum_decay": "momentum_decay"}
_T = "torch.optim."
TORCH: dict[str, Rule] = {
    "sgd": Rule(f"{_T}SGD", _TORCH | {"momentum": "momentum"}),
    "momentum": Rule(f"{_T}SGD", _TORCH | {"momentum": "momentum"}),
    "nesterov": Rule(f"{_T}SGD", _TORCH | {"momentum": "momentum"}, "nesterov=True"),
    "ema_momentum": Rule(
        f"{_T}SGD", _TORCH | {"momentum": "momentum"}, note=AVERAGE, convert=_averaged
    ),
    "adagrad": Rule(
        f"{_T}Adagrad",
        _TORCH | {"initial_accumulator_value": "initial_accumulator_value"},
        note=EPS_OUT,
        convert=_rooted,
    ),
    "rmsprop": Rule(
        f"{_T}RMSprop",
        _TORCH | {"decay": "alpha", "momentum": "momentum"},
        note=EPS_OUT,
        convert=_rooted,
    ),
    "adadelta": Rule(f"{_T}Adadelta", _TORCH | {"rho": "rho"}),
    "adam": Rule(f"{_T}Adam", _TORCH_ADAM),
    "adamw": Rule(f"{_T}AdamW", _TORCH_ADAM),
    "adamax": Rule(f"{_T}Adamax", _TORCH_ADAM),
    "nadam": Rule(f"{_T}NAdam", _TORCH_NADAM, note=WARM, convert=_unwarmed),
    "nadamw": Rule(
        f"{_T}NAdam", _TORCH_NADAM, "decoupled_weight_decay=True", note=WARM, convert=_unwarmed
    ),
    "radam": Rule(f"{_T}RAdam", _TORCH_ADAM),
}
RULES = {"optax": OPTAX, "keras": KERAS, "torch": TORCH}
AS_OPTAX = {("keras", "sgd"), ("torch", "sgd"), ("torch", "adam"), ("torch", "adamw")}
AROUND = ("clip_norm", "decay_biases")  # columns that change what stands around the recipe
OURS = {*OPTAX, "prodigy", "schedule_free_adamw", "schedule_free_sgd", "soap"}


def snippets(optimizer: str, numbers: Mapping[str, Any]) -> list[Snippet]:
    """The Python of each framework, this library's first; none of an optimizer of one's own.

    Args:
        optimizer: a registered name, as ``adam``, ``keras.adam`` or ``adam+ema``.
        numbers: the columns of the row that have a value, the optimizer and the seed left out.
            Those that are no argument of this one stand below the code, in a comment.

    >>> print(snippets("momentum", {"learning_rate": 0.1, "momentum": 0.9})[1].code)
    import optax
    <BLANKLINE>
    tx = optax.sgd(learning_rate=0.1, momentum=0.9)
    """
    like, _, name = optimizer.removesuffix("+ema").rpartition(".")
    like = like or "optax"
    if name not in OURS or like not in ("optax", "keras", "torch", "paper"):
        return []
    known = taken(optimizer)
    given = {key: plain(value) for key, value in numbers.items()}
    given = {key: x for key, x in given.items() if NEUTRAL.get(key) != x}
    row = _Row(
        name,
        like,
        {key: x for key, x in given.items() if key in known},
        given.get("clip_norm"),
        given.get("decay_biases") is False and any(given.get(key) for key in DECAYS),
        {key: x for key, x in given.items() if key not in known and key not in AROUND},
    )
    return [_ours(row), *(_theirs(framework, row) for framework in RULES)]


class _Row(NamedTuple):
    name: str
    like: str
    arguments: dict[str, Any]
    clip: float | None
    spared: bool  # whether weight decay leaves out what has fewer than two axes
    besides: dict[str, Any]


def _ours(row: _Row) -> Snippet:
    lines = ["import jaxopt_course as joc", ""]
    words = _words(row.arguments)
    if row.spared:
        lines.insert(0, "import jax")
        words.append(f"{MASK_NAMES.get(row.name, 'mask')}={MASK}")
    if row.like != "optax":
        words.append(f"like={row.like!r}")
    lines += _called("tx", f"joc.{row.name}", words)
    if row.clip is not None:
        lines.append(f"tx = joc.chain(joc.clip_by_global_norm({row.clip!r}), tx)")
    return Snippet("joc", "\n".join(lines + _comment(row.besides)))


def _theirs(framework: str, row: _Row) -> Snippet:
    rule = RULES[framework].get(row.name)
    as_optax = row.like == "optax" or (row.like, row.name) in AS_OPTAX
    if rule is None or not (as_optax or row.like == framework):
        return Snippet(framework, "", NONE)
    brought = framework == "optax" or row.like != framework
    given = rule.convert(row.arguments) if brought else row.arguments
    names = {key: x for key, x in rule.names.items() if not brought or key not in rule.other}
    given = {key: x for key, x in given.items() if key in names or x or key not in DECAYS}
    if any(key not in names for key in given):
        return Snippet(framework, "", NONE)
    theirs = {names[key]: x for key, x in given.items()}
    if framework == "torch" and "b1" in theirs:
        theirs["betas"] = theirs.pop("b1"), theirs.pop("b2")
    words = _words(theirs) + ([rule.fixed] if rule.fixed else [])
    code = WRITERS[framework](rule.call, words, row) + _comment(row.besides)
    return Snippet(framework, "\n".join(code), rule.note if brought else "")


def _optax(call: str, words: list[str], row: _Row) -> list[str]:
    lines = ["import optax", ""]
    if row.spared:
        lines.insert(0, "import jax")
        words = [*words, f"{MASK_NAMES.get(row.name, 'mask')}={MASK}"]
    lines += _called("tx", call, words)
    if row.clip is not None:
        lines.append(f"tx = optax.chain(optax.clip_by_global_norm({row.clip!r}), tx)")
    return lines


def _keras(call: str, words: list[str], row: _Row) -> list[str]:
    if row.clip is not None:
        words = [*words, f"global_clipnorm={row.clip!r}"]
    lines = ["import keras", "", *_called("optimizer", call, words)]
    if row.spared:
        lines.append('optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])')
    return lines


def _torch(call: str, words: list[str], row: _Row) -> list[str]:
    lines, first = ["import torch", ""], "model.parameters()"
    if row.spared:
        first = "groups"
        lines += [
            "kernels = [p for p in model.parameters() if p.ndim >= 2]",
            "others = [p for p in model.parameters() if p.ndim < 2]",
            'groups = [{"params": kernels}, {"params": others, "weight_decay": 0.0}]',
        ]
    lines += _called("optimizer", call, [first, *words])
    if row.clip is not None:
        clip = f"torch.nn.utils.clip_grad_norm_(model.parameters(), {row.clip!r})"
        lines.append(f"# before optimizer.step(): {clip}")
    return lines


WRITERS = {"optax": _optax, "keras": _keras, "torch": _torch}


def _words(arguments: Mapping[str, Any]) -> list[str]:
    return [f"{key}={x!r}" for key, x in arguments.items()]


def _comment(besides: Mapping[str, Any]) -> list[str]:
    """On one line, whatever a column is called: the next would be run."""
    return [f"# and {printable(', '.join(_words(besides)))}"] if besides else []


def _called(target: str, call: str, words: list[str], width: int = 68) -> list[str]:
    line = f"{target} = {call}({', '.join(words)})"
    if len(line) <= width:
        return [line]
    return [f"{target} = {call}(", *(f"    {word}," for word in words), ")"]


def named(numbers: Mapping[str, Any]) -> str:
    """The numbers of a row as a dict of Python, whatever its columns are called.

    >>> named({"rate": 0.1, "l2 (all)": 0.0})
    "{'rate': 0.1, 'l2 (all)': 0.0}"
    """
    return repr({name: plain(value) for name, value in numbers.items()})


def plain(value: Any) -> Any:
    """Python's own number, whose repr says it exactly."""
    item = getattr(value, "item", None)
    return item() if callable(item) else value
