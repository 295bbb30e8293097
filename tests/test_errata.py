"""The bench of lesson 10 judges rightly, and its parts have every erratum of the list."""

import ast
import itertools
import re
from pathlib import Path

import numpy as np
import pytest

import jaxopt_course as joc
from jaxopt_course.course.errata import Errata, Measure
from jaxopt_course.course.places import section
from jaxopt_course.course.walks import follow, walk

EXPERIMENTS = Path(__file__).parent.parent / "experiments"
PARTS = sorted(EXPERIMENTS.glob("10_*.py"))
LISTED = {f"E{n}" for n in range(1, 35)} | {"E2b", "E2c", "E3b"}
SQUARE = {"at 3": lambda f: f(3.0)}


def judge(printed, right, truth, cases=SQUARE, **more):
    errata = Errata()
    errata.judge(
        "E1", "000:118 y 000:125", "a", quote="q", printed=("p", printed), right=("r", right),
        truth=truth, cases=cases, **more,
    )  # fmt: skip
    return errata


def square(x):
    return x**2


def judged_in(file):
    """The errata of a lesson, in their order: calls in its outermost lines, so all of them run."""
    for line in ast.parse(file.read_text(encoding="utf-8")).body:
        call = line.value if isinstance(line, ast.Expr | ast.Assign) else None
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "errata.judge":
            yield ast.literal_eval(call.args[0])


def test_the_parts_have_all_37_and_each_once():
    numbers = list(itertools.chain.from_iterable(map(judged_in, PARTS)))
    assert len(LISTED) == 37 and len(PARTS) == 5
    assert len(numbers) == len(set(numbers))
    assert {number for number in numbers if number.startswith("E")} == LISTED
    assert {number for number in numbers if number not in LISTED} == {"N1", "N2", "N3"}


def test_they_are_executed_in_lesson_10_and_elsewhere_only_linked():
    """Where another lesson names an erratum, a link to the part that executes it stands beside."""
    executed = {number: file.name for file in PARTS for number in judged_in(file)}
    others = [f for f in EXPERIMENTS.glob("0*.py") if re.search(r"\bE\d+", f.read_text("utf-8"))]
    assert len(others) >= 6
    for file in others:
        text = file.read_text(encoding="utf-8")
        for paragraph in re.split(r"^#?$", text, flags=re.M):
            named = {n for n in re.findall(r"\b(?:E\d+[bc]?)\b", paragraph) if n in executed}
            comments = [line for line in paragraph.splitlines() if not line.startswith("#")]
            assert not re.search(r"\bE\d+\b", "\n".join(comments).replace("E501", "")), file.name
            for number in named - {"E24", "E25"}:  # "E22 a E26" has its ends only
                assert f"({executed[number]})" in paragraph, (file.name, number)


def test_what_is_printed_is_quoted_by_its_section():
    for file in PARTS:
        for line in ast.parse(file.read_text(encoding="utf-8")).body:
            call = line.value if isinstance(line, ast.Expr) else None
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "errata.judge":
                places = re.findall(r"\d{3}:\d+", ast.literal_eval(call.args[1]))
                (quote,) = (k.value for k in call.keywords if k.arg == "quote")
                assert places and all(section(place) for place in places)
                assert len(ast.literal_eval(quote)) > 10


def test_the_readme_says_which_part_has_which():
    text = (EXPERIMENTS / "README.md").read_text(encoding="utf-8")
    for file in PARTS:
        (row,) = re.findall(rf"\({file.name}\) \|(.*)\|", text)
        assert set(re.findall(r"\b[EN]\d+[a-c]?\b", row)) == set(judged_in(file)), file.name


