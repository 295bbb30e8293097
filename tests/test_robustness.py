"""Nothing is damaged silently: hard cases, here and in optax, PyTorch and Keras.

Ours and optax's are measured each time, those of PyTorch and Keras come from
golden/robustness.json (made by robustness_frameworks.py).  The result: tests/tables/robustness.md.
"""

import functools
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import optax
import pytest
import tables
from long_form import every, put
from robustness_cases import MEASURES, OURS, RATE, moves, scans
from traced_arguments import meanwhile

from jaxopt_course.conventions import REGISTERED

GOLDEN = Path(__file__).parent / "golden" / "robustness.json"
OPTAX = "0.2.8"  # the version whose column is published


def said(value):
    """A measurement in words, coarse enough for any machine."""
    if isinstance(value, list):
        return ", ".join(map(said, value)) or "none"
    if isinstance(value, float):
        return f"{value:.2g}"
    return str(value)


class Case(NamedTuple):
    """A row of the table."""

    title: str
    expected: str
    good: Callable[[Any], bool]  # of a measurement: whether it is as expected
    said: Callable[[Any], str] = said  # a measurement in words
    always_said: bool = False  # also where it is good


def near(value, tolerance=0.02):
    """Within 2% of ``value``, coordinate by coordinate."""
    return lambda x: bool(np.allclose(x, value, rtol=tolerance))


def told(x):
    """Whether the user hears of it."""
    return "Error" in x or "warning" in x


CASES = {
    "scan": Case(
        "bfloat16 and float16 parameters under `lax.scan`, each float32 number of each recipe",
        "no pair of recipe and number changes a dtype",
        lambda x: x[0] == 0,
        lambda x: f"{x[0]} of {x[1]} pairs",
    ),
    "mixed": Case(
        "bfloat16 parameters with float32 gradients under `lax.scan`: recipes that fail",
        "none",
        lambda x: x == [],
    ),
    "bf16 memory": Case(
        "Adam in bfloat16, 5000 gradients of 1: its second moment", "0.993", near(0.9933, 5e-3)
    ),
    "bf16 adam": Case("Adam in bfloat16, η = 0.1, first move", "-0.1", near(-RATE)),
    "f16 small": Case(
        "Adam in float16, η = 0.1, gradients 1e-4 and 0: first move", "-0.1 and 0", near([-RATE, 0])
    ),
    "f16 recipes": Case(
        "every recipe in float16, gradients 1e-4 and 0: first moves that are not finite",
        "none",
        lambda x: x == [],
    ),
    "f16 large": Case("Adam in float16, η = 0.1, gradient 300: first move", "-0.1", near(-RATE)),
    "1e30": Case(
        "Adam, a gradient of 1e30 (its square overflows), then 50 of 1: last move",
        "it moves, or says that it is frozen",
        lambda x: abs(x[0]) > 1e-3 or x[1] == "diagnose names the leaf",
        lambda x: f"{said(x[0])}, silently",
    ),
    "precision": Case(
        "Adam, b2 = 0.99999, float32, 500 equal gradients: relative error of the update",
        "at most 5e-6",
        lambda x: x <= 5e-6,
    ),
    "centered": Case(
        "centered RMSProp, constant gradients, 1000 steps: coordinates that end in NaN",
        "none",
        lambda x: x == 0,
        lambda x: "some",
    ),
    "centered corrected": Case(
        "the same with bias correction, first step", "none", lambda x: x == 0, lambda x: "some"
    ),
    "eps 0": Case("Adam with ε = 0, gradient 0: first move", "0", lambda x: x == 0),
    "nan": Case(
        "Adam, one coordinate NaN once: the next move",
        "the other coordinate as ever",
        lambda x: near(-RATE)(x[1]),
    ),
    "inf": Case(
        "Adam, one coordinate infinite once: the next move",
        "the other coordinate as ever",
        lambda x: near(-RATE)(x[1]),
    ),
    "hypergradients": Case(
        "derivative by the learning rate where a gradient is always 0: recipes that give NaN",
        "none",
        lambda x: x == [],
    ),
    "shape": Case(
        "a gradient of shape (2,) for a parameter of shape (3, 2)",
        "an error or a warning",
        told,
        always_said=True,
    ),
    "missing": Case(
        "a gradient that is missing",
        "an error or a warning",
        told,
        always_said=True,
    ),
    "integers": Case(
        "an integer parameter, two steps of -0.1",
        "an error or a warning",
        told,
        always_said=True,
    ),
    "norm f16": Case(
        "clip to the global norm 1, float16 [300, 300]", "[0.707, 0.707]", near([0.7071] * 2)
    ),
    "norm bf16": Case(
        "clip to the global norm 1, 500 bfloat16 leaves of 1: norm afterwards", "1", near(1.0)
    ),
    "norm 1e30": Case(
        "clip to the global norm 1, float32 [1e30, 1e30]", "[0.707, 0.707]", near([0.7071] * 2)
    ),
    "adadelta": Case(
        "`adadelta()`, gradient 1: first move", "downhill", lambda x: x < 0, lambda x: "uphill"
    ),
}


