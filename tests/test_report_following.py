"""What the page says to do next, and the commands that it offers, which the command line takes."""

import shlex

import numpy as np
import pandas as pd
import pytest
from long_form import every
from report_studies import trial, write

from jaxopt_course.cli.compare import Compare
from jaxopt_course.report import commands, following
from jaxopt_course.report.findings import read

COMMAND = "jaxopt-course compare --task wine --optimizers sgd adam --epochs 4 --out runs/x"
RATES = (0.001, 0.01, 0.1, 1.0)


def study(
    path, best=0.1, gap=0.1, fresh=True, points=9, command=COMMAND, seeds=4, swing=0.2, **more
):
    rows = [
        trial(name, rate, seed, 0.9 - 0.1 * abs(np.log10(rate / best)) - gap * (name == "sgd"))
        for name in ("adam", "sgd")
        for rate in RATES
        for seed in range(2)
    ]
    again = [
        trial(name, best, 10 + i, 0.9 - gap * (name == "sgd") * (1 + swing * (-1) ** i) + i / 100)
        for name in ("adam", "sgd")
        for i in range(seeds)
    ]
    return read(write(path, rows, again if fresh else None, points, command=command, **more))


def parsed(command):
    """The options as the command line takes them."""
    import tyro

    words = shlex.split(command)
    assert words[:2] == ["jaxopt-course", "compare"]
    config = (tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff)
    return tyro.cli(Compare, args=words[2:], config=config)


def said(findings):
    return [step.said for step in following.steps(findings)]


def flat(found):
    """The same study with curves that fall no more, so that nobody would train longer."""
    curves = found.curves.assign(mean=0.5)
    object.__setattr__(found, "curves", curves)
    return found


def test_a_study_that_asks_for_nothing_says_so(tmp_path):
    found = flat(study(tmp_path))
    assert said(found) == ["Nothing in this study asks for more: use it."]


@pytest.mark.parametrize(
    "best, words, low, high",
    [
        (1.0, "highest tried: widen to 10.", 0.001, 10),
        (0.001, "lowest tried: widen to 0.0001.", 1e-4, 1),
    ],
)
def test_an_edge_is_widened_by_a_decade(tmp_path, best, words, low, high):
    (step,) = following.steps(flat(study(tmp_path, best)))
    assert step.said.endswith(words)
    asked = parsed(step.command)
    assert (asked.learning_rate_min, asked.learning_rate_max) == pytest.approx((low, high))
    assert asked.learning_rates == 5 and asked.search == "grid"  # one a decade, as before
    assert asked.task == ("wine",) and asked.epochs == 4 and asked.out is None


def test_whose_curve_still_rises_trains_longer(tmp_path):
    found = study(tmp_path)
    assert following.still_improves(found) is False  # it gains next to nothing in its last quarter
    rising = found.curves.assign(mean=found.curves["step"].astype(float))
    object.__setattr__(found, "curves", rising)
    assert following.still_improves(found)
    (step,) = following.steps(found)
    assert step.said == "The winner still improves when training ends: train longer."
    assert parsed(step.command).epochs == 18  # twice the budget of the study


def test_a_curve_that_turned_back_does_not_ask_for_more(tmp_path):
    found = study(tmp_path)
    turned = found.curves.assign(mean=-((found.curves["step"] - 40.0) ** 2))
    object.__setattr__(found, "curves", turned)
    assert following.still_improves(found) is False
    object.__setattr__(found, "curves", turned[turned["step"] <= 30])
    assert following.still_improves(found) is None  # too few evaluations to tell


def test_what_was_not_confirmed_is_to_be(tmp_path):
    (step,) = following.steps(flat(study(tmp_path, fresh=False)))
    assert "fresh seeds" in step.said and parsed(step.command).confirm == 8


def test_the_seeds_that_would_separate_are_asked_for(tmp_path):
    found = flat(study(tmp_path, gap=0.004, seeds=5, swing=2))
    needed = int(found.comparisons["seeds_needed"].iloc[0])
    (step,) = following.steps(found)
    assert step.said == f"{needed} fresh seeds would tell the winner from sgd."
    assert parsed(step.command).confirm == needed


def test_where_nobody_has_a_score_lower_rates_are_tried(tmp_path):
    rows = [trial("adam", rate, s, status="diverged") for rate in (1.0, 10.0) for s in range(2)]
    (step,) = following.steps(read(write(tmp_path, rows, command=COMMAND)))
    assert step.said == "No configuration has a score: try learning rates below 1."
    assert parsed(step.command).learning_rate_max == 1


def test_the_winner_alone_is_a_command(tmp_path):
    asked = parsed(following.again(study(tmp_path)))
    assert asked.optimizers == ("adam",) and asked.learning_rates == 1
    assert asked.learning_rate_min == asked.learning_rate_max == 0.1


@pytest.mark.parametrize(
    "command", every(2, ["mine.py", "", "jaxopt-course sweep mine.py", "x 'y", "a\nb"])
)
def test_of_another_command_none_is_offered(tmp_path, command):
    found = study(tmp_path, 1.0, command=command)
    assert following.again(found) is None
    assert {step.command for step in following.steps(found)} == {None}
    assert commands.changed(command, {"--epochs": [1]}) is None


def test_other_numbers_than_the_rate_are_no_grid(tmp_path):
    rows = [trial("adam", x, 0, x, b1=b1) for x in (0.1, 0.2) for b1 in (0.5, 0.9)]
    assert following.again(read(write(tmp_path, rows, command=COMMAND))) is None


def test_words_of_a_command_are_quoted_again():
    command = "jaxopt-course compare --csv 'my table.csv' --target 'price (€)' --drop=id"
    assert shlex.split(commands.changed(command, {"--epochs": [3]})) == [
        *["jaxopt-course", "compare", "--csv", "my table.csv", "--target", "price (€)"],
        *["--drop", "id", "--epochs", "3"],
    ]


def test_a_range_of_shares_is_widened_by_its_own_width():
    assert following.beyond(pd.Series([0.5, 0.9]), True, "momentum") == 0.99
    assert following.beyond(pd.Series([0.8, 0.95]), False, "b1") == pytest.approx(0.65)
    assert following.beyond(pd.Series([0.0, 0.9]), True, "b1") == 0.99
    assert following.beyond(pd.Series([0.1, 0.7]), True, "learning_rate") == pytest.approx(7)
    assert following.beyond(pd.Series([0.0, 2.0]), True, "warmup") == 4
    assert following.beyond(pd.Series([0.01, 0.1]), False) == pytest.approx(0.001)
