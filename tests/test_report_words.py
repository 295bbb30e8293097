"""Names, numbers and axes as a reader meets them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from jaxopt_course.report import looks, words
from jaxopt_course.report.findings import Findings


@pytest.mark.parametrize(
    "value, text",
    [
        *[(0.00398107, "0.003981"), (1e-5, "1e-5"), (1e10, "1e10"), (10.0, "10"), (3, "3")],
        *[(100_000, "100000"), (True, "True"), (np.True_, "True"), ("adam", "adam")],
        *[(np.float32(0.5), "0.5"), (np.nan, "–"), (pd.NA, "–"), (None, "–")],
    ],
)
def test_numbers(value, text):
    assert words.number(value) == text


@pytest.mark.parametrize(
    "mean, half, text",
    [
        (0.97812, 0.00461, "0.9781 ± 0.0046"),
        (0.9, 0.25, "0.90 ± 0.25"),
        (1234.5, 321.0, "1234 ± 321"),
        (0.5, 0.0, "0.5"),
        (0.5, 1e-12, "0.5 ± 1e-12"),
        (0.5, np.nan, "0.5"),
        (np.nan, np.nan, "–"),
    ],
)
def test_estimates_have_the_decimals_that_their_interval_deserves(mean, half, text):
    assert words.plus_minus(mean, half) == text


@pytest.mark.parametrize(
    "value, text",
    [(1234, "1,234"), (0, "0"), (True, ""), ("1", ""), (None, ""), (np.nan, ""), (10**400, "")],
)
def test_amounts_are_numbers_or_nothing(value, text):
    assert words.amount(value, "{:,}") == text


def test_lists():
    assert words.listed(["a"]) == "a"
    assert words.listed(["a", "b"]) == "a and b"
    assert words.listed(list("abcd")) == "a, b, c and d"
    assert words.listed(list("abcdef")) == "a, b, c and 3 others"


def test_labels_are_short_and_tell_names_apart():
    names = ["adam", "x" * 50 + "1", "x" * 50 + "2", "y" * 30 + "z" * 30 + "y" * 30, "y" * 90]
    found = looks.labels(names)
    assert found["adam"] == "adam"
    assert len(set(found.values())) == len(names)
    assert max(map(len, found.values())) <= 24


def test_forty_optimizers_look_different():
    names = [str(i) for i in range(40)]
    found = looks.looks(names)
    assert len({(look.colour, look.plotly_dash) for look in found.values()}) == 40
    assert looks.looks(names[:3]) == {name: found[name] for name in names[:3]}


def lab(colour):
    """CIE L*a*b* of #rrggbb under D65, where 2.3 is a difference that is just seen."""
    from matplotlib.colors import to_rgb

    c = np.array(to_rgb(colour))
    c = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    x, y, z = np.cbrt(np.array(to_xyz) @ c / [0.9505, 1.0, 1.089])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def test_of_ten_optimizers_those_of_one_dash_are_of_other_colours():
    """Two blues, two greens and two purples had the same dash."""
    found = list(looks.looks(map(str, range(10))).values())
    for i, one in enumerate(found):
        for other in found[:i]:
            if one.plotly_dash == other.plotly_dash:
                assert np.linalg.norm(lab(one.colour) - lab(other.colour)) > 40


@pytest.mark.parametrize(
    "low, high, ticks",
    [
        (1e-5, 10.0, [1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0]),
        (0.04, 2.0, [0.05, 0.1, 0.2, 0.5, 1.0, 2.0]),
        (0.3, 0.4, [0.3, 0.4]),
        (0.3, 0.3, [0.3]),
        (1e-20, 1e20, [float(f"1e{n}") for n in range(-20, 21, 5)]),
    ],
)
def test_ticks_of_a_logarithmic_axis(low, high, ticks):
    assert looks.log_ticks(low, high) == ticks


@pytest.mark.parametrize(
    "quantity, values, log",
    [
        ("valid_loss", [0.05, np.nan, 0.9], True),
        ("train_loss", [0.05, 0.9], True),
        ("best_valid_loss", [0.05, 0.9], True),
        ("valid_loss", [0.1, 0.9], False),
        ("valid_loss", [0.0, 0.9], False),
        ("valid_loss", [-1.0, 100.0], False),
        ("valid_loss", [np.nan], False),
        ("valid_accuracy", [0.05, 0.9], False),
        ("test_error", [0.05, 0.9], True),
    ],
)
def test_only_what_is_to_be_low_is_drawn_on_a_logarithmic_axis(quantity, values, log):
    nothing = pd.DataFrame()
    metrics = {"accuracy": "max", "loss": "min", "error": "min"}
    found = Findings(
        Path(), {"task": {"metrics": metrics}}, "valid_accuracy", None, [], False, [], [],
        nothing, nothing, nothing, nothing, nothing, None, nothing, nothing, nothing,
    )  # fmt: skip
    assert looks.value_axis(found, quantity, values).log is log
