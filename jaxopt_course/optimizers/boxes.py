"""Where to search each optimizer's numbers: a box for each, as data.

A box spans what won on the small tables of the course and what others report of larger networks, so
that a winner at its edge is rare; one that is there all the same is marked by the report.  Sources:

    [T]  the medians of 100 tuned trials on 17 tables, MLPs of 3 k to 5 M weights (arXiv 2604.15297)
    [D]  the default; of a rate with a factor of at least ten to both sides
    [S]  the best of 16 rates on digits, breast_cancer and wine, by the command ``compare``: all are
         inside but Nadam's 1.58 on breast_cancer
    [E]  widened: more winners lay at the edge than chance puts there, on 40 tables
         (experiments/guides/optimizers_on_tables.md)

Distributions: ``log_uniform``; ``log_complement`` for decays near 1, where 1 - x is log-uniform.
"""

from typing import NamedTuple

LOG, NEAR_1 = "log_uniform", "log_complement"


class Box(NamedTuple):
    """An interval for one number of one optimizer."""

    name: str  # the argument of the recipe, which is the column
    distribution: str
    low: float
    high: float
    source: str


def _rate(low: float, high: float, source: str) -> Box:
    return Box("learning_rate", LOG, low, high, source)


def _decoupled(median: str, name: str = "weight_decay") -> Box:
    return Box(name, LOG, 1e-3, 10.0, f"[T] tuned median {median}" if median else "[T] of its kin")


COUPLED = Box(
    "weight_decay", LOG, 1e-6, 1e-2, "[T] SGD's tuned median 0.005, at the low edge there"
)
MOMENTUM = Box("momentum", NEAR_1, 0.5, 0.99, "[D] 0.9")
B1 = Box("b1", NEAR_1, 0.5, 0.98, "[D] 0.9")
B2 = Box("b2", NEAR_1, 0.9, 0.9999, "[D] 0.999")
EPS = Box("eps", LOG, 1e-10, 1e-3, "[D] 1e-8")
ADAMS = (B1, B2, EPS)

# what any recipe takes
AROUND = (
    Box("clip_norm", LOG, 0.1, 10.0, "[T] 1.0 for all"),
    Box("ema_decay", NEAR_1, 0.9, 0.999, "means of 10 to 1,000 steps"),
)