def test_a_wrong_correction_and_a_right_print_are_both_refused():
    judge(lambda x: x**3, square, lambda x: x * x)
    with pytest.raises(AssertionError, match="at 3"):
        judge(lambda x: x**3, lambda x: x**2 * (1 + 1e-11), square)
    with pytest.raises(AssertionError, match="at 3"):
        judge(lambda x: x**2 * 1.009, square, square)
    with pytest.raises(AssertionError, match="at 3"):
        judge(lambda x: np.nan, square, square)  # not a number is no proof
    with pytest.raises(AssertionError, match="at 3"):
        judge(lambda x: x**3, lambda x: np.ones(2), square)  # of another shape


def test_only_the_foretold_exception_counts_as_failing():
    def breaks(x):
        raise KeyError(3)

    table = judge(breaks, square, square, fails=(KeyError,)).table()
    assert table.splitlines()[-1] == (
        "| **E1** a. En los apuntes 000, «Otros optimizadores»: «q» | p | r | at 3 "
        "| no se ejecuta: KeyError | 9 |"
    )
    with pytest.raises(KeyError):
        judge(breaks, square, square, fails=(ValueError,))
    with pytest.raises(KeyError):
        judge(square, breaks, square, fails=(KeyError,))


def test_a_phone_folds_each_erratum_under_its_title():
    errata = judge(
        lambda x: 2 * x**2, square, square, {"at 3": lambda f: f(3.0), "-": SQUARE["at 3"]}
    )
    errata.judge(
        "E2", "000:118", "con $x^2$", quote="", printed=("", square), right=("", lambda x: 1.0),
        truth=lambda x: 1.0, cases=SQUARE,
    )  # fmt: skip
    folds = re.findall(r'<details class="folds"><summary>(.*?)</summary>(.*?)</details>',
                       errata.cards(), re.S)  # fmt: skip
    assert [re.sub("<.*?>", "", title) for title, _ in folds] == ["E1 a", "E2 con x2"]
    assert [card.count("<tr>") for _, card in folds] == [3, 2]
    assert all(card.count("<th>") == 6 and card.count("<math") == 0 for _, card in folds[:1])
    assert "«q»" in folds[0][1] and "E2" not in folds[0][1]


def test_a_case_may_bring_its_own_truth_and_reading():
    other = Measure(lambda f: f(3.0), printed=lambda x: -x, truth=9.0)
    (erratum,) = judge(square, square, lambda x: 0.0, {"at 3": other}).found
    assert erratum.cases[0].printed == -3.0 and erratum.cases[0].apart == pytest.approx(4 / 3)


def test_a_number_comes_once():
    errata = judge(lambda x: 1.0, square, square)
    with pytest.raises(ValueError, match="E1 was judged before"):
        errata.judge("E1", "", "", quote="", printed=("", 1), right=("", 1), cases={})


def test_a_rule_and_an_optimizer_walk_alike_and_count_from_one():
    def sgd(w, memory, slope, t):
        return w - 0.1 * slope(w, t), memory

    slope = lambda w, t: t * w  # by hand: 8, 8·0.9, 8·0.9·0.8, ...
    by_hand = 8 * np.cumprod(1 - 0.1 * np.arange(1, 5))
    for method in (sgd, joc.sgd(0.1)):
        path = walk(method, slope, 8.0, 4)
        np.testing.assert_allclose(path, by_hand, rtol=1e-14)
        np.testing.assert_array_equal(follow(method, slope, 8.0, 4), [8.0, *path])


def test_the_chart_sets_apart_what_does_not_run():
    def breaks(x):
        raise KeyError(3)

    errata = judge(lambda x: 2 * x**2, square, square)
    errata.judge(
        "E2", "000:118", "b", quote="", printed=("", breaks), right=("", square), truth=square,
        cases=SQUARE, fails=(KeyError,),
    )  # fmt: skip
    ax = errata.chart().axes[0]
    numbers, out = ax.lines
    assert numbers.get_xydata().tolist() == [[1.0, 0.0]] and out.get_xydata()[0][1] == 1
    assert [label.get_text() for label in ax.get_yticklabels()] == ["E1", "E2"]
    assert [text.get_text() for text in ax.texts] == ["a", "b"]
