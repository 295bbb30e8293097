"""Claims of the notes about optimizers, each with the tests that decide it, and all of them.

A test is yes, no, or, where the interval of what was measured holds both, undecided (None).  The
verdict follows: all yes, all no, or it depends; which word, nobody chooses.

A claim may be measured in several lessons, each a part of it; its verdict is one, of the tests of
all parts.  What the lessons measure when they are run in full stands in ``claims.json``
(:mod:`jaxopt_course.course.verdicts` writes it), so that every lesson can quote every verdict.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from jaxopt_course.course.figures import POWERS, minus, proper

REGISTER = "claims.json"


@dataclass(frozen=True)
class Claim:
    """What somebody says of an optimizer, and what came out."""

    about: str
    where: str  # "file:line" of the notes; several with commas between
    words: str  # Spanish, as all that is shown
    measured: str
    tests: dict[str, bool | None]
    part: str = ""  # in what it was measured, where other lessons measure the same claim
    lesson: str = ""  # the file that measures it, as 13_1_velocidad_y_escala; known once recorded

    @property
    def verdict(self) -> str:
        """What the tests agree on, or that they do not."""
        return verdict([self])

    @property
    def reason(self) -> str:
        """What was measured; where the tests do not agree, those that are not met."""
        start = f"{self.part}: " if self.part else ""
        if self.verdict != "depende":
            return f"{start}{self.measured}"
        groups = {"no se cumple": False, "sin decidir": None}
        named = {
            word: ", ".join(
                proper(name.replace("_", " ")) for name, test in self.tests.items() if test is x
            )
            for word, x in groups.items()
        }
        return f"{start}{self.measured} ({'; '.join(f'{w}: {n}' for w, n in named.items() if n)})"

    @property
    def key(self) -> tuple[str, str, str]:
        """What the parts of a claim have in common."""
        return self.about, self.where, self.words


def claim(
    about: str, where: str, words: str, measured: str, *, part: str = "", **tests: Any
) -> Claim:
    """A claim of the notes, tested.

    Args:
        about: the optimizer.
        where: file and line of the notes, "003:40"; several with commas between.
        words: the claim.
        measured: the figures that decide it.
        part: in what it is measured here, where another lesson measures the same claim elsewhere.
        **tests: what it says, each true, false, or None where the data do not tell (as
            :func:`decided` has it).

    Raises:
        ValueError: there is no test, or a place is not written so.

    >>> claim("SGD", "003:40", "simple", "2 operaciones", cuenta=True, memoria=None).verdict
    'depende'
    """
    if not tests:
        raise ValueError(f"the claim «{words}» has no test; add one, as rápido=a < b")
    if not all(re.fullmatch(r"\d{3}:\d+(-\d+)?", place) for place in where.split(", ")):
        raise ValueError(f"where={where!r} is not of the form '003:40, 001:7-9'")
    answers = {name: None if test is None else bool(test) for name, test in tests.items()}
    return Claim(about, where, words, spanish(measured), answers, part)


def verdict(parts: Sequence[Claim]) -> str:
    """What the tests of all parts of a claim agree on, or that they do not.

    >>> yes, no = (claim("SGD", "003:40", "simple", "", a=x) for x in (True, False))
    >>> verdict([yes]), verdict([no]), verdict([yes, no])
    ('se cumple', 'no se cumple', 'depende')
    """
    answers = {answer for part in parts for answer in part.tests.values()}
    return "se cumple" if answers == {True} else "no se cumple" if answers == {False} else "depende"


@cache
def recorded() -> dict[str, tuple[Claim, ...]]:
    """What every lesson measured when it was run in full, by lesson."""
    text = files("jaxopt_course.course").joinpath(REGISTER).read_text(encoding="utf-8")
    return {
        lesson: tuple(Claim(**one, lesson=lesson) for one in entry["claims"])
        for lesson, entry in json.loads(text).items()
    }


def whole() -> dict[tuple[str, str, str], list[Claim]]:
    """Every claim of the notes with its parts, those of an optimizer together.

    >>> parts = whole()["Adamax", "000:131", "puede converger más lento que Adam"]
    >>> len(parts) > 1 and len(whole()) > 50
    True
    """
    every = [one for claims in recorded().values() for one in claims]
    order = list(dict.fromkeys(one.about for one in every))
    together: dict[tuple[str, str, str], list[Claim]] = {}
    for one in sorted(every, key=lambda one: order.index(one.about)):
        together.setdefault(one.key, []).append(one)
    return together


def find(about: str, word: str) -> list[Claim]:
    """The parts of the one claim about an optimizer that says a word.

    Raises:
        ValueError: none does, or several do.

    >>> {part.words for part in find("Adagrad", "dispersos")}
    {'ideal para datos dispersos'}
    """
    found = [key for key in whole() if key[0] == about and word in key[2]]
    if len(found) != 1:
        said = "; ".join(key[2] for key in whole() if key[0] == about) or "nothing"
        raise ValueError(f"{len(found)} claims about {about} say {word!r}; it is said: {said}")
    return whole()[found[0]]


def entry(one: Claim) -> dict[str, Any]:
    """A claim as the register holds it."""
    return {name: value for name, value in asdict(one).items() if name != "lesson"}


def interval(values: Sequence[float] | np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """The mean and half the width of its interval, by Student's t.

    Args:
        values: independent ones, such as one a seed; two or more.
        level: how often such an interval holds the mean.
    """
    from scipy import stats

    n = len(values)
    width = stats.t.ppf((1 + level) / 2, n - 1) * np.std(values, ddof=1) / n**0.5
    return float(np.mean(values)), float(width)


def decided(values: Sequence[float] | np.ndarray, above: float = 0.0) -> bool | None:
    """Whether the mean is above a number, where the 95 % interval of :func:`interval` tells.

    >>> decided([1.0, 1.1, 0.9]), decided([-1.0, -1.1, -0.9]), decided([1.0, -1.1, 0.3])
    (True, False, None)
    """
    mean, half = interval(values)
    return None if abs(mean - above) <= half else mean > above


def spanish(text: str) -> str:
    r"""Numbers as Spanish writes them: decimal comma, a thin space between thousands and before %.

    >>> spanish("20,816 pasos, -1.2e-02, 19%").replace("\N{NARROW NO-BREAK SPACE}", "_")
    '20_816 pasos, −1,2·10⁻², 19_%'
    """
    thin = "\N{NARROW NO-BREAK SPACE}"
    text = re.sub(r"(?<=\d),(?=\d{3})", thin, text)
    text = re.sub(r"(?<=\d)\.(?=\d)", ",", text)
    text = re.sub(r"(?<=\d)e([+-]\d+)", lambda e: f"·10{str(int(e[1])).translate(POWERS)}", text)
    text = re.sub(r"(?<![\d,])1·(?=10[⁻⁰¹²³⁴-⁹])", "", text)
    return minus(re.sub(r"(?<=\d) ?%", f"{thin}%", text))