BOXES: dict[str, tuple[Box, ...]] = {
    "sgd": (_rate(1e-3, 10.0, "[S]"),),
    "momentum": (_rate(1e-4, 1.0, "[S]; [T] tuned median 0.04"), MOMENTUM),
    "ema_momentum": (_rate(1e-3, 10.0, "[S]"), MOMENTUM._replace(name="decay")),
    "nesterov": (_rate(1e-4, 1.0, "[S]; [T] tuned median 0.04"), MOMENTUM),
    "adagrad": (_rate(1e-3, 3.0, "[S]"),),
    "rmsprop": (
        _rate(3e-5, 0.3, "[S]"),
        Box("decay", NEAR_1, 0.9, 0.9999, "[D] 0.9; PyTorch 0.99"),
        EPS,
    ),
    "adadelta": (
        _rate(1e-2, 100.0, "[D] 1"),
        COUPLED._replace(high=1.0, source="[E]"),
        Box("rho", NEAR_1, 0.8, 0.999, "[D] 0.9"),
    ),
    "adam": (_rate(3e-5, 1.0, "[S]"), *ADAMS),
    "adamw": (_rate(3e-5, 1.0, "[S]; [T] tuned median 1.8e-4"), _decoupled("0.66"), *ADAMS),
    "adamax": (_rate(1e-4, 0.3, "[S]"), *ADAMS),
    "amsgrad": (_rate(3e-5, 1.0, "[S]"), *ADAMS),
    "nadam": (_rate(3e-5, 1.0, "[S]"), *ADAMS),
    "radam": (
        _rate(3e-5, 1.0, "[S]; [T] tuned median 1.6e-4"),
        B1._replace(high=0.999, source="[E]"),
        B2._replace(low=0.5, source="[E]"),
        EPS,
    ),
    "lion": (
        _rate(3e-6, 0.1, "[S]; [T] tuned median 4e-5"),
        _decoupled("2.2")._replace(high=100.0, source="[E]; [T] tuned median 2.2"),
        B1._replace(high=0.995, source="[E]"),
        B2._replace(source="[D] 0.99"),
    ),
    "nadamw": (_rate(3e-5, 0.1, "[T] tuned median 2e-4"), _decoupled("0.6"), *ADAMS),
    "adabelief": (_rate(3e-5, 0.1, "[T] tuned median 1.5e-4"), B1, B2, EPS._replace(low=1e-18)),
    "adopt": (
        _rate(1e-5, 0.1, "[T] tuned median 8e-5"),
        B1,
        B2._replace(source="[D] 0.9999"),
    ),
    "adan": (
        _rate(3e-5, 0.1, "[T] tuned median 5.5e-4"),
        _decoupled("0.5"),
        Box("b1", NEAR_1, 0.8, 0.998, "[D] 0.98"),
        Box("b2", NEAR_1, 0.5, 0.99, "[D] 0.92"),
        Box("b3", NEAR_1, 0.9, 0.999, "[D] 0.99"),
    ),
    "ademamix": (
        _rate(1e-5, 0.1, "[T] tuned median 1.3e-4"),
        _decoupled("2.1")._replace(high=100.0, source="[E]; [T] tuned median 2.1"),
        B1._replace(high=0.995, source="[E]"),
        B2._replace(low=0.5, source="[E]"),
        EPS,
        Box("alpha", LOG, 0.1, 20.0, "[E]; [D] 5"),
        Box("b3", NEAR_1, 0.99, 0.9999, "[D] 0.9999, shorter for short trainings"),
    ),
    "signum": (
        _rate(3e-6, 1e-2, "[T] tuned median 8e-5"),
        MOMENTUM._replace(name="beta"),
    ),
    "lamb": (_rate(1e-4, 0.3, "[D] Keras 1e-3"), _decoupled(""), *ADAMS),
    "lars": (_rate(1e-2, 100.0, "[D] with trust_coefficient 0.001"), COUPLED, MOMENTUM),
    "adafactor": (
        _rate(1e-4, 1.0, "[D] Keras 1e-3, PyTorch 1e-2"),
        Box("weight_decay_rate", LOG, 1e-6, 1e-2, "without the rate, so smaller than others'"),
    ),
    "muon": (
        _rate(1e-4, 1.0, "[T] tuned median 5e-4; 0.02 of its authors"),
        _decoupled("0.48"),
        Box("beta", NEAR_1, 0.5, 0.99, "[D] 0.95"),
        Box("adam_learning_rate", LOG, 3e-5, 0.1, "as adamw's; empty is learning_rate"),
        _decoupled("", "adam_weight_decay"),
    ),
    "soap": (_rate(3e-5, 0.1, "[T] tuned median 3.5e-4"), _decoupled("0.23"), B1, B2),
    "prodigy": (_rate(0.1, 10.0, "[D] 1"), _decoupled(""), B1, B2),
    "schedule_free_adamw": (
        _rate(1e-4, 0.3, "[T] tuned median 3.5e-3"),
        _decoupled("1.3"),
        B1,
        B2._replace(low=0.5, source="[E]"),
    ),
    "schedule_free_sgd": (
        _rate(1e-3, 300.0, "[E]; [D] 1"),
        COUPLED._replace(high=0.1, source="[E]"),
        B1._replace(high=0.995, source="[E]"),
    ),
}


def boxes_of(name: str) -> tuple[Box, ...]:
    """The boxes of a recipe, its own and those of what any takes; of "keras.adam" those of adam.

    Raises:
        KeyError: it has none.
    """
    return (*BOXES[name.rpartition(".")[2]], *AROUND)
