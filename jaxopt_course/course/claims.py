"""Claims about optimizers, each with the tests that decide it; a lesson ends with their table.

A test is yes, no, or, where the interval of what was measured holds both, undecided (None).  The
verdict follows: all yes, all no, or it depends; which word, nobody chooses.
"""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxopt_course.course.lesson import FIGURES

POWERS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
TABLE = "veredictos.md"


@dataclass(frozen=True)
class Claim:
    """What somebody says of an optimizer, and what came out."""

    about: str
    where: str  # "file:line" of the notes; several with commas between
    words: str  # Spanish, as all that is shown
    measured: str
    tests: dict[str, bool | None]

    @property
    def verdict(self) -> str:
        """What the tests agree on, or that they do not."""
        answers = set(self.tests.values())
        return (
            "se cumple"
            if answers == {True}
            else "no se cumple"
            if answers == {False}
            else "depende"
        )

    @property
    def reason(self) -> str:
        """What was measured; where the verdict is none, the tests that keep it from being one."""
        if self.verdict != "depende":
            return self.measured
        groups = {"no": False, "sin decidir": None}
        named = {
            word: ", ".join(
                name.replace("_", " ") for name, test in self.tests.items() if test is x
            )
            for word, x in groups.items()
        }
        return f"{self.measured} ({'; '.join(f'{w}: {n}' for w, n in named.items() if n)})"


def claim(about: str, where: str, words: str, measured: str, **tests: Any) -> Claim:
    """A claim of the notes, tested.

    Args:
        about: the optimizer.
        where: file and line of the notes, "003:40"; several with commas between.
        words: the claim.
        measured: the figures that decide it.
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
    return Claim(about, where, words, spanish(measured), answers)


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

    >>> spanish("20,816 pasos, 1.2e-02, 19%").replace("\N{NARROW NO-BREAK SPACE}", "_")
    '20_816 pasos, 1,2·10⁻², 19_%'
    """
    thin = "\N{NARROW NO-BREAK SPACE}"
    text = re.sub(r"(?<=\d),(?=\d{3})", thin, text)
    text = re.sub(r"(?<=\d)\.(?=\d)", ",", text)
    text = re.sub(r"(?<=\d)e([+-]\d+)", lambda e: f"·10{str(int(e[1])).translate(POWERS)}", text)
    return re.sub(r"(?<=\d) ?%", f"{thin}%", text)


def table(claims: Sequence[Claim]) -> str:
    """The claims in Markdown, those of an optimizer together."""
    head = "| optimizador | dónde | afirmación | veredicto | lo medido |\n|---|---|---|---|---|\n"
    order = list(dict.fromkeys(one.about for one in claims))
    rows = sorted(claims, key=lambda one: order.index(one.about))
    return head + "\n".join(
        f"| {one.about} | {one.where} | {one.words} | **{one.verdict}** | {one.reason} |"
        for one in rows
    )


def show_claims(claims: Sequence[Claim]) -> None:
    """Show the table in a notebook; in a script print it, and save it beside the figures."""
    markdown = table(claims)
    if "ipykernel" in sys.modules:
        from IPython.display import Markdown, display

        display(Markdown(markdown))
        return
    print(markdown)
    folder = FIGURES / Path(sys.argv[0]).stem
    folder.mkdir(parents=True, exist_ok=True)
    (folder / TABLE).write_text(markdown + "\n", encoding="utf-8")