@functools.cache
def on_file():
    """What PyTorch and Keras did."""
    return json.loads(GOLDEN.read_text(encoding="utf-8"))


@functools.cache
def measured(case, library):
    """The measurement of a library: ours or optax's, made now, or that on file; None without."""
    if library in ("torch", "keras"):
        return on_file()[library].get(case)
    return MEASURES[case]({"ours": OURS, "optax": optax}[library])


@pytest.mark.parametrize("case", [put(c, c not in ("scan", "hypergradients")) for c in CASES])
def test_ours(case):
    value = measured(case, "ours")
    assert CASES[case].good(value), f"{value}, expected: {CASES[case].expected}"
    if CASES[case].always_said:
        assert value == "ValueError, names the leaf"


VECTORS = sorted(name for name in REGISTERED if not name.endswith("muon"))  # tests/test_muon.py


@pytest.mark.parametrize("name", every(8, VECTORS))
def test_half_precision_of_every_convention(name):
    """Float32 numbers, all at once: dtypes stay in lax.scan; and the moves are finite."""
    numbers = {k: v for k, v in meanwhile(name).items() if not isinstance(v, bool)}
    numbers = {k: np.float32(v) for k, v in numbers.items()}
    for dtype in ("bfloat16", "float16"):
        assert scans(OURS, REGISTERED[name](**numbers), dtype)
    parameters = inspect.signature(REGISTERED[name]).parameters
    asked = {k for k, p in parameters.items() if p.default is p.empty}
    needed = {k: numbers[k] for k in {"learning_rate", "weight_decay", *asked} if k in numbers}
    gradients = [[1e-4, 0.0, 300.0]] * 2
    assert np.isfinite(moves(OURS, REGISTERED[name](**needed), gradients, "float16")).all()


def cell(case, library):
    """✓, or ✗ and what happens; — where the framework has no such thing."""
    row, value = CASES[case], measured(case, library)
    if value is None:
        return "—"
    mark = "✓" if row.good(value) else "✗"
    return mark if mark == "✓" and not row.always_said else f"{mark} {row.said(value)}"


def text():
    """The published table."""
    libraries = ["ours", "optax", "torch", "keras"]
    rows = [
        (row.title, row.expected, *(cell(case, each) for each in libraries))
        for case, row in CASES.items()
    ]
    versions = [f"{each} {on_file()[each]['version']}" for each in ("torch", "keras")]
    count = lambda i: (
        f"{sum(row[i].startswith('✓') for row in rows)} of {sum(row[i] != '—' for row in rows)}"
    )
    names = ["jaxopt-course", f"optax {OPTAX}", *versions]
    return "\n".join(
        [
            "# No silent damage",
            "",
            "; ".join(f"{name}: {count(i + 2)}" for i, name in enumerate(names)) + ".",
            "",
            "Made by `tests/test_robustness.py` on the CPU; PyTorch and Keras (on PyTorch) "
            "by `tests/robustness_frameworks.py`. ✗ with what happens; —: no such thing there.",
            "",
            tables.render(["case", "expected", *names], rows),
            "",
        ]
    )


@pytest.mark.long
@pytest.mark.skipif(optax.__version__ != OPTAX, reason=f"the table is about optax {OPTAX}")
def test_the_published_table_is_current():
    assert tables.matches("robustness.md", text())


@pytest.mark.live
@pytest.mark.filterwarnings("default")  # of the frameworks themselves
def test_the_frameworks_still_do_what_is_on_file():
    frameworks = pytest.importorskip("robustness_frameworks")
    now, then = frameworks.measure(), on_file()
    for library, values in then.items():
        for case, value in values.items():
            if case != "version":
                assert CASES[case].good(value) == CASES[case].good(now[library][case]), case
